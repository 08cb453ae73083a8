"""The times at which a sampler steps from noise (t = 0) to data (t = 1), and the best choice of them for Euler."""

import math
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from ... import check
from ...check import Count, Positive


class Grid(NamedTuple):
    """N + 1 times, their complements and the N steps between them."""

    time: Float[Array, " nodes"]
    """t_0 = 0 < t_1 < … < t_N = 1."""
    rest: Float[Array, " nodes"]
    """s_i = 1 − t_i, free of cancellation where the grid is uniform."""
    step: Float[Array, " steps"]
    """h_i = t_{i+1} − t_i."""


def time_grid(name, steps):
    """t_i = i/N for a number of steps N; or the times given, as `check.time_grid` has them."""
    time = jnp.asarray(check.time_grid(name, steps))
    if np.ndim(steps) == 0:
        return Grid(time, time[::-1], jnp.full(len(time) - 1, 1 / (len(time) - 1)))
    return Grid(time, 1 - time, jnp.diff(time))


Steps = Annotated[check.Steps | Grid, time_grid]
"""N uniform steps, or a grid of N + 1 times from 0 to 1; the function gets them as a `Grid`."""


@check.arguments
def best_grid(variance: Positive, steps: Count) -> Float[Array, " nodes"]:
    """The grid of N Euler steps that minimises the log-variance Σ_λ −ln Π cos²(θ_{i+1} − θ_i) lost over a spectrum.

    For one variance the equal angles θ_i = πi/(2N) are best, t_i = sin θ_i/(sin θ_i + √λ cos θ_i), with the loss
    −2N ln cos(π/2N) whatever λ is. For several, in z = ln(t/(1−t)) and w = z + ½ ln λ, the loss is

        2 Σ_i ln cosh w_i − 2 Σ_i ln cosh ½(w_i + w_{i+1}) + w_1 − w_{N−1} + 2 ln 2     summed over λ,

    minimised here by Newton's method in a trust region from the grid that is best for N → ∞, whose density in z is
    √Σ_λ sech²w. Ours. The minimum found is a local one; on every spectrum tried it was the global one.

    Args:
        variance: λ > 0, the spectrum, of any shape.
        steps: N ≥ 1.

    Returns:
        t_0 = 0 … t_N = 1, to be given as `steps` to the samplers.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> [round(t, 2) for t in flow.best_grid(np.array([1.0, 4.0]), 4).tolist()]
        [0.0, 0.21, 0.41, 0.65, 1.0]
    """
    half_log = np.log(np.ravel(variance)) / 2
    nodes = _dense_grid(half_log, steps)
    if steps > 1 and half_log.size > 1:
        functions = {"jac": _loss_slope, "hess": _loss_hessian}
        options = {"method": "trust-exact", "options": {"gtol": 1e-10}}
        nodes = scipy.optimize.minimize(_spectrum_loss, nodes, (half_log,), **functions, **options).x
    return jnp.concatenate([jnp.zeros(1), jax.nn.sigmoid(jnp.asarray(nodes)), jnp.ones(1)])


# All of this is NumPy, which compiles nothing for a new number of steps or of variances.
def _dense_grid(half_log, steps):
    """The N − 1 inner z that cut ∫√Σ sech²(z + ½ ln λ) dz into N equal parts: equal angles where there is one λ."""
    parts = np.arange(1, steps) / steps
    if half_log.size == 1:
        return np.log(np.tan(parts * math.pi / 2)) - half_log[0]
    z = np.linspace(-half_log.max() - 20, -half_log.min() + 20, 20_001)
    density = np.sqrt(np.mean(_sech_square(z[:, None] + half_log[None, :]), axis=1))
    below = np.cumsum(density)
    return np.interp(parts, below / below[-1], z)


def _spectrum_loss(z, half_log):
    """Mean log-variance lost over the spectrum; z the N − 1 inner nodes."""
    at, between = _arguments(z, half_log)
    corners = 2 * np.sum(_log_cosh(at), axis=1) - 2 * np.sum(_log_cosh(between), axis=1)
    return np.mean(corners) + z[0] - z[-1] + 2 * math.log(2)


def _loss_slope(z, half_log):
    at, between = (np.mean(np.tanh(w), axis=0) for w in _arguments(z, half_log))
    # Beyond the ends, where z is ∓∞, tanh is ∓1: the terms z_1 − z_{N−1} of the loss.
    return 2 * at - np.append(between, 1.0) - np.append(-1.0, between)


def _loss_hessian(z, half_log):
    at, between = (np.mean(_sech_square(w), axis=0) for w in _arguments(z, half_log))
    diagonal = 2 * at - (np.append(between, 0.0) + np.append(0.0, between)) / 2
    return np.diag(diagonal) - (np.diag(between, 1) + np.diag(between, -1)) / 2


def _arguments(z, half_log):
    """w at the nodes, and halfway between neighbours."""
    w = z[None, :] + half_log[:, None]
    return w, (w[:, 1:] + w[:, :-1]) / 2


def _sech_square(w):
    return 1 / np.cosh(np.clip(w, -300, 300)) ** 2


def _log_cosh(w):
    return np.logaddexp(w, -w) - math.log(2)
