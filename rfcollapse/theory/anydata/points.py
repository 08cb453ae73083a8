"""Two points: what is left of a mixture whose modes have died inside. How they approach, and how real data hold them.

Ours. A capable denoiser collapses to its modes first; those that are left approach each other exponentially slowly in
a²/σ², and then fall together at once: variety dies within a class long before classes vanish.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import check
from ...check import FractionScalar, Nonnegative, Positive, PositiveScalar
from .quantiles import observed, passed_on, pooled

NODES = 4001  # of the trapezoidal rule in Z
WIDEST = 20.0  # a/σ of `two_points_levels`
LEFT = 0.01  # of the variance, from which a lost pair of points begins
STILL = 1e-13  # change of the variance in a round, over a², that counts as none
MOST_ROUNDS = 50_000


@check.arguments
def two_points_variance(half_distance: Nonnegative, noise_std: Positive) -> Float[Array, "*shape"]:
    """λ' = a² E tanh(a²/σ² + aZ/σ): the variance that one round leaves of two points ±a, ρ = 1, α = 0.

    The best denoiser is a tanh(ay/σ²). For t ~ N(μ, μ) E tanh t = E tanh² t, which has no terms to cancel, and that is
    what is summed: λ'/λ → 1 − √(π/2)(σ/a) e^(−a²/(2σ²)) far apart, and → a²/σ² close by, as for any data.

    Args:
        half_distance: a ≥ 0.
        noise_std: σ > 0.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> round(float(anydata.two_points_variance(2.0, 1.0)), 4)
        3.7256
    """
    z = jnp.linspace(-10.0, 10.0, NODES)
    chance = jnp.exp(-(z**2) / 2)
    ratio = half_distance / noise_std
    tanh = jnp.tanh((ratio**2)[..., None] + jnp.multiply.outer(ratio, z))
    return half_distance**2 * (tanh**2 @ (chance / chance.sum()))


@check.arguments
def two_points_levels(
    half_distance: PositiveScalar, noise_std: PositiveScalar, real_fraction: FractionScalar
) -> Float[Array, " levels"]:
    """The stable levels of the generated variance, ρ = 1, where a fraction α of the pool is the real points ±a.

    For linear maps α decides smoothly; here two levels can be stable at once. Settled from the real data, and from data
    that have kept a hundredth of their variance: where the two differ a class is held or lost by where it starts, and
    more real data is needed to bring it back than to hold it.

    Args:
        half_distance: a > 0, up to 20 σ.
        noise_std: σ > 0.
        real_fraction: α in [0, 1].

    Raises:
        ValueError: also a run that has not settled in 50,000 rounds: α is next to where a level vanishes.

    Returns:
        One or two variances, ascending.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> (anydata.two_points_levels(3.0, 1.0, 0.1) / 9).round(3).tolist()
        [0.214, 0.924]
    """
    ratio, fraction = float(half_distance / noise_std), float(real_fraction)
    if ratio > WIDEST:
        raise ValueError(f"half_distance must be at most {WIDEST:g} noise_std; got {ratio:.6g} of them")
    if fraction == 0:
        return jnp.zeros(1)
    seen = jnp.linspace(*observed(-ratio, ratio, 1.0, 1.0))
    low, high = (float(_settled(ratio, fraction, seen, start)) for start in (LEFT**0.5, 1.0))
    if not np.isfinite(low + high):
        raise ValueError(f"no level within {MOST_ROUNDS} rounds: real_fraction = {fraction:.6g} is next to critical")
    levels = [low, high] if high - low > 1e-6 * high else [high]
    return noise_std**2 * jnp.asarray(levels)


@jax.jit
def _settled(ratio, fraction, seen, start):
    """The variance in units of σ² where a run from ±start·a stands still; NaN where it does not."""
    real = jnp.array([-1.0, 1.0]) * ratio, jnp.full(2, 0.5)

    def advance(state):
        atoms, mass, variance, _, j = state
        atoms, mass = passed_on(*pooled(atoms, mass, *real, fraction), 1.0, 1.0, seen)
        mass = mass / mass.sum()
        after = mass @ atoms**2
        return atoms, mass, after, jnp.abs(after - variance), j + 1

    def moving(state):
        return (state[3] > STILL * ratio**2) & (state[4] < MOST_ROUNDS)

    atoms = jnp.where(seen < 0, -start, start) * ratio
    mass = jnp.full(len(seen), 1 / len(seen))
    state = jax.lax.while_loop(moving, advance, (atoms, mass, start**2 * ratio**2, jnp.inf, 0))
    return jnp.where(state[4] < MOST_ROUNDS, state[2], jnp.nan)
