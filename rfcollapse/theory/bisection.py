"""Roots that no formula gives, by halving a bracket: elementwise, and the same in every program that is compiled."""

import jax
import jax.numpy as jnp

HALVINGS = 70  # of a bracket in logarithms: down to rounding for any two variances in float64


def bisected(below, low, high, halvings=HALVINGS):
    """The x in [low, high] where below(x) turns from True to False."""

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        short = below(middle)
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    low, high = jax.lax.fori_loop(0, halvings, halve, (low, high))
    return (low + high) / 2
