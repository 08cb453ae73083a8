"""The process with its samples: draw, fit, pass through, round after round."""

import functools

import jax
import jax.numpy as jnp

from ..schemes import mixed
from .batches import DaeRuns, Process, over_seeds

BATCH_BYTES = 256 * 2**20  # samples of all seeds that are alive at once


@functools.partial(jax.jit, static_argnames="process")
def simulate(keys, covariance, data, noise_std, resample_std, fractions, process: Process) -> DaeRuns:
    """`simulate.dae.run` on samples; the other arguments as there, checked there.

    Args:
        keys: one per seed.
        fractions: α of rounds 0 … J.
    """
    dimension = len(covariance) if data is None else data.shape[1]
    samples = process.samples
    rounds = {"alone": _own, "own": _own, "cohorts": _cohorts, "accumulate": _accumulate}[process.kind]
    if data is None:
        variances, directions = jnp.linalg.eigh(covariance)
        root = directions * jnp.sqrt(jnp.maximum(variances, 0.0))[None]

    def one_seed(key):
        first, rest = jax.random.split(key)
        real = data if data is not None else jax.random.normal(first, (samples, dimension), jnp.float64) @ root.T
        _, basis = jnp.linalg.eigh(real.T @ real / samples)
        keys = jax.random.split(rest, len(fractions))
        moments, gains, kept = rounds(keys, real, noise_std, resample_std, fractions, process)
        along = jnp.einsum("id,jie,ed->jd", basis, moments, basis)
        # No array of size 0 may leave the map over seeds.
        return DaeRuns(jnp.linalg.eigvalsh(moments)[:, ::-1], along[:, ::-1], gains, kept if process.keep else None)

    slots = len(fractions) + 1 if process.kind in ("cohorts", "accumulate") else 1
    return over_seeds(jax.vmap(one_seed), keys, max(1, BATCH_BYTES // (8 * slots * samples * dimension)), lapack=True)


def _fit(moment, noise_std, rank):
    """The best linear denoiser of rank k, symmetric, and its operator norm."""
    variances, directions = jnp.linalg.eigh(moment)
    variances, directions = jnp.maximum(variances[-rank:], 0.0), directions[:, -rank:]
    gains = variances / (variances + noise_std**2)
    return (directions * gains[None]) @ directions.T, gains[-1]


def _own(keys, real, noise_std, resample_std, fractions, process):
    """Replace, each round from the last alone; real data enter the fit only."""
    real_moment = real.T @ real / process.samples

    def one_round(latest, inputs):
        key, fraction = inputs
        moment = latest.T @ latest / process.samples
        fitted, gain = _fit(mixed(moment, real_moment, fraction), noise_std, process.rank)
        noise = jax.random.normal(key, real.shape, jnp.float64)
        return (latest + resample_std * noise) @ fitted, (moment, gain, latest[: process.keep])

    return jax.lax.scan(one_round, real, (keys, fractions))[1]


def _cohorts(keys, real, noise_std, resample_std, fractions, process):
    """Replace, the whole pool passed on: slot 0 descends from round 0, slot j+1 from the real data given at round j."""
    slots = len(fractions) + 1

    def one_round(carry, inputs):
        cohorts, weights = carry
        key, fraction, slot = inputs
        moment = jnp.einsum("c,cni,cnj->ij", weights, cohorts, cohorts) / process.samples
        seen = cohorts[0, : process.keep]
        cohorts, weights = cohorts.at[slot].set(real), ((1 - fraction) * weights).at[slot].set(fraction)
        pool = jnp.einsum("c,cni,cnj->ij", weights, cohorts, cohorts) / process.samples
        fitted, gain = _fit(pool, noise_std, process.rank)
        noise = jax.random.normal(key, cohorts.shape, jnp.float64)
        return ((cohorts + resample_std * noise) @ fitted, weights), (moment, gain, seen)

    start = jnp.zeros((slots, *real.shape)).at[0].set(real), jnp.zeros(slots).at[0].set(1.0)
    return jax.lax.scan(one_round, start, (keys, fractions, jnp.arange(1, slots)))[1]


def _accumulate(keys, real, noise_std, resample_std, fractions, process):
    """All rounds kept in equal weights; new rows are drawn from them, or made from the latest round."""
    samples, dimension = real.shape
    slots = len(fractions)
    real_moment = real.T @ real / samples

    def one_round(carry, inputs):
        history, moment = carry
        key, fraction, j = inputs
        pool = mixed(moment, real_moment, fraction)
        fitted, gain = _fit(pool, noise_std, process.rank)
        pick, noisy = jax.random.split(key)
        if process.resample_from == "pool":
            # One draw says whether a row is real, slot 0, and then its place among those.
            level, held = jax.random.uniform(pick, (samples,), jnp.float64), samples * (j.astype(jnp.float64) + 1)
            real_place, place = samples * level / fraction, held * (level - fraction) / (1 - fraction)
            rows = jnp.where(level < fraction, jnp.minimum(real_place, samples - 1), jnp.minimum(place, held - 1))
            source = history.reshape(-1, dimension)[rows.astype(int)]
        else:
            source = history[j]
        generated = (source + resample_std * jax.random.normal(noisy, real.shape, jnp.float64)) @ fitted
        longer = moment + (generated.T @ generated / samples - moment) / (j.astype(jnp.float64) + 2)
        seen = history[j, : process.keep]
        # The last round's product has no slot; dropping it is what "drop" says.
        return (history.at[j + 1].set(generated, mode="drop"), longer), (moment, gain, seen)

    start = jnp.zeros((slots, *real.shape)).at[0].set(real), real_moment
    return jax.lax.scan(one_round, start, (keys, fractions, jnp.arange(slots)))[1]
