"""A denoiser at one noise level, trained on its own output round by round: any network, any data.

Round j fits D to a pool of data x, E|D(x + σε) − x|², and passes rows on, x' = D(x + sε). At ρ = 1, where the pool
itself is passed on, the total variance of the next round is that of the pool less the training loss, whatever D is, as
long as its fit is at its optimum (`rfcollapse.theory.anydata.variance_after`). Every array has a leading axis of seeds.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .. import check
from ..measure.moments import moments
from ..schemes import SOURCES
from . import devices
from .pairs import Pairs, on_host
from .plan import Training
from .reflow import WIDEST, new_models, per_seed
from .train import train
from .velocity import NETS

FRESH = 4  # noisy copies of the pool on which a fit is finished, and as many others on which it is judged
AT_ONCE = 1024  # rows that are denoised at a time: memory
SHOWN = 64  # rows of each round that are kept


class OneLevelDenoiser(eqx.Module):
    """D(y) = U(a ∘ Uᵀf(y) + b ∘ Uᵀy + c): a net f, in each direction scaled and given a part of what it saw."""

    net: Callable
    basis: Float[Array, "d d"]
    """U, principal directions of the real data in columns."""
    scale: Float[Array, " d"]
    """a, 1 without a refit."""
    skip: Float[Array, " d"]
    """b, 0 without."""
    shift: Float[Array, " d"]
    """c, 0 without."""

    def __call__(self, y: Float[Array, " d"]) -> Float[Array, " d"]:
        fitted = self.net(jnp.ones((), y.dtype), y)
        return self.basis @ (self.scale * (fitted @ self.basis) + self.skip * (y @ self.basis) + self.shift)


class DenoiseRound(NamedTuple):
    """One round: what D was fitted to, how well, and what it made."""

    round: int
    """j, from 0, the fit to the start."""
    models: OneLevelDenoiser
    """One per seed, as one module whose arrays have a leading axis of seeds."""
    samples: Float[np.ndarray, "seeds n d"]
    """The data that it made, those of round j + 1."""
    variance: Float[np.ndarray, " seeds"]
    """Their total variance, ÷ n."""
    pool: Float[np.ndarray, " seeds"]
    """Total variance of the pool."""
    loss: Float[np.ndarray, " seeds"]
    """L = E|x − D|² per sample, over the pool with fresh noise of σ."""
    scale_defect: Float[np.ndarray, " seeds"]
    """κ = E⟨D − x̄, x − D⟩ on the same, x̄ the pool's mean."""
    covariance: Float[np.ndarray, "seeds rows rows"]
    """Of the pool; empty, (seeds, 0, 0), for d > 1024, as are the two below."""
    residual: Float[np.ndarray, "seeds rows rows"]
    """E(x − D)(x − D)ᵀ, on the same as the loss."""
    made: Float[np.ndarray, "seeds rows rows"]
    """Covariance of the data that it made."""


class DenoiseRun(NamedTuple):
    """All rounds of a run: the fields of `DenoiseRound`, stacked along axis 1."""

    models: tuple[OneLevelDenoiser, ...]
    shown: Float[np.ndarray, "seeds rounds_and_start shown d"]
    """The first rows, up to 64, of each round's data, those of the start (the real data) first."""
    variance: Float[np.ndarray, "seeds rounds_and_start"]
    """Total variance of each round's data, that of the start (the real data) first."""
    pool: Float[np.ndarray, "seeds rounds"]
    loss: Float[np.ndarray, "seeds rounds"]
    scale_defect: Float[np.ndarray, "seeds rounds"]
    covariance: Float[np.ndarray, "seeds rounds rows rows"]
    residual: Float[np.ndarray, "seeds rounds rows rows"]
    made: Float[np.ndarray, "seeds rounds rows rows"]


