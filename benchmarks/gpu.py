"""All that this package wants to know of one GPU, in one command of eight minutes.

    python benchmarks/gpu.py [--minutes 8] [--out DIR] [SECTION …]      on a machine with a GPU and PyTorch
    python benchmarks/gpu.py --tiny [--peers PYTHON]                    each section in miniature, on a CPU

Nothing need be installed but the packages: the checkout is enough. The report, gpu_<device>.json, is written anew after
every row. Sections come in the order of their worth; a row that no longer fits into its section's time, or into the
command's, is left out and says so; one that fails says why, and costs nothing else.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
if __name__ == "__main__":
    # A GPU that does not start must not become a CPU that is measured in its place; the CPU stays for comparisons.
    os.environ.setdefault("JAX_PLATFORMS", "cpu" if "--tiny" in sys.argv else "cuda,cpu")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch's process wants its share of the card

import bench_images  # noqa: E402
import bench_training  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from contenders import Peers, card, first_turns, race  # noqa: E402

from rfcollapse import claims, data  # noqa: E402
from rfcollapse.learn import devices, integrate, reflow  # noqa: E402
from rfcollapse.learn.plan import Training  # noqa: E402
from rfcollapse.measure.rates import mean_and_error  # noqa: E402
from rfcollapse.output import plain, replace  # noqa: E402
from rfcollapse.simulate import dae, resampling  # noqa: E402
from rfcollapse.theory import dae as law  # noqa: E402
from rfcollapse.theory import flow  # noqa: E402

PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax", "diffrax", "torch")
PRECISIONS = {"bfloat16": ("bfloat16", None), "tf32": ("float32", None), "float32": ("float32", "highest")}


class Row(NamedTuple):
    """A measurement to be made."""

    name: str
    estimate: float
    """Seconds that it may take on a GPU, compilation included."""
    measure: Callable[[], dict]


class Bench(NamedTuple):
    """What all rows are measured under."""

    tiny: bool
    python: str | None
    """That has PyTorch; None leaves the peers out."""

    def size(self, full, tiny):
        return tiny if self.tiny else full


# ------------------------------------------------------------------------------------------------------ the report


def measured(sections: dict, bench: Bench, minutes: float, path: Path) -> dict:
    """Runs the rows of all sections, writing the report to the path after each."""
    end = time.monotonic() + 60 * minutes
    report = {"date": date.today().isoformat(), "tiny": bench.tiny, "minutes": minutes, "sections": {}}
    for section, (share, rows) in sections.items():
        stop = min(end, time.monotonic() + 60 * minutes * share)  # in miniature all is measured, however long it takes
        written = report["sections"][section] = []
        for row in rows(bench):
            written.append({"row": row.name} | outcome(row, stop - time.monotonic(), bench.tiny))
            replace(path, json.dumps(report, indent=1) + "\n")
            print(f"{section}: {json.dumps(written[-1])}", flush=True)
            if section == "smoke" and written[-1].get("failed"):
                raise ValueError(f"{row.name} failed on this device, so nothing else is worth its time: see {path}")
    return report


def outcome(row: Row, left: float, tiny: bool) -> dict:
    """The row's numbers; or why there are none."""
    if left < row.estimate and not tiny:
        return {"left_out": f"takes about {row.estimate:.0f} s, {max(left, 0):.0f} were left"}
    began = time.monotonic()
    FAILED.clear()
    try:
        result = row.measure()
    except Exception as error:  # whatever befalls one row must not cost the others
        result = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300]}
    result |= {"contenders_failed": dict(FAILED)} if FAILED else {}
    return result | {"took": round(time.monotonic() - began, 2)}


# ------------------------------------------------------------------------------------------------------- sections


