"""2-D mixtures: mean 0, E|x|² = 2 in the population."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .. import check

EIGHT_GAUSSIANS_STD = 0.1
TWO_MOONS_STD = 0.1


@check.in_float64
def eight_gaussians(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x = r (cos πk/4, sin πk/4) + s z, k uniform on 0 … 7, s = 0.1, r = √(2(1 − s²)): mean 0, covariance 1.

    Args:
        key: draws them.
        n: ≥ 1 rows.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> data.eight_gaussians(jax.random.key(0), 100).shape
        (100, 2)
    """
    key_mode, key_noise = jax.random.split(key)
    mode = jax.random.randint(key_mode, (check.integer("n", n, 1),), 0, 8)
    angle = mode.astype(jnp.float64) * (jnp.pi / 4)
    centre = jnp.sqrt(2 * (1 - EIGHT_GAUSSIANS_STD**2)) * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return centre + EIGHT_GAUSSIANS_STD * jax.random.normal(key_noise, (n, 2), dtype=jnp.float64)


@check.in_float64
def two_moons(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x = (y − (½, ¼)) / c, y = (cos θ, sin θ) or (1 − cos θ, ½ − sin θ) with equal chance, + s z; θ uniform on [0, π].

    s = 0.1 and c² = ½(¾ + 9/16 − 1/π) + s², half the trace of y's covariance, make the mean 0 and E|x|² = 2; one
    common scale keeps the shape. The moons are those of scikit-learn's `make_moons`.

    Args:
        key: draws them.
        n: ≥ 1 rows.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> data.two_moons(jax.random.key(0), 100).shape
        (100, 2)
    """
    key_angle, key_side, key_noise = jax.random.split(key, 3)
    angle = jax.random.uniform(key_angle, (check.integer("n", n, 1),), dtype=jnp.float64, maxval=jnp.pi)
    upper = jnp.stack([jnp.cos(angle) - 0.5, jnp.sin(angle) - 0.25], axis=1)
    side = jnp.where(jax.random.bernoulli(key_side, shape=(n, 1)), 1.0, -1.0)  # the lower moon is the upper one turned
    noise = TWO_MOONS_STD * jax.random.normal(key_noise, (n, 2), dtype=jnp.float64)
    return (side * upper + noise) / jnp.sqrt((3 / 4 + 9 / 16 - 1 / jnp.pi) / 2 + TWO_MOONS_STD**2)


@check.in_float64
def checkerboard(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x uniform on the eight dark fields of a 4 × 4 board on [−√3, √3]²: mean 0, variances 1, correlation 3/16.

    Args:
        key: draws them.
        n: ≥ 1 rows.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> data.checkerboard(jax.random.key(0), 100).shape
        (100, 2)
    """
    key_field, key_place = jax.random.split(key)
    field = jax.random.randint(key_field, (check.integer("n", n, 1),), 0, 8)
    column, half = field // 2, field % 2
    corner = jnp.stack([column, 2 * half + column % 2], axis=1).astype(jnp.float64) - 2
    return (corner + jax.random.uniform(key_place, (n, 2), dtype=jnp.float64)) * (jnp.sqrt(3.0) / 2)
