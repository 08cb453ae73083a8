"""How straight the paths of a flow are, and what is lost by walking them in few steps, or there and back.

Each measure returns one number per path or sample, so that its mean comes with a standard error. Paths are arrays
(steps + 1, n, d): the state of n samples at each time, first and last included.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from .. import check


def straightness(
    paths: Real[ArrayLike, "times n d"], times: Real[ArrayLike, " times"] | None = None
) -> Float[Array, " n"]:
    """S = ∫ |(z_b − z_a) − (b − a) ż|² dt / (b − a) along each path: 0 if straight and of constant speed.

    paths: z at each time. times: t_0 = a, …, t_N = b, all increasing or all decreasing, uniform on [0, 1] where not
    given; ż is constant between neighbouring times, as it is for Euler steps. The unit is that of z, squared; the mean
    over paths is the S(Z) of Liu, Gong and Liu, arXiv 2209.03003. Raises ValueError for other shapes or times.
    """
    paths = _paths(paths)
    return _straightness(paths, _times(times, len(paths)))


@jax.jit
def _straightness(paths, times):
    steps = jnp.diff(times)[:, None]
    fraction = steps / (times[-1] - times[0])
    missed = (paths[-1] - paths[0])[None] - jnp.diff(paths, axis=0) / fraction[:, :, None]
    return jnp.sum(fraction * jnp.sum(missed**2, axis=2), axis=0)


def curvature(paths: Real[ArrayLike, "times n d"]) -> Float[Array, " n"]:
    """∫ κ ds, the total curvature of each path: the sum of its turning angles in radians (a full circle has 2π).

    paths: z at each time; a sample that stands still for a step turns by nothing before and after it. Unlike
    `straightness`, it depends neither on the speed nor on the unit of z. Raises ValueError for other shapes.
    """
    return _curvature(_paths(paths))


@jax.jit
def _curvature(paths):
    chord = jnp.diff(paths, axis=0)
    before, after = chord[:-1], chord[1:]
    one = before * jnp.linalg.norm(after, axis=2, keepdims=True)
    two = after * jnp.linalg.norm(before, axis=2, keepdims=True)
    # Kahan's angle between vectors: accurate also where it is tiny, in any dimension
    half = jnp.arctan2(jnp.linalg.norm(one - two, axis=2), jnp.linalg.norm(one + two, axis=2))
    return 2 * jnp.sum(half, axis=0)


def reconstruction_error(samples: Real[ArrayLike, "n d"], reconstruction: Real[ArrayLike, "n d"]) -> Float[Array, " n"]:
    """|x̂ − x|² for each sample: x run backwards to noise and forwards again gives x̂.

    samples, reconstruction: x and x̂, rows in the same order. The unit is that of x, squared. Raises ValueError for
    shapes that differ.
    """
    samples, reconstruction = _paired(samples=samples, reconstruction=reconstruction)
    return jnp.sum((reconstruction - samples) ** 2, axis=1)


def step_discrepancy(one_step: Real[ArrayLike, "n d"], many_steps: Real[ArrayLike, "n d"]) -> Float[Array, " n"]:
    """|x − y|² / (mean |y − ȳ|²) for each sample, x made in one step (or few) and y in many from the same noise.

    one_step, many_steps: x and y, rows in the same order. The mean over samples is the part of the variance of y that
    the short cut misses: 0 for a straight flow, 1 for x = ȳ, what one step of an untrained coupling gives. Raises
    ValueError for shapes that differ, or where all y are alike.
    """
    one_step, many_steps = _paired(one_step=one_step, many_steps=many_steps)
    variance = jnp.sum(jnp.var(many_steps, axis=0))
    if not isinstance(variance, jax.core.Tracer) and variance == 0:
        raise ValueError("many_steps must have rows that differ; got rows all alike")
    return jnp.sum((one_step - many_steps) ** 2, axis=1) / variance


def _paths(paths):
    paths = check.real("paths", paths)
    if paths.ndim != 3 or len(paths) < 2 or 0 in paths.shape:
        raise ValueError(f"paths must have shape (steps + 1, n, d) with steps, n, d ≥ 1; got shape {paths.shape}")
    return paths


def _times(times, count):
    if times is None:
        return jnp.linspace(0, 1, count, dtype=jnp.float64)
    times = check.real("times", times)
    if times.shape != (count,):
        raise ValueError(f"times must have shape ({count},), one for each state in paths; got shape {times.shape}")
    if not isinstance(times, jax.core.Tracer):
        steps = jnp.diff(times)
        if not (jnp.all(steps > 0) or jnp.all(steps < 0)):
            raise ValueError(f"times must all increase or all decrease; got {times}")
    return times


def _paired(**tables):
    (name, one), (other_name, two) = ((name, check.samples(name, table)) for name, table in tables.items())
    if one.shape != two.shape:
        raise ValueError(f"{name} and {other_name} must have one shape; got {one.shape} and {two.shape}")
    return one, two
