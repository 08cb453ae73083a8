"""Gaussians of a given spectrum."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .. import check


@check.in_float64
def gaussian(key: PRNGKeyArray, n: int, covariance: Real[ArrayLike, "d d"]) -> Float[Array, "n d"]:
    """n rows x = Σ^½ z, z ~ N(0, 1): the symmetric root, so that Σ may be singular and eigenvectors may have any sign.

    Args:
        key: draws z.
        n: ≥ 1.
        covariance: Σ, symmetric positive semi-definite.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> data.gaussian(jax.random.key(0), 100, [[4.0, 1.0], [1.0, 1.0]]).shape
        (100, 2)
    """
    eigenvalues, basis = jnp.linalg.eigh(check.covariance("covariance", covariance))
    root = (basis * jnp.sqrt(jnp.maximum(eigenvalues, 0))[None]) @ basis.T
    shape = (check.integer("n", n, 1), len(eigenvalues))
    return jax.random.normal(key, shape, dtype=jnp.float64) @ root


@check.in_float64
def exact_gaussians(
    key: PRNGKeyArray, sets: int, n: int, variances: Real[ArrayLike, " d"]
) -> Float[np.ndarray, "sets n d"]:
    """Gaussian samples, a set for each seed, each turned and scaled to have second moment exactly diag(λ).

    What is fitted to second moments then has no sampling error.

    Args:
        key: draws the samples.
        sets: ≥ 1.
        n: rows of each, ≥ d.
        variances: λ_1 … λ_d ≥ 0.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> x = data.exact_gaussians(jax.random.key(0), 1, 100, [4.0, 1.0])[0]
        >>> (x.T @ x / 100).round(9)
        array([[ 4., -0.],
               [-0.,  1.]])
    """
    variances = check.nonnegative("variances", variances)
    if variances.ndim != 1:
        raise ValueError(f"variances must be a list of eigenvalues; got shape {variances.shape}")
    shape = (check.integer("sets", sets, 1), check.integer("n", n, len(variances)), len(variances))
    noise = np.asarray(jax.random.normal(key, shape, dtype=jnp.float64))
    root = np.linalg.cholesky(np.linalg.inv(np.swapaxes(noise, 1, 2) @ noise / n))
    return noise @ root * np.sqrt(variances)