def smoke(bench: Bench) -> Iterator[Row]:
    """Is the device there, right, and how fast can it be at most?"""

    def right():
        values = float((jnp.ones(4) + 1).sum()), float(jnp.sqrt(512.0)), jax.random.normal(jax.random.key(0), (1000,))
        if values[0] != 8 or abs(values[1] - 22.627417) > 1e-4 or not bool(jnp.isfinite(values[2]).all()):
            raise ArithmeticError(f"operations outside jit are wrong here: {values[:2]} for (8, 22.627417)")
        return {"eager_operations": "right"}

    def versions():
        found = {name: importlib.metadata.version(name) for name in PACKAGES if has(name)}
        about = {"device": jax.devices()[0].device_kind, "python": sys.version.split()[0], "versions": found}
        return about | card()

    yield Row("operations outside jit", 20, right)
    yield Row("versions", 5, versions)
    for name in PRECISIONS:
        yield Row(f"matmul, {name}", 10, partial(peak, bench, name))
    yield Row("copy", 5, partial(copied, bench))


def agreement(bench: Bench) -> Iterator[Row]:
    """Does this device say what the CPU says? The same programs in a process of its own, on the CPU alone."""

    theirs = {}

    def all_on_cpu():
        theirs.update(elsewhere(COMPARED, bench, {"JAX_PLATFORMS": "cpu"}))
        return {"parts": list(theirs)}

    yield Row("the CPU's numbers", 60, all_on_cpu)
    for part in COMPARED if theirs else ():

        def compared(part=part):
            mine, other = PARTS[part](bench), theirs[part]
            differences = {name: relative(mine[name], other[name]) for name in mine if name != "verdict"}
            verdicts = {"verdict": mine["verdict"], "verdict_cpu": other["verdict"]} if "verdict" in mine else {}
            return {"relative_difference": differences} | verdicts

        yield Row(part, 25, compared)


def seeds(bench: Bench) -> Iterator[Row]:
    """Steps a second of all seeds together, beside PyTorch's loop for one and its ensemble for as many."""
    size = bench_training.Size(*bench.size((128, 512), (8, 16)))
    steps = bench.size(400, 10)
    for count in bench.size((1, 4, 16, 64, 256), (1, 2)):

        def side_by_side(count=count):
            runners = {"ours": bench_training.ours(size, steps, count)}
            for mode in ("eager", "compiled") if count == 1 else ():
                runners[f"torch {mode}"] = asked(bench, mode=mode, steps=steps, **size._asdict())
            runners["torch ensemble"] = asked(bench, mode="ensemble", seeds=count, steps=steps, **size._asdict())
            rates = {name: steps * count / value for name, value in raced(runners, bench).items()}
            single = rates if count == 1 else TOLD.get("seeds", {})
            TOLD.setdefault("seeds", rates)
            against = {name: rates["ours"] / rate for name, rate in (single | rates).items() if name != "ours"}
            return {"seeds": count, "steps_per_second": rates, "ours_against": against} | used(size, rates["ours"])

        yield Row(f"{count} seeds", 45, side_by_side)


def widths(bench: Bench) -> Iterator[Row]:
    """One seed at each width: against PyTorch, the measured peak, and what a step costs that computes nothing."""

    def floor():
        steps = bench.size(2000, 10)
        seconds = raced({"ours": bench_training.ours(bench_training.Size(8, 1), steps)}, bench)["ours"] / steps
        return {"step_seconds": TOLD.setdefault("floor", seconds)}

    yield Row("floor: width 8, batch 1", 15, floor)
    full = [(64, 512), (512, 512), (2048, 512), (2048, 16384), (2048, 16384, "bfloat16"), (512, 16384, "bfloat16")]
    for values in bench.size(full, [(8, 16), (8, 16, "bfloat16")]):
        size = bench_training.Size(*values)

        def beside_torch(size=size):
            steps = bench_training.steps_of(size, bench.tiny)
            runners = {"ours": bench_training.ours(size, steps)}
            modes = ("eager", "compiled", "graphs") if size.batch < 10_000 else ("eager", "compiled")
            for mode in bench.size(modes, ("eager",)):
                runners[f"torch {mode}"] = asked(bench, mode=mode, steps=steps, **size._asdict())
            rates = {name: steps / value for name, value in raced(runners, bench).items()}
            against = {name: rates["ours"] / rate for name, rate in rates.items() if name != "ours"}
            row = size._asdict() | {"steps_per_second": rates, "ours_against": against} | used(size, rates["ours"])
            return row | {"floor_share": TOLD["floor"] * rates["ours"] if "floor" in TOLD else None}

        yield Row(f"width {size.width}, batch {size.batch}, {size.dtype}", 40, beside_torch)


