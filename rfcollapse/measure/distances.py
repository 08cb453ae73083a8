"""How far apart two sets of samples, or two Gaussians, are: Wasserstein distances.

W2 is the 2-Wasserstein distance, in the units of the samples; what is called Fréchet distance in the image literature
is a *squared* W2, between fitted Gaussians. Samples are rows; float64 throughout.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .. import check
from ..check import Count, Covariance, Samples


@check.arguments
def gaussian_w2(
    covariance: Covariance,
    other_covariance: Covariance,
    *,
    mean: Real[ArrayLike, " d"] | None = None,
    other_mean: Real[ArrayLike, " d"] | None = None,
) -> Float[Array, ""]:
    """W2(N(μ, Σ), N(ν, Τ)) = √(|μ − ν|² + tr Σ + tr Τ − 2 tr (Σ^½ Τ Σ^½)^½) (Bures; Dowson and Landau 1982).

    Computed as min over orthogonal U of |Σ^½ − Τ^½ U| (Procrustes), with roots by eigenvalues: no cancellation where
    the two Gaussians are nearly alike. Rounding of relative size ε in a null eigenvalue of Σ enters W2 as √ε.

    Args:
        covariance, other_covariance: Σ and Τ, symmetric positive semi-definite, singular ones too.
        mean, other_mean: μ and ν, 0 where not given.

    Example:
        >>> from rfcollapse.measure import distances
        >>> print(f"{distances.gaussian_w2([[4.0]], [[1.0]]):.3f}")  # |2 − 1|
        1.000
    """
    shapes = covariance.shape, other_covariance.shape
    if shapes[0] != shapes[1]:
        raise ValueError(f"covariance and other_covariance must have one shape; got {shapes[0]} and {shapes[1]}")
    shift = jnp.zeros(len(covariance))
    for name, value, sign in (("mean", mean, 1.0), ("other_mean", other_mean, -1.0)):
        value = jnp.zeros_like(shift) if value is None else check.real(name, value)
        if value.shape != shift.shape:
            raise ValueError(f"{name} must have shape {shift.shape}; got {value.shape}")
        shift += sign * value
    return _gaussian_w2(jnp.stack([covariance, other_covariance]), shift)


@jax.jit
def _gaussian_w2(covariances, shift):
    eigenvalues, basis = jnp.linalg.eigh(covariances)  # both in one call
    roots = jnp.sqrt(jnp.maximum(eigenvalues, 0))[:, :, None] * jnp.swapaxes(basis, 1, 2)  # FᵀF = Σ
    return jnp.sqrt(jnp.sum(shift**2) + _procrustes(roots[0], roots[1]))


@check.arguments
def frechet_distance(samples: Samples, other: Samples) -> Float[Array, ""]:
    """W2² of the Gaussians with the means and covariances (÷ n, ÷ m) of two sets of samples (Heusel et al. 2017, FID).

    Its unit is that of the samples, squared. Biased upwards at finite n and m: compare it with the distance between two
    real sets of these sizes. The roots of the covariances come from QR factors of the centred samples, so that
    directions without variance are exact to rounding: ~1e-15 of the total variance, n < d included.

    Args:
        samples, other: n, m ≥ 1 rows; in pixels, principal components or the features of a network, as is wanted.

    Example:
        >>> from rfcollapse.measure import distances
        >>> print(f"{distances.frechet_distance([[0.0], [2.0]], [[10.0], [14.0]]):.3f}")  # (12 − 1)² + (2 − 1)²
        122.000
    """
    _same_columns(samples, other)
    return _frechet_distance(samples, other)


@jax.jit
def _frechet_distance(samples, other):
    means = samples.mean(axis=0), other.mean(axis=0)
    roots = [
        jnp.linalg.qr((rows - mean[None]) / jnp.sqrt(float(len(rows))), mode="r")
        for rows, mean in zip((samples, other), means)
    ]
    rows = max(len(root) for root in roots)
    roots = [jnp.pad(root, ((0, rows - len(root)), (0, 0))) for root in roots]
    return jnp.sum((means[0] - means[1]) ** 2) + _procrustes(*roots)


def _procrustes(root, other):
    """min over orthogonal U of |F − U G|², F and G factors of the covariances FᵀF and GᵀG: Bures' distance squared."""
    left, _, right = jnp.linalg.svd(root @ other.T)
    return jnp.sum((root - left @ (right @ other)) ** 2)


@check.arguments
def sliced_w2(key: PRNGKeyArray, samples: Samples, other: Samples, *, projections: Count = 256) -> Float[Array, ""]:
    """√(mean over directions θ of W2(θᵀx, θᵀy)²), θ uniform on the unit sphere (Bonneel et al. 2015).

    Args:
        key: draws the directions; another key shows the error they leave, which falls as 1/√projections.
        samples, other: n, m ≥ 1 rows; in one dimension W2 is exact, ∫ (F⁻¹ − G⁻¹)² du, also for n ≠ m.
        projections: number of directions, ≥ 1.

    Example:
        >>> import jax
        >>> from rfcollapse.measure import distances
        >>> print(f"{distances.sliced_w2(jax.random.key(0), [[0.0], [2.0]], [[3.0], [5.0]]):.3f}")
        3.000
    """
    _same_columns(samples, other)
    directions = jax.random.normal(key, (projections, samples.shape[1]), dtype=jnp.float64)
    return _sliced_w2(samples, other, directions)


@jax.jit
def _sliced_w2(samples, other, directions):
    n, m = len(samples), len(other)
    # Both quantile functions are constant between the levels i/n and j/m; in units of 1/(nm) the levels are whole.
    levels = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    weight = jnp.asarray(np.diff(levels) / (n * m))
    at_n, at_m = levels[:-1] // m, levels[:-1] // n

    def squared_w2(direction):
        direction = direction / jnp.linalg.norm(direction)
        gap = jnp.sort(samples @ direction)[at_n] - jnp.sort(other @ direction)[at_m]
        return jnp.sum(weight * gap**2)

    return jnp.sqrt(jnp.mean(jax.lax.map(squared_w2, directions)))


def _same_columns(samples, other):
    if samples.shape[1] != other.shape[1]:
        raise ValueError(f"samples and other must have as many columns; got {samples.shape[1]} and {other.shape[1]}")
