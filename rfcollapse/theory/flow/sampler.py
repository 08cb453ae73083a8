"""One direction of a Gaussian rectified flow: its velocity, and what N steps of Euler, Heun or midpoint make of it.

Noise x0 ~ N(0, 1) at t = 0, data x1 ~ N(0, λ) at t = 1, drawn independently; x_t = (1−t)x0 + t x1. The path is the
segment u(t) = (√λ t, 1−t) from (0, 1) to (√λ, 0): |u|² is the variance of x_t, θ = atan(√λ t/(1−t)) its angle. Every
sampler below multiplies x by |u'|/|u| in a step, times a function of the angle that the step covers. Each factor is
written as a ratio of polynomials in λ with positive coefficients, so that nothing cancels at any λ.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Positive
from .grid import Steps

METHODS = ("euler", "heun", "midpoint")


@check.arguments
@jax.jit
def velocity_gain(time: Fraction, variance: Positive) -> Float[Array, "..."]:
    """a(t) = (tλ − (1−t)) / (t²λ + (1−t)²), where v(x, t) = E[x1 − x0 | x_t = x] = a(t) x. Its flow maps x0 to √λ x0.

    Args:
        time: t in [0, 1].
        variance: λ > 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.velocity_gain(np.array([0.0, 0.5, 1.0]), 4.0).tolist()
        [-1.0, 1.2, 1.0]
    """
    return (time * variance - (1 - time)) / (time**2 * variance + (1 - time) ** 2)


@check.arguments
def euler_gain(variance: Nonnegative, steps: Steps) -> Float[Array, "*shape"]:
    """g_N = √λ Π cos(θ_{i+1} − θ_i), tan θ_i = √λ t_i/(1−t_i): the cosine law, exact on any grid. Ours.

    An Euler step is the projection of u(t_{i+1}) on u(t_i). It moves x by h (D(t)x − x)/(1−t), where D(t)x =
    E[x1 | x_t = x] = A(σ_t) x/t with A(σ) = λ/(λ + σ²), the optimal denoising autoencoder at the noise σ_t = (1−t)/t:
    N steps are a chain of N autoencoders (Zhu et al., arXiv 2412.08175, argue likewise). One step from noise gives 0;
    two, λ/(λ + 1), are a single autoencoder at σ = 1, fed with noise.

    Args:
        variance: λ ≥ 0.
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> float(flow.euler_gain(1.0, 2))
        0.5
        >>> round(float(flow.euler_gain(1.0, np.array([0.0, 0.2, 0.5, 1.0]))), 3)
        0.588
    """
    return sampler_gain(variance, steps, "euler")


@check.arguments
def heun_gain(variance: Nonnegative, steps: Steps) -> Float[Array, "*shape"]:
    """g = √λ Π [cos Δ_i + ½ (|u_i|/|u_{i+1}|) sin²Δ_i], Δ_i = θ_{i+1} − θ_i: N steps of Heun's method. Ours.

    At λ → 0 it tends to h/2, h the last step, and not to 0: the limit is what is returned there.

    Args:
        variance: λ ≥ 0.
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.heun_gain(1.0, 10)), 4)
        0.9993
    """
    return sampler_gain(variance, steps, "heun")


@check.arguments
def midpoint_gain(variance: Nonnegative, steps: Steps) -> Float[Array, "*shape"]:
    """g = √λ Π cos(φ_i − ψ_i): N midpoint steps, φ_i and ψ_i the angles of the first and second half of step i. Ours.

    Args:
        variance: λ ≥ 0.
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.midpoint_gain(1.0, 10)), 4)
        0.9999
    """
    return sampler_gain(variance, steps, "midpoint")


@partial(jax.jit, static_argnames="method")
def sampler_gain(variance, grid, method):
    """Π over the steps of the factor that each multiplies x by; elementwise in the variance."""

    def factor(t, t_next, s, s_next, h):
        square = t**2 * variance + s**2
        if method == "euler":
            return (t * t_next * variance + s * s_next) / square
        if method == "heun":
            # The last step divides λ/λ, and has a limit at λ = 0.
            safe = jnp.maximum(variance, 1e-100)
            top = t * t_next**3 * safe**2 + (h**2 / 2 + s_next * t_next * (t_next * s + t * s_next)) * safe
            return (top + s * s_next**3) / (t**2 * safe + s**2) / (t_next**2 * safe + s_next**2)
        top, middle = _midpoint_numerator(variance, t, t_next, s, s_next, h)
        return top / square / middle

    time, rest, step = grid
    return jnp.prod(jax.vmap(factor)(time[:-1], time[1:], rest[:-1], rest[1:], step), axis=0)


@partial(jax.jit, static_argnames="method")
def sampler_loss(variance, grid, method):
    """−ln(g²/λ) as a sum over the steps, each to full relative precision; λ > 0."""

    def loss(t, t_next, s, s_next, h):
        if method == "midpoint":
            top, _ = _midpoint_numerator(variance, t, t_next, s, s_next, h)
            difference = jnp.sqrt(variance) * (h**2 / 2) * ((t + h / 2) * variance - (s - h / 2)) / top
            return jnp.log1p(difference**2)  # −ln cos²(φ − ψ)
        inner = t * t_next * variance + s * s_next
        if method == "euler":
            return jnp.log1p(variance * (h / inner) ** 2)  # −ln cos²Δ
        before, after = t**2 * variance + s**2, t_next**2 * variance + s_next**2
        lengths = jnp.sqrt(before * after)
        sine_square, cosine = variance * h**2 / (before * after), inner / lengths
        shrinkage = (before - after) / (after + lengths)  # |u|/|u'| − 1
        excess = sine_square * (shrinkage - sine_square / (1 + cosine) ** 2) / 2
        whole = cosine + jnp.sqrt(before / after) * sine_square / 2  # 1 + excess, where that cancels
        return -2 * jnp.where(excess < -0.5, jnp.log(whole), jnp.log1p(jnp.maximum(excess, -0.5)))

    time, rest, step = grid
    return jnp.sum(jax.vmap(loss)(time[:-1], time[1:], rest[:-1], rest[1:], step), axis=0)


def _midpoint_numerator(variance, t, t_next, s, s_next, h):
    """(u·m)(m·u') + ¼λh² = |u| |u'| |m|² cos(φ − ψ), with m halfway between u and u'; and |m|²."""
    t_mid, s_mid = t + h / 2, s - h / 2
    linear = h**2 / 4 + t_mid * s_mid * (t_next * s + t * s_next)
    top = t * t_next * t_mid**2 * variance**2 + linear * variance + s * s_next * s_mid**2
    return top, t_mid**2 * variance + s_mid**2
