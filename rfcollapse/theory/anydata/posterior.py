"""What is known of x after it was seen as y = x + σε: the best denoiser D(y) = E[x | y] of a law given by atoms."""

import jax
import jax.numpy as jnp
import numpy as np

AT_ONCE = 256  # observations that are compared with all atoms at a time: memory
REACH = 9.0  # standard deviations of the noise beyond which nothing is counted
NEWTON = 4  # steps, from a start by linear interpolation


@jax.jit
def posterior(atoms, log_mass, noise_std, seen, scale=1.0):
    """Mean, variance and third central moment of x, atoms of e^log_mass, given scale · x + σε = y, for each y seen."""

    def one(y):
        chance = jax.nn.softmax(log_mass - ((y - scale * atoms) / noise_std) ** 2 / 2)
        mean = chance @ atoms
        away = atoms - mean
        return mean, chance @ away**2, chance @ away**3

    return jax.lax.map(one, seen, batch_size=AT_ONCE)


@jax.jit
def blurred(atoms, log_mass, noise_std, seen):
    """The density of x + sε at y."""

    def one(y):
        return jax.nn.logsumexp(log_mass - ((y - atoms) / noise_std) ** 2 / 2)

    return jnp.exp(jax.lax.map(one, seen, batch_size=AT_ONCE)) / (noise_std * np.sqrt(2 * np.pi))


def inverse(increasing, level, grid):
    """The x at which an increasing function takes a level, increasing(x) being its values and its slopes.

    Interpolated between points of an even grid, then Newton's steps, none of them wider than the grid's.
    """
    widest = grid[1] - grid[0]
    x = jnp.interp(level, increasing(grid)[0], grid)
    for _ in range(NEWTON):
        value, slope = increasing(x)
        x = x - jnp.clip((value - level) / jnp.where(slope > 0, slope, 1.0), -widest, widest)
    return x
