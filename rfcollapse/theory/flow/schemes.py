"""The Reflow schemes in one direction, velocity model with ridge τ: what a round does, where it leads, how fast. Ours.

A round makes pairs with the current model (`couplings` says how) and fits a new model to them. By the
balance law its gain is g² ← (Q1 + τ)/(Q0 + τ).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from .balance import angle
from .couplings import Elementwise, Setting, coupling, forgetting, half_turn, make_setting

BISECTIONS = 70  # halvings of a logarithmic bracket: down to rounding for any two variances in float64


def scheme_trajectory(
    scheme: str,
    real_variance: Elementwise,
    rounds: int,
    *,
    real_fraction: Elementwise = 0.0,
    ridge: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
    initial_angle: Elementwise | None = None,
) -> Float[Array, "rounds_and_start ..."]:
    """g² ← (Q1 + τ)/(Q0 + τ) each round: the variance that the model of rounds 0 … J generates. Ours.

    With M = 1−α + αλ0/g², g² − 1 shrinks by 1/(1 + τ) (reflow) or M/(M + τ) (ra): both drift to the noise, and are
    frozen at τ = 0. The others have a floor set by the real data, see `scheme_limit`.

    Args:
        scheme: "reflow", "ra", "anchored", "oras" or "fresh", see `couplings`.
        real_variance: λ0 > 0.
        rounds: J ≥ 0.
        real_fraction: α in [0, 1].
        ridge: τ ≥ 0.
        initial_variance: g² > 0 of the first model, however it was trained; None is λ0.
        anchor_variance: g₁² > 0 of the model that inverts in "anchored"; None is the initial variance.
        diffusion: ε ≥ 0 of the reverse SDE in "oras".
        initial_angle: Θ in [0, π] of the pairs that the first model was trained on (π/2: independent). Given, κ of
            "oras" follows the bend of every model's own path; None takes every path as straight, κ = e^(−ε²/g).

    Returns:
        g² at rounds 0 … J, (J + 1, …), the round axis first.

    Raises:
        ValueError: an argument outside its range.
    """
    start = make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    rounds = check.integer("rounds", rounds, 0)
    bend = half_turn("initial_angle", 0.0 if initial_angle is None else initial_angle)
    check.broadcastable(settings=start.real, initial_angle=bend)
    *start, bend = jnp.broadcast_arrays(*start, bend)
    return _trajectory(scheme, Setting(*start), bend, rounds, initial_angle is not None)


def scheme_limit(
    scheme: str,
    real_variance: Elementwise,
    *,
    real_fraction: Elementwise = 0.0,
    ridge: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
) -> Float[Array, "..."]:
    """The fixed point of the rounds, reached from any start: 1 (reflow, ra), (αλ0 + τ)/(αq + τ) (the others). Ours.

    q = λ0/g₁² (anchored), 1 (fresh). For oras (α(1−κ)λ0 + τ)/(α(1−κ) + τ), where κ = e^(−ε²/g) is taken at the fixed
    point itself, which is unique and found by bisection between 1 and λ0. Where neither ridge nor real pairs pull
    (τ = 0 and: reflow, ra, α = 0, or oras with ε = 0), every model is a fixed point: the initial variance.

    The paths of oras are taken as straight here. The true bend (`initial_angle` of `scheme_trajectory`) moved the limit
    by at most 2.5 % for λ0 from 0.1 to 10, ε from 0.3 to 2, α from 0.1 to 0.7 and τ from 0.05 to 0.2.

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Raises:
        ValueError: an argument outside its range.
    """
    start = make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    return _limit(scheme, start)


def scheme_contraction(
    scheme: str,
    real_variance: Elementwise,
    *,
    real_fraction: Elementwise = 0.0,
    ridge: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
) -> Float[Array, "..."]:
    """The factor by which a small distance of g² from its limit shrinks in a round: how fast a scheme heals. Ours.

    1/(1 + τ) (reflow), (1−α)/(1−α + αλ0/g₁² + τ) (anchored) and (1−α)/(1 + τ) (fresh), at any distance, these rounds
    being affine in g²; M/(M + τ) with M = 1−α + αλ0 (ra); for oras 1 − α(1−κ) at τ = 0. Evaluated for all as the slope
    of the round at its limit. 1 where every model is a fixed point.

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Raises:
        ValueError: an argument outside its range.
    """
    start = make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    return _contraction(scheme, start)


def one_step_gain(
    scheme: str,
    real_variance: Elementwise,
    *,
    real_fraction: Elementwise = 0.0,
    ridge: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
) -> Float[Array, "..."]:
    """(c + τ)/(Q0 + τ): one Euler step from noise, by the model trained on the pairs of g² = initial_variance. Ours.

    Inverted pairs keep the paths straight and the gain at g (τ = 0); fresh ones multiply it by 1−α. For later rounds
    give the entries of `scheme_trajectory` as `initial_variance` (and the anchor, if there is one).

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.

    Raises:
        ValueError: an argument outside its range.
    """
    start = make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    pairs = coupling(scheme, start)
    return (pairs.cross_moment + start.ridge) / (pairs.noise_moment + start.ridge)


def _round(scheme, setting, current):
    """g² of the next model, all paths straight."""
    pairs = coupling(scheme, setting._replace(current=current))
    return (pairs.data_moment + setting.ridge) / (pairs.noise_moment + setting.ridge)


@partial(jax.jit, static_argnames=("scheme", "rounds", "bent"))
def _trajectory(scheme, start, bend, rounds, bent):
    def one_round(state, _):
        current, bend = state
        noise, data, cross = coupling(scheme, start._replace(current=current), bend if bent else None)
        following = (data + start.ridge) / (noise + start.ridge)
        return (following, angle(noise, data, cross, start.ridge)), following

    _, later = jax.lax.scan(one_round, (start.current, bend), length=rounds)
    return jnp.concatenate([start.current[None], later])


@partial(jax.jit, static_argnames="scheme")
def _limit(scheme, start):
    real, fraction, ridge, initial, anchor, diffusion = start
    if scheme in ("reflow", "ra"):
        return jnp.where(ridge > 0, 1.0, initial)
    if scheme == "oras":

        def halve(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            there = jnp.exp(middle)
            pull = fraction * -jnp.expm1(-forgetting(there, diffusion, jnp.zeros_like(there)))
            below = pull * (there - real) + ridge * (there - 1) < 0
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        ends = jnp.log(real), jnp.zeros_like(real)
        low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.minimum(*ends), jnp.maximum(*ends)))
        return jnp.where((fraction * diffusion > 0) | (ridge > 0), jnp.exp((low + high) / 2), initial)
    pull = fraction * (real / anchor if scheme == "anchored" else 1.0) + ridge
    return jnp.where(pull > 0, (fraction * real + ridge) / jnp.where(pull > 0, pull, 1.0), initial)


@partial(jax.jit, static_argnames="scheme")
def _contraction(scheme, start):
    limit = _limit(scheme, start)
    _, slope = jax.jvp(partial(_round, scheme, start), (limit,), (jnp.ones_like(limit),))
    return slope
