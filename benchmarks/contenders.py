"""Those who are measured side by side, in turns: functions of ours, and the programs of benchmarks/.

Imported before rfcollapse, this makes it that of the same checkout, installed or not.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from types import ModuleType

import jax

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

Case = tuple[dict, Callable[[], list[dict]]]
"""Of a section: what its rows begin with, and a function that measures their rest."""


def race(contenders: dict[Hashable, Callable], repetitions: int, *, warm: bool = False) -> dict[Hashable, float]:
    """Median seconds of each contender; they take turns, after one turn each that is not timed (compilation).

    warm: each has had that turn already.
    """
    times = {name: [] for name in contenders}
    for turn in range(warm, repetitions + 1):
        for name, contender in contenders.items():
            seconds = timed(contender)
            if turn > 0:
                times[name].append(seconds)
    return {name: statistics.median(some) for name, some in times.items()}


def first_turns(contenders: dict[Hashable, Callable]) -> tuple[dict[Hashable, float], dict[Hashable, str]]:
    """Seconds of one turn each, compilation included; of those in other processes that fail, why."""
    seconds, failed = {}, {}
    for name, contender in contenders.items():
        try:
            seconds[name] = timed(contender)
        except OSError as error:  # ours has no other process, and what befalls it is raised
            failed[name] = str(error)
    return seconds, failed


def timed(contender: Callable) -> float:
    """Seconds of one turn."""
    start = time.perf_counter()
    jax.block_until_ready(contender())
    return time.perf_counter() - start


def card() -> dict:
    """What beside the packages decides speed and rounding on a GPU; nothing on a CPU.

    "matmul_precision" is that of float32 products, None where the device chooses.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return {}
    packages = (((one.name or "").replace("_", "-"), one.version) for one in importlib.metadata.distributions())
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,power.limit", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        told = None
    return {
        "plugins": {name: version for name, version in packages if name.startswith("jax-cuda")},
        "platform_version": str(getattr(device.client, "platform_version", "")),
        "bytes_limit": (device.memory_stats() or {}).get("bytes_limit"),
        "nvidia_smi": told,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "matmul_precision": jax.config.jax_default_matmul_precision,
    }


def peer(name: str) -> ModuleType:
    """A program of benchmarks/, by the name of its file."""
    specification = importlib.util.spec_from_file_location(name, _path(name))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@cache
def versions(python: str, name: str) -> dict[str, str]:
    """What a program of benchmarks/ says of the packages that it finds in another Python environment.

    Raises ValueError where it finds them not.
    """
    try:
        asked = subprocess.run([python, _path(name), "--versions"], capture_output=True, text=True)
        error = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
    except OSError as problem:
        error = str(problem)
    else:
        if asked.returncode == 0:
            return json.loads(asked.stdout)
    raise ValueError(
        f"{python} cannot run benchmarks/{name}.py: {error} (what it needs is in benchmarks/requirements-peers.txt)"
    )


class Peers(contextlib.ExitStack):
    """Processes, alike, of a program of benchmarks/ in another Python environment; they stop when the context ends.

    Where one stops before, so do the others, and the next request starts all anew.
    """

    def __init__(self, count: int, python: str, name: str, *arguments: str):
        super().__init__()
        self.count, self.command = count, [python, _path(name), *arguments]
        self._start()

    def ask(self, **request) -> list[dict]:
        """The answers of all, once each has done what is requested; they work at the same time.

        ChildProcessError where one answers {"error": …}, or not at all.
        """
        if any(process.poll() is not None for process in self.processes):
            self.close()
            self._start()
        for process in self.processes:
            print(json.dumps(request), file=process.stdin, flush=True)
        answers = self._answers()
        for answer in answers:
            if "error" in answer:
                raise ChildProcessError(answer["error"])
        return answers

    def _start(self):
        pipe = subprocess.PIPE
        self.processes = [subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True) for _ in range(self.count)]
        for process in self.processes:
            self.enter_context(process)  # closes its stdin, at which it ends, and waits
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            self._answers()  # that they are ready
            failed.pop_all()

    def _answers(self):
        lines = [process.stdout.readline() for process in self.processes]
        if not all(lines):
            self.close()
            raise ChildProcessError("a process of the peers stopped; its own words are above")
        return [json.loads(line) for line in lines]


def _path(name):
    path = ROOT / "benchmarks" / f"{name}.py"
    if not path.exists():
        raise ValueError(f"{path} is missing: run the benchmark from a clone of the repository")
    return path
