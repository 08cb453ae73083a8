"""The command line: `rfcollapse …`, or `python -m rfcollapse …`.

Exit codes: 0 done; 1 bad input or usage, or an unexpected verdict; 2 the alarm of `monitor`; 130 interrupted.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from . import bench, budget, claims, experiment, monitor, runfolder
from .learn.train import Diverged
from .output import columns


class Parser(argparse.ArgumentParser):
    """argparse, but a usage error exits with 1: 2 is kept for an alarm."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code. An error a user can mend is one line on stderr, never a traceback."""
    parser = Parser(prog="rfcollapse", description="Model collapse, predicted and measured.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")
    _add_reproduce(commands)
    _add_claims(commands)
    _add_reflow(commands)
    _add_bench(commands)
    _add_budget(commands)
    _add_monitor(commands)
    _add_page(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"rfcollapse {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"rfcollapse {options.command}: interrupted", file=sys.stderr)
        return 130


def _add_reproduce(commands):
    command = commands.add_parser("reproduce", help="run the notebooks, refresh figures and ledger, print the verdicts")
    command.add_argument("notebook", nargs="*", help="a name, number (02) or path; all where none is given")
    command.add_argument("--quick", action="store_true", help="smaller sizes, written to runs/ (nothing is refreshed)")
    command.add_argument("--seed", type=int, default=0, help="another seed, written to runs/ (nothing is refreshed)")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")
    command.set_defaults(run=_reproduce)


def _reproduce(options) -> int:
    from . import reproduce  # matplotlib, which no other command needs

    outcomes, folder = reproduce.run(options.notebook, quick=options.quick, seed=options.seed)
    found = reproduce.problems(outcomes, quick=options.quick)
    rows = [row for outcome in outcomes for row in outcome.rows]
    if options.json:
        times = {outcome.notebook: round(outcome.seconds, 1) for outcome in outcomes}
        print(json.dumps({"claims": [row._asdict() for row in rows], "seconds": times, "problems": found}))
    else:
        print(_verdicts(rows))
        for outcome in outcomes:
            print(f"{outcome.notebook}: {'failed' if outcome.error else 'done'} in {outcome.seconds:.0f} s")
        print(f"written to {folder}")
        print("\n".join(["", *found]) if found else "every verdict is the expected one")
    return 1 if found else 0


def _add_claims(commands):
    command = commands.add_parser("claims", help="show the ledger")
    command.add_argument("--check", action="store_true", help="exit 1 where a verdict is missing or unexpected")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")
    command.set_defaults(run=_claims)


def _claims(options) -> int:
    from . import reproduce

    rows = claims.read(Path(reproduce.ROOT) / "figures" / "claims.json")
    found = claims.unexpected(rows) if options.check else []
    if options.json:
        print(json.dumps({"claims": [row._asdict() for row in rows], "problems": found}))
    else:
        print("\n".join([_verdicts(rows), *found]))
    return 1 if found else 0


def _add_reflow(commands):
    command = commands.add_parser("reflow", help="a long run of any scheme, kept on disk round by round")
    for name, details in experiment.arguments().items():
        command.add_argument(f"--{name.replace('_', '-')}", **details)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (runs/reflow-DATA-SCHEME-SEED)")
    command.add_argument("--resume", action="store_true", help="go on after the last round in DIR, if there is one")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")
    command.set_defaults(run=_reflow)


def _reflow(options) -> int:
    settings = experiment.Settings(**{name: getattr(options, name) for name in experiment.arguments()})
    name = re.sub(r"\W+", "_", Path(settings.data).name)
    folder = options.out or Path("runs") / f"reflow-{name}-{settings.scheme}-{settings.seed}"
    bench.use_all_cores()
    try:
        log = experiment.run(settings, folder, resume=options.resume)
    except Diverged as error:
        rounds = len(error.finished)
        kept = f"rounds 0 to {rounds - 1} are kept in {folder}" if rounds else "there is no round before it to keep"
        print(f"rfcollapse reflow: {error}; {kept}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("rfcollapse reflow: interrupted; the same command with --resume goes on from there", file=sys.stderr)
        return 130
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


def _add_bench(commands):
    command = commands.add_parser("bench", help="measure speed and memory of this machine")
    bench.add_options(command)
    command.set_defaults(run=bench.command)


def _add_budget(commands):
    command = commands.add_parser("budget", help="how much real data, how often: for your own samples")
    budget.add_options(command)
    command.set_defaults(run=budget.command)


def _add_monitor(commands):
    command = commands.add_parser("monitor", help="watch rounds of your own self-training: rate, alarm, advice")
    monitor.add_options(command)
    command.set_defaults(run=monitor.command)


def _add_page(commands):
    command = commands.add_parser("page", help="build the explorable page, one HTML file")
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        default=Path("build/page/rfcollapse.html"),
        help="where to write it (%(default)s)",
    )
    command.set_defaults(run=_page)


def _page(options) -> int:
    from . import page

    print(f"written to {options.out} ({page.write(options.out) / 1000:.0f} kB)")
    return 0


def _verdicts(rows) -> str:
    """The rows as plain columns."""
    header = ("claim", "verdict", "predicted", "measured", "± se", "margin")
    cells = [header] + [
        (
            row.id,
            row.verdict + ("" if row.verdict == row.expected else " (!)"),
            "" if row.prediction is None else f"{row.prediction:.5g}",
            f"{row.measurement:.5g}",
            f"{row.standard_error:.2g}" if row.standard_error else "",
            f"{row.margin:.2g}",
        )
        for row in rows
    ]
    return columns(cells)


if __name__ == "__main__":
    sys.exit(main())