def run(
    key: PRNGKeyArray,
    data: Real[ArrayLike, "n d"] | Real[ArrayLike, "seeds n d"],
    *,
    noise_std: float,
    rounds: int,
    resample_std: float | None = None,
    real_fraction: float = 0.0,
    resample_from: str = "pool",
    start: Real[ArrayLike, "n d"] | Real[ArrayLike, "seeds n d"] | None = None,
    model: str = "mlp",
    options: Mapping | None = None,
    seeds: int = 8,
    training: Training | None = None,
    refit: bool = True,
    on_round: Callable[[DenoiseRound], None] | None = None,
) -> DenoiseRun:
    """Trains a denoiser on real data, passes its pool on, trains the next on what it made, for so many rounds.

    A pool has n rows: round(αn) real ones and the rest of the round's own, both drawn anew without replacement; that of
    the first round is the real data, or with `start` such a mixture, too. Each net starts from the weights of the last.

    Args:
        key: all that is drawn in round j comes from fold_in(key, j).
        data: real samples, one table for all seeds, or one for each.
        noise_std: σ > 0 of training.
        rounds: J ≥ 1.
        resample_std: s ≥ 0 of the pass that generates; None is σ. The loss law needs s = σ.
        real_fraction: α in [0, 1] of the pool.
        resample_from: "pool" passes the pool on, "own" the round's own data; the loss law needs "pool".
        start: own data of the first round, as many rows as the real ones; None is the real data.
        model: "mlp", "linear" or "unet", see `rfcollapse.learn.velocity`.
        options: of the network's constructor: width, …
        seeds: independent runs.
        training: None: as `Training.usual` says for the model.
        refit: whether scale, multiple of the input and shift are fitted in each principal direction of the real data,
            on four noisy copies of the pool, which are not those that the fit is judged on. It takes the fit to the
            optimum of a class that is closed under scaling; a net that was trained for long is nearly there.
        on_round: called with each round.

    Raises:
        Diverged: training did.

    Example:
        >>> import jax
        >>> from rfcollapse.learn import denoise, plan
        >>> points = 2 * jax.random.normal(jax.random.key(0), (500, 2))
        >>> quick = plan.Training.usual("mlp", steps=20)
        >>> run = denoise.run(jax.random.key(1), points, noise_std=1.0, rounds=2, seeds=2, training=quick)
        >>> run.variance.shape, run.loss.shape
        ((2, 3), (2, 2))
    """
    noise_std = float(check.positive("noise_std", noise_std))
    resample_std = noise_std if resample_std is None else float(check.nonnegative("resample_std", resample_std))
    seeds, rounds = check.integer("seeds", seeds, 1), check.integer("rounds", rounds, 1)
    fraction = float(check.fraction("real_fraction", real_fraction))
    check.one_of("resample_from", resample_from, SOURCES)
    check.one_of("model", model, tuple(NETS))
    training = training or Training.usual(model)
    real = per_seed(data, seeds)
    first = latest = real if start is None else per_seed(start, seeds, "start")
    if latest.shape != real.shape:
        raise ValueError(f"start must have as many rows and columns as data, {real.shape[1:]}; got {latest.shape[1:]}")
    mesh, finished = devices.mesh(seeds, training.shards), []
    basis = jnp.asarray(np.linalg.eigh(_covariance(real))[1][:, :, ::-1], jnp.float32)
    one = jnp.ones((seeds, real.shape[2]), jnp.float32)
    for index in range(rounds):
        keys = jax.random.split(jax.random.fold_in(key, index), 6)
        key_model, key_pool, key_train, key_fit, key_judge, key_made = keys
        if index == 0:
            nets = new_models(key_model, real.shape[2], seeds, model, "denoiser", **(options or {}))
        pool = real if latest is real else _pool(key_pool, latest, real, fraction)
        placed = pool if on_host(*pool.shape) else jnp.asarray(pool)
        rows = Pairs(placed, placed, np.ones(pool.shape[:2]), jnp.zeros(pool.shape[:2], bool))
        nets, _ = train(key_train, nets, rows, training=training, ridge=noise_std**2, round=index, at_data=True)
        models = eqx.filter_vmap(OneLevelDenoiser)(nets.net, basis, one, 0 * one, 0 * one)
        copies = np.concatenate([pool] * FRESH, axis=1)
        if refit:
            models = _refitted(models, copies, *_denoised(key_fit, models, copies, noise_std, mesh))
        _, judged = _denoised(key_judge, models, copies, noise_std, mesh)
        _, made = _denoised(key_made, models, pool if resample_from == "pool" else latest, resample_std, mesh)
        finished.append(DenoiseRound(index, models, made, *_measured(pool, copies, judged, made)))
        latest = made
        if on_round is not None:
            on_round(finished[-1])
        finished[-1] = finished[-1]._replace(samples=made[:, :SHOWN])
    _, models, shown, variance, *measured = zip(*finished)
    shown = np.stack([first[:, :SHOWN], *shown], axis=1)
    variance = np.stack([_total_variance(first), *variance], axis=1)
    return DenoiseRun(models, shown, variance, *(np.stack(values, axis=1) for values in measured))


