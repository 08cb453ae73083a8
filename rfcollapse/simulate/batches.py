"""What both ways of simulating share: the shape of a run, and how seeds are spread over memory and devices."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float


class DaeRuns(NamedTuple):
    """What `simulate.dae.run` returns."""

    eigenvalues: Float[Array, "seeds rounds_plus_1 dim"]
    """Spectrum of each round's second moment XᵀX/n (not centred), largest first."""
    variances: Float[Array, "seeds rounds_plus_1 dim"]
    """Variance of each round's data along the principal directions of the real data, in the same order."""
    gains: Float[Array, "seeds rounds_plus_1"]
    """Operator norm of the map fitted to each round's training set."""
    kept: Float[Array, "seeds rounds_plus_1 keep dim"] | None
    """The first `keep` samples of each round; None unless asked for."""


class Process(NamedTuple):
    """The static part of a simulation."""

    kind: str
    """"alone" (replace, no real data), "own" (replace, fitted with real data, resampled from the latest round),
    "cohorts" (replace, the whole pool) or "accumulate"."""
    samples: int
    """n."""
    rank: int
    """k ≤ d."""
    keep: int
    """Samples to return of each round."""
    resample_from: str
    """"pool" or "own"; read by "accumulate" only."""


def over_seeds(several_seeds: Callable, keys: jax.Array, batch: int, *, lapack: bool = False):
    """several_seeds(keys), at most `batch` seeds at a time, the seeds shared out among all devices.

    Each seed has its own key, so the numbers do not depend on batches or devices. Call it under `jax.jit`.

    Args:
        lapack: several_seeds calls LAPACK, which can lock up when two CPU devices call it at once: they then do not
            share.
    """
    devices = jax.devices()
    alone = lapack and devices[0].platform == "cpu"
    count = 1 if alone or len(keys) < len(devices) else len(devices)
    per_device = -(-len(keys) // count)
    batches = -(-per_device // batch)
    size = -(-per_device // batches)
    # Batches of one size need one compilation; what they have too many is dropped again.
    padded = keys[jax.numpy.arange(count * batches * size) % len(keys)].reshape(count * batches, size)

    def mapped(batches):
        return jax.lax.map(several_seeds, batches)

    if count > 1:
        mesh = Mesh(np.array(devices), ("seeds",))
        spec = PartitionSpec("seeds")
        mapped = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[: len(keys)], mapped(padded))
