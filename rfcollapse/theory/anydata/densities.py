"""One round of the best denoiser as a density, by quadrature with its error controlled. Ours; any density.

Each mode first dies inside, by the linear law at u = v/σ² of its own variance v, until it is narrower than the grid:
`rfcollapse.theory.anydata.quantiles` carries on from there.
"""

from typing import Annotated

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real
from scipy.interpolate import CubicSpline

from ... import check
from ...check import FractionScalar, NonnegativeScalar, PositiveScalar
from ...schemes import mixed
from .posterior import REACH, blurred, inverse, posterior

COARSEST = 1.5  # spacings of the points to a σ or s: a sum over them is an integral up to 2 exp(−2π² COARSEST²)
ALLOWED = 1e-6  # error of a density's mass, and of its second moment


def increasing(name, value):
    """At least 16 increasing numbers, as float64."""
    array = check.finite(name, value)
    if array.ndim != 1 or len(array) < 16 or not np.all(np.diff(array) > 0):
        raise ValueError(f"{name} must be at least 16 increasing numbers; got shape {array.shape}")
    return jnp.asarray(array)


Points = Annotated[Real[ArrayLike, " points"], increasing]
Values = Annotated[Real[ArrayLike, " points"], check.nonnegative]


@check.arguments
def density_round(
    points: Points,
    density: Values,
    noise_std: PositiveScalar,
    *,
    resample_std: NonnegativeScalar | None = None,
    real_fraction: FractionScalar = 0.0,
    real_density: Values | None = None,
) -> Float[Array, " points"]:
    """p'(z) = q(y)/D'(y) at D(y) = z: the density of x' = D(x + sε), D(y) = E[x | x + σε = y], x of the pool.

    The pool's density is (1−α)p + αp0, q that of x + sε, and D' = Var(x | y)/σ². Sums over the points by the
    trapezoidal rule, which is all but exact for a smooth density that dies out on an even grid of points.

    Args:
        points: increasing, wide enough for what comes.
        density: p ≥ 0 on them, of mass 1.
        noise_std: σ > 0, at least 1.5 times the widest gap between points.
        resample_std: s; None is σ; 0, or as wide as σ has to be.
        real_fraction: α in [0, 1].
        real_density: p0 on the same points; needed when α > 0.

    Raises:
        ValueError: also a density whose mass on the points is not 1, and a result that they do not resolve, by its mass
            or its second moment: a mode narrower than the grid, or a law wider than the points.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-20, 20, 801)
        >>> density = np.exp(-(points**2) / 8) / np.sqrt(8 * np.pi)  # variance 4
        >>> after = anydata.density_round(points, density, 1.0)
        >>> round(float(np.trapezoid(points**2 * after, points)), 6)
        3.2
    """
    resample_std = noise_std if resample_std is None else resample_std
    check.real_given(real_fraction, real_density=real_density)
    pool = mixed(density, density if real_density is None else real_density, real_fraction)
    resolved(points, noise_std, resample_std)
    log_mass = jnp.log(masses_of(points, pool))
    reach = REACH * float(jnp.maximum(noise_std, resample_std))
    seen = jnp.linspace(float(points[0]) - reach, float(points[-1]) + reach, 2 * len(points))

    def denoiser(y):
        mean, spread, _ = posterior(points, log_mass, noise_std, y)
        return mean, spread / noise_std**2

    y, (mean, _) = inverse(denoiser, points, seen), denoiser(seen)
    _, slope = denoiser(y)
    inside = (mean[0] < points) & (points < mean[-1]) & (slope > 0)
    after = jnp.where(inside, _seen_density(points, pool, log_mass, resample_std, y) / slope, 0.0)
    # The same mass and second moment by sums over y, which ask nothing of the new density.
    there = _seen_density(points, pool, log_mass, resample_std, seen)
    mass, second = (jnp.trapezoid(there * power, seen) for power in (1.0, mean**2))
    found = jnp.trapezoid(after, points)
    found_second = jnp.trapezoid(after * points**2, points)
    if abs(found - mass) > ALLOWED * mass or abs(found_second - second) > ALLOWED * second:
        raise ValueError(
            f"points {float(points[0]):.4g} … {float(points[-1]):.4g} do not resolve the next density, whose mass on "
            f"them is {float(found):.8g}: a mode is narrower than the grid (see quantile_round), or the law wider"
        )
    return after


def resolved(points, *noise):
    """Refuses noise that the points do not resolve."""
    gap = float(jnp.diff(points).max())
    for std in map(float, noise):
        if 0 < std < COARSEST * gap:
            raise ValueError(
                f"points must lie closer: a noise of {std:.4g} needs gaps up to {std / COARSEST:.4g}; got {gap:.4g}"
            )


def masses_of(points, density):
    """The trapezoidal rule's mass of each point; refuses a density whose mass is not 1."""
    gaps = jnp.diff(points)
    mass = density * (jnp.pad(gaps, (1, 0)) + jnp.pad(gaps, (0, 1))) / 2
    if abs(float(mass.sum()) - 1) > ALLOWED:
        raise ValueError(f"density must have mass 1 on the points; got {float(mass.sum()):.8g}")
    return mass


def _seen_density(points, pool, log_mass, resample_std, y):
    if resample_std > 0:
        return blurred(points, log_mass, resample_std, y)
    spline = CubicSpline(points, pool)(np.clip(y, points[0], points[-1]))
    return jnp.where((points[0] <= y) & (y <= points[-1]), jnp.maximum(spline, 0.0), 0.0)
