"""How much real data a wanted level takes: the retained variance, inverted.

Symbols as in `retention`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Positive
from ..bisection import bisected
from .retention import loss

NEWTON_STEPS = 100


@check.arguments
def required_real_fraction(
    retention: Fraction, real_variance: Positive, noise_std: Positive, *, resample_std: Nonnegative | None = None
) -> Float[Array, "..."]:
    """min {α : λ*(α)/λ0 ≥ R}, resampled from the pool: α = (v − u*)/(u0 − u*) with u* = Ru0 and v the pool behind it.

    At ρ = 1, v = (u* + √(u*² + 4u*))/2 and α = v/(u0 + u0v − v²). For ρ > 3/2 retention can jump past R; the fraction
    at the jump is then the answer. Even α = 1 retains only u0(u0 + ρ)/(u0 + 1)²: above that the answer is ∞. Ours.

    Args:
        retention: R in [0, 1], generated over real variance.
        real_variance: λ0 > 0.
        noise_std: σ > 0.
        resample_std: s from 0 to √2 σ (above, directions explode, and real data may *lower* the variance); None is σ.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.required_real_fraction(np.array([0.5, 0.8, 0.95]), 10.0, 1.0).round(3).tolist()
        [0.171, 0.449, inf]
    """
    resample_std = noise_std if resample_std is None else resample_std
    rho = (resample_std / noise_std) ** 2
    if not check.traced(rho) and bool(jnp.any(rho > 2 * (1 + 1e-12))):
        raise ValueError(f"resample_std must be at most √2 × noise_std here; got {float(jnp.max(rho)) ** 0.5:.6g} ×")
    u0 = real_variance / noise_std**2
    target = retention * u0
    wanted = _pool_behind(target, rho)

    def fraction(pool):
        generated = pool - loss(pool, rho)
        return loss(pool, rho) / (u0 - generated)

    # When ρ > 3/2, α as a function of the pool rises, falls and rises again: its later minimum is where it jumps.
    dip = _later_minimum(u0, rho)
    beyond = (dip > wanted) & (dip < u0)
    smallest = jnp.minimum(loss(wanted, rho) / (u0 - target), jnp.where(beyond, fraction(dip), jnp.inf))
    feasible = target <= (u0 / (u0 + 1)) ** 2 * (u0 + rho)
    return jnp.where(feasible, jnp.minimum(smallest, 1.0), jnp.inf)


@jax.jit
def _pool_behind(generated, rho):
    """v with v²(v + ρ)/(v + 1)² = u*: the pool from which one round generates u*."""
    scale = jnp.where(generated > 0, generated, 1.0)
    # w² (v + ρ) ≤ v + ρ, and for u* small v ≈ √(u*/ρ), or u*^{1/3} at ρ = 0: both within this bracket when ρ ≤ 2.
    low, high = scale / (1 + rho), 4 * (scale + jnp.sqrt(scale) + jnp.cbrt(scale))
    low = jnp.minimum(low, 1e-3 * jnp.minimum(high, jnp.sqrt(scale)))
    pool = bisected(lambda v: (v / (v + 1)) ** 2 * (v + rho) <= scale, low, high)
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
