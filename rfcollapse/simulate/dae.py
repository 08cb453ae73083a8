"""The self-training of a linear denoising autoencoder, run on samples or on what of them matters.

Round j fits the best linear denoiser W_j to the second moment of its training set, then passes samples with fresh noise
through it: X_{j+1} = W_j (X_j + s E_j). `direct` carries the samples, `reduced` their second moments.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from .. import check
from ..check import Count, Covariance, Fraction, NonnegativeScalar, PositiveScalar, Samples, Whole, choice
from ..schemes import SCHEDULES, SOURCES
from . import direct, reduced
from .batches import DaeRuns, Process

METHODS = ("reduced", "direct")


@check.arguments
def run(
    key: Key[Array, ""],
    covariance: Covariance | None,
    *,
    noise_std: PositiveScalar,
    rounds: Whole,
    samples: Count | None = None,
    seeds: Count = 1,
    resample_std: NonnegativeScalar | None = None,
    real_fraction: Fraction = 0.0,
    resample_from: choice(SOURCES) = "pool",
    schedule: choice(SCHEDULES) = "replace",
    real_every: Count = 1,
    data: Samples | None = None,
    rank: int | None = None,
    method: choice(METHODS) = "reduced",
    keep: int = 0,
) -> DaeRuns:
    """X_{j+1} = W_j (X_j + s E_j), W_j = S_j (S_j + σ²)^(-1) truncated to rank k, from n real samples X_0 on.

    With a fraction α of real data the map is fitted to S = (1−α) S_j + α S_0. From the "pool", everything in it is
    passed on: each round's data are then weighted cohorts, of weight α(1−α)^a at age a, and nothing is subsampled. From
    "own", only X_j is passed on. "accumulate" fits to all rounds so far in equal weights; its pool is resampled by
    drawing n rows with replacement, real ones with probability α. Real data come in at rounds 0, K, 2K, ….

    Args:
        key: a JAX random key.
        covariance: Σ, (d, d), of the Gaussian real data. None when `data` are given.
        noise_std: σ > 0, the training noise.
        rounds: J ≥ 0.
        samples: n ≥ 1. Needed unless `data` are given.
        seeds: independent runs, ≥ 1. With `data` they share the real data and differ in the noise.
        resample_std: s ≥ 0; None is σ.
        real_fraction: α in [0, 1]; or (rounds + 1,), one for each round's fit.
        resample_from: "pool" or "own".
        schedule: "replace" or "accumulate".
        real_every: K ≥ 1.
        data: (n, d), real data to start from instead of Gaussian ones; the second moment is not centred.
        rank: k, from 1 to d; None is d.
        method: "reduced" carries only the second moments, which have the same law as those of the samples, at a cost
            that does not depend on n; where that cannot be done (n < d, or "accumulate" from the pool) it is "direct",
            which carries the samples.
        keep: how many samples of every round to return; each is followed from round to round, except under
            "accumulate" from the pool, where every round draws anew. With real data from the "pool" they are the cohort
            that is as old as the run, which is not a sample of the pool. Needs method="direct".

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from rfcollapse.simulate import dae
        >>> run = dae.run(jax.random.key(0), np.diag([4.0, 1.0]), samples=100, noise_std=1.0, rounds=5, seeds=3)
        >>> run.eigenvalues.shape, run.gains.shape
        ((3, 6, 2), (3, 6))
    """
    resample_std = noise_std if resample_std is None else resample_std
    samples, dimension = _shape(covariance, data, samples)
    rank = dimension if rank is None else check.integer("rank", rank, 1, dimension)
    keep = check.integer("keep", keep, 0, samples)
    if jnp.shape(real_fraction) not in ((), (rounds + 1,)):
        raise ValueError(f"real_fraction must be one number or {rounds + 1}; got shape {jnp.shape(real_fraction)}")

    if method == "reduced" and keep:
        raise ValueError(f"keep needs method='direct', since 'reduced' has no samples; got keep = {keep}")
    reducible = samples >= dimension and (schedule, resample_from) != ("accumulate", "pool")
    simulate = reduced.simulate if method == "reduced" and reducible else direct.simulate
    fractions = jnp.where(jnp.arange(rounds + 1) % real_every == 0, real_fraction, 0.0)
    if schedule == "accumulate":
        kind = "accumulate"
    elif not bool(jnp.any(fractions > 0)):
        kind = "alone"
    else:
        kind = "cohorts" if resample_from == "pool" else "own"
    process = Process(kind, samples, rank, keep, resample_from)
    return simulate(jax.random.split(key, seeds), covariance, data, noise_std, resample_std, fractions, process)


def _shape(covariance, data, samples):
    """(n, d) from the two ways to say what the real data are, checked against each other."""
    if data is not None:
        if covariance is not None:
            raise ValueError("covariance must be None when data are given: the data have their own")
        if samples is not None and samples != data.shape[0]:
            raise ValueError(f"samples must be None or the {data.shape[0]} rows of data; got {samples}")
        return data.shape
    if covariance is None or samples is None:
        raise ValueError("give covariance and samples, or data; got neither in full")
    return samples, len(covariance)
