"""The recursion of self-training: the variance of each round's data, direction by direction, at infinite sample size.

Symbols as in `rfcollapse.theory.dae`: λ variance, σ ``noise_std``, s ``resample_std``, u = λ/σ², ρ = s²/σ².
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Count, Fraction, Nonnegative, Positive, Whole, choice
from ...schemes import SCHEDULES, SOURCES, mixed


@check.arguments
def next_variance(
    variance: Nonnegative,
    noise_std: Nonnegative,
    *,
    resample_std: Nonnegative | None = None,
    real_fraction: Fraction = 0.0,
    real_variance: Nonnegative | None = None,
    resample_from: choice(SOURCES) = "pool",
) -> Float[Array, "..."]:
    """λ' = w² (λ + s²), w = λ/(λ + σ²): one round of self-training. In u = λ/σ²: u' = u²(u + ρ)/(u + 1)².

    With a fraction α of real data the map is fitted to the pool m = (1−α)λ + αλ0, so w = m/(m + σ²), and
    λ' = w²(m + s²) when the pool is passed through it, λ' = w²(λ + s²) when the model's own data are.

    Source: the process is that of Zhu et al., arXiv 2412.08175; the law at any ρ, α is ours.

    Args:
        variance: λ ≥ 0, of this round's data.
        noise_std: σ ≥ 0.
        resample_std: s ≥ 0; None is σ.
        real_fraction: α in [0, 1].
        real_variance: λ0 ≥ 0; needed when α > 0.
        resample_from: "pool" or "own".

    Example:
        >>> from rfcollapse.theory import dae
        >>> float(dae.next_variance(3.0, 1.0))
        2.25
    """
    resample_std = noise_std if resample_std is None else resample_std
    check.real_given(real_fraction, real_variance=real_variance)
    real_variance = variance if real_variance is None else real_variance
    settings = real_variance, real_fraction, noise_std**2, resample_std**2, resample_from == "pool"
    return one_round(variance, variance, *settings)


@check.arguments
def trajectory(
    variance: Nonnegative,
    noise_std: Nonnegative,
    rounds: Whole,
    *,
    resample_std: Nonnegative | None = None,
    real_fraction: Fraction = 0.0,
    resample_from: choice(SOURCES) = "pool",
    schedule: choice(SCHEDULES) = "replace",
    real_every: Count = 1,
) -> Float[Array, "rounds_plus_1 ..."]:
    """λ_0, λ_1, …, λ_J: the variance of each round's data, starting from the real data λ_0.

    "replace": each round's data replace the last (`next_variance` iterated, λ0 its real data). "accumulate": the model
    is fitted to all rounds so far, real data included, each round weighing the same; λ_j is then the variance of that
    growing set, at ρ = 1 m_{j+1} = m_j − (m_j/(m_j + 1))/(j + 2) in units of σ², and what a round adds is resampled
    from the whole set ("pool") or from the latest round ("own"). In both, a fraction α of real data is mixed in at
    rounds 0, K, 2K, … (at round 0 it changes nothing: all data are real).

    Args:
        variance: λ_0 ≥ 0, of the real data.
        noise_std: σ ≥ 0.
        rounds: J ≥ 0, a whole number.
        resample_std: s ≥ 0; None is σ.
        real_fraction: α in [0, 1].
        resample_from: "pool" or "own".
        schedule: "replace" or "accumulate".
        real_every: K ≥ 1, a whole number.

    Returns:
        (J+1, …): entry j is λ_j.

    Example:
        >>> from rfcollapse.theory import dae
        >>> dae.trajectory(4.0, 1.0, 3).round(3).tolist()
        [4.0, 3.2, 2.438, 1.729]
        >>> dae.trajectory(4.0, 1.0, 3, real_fraction=0.5).round(3).tolist()
        [4.0, 3.2, 2.817, 2.636]
    """
    resample_std = noise_std if resample_std is None else resample_std
    options = (rounds, real_every, resample_from == "pool", schedule == "accumulate")
    return _trajectory(variance, noise_std**2, resample_std**2, real_fraction, *options)


@check.arguments
def critical_resample_std(noise_std: Nonnegative) -> Float[Array, "*shape"]:
    """s_c = √2 σ: up to it (ρ ≤ 2) every direction collapses; above it a large enough variance explodes instead.

    For u ≫ 1, u' ≈ u − (2 − ρ): the sign of the drift changes at ρ = 2. Ours.

    Args:
        noise_std: σ ≥ 0.

    Example:
        >>> from rfcollapse.theory import dae
        >>> round(float(dae.critical_resample_std(0.5)), 3)
        0.707
    """
    return jnp.sqrt(2.0) * noise_std


@check.arguments
def unstable_variance(noise_std: Positive, resample_std: Nonnegative) -> Float[Array, "..."]:
    """λ_u = σ²/(ρ − 2) for ρ > 2, else ∞: a direction collapses below it and explodes above it.

    The fixed point u* = 1/(ρ − 2) of u' = u²(u + ρ)/(u + 1)²; its multiplier 1 + ((ρ−2)/(ρ−1))² exceeds 1. Ours.

    Args:
        noise_std: σ > 0.
        resample_std: s ≥ 0.

    Example:
        >>> from rfcollapse.theory import dae
        >>> float(dae.unstable_variance(1.0, 2.0))
        0.5
    """
    excess = (resample_std / noise_std) ** 2 - 2
    return jnp.where(excess > 0, noise_std**2 / jnp.where(excess > 0, excess, 1.0), jnp.inf)


def wiener_gain(variance, noise_variance):
    """λ/(λ + σ²), and 0 at λ = σ = 0; unchecked."""
    total = variance + noise_variance
    return jnp.where(total > 0, variance / jnp.where(total > 0, total, 1.0), 0.0)


def one_round(latest, training, real, real_fraction, noise_variance, resample_variance, from_pool):
    """w² (m + s²) or w² (λ + s²), w the gain fitted to the pool m of training and real data; unchecked."""
    pool = mixed(training, real, real_fraction)
    return wiener_gain(pool, noise_variance) ** 2 * ((pool if from_pool else latest) + resample_variance)


@functools.partial(jax.jit, static_argnums=(4, 5, 6, 7))
def _trajectory(real, noise_variance, resample_variance, real_fraction, rounds, real_every, from_pool, accumulate):
    def advance(carry, j):
        fraction = jnp.where(j % real_every == 0, real_fraction, 0.0)
        generated = one_round(*carry, real, fraction, noise_variance, resample_variance, from_pool)
        training = carry[1]
        # The mean of j+1 rounds becomes the mean of j+2, as an increment so that nothing cancels.
        training = training + (generated - training) / (j + 2) if accumulate else generated
        return (generated, training), training

    _, later = jax.lax.scan(advance, (real, real), jnp.arange(rounds, dtype=jnp.float64))
    return jnp.concatenate([real[None], later])
