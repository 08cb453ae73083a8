"""Where a mechanism leads: which variances are kept with a given fraction of real data, which fraction keeps how much.

What no closed form gives (cycles, most trajectories) is computed from the mechanism's one round. Mechanisms are
hashable by value, so that equal ones share what is compiled.
"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from .. import check
from ..check import Count, Fraction, Positive
from ..theory.bisection import bisected

DEAD = 1e-30  # of the real variance, taken as nothing
SCAN = 64  # points between the real variance and what is dead
LEAST_FRACTION = 1e-9


@check.in_float64
def share(variance: Real[ArrayLike, "*#shape"], real: Real[ArrayLike, "*#shape"]) -> Float[Array, "*shape"]:
    """min(λ/λ0, λ0/λ): the part of a variance that is kept; one that has grown has lost as much as its inverse.

    Args:
        variance: λ ≥ 0 (∞ allowed).
        real: λ0 > 0.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> mechanisms.share([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]).tolist()
        [0.5, 1.0, 0.5]
    """
    ratio = jnp.asarray(variance) / jnp.asarray(real)
    return jnp.minimum(ratio, 1 / jnp.maximum(ratio, 1.0))


@check.in_float64
def total_share(variance: Real[ArrayLike, "*#batch d"], real: Real[ArrayLike, "*#batch d"]) -> Float[Array, "*batch"]:
    """Σ λ0 share / Σ λ0 over the last axis: where nothing grows, the part of the total variance that is kept.

    Args:
        variance: λ ≥ 0, (…, d).
        real: λ0 > 0.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(mechanisms.total_share([1.0, 1.0], [3.0, 1.0]))
        0.5
    """
    real = jnp.asarray(real)
    return (real * share(variance, real)).sum(axis=-1) / real.sum(axis=-1)


@check.in_float64
def trajectory(
    mechanism, real: Real[ArrayLike, "*shape"], fractions: Real[ArrayLike, " rounds"]
) -> Float[Array, "rounds_and_start *shape"]:
    """λ_0 … λ_J from λ_0 = λ0, with the fraction α_j of real data in round j = 0 … J − 1.

    Args:
        mechanism: a `Mechanism`.
        real: λ0 > 0.
        fractions: any J numbers in [0, 1]; α_0 matters not, all data being real then.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> mechanisms.trajectory(mechanisms.Rate(0.05), 4.0, [0.1, 0.1]).round(3).tolist()
        [4.0, 3.805, 3.638]
    """
    return _trajectory(mechanism, check.positive("real", real), check.fraction("fractions", fractions))


@functools.partial(jax.jit, static_argnums=0)
def _trajectory(mechanism, real, fractions):
    def one_round(variance, fraction):
        variance = mechanism.one_round(variance, fraction, real)
        return variance, variance

    return jnp.concatenate([real[None], jax.lax.scan(one_round, real, fractions)[1]])


@check.arguments
def retained(mechanism, real: Positive, fraction: Fraction, *, every: Count = 1) -> Float[Array, "*shape"]:
    """λ*, the variance kept for ever with a fraction α of real data in every K-th round: as it is just before that.

    By the mechanism's closed form for K = 1, if it has one; else the first fixed point of the K rounds that is met on
    the way from λ0, on a grid of 64 points over 30 decades, refined by bisection. Below 10⁻³⁰ of λ0 counts as dead.

    Args:
        mechanism: a `Mechanism`.
        real: λ0 > 0.
        fraction: α in [0, 1].
        every: K ≥ 1.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(f"{mechanisms.retained(mechanisms.Dae(1.0), 16.0, 0.1):.3f}")  # 4/9 of 16
        7.111
    """
    if every == 1 and mechanism.limit is not None:
        return mechanism.limit(real, fraction)
    return _settled(mechanism, every, real, fraction)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _settled(mechanism, every, real, fraction):
    def cycle(variance):
        variance = mechanism.one_round(variance, fraction, real)
        alone = lambda _, variance: mechanism.one_round(variance, jnp.zeros_like(fraction), real)  # noqa: E731
        return jax.lax.fori_loop(1, every, alone, variance)

    falls = cycle(real) <= real

    def passed(variance):
        return jnp.where(falls, cycle(variance) >= variance, cycle(variance) <= variance)

    far = jnp.where(falls, jnp.maximum(cycle(DEAD * real), DEAD * real), real / DEAD)

    def look(i, bracket):
        near, end, found = bracket
        point = jnp.where(i == SCAN, far, real * (far / real) ** (i / SCAN))
        hit = passed(point) & ~found
        return jnp.where(found | hit, near, point), jnp.where(hit, point, end), found | hit

    near, end, _ = jax.lax.fori_loop(1, SCAN + 1, look, (real, far, jnp.zeros_like(falls)))
    return bisected(lambda variance: ~passed(variance), near, end)


@check.in_float64
def required_fraction(
    mechanism, real: Real[ArrayLike, "*batch d"], retention: Real[ArrayLike, ""], *, every: int = 1, total: bool = True
) -> Float[Array, "..."]:
    """min {α : share kept ≥ R}, for the total of the spectrum or for each direction on its own, by bisection in ln α.

    Taken to grow with α. ∞ where even α = 1 does not do, as a model may lose more than 1 − R in its one round; 0 where
    nothing is needed, and no answer between 0 and 10⁻⁹.

    Args:
        mechanism: a `Mechanism`.
        real: λ0 > 0, (…, d).
        retention: R in [0, 1].
        every: K ≥ 1, real data in every K-th round only.
        total: over the last axis.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(f"{mechanisms.required_fraction(mechanisms.Rate(0.05), [3.0, 1.0], 0.9):.3f}")  # (e^r − 1) R/(1 − R)
        0.461
    """
    real, retention = check.positive("real", real), check.fraction("retention", retention)
    return _required(mechanism, check.integer("every", every, 1), total, real, retention)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _required(mechanism, every, total, real, retention):
    def holds(fraction):
        kept = retained(mechanism, real, fraction[..., None] if total else fraction, every=every)
        return (total_share if total else share)(kept, real) >= retention - 1e-12

    shape = real.shape[:-1] if total else real.shape
    least, most = jnp.full(shape, LEAST_FRACTION), jnp.ones(shape)
    needed = jnp.where(holds(most), bisected(lambda fraction: ~holds(fraction), least, most), jnp.inf)
    return jnp.where(holds(jnp.zeros(shape)), 0.0, needed)
