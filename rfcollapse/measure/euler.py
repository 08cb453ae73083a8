"""What N Euler steps lose of any flow, also a trained one: by its acceleration, or by its residuals on pairs. Ours.

A model is any callable v(t, x) on one sample, from noise x0 at t = 0 to data x1 at t = 1, and x_t = (1 − t) x0 + t x1.
Each measure returns, for each row, what it loses of (u·x)² along directions u, the coordinates where none are given:
the sum over an orthonormal basis is what is lost of |x|², and the mean over rows has a standard error. Rows keep their
dtype. `rfcollapse.theory.anydata` has the same for the exact velocity of a density.

First order in 1/N (`euler_loss_rate`, `residual_loss_rate`) the two ways agree if v is the conditional mean of x1 − x0.
`euler_loss` is exact at every N, and its bias tells how far v is from that; where paths part, the difference of the two
rates does not, for residuals scatter too widely there.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from .. import check
from ..check import ArrayLike

GOLDEN = 0.5 * (5**0.5 - 1)  # multiples of it, less their whole parts, fill [0, 1] evenly


class EulerLoss(NamedTuple):
    """What N Euler steps miss of the data, for each pair and direction: (u·x1)² − (u·x̂_N)² = bias + loss, always."""

    bias: Float[Array, "n k"]
    """Σ h ⟨∇F, r⟩, F what the steps that follow make of (u·x)²: its mean is 0 where v is the conditional mean."""
    loss: Float[Array, "n k"]
    """The rest, of second order in h r: what the steps lose of the data because they are steps."""


@eqx.filter_jit
def euler_loss_rate(
    model: Callable,
    noise: Float[Array, "n d"],
    *,
    directions: Real[ArrayLike, "k d"] | None = None,
    width: Callable = jnp.ones_like,
    steps: int = 64,
    at_once: int | None = None,
) -> Float[Array, "n k"]:
    """lim N × what N Euler steps lose of (u·x1)², = −2 (u·x1)(u·ε(1)), ε' = (∇v) ε − w a/2, ε(0) = 0.

    a = ∂_t v + (v·∇)v is the acceleration, so that each step of width w/N errs by −a (w/N)²/2, which the flow carries
    on. The sum over directions is ∫w ⟨x1, J_{t→1} a⟩ dt. For any model, fitted or not, along its own paths.

    Args:
        model: v, differentiable.
        noise: x0, rows.
        directions: u, rows of length 1.
        width: w, N times the width of a step at the time t; 1 for uniform steps, T'(s) at T(s) = t for t_i = T(i/N).
        steps: of the paths, by a method of third order that never asks for v at t = 1.
        at_once: rows taken at once (None: all), which bounds the memory.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure import euler
        >>> rate = euler.euler_loss_rate(lambda t, x: x, jnp.ones((1, 1)))  # e² − (1 + 1/N)^2N = e²/N − …
        >>> print(f"{rate[0, 0]:.3f}")
        7.389
    """
    axes = axes_for(directions, noise)

    def velocity_and_error(t, state):
        v, slope = jax.linearize(model, t, state[0])
        half = width(t) / 2
        return jnp.stack([v, slope(-half, state[1] - half * v)])

    def one(x):
        end, error = walked(velocity_and_error, 0.0, jnp.stack([x, jnp.zeros_like(x)]), steps) @ axes.T
        return -2 * end * error

    return jax.lax.map(one, noise, batch_size=at_once or len(noise))


@eqx.filter_jit
def residual_loss_rate(
    model: Callable,
    noise: Float[Array, "n d"],
    data: Float[Array, "n d"],
    *,
    directions: Real[ArrayLike, "k d"] | None = None,
    steps: int = 32,
    times: int = 8,
    at_once: int | None = None,
) -> Float[Array, "n k"]:
    """∫ ½ d²/ds² (u·Φ_{t→1}(x_t + s r))² dt at s = 0, r = x1 − x0 − v(t, x_t): its mean is the `euler_loss_rate`.

    That holds where v is the conditional mean of x1 − x0: then the residuals r are what Euler's steps leave out. Where
    paths part, as between modes, its rows scatter widely, and those of `euler_loss` at a number of steps do not.

    Args:
        model, directions, at_once: see `euler_loss_rate`.
        noise, data: x0 and x1, pairs as those that the model was fitted to, best others than these.
        steps: of the flow Φ from t to 1.
        times: t for each pair, one in each of as many equal parts of [0, 1], where in them differs from row to row.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure import euler
        >>> pair = jnp.zeros((1, 1)), jnp.ones((1, 1))  # r = 1, carried on as it is
        >>> euler.residual_loss_rate(lambda t, x: 0 * x, *pair).tolist()
        [[1.0]]
    """
    axes = axes_for(directions, noise, data)

    def one(row):
        x0, x1, spread = row

        def at(t):
            x = (1 - t) * x0 + t * x1
            r, none, unit = x1 - x0 - model(t, x), jnp.zeros_like(t), jnp.ones_like(t)

            def moved(s):
                return (axes @ walked(model, t, x + s * r, steps)) ** 2

            return jax.jvp(lambda s: jax.jvp(moved, (s,), (unit,))[1], (none,), (unit,))[1] / 2

        return jax.lax.map(at, spread).mean(axis=0)

    return jax.lax.map(one, (noise, data, spread_times(noise, times)), batch_size=at_once or len(noise))


def euler_loss(
    model: Callable,
    noise: Float[Array, "n d"],
    data: Float[Array, "n d"],
    steps: check.Steps,
    *,
    directions: Real[ArrayLike, "k d"] | None = None,
    at_once: int | None = None,
) -> EulerLoss:
    """Σ_i F_{i+1}(y + h r) − F_{i+1}(y), y = x_t + h v at t = t_i, F_i(x) = (u·x̂_N)² by Euler's steps from x at t_i.

    y + h r is x_t at t = t_{i+1}, so that the sum is (u·x1)² − (u·x̂_N)² for any model, any grid and each pair. What is
    linear in r is the bias; the rest is Euler's loss. For the conditional mean its mean is that of
    `rfcollapse.theory.anydata.euler_loss`, and N times it tends to `residual_loss_rate`.

    Args:
        model, directions, at_once: see `euler_loss_rate`.
        noise, data: see `residual_loss_rate`.
        steps: N, or a grid of N + 1 times from 0 to 1; takes 2N² evaluations of v.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure import euler
        >>> noise, data = jnp.zeros((1, 1)), jnp.ones((1, 1))
        >>> bias, loss = euler.euler_loss(lambda t, x: 0 * x, noise, data, 2)  # (½)² + 1² − (½)² less 0, then ½ · 1
        >>> bias.item(), loss.item()
        (0.5, 0.5)
    """
    axes, time = axes_for(directions, noise, data), check.time_grid("steps", steps)
    return _euler_loss(model, noise, data, jnp.asarray(time, noise.dtype), axes, at_once or len(noise))


@eqx.filter_jit
def _euler_loss(model, noise, data, time, axes, at_once):
    def step(i, x):
        return x + (time[i + 1] - time[i]) * model(time[i], x)

    def one(pair):
        x0, x1 = pair

        def part(i):
            here, following = ((1 - t) * x0 + t * x1 for t in (time[i], time[i + 1]))
            stepped = step(i, here)

            def moved(s):
                x = stepped + s * (following - stepped)
                return (axes @ jax.lax.fori_loop(i + 1, len(time) - 1, step, x)) ** 2

            none, unit = jnp.zeros((), x0.dtype), jnp.ones((), x0.dtype)
            before, slope = jax.jvp(moved, (none,), (unit,))
            return slope, moved(unit) - before - slope

        return EulerLoss(*(sums.sum(axis=0) for sums in jax.lax.map(part, jnp.arange(len(time) - 1))))

    return jax.lax.map(one, (noise, data), batch_size=at_once)


def spread_times(rows: Float[Array, "n d"], times: int) -> Float[Array, "n times"]:
    """One t in each of as many equal parts of [0, 1] for each row; where in them is spread evenly over the rows.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure import euler
        >>> print(euler.spread_times(jnp.zeros((2, 1)), 2))
        [[0.       0.5     ]
         [0.309017 0.809017]]
    """
    places = (jnp.arange(len(rows), dtype=rows.dtype) * GOLDEN) % 1
    return (jnp.arange(check.integer("times", times, 1), dtype=rows.dtype)[None] + places[:, None]) / times


def walked(field: Callable, start: Float[Array, ""] | float, state: Array, steps: int) -> Array:
    """z(1) of dz/dt = field(t, z), z(start) = state, by Ralston's steps of third order, none of which asks at t = 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure.euler import walked
        >>> print(f"{walked(lambda t, z: z, 0.0, jnp.ones(()), 32):.4f}")
        2.7183
    """
    start = jnp.asarray(start, state.dtype)
    h = (1 - start) / steps

    def step(i, z):
        t = start + i.astype(z.dtype) * h
        first = field(t, z)
        second = field(t + h / 2, z + h / 2 * first)
        third = field(t + 3 / 4 * h, z + 3 / 4 * h * second)
        return z + h / 9 * (2 * first + 3 * second + 4 * third)

    return jax.lax.fori_loop(0, check.integer("steps", steps, 1), step, state)


def axes_for(directions, *rows):
    """The directions as rows, (k, d), in the dtype of the samples, whose shapes must be one.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure.euler import axes_for
        >>> axes_for([[0.6, 0.8]], jnp.zeros((9, 2))).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    if any(one.ndim != 2 or one.shape != rows[0].shape or 0 in one.shape for one in rows):
        shapes = " and ".join(str(one.shape) for one in rows)
        raise ValueError(f"noise and data must be tables of one shape (n, d), n, d ≥ 1; got shape {shapes}")
    d = rows[0].shape[1]
    axes = jnp.eye(d) if directions is None else jnp.asarray(directions)
    if axes.ndim != 2 or axes.shape[1] != d:
        raise ValueError(f"directions must be rows of length {d}, shape (k, {d}); got shape {axes.shape}")
    return axes.astype(rows[0].dtype)
