"""The pairs of noise and data that a round is trained on, by the kinds of noise that a scheme joins to its data.

Every pool holds n own samples and then m real ones, whatever the scheme, so that all rounds of all schemes have the
same shapes; those that a scheme does without have weight 0.
"""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Float32, PRNGKeyArray

from ..schemes import Scheme
from . import devices, integrate

MIXING = ("batch", "offline")
ON_DEVICES = 2**32  # bytes of noise and data, of all seeds; a larger pool stays in the memory of the host
BLOCK = 8192  # rows of such a pool that are on the devices at a time

Rows = Float32[Array, "seeds rows d"] | Float32[np.ndarray, "seeds rows d"]


class Pairs(NamedTuple):
    """Noise and data to be joined by straight lines: drawn with replacement, sample by sample, in proportion to weight.

    Attributes:
        noise: x0.
        data: x1.
        weight: ≥ 0, relative probability.
        redrawn: where True, x0 is a new draw from N(0, I) each time, independent of x1, and `noise` is not used.
    """

    noise: Rows
    data: Rows
    weight: Float[Array, "seeds pairs"]
    redrawn: Bool[Array, "seeds pairs"]


class Sampler(NamedTuple):
    """How a model is sampled and inverted, see `rfcollapse.learn.integrate`; hashable, for it decides the program.

    Attributes:
        steps: N, or the tuple of N + 1 times.
        method: "euler", "heun" or "adaptive".
        batch: samples integrated at once.
    """

    steps: int | tuple[float, ...]
    method: str
    batch: int

    @property
    def options(self) -> dict:
        return {
            "steps": jnp.asarray(self.steps) if isinstance(self.steps, tuple) else self.steps,
            "method": self.method,
        }


class Place(NamedTuple):
    """How and where models are run: all that `on_each_seed` asks of a `Source`."""

    sampler: Sampler
    mesh: Mesh


class Source(NamedTuple):
    """What pairs are made from, the same in every round.

    Attributes:
        data: the real samples.
        probe: noise on which the marginals of a model are measured ("diffused").
        count: n, own samples made in a round.
        real_fraction: α in [0, 1].
        mixing: "batch", each sample of a batch is real with probability α; or "offline", a set of n pairs is put
            together once a round, round(αn) of them real.
        diffusion: ε ≥ 0 of the reverse SDE.
        sampler: see `Sampler`.
        mesh: of the seeds.

    Noise and data lie on the devices or, where there are more than `ON_DEVICES` bytes of them, on the host as NumPy
    arrays; `rfcollapse.learn.train` then fetches the pairs of one chunk of steps at a time.
    """

    data: Rows
    probe: Float32[Array, "seeds probes d"]
    count: int
    real_fraction: float
    mixing: str
    diffusion: float
    sampler: Sampler
    mesh: Mesh

    @property
    def on_host(self) -> bool:
        return isinstance(self.data, np.ndarray)


def on_host(seeds: int, pairs: int, d: int) -> bool:
    """Whether a pool of so many pairs stays on the host."""
    return 2 * 4 * seeds * pairs * d > ON_DEVICES


def first_pairs(source: Source) -> Pairs:
    """Real data with noise drawn anew each time: the independent pairs of the first model."""
    seeds, real, _ = source.data.shape
    blank = _blank(source, source.count)
    weight = jnp.concatenate([jnp.zeros((seeds, source.count)), jnp.ones((seeds, real))], axis=1)
    return _joined(blank, blank, _blank(source, real), source.data, weight, True, True)


def make_pairs(key: PRNGKeyArray, scheme: Scheme, source: Source, models: eqx.Module, anchor: Rows | None) -> Pairs:
    """The pairs that the current models make. anchor: the noise of "anchored" pairs, from `inverted`."""
    seeds, real, _ = source.data.shape
    key_own, key_sde, key_weight = jax.random.split(key, 3)
    noise = _noise(key_own, source)
    own = _on_rows(_generate, source, models, noise)
    if scheme.real == "inverted":
        real_noise = inverted(source, models)
    elif scheme.real in ("diffused", "scattered"):
        strength = jnp.full(seeds, source.diffusion)
        reverse = _diffuse if scheme.real == "diffused" else _scatter
        real_noise = _on_rows(reverse, source, models, source.data, source.probe, strength, key=key_sde)
    else:
        real_noise = anchor if scheme.real == "anchored" else _blank(source, real)
    weight = _weight(key_weight, source, 0.0 if scheme.real is None else source.real_fraction)
    return _joined(noise, own, real_noise, source.data, weight, scheme.own == "redrawn", scheme.real == "redrawn")


