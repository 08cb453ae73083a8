"""The pairs of noise and data that a round is trained on: `SCHEMES` is all there is to the difference between schemes.

Every pool holds n own samples and then m real ones, whatever the scheme, so that all rounds of all schemes have the
same shapes; those that a scheme does without have weight 0.
"""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Float32, PRNGKeyArray

from . import devices, integrate

MIXING = ("batch", "offline")


class Pairs(NamedTuple):
    """Noise and data to be joined by straight lines: drawn with replacement, sample by sample, in proportion to weight.

    Attributes:
        noise: x0.
        data: x1.
        weight: ≥ 0, relative probability.
        redrawn: where True, x0 is a new draw from N(0, I) each time, independent of x1, and `noise` is not used.
    """

    noise: Float32[Array, "seeds pairs d"]
    data: Float32[Array, "seeds pairs d"]
    weight: Float[Array, "seeds pairs"]
    redrawn: Bool[Array, "seeds pairs"]


class Scheme(NamedTuple):
    """Which noise x0 belongs to which sample x1.

    Attributes:
        own: beside the current model's own samples: "kept", the noise that each was made from, or "redrawn".
        real: beside real data: "inverted" by the current model, "anchored" (inverted once, by the first model),
            "diffused" by the current model's reverse SDE, "scattered" by the same without its score, or "redrawn"; None
            takes no real data.
        refreshed: real data inverted again while training, by the model in training.
    """

    own: str
    real: str | None
    refreshed: bool = False


SCHEMES = {
    "reflow": Scheme("kept", None),
    "ra": Scheme("kept", "inverted"),
    "anchored": Scheme("kept", "anchored"),
    "ora": Scheme("kept", "inverted", refreshed=True),
    "oras": Scheme("kept", "diffused"),
    "naive_oras": Scheme("kept", "scattered"),
    "fresh": Scheme("kept", "redrawn"),
    "self_consuming": Scheme("redrawn", "redrawn"),
}


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
    """

    data: Float32[Array, "seeds m d"]
    probe: Float32[Array, "seeds probes d"]
    count: int
    real_fraction: float
    mixing: str
    diffusion: float
    sampler: Sampler
    mesh: Mesh


def first_pairs(source: Source) -> Pairs:
    """Real data with noise drawn anew each time: the independent pairs of the first model."""
    seeds, real, d = source.data.shape
    blank = jnp.zeros((seeds, source.count, d), dtype=jnp.float32)
    weight = jnp.concatenate([jnp.zeros((seeds, source.count)), jnp.ones((seeds, real))], axis=1)
    return _joined(blank, blank, jnp.zeros_like(source.data), source.data, weight, True, True)


def make_pairs(
    key: PRNGKeyArray, scheme: Scheme, source: Source, models: eqx.Module, anchor: Float32[Array, "seeds m d"] | None
) -> Pairs:
    """The pairs that the current models make. anchor: the noise of "anchored" pairs, from `inverted`."""
    seeds, _, d = source.data.shape
    key_own, key_sde, key_weight = jax.random.split(key, 3)
    noise = jax.random.normal(key_own, (seeds, source.count, d), dtype=jnp.float32)
    own = on_each_seed(_generate, source, models, noise)
    if scheme.real == "inverted":
        real_noise = inverted(source, models)
    elif scheme.real in ("diffused", "scattered"):
        keys = jax.random.split(key_sde, seeds)
        strength = jnp.full(seeds, source.diffusion)
        reverse = _diffuse if scheme.real == "diffused" else _scatter
        real_noise = on_each_seed(reverse, source, models, source.data, source.probe, keys, strength)
    else:
        real_noise = anchor if scheme.real == "anchored" else jnp.zeros_like(source.data)
    weight = _weight(key_weight, source, 0.0 if scheme.real is None else source.real_fraction)
    return _joined(noise, own, real_noise, source.data, weight, scheme.own == "redrawn", scheme.real == "redrawn")


def refreshed(pairs: Pairs, source: Source, models: eqx.Module) -> Pairs:
    """The same pairs, the real data inverted by other models."""
    return pairs._replace(noise=pairs.noise.at[:, source.count :].set(inverted(source, models)))


def inverted(source: Source, models: eqx.Module) -> Float32[Array, "seeds m d"]:
    """The noise from which the models generate the real data."""
    return on_each_seed(_invert, source, models, source.data)


def on_each_seed(function, source: Source, models: eqx.Module, *arrays):
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


def _diffuse(sampler, model, data, probe, key, diffusion):
    marginals = integrate.marginals(model, probe, **sampler.options)
    return integrate.reverse_sde(
        key, model, data, marginals, diffusion=diffusion, batch=sampler.batch, **sampler.options
    )


def _scatter(sampler, model, data, probe, key, diffusion):
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
    return Pairs(
        jnp.concatenate([noise, real_noise], axis=1),
        jnp.concatenate([own, data], axis=1),
        weight,
        jnp.broadcast_to(redrawn, (seeds, len(redrawn))),
    )