def unet(bench: Bench) -> Iterator[Row]:
    """Images a second in training a U-Net, beside the same net in PyTorch."""
    for shape in bench.size([(32, 32, 3), (28, 28, 1)], [(8, 8, 1)]):
        for dtype in bench.size(("bfloat16", "float32"), ("float32",)):

            def beside_torch(shape=shape, dtype=dtype):
                channels, batch, steps = bench.size((64, 256, 30), (8, 4, 2))
                models = bench_images.net(shape, channels, 1)
                runners = {"ours": bench_images.trained(models, steps, batch, dtype)}
                request = dict(net="unet", shape=shape, channels=channels, batch=batch, dtype=dtype, steps=steps)
                for mode in bench.size(("eager", "compiled"), ("eager",)):
                    runners[f"torch {mode}"] = asked(bench, mode=mode, **request)
                rates = {name: batch * steps / value for name, value in raced(runners, bench).items()}
                work = 3 * bench_images.flops(jax.tree.map(lambda leaf: leaf[0], models).net) * rates["ours"]
                best = TOLD.get("bfloat16" if dtype == "bfloat16" else "tf32")
                row = {"shape": list(shape), "channels": channels, "batch": batch, "dtype": dtype}
                row |= {"images_per_second": rates, "gigaflops": work / 1e9, "peak_share": best and work / best}
                return row | {"ours_against": {name: rates["ours"] / rate for name, rate in rates.items()}}

            yield Row(f"{shape[0]} × {shape[1]} × {shape[2]}, {dtype}", 60, beside_torch)


def resume(bench: Bench) -> Iterator[Row]:
    """Is a run that was interrupted and resumed, in another process, the same to the last bit?"""
    options = "--scheme ra --real-fraction .5 --seeds 1 --pairs 256 --probes 64 "
    large, small = (
        "--data digits --model unet --channels 8 --training-steps 200 --chunk 100",
        "--data eight_gaussians --model linear --training-steps 4 --chunk 2",
    )
    options += bench.size(f"{large} --steps 10", f"{small} --batch 8 --steps 2")

    def resumed(flags):
        flags = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()}
        with tempfile.TemporaryDirectory() as scratch:

            def reflow(folder, rounds, *more):
                words = ["reflow", *options.split(), "--rounds", str(rounds), "--out", f"{scratch}/{folder}", *more]
                python([*("-m", "rfcollapse"), *words], flags)

            reflow("whole", 1)
            reflow("parted", 0)
            reflow("parted", 1, "--resume")
            whole, parted = (Path(scratch, name, "round-001.eqx").read_bytes() for name in ("whole", "parted"))
        # The first line holds the seconds that the round took.
        return {"same_bits": whole.split(b"\n", 1)[1] == parted.split(b"\n", 1)[1], **flags}

    yield Row("as JAX chooses", 100, partial(resumed, ""))
    if not bench.tiny:
        yield Row("deterministic operations", 100, partial(resumed, "--xla_gpu_deterministic_ops=true"))


def sampling(bench: Bench) -> Iterator[Row]:
    """Samples generated and inverted per second, Heun with 40 steps, one model."""
    for width in bench.size((128, 2048), (8,)):

        def both_ways(width=width):
            count = bench.size(65536, 16)
            flow = bench_training.model(bench_training.Size(width, count))
            x = jax.random.normal(jax.random.key(0), (count, bench_training.DIMENSION), dtype=jnp.float32)
            runners = {name: partial(getattr(integrate, name), flow, x) for name in ("generate", "invert")}
            return {"width": width} | {
                f"{name}_per_second": count / value for name, value in raced(runners, bench).items()
            }

        yield Row(f"width {width}", 15, both_ways)


