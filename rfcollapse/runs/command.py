"""`rfcollapse reflow`: its options, and a line for each round."""

import sys
import warnings
from pathlib import Path

import numpy as np

from ..learn.devices import use_all_cores
from ..learn.train import Diverged
from ..output import as_json, columns
from . import plan as settings
from . import processes
from .folder import kept, lines
from .run import run


def add_options(command):
    """The options of `rfcollapse reflow`."""
    settings.add_options(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder (runs/reflow-DATA-SCHEME-SEED-CHANGED)")
    command.add_argument("--resume", action="store_true", help="go on after the last round in DIR, if there is one")
    processes.add_options(command)
    command.add_argument("--strict", action="store_true", help="refuse to resume on another device, not only warn")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse reflow`: runs, and prints what was measured; returns the exit code."""
    plan = settings.read_options(options)
    folder = options.out or Path("runs") / settings.folder_name(plan)
    if plan.method == "adaptive" and plan.steps != plan.__class__.steps:
        said = f"--steps {plan.steps} has no effect: --method adaptive takes as many as it needs"
        warnings.warn(said, stacklevel=2)
    use_all_cores()
    processes.join(options)
    try:
        log = run(plan, folder, resume=options.resume, strict=options.strict)
    except Diverged as error:
        if processes.is_first():
            print(f"rfcollapse reflow: {error}; {kept(folder)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):  # or nobody reads the progress any more
        raise KeyboardInterrupt("interrupted; the same command with --resume goes on from there") from None
    if not processes.is_first():
        return 0
    if options.json:
        print(as_json({"folder": str(folder), "config": log.config, "final": lines(folder)[-1]}))
    else:
        print(f"{_rounds(log.metrics)}\n{log.config['law']}\nwritten to {folder}")
    return 0


def _rounds(metrics) -> str:
    """A line for each round: means over the seeds and their standard errors, and the law's means beside them."""
    header, shown = ["round"], []
    for name, direction in (("largest variance", 0), ("smallest", -1)):
        header.append(name)
        shown.append([_mean_and_error(values) for values in metrics["eigenvalues"][:, :, direction].T])
        if "law" in metrics:
            header.append("law")
            shown.append([_number(value) for value in metrics["law"][:, :, direction].mean(axis=0)])
    for name in ("straightness", "loss", "sliced_w2", "one_step_sliced_w2", "recall"):
        if name in metrics and np.any(np.isfinite(metrics[name])):  # adaptive steps know no straightness
            header.append(name)
            shown.append([_mean_and_error(values) for values in metrics[name].T])
    seconds = [f"{value:.1f}" for value in metrics["seconds"]]
    return columns([(*header, "seconds"), *zip(map(str, range(len(seconds))), *shown, seconds)])


def _mean_and_error(values) -> str:
    """As text; not by `measure.rates`, which refuses the NaN of a seed that broke."""
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.1g}" if len(values) > 1 else ""
    return _number(values.mean()) + (error if np.isfinite(values).all() else "")


def _number(value):
    return f"{value:.4g}" if np.isfinite(value) else "—"