def refreshed(pairs: Pairs, source: Source, models: eqx.Module) -> Pairs:
    """The same pairs, the real data inverted by other models."""
    real_noise = inverted(source, models)
    return pairs._replace(noise=_numbers(source).concatenate([pairs.noise[:, : source.count], real_noise], axis=1))


def inverted(source: Source, models: eqx.Module) -> Rows:
    """The noise from which the models generate the real data."""
    return _on_rows(_invert, source, models, source.data)


def _on_rows(function, source, models, rows, *others, key=None):
    """`on_each_seed`; for rows on the host in blocks, each with its own key."""
    blocks = []
    for start in range(0, rows.shape[1], BLOCK if source.on_host else rows.shape[1]):
        drawn = () if key is None else (jax.random.split(jax.random.fold_in(key, start) if start else key, len(rows)),)
        block = rows[:, start : start + BLOCK] if source.on_host else rows
        done = on_each_seed(function, source, models, block, *others, *drawn)
        blocks.append(devices.fetch(done) if source.on_host else done)
    return np.concatenate(blocks, axis=1) if source.on_host else blocks[0]


def _noise(key, source):
    seeds, _, d = source.data.shape
    if not source.on_host:
        return devices.spread(jax.random.normal(key, (seeds, source.count, d), dtype=jnp.float32), source.mesh)
    noise = np.empty((seeds, source.count, d), np.float32)
    for start in range(0, source.count, BLOCK):
        block = noise[:, start : start + BLOCK]
        block[...] = jax.random.normal(jax.random.fold_in(key, start), block.shape, dtype=jnp.float32)
    return noise


def _blank(source, count):
    seeds, _, d = source.data.shape
    blank = _numbers(source).zeros((seeds, count, d), np.float32)
    return blank if source.on_host else devices.spread(blank, source.mesh)


def _numbers(source):
    return np if source.on_host else jnp


def on_each_seed(function, source: Source | Place, models: eqx.Module, *arrays):
    """function(sampler, model, *arrays) of every seed; compiled once for each function, sampler and set of shapes."""
    params, static = eqx.partition(models, eqx.is_array)
    params, arrays = devices.spread((params, arrays), source.mesh)
    return _on_each_seed(params, *arrays, function=function, static=static, sampler=source.sampler, mesh=source.mesh)


@partial(jax.jit, static_argnames=("function", "static", "sampler", "mesh"))
def _on_each_seed(params, *arrays, function, static, sampler, mesh):
    def one_seed(params, *arrays):
        return function(sampler, eqx.combine(params, static), *arrays)

    return devices.each(one_seed, mesh)(params, *arrays)


def _generate(sampler, model, noise):
    return integrate.generate(model, noise, batch=sampler.batch, **sampler.options)


def _invert(sampler, model, data):
    return integrate.invert(model, data, batch=sampler.batch, **sampler.options)


def _diffuse(sampler, model, data, probe, diffusion, key):
    marginals = integrate.marginals(model, probe, **sampler.options)
    return integrate.reverse_sde(
        key, model, data, marginals, diffusion=diffusion, batch=sampler.batch, **sampler.options
    )


def _scatter(sampler, model, data, probe, diffusion, key):
    return integrate.reverse_sde(key, model, data, None, diffusion=diffusion, batch=sampler.batch, **sampler.options)


def _weight(key, source, fraction):
    """The pool's weights: probability α shared among the real, or how often each is in the set put together."""
    seeds, real, _ = source.data.shape
    if source.mixing == "batch":
        own = jnp.full((seeds, source.count), (1 - fraction) / source.count, dtype=jnp.float64)
        return jnp.concatenate([own, jnp.full((seeds, real), fraction / real, dtype=jnp.float64)], axis=1)
    taken = round(fraction * source.count)
    own = jnp.broadcast_to(jnp.arange(source.count) < source.count - taken, (seeds, source.count))
    order = jax.vmap(lambda key: jax.random.permutation(key, real))(jax.random.split(key, seeds))
    times = jnp.where(order < taken % real, taken // real + 1, taken // real)
    return jnp.concatenate([own.astype(jnp.float64), times.astype(jnp.float64)], axis=1)


def _joined(noise, own, real_noise, data, weight, own_redrawn, real_redrawn):
    seeds, count, _ = own.shape
    redrawn = jnp.repeat(jnp.array([own_redrawn, real_redrawn]), jnp.array([count, data.shape[1]]))
    numbers = np if isinstance(data, np.ndarray) else jnp
    return Pairs(
        numbers.concatenate([noise, real_noise], axis=1),
        numbers.concatenate([own, data], axis=1),
        weight,
        jnp.broadcast_to(redrawn, (seeds, len(redrawn))),
    )
