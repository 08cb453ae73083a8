"""Speed and memory of this machine: `rfcollapse bench`, or `python benchmarks/bench.py`.

Results are kept per device in benchmarks/results/, one named section each; a section that is measured again replaces
the old one, the others stay. Seconds are medians of repetitions in which all contenders take turns, so that a ratio
compares what ran side by side. The file is written anew after every measurement, and one that fails says why in its
row and costs no other.
"""

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache, partial
from pathlib import Path

import bench_images
import bench_training
import jax
import jax.numpy as jnp
import numpy as np
from contenders import ROOT, Case, card, peer, race, versions

from rfcollapse import check
from rfcollapse.learn.devices import this_machine, use_all_cores
from rfcollapse.output import columns
from rfcollapse.simulate import batches, dae, direct, factors, reduced

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "equinox")
ROUNDS, QUICK_SEEDS = 50, 40


@check.in_float64
def run(
    names: list[str], *, quick: bool = False, folder: Path | None = None, peers: str | None = None
) -> tuple[dict, Path]:
    """Measures sections and merges them into the device's file; returns all that is in it, and its path.

    Args:
        names: of SECTIONS; none means all.
        quick: sizes that show that all of it runs, and nothing else; written to runs/.
        folder: where to write instead.
        peers: a Python that has the packages of benchmarks/requirements-peers.txt; None measures ours alone.

    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise ValueError(f"no section named {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    theirs = versions(peers, "torch_flow") if peers else {}
    use_all_cores()
    folder = folder or ROOT / ("runs" if quick else "benchmarks/results")
    label, about = this_machine()
    path = folder / f"{label}.json"
    found = json.loads(path.read_text()) if path.exists() else {"sections": {}}
    found["device"] = about | card()
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in names or SECTIONS:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        start = time.perf_counter()
        compared = name in bench_training.WITH_PEERS
        about = {"date": date.today().isoformat(), "quick": quick, "versions": packages | (theirs if compared else {})}
        rows = []
        for head, measure in SECTIONS[name](quick, peers) if compared else SECTIONS[name](quick):
            try:
                measured = measure()
            except Exception as error:
                measured = [{"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}]
                print(f"bench: {name} {head or ''}: {measured[0]['failed']}", file=sys.stderr, flush=True)
            rows += [head | row for row in measured]
            found["sections"][name] = about | {"took": round(time.perf_counter() - start, 1), "rows": rows}
            path.write_text(json.dumps(found, indent=1) + "\n")
    return found, path


def spectrum(dimension: int) -> np.ndarray:
    """Variances that outlast the rounds, since a dead direction costs less."""
    return np.diag(np.linspace(80.0, 160.0, dimension))


def ours(method: str, dimension: int, samples: int, seeds: int, rounds: int) -> Callable:
    key, covariance = jax.random.key(0), spectrum(dimension)
    settings = dict(noise_std=1.0, samples=samples, seeds=seeds, rounds=rounds, method=method)
    return lambda: dae.run(key, covariance, **settings)


def numpys(dimension: int, samples: int, rounds: int) -> Callable:
    simulate, covariance = peer("numpy_dae").simulate, spectrum(dimension)
    return lambda: simulate(np.random.default_rng(0), covariance, 1.0, rounds, samples)


def methods(quick: bool) -> Iterator[Case]:
    """The reduced process against the samples in JAX and in NumPy: seconds for one seed and round, d = 8."""
    seeds = QUICK_SEEDS if quick else 10_000
    # Samples, then seeds and rounds of the two slow ones.
    sizes = [(100, 2, 3)] if quick else [(100, 500, ROUNDS), (10_000, 8, ROUNDS), (1_000_000, 2, 3)]

    def measure(samples, slow_seeds, slow_rounds):
        seconds = race(
            {
                "reduced": ours("reduced", 8, samples, seeds, ROUNDS),
                "direct": ours("direct", 8, samples, slow_seeds, slow_rounds),
                "numpy": numpys(8, samples, slow_rounds),
            },
            1 if quick else 3,
        )
        each = {
            "reduced": seconds["reduced"] / (seeds * (ROUNDS + 1)),
            "direct": seconds["direct"] / (slow_seeds * (slow_rounds + 1)),
            "numpy": seconds["numpy"] / (slow_rounds + 1),
        }
        row = {"all_seconds": seconds["reduced"]} | {f"{name}_seconds": value for name, value in each.items()}
        return [row | {f"{name}_ratio": each[name] / each["reduced"] for name in ("direct", "numpy")}]

    for samples, slow_seeds, slow_rounds in sizes:
        head = {"samples": samples, "seeds": seeds, "rounds": ROUNDS}
        yield head, partial(measure, samples, slow_seeds, slow_rounds)


def against_samples(quick: bool) -> Iterator[Case]:
    """The cost of the reduced process against n, d = 8."""
    seeds = QUICK_SEEDS if quick else 4000
    sizes = [10**power for power in range(2, 7)]

    def measure():
        seconds = race({n: ours("reduced", 8, n, seeds, ROUNDS) for n in sizes}, 1 if quick else 5)
        each = {n: value / (seeds * (ROUNDS + 1)) for n, value in seconds.items()}
        return [{"samples": n, "seconds": each[n], "ratio": each[n] / each[sizes[0]]} for n in sizes]

    yield {}, measure


def against_dimension(quick: bool) -> Iterator[Case]:
    """The cost of the reduced process against d, beside NumPy's at n = 10⁴: seconds for one seed and round."""
    n, rounds = (100, ROUNDS) if quick else (10_000, 10)

    def measure(dimension):
        seeds = QUICK_SEEDS if quick else max(64, 32768 // dimension**2)
        contenders = {"reduced": ours("reduced", dimension, n, seeds, rounds), "numpy": numpys(dimension, n, rounds)}
        seconds = race(contenders, 1 if quick else 3)
        each = {"reduced": seconds["reduced"] / seeds / (rounds + 1), "numpy": seconds["numpy"] / (rounds + 1)}
        row = {f"{name}_seconds": value for name, value in each.items()}
        return [row | {"numpy_ratio": each["numpy"] / each["reduced"]}]

    for dimension in (8,) if quick else (2, 4, 8, 16, 32, 64):
        yield {"dimension": dimension, "samples": n}, partial(measure, dimension)


def memory(quick: bool) -> Iterator[Case]:
    """Bytes that the compiled programs need beside their inputs, as XLA plans them: results and scratch, d = 8."""
    seeds, rounds = (8, 2) if quick else (1000, ROUNDS)
    given = jax.random.split(jax.random.key(0), seeds), jnp.asarray(spectrum(8)), None, jnp.ones(()), jnp.ones(())
    given += (jnp.zeros(rounds + 1),)
    kind = "alone"

    @cache  # here n is an input of the program, which is therefore the same for all n
    def ours():
        return _planned(reduced._simulate.lower(given[0], jnp.ones(8), *given[3:], jnp.float64(0), 8, kind, True))

    def measure(n):
        samples = _planned(direct.simulate.lower(*given, batches.Process(kind, n, 8, 0, "own")))
        return [{"reduced_bytes": ours(), "direct_bytes": samples}]

    for n in (100, 1000) if quick else (100, 10_000, 1_000_000):
        yield {"samples": n, "seeds": seeds, "rounds": rounds}, partial(measure, n)


def _planned(program) -> int:
    plan = program.compile().memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes


def parts(quick: bool) -> Iterator[Case]:
    """What a round of the reduced process is made of, d = 8, n = 10⁶: seconds for one seed on one device."""
    dimension, seeds, repeats = 8, 128, 5 if quick else 200
    keys = jax.random.split(jax.random.key(0), seeds)
    free = 10.0**6 - jnp.arange(dimension, dtype=jnp.float64)
    root = factors.diagonal(jnp.ones((dimension, seeds)) * jnp.linspace(9.0, 12.0, dimension)[:, None])
    noise = factors.normal(keys, dimension**2).reshape(root.shape) / 1000
    pieces = {
        "normal draws": lambda keys, _: factors.normal(keys, dimension * (3 * dimension - 1) // 2),
        "χ draws": lambda keys, _: factors.chi(keys, free),
        "QR": lambda _, shift: factors.folded(root + shift, noise + shift),
        "principal axes": lambda _, shift: factors.principal(jnp.tril(noise.T).T + root + shift, root)[0],
    }

    def repeated(piece):
        def once(total, i):
            shift = i.astype(jnp.float64) * 1e-9
            return total + jnp.sum(piece(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys), shift)), None

        return jax.jit(lambda: jax.lax.scan(once, jnp.zeros(()), jnp.arange(repeats))[0])

    def measure():
        seconds = race({name: repeated(piece) for name, piece in pieces.items()}, 1 if quick else 5)
        total = sum(seconds.values())
        each = {name: value / (repeats * seeds) for name, value in seconds.items()}
        return [{"part": name, "seconds": each[name], "share": seconds[name] / total} for name in pieces]

    yield {}, measure


SECTIONS = (
    {
        "methods": methods,
        "samples": against_samples,
        "dimension": against_dimension,
        "memory": memory,
        "parts": parts,
    }
    | bench_training.SECTIONS
    | bench_images.SECTIONS
)


def table(found: dict) -> str:
    """All sections as plain columns."""
    lines = [f"{found['device']['name']}, {found['device']['devices']} device(s)"]
    for name, section in found["sections"].items():
        lines += ["", f"{name} ({section['date']}, jax {section['versions']['jax']})"]
        header = list(dict.fromkeys(key for row in section["rows"] for key in row))
        cells = [header] + [[_shown(row.get(name, "")) for name in header] for row in section["rows"]]
        lines.append(columns(cells, right=True))
    return "\n".join(lines)


def _shown(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def add_options(parser: argparse.ArgumentParser):
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)}; all where none is given")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, written to runs/: does it run?")
    parser.add_argument("--peers", metavar="PYTHON", help="one with benchmarks/requirements-peers.txt, to compare with")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (benchmarks/results, or runs)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options: argparse.Namespace) -> int:
    found, path = run(options.section, quick=options.quick, folder=options.out, peers=options.peers)
    print(json.dumps(found) if options.json else f"{table(found)}\n\nwritten to {path}")
    return int(any("failed" in row for name in options.section or SECTIONS for row in found["sections"][name]["rows"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python benchmarks/bench.py", description=__doc__.partition("\n")[0])
    add_options(parser)
    sys.exit(command(parser.parse_args()))
