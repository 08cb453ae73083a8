"""The leading axis of every array of a training run: one entry per seed, spread over the devices.

On CPU the seeds of one device take turns, for XLA's matmuls gain nothing from a batch of small ones; the speed-up on
several cores comes from one XLA device per core, `jax.config.update("jax_num_cpu_devices", 2)` before anything else is
computed. On a GPU the seeds of one device go together. A second axis, "shards", parts the batches of each seed among
devices: more memory where a batch is too large for one, and on CPU more speed where there are fewer seeds than cores,
for XLA's matmuls make little of several cores while they are small. The devices may belong to several processes, on
several machines, that all run the same program (`jax.distributed.initialize` at its start, or
`rfcollapse reflow --distributed`).
"""

import contextlib
import math
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .. import check

AXIS = PartitionSpec("seeds")
LARGEST_SEED = 2**63 - 1  # that JAX takes
OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def mesh(seeds: int, shards: int = 1) -> Mesh:
    """As many of the devices as divide the number of seeds, in rows of `shards` devices that share a seed.

    Of several processes each in turn gives a row. ValueError where one has no part in it, for all run the same program.
    """
    devices = jax.devices()
    rows = len(devices) // check.integer("shards", shards, 1, len(devices))
    count = max(count for count in range(1, rows + 1) if seeds % count == 0)
    found = np.array(devices[: rows * shards]).reshape(rows, shards)
    owners = [row[0].process_index for row in found]
    in_turn = sorted(range(rows), key=lambda row: (owners[:row].count(owners[row]), row))
    used = found[in_turn[:count]]
    if (parts := len({device.process_index for device in used.flat})) < jax.process_count():
        said = f"{seeds} seeds by {shards} shards occupy devices of {parts} of {jax.process_count()} processes"
        raise ValueError(f"{said}: take more seeds or shards, or fewer processes")
    return Mesh(used, ("seeds", "shards"))


def each(function: Callable, mesh: Mesh) -> Callable:
    """The function of one seed made into one of all seeds: every argument and result gains a leading axis of seeds."""

    def in_turn(*arguments):
        return jax.lax.map(lambda one: function(*one), arguments)

    local = in_turn if _take_turns(mesh) else jax.vmap(function)
    return jax.shard_map(local, mesh=mesh, in_specs=AXIS, out_specs=AXIS, check_vma=False)


def _take_turns(mesh):
    return mesh.devices.flat[0].platform == "cpu"


def in_parts(function: Callable, *rows: jax.Array):
    """function(*rows), row by row, in a program of `each`: the devices that share a seed do a part each and tell it."""
    count = len(rows[0])
    size = -(-count // jax.lax.axis_size("shards"))
    places = jnp.minimum(jax.lax.axis_index("shards") * size + jnp.arange(size, dtype=jnp.int32), count - 1)
    done = function(*(row[places] for row in rows))
    return jax.tree.map(lambda part: jax.lax.all_gather(part, "shards", tiled=True)[:count], done)


def spread(tree, mesh: Mesh):
    """The arrays of a tree, with a leading axis of seeds, placed on their devices; every process has all of them."""
    sharding = NamedSharding(mesh, AXIS)
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda array: _placed(array, sharding), tree)


def fetch(array: jax.Array) -> np.ndarray:
    """The whole array on the host of every process."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def _placed(array, sharding):
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return jax.device_put(array, sharding)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_placed(jax.random.key_data(array), sharding))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def key(seed: int) -> jax.Array:
    """The random key of a seed from 0 to 2⁶³ − 1; with 32 bits, JAX would give seeds 2³² apart the same one."""
    with jax.enable_x64(True):
        return jax.random.key(check.integer("seed", seed, 0, LARGEST_SEED))


def cores() -> int:
    """Those this process may use: by its affinity, and by the quota of its control groups, rounded up."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [*_limits("cpu.max"), *_limits("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    return min([own, *(math.ceil(quota / period) for quota, period in quotas)])


def memory() -> float:
    """Bytes this process may use: what the machine has, its control groups and limits allow; inf where nobody says."""
    known = [limit for (limit,) in [*_limits("memory.max"), *_limits("memory.limit_in_bytes")]]
    with contextlib.suppress(AttributeError, OSError, ValueError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        known += [limit] * (limit != resource.RLIM_INFINITY)
    return float(min(known, default=math.inf))


def require_memory(needs: Mapping[str, int]):
    """ValueError where arrays do not fit the memory, for an allocation that fails may end the process.

    Args:
        needs: bytes, by the setting that makes them many.
    """
    largest, total, has = max(needs, key=needs.get), sum(needs.values()), memory()
    if total > has:
        said = f"{largest} needs {needs[largest] / 2**30:.3g} GiB of memory, of {total / 2**30:.3g} in all"
        raise ValueError(f"{said}; this process may use {has / 2**30:.3g}: take fewer")


def _limits(*names) -> Iterator[list[int]]:
    """The numbers in these files together, of each of this process's control groups and those above that has some."""
    with contextlib.suppress(OSError):  # no Linux
        for line in OWN_GROUPS.read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            for place in (GROUPS / kind / group.lstrip("/") for kind in kinds.split(",")):  # version 2 has no kind
                for folder in (place, *place.parents):
                    with contextlib.suppress(OSError, ValueError):
                        numbers = [int(word) for name in names for word in (folder / name).read_text().split()]
                        if min(numbers) > 0:
                            yield numbers


def use_all_cores():
    """One XLA device per core on CPU: seeds are spread over devices. Too late once anything has been computed."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", cores())


def this_machine() -> tuple[str, dict]:
    """A name fit for a file, and what is known of the device."""
    first = jax.devices()[0]
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        processor = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text()).group(1).strip()
    name = first.device_kind if first.platform != "cpu" else f"{processor} {cores()} cores"
    about = {"name": name, "platform": first.platform, "devices": jax.device_count()}
    about |= {"cpu": processor, "cores": cores(), "python": platform.python_version()}
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"), about
