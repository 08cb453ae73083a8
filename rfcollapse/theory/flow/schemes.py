"""The Reflow schemes in one velocity model with ridge τ: what a round does, where it leads, how fast. Ours.

A round makes pairs with the current model (`couplings` says how) and fits a new model to them. By the
balance law its gain is g² ← (Q1 + τ)/(Q0 + τ).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Positive, Whole
from ..bisection import DEAD, bisected
from .balance import angle_of
from .couplings import HalfTurn, SchemeName, coupling, excess, law, pairing


@check.arguments
def scheme_trajectory(
    scheme: SchemeName,
    real_variance: Positive,
    rounds: Whole,
    *,
    real_fraction: Fraction = 0.0,
    ridge: Nonnegative = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
    diffusion: Nonnegative = 0.0,
    initial_angle: HalfTurn | None = None,
) -> Float[Array, "rounds_and_start ..."]:
    """g² ← (Q1 + τ)/(Q0 + τ) each round: the variance that the model of rounds 0 … J generates. Ours.

    With M = 1−α + αλ0/g², g² − 1 shrinks by 1/(1 + τ) (reflow), M/(M + τ) (ra) or (1−α)/(1−α + τ) (ora): all three
    drift to the noise, and are frozen at τ = 0. Without its score ORAS inflates the noise of real data and goes to zero
    even then. The others have a floor set by the real data, see `scheme_limit`.

    Args:
        scheme: a row of `rfcollapse.schemes.SCHEMES`, by name; `couplings` has the moments of its kinds of noise.
        real_variance: λ0 > 0.
        rounds: J ≥ 0.
        real_fraction: α in [0, 1].
        ridge: τ ≥ 0.
        initial_variance: g² > 0 of the first model, however it was trained; None is λ0.
        anchor_variance: g₁² > 0 of the model that inverts in "anchored"; None is the initial variance.
        diffusion: ε ≥ 0 of the reverse SDE in "oras", "scored_oras" and "naive_oras".
        initial_angle: Θ in [0, π] of the pairs that the first model was trained on (π/2: independent). Given, κ of the
            reverse SDE follows the angle of every model's own path; None takes every path as straight, κ = e^(−ε²/g).

    Returns:
        g² at rounds 0 … J, (J + 1, …), the round axis first.

    Example:
        >>> from rfcollapse.theory import flow
        >>> flow.scheme_trajectory("reflow", 4.0, 3, ridge=0.1).round(3).tolist()
        [4.0, 3.727, 3.479, 3.254]
        >>> flow.scheme_trajectory("fresh", 4.0, 3, ridge=0.1, real_fraction=0.5).round(3).tolist()
        [4.0, 3.727, 3.603, 3.547]
    """
    row, start = pairing(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    angle = jnp.zeros_like(real_variance) if initial_angle is None else initial_angle
    return _trajectory(row, start, angle, rounds, initial_angle is not None)


@law
def scheme_limit(row, start):
    """The g² at which α(g² E x0² − λ0) + τ(g² − 1) = 0, E x0² of the real pairs: reached from any start. Ours.

    1 (reflow, ra, ora); (αλ0 + τ)/(αq + τ) with q = λ0/g₁² (anchored) or 1 (fresh, self_consuming); for oras, with its
    own score or a Gaussian's, (α(1−κ)λ0 + τ)/(α(1−κ) + τ), where κ = e^(−ε²/g) is taken at the fixed point itself; for
    naive_oras g = 2τ/(αε² + √(α²ε⁴ + 4τ²)), zero without ridge. The left side grows with g² for every kind of noise, so
    that the root is unique: found by bisection, and one step of Newton's method, which is exact where the left side is
    straight and lets the limit be differentiated. Where nothing pulls (τ = 0 and pairs that obey the current model's
    law, or α = 0, or ε = 0), every model is a fixed point: the initial variance.

    Paths are taken as straight here. In oras their true angle (`initial_angle` of `scheme_trajectory`) moved the limit
    by at most 2.5 % for λ0 from 0.1 to 10, ε from 0.3 to 2, α from 0.1 to 0.7 and τ from 0.05 to 0.2.

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> settings = {"ridge": 0.1, "real_fraction": 0.5}
        >>> [round(float(flow.scheme_limit(scheme, 4.0, **settings)), 3) for scheme in ("reflow", "ra", "fresh")]
        [1.0, 1.0, 3.5]
    """
    return _limit(row, start)


@law
def scheme_contraction(row, start):
    """The factor by which a small distance of g² from its limit shrinks in a round: how fast a scheme heals. Ours.

    1/(1 + τ) (reflow), (1−α)/(1−α + τ) (ora), (1−α)/(1−α + αλ0/g₁² + τ) (anchored) and (1−α)/(1 + τ) (fresh), at any
    distance, these rounds being affine in g²; M/(M + τ) with M = 1−α + αλ0 (ra); for oras 1 − α(1−κ) at τ = 0.
    Evaluated for all as the slope of the round at its limit. 1 where every model is a fixed point, and for naive_oras
    at τ = 0, whose 1/g grows by ε²/(2λ0) a round in the end.

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> settings = {"ridge": 0.1, "real_fraction": 0.5}
        >>> [round(float(flow.scheme_contraction(scheme, 4.0, **settings)), 3) for scheme in ("ra", "ora", "fresh")]
        [0.962, 0.833, 0.455]
    """
    return _contraction(row, start)


@law
def one_step_gain(row, start):
    """(c + τ)/(Q0 + τ): one Euler step from noise, by the model trained on the pairs of g² = initial_variance. Ours.

    Inverted pairs keep the paths straight and the gain at g (τ = 0); fresh ones multiply it by 1−α. For later rounds
    give the entries of `scheme_trajectory` as `initial_variance` (and the anchor, if there is one).

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> [float(flow.one_step_gain(scheme, 4.0, real_fraction=0.5)) for scheme in ("ra", "fresh")]
        [2.0, 1.0]
    """
    pairs = coupling(row, start)
    return (pairs.cross_moment + start.ridge) / (pairs.noise_moment + start.ridge)


@partial(jax.jit, static_argnames=("row", "rounds", "bent"))
def _trajectory(row, start, angle, rounds, bent):
    def one_round(state, _):
        current, angle = state
        noise, data, cross = coupling(row, start._replace(current=current), angle if bent else None)
        following = (data + start.ridge) / (noise + start.ridge)
        return (following, angle_of(noise, data, cross, start.ridge)), following

    _, later = jax.lax.scan(one_round, (start.current, angle), length=rounds)
    return jnp.concatenate([start.current[None], later])


@partial(jax.jit, static_argnames="row")
def _limit(row, start):
    def pull(variance):
        return start.fraction * excess(row, start._replace(current=variance)) + start.ridge * (variance - 1)

    low, high = jnp.full_like(start.real, DEAD), jnp.maximum(jnp.maximum(start.real, start.anchor), 1.0)
    root = bisected(lambda variance: pull(variance) < 0, low, high)
    value, slope = jax.jvp(pull, (root,), (jnp.ones_like(root),))
    root = jnp.where(pull(low) > 0, 0.0, root - value / jnp.where(slope > 0, slope, 1.0))
    return jnp.where((pull(low) == 0) & (pull(high) == 0), start.current, root)


@partial(jax.jit, static_argnames="row")
def _contraction(row, start):
    def one_round(log_variance):
        pairs = coupling(row, start._replace(current=jnp.exp(log_variance)))
        return jnp.log(pairs.data_moment + start.ridge) - jnp.log(pairs.noise_moment + start.ridge)

    # At a fixed point the slope is the same in logarithms, where nothing overflows however small the limit is.
    limit = jnp.log(jnp.maximum(_limit(row, start), DEAD**0.5))
    return jax.jvp(one_round, (limit,), (jnp.ones_like(limit),))[1]
