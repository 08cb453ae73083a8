"""How straight the paths of a flow are, and what is lost by walking them there and back.

Each measure returns one number per path or sample, so that its mean comes with a standard error.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from .. import check
from ..check import Samples


@check.in_float64
def straightness(
    paths: Real[ArrayLike, "times n d"], times: Real[ArrayLike, " times"] | None = None
) -> Float[Array, " n"]:
    """S = ∫ |(z_b − z_a) − (b − a) ż|² dt / (b − a) along each path: 0 if straight and of constant speed.

    ż is constant between neighbouring times, as it is for Euler steps. The unit is that of z, squared; the mean over
    paths is the S(Z) of Liu, Gong and Liu, arXiv 2209.03003.

    Args:
        paths: z of n samples at each time, first and last included.
        times: t_0 = a, …, t_N = b, all increasing or all decreasing; uniform on [0, 1] where not given.

    Example:
        >>> from rfcollapse.measure import paths
        >>> paths.straightness([[[0.0]], [[1.0]], [[4.0]]]).tolist()  # half of the time at speed 2, half at 6
        [4.0]
    """
    paths = check.real("paths", paths)
    if paths.ndim != 3 or len(paths) < 2 or 0 in paths.shape:
        raise ValueError(f"paths must have shape (steps + 1, n, d) with steps, n, d ≥ 1; got shape {paths.shape}")
    if times is None:
        return _straightness(paths, jnp.linspace(0, 1, len(paths), dtype=jnp.float64))
    times = check.real("times", times)
    if times.shape != (len(paths),):
        raise ValueError(f"times must have shape ({len(paths)},), one for each state in paths; got shape {times.shape}")
    steps = jnp.diff(times)
    if not check.traced(times) and not (jnp.all(steps > 0) or jnp.all(steps < 0)):
        raise ValueError(f"times must all increase or all decrease; got {times}")
    return _straightness(paths, times)


@jax.jit
def _straightness(paths, times):
    steps = jnp.diff(times)[:, None]
    fraction = steps / (times[-1] - times[0])
    missed = (paths[-1] - paths[0])[None] - jnp.diff(paths, axis=0) / fraction[:, :, None]
    return jnp.sum(fraction * jnp.sum(missed**2, axis=2), axis=0)


@check.arguments
def reconstruction_error(samples: Samples, reconstruction: Samples) -> Float[Array, " n"]:
    """|x̂ − x|² for each sample: x run backwards to noise and forwards again gives x̂.

    Args:
        samples, reconstruction: x and x̂, rows in the same order.

    Example:
        >>> from rfcollapse.measure import paths
        >>> paths.reconstruction_error([[0.0, 0.0]], [[3.0, 4.0]]).tolist()
        [25.0]
    """
    if samples.shape != reconstruction.shape:
        raise ValueError(
            f"samples and reconstruction must have one shape; got {samples.shape} and {reconstruction.shape}"
        )
    return jnp.sum((reconstruction - samples) ** 2, axis=1)