def simulation(bench: Bench) -> Iterator[Row]:
    """The reduced process of `simulate.dae`: seconds for a seed and round."""
    for dimension, count in bench.size(((8, 10_000), (64, 256)), ((2, 4),)):

        def reduced(dimension=dimension, count=count):
            rounds = bench.size(50, 2)
            covariance = np.diag(np.linspace(80.0, 160.0, dimension))
            settings = dict(noise_std=1.0, samples=10**6, seeds=count, rounds=rounds)
            runners = {"ours": lambda: dae.run(jax.random.key(0), covariance, **settings)}
            seconds = raced(runners, bench)["ours"]
            return {"dimension": dimension, "seeds": count, "rounds": rounds, "seconds": seconds} | {
                "seconds_per_seed_and_round": seconds / count / (rounds + 1)
            }

        yield Row(f"d = {dimension}, n = 10⁶, {count} seeds", 30, reduced)


def memory(bench: Bench) -> Iterator[Row]:
    """The most that a process has held on the device, each in a process of its own."""
    for part in ("memory of 256 MLPs", "memory of a U-Net"):
        yield Row(part, 45, lambda part=part: elsewhere([part], bench)[part])


def beside_torch(bench: Bench) -> Iterator[Row]:
    """What JAX takes from a PyTorch training on the same card when a closed form is asked for in between."""
    for name, flags in (("as it is", {}), ("closed forms on the CPU", {"JAX_PLATFORMS": "cpu"})):
        part = "beside torch"
        yield Row(name, 30, lambda flags=flags, part=part: elsewhere([part], bench, flags)[part])


SECTIONS = {  # the largest share of the time that each may take
    "smoke": (0.15, smoke),
    "agreement": (0.25, agreement),
    "seeds": (0.3, seeds),
    "widths": (0.35, widths),
    "unet": (0.35, unet),
    "resume": (0.3, resume),
    "sampling": (0.1, sampling),
    "simulation": (0.1, simulation),
    "memory": (0.15, memory),
    "beside torch": (0.1, beside_torch),
}
TOLD = {}  # numbers that later rows are compared with
FAILED = {}  # contenders of the row in progress, and why


# ------------------------------------------------------------------------- parts that run here and in other processes


def closed_forms(bench):
    """Float64 throughout; one number from each form, in a corner where rounding would show."""
    u = np.geomspace(1e-6, 1e6, 25)
    return {
        "trajectory": law.trajectory(u, 1.0, 30, real_fraction=0.1)[-1],
        "retained_variance": law.retained_variance(u, 1.0, 0.1, resample_std=1.3),
        "lifetime": law.lifetime(u, 1.0),
        "euler_gain": flow.euler_gain(u, 10),
        "self_consuming_rate": flow.self_consuming_rate(u, 20),
        "scheme_trajectory": flow.scheme_trajectory("oras", u, 5, real_fraction=0.3, ridge=0.2, diffusion=0.5)[-1],
        "balance_map": flow.balance_map(np.eye(2), np.diag([4.0, 0.25]), [[1.0, 0.3], [-0.3, 0.2]], ridge=0.1),
    }


def simulations(bench):
    covariance, count = np.diag([8.0, 2.0]), bench.size(64, 4)
    reduced = dae.run(jax.random.key(1), covariance, noise_std=1.0, samples=50, seeds=count, rounds=4)
    direct = dae.run(jax.random.key(1), covariance, noise_std=1.0, samples=50, seeds=4, rounds=4, method="direct")
    refits = resampling.run(jax.random.key(2), 2, samples=20, rounds=20, seeds=count)
    return {"reduced": reduced.eigenvalues, "direct": direct.eigenvalues, "refits": refits}


