"""Where self-training with real data settles, how fast, and how much real data a wanted level takes.

Symbols as in `rfcollapse.theory.dae`: λ0 the variance of the real data, α the fraction of it in every round's pool,
u = λ/σ², u0 = λ0/σ², ρ = s²/σ², and v = (1−α)u + αu0 the pool. Both round maps increase with u, so from u0 the
recursion falls to the largest fixed point below, or rises to the smallest above; that one is meant everywhere here.
"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check
from ...schemes import SOURCES
from ..bisection import bisected
from .recursion import next_variance

NEWTON_STEPS = 100
MOST_CYCLES = 100_000


def retained_variance(
    real_variance: Real[ArrayLike, "*#shape"],
    noise_std: Real[ArrayLike, "*#shape"],
    real_fraction: Real[ArrayLike, "*#shape"],
    *,
    resample_std: Real[ArrayLike, "*#shape"] | None = None,
    resample_from: str = "pool",
) -> Float[Array, "..."]:
    """λ* = σ²u*, the variance of the generated data after many rounds with a fraction α of real data in each.

    "pool": u* = v²(v + ρ)/(v + 1)² at the root of α(u0 − v) = (1−α) v(1 + (2−ρ)v)/(v + 1)² that is reached from u0; at
    ρ = 1, v = [(αu0 − 1) + √((αu0 − 1)² + 4α²u0)]/(2α) and u* = v²/(v + 1), so that for large u0 the retention is
    ≈ (1 − 1/(αu0))₊. There can be three roots (see `bistable_fraction`); retention then jumps with α.
    "own": u* = ρv²/(2v + 1) with v²(2 − (1−α)ρ) + v(1 − 2αu0) − αu0 = 0; ∞ where (1−α)ρ > 2 and u0 is too large. Ours.

    Args:
        real_variance: λ0 ≥ 0.
        noise_std: σ > 0.
        real_fraction: α in [0, 1].
        resample_std: s ≥ 0; None is σ.
        resample_from: "pool" or "own".

    Raises:
        ValueError: an argument outside its range.
    """
    real_variance, noise_std = check.nonnegative("real_variance", real_variance), check.positive("noise_std", noise_std)
    real_fraction = check.fraction("real_fraction", real_fraction)
    resample_std = noise_std if resample_std is None else check.nonnegative("resample_std", resample_std)
    check.one_of("resample_from", resample_from, SOURCES)
    shape = check.broadcastable(
        real_variance=real_variance, noise_std=noise_std, real_fraction=real_fraction, resample_std=resample_std
    )
    u0 = jnp.broadcast_to(real_variance / noise_std**2, shape)
    alpha = jnp.broadcast_to(real_fraction, shape)
    rho = jnp.broadcast_to((resample_std / noise_std) ** 2, shape)
    fixed_point = _pool_fixed_point if resample_from == "pool" else _own_fixed_point
    return noise_std**2 * fixed_point(u0, alpha, rho)


def contraction_factor(
    real_variance: Real[ArrayLike, "*#shape"],
    noise_std: Real[ArrayLike, "*#shape"],
    real_fraction: Real[ArrayLike, "*#shape"],
    *,
    resample_std: Real[ArrayLike, "*#shape"] | None = None,
    resample_from: str = "pool",
) -> Float[Array, "..."]:
    """∂λ'/∂λ at λ*: the factor by which the distance to the retained variance shrinks in a round, by autodiff.

    At ρ = 1 from the pool it is (1 − α)(1 − 1/(v + 1)²). 1 where the variance explodes (λ* = ∞). Ours.

    Args and raises: as `retained_variance`.
    """
    fixed = retained_variance(
        real_variance, noise_std, real_fraction, resample_std=resample_std, resample_from=resample_from
    )
    finite = jnp.isfinite(fixed)

    def one_round(variance):
        return next_variance(
            variance,
            noise_std,
            resample_std=resample_std,
            real_fraction=real_fraction,
            real_variance=real_variance,
            resample_from=resample_from,
        )

    _, slope = jax.jvp(one_round, (jnp.where(finite, fixed, 1.0),), (jnp.ones_like(fixed),))
    return jnp.where(finite, slope, 1.0)


def required_real_fraction(
    retention: Real[ArrayLike, "*#shape"],
    real_variance: Real[ArrayLike, "*#shape"],
    noise_std: Real[ArrayLike, "*#shape"],
    *,
    resample_std: Real[ArrayLike, "*#shape"] | None = None,
) -> Float[Array, "..."]:
    """min {α : λ*(α)/λ0 ≥ R}, resampled from the pool: α = (v − u*)/(u0 − u*) with u* = Ru0 and v the pool behind it.

    At ρ = 1, v = (u* + √(u*² + 4u*))/2 and α = v/(u0 + u0v − v²). For ρ > 3/2 retention can jump past R; the fraction
    at the jump is then the answer. Even α = 1 retains only u0(u0 + ρ)/(u0 + 1)²: above that the answer is ∞. Ours.

    Args:
        retention: R in [0, 1], generated over real variance.
        real_variance: λ0 > 0.
        noise_std: σ > 0.
        resample_std: s from 0 to √2 σ (above, directions explode, and real data may *lower* the variance); None is σ.

    Raises:
        ValueError: an argument outside its range.
    """
    retention, real_variance = check.fraction("retention", retention), check.positive("real_variance", real_variance)
    noise_std = check.positive("noise_std", noise_std)
    resample_std = noise_std if resample_std is None else check.nonnegative("resample_std", resample_std)
    shape = check.broadcastable(
        retention=retention, real_variance=real_variance, noise_std=noise_std, resample_std=resample_std
    )
    rho = jnp.broadcast_to((resample_std / noise_std) ** 2, shape)
    if not isinstance(rho, jax.core.Tracer) and bool(jnp.any(rho > 2 * (1 + 1e-12))):
        raise ValueError(f"resample_std must be at most √2 × noise_std here; got {float(jnp.max(rho)) ** 0.5:.6g} ×")
    u0 = jnp.broadcast_to(real_variance / noise_std**2, shape)
    target = jnp.broadcast_to(retention, shape) * u0
    wanted = _pool_behind(target, rho)

    def fraction(pool):
        generated = pool - _loss(pool, rho)
        return _loss(pool, rho) / (u0 - generated)

    # When ρ > 3/2, α as a function of the pool rises, falls and rises again: its later minimum is where it jumps.
    dip = _later_minimum(u0, rho)
    beyond = (dip > wanted) & (dip < u0)
    smallest = jnp.minimum(_loss(wanted, rho) / (u0 - target), jnp.where(beyond, fraction(dip), jnp.inf))
    feasible = target <= (u0 / (u0 + 1)) ** 2 * (u0 + rho)
    return jnp.where(feasible, jnp.minimum(smallest, 1.0), jnp.inf)


def bistable_fraction(
    noise_std: Real[ArrayLike, "*#shape"], resample_std: Real[ArrayLike, "*#shape"]
) -> Float[Array, "..."]:
    """α_b with α_b/(1−α_b) = (2ρ − 3)³/(27(ρ − 1)²) for ρ > 3/2, else 0: below it some u0 has two stable levels.

    Resampled from the pool. In that window the retained variance depends on where the run starts, and jumps as α passes
    a critical value. Ours.

    Args:
        noise_std: σ > 0.
        resample_std: s ≥ 0.

    Raises:
        ValueError: an argument outside its range.
    """
    noise_std, resample_std = check.positive("noise_std", noise_std), check.nonnegative("resample_std", resample_std)
    check.broadcastable(noise_std=noise_std, resample_std=resample_std)
    rho = (resample_std / noise_std) ** 2
    odds = jnp.maximum(2 * rho - 3, 0.0) ** 3 / (27 * jnp.where(rho > 1.5, rho - 1, 1.0) ** 2)
    return odds / (1 + odds)


def retained_cycle(
    real_variance: Real[ArrayLike, "*#shape"],
    noise_std: Real[ArrayLike, "*#shape"],
    real_fraction: Real[ArrayLike, "*#shape"],
    real_every: int,
    *,
    resample_std: Real[ArrayLike, "*#shape"] | None = None,
    resample_from: str = "pool",
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

    Raises:
        ValueError: an argument outside its range.
    """
    real_variance, noise_std = check.nonnegative("real_variance", real_variance), check.positive("noise_std", noise_std)
    real_fraction = check.fraction("real_fraction", real_fraction)
    resample_std = noise_std if resample_std is None else check.nonnegative("resample_std", resample_std)
    check.one_of("resample_from", resample_from, SOURCES)
    real_every = check.integer("real_every", real_every, 1)
    shape = check.broadcastable(
        real_variance=real_variance, noise_std=noise_std, real_fraction=real_fraction, resample_std=resample_std
    )
    if bool(jnp.any(resample_std > 2**0.5 * noise_std * (1 + 1e-12))):
        raise ValueError(f"resample_std must be at most √2 × noise_std here; got {resample_std} against {noise_std}")
    start = jnp.broadcast_to(real_variance, shape)
    fractions = jnp.zeros((real_every, *shape)).at[0].set(real_fraction)
    return _cycle(start, noise_std, resample_std, fractions, resample_from)


