"""What record_*.py have in common: parts that take minutes each, kept in one file, so that a recording can go on."""

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Callable, Collection
from datetime import date
from functools import partial
from pathlib import Path

import jax
from contenders import ROOT, card

from rfcollapse.claims import repeats
from rfcollapse.learn import devices
from rfcollapse.output import replace


def add_seed(parser):
    """The option --seed, as `rfcollapse reproduce` has it."""

    def seed(word):
        return repeats.seed(word, ROOT)

    words = "7, or later:1 (see `rfcollapse reproduce --help`); what is not of seed 0 goes into runs/seed-7/results"
    parser.add_argument("--seed", default="0", type=seed, metavar="N", help=words)


def command(about: str, parts: dict[str, Callable], name: str, arguments=None):
    """The command line of a program whose parts each take a key: PART …, --seed N; writes NAME_<platform>.json.

    A part's place among the parts decides its key.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("part", nargs="*", help="; ".join(parts))
    add_seed(parser)
    options = parser.parse_args(arguments)
    key = jax.random.key(options.seed)
    keyed = {part: partial(made, jax.random.fold_in(key, index)) for index, (part, made) in enumerate(parts.items())}
    record(keyed, options.part, repeats.results(ROOT, options.seed) / f"{name}_{jax.devices()[0].platform}.json")


def record(parts: dict[str, Callable[[], object]], wanted: Collection[str], path: Path):
    """Runs the parts that are wanted, or all that the file lacks, and adds each to it when it is done.

    Another process may do other parts meanwhile.
    """
    for name in wanted or parts:
        if not wanted and name in repeats.read(path):
            continue
        print(name, file=sys.stderr, flush=True)
        start, result = time.time(), parts[name]()
        versions = {package: importlib.metadata.version(package) for package in ("jax", "equinox", "optax")}
        about = {"device": devices.this_machine()[1] | card(), "date": date.today().isoformat()}
        about |= {"versions": {"python": platform.python_version()} | versions, "seconds": round(time.time() - start)}
        found = repeats.read(path) | {name: about | {"result": short(result)}}
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
        replace(path, "{\n" + lines + "\n}\n")


def short(result):
    """Numbers to seven digits, as many as float32 has."""
    if isinstance(result, dict):
        return {key: short(value) for key, value in result.items()}
    if isinstance(result, list):
        return [short(value) for value in result]
    return float(f"{result:.7g}") if isinstance(result, float) else result