def one_step(bench):
    """The gradient of one batch, at JAX's own precision ("tf32" on a GPU), at "highest", and in bfloat16."""
    nets = {"mlp": (2, {"width": 64}), "unet": (64, {"shape": (8, 8), "channels": 32})}
    gradients = {}
    for net, (d, options) in list(nets.items())[: bench.size(2, 1)]:  # a U-Net takes long to compile
        on = bench_images.one_step(net, d, options, bench.size(256, 8))
        gradients |= {f"{net} {name}": on(jax.devices()[0], *chosen)[1] for name, chosen in PRECISIONS.items()}
    return gradients


def short_training(bench):
    run = trained_on_gaussians(bench, rounds=1, steps=bench.size(200, 20))
    return {"loss": run.loss, "variances": run.eigenvalues}


def a_claim(bench):
    """`law-linear-reflow` in small: the change of log-variance in two rounds of Reflow under input noise."""
    run = trained_on_gaussians(bench, rounds=2, steps=bench.size(1000, 20))
    variances = np.diagonal(np.asarray(run.second_moment), axis1=2, axis2=3)
    law_says = np.asarray(flow.scheme_trajectory("reflow", np.array([4.0, 0.25]), 2, ridge=0.2))
    change = np.log(variances[:, -1] / variances[:, 0]) / np.log(law_says[-1] / law_says[0])
    mean, error, runs = mean_and_error(change)
    worst = int(np.argmax(abs(mean - 1)))
    numbers = 1.0, mean[worst], error[worst], runs
    return {"change over the law's": mean, "verdict": claims.judge(*numbers, kind="law", margin=0.05)}


def trained_on_gaussians(bench, rounds, steps):
    points = data.exact_gaussians(jax.random.key(0), bench.size(8, 2), bench.size(4096, 64), [4.0, 0.25])
    settings = dict(scheme="reflow", rounds=rounds, ridge=0.2, seeds=len(points), model="linear", pairs=len(points[0]))
    training = Training(steps=steps, batch=bench.size(1024, 16), learning_rate=0.01, chunk=steps)
    return reflow.run(jax.random.key(1), points, training=training, probes=bench.size(2048, 32), **settings)


def memory_of_mlps(bench):
    bench_training.ours(bench_training.Size(*bench.size((128, 512), (8, 16))), bench.size(200, 2), bench.size(256, 2))()
    return held()


def memory_of_a_unet(bench):
    shape, channels, batch, steps = bench.size(((32, 32, 3), 64, 256, 4), ((8, 8, 1), 8, 4, 2))
    bench_images.trained(bench_images.net(shape, channels, 1), steps, batch, bench.size("bfloat16", "float32"))()
    return held()


def beside_a_torch_tensor(bench):
    import torch

    if not torch.cuda.is_available():
        lifetime = float(law.lifetime(64.0, 1.0))
        return {"lifetime": lifetime, "bytes_taken": 0}
    torch.ones(1, device="cuda")
    before, _ = torch.cuda.mem_get_info()
    lifetime = float(law.lifetime(64.0, 1.0))
    after, _ = torch.cuda.mem_get_info()
    return {"lifetime": lifetime, "bytes_taken": before - after}


COMPARED = ("closed forms", "simulations", "one step", "short training", "a claim")
PARTS = {
    "closed forms": closed_forms,
    "simulations": simulations,
    "one step": one_step,
    "short training": short_training,
    "a claim": a_claim,
    "memory of 256 MLPs": memory_of_mlps,
    "memory of a U-Net": memory_of_a_unet,
    "beside torch": beside_a_torch_tensor,
}


# ---------------------------------------------------------------------------------------------------------- helpers


def peak(bench, name):
    """FLOP/s of products of square matrices."""
    dtype, precision = PRECISIONS[name]
    n = bench.size(8192, 128)
    with jax.default_matmul_precision(precision) if precision else contextlib.nullcontext():
        product, work = bench_training.matmul(n, dtype)
        seconds = raced({"ours": product}, bench)["ours"]
    TOLD[name] = work / seconds
    return {"n": n, "dtype": dtype, "precision": precision or "default", "teraflops": TOLD[name] / 1e12}