def pass_on(
    key: PRNGKeyArray, models: OneLevelDenoiser, rows: Real[ArrayLike, "..."], std: float
) -> Float[np.ndarray, "seeds n d"]:
    """D(x + sε) of every row, as `run` makes the next data from a pool, here at any s: float32, (seeds, n, d).

    Args:
        key: draws ε.
        models: one per seed, of a round.
        rows: one table for all seeds, or one for each.
        std: s ≥ 0.

    Example:
        >>> import jax
        >>> from rfcollapse.learn import denoise, plan
        >>> points = 2 * jax.random.normal(jax.random.key(0), (500, 2))
        >>> quick = plan.Training.usual("mlp", steps=20)
        >>> run = denoise.run(jax.random.key(1), points, noise_std=1.0, rounds=1, seeds=2, training=quick)
        >>> denoise.pass_on(jax.random.key(2), run.models[0], points, 0.5).shape
        (2, 500, 2)
    """
    rows = per_seed(rows, len(models.scale), "rows")
    return _denoised(key, models, rows, float(check.nonnegative("std", std)), devices.mesh(len(rows)))[1]


@check.in_float64
def _pool(key, own, real, fraction):
    """round(αn) of the real rows and the rest of the own ones, each without replacement."""
    count = own.shape[1]
    taken = round(fraction * count)

    def drawn(key, rows, size):
        order = np.argsort(jax.random.uniform(key, rows.shape[:2]), axis=1)[:, :size]
        return np.take_along_axis(rows, np.sort(order, axis=1)[:, :, None], axis=1)  # rows keep their order

    key_own, key_real = jax.random.split(key)
    return np.concatenate([drawn(key_own, own, count - taken), drawn(key_real, real, taken)], axis=1)


def _refitted(models, clean, noisy, denoised):
    """Least squares of the clean data on what the nets made of them, what they saw, and 1, in each direction."""
    fitted = []
    for basis, *rows in zip(np.asarray(models.basis, np.float64), clean, noisy, denoised):
        target, seen, made = ((one @ basis).T for one in rows)  # (d, n)
        given = np.stack([made, seen, np.ones_like(seen)], axis=1)
        gram, cross = given @ np.swapaxes(given, 1, 2), given @ target[:, :, None]
        # A direction without variance is left as it is: the least change that fits.
        fitted.append((np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ cross)[:, :, 0].T)
    parts = jnp.moveaxis(jnp.asarray(fitted, jnp.float32), 1, 0)
    return eqx.filter_vmap(OneLevelDenoiser)(models.net, models.basis, *parts)


def _denoised(key, models, rows, std, mesh):
    """The rows with noise, and what the models make of them: NumPy, float32."""
    params, static = eqx.partition(models, eqx.is_array)
    keys, std = jax.random.split(key, len(rows)), jnp.full(len(rows), std, jnp.float32)
    placed = devices.spread((params, jnp.asarray(rows), keys, std), mesh)
    return tuple(map(devices.fetch, _denoise(*placed, static=static, mesh=mesh)))


@partial(jax.jit, static_argnames=("static", "mesh"))
def _denoise(params, rows, keys, std, *, static, mesh):
    def one_seed(params, rows, key, std):
        model = eqx.combine(params, static)
        noisy = rows + std * jax.random.normal(key, rows.shape, dtype=jnp.float32)
        return noisy, jax.lax.map(model, noisy, batch_size=AT_ONCE)

    return devices.each(one_seed, mesh)(params, rows, keys, std)


def _measured(pool, clean, judged, made):
    """`DenoiseRound` from its variance on."""
    loss, defect, residual = [], [], []
    kept = slice(None if pool.shape[2] <= WIDEST else 0)
    for rows, seen, denoised in zip(pool, clean, judged):
        error = seen - denoised.astype(np.float64)
        loss.append((error**2).sum() / len(error))
        defect.append(((denoised - rows.mean(axis=0, dtype=np.float64)) * error).sum() / len(error))
        residual.append(error[:, kept].T @ error[:, kept] / len(error))
    of_pool, of_made = map(_covariance, (pool, made)) if kept.stop is None else 2 * [np.array(residual)]  # all empty
    return _total_variance(made), _total_variance(pool), *map(np.array, (loss, defect, of_pool, residual, of_made))


def _total_variance(rows):
    return np.array([one.var(axis=0, dtype=np.float64).sum() for one in rows])


def _covariance(rows):
    return np.array([moments([one]).covariance for one in rows])
