"""The leading axis of every array of a training run: one entry per seed, spread over the devices.

On CPU the seeds of one device take turns, for XLA's matmuls gain nothing from a batch of small ones; the speed-up on
several cores comes from one XLA device per core, `jax.config.update("jax_num_cpu_devices", 2)` before anything else is
computed. On a GPU the seeds of one device go together.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = PartitionSpec("seeds")


def mesh(seeds: int) -> Mesh:
    """As many of the devices as divide the number of seeds, in a row."""
    devices = jax.devices()
    count = max(count for count in range(1, len(devices) + 1) if seeds % count == 0)
    return Mesh(np.array(devices[:count]), ("seeds",))


def each(function: Callable, mesh: Mesh) -> Callable:
    """The function of one seed made into one of all seeds: every argument and result gains a leading axis of seeds."""

    def in_turn(*arguments):
        return jax.lax.map(lambda one: function(*one), arguments)

    local = in_turn if mesh.devices.flat[0].platform == "cpu" else jax.vmap(function)
    return jax.shard_map(local, mesh=mesh, in_specs=AXIS, out_specs=AXIS, check_vma=False)


def spread(tree, mesh: Mesh):
    """The arrays of a tree, with a leading axis of seeds, placed on their devices."""
    return jax.device_put(tree, NamedSharding(mesh, AXIS))