def copied(bench):
    """Bytes read and written per second in adding 1 to an array."""
    array = jnp.ones(bench.size(2**28, 2**12), dtype=jnp.float32)
    more = jax.jit(lambda x: x + 1)
    seconds = raced({"ours": lambda: more(array)}, bench)["ours"]
    return {"gigabytes_per_second": 2 * array.nbytes / seconds / 1e9}


def used(size, rate):
    """FLOP/s and their share of the peak that was measured for the dtype."""
    best = TOLD.get("bfloat16" if size.dtype == "bfloat16" else "tf32")
    work = size.flops * rate
    return {"gigaflops": work / 1e9, "peak_share": best and work / best}


def raced(runners, bench):
    """Median seconds, in turns; a contender that fails is left out and named, ours must run."""
    first, failed = first_turns(runners)
    FAILED.update(failed)
    return race({name: runners[name] for name in first}, 1 if bench.tiny else 3, warm=True)


@cache
def peers(python):
    """One process of PyTorch for all sections."""
    return Peers(1, python, "torch_flow", "--device", "cuda" if bench_training.on_gpu() else "cpu", "--keep-going")


def asked(bench, **request):
    """A contender: what PyTorch does on this request."""

    def ask():
        if bench.python is None:
            raise ChildProcessError("no Python with PyTorch was named")
        peers(bench.python).ask(**{"library": "torch"} | request)

    return ask


def elsewhere(parts, bench, environment=None):
    """The numbers of some parts, computed by another process."""
    options = [*(["--tiny"] if bench.tiny else []), "--parts", *parts]
    return json.loads(python([__file__, *options], environment).splitlines()[-1])


def python(arguments, environment=None):
    """stdout of a Python program in the checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    whole = os.environ | {"PYTHONPATH": path} | (environment or {})
    ended = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=whole, cwd=ROOT, timeout=240
    )
    if ended.returncode:
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise ChildProcessError(f"{' '.join(arguments[:3])} …: {words[-1]}")
    return ended.stdout


def has(package):
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def held():
    return {"peak_bytes_in_use": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")}


def relative(mine, theirs):
    """|a − b| over |b|, of whole arrays."""
    mine, theirs = np.asarray(mine, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(mine)):
        return float("inf")
    return float(np.linalg.norm((mine - theirs)[finite]) / max(np.linalg.norm(theirs[finite]), 1e-300))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)}; all where none is given")
    parser.add_argument("--tiny", action="store_true", help="every section in miniature, on a CPU")
    parser.add_argument("--minutes", type=float, default=8.0, help="that all of it may take (%(default)g)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report (benchmarks/results, or runs)")
    parser.add_argument("--peers", metavar="PYTHON", help="one that has PyTorch (this one, where it has)")
    parser.add_argument("--parts", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    bench = Bench(options.tiny, options.peers or (sys.executable if has("torch") else None))
    if options.parts:
        answers = {part: jax.tree.map(np.asarray, PARTS[part](bench)) for part in options.parts}
        print(json.dumps(plain(answers)))
        return 0
    if not bench.tiny and not bench_training.on_gpu():  # where none is to be seen, JAX_PLATFORMS=cuda,cpu is the CPU
        parser.error("JAX finds no GPU; --tiny shows everything in miniature on a CPU")
    unknown = set(options.section) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    folder = options.out or ROOT / ("runs" if options.tiny else "benchmarks/results")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"gpu_{devices.this_machine()[0]}{'_tiny' if options.tiny else ''}.json"
    chosen = {name: entry for name, entry in SECTIONS.items() if not options.section or name in options.section}
    try:
        measured(chosen, bench, options.minutes, path)
    finally:
        if peers.cache_info().currsize:
            peers(bench.python).close()
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
