"""Logarithms of χ and of Γ where their large terms cancel, by series far out."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

log_gamma = jax.scipy.special.gammaln


def mean_log_chi(freedom, divisor):
    """½ E ln(χ²_ν/c) = ½[ψ(ν/2) − ln(ν/2)] + ½ ln(ν/c); −∞ for ν ≤ 0."""
    alive = freedom > 0
    freedom = jnp.where(alive, freedom, 1.0)
    half = freedom / 2
    # ψ(x) − ln x cancels for large x; its asymptotic series is good to 1e-13 from x = 20.
    x = jnp.maximum(half, 20.0)
    y = 1 / x**2
    series = -1 / (2 * x) - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y / 240)))
    difference = jnp.where(half < 20, jax.scipy.special.digamma(half) - jnp.log(half), series)
    return jnp.where(alive, 0.5 * (difference + jnp.log1p((freedom - divisor) / divisor)), -jnp.inf)


def chi_deficit(freedom):
    """−ln(E√χ²_ν/√ν) = 1/(4ν) − 1/(24ν³) + 1/(20ν⁵) − …, a series where the Γ functions cancel."""
    x = jnp.maximum(freedom, 20.0)
    y = 1 / x**2
    series = (1 / 4 - y * (1 / 24 - y * (1 / 20 - y * (17 / 112 - y * (31 / 36 - y * 691 / 88))))) / x
    half = jnp.minimum(freedom, 20.0) / 2
    return jnp.where(freedom < 20, log_gamma(half) - log_gamma(half + 0.5) + 0.5 * jnp.log(half), series)


def binet(z):
    """ln Γ(z) − (z − ½) ln z + z − ½ ln 2π, for complex z with positive real part."""
    far = np.where(np.abs(z) < 20, 20.0, z)
    y = 1 / far**2
    series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / far
    near = np.where(np.abs(z) < 20, z, 20.0)
    direct = special.loggamma(near) - (near - 0.5) * np.log(near) + near - 0.5 * np.log(2 * np.pi)
    return np.where(np.abs(z) < 20, direct, series)
