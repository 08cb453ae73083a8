"""Floor and ceiling of a round's variance: the linear law is the worst case of a denoiser. Ours; any data.

Symbols as in `rfcollapse.theory.anydata`.
"""

from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Positive, Whole
from ..dae import trajectory


@check.arguments
def variance_floor(
    variance: Nonnegative, noise_std: Nonnegative, rounds: Whole, *, real_fraction: Fraction = 0.0
) -> Float[Array, "rounds_plus_1 ..."]:
    """φ_0 = λ, φ_{j+1} = f((1−α)φ_j + αλ), f(m) = m²/(m + σ²): no best denoiser leaves less, ρ = 1, whatever the data.

    D must be the conditional mean, or the optimum of a class closed under D ↦ AD + By + b; that all linear maps are in
    the class is not enough, as what is best in all may be worse in one direction. The residual along a unit vector a is
    at most that of a linear map, mσ²/(m + σ²) with m the pool's variance along a, and f increases: so the variance
    along a is at least φ_j of the real one in every round, and each ordered eigenvalue λ_i of the covariance at least
    φ_j(λ_i) by Courant and Fischer. It is `theory.dae.trajectory`, and equality for Gaussians.

    Args:
        variance: λ ≥ 0 of the real data along a direction, or an eigenvalue of their covariance.
        noise_std: σ ≥ 0.
        rounds: J ≥ 0.
        real_fraction: α in [0, 1] of every pool.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> anydata.variance_floor(4.0, 1.0, 2).round(3).tolist()
        [4.0, 3.2, 2.438]
    """
    return trajectory(variance, noise_std, rounds, real_fraction=real_fraction)


@check.arguments
def variance_ceiling(
    pool_variance: Nonnegative, fisher_information: Nonnegative, noise_std: Positive
) -> Float[Array, "*shape"]:
    """m − 1/(J + 1/σ²): no denoiser leaves more of a direction, ρ = 1, at its optimum.

    J is the pool's Fisher information E(∂ ln p)², the slope along that direction of the density of all coordinates; in
    one dimension `fisher_information`. The optimum is one over a last matrix. The residual of any estimate is at least
    1/(J + 1/σ²) (van Trees, 1968); equality for Gaussians, where J = 1/m.

    Args:
        pool_variance: m ≥ 0 along the direction.
        fisher_information: J ≥ 0.
        noise_std: σ > 0.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> round(float(anydata.variance_ceiling(4.0, 0.25, 1.0)), 3)
        3.2
    """
    return pool_variance - 1 / (fisher_information + 1 / noise_std**2)
