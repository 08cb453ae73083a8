"""Gaussians of a given spectrum."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .. import check


def power_law(dimension: int, exponent: Real[ArrayLike, ""], largest: Real[ArrayLike, ""] = 1.0) -> Float[Array, " d"]:
    """λ_i = λ_1 i^(−a) for i = 1 … d; natural images have a near 1 to 2.

    dimension: d ≥ 1. exponent: a ≥ 0. largest: λ_1 ≥ 0. Raises ValueError outside these ranges.
    """
    index = jnp.arange(1, check.integer("dimension", dimension, 1) + 1, dtype=jnp.float64)
    return check.nonnegative("largest", largest) * index ** (-check.nonnegative("exponent", exponent))


def covariance(spectrum: Real[ArrayLike, " d"], *, key: PRNGKeyArray | None = None) -> Float[Array, "d d"]:
    """Σ = Q diag(λ) Qᵀ, with Q uniform among the rotations and reflections of R^d, or Q = 1 where no key is given.

    spectrum: the eigenvalues λ ≥ 0. key: draws Q. Raises ValueError for a negative or non-finite eigenvalue.
    """
    spectrum = _spectrum("spectrum", spectrum)
    if key is None:
        return jnp.diag(spectrum)
    basis = jax.random.orthogonal(key, len(spectrum), dtype=jnp.float64)
    return (basis * spectrum[None]) @ basis.T


def gaussian(key: PRNGKeyArray, n: int, covariance: Real[ArrayLike, "d d"]) -> Float[Array, "n d"]:
    """n rows x = Σ^½ z, z ~ N(0, 1): the symmetric root, so that Σ may be singular and eigenvectors may have any sign.

    n ≥ 1. covariance: Σ, symmetric positive semi-definite. Raises ValueError for any other n or Σ.
    """
    eigenvalues, basis = jnp.linalg.eigh(check.covariance("covariance", covariance))
    root = (basis * jnp.sqrt(jnp.maximum(eigenvalues, 0))[None]) @ basis.T
    shape = (check.integer("n", n, 1), len(eigenvalues))
    return jax.random.normal(key, shape, dtype=jnp.float64) @ root


def exact_gaussians(
    key: PRNGKeyArray, sets: int, n: int, variances: Real[ArrayLike, " d"]
) -> Float[np.ndarray, "sets n d"]:
    """Gaussian samples, a set for each seed, each turned and scaled to have second moment exactly diag(λ).

    What is fitted to second moments then has no sampling error. sets ≥ 1, n ≥ d. variances: λ_1 … λ_d ≥ 0. Raises
    ValueError outside these ranges.
    """
    variances = np.asarray(_spectrum("variances", variances))
    shape = (check.integer("sets", sets, 1), check.integer("n", n, len(variances)), len(variances))
    noise = np.asarray(jax.random.normal(key, shape, dtype=jnp.float64))
    root = np.linalg.cholesky(np.linalg.inv(np.swapaxes(noise, 1, 2) @ noise / n))
    return noise @ root * np.sqrt(variances)


def _spectrum(name, value):
    eigenvalues = check.nonnegative(name, value)
    if eigenvalues.ndim != 1:
        raise ValueError(f"{name} must be a list of eigenvalues; got shape {eigenvalues.shape}")
    return eigenvalues