@functools.partial(jax.jit, static_argnames="resample_from")
def _cycle(real_variance, noise_std, resample_std, fractions, resample_from):
    def one_round(variance, fraction):
        variance = next_variance(
            variance,
            noise_std,
            resample_std=resample_std,
            real_fraction=fraction,
            real_variance=real_variance,
            resample_from=resample_from,
        )
        return variance, variance

    def cycle_and_slope(variance):
        return jax.jvp(lambda v: jax.lax.scan(one_round, v, fractions)[0], (variance,), (jnp.ones_like(variance),))

    def unsettled(carry):
        variance, after, slope, count = carry
        return (count < MOST_CYCLES) & jnp.any(jnp.abs(after - variance) > 1e-6 * (1 - slope) * variance)

    def advance(carry):
        _, after, _, count = carry
        return after, *cycle_and_slope(after), count + 1

    start = (real_variance, *cycle_and_slope(real_variance), 0)
    variance, *_ = jax.lax.while_loop(unsettled, advance, start)
    for _ in range(4):
        after, slope = cycle_and_slope(variance)
        variance = jnp.maximum(variance - (variance - after) / (1 - slope), 0.0)
    return jnp.concatenate([variance[None], jax.lax.scan(one_round, variance, fractions)[1][:-1]])


def _loss(v, rho):
    """v − v²(v + ρ)/(v + 1)², the variance lost in a round, without cancellation."""
    return v * (1 + (2 - rho) * v) / (v + 1) ** 2


