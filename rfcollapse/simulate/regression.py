"""Least squares refitted to its own predictions: inputs and labels are drawn, and the normal equations are solved."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

from .. import check
from ..check import Count, Whole, choice
from ..schemes import SCHEDULES


@check.arguments
@partial(jax.jit, static_argnames=("dimension", "samples", "rounds", "seeds", "schedule", "same_inputs"))
def run(
    key: Key[Array, ""] | UInt32[Array, "2"],
    dimension: Count,
    *,
    samples: Count,
    rounds: Whole,
    seeds: Count = 1,
    schedule: choice(SCHEDULES) = "replace",
    same_inputs: bool = False,
) -> Float[Array, "seeds rounds_and_one"]:
    """|w_j − w_0|² at rounds 0…J, for inputs N(0, I), noise N(0, 1) and w_0 = 0, which loses nothing.

    Another w_0 moves every fit alike, another covariance of the inputs is another basis, and σ² is a factor.

    Args:
        key: a JAX random key.
        dimension: d ≥ 1.
        samples: T ≥ d a round.
        rounds: J ≥ 0.
        seeds: independent runs, ≥ 1.
        schedule: "replace" or "accumulate".
        same_inputs: the inputs of the first round in all of them.

    Example:
        >>> import jax
        >>> from rfcollapse.simulate import regression
        >>> regression.run(jax.random.key(0), 3, samples=8, rounds=4, seeds=2).shape
        (2, 5)
    """
    check.integer("samples", samples, dimension)
    kept = 1.0 if schedule == "accumulate" else 0.0
    first_key, later_key = jax.random.split(key)
    first = jax.random.normal(first_key, (seeds, samples, dimension))

    def one_round(carry, key):
        weights, gram, moment = carry
        input_key, noise_key = jax.random.split(key)
        inputs = first if same_inputs else jax.random.normal(input_key, first.shape)
        labels = inputs @ weights + jax.random.normal(noise_key, (seeds, samples, 1))
        gram, moment = kept * gram + inputs.mT @ inputs, kept * moment + inputs.mT @ labels
        weights = jnp.linalg.solve(gram, moment)
        return (weights, gram, moment), jnp.sum(weights**2, axis=(1, 2))

    zero = jnp.zeros((seeds, dimension, 1))
    start = zero, zero * zero.mT, zero
    errors = jax.lax.scan(one_round, start, jax.random.split(later_key, rounds))[1]
    return jnp.concatenate([jnp.zeros((seeds, 1)), errors.T], axis=1)
