"""Where the optimal nonlinear network leaves the balance law: real and synthetic pairs mixed, in isotropic data. Ours.

The law of `schemes` is exact for a model linear in x. A network fits E[x1 − x0 | x_t + √τ e], and its
flow carries law(x0)∗N(0, τ) to law(x1)∗N(0, τ). On one Gaussian coupling that is linear, and the law holds. A mixture
of real and synthetic pairs is not jointly Gaussian; where it is isotropic the flow is radial, so the map is the one
that matches the quantiles of |x|, and the noise it is started from, N(0, I), gives another variance than the law.
For all rounds, and for directions of different variance, see `mixed`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import check
from ...check import Count, Fraction, Nonnegative, Positive
from ...schemes import mixed
from ..bisection import bisected
from .couplings import SchemeName, pairing, real_pairs

REACH = 9.0  # standard deviations of the noise beyond which nothing is counted
NODES = 400  # of the Gauss–Legendre rule in |x0|
WITHOUT = ("inverted, refreshed",)  # kinds of real noise that have no form here: it is yet unknown what inverts


@check.arguments
def network_variance(
    scheme: SchemeName,
    real_variance: Positive,
    *,
    dimension: Count = 1,
    real_fraction: Fraction = 0.0,
    ridge: Nonnegative = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
    diffusion: Nonnegative = 0.0,
) -> Float[Array, "..."]:
    """E|G(z)|²/d, z ~ N(0, I), F₁(|G(z)|) = F₀(|z|): the variance generated after one round from a Gaussian model.

    F₀ and F₁ are the laws of |x0 + √τ e| and |x1 + √τ e|: mixtures of scaled χ_d with weights 1−α and α, the variances
    being 1 + τ and q + τ (q of the scheme's real pairs), and g² + τ and λ0 + τ.

    Args:
        scheme: by name, see `couplings`; pairs that are refreshed have no such form.
        real_variance: λ0 > 0, of the real data N(0, λ0 I).
        dimension: d ≥ 1.
        real_fraction, ridge, initial_variance, anchor_variance, diffusion: see `scheme_trajectory`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> settings = {"initial_variance": 1.5, "real_fraction": 0.3, "ridge": 0.2}
        >>> round(float(flow.network_variance("fresh", 4.0, **settings)), 3)
        1.993
        >>> round(float(flow.scheme_trajectory("fresh", 4.0, 1, **settings)[1]), 3)
        2.042
    """
    arguments = real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion
    row, start = pairing(scheme, *arguments, without=WITHOUT)
    return _one_round(start, real_pairs(row, start).noise_moment, jnp.asarray(dimension, jnp.float64))


@jax.jit
def _one_round(start, real_noise, dimension):
    fraction, ridge = start.fraction, start.ridge
    starts, ends = (1 + ridge, real_noise + ridge), (start.current + ridge, start.real + ridge)
    half = dimension / 2

    def beyond(square, variances):
        tails = [jax.scipy.special.gammaincc(half, square / variance / 2) for variance in variances]
        return mixed(*tails, fraction)

    def stretched(square):
        """|G|² where |z|² is `square`."""
        goal = beyond(square, starts)
        low, high = jnp.minimum(*ends) / jnp.maximum(*starts), jnp.maximum(*ends) / jnp.minimum(*starts)
        return bisected(lambda mapped: beyond(mapped, ends) > goal, square * low, square * high)

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    bottom, top = jnp.maximum(0.0, dimension**0.5 - REACH), dimension**0.5 + REACH
    radius = bottom + (nodes + 1) * (top - bottom) / 2
    log_density = (dimension - 1) * jnp.log(radius) - radius**2 / 2 - (half - 1) * np.log(2) - jax.lax.lgamma(half)
    mass = weights * (top - bottom) / 2 * jnp.exp(log_density)
    squares = jax.lax.map(stretched, radius**2)
    return jnp.tensordot(mass, squares, axes=1) / dimension