def _bisect(positive, low, high):
    """The point between low and high > 0 beyond which `positive` is True."""
    return jnp.exp(bisected(lambda log: ~positive(jnp.exp(log)), jnp.log(low), jnp.log(high)))


@jax.jit
def _pool_fixed_point(u0, alpha, rho):
    """u* of the pool process; the pool's root is bracketed between the turning points of αv³ + Bv² + Cv − αu0."""
    trivial = (alpha == 0) | (alpha == 1) | (u0 == 0)
    a, start = jnp.where(trivial, 0.5, alpha), jnp.where(trivial, 1.0, u0)

    def falls(v):
        return (1 - a) * _loss(v, rho) > a * (start - v)

    b, c = 2 - (1 - a) * rho - a * start, 1 - 2 * a * start
    discriminant = b**2 - 3 * a * c
    q = -(b + jnp.where(b >= 0, 1.0, -1.0) * jnp.sqrt(jnp.maximum(discriminant, 0.0)))
    turns = jnp.sort(jnp.stack([q / (3 * a), c / jnp.where(q == 0, 1.0, q)]), axis=0)
    turns = jnp.where(discriminant > 0, turns, -1.0)

    # Falling from u0: above the later turning point if the cubic dips below zero there, else before the first.
    dips = (turns[1] > 0) & (turns[1] < start) & ~falls(turns[1])
    low = jnp.where(dips, turns[1], a * start)
    high = jnp.where(dips | (turns[0] <= 0), start, jnp.minimum(start, turns[0]))
    down = _bisect(falls, low, high)
    # Rising from u0: before the first turning point if the cubic reaches zero there, else beyond the second.
    peaks = (turns[0] > start) & falls(turns[0])
    cauchy = 1 + (jnp.abs(b) + jnp.abs(c) + a * start) / a
    low = jnp.where(peaks, start, jnp.maximum(start, turns[1]))
    up = _bisect(falls, low, jnp.where(peaks, turns[0], jnp.maximum(cauchy, 2 * low)))
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


@jax.jit
def _pool_behind(generated, rho):
    """v with v²(v + ρ)/(v + 1)² = u*: the pool from which one round generates u*."""
    scale = jnp.where(generated > 0, generated, 1.0)
    # w² (v + ρ) ≤ v + ρ, and for u* small v ≈ √(u*/ρ), or u*^{1/3} at ρ = 0: both within this bracket when ρ ≤ 2.
    low, high = scale / (1 + rho), 4 * (scale + jnp.sqrt(scale) + jnp.cbrt(scale))
    low = jnp.minimum(low, 1e-3 * jnp.minimum(high, jnp.sqrt(scale)))
    pool = _bisect(lambda v: (v / (v + 1)) ** 2 * (v + rho) > scale, low, high)
    return jnp.where(generated > 0, pool, 0.0)


@jax.jit
def _later_minimum(u0, rho):
    """The larger positive root of (2−ρ)v³ + ρv² + (3−2ρ)u0 v + u0, where α(v) turns up again; 0 where there is none.

    The cubic is convex for v > 0, so Newton's method from its far side falls on the root; ρ = 2 leaves a parabola.
    """

    def cubic(v):
        return (((2 - rho) * v + rho) * v + (3 - 2 * rho) * u0) * v + u0

    def slope(v):
        return (3 * (2 - rho) * v + 2 * rho) * v + (3 - 2 * rho) * u0

    # Where the slope vanishes; a cubic positive there has no positive root.
    lowest = (
        jnp.maximum(2 * rho - 3, 0.0)
        * u0
        / (rho + jnp.sqrt(jnp.maximum(rho**2 - 3 * (2 - rho) * (3 - 2 * rho) * u0, 0.0)))
    )
    exists = (rho > 1.5) & (cubic(lowest) < 0)
    # Beyond √(2u0) + lowest·2 the cubic is positive: ρv² alone outweighs (2ρ−3)u0 v.
    start = jnp.where(exists, 2 * u0 + 1.0, 1.0)
    newton = lambda _, v: v - cubic(v) / slope(v)  # noqa: E731
    return jnp.where(exists, jax.lax.fori_loop(0, NEWTON_STEPS, newton, start), 0.0)
