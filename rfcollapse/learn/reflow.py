"""Reflow and its relatives, round by round: pairs from the models there are, a new model from the pairs.

Every array has a leading axis of seeds, so that whatever is measured comes with an error.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray, Real

from .. import check
from ..measure.paths import straightness
from ..schemes import SCHEMES
from . import devices, integrate
from .pairs import MIXING, Sampler, Source, first_pairs, inverted, make_pairs, on_each_seed, on_host, refreshed
from .train import Diverged, Training, train
from .velocity import NETS, PARAMETRISATIONS

# Not made here: `Training` checks its numbers with JAX, and an import must leave the choice of devices open.
TRAINING = {
    "linear": {"steps": 1000, "batch": 1024, "learning_rate": 0.01, "chunk": 100},
    "mlp": {},
    "unet": {"learning_rate": 2e-3},
}
WIDEST = 1024  # d, above which a round keeps no moments: they would take 16 d² bytes of each seed


class Round(NamedTuple):
    """The models of one round, and what was measured on samples that they generate from the same noise in every round.

    Attributes:
        index: 0 for the first model, trained on real data and independent noise.
        models: one per seed, as one module whose arrays have a leading axis of seeds.
        second_moment: E xxᵀ of generated samples, not centred. The noise they are made from has second moment exactly
            I, so that for a linear model this is GGᵀ without sampling error. Empty, (seeds, 0, 0), for d > 1024, and
            so is one_step_moment.
        eigenvalues: of the second moment, the largest first.
        one_step_moment: E xxᵀ of samples made in a single Euler step.
        straightness: S of Liu et al. 2022, mean over paths; 0 is straight. NaN for adaptive steps.
        loss: mean training loss of each chunk of steps.
    """

    index: int
    models: eqx.Module
    second_moment: Float[np.ndarray, "seeds rows rows"]
    eigenvalues: Float[np.ndarray, "seeds d"]
    one_step_moment: Float[np.ndarray, "seeds rows rows"]
    straightness: Float[np.ndarray, " seeds"]
    loss: Float[np.ndarray, "seeds chunks"]


class Run(NamedTuple):
    """The rounds 0 … J of a run: the fields of `Round`, its measurements stacked along axis 1."""

    models: tuple[eqx.Module, ...]
    second_moment: Float[np.ndarray, "seeds rounds_and_start rows rows"]
    eigenvalues: Float[np.ndarray, "seeds rounds_and_start d"]
    one_step_moment: Float[np.ndarray, "seeds rounds_and_start rows rows"]
    straightness: Float[np.ndarray, "seeds rounds_and_start"]
    loss: Float[np.ndarray, "seeds rounds_and_start chunks"]


def run(
    key: PRNGKeyArray,
    data: Real[ArrayLike, "n d"] | Real[ArrayLike, "seeds n d"],
    *,
    scheme: str,
    rounds: int,
    real_fraction: float = 0.0,
    ridge: float = 0.0,
    first_ridge: float = 0.0,
    seeds: int = 8,
    model: str = "mlp",
    options: Mapping | None = None,
    parametrisation: str = "velocity",
    training: Training | None = None,
    warm_start: bool = False,
    mixing: str = "batch",
    pairs: int = 8192,
    diffusion: float = 0.5,
    steps: integrate.Steps = 40,
    method: str = "heun",
    batch: int = 2048,
    probes: int = 2048,
    finished: Sequence[Round | None] = (),
    on_round: Callable[[Round], None] | None = None,
    history: bool = True,
) -> Run:
    """Trains the models of rounds 0 … J: round 0 on real data and independent noise, each later one as the scheme says.

    key: all that is drawn in round j comes from fold_in(key, j) and the probes' noise from the key, so a run continued
    from `finished` is the run it would have been. data: real samples x1, one table for all seeds, or one for each.
    scheme: a name in `rfcollapse.learn.pairs.SCHEMES`. rounds: J ≥ 0.
    real_fraction: α in [0, 1], of no effect on "reflow". ridge: τ ≥ 0, input noise of variance τ in training, from
    round 1 on; first_ridge: that of round 0.
    seeds: independent runs, spread over the devices. model: "linear", "mlp" or "unet"; options: of its constructor
    (width, …; shape). parametrisation: "velocity" or "denoiser". training: see `Training`; None is as `TRAINING[model]`
    says.
    warm_start: each round starts from the weights of the last, else from new ones.
    mixing: "batch" (real samples replace own ones within a batch with probability α) or "offline". pairs: own samples
    made in a round. diffusion: ε ≥ 0 of "oras".
    steps, method: of sampling, inversion and measurement, see `rfcollapse.learn.integrate`; a denoiser needs "euler".
    batch: samples integrated at once. probes: samples measured, at least d.
    finished: rounds made before, the first one included, and on_round: called with each new one; together they resume
    a run, or share round 0 between schemes. history: False keeps, and returns, only the first round and the last, so
    that memory does not grow with the rounds; of `finished` too only these two are needed, the rest may be None.

    Raises ValueError for arguments outside these ranges, and `Diverged`, which holds the rounds before it.
    """
    recipe = SCHEMES[check.one_of("scheme", scheme, tuple(SCHEMES))]
    rounds, seeds = check.integer("rounds", rounds, 0), check.integer("seeds", seeds, 1)
    check.one_of("model", model, tuple(NETS)), check.one_of("parametrisation", parametrisation, tuple(PARAMETRISATIONS))
    check.fraction("real_fraction", real_fraction)
    check.nonnegative("ridge", ridge), check.nonnegative("first_ridge", first_ridge)
    if parametrisation == "denoiser" and method != "euler":
        raise ValueError(f"method must be 'euler' for a denoiser, which has no velocity at t = 1; got {method!r}")
    if recipe.real in ("diffused", "scattered") and method == "adaptive":
        raise ValueError("method must be 'euler' or 'heun' for the reverse SDE; got 'adaptive'")
    training = Training(**TRAINING[model]) if training is None else training
    data = _per_seed(data, seeds)
    mesh = devices.mesh(seeds, training.shards)
    key_rounds, key_probe = jax.random.split(key)
    stays = on_host(seeds, data.shape[1] + check.integer("pairs", pairs, 1), data.shape[2])
    source = Source(
        data if stays else devices.spread(data, mesh),
        devices.spread(
            _unit_noise(key_probe, seeds, check.integer("probes", probes, data.shape[2]), data.shape[2]), mesh
        ),
        pairs,
        float(real_fraction),
        check.one_of("mixing", mixing, MIXING),
        float(check.nonnegative("diffusion", diffusion)),
        _sampler(steps, method, batch),
        mesh,
    )
    finished = list(finished)
    anchor = None
    for index in range(len(finished), rounds + 1):
        key_models, key_pairs, key_training = jax.random.split(jax.random.fold_in(key_rounds, index), 3)
        refresh = None
        if index == 0:
            made = first_pairs(source)
        else:
            if recipe.real == "anchored" and anchor is None:
                anchor = inverted(source, finished[0].models)
            made = make_pairs(key_pairs, recipe, source, finished[-1].models, anchor)
            if recipe.refreshed:
                refresh = partial(refreshed, made, source)
        if index > 0 and warm_start:
            models = finished[-1].models
        else:
            models = new_models(key_models, data.shape[2], seeds, model, parametrisation, **(options or {}))
        try:
            models, loss = train(
                key_training,
                models,
                made,
                ridge=ridge if index else first_ridge,
                training=training,
                round=index,
                refresh=refresh,
            )
        except Diverged as error:
            error.finished = tuple(finished)
            raise
        finished.append(Round(index, models, *_measure(source, models), loss))
        if not history and index > 1:
            finished[-2] = None
        if on_round is not None:
            on_round(finished[-1])
    return gather(finished)


def gather(finished: Sequence[Round | None]) -> Run:
    """The rounds, those left out aside, as one `Run`."""
    _, models, *measured = zip(*(one for one in finished if one is not None))
    return Run(models, *(np.stack(entry, axis=1) for entry in measured))


def new_models(
    key: PRNGKeyArray, dimension: int, seeds: int, model: str, parametrisation: str, **options
) -> eqx.Module:
    """Untrained models with a leading axis of seeds, see `rfcollapse.learn.velocity`."""

    def one_seed(key):
        return PARAMETRISATIONS[parametrisation](NETS[model](dimension, key=key, **options))

    return eqx.filter_vmap(one_seed)(jax.random.split(key, seeds))


def _measure(source, models):
    second, one_step, bend = (devices.fetch(entry) for entry in on_each_seed(_measured, source, models, source.probe))
    eigenvalues, kept = np.linalg.eigvalsh(second)[:, ::-1], slice(None if second.shape[-1] <= WIDEST else 0)
    return second[:, kept, kept], eigenvalues, one_step[:, kept, kept], bend


def _measured(sampler, model, noise):
    def moment(samples):
        samples = samples.astype(jnp.float64)
        return samples.T @ samples / samples.shape[0]

    def walked(sample):
        path = integrate.paths(model, sample[None], **sampler.options)
        return path[-1, 0], straightness(path, integrate.time_grid(sampler.options["steps"], jnp.float64))[0]

    one_step = moment(integrate.generate(model, noise, steps=1, method="euler", batch=sampler.batch))
    if sampler.method == "adaptive":
        samples = integrate.generate(model, noise, batch=sampler.batch, **sampler.options)
        return moment(samples), one_step, jnp.asarray(jnp.nan)
    samples, bend = jax.lax.map(walked, noise, batch_size=sampler.batch)
    return moment(samples), one_step, bend.mean()


def _unit_noise(key, seeds, count, dimension):
    """Noise with second moment exactly I: √n times an orthonormal frame, uniformly distributed among these."""
    noise = jax.random.normal(key, (seeds, count, dimension), dtype=jnp.float64)
    frame, triangle = jnp.linalg.qr(noise)
    signs = jnp.sign(jnp.diagonal(triangle, axis1=1, axis2=2))
    return (count**0.5 * frame * signs[:, None, :]).astype(jnp.float32)


def _sampler(steps, method, batch):
    check.one_of("method", method, integrate.METHODS)
    times = integrate.time_grid(steps, jnp.float64)  # refuses what is neither a number of steps nor a grid
    steps = int(steps) if np.ndim(steps) == 0 else tuple(times.tolist())
    return Sampler(steps, method, check.integer("batch", batch, 1))


def _per_seed(data, seeds):
    data = np.asarray(check.real("data", data), np.float32)
    if data.ndim == 2:
        check.samples("data", data)
        data = np.broadcast_to(data, (seeds, *data.shape))
    if data.ndim != 3 or data.shape[0] != seeds or 0 in data.shape:
        raise ValueError(f"data must have shape (n, d), or (seeds, n, d) with {seeds} seeds; got {data.shape}")
    return data
