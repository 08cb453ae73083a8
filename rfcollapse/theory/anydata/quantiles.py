"""One round of the best denoiser where a mode may be narrower than any grid: the law as atoms that carry mass. Ours.

D increases, so that in one dimension x' = D(y) carries the quantiles of y = x + sε to those of x', and their mass.
"""

import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check
from ...check import FractionScalar, NonnegativeScalar, PositiveScalar
from .posterior import REACH, blurred, posterior

FINE = 2.0  # observations per s: a sum over them is an integral up to 2 exp(−2π² FINE²)
POLES = 4.0  # observations up to the nearest pole of D, πσ²/range off the real line: the same up to exp(−2π POLES)
MOST = 16_384  # observations


def ordered(name, value):
    """Finite numbers, none smaller than the last, as float64."""
    array = check.finite(name, value)
    if array.ndim != 1 or not array.size or np.any(np.diff(array) < 0):
        raise ValueError(f"{name} must be a list of numbers in order; got shape {array.shape}")
    return jnp.asarray(array)


def masses(name, value):
    """Numbers ≥ 0 that add up to 1, as float64."""
    array = check.nonnegative(name, value)
    if array.ndim != 1 or abs(float(array.sum()) - 1) > 1e-9:
        raise ValueError(f"{name} must be a list of numbers that add up to 1; got {float(array.sum()):.12g}")
    return array


Quantiles = Annotated[Real[ArrayLike, " quantiles"], ordered]
Masses = Annotated[Real[ArrayLike, " quantiles"], masses]


@check.arguments
def quantile_round(
    quantiles: Quantiles,
    mass: Masses,
    noise_std: PositiveScalar,
    *,
    resample_std: NonnegativeScalar | None = None,
    real_fraction: FractionScalar = 0.0,
    real_quantiles: Annotated[Real[ArrayLike, " real"], ordered] | None = None,
    real_mass: Annotated[Real[ArrayLike, " real"], masses] | None = None,
) -> tuple[Float[Array, " next"], Float[Array, " next"]]:
    """The law of x' = D(x + sε), D(y) = E[x | x + σε = y], x of the pool: quantiles and the mass that each stands for.

    The pool is (1−α) of the law given and α of the real one. The observations y lie on a grid as fine as s and σ² ask
    for; each carries its mass on to D(y). Without resampling noise (s = 0) the pool's own quantiles move to D, as in
    blurring mean-shift (Carreira-Perpiñán, ICML 2006), and the result is exact; else up to about 1e-10.

    Args:
        quantiles: increasing values that x takes, as of a set of points, or of a density at levels of your choice.
        mass: the probability of each, adding up to 1.
        noise_std: σ > 0.
        resample_std: s ≥ 0; None is σ.
        real_fraction: α in [0, 1].
        real_quantiles, real_mass: the real law; needed when α > 0.

    Raises:
        ValueError: also a range of quantiles so wide beside σ² or s that more than 16,384 observations are needed.

    Returns:
        Quantiles and masses of the next round's data; how many, the grid decides.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> values, mass = anydata.quantile_round([-2.0, 2.0], [0.5, 0.5], 1.0)
        >>> round(float(mass @ values**2), 4)
        3.7256
    """
    resample_std = noise_std if resample_std is None else resample_std
    check.real_given(real_fraction, real_quantiles=real_quantiles, real_mass=real_mass)
    real = (quantiles[:0], mass[:0]) if real_fraction == 0 else (real_quantiles, real_mass)
    atoms, pool_mass = pooled(quantiles, mass, *real, real_fraction)
    if resample_std == 0:
        order = jnp.argsort(atoms)
        return _increasing(posterior(atoms, jnp.log(pool_mass), noise_std, atoms[order])[0]), pool_mass[order]
    low, high, count = observed(float(atoms.min()), float(atoms.max()), float(noise_std), float(resample_std))
    return passed_on(atoms, pool_mass, noise_std, resample_std, jnp.linspace(low, high, count))


def observed(low, high, noise_std, resample_std):
    """Where the observations of data between two values lie, and how many of them it takes."""
    reach = REACH * resample_std
    step = min(resample_std / FINE, np.pi * noise_std**2 / max(high - low, noise_std) / POLES)
    count = int(np.ceil((high - low + 2 * reach) / step)) + 1
    if count > MOST:
        raise ValueError(
            f"data from {low:.4g} to {high:.4g} are too wide beside the noise: {count} quantiles, of {MOST}"
        )
    return low - reach, high + reach, max(64, 2 ** math.ceil(math.log2(count)))  # few sizes, so few programs compiled


def pooled(atoms, mass, real, real_mass, real_fraction):
    """Atoms of the pool and their masses."""
    return jnp.concatenate([atoms, real]), jnp.concatenate([(1 - real_fraction) * mass, real_fraction * real_mass])


@jax.jit
def passed_on(atoms, mass, noise_std, resample_std, seen):
    """D and the mass at observations seen on an even grid."""
    log_mass = jnp.log(mass)
    weight = blurred(atoms, log_mass, resample_std, seen) * (seen[1] - seen[0])
    return _increasing(posterior(atoms, log_mass, noise_std, seen)[0]), weight


def _increasing(values):
    """D increases; where it hardly does, rounding may undo that."""
    return jax.lax.cummax(values)
