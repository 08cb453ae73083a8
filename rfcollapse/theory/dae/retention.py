"""Where self-training with real data settles, and how fast.

Symbols as in `rfcollapse.theory.dae`: λ0 the variance of the real data, α the fraction of it in every round's pool,
u = λ/σ², u0 = λ0/σ², ρ = s²/σ², and v = (1−α)u + αu0 the pool. Both round maps increase with u, so from u0 the
recursion falls to the largest fixed point below, or rises to the smallest above; that one is meant everywhere here.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import check
from ...check import Count, Fraction, Nonnegative, Positive, choice
from ...schemes import SOURCES
from ..bisection import bisected
from .recursion import one_round

MOST_CYCLES = 100_000


@check.arguments
def retained_variance(
    real_variance: Nonnegative,
    noise_std: Positive,
    real_fraction: Fraction,
    *,
    resample_std: Nonnegative | None = None,
    resample_from: choice(SOURCES) = "pool",
) -> Float[Array, "..."]:
    """λ* = σ²u*, the variance of the generated data after many rounds with a fraction α of real data in each.

    "pool": u* = v²(v + ρ)/(v + 1)² at the root of α(u0 − v) = (1−α) v(1 + (2−ρ)v)/(v + 1)² that is reached from u0; at
    ρ = 1, v = [(αu0 − 1) + √((αu0 − 1)² + 4α²u0)]/(2α) and u* = v²/(v + 1), so that for large u0 the retention is
    ≈ (1 − 1/(αu0))₊. For ρ > 3/2 and α/(1−α) < (2ρ − 3)³/(27(ρ − 1)²) some u0 have three roots, two of
    them stable levels: where a run settles then depends on its start, and retention jumps with α.
    "own": u* = ρv²/(2v + 1) with v²(2 − (1−α)ρ) + v(1 − 2αu0) − αu0 = 0; ∞ where (1−α)ρ > 2 and u0 is too large. Ours.

    Args:
        real_variance: λ0 ≥ 0.
        noise_std: σ > 0.
        real_fraction: α in [0, 1].
        resample_std: s ≥ 0; None is σ.
        resample_from: "pool" or "own".

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.retained_variance(10.0, 1.0, np.array([0.1, 0.5, 1.0])).round(3).tolist()
        [2.403, 8.198, 9.091]
    """
    resample_std = noise_std if resample_std is None else resample_std
    return _retained(real_variance, noise_std, real_fraction, resample_std, resample_from == "pool")


@check.arguments
def contraction_factor(
    real_variance: Nonnegative,
    noise_std: Positive,
    real_fraction: Fraction,
    *,
    resample_std: Nonnegative | None = None,
    resample_from: choice(SOURCES) = "pool",
) -> Float[Array, "..."]:
    """∂λ'/∂λ at λ*: the factor by which the distance to the retained variance shrinks in a round, by autodiff.

    At ρ = 1 from the pool it is (1 − α)(1 − 1/(v + 1)²). 1 where the variance explodes (λ* = ∞). Ours.

    Args:
        real_variance, noise_std, real_fraction, resample_std, resample_from: see `retained_variance`.

    Example:
        >>> from rfcollapse.theory import dae
        >>> round(float(dae.contraction_factor(10.0, 1.0, 0.5)), 3)
        0.495
    """
    resample_std = noise_std if resample_std is None else resample_std
    from_pool = resample_from == "pool"
    fixed = _retained(real_variance, noise_std, real_fraction, resample_std, from_pool)
    finite = jnp.isfinite(fixed)

    def following(variance):
        settings = real_variance, real_fraction, noise_std**2, resample_std**2, from_pool
        return one_round(variance, variance, *settings)

    _, slope = jax.jvp(following, (jnp.where(finite, fixed, 1.0),), (jnp.ones_like(fixed),))
    return jnp.where(finite, slope, 1.0)


@check.arguments
def retained_cycle(
    real_variance: Nonnegative,
    noise_std: Positive,
    real_fraction: Fraction,
    real_every: Count,
    *,
    resample_std: Nonnegative | None = None,
    resample_from: choice(SOURCES) = "pool",
) -> Float[Array, "period ..."]:
    """λ*_0, …, λ*_{K−1}: the cycle that variances settle into when real data come every K rounds only.

    Entry i is the limit of λ_j over j ≡ i mod K, real data being mixed into the fit of rounds 0, K, 2K, …; entry 0 is
    thus the data at their poorest, before the real data come in, when ρ ≤ 2. The limit is reached by running the cycle
    and finished by Newton's method. Ours.

    Args:
        real_variance: λ0 ≥ 0.
        noise_std: σ > 0.
        real_fraction: α in [0, 1].
        real_every: K ≥ 1, a whole number.
        resample_std: s from 0 to √2 σ (above, the variance may grow without end); None is σ.
        resample_from: "pool" or "own".

    Example:
        >>> from rfcollapse.theory import dae
        >>> dae.retained_cycle(10.0, 1.0, 0.5, 2).round(3).tolist()
        [6.457, 7.337]
    """
    resample_std = noise_std if resample_std is None else resample_std
    known = not (check.traced(resample_std) or check.traced(noise_std))
    if known and np.any(np.asarray(resample_std) > 2**0.5 * np.asarray(noise_std) * (1 + 1e-12)):
        raise ValueError(f"resample_std must be at most √2 × noise_std here; got {resample_std} against {noise_std}")
    fractions = jnp.zeros((real_every, *real_variance.shape)).at[0].set(real_fraction)
    return _cycle(real_variance, noise_std, resample_std, fractions, resample_from == "pool")


def _retained(real, noise, fraction, resample, from_pool):
    fixed_point = _pool_fixed_point if from_pool else _own_fixed_point
    return noise**2 * fixed_point(real / noise**2, fraction, (resample / noise) ** 2)


@functools.partial(jax.jit, static_argnames="from_pool")
def _cycle(real, noise, resample, fractions, from_pool):
    def advance(variance, fraction):
        variance = one_round(variance, variance, real, fraction, noise**2, resample**2, from_pool)
        return variance, variance

    def cycle_and_slope(variance):
        return jax.jvp(lambda v: jax.lax.scan(advance, v, fractions)[0], (variance,), (jnp.ones_like(variance),))

    def unsettled(carry):
        variance, after, slope, count = carry
        return (count < MOST_CYCLES) & jnp.any(jnp.abs(after - variance) > 1e-6 * (1 - slope) * variance)

    def repeat(carry):
        _, after, _, count = carry
        return after, *cycle_and_slope(after), count + 1

    variance, *_ = jax.lax.while_loop(unsettled, repeat, (real, *cycle_and_slope(real), 0))
    for _ in range(4):
        after, slope = cycle_and_slope(variance)
        variance = jnp.maximum(variance - (variance - after) / (1 - slope), 0.0)
    return jnp.concatenate([variance[None], jax.lax.scan(advance, variance, fractions)[1][:-1]])


def loss(v, rho):
    """v − v²(v + ρ)/(v + 1)², the variance lost in a round, without cancellation."""
    return v * (1 + (2 - rho) * v) / (v + 1) ** 2


@jax.jit
def _pool_fixed_point(u0, alpha, rho):
    """u* of the pool process; the pool's root is bracketed between the turning points of αv³ + Bv² + Cv − αu0."""
    trivial = (alpha == 0) | (alpha == 1) | (u0 == 0)
    a, start = jnp.where(trivial, 0.5, alpha), jnp.where(trivial, 1.0, u0)

    def falls(v):
        return (1 - a) * loss(v, rho) > a * (start - v)

    b, c = 2 - (1 - a) * rho - a * start, 1 - 2 * a * start
    discriminant = b**2 - 3 * a * c
    q = -(b + jnp.where(b >= 0, 1.0, -1.0) * jnp.sqrt(jnp.maximum(discriminant, 0.0)))
    turns = jnp.sort(jnp.stack([q / (3 * a), c / jnp.where(q == 0, 1.0, q)]), axis=0)
    turns = jnp.where(discriminant > 0, turns, -1.0)

    # Falling from u0: above the later turning point if the cubic dips below zero there, else before the first.
    dips = (turns[1] > 0) & (turns[1] < start) & ~falls(turns[1])
    low = jnp.where(dips, turns[1], a * start)
    high = jnp.where(dips | (turns[0] <= 0), start, jnp.minimum(start, turns[0]))
    down = bisected(lambda v: ~falls(v), low, high)
    # Rising from u0: before the first turning point if the cubic reaches zero there, else beyond the second.
    peaks = (turns[0] > start) & falls(turns[0])
    cauchy = 1 + (jnp.abs(b) + jnp.abs(c) + a * start) / a
    low = jnp.where(peaks, start, jnp.maximum(start, turns[1]))
    up = bisected(lambda v: ~falls(v), low, jnp.where(peaks, turns[0], jnp.maximum(cauchy, 2 * low)))
    pool = jnp.where(falls(start), down, up)

    threshold = (rho - 2) * u0
    unmixed = jnp.where(threshold < 1, 0.0, jnp.where(threshold == 1, u0, jnp.inf))
    real_only = (u0 / (u0 + 1)) ** 2 * (u0 + rho)
    special = jnp.where(u0 == 0, 0.0, jnp.where(alpha == 0, unmixed, real_only))
    return jnp.where(trivial, special, (pool / (pool + 1)) ** 2 * (pool + rho))


@jax.jit
def _own_fixed_point(u0, alpha, rho):
    """u* of the own process; a v² + b v − c = 0 has one positive root when a > 0, and two or none when a < 0."""
    a, b, c = 2 - (1 - alpha) * rho, 1 - 2 * alpha * u0, alpha * u0
    root = jnp.sqrt(jnp.maximum(b**2 + 4 * a * c, 0.0))
    safe_a = jnp.where(a == 0, 1.0, a)
    lower = jnp.where(b > 0, 2 * c / jnp.where(b > 0, b + root, 1.0), (root - b) / (2 * safe_a))
    upper = jnp.where(a > 0, jnp.inf, jnp.where(a < 0, (b + root) / (-2 * safe_a), jnp.inf))
    settles = (a > 0) | ((b > 0) & (b**2 + 4 * a * c >= 0) & (u0 <= upper))
    pool = jnp.where((a < 0) & (u0 == upper), upper, lower)
    return jnp.where(u0 == 0, 0.0, jnp.where(settles, rho * pool**2 / (2 * pool + 1), jnp.inf))
