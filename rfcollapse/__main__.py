"""The command line: `rfcollapse …`, or `python -m rfcollapse …`.

Exit codes: 0 done; 1 bad input or usage, or an unexpected verdict; 130 interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

from . import bench, budget, claims, reproduce


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
    _add_bench(commands)
    _add_budget(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
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
    rows = claims.read(Path(reproduce.ROOT) / "figures" / "claims.json")
    found = claims.unexpected(rows) if options.check else []
    if options.json:
        print(json.dumps({"claims": [row._asdict() for row in rows], "problems": found}))
    else:
        print("\n".join([_verdicts(rows), *found]))
    return 1 if found else 0


def _add_bench(commands):
    command = commands.add_parser("bench", help="measure speed and memory of this machine")
    bench.add_options(command)
    command.set_defaults(run=bench.command)


def _add_budget(commands):
    command = commands.add_parser("budget", help="how much real data, how often: for your own samples")
    budget.add_options(command)
    command.set_defaults(run=budget.command)


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
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)


if __name__ == "__main__":
    sys.exit(main())
