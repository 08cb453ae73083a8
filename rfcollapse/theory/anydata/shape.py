"""The shape of the data under a linear denoiser: they turn Gaussian as they die. Ours; any data."""

from functools import partial
from typing import Annotated

from jaxtyping import Array, Float

from ... import check
from ...check import Nonnegative, Positive

AboveTwo = Annotated[int, partial(check.integer, minimum=3)]  # the standardised variance stays 1


@check.arguments
def cumulant_factor(variance: Positive, resample_std: Nonnegative, order: AboveTwo) -> Float[Array, "*shape"]:
    """(λ/(λ + s²))^{n/2}: what a round of a *linear* denoiser makes of the standardised cumulant of order n.

    x' = w(x + sε) keeps w^n times the cumulant κ_n of x, Gaussian noise having none above the second, and its variance
    is w²(λ + s²): κ_n/λ^{n/2} is multiplied by this, whatever w. n = 3 is the skewness, n = 4 the excess kurtosis.

    At ρ = 1, λ/(λ + σ²) = λ'/λ, and over rounds the factors multiply to (λ_J/λ_0)^{n/2}: kurtosis falls with the square
    of the variance that is left. At s = 0 the shape stays.

    Args:
        variance: λ > 0 of the round's data.
        resample_std: s ≥ 0.
        order: n ≥ 3.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.cumulant_factor(3.0, 1.0, 4))
        0.5625
    """
    return (variance / (variance + resample_std**2)) ** (order / 2)
