"""The Reflow schemes with a denoiser (x1-prediction) in place of a velocity model: ridge then pulls to zero. Ours.

The pairs are those of `couplings`; the ridge fit of x1 on x_t is D(t) = ((1−t)c + tQ1)/(Q_t + τ), and
the flow follows v = (D(t)x − x)/(1−t). D(1) < 1 under ridge, so v diverges at t = 1 and the exact flow ends at zero: it
is the number of steps that keeps a variance.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from .couplings import Elementwise, coupling, make_setting
from .grid import Steps, time_grid


def denoiser_trajectory(
    scheme: str,
    real_variance: Elementwise,
    rounds: int,
    *,
    steps: Steps,
    real_fraction: Elementwise = 0.0,
    ridge: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
) -> Float[Array, "rounds_and_start ..."]:
    """g ← Π_i (1−t_{i+1} + h_i D(t_i))/(1−t_i) each round: the variance g² that N Euler steps of the denoiser generate.

    For reflow D = gs/(s² + τ), s = 1−t + tg; for ra D = gsM/(s²M + τ), M = 1−α + αλ0/g². Both fall to zero, g almost
    linearly, and *faster with more steps*: by a factor ∝ N^(−τ/(g² + τ)) a round in g. Pairs that do not follow the
    current model (anchored, fresh; oras through its noise) keep a floor. The inversions are those of the N-step map.

    Args:
        scheme: "reflow", "ra", "anchored", "oras" or "fresh".
        real_variance: λ0 > 0.
        rounds: J ≥ 0.
        steps: N uniform Euler steps, or a grid of N + 1 times from 0 to 1. One step has gain c/(Q0 + τ).
        real_fraction: α in [0, 1].
        ridge: τ ≥ 0.
        initial_variance: g² > 0 of the first model; None is λ0.
        anchor_variance: g₁² > 0 of the model that inverts in "anchored"; None is the initial variance.
        diffusion: ε ≥ 0 of the reverse SDE in "oras", on paths taken as straight.

    Returns:
        g² at rounds 0 … J, (J + 1, …), the round axis first.

    Raises:
        ValueError: an argument outside its range.
    """
    start = make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    return _trajectory(scheme, start, time_grid(steps), check.integer("rounds", rounds, 0))


@partial(jax.jit, static_argnames=("scheme", "rounds"))
def _trajectory(scheme, start, grid, rounds):
    time, rest, step = grid

    def one_round(current, _):
        noise, data, cross = coupling(scheme, start._replace(current=current))

        def factor(t, s, s_next, h):
            denoised = (s * cross + t * data) / (s**2 * noise + 2 * s * t * cross + t**2 * data + start.ridge)
            return (s_next + h * denoised) / s

        following = jnp.prod(jax.vmap(factor)(time[:-1], rest[:-1], rest[1:], step), axis=0) ** 2
        return following, following

    _, later = jax.lax.scan(one_round, start.current, length=rounds)
    return jnp.concatenate([start.current[None], later])
