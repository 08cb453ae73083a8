"""Reflow and its relatives, round by round: pairs from the models there are, a new model from the pairs.

Every array has a leading axis of seeds, so that whatever is measured comes with an error.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
from . import devices, integrate
from .pairs import PairSource, first_pairs, inverted, make_pairs, on_each_seed, on_host, refreshed
from .plan import Plan
from .train import Diverged, train
from .velocity import NETS, PARAMETRISATIONS

WIDEST = 1024  # d, above which a round keeps no moments: they would take 16 d² bytes of each seed


class ReflowRound(NamedTuple):
    """The models of one round, and what was measured on samples they generate from the same noise in every round."""

    index: int
    """0 for the first model, trained on real data and independent noise."""
    models: eqx.Module
    """One per seed, as one module whose arrays have a leading axis of seeds."""
    second_moment: Float[np.ndarray, "seeds rows rows"]
    """E xxᵀ of generated samples, not centred. The noise they are made from has second moment exactly I, so that for a
    linear model this is GGᵀ without sampling error. Empty, (seeds, 0, 0), for d > 1024, as is one_step_moment."""
    eigenvalues: Float[np.ndarray, "seeds d"]
    """Of the second moment, the largest first."""
    one_step_moment: Float[np.ndarray, "seeds rows rows"]
    """E xxᵀ of samples made in a single Euler step."""
    straightness: Float[np.ndarray, " seeds"]
    """S of Liu et al. 2022, mean over paths; 0 is straight. NaN for adaptive steps."""
    loss: Float[np.ndarray, "seeds chunks"]
    """Mean training loss of each chunk of steps."""


class ReflowRun(NamedTuple):
    """The rounds 0 … J of a run: the fields of `ReflowRound`, its measurements stacked along axis 1."""

    models: tuple[eqx.Module, ...]
    second_moment: Float[np.ndarray, "seeds rounds_and_start rows rows"]
    eigenvalues: Float[np.ndarray, "seeds rounds_and_start d"]
    one_step_moment: Float[np.ndarray, "seeds rounds_and_start rows rows"]
    straightness: Float[np.ndarray, "seeds rounds_and_start"]
    loss: Float[np.ndarray, "seeds rounds_and_start chunks"]


def run(
    key: PRNGKeyArray,
    data: Real[ArrayLike, "n d"] | Real[ArrayLike, "seeds n d"],
    plan: Plan | None = None,
    *,
    finished: Sequence[ReflowRound] = (),
    on_round: Callable[[ReflowRound], None] | None = None,
    **settings,
) -> ReflowRun:
    """The models of rounds 0 … J: round 0 on real data and independent noise, each later one as the scheme says.

    Args:
        key: all that is drawn in round j comes from fold_in(key, j) and the probes' noise from the key, so a run
            continued from `finished` is the run it would have been.
        data: real samples x1, one table for all seeds, or one for each.
        plan: see `rfcollapse.learn.plan.Plan`.
        finished: rounds made before, the first one included: they resume a run, or share round 0 between schemes.
        on_round: called with each new round.
        settings: fields of the plan that are not as it says; without a plan at least scheme and rounds.

    Raises:
        Diverged: training did; it holds the rounds before.

    Example:
        >>> import jax
        >>> from rfcollapse.learn import plan, reflow
        >>> points = jax.random.normal(jax.random.key(0), (100, 2))
        >>> quick = plan.Training.usual("linear", steps=20)
        >>> run = reflow.run(
        ...     jax.random.key(1), points, scheme="ra", rounds=1, real_fraction=0.3, seeds=2, model="linear",
        ...     training=quick, pairs=100, steps=3,
        ... )
        >>> run.eigenvalues.shape  # seeds, rounds + 1, d
        (2, 2, 2)
    """
    plan = Plan(**settings) if plan is None else replace(plan, **settings)
    finished = list(finished)
    try:
        for latest in each_round(key, data, plan, [earlier.models for earlier in finished]):
            finished.append(latest)
            if on_round is not None:
                on_round(latest)
    except Diverged as error:
        error.finished = tuple(finished)
        raise
    _, models, *measured = zip(*finished)
    return ReflowRun(models, *(np.stack(values, axis=1) for values in measured))


def each_round(
    key: PRNGKeyArray,
    data: Real[ArrayLike, "n d"] | Real[ArrayLike, "seeds n d"],
    plan: Plan,
    models: Sequence[eqx.Module | None] = (),
) -> Iterator[ReflowRound]:
    """The rounds of `run` one after another, of which it keeps none, so that memory does not grow with them.

    Args:
        key, data, plan: see `run`.
        models: of the rounds made before, of which only the first and the last are needed, the rest may be None.
    """
    data = per_seed(data, plan.seeds)
    mesh = devices.mesh(plan.seeds, plan.training.shards)
    key_rounds, key_probe = jax.random.split(key)
    probes, d = check.integer("probes", plan.probes, data.shape[2]), data.shape[2]
    stays = on_host(plan.seeds, data.shape[1] + plan.pairs, d)
    probe = devices.spread(_unit_noise(key_probe, plan.seeds, probes, d), mesh)
    source = PairSource(plan, data if stays else devices.spread(data, mesh), probe, mesh)
    first, current = (models[0], models[-1]) if models else (None, None)
    anchor = None
    for index in range(len(models), plan.rounds + 1):
        key_models, key_pairs, key_training = jax.random.split(jax.random.fold_in(key_rounds, index), 3)
        if index == 0:
            pairs = first_pairs(source)
        else:
            if plan.recipe.real == "anchored" and anchor is None:
                anchor = inverted(source, first)
            pairs = make_pairs(key_pairs, source, current, anchor)
        if index == 0 or not plan.warm_start:
            current = new_models(key_models, d, plan.seeds, plan.model, plan.parametrisation, **plan.options)
        current, loss = train(
            key_training,
            current,
            pairs,
            ridge=plan.ridge if index else plan.first_ridge,
            training=plan.training,
            round=index,
            refresh=partial(refreshed, pairs, source) if plan.recipe.refreshed and index else None,
        )
        first = current if index == 0 else first
        yield ReflowRound(index, current, *_measure(source, current), loss)


def new_models(
    key: PRNGKeyArray, dimension: int, seeds: int, model: str, parametrisation: str, **options
) -> eqx.Module:
    """Untrained models with a leading axis of seeds, see `rfcollapse.learn.velocity`."""

    def one_seed(key):
        return PARAMETRISATIONS[parametrisation](NETS[model](dimension, key=key, **options))

    return eqx.filter_vmap(one_seed)(jax.random.split(key, seeds))


@check.in_float64
def _measure(source, models):
    measured = on_each_seed(_measured, source.plan.integrator, source.mesh, models, source.probe)
    second, one_step, bend = map(devices.fetch, measured)
    eigenvalues, kept = np.linalg.eigvalsh(second)[:, ::-1], slice(None if second.shape[-1] <= WIDEST else 0)
    return second[:, kept, kept], eigenvalues, one_step[:, kept, kept], bend


def _measured(integrator, model, noise):
    def moment(samples):
        samples = samples.astype(jnp.float64)
        return samples.T @ samples / samples.shape[0]

    def walked(sample):
        path = integrate.paths(model, sample[None], **integrator.options)
        return path[-1, 0], straightness(path, integrate.time_grid(integrator.options["steps"], jnp.float64))[0]

    one_step = moment(integrator._replace(steps=1, method="euler").generate(model, noise))
    if integrator.method == "adaptive":
        return moment(integrator.generate(model, noise)), one_step, jnp.asarray(jnp.nan)
    walk = partial(jax.lax.map, walked, batch_size=integrator.at_once)
    samples, bend = integrator.on_rows(walk, noise)
    return moment(samples), one_step, bend.mean()


@check.in_float64
def _unit_noise(key, seeds, count, dimension):
    """Noise with second moment exactly I: √n times an orthonormal frame, uniformly distributed among these."""
    noise = jax.random.normal(key, (seeds, count, dimension), dtype=jnp.float64)
    frame, triangle = jnp.linalg.qr(noise)
    signs = jnp.sign(jnp.diagonal(triangle, axis1=1, axis2=2))
    return (count**0.5 * frame * signs[:, None, :]).astype(jnp.float32)


def per_seed(data, seeds, name="data"):
    """Samples as float32, (seeds, n, d), from one table for all seeds or one for each."""
    data = np.asarray(check.real(name, data), np.float32)
    if data.ndim == 2:
        check.samples(name, data)
        data = np.broadcast_to(data, (seeds, *data.shape))
    if data.ndim != 3 or data.shape[0] != seeds or 0 in data.shape:
        raise ValueError(f"{name} must have shape (n, d), or (seeds, n, d) with {seeds} seeds; got {data.shape}")
    return data
