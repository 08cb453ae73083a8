"""What N uniform Euler steps of the exact velocity lose in one round, for any density in one dimension. Ours.

x0 ~ N(0, 1), x1 of the density p, v(x, t) = E[x1 − x0 | x_t = x]. The Gaussian law, `theory.flow.euler_gain`, is not a
floor here: heavy tails lose more, points and modes less.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from ... import check
from ...check import Count
from .densities import COARSEST, Points, Values, masses_of, resolved
from .posterior import AT_ONCE, REACH, blurred, inverse, posterior

NODES = (1001, 2001, 4001, 8001, 16_001, 32_001)  # of the noise x0, an even grid: as many as it takes
ALLOWED = 1e-9  # of the second moment, change from one number of nodes to the next
MOST_TIMES, FEWEST_TIMES = 16, 6  # of the Gauss–Legendre rule in t


@check.arguments
def euler_loss(points: Points, density: Values, steps: Count) -> Float[Array, ""]:
    """E|x1|² − E|x̂_N|²: the second moment about 0 that N uniform Euler steps of the exact velocity lose.

    The noise is carried along as it is: an even grid of x0, each with its mass, made finer until nothing changes.

    Args:
        points: increasing, with gaps of at most 1/(1.5 (N−1)): the last step sees the data with a noise of 1/(N−1).
        density: p ≥ 0 on them, of mass 1.
        steps: N ≥ 1.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata, flow
        >>> points = np.linspace(-20, 20, 801)
        >>> density = np.exp(-(points**2) / 8) / np.sqrt(8 * np.pi)  # variance 4
        >>> round(float(anydata.euler_loss(points, density, 10)), 6)
        1.030822
        >>> round(4 - float(flow.euler_gain(4.0, 10)) ** 2, 6)
        1.030822
    """
    mass = masses_of(points, density)
    if steps > 1:
        resolved(points, 1 / (steps - 1))
    log_mass, second, coarse = jnp.log(mass), mass @ points**2, jnp.inf
    for nodes in NODES:
        fine = _stepped(points, log_mass, steps, nodes)
        if abs(fine - coarse) <= ALLOWED * second:
            return second - fine
        coarse = fine
    raise ValueError(f"the flow of this density is too steep: its modes are too narrow for {NODES[-1]} paths")


@check.arguments
def euler_loss_rate(points: Points, density: Values) -> Float[Array, ""]:
    """lim N × `euler_loss` = ∫E[x1 Φ'(x_t) a(x_t, t)] dt, a = ∂_t v + v v' the acceleration, Φ the flow from t to 1.

    Each step errs by a/(2N²), which the flow carries on. In one dimension Φ matches quantiles, F_1(Φ(x)) = F_t(x), so
    that the expectation is ∫u p_t(x) a(x, t) du at u = Φ(x); and a = (ε̄ μ2 − μ3 t/(1−t))/(1−t)³, where μ are central
    moments of x1 given x_t and ε̄ the mean of x0. The Gauss–Legendre rule in θ, tan θ = √λ t/(1−t).

    λ(1 + πk/4), k = √λ + 1/√λ, for a Gaussian of variance λ.

    Args:
        points: increasing, with gaps up to .03 standard deviations; .006 allow all 16 nodes.
        density: p ≥ 0 on them, of mass 1.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-20, 20, 801)
        >>> density = np.exp(-(points**2) / 8) / np.sqrt(8 * np.pi)  # variance 4: 4 (1 + 2.5π/4) = 11.85398
        >>> round(float(anydata.euler_loss_rate(points, density)), 5)
        11.85398
    """
    mass = masses_of(points, density)
    std = float(jnp.sqrt(mass @ points**2))
    times, weight = _times(float(jnp.diff(points).max()), std)
    level = CubicSpline(points, density).antiderivative()(points)
    return weight @ _pushed(points, mass, jnp.asarray(level), jnp.asarray(times))


def _times(gap, std):
    """Gauss–Legendre nodes and weights in θ, tan θ = √λ t/(1−t), as many as the points resolve; as times."""
    for count in range(MOST_TIMES, FEWEST_TIMES - 1, -1):
        node, weight = np.polynomial.legendre.leggauss(count)
        sine, cosine = np.sin(np.pi / 4 * (1 + node)), np.cos(np.pi / 4 * (1 + node))
        if std * cosine[-1] / sine[-1] >= COARSEST * gap:
            return sine / (std * cosine + sine), np.pi / 4 * weight * std / (std * cosine + sine) ** 2
    raise ValueError(f"points must lie closer for a limit: gaps of {0.03 * std:.2g} are narrow enough; got {gap:.4g}")


@jax.jit
def _pushed(points, mass, level, times):
    """∫u p_t(x) a(x, t) du at each time, x the quantile of x_t at the level of u."""
    log_mass = jnp.log(mass)

    def at(t):
        left = 1 - t

        def below(x):
            chances = jax.lax.map(lambda one: mass @ ndtr((one - t * points) / left), x, batch_size=AT_ONCE)
            return chances, blurred(t * points, log_mass, left, x)

        grid = jnp.linspace(t * points[0] - REACH * left, t * points[-1] + REACH * left, len(points))
        x = inverse(below, level, grid)
        mean, second, third = posterior(points, log_mass, left, x, scale=t)
        acceleration = ((x - t * mean) * second - t * third) / left**4
        return jnp.trapezoid(points * blurred(t * points, log_mass, left, x) * acceleration, points)

    return jax.lax.map(at, times)


@partial(jax.jit, static_argnums=(2, 3))
def _stepped(points, log_mass, steps, nodes):
    """E|x̂_N|²."""
    noise = jnp.linspace(-REACH, REACH, nodes)
    chance = jnp.exp(-(noise**2) / 2)

    def step(i, x):
        t = i / steps
        mean, *_ = posterior(points, log_mass, 1 - t, x, scale=t)
        return x + (mean - x) / (steps - i)

    return chance @ jax.lax.fori_loop(0, steps, step, noise) ** 2 / chance.sum()
