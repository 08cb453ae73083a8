"""Several processes, on one machine or on many, that make one run together: all compute, the first keeps the folder.

Each runs the same program, `jax.distributed` joins them, and the seeds are spread over the devices of all.
"""

import hashlib
import json
import os
import re
import socket
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from .. import check
from ..learn import devices
from ..output import as_json

PATIENCE = 300  # seconds for the others to come, which JAX has, too
APART = "the processes of a run must be started alike, with the same options, data, code and versions; they were not"


def add_options(command: ArgumentParser):
    """The options of `rfcollapse reflow` that join processes."""
    command.add_argument(
        "--distributed", action="store_true", help="one of several processes, as SLURM and the like say"
    )
    command.add_argument(
        "--coordinator", metavar="HOST:PORT", help="the same, where nobody says: process 0 listens here"
    )
    command.add_argument("--processes", type=int, metavar="N", help="how many there are, with --coordinator")
    command.add_argument("--process", type=int, metavar="I", help="which of them this is, from 0, with --coordinator")


def join(options: Namespace):
    """Joins the processes that the options name, before anything is computed; without such options nothing happens.

    Raises:
        ValueError: options that do not go together, or no cluster that JAX knows.
        ConnectionError: nobody listens at the coordinator's address after five minutes, or process 0 cannot. (Where
            others fail to come, JAX ends the process after as long.)
    """
    named = options.coordinator, options.processes, options.process
    if named == (None, None, None):
        if not options.distributed:
            return
    elif None in named:
        raise ValueError("--coordinator HOST:PORT, --processes N and --process I go together; give all three")
    else:
        if not re.fullmatch(r".+:\d+", options.coordinator):
            raise ValueError(f"--coordinator must be HOST:PORT; got {options.coordinator!r}")
        check.integer("--process", options.process, 0, check.integer("--processes", options.processes, 1) - 1)
        if options.process > 0:
            _require_listener(options.coordinator)
        elif options.processes > 1:
            print(f"waiting for {options.processes} processes at {options.coordinator}", file=sys.stderr)
    try:
        jax.distributed.initialize(*named)
    except ValueError as error:
        remedy = "name --coordinator HOST:PORT, --processes N and --process I"
        raise ValueError(f"--distributed finds no cluster in this environment ({error}): {remedy}") from None
    except RuntimeError as error:
        raise ConnectionError(f"process 0 cannot listen there: {str(error).splitlines()[0]}") from None
    # The C++ that connects CPUs talks on stdout, which is for results: it shall do so on stderr.
    sys.stdout = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), 1)


def _require_listener(coordinator):
    """ConnectionError in a line, where JAX would end the process with a trace of its C++."""
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                raise ConnectionError(f"process 0 does not listen at {coordinator} ({error}): is it started?") from None
            time.sleep(0.2)


def is_first() -> bool:
    """Whether this process keeps the folder, and says what there is to say."""
    return jax.process_index() == 0


def require_alike(config: dict):
    """ValueError in all processes where one has another config than the others."""
    digest = np.frombuffer(hashlib.sha256(as_json(config).encode()).digest(), np.uint8)
    if jax.process_count() > 1 and np.ptp(multihost_utils.process_allgather(digest), axis=0).any():
        raise ValueError(APART)


def from_first(function: Callable[[], Any]) -> Any:
    """What the function gives in the first process, which alone calls it, in all of them; it must be plain JSON.

    An error that it raises there, ValueError or OSError, is raised in all.
    """
    if jax.process_count() == 1:
        return function()
    said, own = {}, None
    if is_first():
        try:
            said = {"value": function()}
        except (ValueError, OSError) as error:
            own, said = error, {"refused" if isinstance(error, ValueError) else "failed": str(error)}
    text = np.frombuffer(as_json(said).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    text = multihost_utils.broadcast_one_to_all(text if is_first() else np.zeros(size, np.uint8))
    said = json.loads(np.asarray(text, np.uint8).tobytes())
    if "value" in said:
        return said["value"]
    raise own or (ValueError(said["refused"]) if "refused" in said else OSError(said["failed"]))


def gathered(models: eqx.Module) -> eqx.Module:
    """The models with all their arrays on the host of every process."""
    return jax.tree.map(lambda leaf: devices.fetch(leaf) if eqx.is_array(leaf) else leaf, models)


def models_of_first(models: Sequence[eqx.Module | None], like: eqx.Module, count: int) -> list[eqx.Module | None]:
    """The first and the last of so many models, with None between, in all processes as the first process has them."""
    if jax.process_count() == 1 or not count:
        return list(models)
    params, static = eqx.partition(like, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), params)
    ends = [eqx.filter(one, eqx.is_array) for one in (models[0], models[-1])] if is_first() else [blank, blank]
    start, end = (eqx.combine(one, static) for one in multihost_utils.broadcast_one_to_all(ends))
    return [start, *[None] * (count - 2), end][:count]
