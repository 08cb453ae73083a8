"""The training of one round: a jitted scan in chunks, all seeds at once, compiled once for every round of every scheme.

What a scheme is enters as arrays alone (`Pairs`), so its shapes decide whether anything is compiled again, its values
never do. Between chunks the host looks at the losses, and stops a run that diverges.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray
from tqdm import tqdm

from .. import check
from . import devices
from .pairs import Pairs
from .plan import OPTIMIZERS, Training

DIVERGED = 100.0  # mean loss of a chunk over the mean square of the target; a net that returns 0 has 1


class Diverged(ArithmeticError):
    """Training that came to NaN, or to a loss far above that of doing nothing."""

    round: int
    step: int
    seed: int
    """Where, counted from 0."""
    loss: float
    finished: tuple = ()
    """The rounds before it, whole, where `rfcollapse.learn.reflow.run` raised it."""

    def __init__(self, round: int, step: int, seed: int, loss: float):
        super().__init__(f"training diverged in round {round}, step {step}, seed {seed}: loss {loss:.6g}")
        self.round, self.step, self.seed, self.loss = round, step, seed, loss


class _State(NamedTuple):
    params: eqx.Module
    optimizer: optax.OptState
    average: eqx.Module


@check.in_float64  # in which pairs are drawn
def train(
    key: PRNGKeyArray,
    models: eqx.Module,
    pairs: Pairs,
    *,
    training: Training,
    ridge: float = 0.0,
    round: int = 0,
    refresh: Callable[[eqx.Module], Pairs] | None = None,
    at_data: bool = False,
) -> tuple[eqx.Module, Float[np.ndarray, "seeds chunks"]]:
    """Minimises E|f(t, x_t + √τ e) − target|², x_t = (1−t)x0 + t x1, e ~ N(0, I), t stratified on [0, 1].

    The noise e is on the input alone, and for a model linear in x it is ridge τ.

    Args:
        key: one key; the seeds' keys are split from it.
        models: `Velocity` or `Denoiser`, every array with a leading axis of seeds; not consumed.
        pairs: those in NumPy arrays stay on the host, and each chunk of steps fetches what it draws, the same as
            elsewhere.
        training: see `Training`.
        ridge: τ ≥ 0.
        round: named in progress and errors.
        refresh: makes new pairs of the same shapes from the averaged models, after each chunk but the last.
        at_data: t = 1 always, where x0 plays no part: a denoiser of the noise √τ alone.

    Returns:
        The averaged models, and the mean loss of each chunk.

    Raises:
        Diverged: the loss is no number, or far above that of a net that returns 0.
    """
    count = pairs.noise.shape[0]
    mesh = devices.mesh(count, training.shards)
    params, static = eqx.partition(models, eqx.is_array)
    # A copy, for the state is donated and the models are the caller's.
    params = devices.spread(jax.tree.map(jnp.copy, params), mesh)
    state = _start(params, training=training, mesh=mesh)
    keys = devices.spread(jax.random.split(key, count), mesh)
    noise_std = devices.spread(jnp.full(count, check.nonnegative("ridge", ridge) ** 0.5, dtype=jnp.float32), mesh)
    pairs, cumulative = _placed(pairs, mesh)
    history = []
    with tqdm(total=training.steps, desc=f"round {round}", unit="step", leave=False, disable=None) as bar:
        for start in range(0, training.steps, training.chunk):
            first = devices.spread(jnp.full(count, start, dtype=jnp.int32), mesh)
            chosen = _all_chosen(cumulative, keys, first, training=training, mesh=mesh)
            drawn = _fetched(pairs, chosen, mesh) if isinstance(pairs.data, np.ndarray) else (pairs, chosen)
            state, losses, scale = _chunk(
                state, *drawn, keys, noise_std, first, static=static, training=training, at_data=at_data, mesh=mesh
            )
            history.append(_judged(devices.fetch(losses), devices.fetch(scale), round, start))
            bar.update(training.chunk)
            if refresh is not None and start + training.chunk < training.steps:
                pairs, cumulative = _placed(refresh(eqx.combine(state.average, static)), mesh)
    return eqx.combine(state.average, static), np.stack(history, axis=1)


def _placed(pairs, mesh):
    """The pairs, on the devices but where they are the host's, and the cumulative weights."""
    cumulative = devices.spread(jnp.cumsum(pairs.weight.astype(jnp.float64), axis=1), mesh)
    return pairs if isinstance(pairs.data, np.ndarray) else devices.spread(pairs, mesh), cumulative


@partial(jax.jit, static_argnames=("training", "mesh"))
def _all_chosen(cumulative, keys, first, *, training, mesh):
    return devices.each(partial(_chosen, training=training), mesh)(cumulative, keys, first)


def _fetched(pairs, chosen, mesh):
    """The pairs that a chunk of steps draws from a pool on the host, and their places: the order of the steps."""
    chosen = devices.fetch(chosen)
    parts = (np.stack([rows[seed.ravel()] for rows, seed in zip(np.asarray(part), chosen)]) for part in pairs)
    order = np.broadcast_to(np.arange(chosen[0].size, dtype=np.int32).reshape(chosen[0].shape), chosen.shape)
    return devices.spread((Pairs(*parts), order), mesh)


