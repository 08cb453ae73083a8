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
from ...check import Fraction, Nonnegative, Positive, Whole
from ...schemes import mixed
from ..bisection import DEAD, bisected
from .couplings import SchemeName, coupling, own_pairs, pairing
from .grid import Steps


@check.arguments
def denoiser_trajectory(
    scheme: SchemeName,
    real_variance: Positive,
    rounds: Whole,
    *,
    steps: Steps,
    real_fraction: Fraction = 0.0,
    ridge: Nonnegative = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
    diffusion: Nonnegative = 0.0,
) -> Float[Array, "rounds_and_start ..."]:
    """g ← Π_i (1−t_{i+1} + h_i D(t_i))/(1−t_i) each round: the variance g² that N Euler steps of the denoiser generate.

    For reflow D = gs/(s² + τ), s = 1−t + tg; for ra D = gsM/(s²M + τ), M = 1−α + αλ0/g². Both fall to zero, g almost
    linearly, and *faster with more steps*: by a factor ∝ N^(−τ/(g² + τ)) a round in g. So does ora, whose real pairs
    follow the model in training: its next g is the one that pairs inverted by itself do not move. Pairs that follow
    neither (anchored, fresh; oras through its noise) keep a floor. The inversions are those of the N-step map, the
    paths of reverse SDEs taken as straight.

    Args:
        scheme, real_variance, rounds, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`.
        steps: N uniform Euler steps, or a grid of N + 1 times from 0 to 1. One step has gain c/(Q0 + τ).

    Returns:
        g² at rounds 0 … J, (J + 1, …), the round axis first.

    Example:
        >>> from rfcollapse.theory import flow
        >>> flow.denoiser_trajectory("reflow", 4.0, 3, steps=10, ridge=0.05).round(3).tolist()
        [4.0, 3.455, 2.957, 2.503]
    """
    row, start = pairing(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion)
    return _trajectory(row, start, steps, rounds)


@partial(jax.jit, static_argnames=("row", "rounds"))
def _trajectory(row, start, grid, rounds):
    time, rest, step = grid

    def over_steps(function):
        return jax.vmap(function)(time[:-1], rest[:-1], rest[1:], step)

    def one_round(current, _):
        pairs = coupling(row, start._replace(current=current))

        def factor(t, s, s_next, h):
            of_data, of_all = _regression(t, s, pairs)
            return (s_next + h * of_data / (of_all + start.ridge)) / s

        following = jnp.prod(over_steps(factor), axis=0) ** 2
        return following, following

    def one_refreshed_round(current, _):
        """The g'² ≤ g² of the model that pairs inverted by itself leave where it is."""
        own = own_pairs(row, start._replace(current=current))

        def grows(gain):
            def growth(t, s, s_next, h):
                # Real pairs obey D = g'/(s + tg'), whose steps lead to g'; the fit misses it by what is not theirs.
                path = s + t * gain
                straight, (of_data, of_all) = gain / path, _regression(t, s, own)
                missed = (1 - start.fraction) * (of_data - straight * of_all) - start.ridge * straight
                missed = missed / (mixed(of_all, start.real * (path / gain) ** 2, start.fraction) + start.ridge)
                return jnp.log1p(h * missed / (s_next + h * straight))

            return jnp.sum(over_steps(growth), axis=0) > 0

        gain = bisected(grows, jnp.full_like(current, DEAD), jnp.sqrt(current))
        following = jnp.where((start.fraction < 1) | (start.ridge > 0), gain**2, current)
        return following, following

    _, later = jax.lax.scan(one_refreshed_round if row.refreshed else one_round, start.current, length=rounds)
    return jnp.concatenate([start.current[None], later])


def _regression(t, s, pairs):
    """E x1x_t and E x_t², whose ratio is D without ridge."""
    noise, data, cross = pairs
    return s * cross + t * data, s**2 * noise + 2 * s * t * cross + t**2 * data
