"""Small noise: a round of the best denoiser is a step of the heat equation, backwards or forwards. Ours; any density.

To first order in σ², for a smooth density p of finite Fisher information: ∂p = ½(ρ−2)σ² p'' a round: backwards for
ρ < 2, forwards for ρ > 2, at rest at ρ = 2. So is half-denoising, which takes off half of the noise that it adds
(Hyvärinen, arXiv 2410.05837; Beyler and Bach, 2503.12966).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.interpolate import make_interp_spline

from ... import check
from ...check import Nonnegative, NonnegativeScalar
from .densities import Points, Values, masses_of


@check.arguments
def heat_rate(noise_std: Nonnegative, resample_std: Nonnegative) -> Float[Array, "*shape"]:
    """(ρ − 2)σ² = s² − 2σ²: the change of the variance in a round, in every direction of any smooth density.

    To first order in σ²; it vanishes at s = √2 σ, `theory.dae.critical_resample_std`, whatever the data.

    Args:
        noise_std: σ ≥ 0.
        resample_std: s ≥ 0.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.heat_rate(0.5, 0.5))
        -0.25
    """
    return resample_std**2 - 2 * noise_std**2


@check.arguments
def entropy_rate(
    points: Points, density: Values, noise_std: NonnegativeScalar, resample_std: NonnegativeScalar
) -> Float[Array, ""]:
    """½(ρ − 2)σ² J, J = ∫p'²/p: the change of the entropy in a round, to first order in σ² (de Bruijn's identity).

    Args:
        points: increasing.
        density: p ≥ 0 on them, of mass 1.
        noise_std: σ ≥ 0.
        resample_std: s ≥ 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-20, 20, 801)
        >>> density = np.exp(-(points**2) / 8) / np.sqrt(8 * np.pi)  # variance 4, J = ¼
        >>> round(float(anydata.entropy_rate(points, density, 0.1, 0.1)), 6)
        -0.00125
    """
    return heat_rate(noise_std, resample_std) / 2 * fisher_information(points, density)


@check.arguments
def fisher_information(points: Points, density: Values) -> Float[Array, ""]:
    """J = ∫ p'²/p, p' by a spline of the fifth order through the points.

    Args:
        points: increasing.
        density: p ≥ 0 on them, of mass 1.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-20, 20, 801)
        >>> round(float(anydata.fisher_information(points, np.exp(-(points**2) / 8) / np.sqrt(8 * np.pi))), 6)
        0.25
    """
    masses_of(points, density)
    slope = make_interp_spline(points, density, k=5).derivative()(points)
    return jnp.trapezoid(jnp.where(density > 0, slope**2 / jnp.where(density > 0, density, 1.0), 0.0), points)
