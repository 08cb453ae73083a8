"""Roots that no formula gives, by halving a bracket: elementwise, and the same in every program that is compiled."""

import jax
import jax.numpy as jnp

HALVINGS = 70  # of a bracket's logarithm: down to rounding for any two numbers of float64
DEAD = 1e-200  # what counts as nothing


def bisected(below, low, high):
    """The x > 0 from low to high where below(x) turns from True to False."""

    def halve(_, bracket):
        low, high = bracket
        middle = jnp.sqrt(low) * jnp.sqrt(high)
        short = below(middle)
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    return jnp.sqrt(low) * jnp.sqrt(high)
