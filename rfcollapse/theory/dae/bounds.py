"""Bounds on the collapse of the linear denoising autoencoder: from above in n samples, from below with real data."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ... import check
from .recursion import wiener_gain


@check.arguments
def norm_bound(
    data: check.Samples, noise_std: check.PositiveScalar, rounds: check.Whole
) -> Float[Array, " rounds_plus_1"]:
    """‖W_j‖ ≤ (‖X‖²/(nσ²)) q^{2j}, q = 1 − ½ nσ²/(‖X‖² + nσ²): Theorem 1, ours, in spectral norms.

    Holds for all rounds 0 … j at once with probability at least 1 − 2j e^{−n} over the resampling noise, provided
    `norm_bound_applies`. Why: ‖E‖ ≤ √n + √d + √(2n) with probability 1 − 2e^{−n}, hence
    ‖W(X + sE)‖ ≤ ‖X‖ (‖X‖² + C s√n ‖X‖)/(‖X‖² + nσ²) ≤ q‖X‖; induction and a union bound do the rest. Theorem 1 of
    Zhu et al., arXiv 2412.08175, is of this kind (geometric decay with high probability); condition, rate, constant
    and proof are ours.

    Args:
        data: X, (n, d), the real data of round 0, samples in rows.
        noise_std: σ > 0, the training noise.
        rounds: J ≥ 0, a whole number.

    Returns:
        (J+1,): entry j bounds the operator norm of the map fitted to round j's data.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.norm_bound(np.array([[0.2, 0.0], [0.0, 0.1]]), 1.0, 2).round(3).tolist()
        [0.02, 0.005, 0.001]
    """
    energy = _spectral_norm(data) ** 2
    noise_energy = data.shape[0] * noise_std**2
    log_q = jnp.log1p(-0.5 * noise_energy / (energy + noise_energy))
    return energy / noise_energy * jnp.exp(2 * jnp.arange(rounds + 1.0) * log_q)


@check.arguments
def norm_bound_applies(
    data: check.Samples, noise_std: check.PositiveScalar, resample_std: check.NonnegativeScalar
) -> Bool[Array, ""]:
    """s ≤ √n σ²/(2C‖X‖), C = 1 + √(d/n) + √2: the condition of `norm_bound`.

    With s = σ it asks for ‖X‖²/(nσ²) ≤ 1/(4C²) < .043: signal far below the noise from the start. Ours.

    Args:
        data: X, (n, d), samples in rows.
        noise_std: σ > 0.
        resample_std: s ≥ 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> bool(dae.norm_bound_applies(np.array([[0.2, 0.0], [0.0, 0.1]]), 1.0, 1.0))
        True
    """
    samples, dimension = data.shape
    constant = 1 + (dimension / samples) ** 0.5 + 2**0.5
    return 2 * constant * resample_std * _spectral_norm(data) <= samples**0.5 * noise_std**2


@check.arguments
def variance_bound(
    variance: check.NonnegativeScalar,
    noise_std: check.PositiveScalar,
    rounds: check.Whole,
    *,
    samples: int,
    dimension: check.Count,
    resample_std: check.NonnegativeScalar | None = None,
    failure_probability: check.FractionScalar = 0.01,
) -> Float[Array, " rounds_plus_1"]:
    """u' ≤ (u/(u+1))² [(√u + √ρ η1)² + ρ η2²]: Theorem 1′, at any resampling noise, ours.

    u is the top eigenvalue of the sample second moment over σ², t = √(2 ln(2J/δ)), η1 = (2√d + t)/√n and
    η2 = (√d + √(n−d) + t)/√n. With probability at least 1 − δ every one of J rounds stays below. As n → ∞, η1 → 0 and
    η2 → 1 and it becomes the exact law u' = u²(u + ρ)/(u + 1)².

    Args:
        variance: λ_0 ≥ 0, the top eigenvalue of XᵀX/n of the real data.
        noise_std: σ > 0.
        rounds: J ≥ 0, a whole number.
        samples: n ≥ d.
        dimension: d ≥ 1.
        resample_std: s ≥ 0; None is σ.
        failure_probability: δ in (0, 1).

    Returns:
        (J+1,): entry j bounds the top eigenvalue of round j's second moment; entry 0 is λ_0.

    Example:
        >>> from rfcollapse.theory import dae
        >>> dae.variance_bound(0.1, 1.0, 2, samples=10_000, dimension=2).round(4).tolist()
        [0.1, 0.0103, 0.0001]
    """
    resample_std = noise_std if resample_std is None else resample_std
    samples = check.integer("samples", samples, dimension)
    failure_probability = check.positive("failure_probability", failure_probability)
    rho = (resample_std / noise_std) ** 2
    t = jnp.sqrt(2 * jnp.log(2 * max(rounds, 1) / failure_probability))
    along = (2 * dimension**0.5 + t) / samples**0.5
    across = (dimension**0.5 + (samples - dimension) ** 0.5 + t) / samples**0.5

    start = variance / noise_std**2
    later = _bounds(start, jnp.sqrt(rho) * along, rho * across**2, rounds)
    return noise_std**2 * jnp.concatenate([start[None], later])


@check.arguments
def norm_floor(
    real_variance: check.Nonnegative, noise_std: check.Positive, real_fraction: check.Fraction
) -> Float[Array, "..."]:
    """λ_i(W) ≥ αλ0_i / (αλ0_i + σ²) in every round and every realisation: what a fraction α of real data guarantees.

    The pool's second moment is at least α S_0, and S ↦ S(S + σ²)^(-1) is operator monotone; λ0_i is the i-th largest
    eigenvalue of the real data's second moment. That real data keep the norm away from zero is a claim of Zhu et al.,
    arXiv 2412.08175; the constant is ours. A floor on the map is not one on the samples: resampled from its own data
    without noise, a model keeps this floor while its samples die.

    Args:
        real_variance: λ0 ≥ 0.
        noise_std: σ > 0.
        real_fraction: α in [0, 1].

    Example:
        >>> from rfcollapse.theory import dae
        >>> float(dae.norm_floor(4.0, 1.0, 0.25))
        0.5
    """
    return wiener_gain(real_fraction * real_variance, noise_std**2)


def _spectral_norm(data):
    # Not jnp.linalg.norm(data, 2): that sets memory aside for an n × n factor.
    return jnp.linalg.svd(data, full_matrices=False, compute_uv=False)[0]


@functools.partial(jax.jit, static_argnums=3)
def _bounds(u, along, across, rounds):
    def one_round(u, _):
        u = (u / (u + 1)) ** 2 * ((jnp.sqrt(u) + along) ** 2 + across)
        return u, u

    return jax.lax.scan(one_round, u, length=rounds)[1]
