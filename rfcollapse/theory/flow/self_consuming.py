"""A rectified flow trained again and again on its own samples, paired with fresh noise: its steps decide its end.

Each round draws new noise, trains to the optimum on independent pairs (noise, own samples), and samples with N steps,
so that the variance of one direction obeys λ' = g_N(λ)². The flow itself is exact: what is lost, is lost by the steps.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Positive, Whole, choice
from ...schemes import mixed
from ..bisection import bisected
from .grid import Steps
from .sampler import METHODS, sampler_gain, sampler_loss


@check.arguments
def self_consuming_rate(
    variance: Positive, steps: Steps, *, method: choice(METHODS) = "euler"
) -> Float[Array, "*shape"]:
    """r = −ln(g_N(λ)²/λ), the log-variance lost in one round; Euler: −Σ ln cos²(θ_{i+1} − θ_i). Ours.

    Euler loses variance at every λ, and symmetrically under λ → 1/λ on a uniform grid; midpoint too, but only O(1/N³).
    Heun has r ≈ (λ − 1/λ)/(4N²): it gains below its sink near 1.

    Args:
        variance: λ > 0.
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.
        method: "euler", "heun" or "midpoint".

    Returns:
        r, a rate per round; infinite for a single Euler step, which maps noise to its mean.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.self_consuming_rate(1.0, 10)), 3)
        0.258
    """
    return sampler_loss(variance, steps, method)


@check.arguments
def self_consuming_rate_asymptotic(variance: Positive, steps: Positive) -> Float[Array, "..."]:
    """r ≈ (1 + πk/4)/N + [πk³/64 + (k² − 1)/6]/N³, k = √λ + 1/√λ: N uniform Euler steps, N ≫ k. Ours.

    Args:
        variance: λ > 0.
        steps: N > 0.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.self_consuming_rate_asymptotic(1.0, 10.0)), 3)
        0.258
    """
    k = jnp.sqrt(variance) + 1 / jnp.sqrt(variance)
    return (1 + math.pi * k / 4) / steps + (math.pi * k**3 / 64 + (k**2 - 1) / 6) / steps**3


@check.arguments
def self_consuming_trajectory(
    variance: Nonnegative,
    steps: Steps,
    rounds: Whole,
    *,
    real_fraction: Fraction = 0.0,
    method: choice(METHODS) = "euler",
) -> Float[Array, "rounds_and_start ..."]:
    """λ_{j+1} = g_N(m_j)², m_j = (1−α)λ_j + αλ_0: the variance of each round, fitted to own and real data. Ours.

    Without real data √λ falls to ~1/N in finite time (see `self_consuming_lifetime`), then as λ' ≈ (N−1)²λ².

    Args:
        variance: λ_0 ≥ 0, of the real data.
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.
        rounds: J ≥ 0.
        real_fraction: α in [0, 1].
        method: "euler", "heun" or "midpoint".

    Returns:
        λ_0 … λ_J, (J + 1, …), the round axis first; 0 once it underflows.

    Example:
        >>> from rfcollapse.theory import flow
        >>> flow.self_consuming_trajectory(1.0, 10, 3, real_fraction=0.2).round(3).tolist()
        [1.0, 0.773, 0.632, 0.544]
    """
    return _trajectory(variance, real_fraction, steps, rounds, method)


@check.arguments
def self_consuming_lifetime(variance: Nonnegative, steps: Positive) -> Float[Array, "..."]:
    """2N ∫_0^{√λ} dy/(y + (π/4)(1 + y²)) = (4N/D) atan(D√λ/(√λ + π/2)), D = √(π²/4 − 1): rounds until collapse. Ours.

    The leading rate in N makes √λ reach zero in finite time, at most (4N/D) atan D = 2.908 N rounds from *any* λ;
    ≈ 8N√λ/π for small √λ ≫ 1/N. The integral runs to 0, the true end begins at √λ ~ 1/N: the first round with λ ≤ 1/N²
    came within 4 rounds of it for N = 10 to 1000 and λ = ¼ to 10⁴, and from there a handful of rounds end it.

    Args:
        variance: λ ≥ 0.
        steps: N > 0 uniform Euler steps.

    Returns:
        A real number of rounds.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.self_consuming_lifetime(1.0, 10.0)), 1)
        14.5
    """
    std, root = jnp.sqrt(variance), math.sqrt(math.pi**2 / 4 - 1)
    return 4 * steps / root * jnp.arctan2(root * std, std + math.pi / 2)


@check.arguments
def heun_sink(steps: Steps) -> Float[Array, ""]:
    """λ* = g(λ*)², the variance to which rounds of Heun sampling drift: ≈ 1 − 2.678/N, not zero. Ours.

    Args:
        steps: N uniform steps, or a grid of N + 1 times from 0 to 1.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.heun_sink(10)), 3)
        0.763
    """
    return bisected(lambda variance: sampler_loss(variance, steps, "heun") < 0, jnp.asarray(1e-26), jnp.asarray(1e26))


@partial(jax.jit, static_argnames=("rounds", "method"))
def _trajectory(variance, real_fraction, grid, rounds, method):
    def one_round(current, _):
        following = sampler_gain(mixed(current, variance, real_fraction), grid, method) ** 2
        return following, following

    _, later = jax.lax.scan(one_round, variance, length=rounds)
    return jnp.concatenate([variance[None], later])
