"""`rfcollapse reflow`: its options, and a line for each round."""

import json
import re
import sys
from pathlib import Path

from ..learn.devices import use_all_cores
from ..learn.train import Diverged
from ..output import columns
from . import plan as settings
from .folder import lines
from .run import run


def add_options(command):
    """The options of `rfcollapse reflow`."""
    settings.add_options(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (runs/reflow-DATA-SCHEME-SEED)")
    command.add_argument("--resume", action="store_true", help="go on after the last round in DIR, if there is one")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse reflow`: runs, and prints what was measured; returns the exit code."""
    plan = settings.read_options(options)
    name = re.sub(r"\W+", "_", Path(plan.data).name)
    folder = options.out or Path("runs") / f"reflow-{name}-{plan.scheme}-{plan.seed}"
    use_all_cores()
    try:
        log = run(plan, folder, resume=options.resume)
    except Diverged as error:
        last = error.round - 1
        kept = f"rounds 0 to {last} are kept in {folder}" if last >= 0 else "there is no round before it to keep"
        print(f"rfcollapse reflow: {error}; {kept}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command with --resume goes on from there") from None
    if options.json:
        print(json.dumps({"folder": str(folder), "config": log.config, "final": lines(folder)[-1]}))
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
            shown.append([f"{value:.4g}" for value in metrics["law"][:, :, direction].mean(axis=0)])
    for name in ("straightness", "loss", "sliced_w2", "one_step_sliced_w2", "recall"):
        if name in metrics:
            header.append(name)
            shown.append([_mean_and_error(values) for values in metrics[name].T])
    seconds = [f"{value:.1f}" for value in metrics["seconds"]]
    return columns([(*header, "seconds"), *zip(map(str, range(len(seconds))), *shown, seconds)])


def _mean_and_error(values) -> str:
    """As text; not by `measure.rates`, which refuses the NaN of a seed that broke or of adaptive steps."""
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.1g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{error}"
