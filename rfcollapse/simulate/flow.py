"""A linear rectified flow trained again and again on its own samples: finite n, exact in law, thousands of runs.

A round draws n samples x1 = G z of the last flow G, pairs them with independent noise x0, fits the velocity matrix of
every time step by least squares, and follows it from t = 0 to 1. An Euler step of the fitted velocity is the regression
of x_t' on x_t itself, E[x_t' x_tᵀ] E[x_t x_tᵀ]⁻¹. So a flow depends on its pairs through their second moments only, and
those are drawn directly (Bartlett): the cost does not depend on n.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .. import check
from ..check import Count, Covariance, Steps, Whole, choice
from .batches import over_seeds
from .factors import bartlett, descending, diagonal, principal, product

PAIRINGS = ("redrawn", "fixed")
BATCH_BYTES = 2**20  # moments of the seeds of a batch: what a processor's cache holds


class FlowRuns(NamedTuple):
    """What `simulate.flow.run` returns; both spectra have the largest first, and round 0 has the real data."""

    eigenvalues: Float[Array, "seeds rounds_plus_1 dim"]
    """Spectrum of the second moment of the n samples of each round (÷ n, not centred)."""
    variances: Float[Array, "seeds rounds_plus_1 dim"]
    """Spectrum of GGᵀ: the variances that the flow fitted to those samples generates."""


@check.arguments
def run(
    key: Key[Array, ""],
    covariance: Covariance,
    *,
    samples: int,
    steps: Steps,
    rounds: Whole,
    seeds: Count = 1,
    pairing: choice(PAIRINGS) = "redrawn",
) -> FlowRuns:
    """G = Π_i E[x_t' x_tᵀ] E[x_t x_tᵀ]⁻¹ over the steps t → t' (the last one leftmost), x_t = (1−t)x0 + t x1.

    E is the mean over the pairs of a round, whose x1 are n fresh samples G z of the flow of the round before.

    Args:
        key: a JAX random key.
        covariance: Σ, (d, d), of the real data N(0, Σ); only its eigenvalues matter.
        samples: n ≥ 1 a round; ≥ d for "fixed" pairs.
        steps: N uniform Euler steps, or a grid of N + 1 times from 0 to 1.
        rounds: J ≥ 0.
        seeds: independent runs, ≥ 1.
        pairing: "redrawn", each x1 meets ever new noise (training without end: E x0x0ᵀ = I, E x0x1ᵀ = 0 exactly); or
            "fixed", each x1 keeps the one x0 that was drawn for it.

    Source: ours.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from rfcollapse.simulate import flow
        >>> run = flow.run(jax.random.key(0), np.array([[4.0]]), samples=100, steps=10, rounds=5, seeds=3)
        >>> run.variances.shape
        (3, 6, 1)
    """
    samples = check.integer("samples", samples, len(covariance) if pairing == "fixed" else 1)
    return _simulate(jax.random.split(key, seeds), covariance, steps, float(samples), rounds, pairing)


# The number of samples is traced, so that a sweep compiles once.
@partial(jax.jit, static_argnames=("rounds", "pairing"))
def _simulate(keys, covariance, time, samples, rounds, pairing):
    dimension = len(covariance)
    spread = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(covariance)[::-1], 0.0))

    def one_round(scales, keys):
        """A round between principal axes: those of the flow (z and x0 do not notice), then those of its samples."""
        if pairing == "redrawn":
            drawn = scales[:, None] * bartlett(keys, dimension, samples) / samples**0.5
            sampled = principal(drawn)[0]
            cross, noise_moment = jnp.zeros_like(drawn), diagonal(jnp.ones_like(sampled))
        else:
            both = bartlett(keys, 2 * dimension, samples) / samples**0.5
            drawn, noise = scales[:, None] * both[:dimension], both[dimension:]
            sampled, turned = principal(drawn, jnp.concatenate([drawn, noise], axis=1))
            data, noise = turned[:, : 2 * dimension], turned[:, 2 * dimension :]
            cross, noise_moment = product(noise, _transposed(data)), product(noise, _transposed(noise))
        flow = euler_map(noise_moment, diagonal(sampled**2), cross, time)
        scales = descending(principal(flow)[0])
        return scales, jnp.stack([descending(sampled) ** 2, scales**2])

    def several_seeds(keys):
        start = jnp.repeat(spread[:, None], len(keys), axis=1)
        inputs = jax.vmap(lambda key: jax.random.split(key, rounds + 1))(keys).T
        _, spectra = jax.lax.scan(one_round, start, inputs)
        return FlowRuns(*jnp.transpose(spectra, (1, 3, 0, 2)))

    return over_seeds(several_seeds, keys, max(1, BATCH_BYTES // (8 * (6 * dimension) ** 2)))


def euler_map(
    noise_moment: Float[Array, "dim dim seeds"],
    data_moment: Float[Array, "dim dim seeds"],
    cross_moment: Float[Array, "dim dim seeds"],
    time: Float[Array, " nodes"],
) -> Float[Array, "dim dim seeds"]:
    """G of pairs with moments Q0 = E x0x0ᵀ, Q1 = E x1x1ᵀ, E x0x1ᵀ: the product of regressions of x_t' on x_t."""

    def moment(after, before):
        """E[x_after x_beforeᵀ]."""
        mixed = (1 - after) * before * cross_moment + after * (1 - before) * _transposed(cross_moment)
        return (1 - after) * (1 - before) * noise_moment + mixed + after * before * data_moment

    def step(flow, span):
        before, after = span
        return product(moment(after, before), _solved(moment(before, before), flow)), None

    start = jnp.zeros_like(data_moment) + jnp.eye(len(data_moment))[:, :, None]
    return jax.lax.scan(step, start, (time[:-1], time[1:]))[0]


def _solved(matrix, right):
    """matrix⁻¹ right for positive definite matrices, by elimination, which then needs no pivots."""

    def eliminate(k, table):
        row = table[k] / table[k, k][None]
        return (table - table[:, k, None] * row[None]).at[k].set(row)

    table = jnp.concatenate([matrix, right], axis=1)
    return jax.lax.fori_loop(0, len(matrix), eliminate, table)[:, len(matrix) :]


def _transposed(matrices):
    return jnp.swapaxes(matrices, 0, 1)
