"""`rfcollapse reflow`: its options, and a line for each round."""

import json
import re
import sys
from pathlib import Path

from ..learn.devices import use_all_cores
from ..learn.train import Diverged
from ..output import columns
from . import folder as runfolder
from . import run as experiment


def add_options(command):
    """The options of `rfcollapse reflow`."""
    for name, details in experiment.arguments().items():
        command.add_argument(f"--{name.replace('_', '-')}", **details)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (runs/reflow-DATA-SCHEME-SEED)")
    command.add_argument("--resume", action="store_true", help="go on after the last round in DIR, if there is one")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse reflow`: runs, and prints what was measured; returns the exit code."""
    settings = experiment.Settings(**{name: getattr(options, name) for name in experiment.arguments()})
    name = re.sub(r"\W+", "_", Path(settings.data).name)
    folder = options.out or Path("runs") / f"reflow-{name}-{settings.scheme}-{settings.seed}"
    use_all_cores()
    try:
        log = experiment.run(settings, folder, resume=options.resume)
    except Diverged as error:
        rounds = len(error.finished)
        kept = f"rounds 0 to {rounds - 1} are kept in {folder}" if rounds else "there is no round before it to keep"
        print(f"rfcollapse reflow: {error}; {kept}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command with --resume goes on from there") from None
    if options.json:
        print(json.dumps({"folder": str(folder), "config": log.config, "final": runfolder.lines(folder)[-1]}))
    else:
        print(f"{_rounds(log.metrics)}\nwritten to {folder}")
    return 0


def _rounds(metrics) -> str:
    """A line for each round: means over the seeds, and their standard errors."""
    eigenvalues = metrics["eigenvalues"]
    shown = {"largest variance": eigenvalues[:, :, 0], "smallest": eigenvalues[:, :, -1]}
    names = ("straightness", "loss", "sliced_w2", "one_step_sliced_w2", "recall")
    shown |= {name: metrics[name] for name in names if name in metrics}
    lines = [("round", *shown, "seconds")]
    for index, seconds in enumerate(metrics["seconds"]):
        cells = [_mean_and_error(values[:, index]) for values in shown.values()]
        lines.append((str(index), *cells, f"{seconds:.1f}"))
    return columns(lines)


def _mean_and_error(values) -> str:
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.1g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{error}"
