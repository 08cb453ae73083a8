"""The best linear denoiser in closed form, and the way that gradient descent takes to it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Covariance, Nonnegative, NonnegativeScalar, Positive
from .recursion import wiener_gain


@check.arguments
def optimal_gain(variance: Nonnegative, noise_std: Nonnegative) -> Float[Array, "..."]:
    """w = λ / (λ + σ²), the gain of the best linear denoiser in one direction (the Wiener gain).

    Args:
        variance: λ ≥ 0.
        noise_std: σ ≥ 0. At σ = 0 the gain is 1 where λ > 0, and 0 where λ = 0.

    Example:
        >>> from rfcollapse.theory import dae
        >>> float(dae.optimal_gain(3.0, 1.0))
        0.75
    """
    return wiener_gain(variance, noise_std**2)


@check.arguments
def optimal_map(
    covariance: Covariance, noise_std: NonnegativeScalar, rank: int | None = None
) -> Float[Array, "dim dim"]:
    """W* = U_k diag(λ_i / (λ_i + σ²)) U_kᵀ, the top k eigenpairs of Σ: minimises E‖W(x + σε) − x‖² at rank k.

    Truncating by eigenvalue is right because the whitened target Σ(Σ + σ²)^(-1/2) has singular values λ/√(λ + σ²),
    which increase with λ.

    Args:
        covariance: Σ, (d, d), symmetric positive semi-definite.
        noise_std: σ ≥ 0.
        rank: k, the inner width of W2 W1, from 1 to d; None is d. Ties at the cut are broken as `eigh` orders them.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.optimal_map(np.array([[3.0, 0.0], [0.0, 1.0]]), 1.0, rank=1).tolist()
        [[0.75, 0.0], [0.0, 0.0]]
    """
    dimension = covariance.shape[0]
    rank = dimension if rank is None else check.integer("rank", rank, 1, dimension)
    variances, directions = jnp.linalg.eigh(covariance)
    variances, directions = jnp.maximum(variances[-rank:], 0.0), directions[:, -rank:]
    return (directions * wiener_gain(variances, noise_std**2)[None]) @ directions.T


@check.arguments
def training_curve(
    time: Nonnegative, variance: Nonnegative, noise_std: Nonnegative, initial_gain: Positive
) -> Float[Array, "..."]:
    """w(t) = λE / (ξ(E − 1) + λ/w0), E = e^{2λt}, ξ = λ + σ²: the gain of W2 W1 under gradient flow.

    Holds for *balanced*, aligned factors (W2 = W1ᵀ in the eigenbasis) and the loss ½E‖W2 W1 (x + σε) − x‖², time being
    learning rate × steps. Factors of unequal size follow another curve.

    Source: Pretorius, Kroon and Kamper (2018), Learning dynamics of linear denoising autoencoders.

    Args:
        time: t ≥ 0.
        variance: λ ≥ 0.
        noise_std: σ ≥ 0.
        initial_gain: w0 = w(0) > 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import dae
        >>> dae.training_curve(np.array([0.0, 2.0, 10.0]), 1.0, 1.0, 0.01).round(3).tolist()
        [0.01, 0.264, 0.5]
    """
    exponent = 2 * variance * time
    # (1 − e^{−2λt})/λ, finite as λ → 0; the curve divided through by λE so that nothing overflows.
    tiny = exponent < 1e-30
    grown = 2 * time * jnp.where(tiny, 1.0, -jnp.expm1(-exponent) / jnp.where(tiny, 1.0, exponent))
    return 1 / ((variance + noise_std**2) * grown + jnp.exp(-exponent) / initial_gain)
