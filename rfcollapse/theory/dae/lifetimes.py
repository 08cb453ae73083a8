"""How long a direction lives under self-training, and how slowly accumulated data decay.

Symbols as in `rfcollapse.theory.dae`: u = λ/σ², ρ = s²/σ².
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float

from ... import check
from ...check import Nonnegative, Positive

MOST_ROUNDS = 1_000_000  # counted one by one; beyond, the Abel function counts
ASYMPTOTIC_FROM = 100.0  # u from which the Abel expansion is used; it neglects less than 1/(24u²) of a round if ρ ≤ 2


@check.arguments
def lifetime(
    variance: Nonnegative, noise_std: Positive, *, resample_std: Nonnegative | None = None
) -> Float[Array, "..."]:
    """min {j : λ_j ≤ σ²}, the first round at which the noise outweighs the signal; ∞ where it never comes.

    Up to 10⁶ rounds are counted by iterating u' = u²(u + ρ)/(u + 1)². A longer life is ⌈A(u0) − A(1)⌉ with the Abel
    function A of the map, A(u') = A(u) − 1, which is right to within one round (where it is evaluated A itself neglects
    1/(24u²) ≤ 10⁻⁵ of a round, just below an unstable point up to 10⁻³, and carries the rounding of u0: above 10¹⁵
    rounds that exceeds a round). At ρ = 1, A(u) = u + ln u + 1/(2u) − …; for ρ < 2 the life is ≈ u0/(2 − ρ), at ρ = 2
    ≈ u0²/2; it is ∞ iff u0 > 1 and (ρ − 2)u0 ≥ 1. Ours.

    Args:
        variance: λ_0 ≥ 0.
        noise_std: σ > 0.
        resample_std: s ≥ 0; None is σ.

    Returns:
        Whole numbers as float64 (so that ∞ can be said).

    Example:
        >>> from rfcollapse.theory import dae
        >>> float(dae.lifetime(64.0, 1.0))
        67.0
        >>> float(dae.lifetime(64.0, 1.0, resample_std=2.0))
        inf
    """
    resample_std = noise_std if resample_std is None else resample_std
    u, rho = variance / noise_std**2, (resample_std / noise_std) ** 2
    endless = (u > 1) & ((rho - 2) * u >= 1)
    # Where the Abel function says far more than MOST_ROUNDS, counting would be in vain.
    large = (u > ASYMPTOTIC_FROM) & ~endless
    safe_u, safe_rho = jnp.where(large, u, 2 * ASYMPTOTIC_FROM), jnp.where(large, rho, 1.0)
    by_expansion = abel(safe_u, safe_rho) - abel_at_one(safe_rho)
    long = large & (by_expansion > MOST_ROUNDS)
    counted = _count(jnp.where(endless | long, 0.0, u), rho)
    return jnp.where(endless, jnp.inf, jnp.where(long, jnp.ceil(by_expansion), counted))


@check.arguments
def accumulated_variance(variance: Positive, noise_std: Positive, rounds: Nonnegative) -> Float[Array, "..."]:
    """σ² W(u0 e^{u0 − H}), H = Σ_{i=2}^{j+1} 1/i: what is left after j rounds when all rounds are kept, at s = σ.

    The continuous-time solution of m_{j+1} = m_j − (m_j/(m_j + 1))/(j + 2), an approximation: over 20,000
    rounds its relative error reaches 15.4, 2.08, .284 and .0152 % at u0 = 1, 4, 8 and 16. W is Lambert's function,
    computed as Wright's omega of u0 + ln u0 − H, which does not overflow. From u0 e^(u0 − γ) rounds on (γ: Euler's
    constant) the noise outweighs the signal. Exact: `trajectory(…, schedule="accumulate")`. Ours.

    Args:
        variance: λ_0 > 0.
        noise_std: σ > 0.
        rounds: j ≥ 0, the round asked for (may be fractional).

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.accumulated_variance(4.0, 1.0, np.array([0, 10, 100])).round(3).tolist()
        [4.0, 2.464, 1.097]
    """
    u = variance / noise_std**2
    harmonic = scipy.special.digamma(np.asarray(rounds) + 2) - scipy.special.digamma(2.0)
    return noise_std**2 * jnp.asarray(scipy.special.wrightomega(np.asarray(u + jnp.log(u) - harmonic)))


def _map(u, rho):
    return (u / (u + 1)) ** 2 * (u + rho)


@jax.jit
def _count(u, rho):
    """Rounds until u ≤ 1, elementwise; ∞ where rounding holds u at the unstable point."""

    def one_round(carry):
        u, count = carry
        mapped = _map(u, rho)
        alive, stalled = u > 1, mapped >= u
        count = jnp.where(alive & stalled, jnp.inf, count + jnp.where(alive, 1.0, 0.0))
        return jnp.where(alive, jnp.where(stalled, 0.0, mapped), u), count

    _, count = jax.lax.while_loop(lambda carry: jnp.any(carry[0] > 1), one_round, (u, jnp.zeros_like(u)))
    return count


def abel(u, rho):
    """A(u) for large u: ∫du/v, v the vector field whose time-one flow is the map u → u − δ(u).

    1/v = 1/δ − δ'/(2δ) − δ''/12 + O(δ'²/δ), with δ = u(cu + 1)/(u + 1)², c = 2 − ρ, so that
    A = u/c + ln u − ((1−c)/c)² ln(1 + cu) − ½ ln δ − δ'/12; uniform in c, also through 0.
    """
    c = 2 - rho
    x = c * u
    small = jnp.abs(x) < 1e-2
    safe_c = jnp.where(small, 1.0, c)
    # u/c − ln(1 + cu)/c² and its series, u² Σ (−x)^k/(k + 2).
    series = sum((-x) ** k / (k + 2) for k in range(8))
    difference = jnp.where(small, u**2 * series, u / safe_c - jnp.log1p(jnp.where(small, 0.0, x)) / safe_c**2)
    ratio = jnp.where(
        small, u * sum((-x) ** k / (k + 1) for k in range(9)), jnp.log1p(jnp.where(small, 0.0, x)) / safe_c
    )
    integral = difference + jnp.log(u) + 2 * ratio - jnp.log1p(x)
    delta = u * (x + 1) / (u + 1) ** 2
    slope = (1 + (2 * c - 1) * u) / (u + 1) ** 3
    return integral - 0.5 * jnp.log(delta) - slope / 12


@jax.jit
def abel_at_one(rho):
    """A(1): climb from u = 1 by the inverse map until the expansion holds, one round off for each step."""

    def inverse(u):
        # u → the x with map(x) = u; Newton from the near side, the map being almost a shift there.
        x = u + jnp.maximum(2 - rho, 0.0) / 2
        for _ in range(8):
            slope = x * (x**2 + 3 * x + 2 * rho) / (x + 1) ** 3
            x = x - (_map(x, rho) - u) / slope
        return x

    def climb(carry):
        u, count = carry
        below = u < ASYMPTOTIC_FROM
        return jnp.where(below, inverse(u), u), count + jnp.where(below, 1.0, 0.0)

    u, count = jax.lax.while_loop(
        lambda carry: jnp.any(carry[0] < ASYMPTOTIC_FROM), climb, (jnp.ones_like(rho), jnp.zeros_like(rho))
    )
    return abel(u, rho) - count
