"""One direction of n samples: how far a round scatters, when a run dies, and where its typical path turns.

Symbols as in `rfcollapse.theory.dae`: u = λ/σ², ρ = s²/σ², w = u/(u + 1). Given a round's second moment u, the next one
is w²ρ/n times a noncentral χ² of n degrees of freedom and noncentrality nu/ρ, whatever else the samples are. All ours.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special, stats

from ... import check
from ...check import Count, Nonnegative, Positive, PositiveScalar
from .lifetimes import abel, abel_at_one
from .recursion import wiener_gain


@check.arguments
def next_variance_std(
    variance: Nonnegative, noise_std: Positive, samples: Count, *, resample_std: Nonnegative | None = None
) -> Float[Array, "..."]:
    """w² √(4s²λ/n + 2s⁴/n): by how much n samples scatter the next variance; signal times noise, noise times noise.

    Args:
        variance: λ ≥ 0, the second moment of this round's samples.
        noise_std: σ > 0.
        samples: n ≥ 1.
        resample_std: s ≥ 0; None is σ.

    Example:
        >>> from rfcollapse.theory import dae
        >>> round(float(dae.next_variance_std(8.0, 1.0, 16)), 3)
        1.152
    """
    noise = (noise_std if resample_std is None else resample_std) ** 2
    return wiener_gain(variance, noise_std**2) ** 2 * jnp.sqrt((4 * noise * variance + 2 * noise**2) / samples)


@check.arguments
def lifetime_distribution(
    rounds: Nonnegative, variance: Positive, noise_std: Positive, samples: Count
) -> Float[Array, "..."]:
    """Pr(lifetime ≤ j) ≈ Pr(χ²_{n+2} ≥ n u0/(j − A)), A = ln u0 − 1.329 + 1/(2u0) − …, at s = σ and u0 ≫ 1.

    nu is nearly a squared Bessel process of −n dimensions, whose time to reach zero is n u0/χ²_{n+2}: its mean is u0,
    its standard deviation u0 √(2/(n − 2)). Whole rounds add what `lifetime` has beyond u0. It is within .003 of the
    distribution at u0 = 64 and n = 50, within .006 at u0 = 20, within .007 at n = 10.

    Args:
        rounds: j ≥ 0.
        variance: λ_0 > 0.
        noise_std: σ > 0.
        samples: n ≥ 1.

    Example:
        >>> from rfcollapse.theory import dae
        >>> dae.lifetime_distribution([50, 67, 80], 64.0, 1.0, 50).round(3).tolist()
        [0.069, 0.558, 0.852]
    """
    u, rho = variance / noise_std**2, jnp.ones_like(variance)
    spent = np.maximum(rounds - (abel(u, rho) - abel_at_one(rho) - u), 0)
    with np.errstate(divide="ignore"):
        return jnp.asarray(stats.chi2.sf(samples * u / spent, samples + 2))


@check.arguments
def log_drift(
    variance: PositiveScalar, noise_std: PositiveScalar, samples: Count, *, resample_std: PositiveScalar | None = None
) -> Float[Array, ""]:
    """E ln(λ'/λ) = ln(2ρw²/(nu)) + E ψ(n/2 + K), K Poisson of mean nu/(2ρ): where typical paths go.

    For u ≫ 1 it is [ρ(1 − 2/n) − 2]/u, which turns at ρ = 2n/(n − 2) while the mean of u turns at 2.

    Args:
        variance: λ > 0.
        noise_std: σ > 0.
        samples: n ≥ 1.
        resample_std: s > 0; None is σ.

    Example:
        >>> from rfcollapse.theory import dae
        >>> round(25 * float(dae.log_drift(25.0, 1.0, 8, resample_std=2.0)), 3)
        0.922
    """
    u, rho = variance / noise_std**2, ((noise_std if resample_std is None else resample_std) / noise_std) ** 2
    mean = float(samples * u / (2 * rho))
    k = np.arange(max(0, int(mean - 12 * mean**0.5) - 40), int(mean + 12 * mean**0.5) + 40)
    centred = stats.poisson.pmf(k, mean) @ (special.digamma(samples / 2 + k) - np.log(mean))
    return centred + 2 * jnp.log(wiener_gain(u, 1.0))