def _judged(losses, scale, round, start):
    """The mean loss of each seed; raises where one is not finite or far above its scale."""
    broken = ~np.isfinite(losses) | (losses.mean(axis=1) > DIVERGED * scale)[:, None]
    if broken.any():
        step = int(np.argmax(broken.any(axis=0)))
        seed = int(np.argmax(broken[:, step]))
        raise Diverged(round, start + step, seed, float(losses[seed, step]))
    return losses.mean(axis=1)


@partial(jax.jit, static_argnames=("training", "mesh"))
def _start(params, *, training, mesh):
    optimizer = devices.each(_optimizer(training).init, mesh)(params)
    return _State(params, optimizer, jax.tree.map(jnp.copy, params))


@partial(jax.jit, static_argnames=("static", "training", "at_data", "mesh"), donate_argnames="state")
def _chunk(state, pairs, chosen, keys, noise_std, first, *, static, training, at_data, mesh):
    optimizer = _optimizer(training)
    dtype = jnp.dtype(training.precision)

    def loss(params, x0, x1, t, noise):
        model = eqx.combine(jax.tree.map(lambda p: p.astype(dtype), params), static)
        x = (1 - t)[:, None] * x0 + t[:, None] * x1 + noise
        error = jax.vmap(model.net)(t, x.astype(dtype)).astype(jnp.float32) - model.target(x0, x1)
        return jnp.mean(error**2)

    def one_seed(state, pairs, chosen, key, noise_std, first):
        def step(state, at):
            index, batch = at
            x0, x1, t, e = _draw(jax.random.fold_in(key, index), pairs, batch, at_data)
            x0, x1, t, e = (_part(array, training.shards) for array in (x0, x1, t, e))
            value, slope = jax.value_and_grad(loss)(state.params, x0, x1, t, noise_std * e)
            scale = jnp.mean(static.target(x0, x1) ** 2)
            # One message: each costs the devices a meeting, which for a small net takes longer than its arithmetic.
            flat, shaped = ravel_pytree((value, slope, scale))
            value, slope, scale = shaped(jax.lax.pmean(flat, "shards"))
            with jax.numpy_dtype_promotion("standard"):  # inside optax
                change, inner = optimizer.update(slope, state.optimizer, state.params)
            params = optax.apply_updates(state.params, change)
            count = index.astype(jnp.float32)
            decay = jnp.minimum(jnp.float32(training.average), (1 + count) / (10 + count))
            average = jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), state.average, params)
            return _State(params, inner, average), (value, scale)

        indices = first + jnp.arange(training.chunk, dtype=jnp.int32)
        state, (losses, scales) = jax.lax.scan(step, state, (indices, chosen))
        return state, losses, scales.mean()

    return devices.each(one_seed, mesh)(state, pairs, chosen, keys, noise_std, first)


def _part(array, shards):
    """This device's part of a batch."""
    return array.reshape(shards, -1, *array.shape[1:])[jax.lax.axis_index("shards")]


def _chosen(cumulative, key, first, *, training):
    """Pairs drawn in proportion to their weights, whose cumulative sums are given: their places, (chunk, batch).

    All at once, which costs a tenth of a search per step.
    """

    def one_step(index):
        key_pairs = _keys(jax.random.fold_in(key, index))[0]
        level = cumulative[-1] * jax.random.uniform(key_pairs, (training.batch,), cumulative.dtype)
        return jnp.minimum(jnp.searchsorted(cumulative, level, side="right"), len(cumulative) - 1)

    return jax.vmap(one_step)(first + jnp.arange(training.chunk, dtype=jnp.int32))


def _draw(key, pairs, chosen, at_data=False):
    """x0, x1, t and e ~ N(0, I) of one batch, the chosen pairs."""
    _, key_time, key_noise, key_ridge = _keys(key)
    x1, batch = pairs.data[chosen], len(chosen)
    e = jax.random.normal(key_ridge, x1.shape, dtype=jnp.float32)
    if at_data:
        return x1, x1, jnp.ones(batch, dtype=jnp.float32), e
    new = jax.random.normal(key_noise, x1.shape, dtype=jnp.float32)
    x0 = jnp.where(pairs.redrawn[chosen][:, None], new, pairs.noise[chosen])
    # One time in each of as many equal parts of [0, 1]: less spread in the gradient, the same mean.
    t = (jnp.arange(batch, dtype=jnp.float32) + jax.random.uniform(key_time, (batch,), dtype=jnp.float32)) / batch
    return x0, x1, t, e


def _keys(key):
    """Of a step: of its pairs, times, new noise and input noise."""
    return jax.random.split(key, 4)


def _optimizer(training):
    rate = optax.warmup_cosine_decay_schedule(0.0, training.learning_rate, max(1, training.steps // 20), training.steps)
    decay = {} if training.optimizer == "adam" else {"weight_decay": training.weight_decay}
    return OPTIMIZERS[training.optimizer](rate, **decay)
