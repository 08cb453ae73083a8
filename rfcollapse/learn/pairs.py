"""The pairs of noise and data that a round is trained on, by the kinds of noise that a scheme joins to its data.

Every pool holds n own samples and then m real ones, whatever the scheme, so that all rounds of all schemes have the
same shapes; those that a scheme does without have weight 0.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Float32, PRNGKeyArray

from .. import check
from ..schemes import STOCHASTIC
from . import density, devices, integrate
from .integrate import Integrator
from .plan import Plan

ON_DEVICES = 2**32  # bytes of noise and data, of all seeds; a larger pool stays in the memory of the host
BLOCK = 8192  # rows of such a pool that are on the devices at a time

Rows = Float32[Array, "seeds rows d"] | Float32[np.ndarray, "seeds rows d"]


class Pairs(NamedTuple):
    """Noise and data, joined by straight lines, drawn with replacement, sample by sample, in proportion to weight."""

    noise: Rows
    """x0."""
    data: Rows
    """x1."""
    weight: Float[Array, "seeds pairs"]
    """≥ 0, relative probability."""
    redrawn: Bool[Array, "seeds pairs"]
    """Where True, x0 is a new draw from N(0, I) each time, independent of x1, and `noise` is not used."""


class PairSource(NamedTuple):
    """What pairs are made from, the same in every round.

    Noise and data lie on the devices or, where there are more than `ON_DEVICES` bytes of them, on the host as NumPy
    arrays; `rfcollapse.learn.train` then fetches the pairs of one chunk of steps at a time.
    """

    plan: Plan
    real: Rows
    """Real samples."""
    probe: Float32[Array, "seeds probes d"]
    """Noise on which the marginals of a model are measured ("diffused")."""
    mesh: Mesh
    """Of the seeds."""

    @property
    def on_host(self) -> bool:
        return isinstance(self.real, np.ndarray)


def on_host(seeds: int, pairs: int, d: int) -> bool:
    """Whether a pool of so many pairs stays on the host."""
    return 2 * 4 * seeds * pairs * d > ON_DEVICES


def first_pairs(source: PairSource) -> Pairs:
    """Real data with noise drawn anew each time: the independent pairs of the first model."""
    seeds, count, _ = source.real.shape
    own = _blank(source, source.plan.pairs)
    weight = np.concatenate([np.zeros(own.shape[:2]), np.ones((seeds, count))], axis=1)
    return _joined(source, own, own, _blank(source, count), weight, (True, True))


@check.in_float64
def make_pairs(key: PRNGKeyArray, source: PairSource, models: eqx.Module, anchor: Rows | None) -> Pairs:
    """The pairs that the current models make.

    Args:
        key: draws noise, and which samples an offline set holds.
        source: see `PairSource`.
        models: the current ones.
        anchor: the noise of "anchored" pairs, from `inverted`.
    """
    plan, real = source.plan, source.real
    kind = plan.recipe.real
    key_own, key_sde, key_weight = jax.random.split(key, 3)
    noise = _noise(key_own, source)
    own = _on_rows(Integrator.generate, source, models, noise)
    if kind == "inverted":
        real_noise = inverted(source, models)
    elif kind in STOCHASTIC:
        strength = jnp.full(plan.seeds, plan.diffusion)
        real_noise = _on_rows(_REVERSED[kind], source, models, real, source.probe, strength, key=key_sde)
    else:
        real_noise = anchor if kind == "anchored" else _blank(source, real.shape[1])
    weight = _weight(key_weight, source)
    return _joined(source, noise, own, real_noise, weight, (plan.recipe.own == "redrawn", kind == "redrawn"))


def refreshed(pairs: Pairs, source: PairSource, models: eqx.Module) -> Pairs:
    """The same pairs, the real data inverted by other models."""
    own = pairs.noise[:, : source.plan.pairs]
    return pairs._replace(noise=_numbers(source).concatenate([own, inverted(source, models)], axis=1))


@check.in_float64
def inverted(source: PairSource, models: eqx.Module) -> Rows:
    """The noise from which the models generate the real data."""
    return _on_rows(Integrator.invert, source, models, source.real)


def _on_rows(function, source, models, rows, *others, key=None):
    """`on_each_seed`; for rows on the host in blocks, each with its own key."""
    blocks = []
    for start in range(0, rows.shape[1], BLOCK if source.on_host else rows.shape[1]):
        drawn = () if key is None else (jax.random.split(jax.random.fold_in(key, start) if start else key, len(rows)),)
        block = rows[:, start : start + BLOCK] if source.on_host else rows
        done = on_each_seed(function, source.plan.integrator, source.mesh, models, block, *others, *drawn)
        blocks.append(devices.fetch(done) if source.on_host else done)
    return np.concatenate(blocks, axis=1) if source.on_host else blocks[0]


def _noise(key, source):
    (seeds, _, d), count = source.real.shape, source.plan.pairs
    if not source.on_host:
        return devices.spread(jax.random.normal(key, (seeds, count, d), dtype=jnp.float32), source.mesh)
    noise = np.empty((seeds, count, d), np.float32)
    for start in range(0, count, BLOCK):
        block = noise[:, start : start + BLOCK]
        block[...] = jax.random.normal(jax.random.fold_in(key, start), block.shape, dtype=jnp.float32)
    return noise


def _blank(source, count):
    seeds, _, d = source.real.shape
    blank = _numbers(source).zeros((seeds, count, d), np.float32)
    return blank if source.on_host else devices.spread(blank, source.mesh)


def _numbers(source):
    return np if source.on_host else jnp


def on_each_seed(function: Callable, integrator: Integrator, mesh: Mesh, models: eqx.Module, *arrays):
    """function(integrator, model, *arrays) of every seed; compiled once for each function, integrator and shapes."""
    params, static = eqx.partition(models, eqx.is_array)
    params, arrays = devices.spread((params, arrays), mesh)
    return _on_each_seed(params, *arrays, function=function, static=static, integrator=integrator, mesh=mesh)


@partial(jax.jit, static_argnames=("function", "static", "integrator", "mesh"))
def _on_each_seed(params, *arrays, function, static, integrator, mesh):
    def one_seed(params, *arrays):
        return function(integrator, eqx.combine(params, static), *arrays)

    return devices.each(one_seed, mesh)(params, *arrays)


def _diffuse(integrator, model, data, probe, diffusion, key):
    marginals = integrate.marginals(model, probe, **integrator.options)
    return _reversed(integrate.reverse_sde, key, integrator, diffusion, model, data, marginals)


def _score(integrator, model, data, probe, diffusion, key):
    return _reversed(density.reverse_sde, key, integrator, diffusion, model, data)


def _scatter(integrator, model, data, probe, diffusion, key):
    return _reversed(integrate.reverse_sde, key, integrator, diffusion, model, data, None)


def _reversed(reverse, key, integrator, diffusion, model, data, *marginals):
    def backward(keys, rows):
        settings = dict(diffusion=diffusion, at_once=integrator.at_once, **integrator.options)
        return reverse(keys, model, rows, *marginals, **settings)

    return integrator.on_rows(backward, jax.random.split(key, len(data)), data)


_REVERSED = {"diffused": _diffuse, "scored": _score, "scattered": _scatter}  # by kind, `schemes.STOCHASTIC`


def _weight(key, source):
    """The pool's weights: probability α shared among the real, or how often each is in the set put together."""
    seeds, real, _ = source.real.shape
    plan, count = source.plan, source.plan.pairs
    fraction = 0.0 if plan.recipe.real is None else plan.real_fraction
    if plan.mixing == "batch":
        own = jnp.full((seeds, count), (1 - fraction) / count, dtype=jnp.float64)
        return jnp.concatenate([own, jnp.full((seeds, real), fraction / real, dtype=jnp.float64)], axis=1)
    taken = round(fraction * count)
    own = jnp.broadcast_to(jnp.arange(count) < count - taken, (seeds, count))
    order = jax.vmap(lambda key: jax.random.permutation(key, real))(jax.random.split(key, seeds))
    times = jnp.where(order < taken % real, taken // real + 1, taken // real)
    return jnp.concatenate([own.astype(jnp.float64), times.astype(jnp.float64)], axis=1)


def _joined(source, noise, own, real_noise, weight, redrawn):
    """The pool: own pairs, then real ones; redrawn: whether the noise of either is."""
    numbers, sizes = _numbers(source), jnp.array([own.shape[1], source.real.shape[1]])
    return Pairs(
        numbers.concatenate([noise, real_noise], axis=1),
        numbers.concatenate([own, source.real], axis=1),
        weight,
        jnp.broadcast_to(jnp.repeat(jnp.array(redrawn), sizes), weight.shape),
    )
