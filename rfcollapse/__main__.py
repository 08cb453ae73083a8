"""The command line: `rfcollapse …`, or `python -m rfcollapse …`.

Exit codes: 0 done; 1 bad input or usage, or an unexpected verdict; 2 the alarm of `monitor`; 130 interrupted.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "reproduce": (".claims.reproduce", "run the notebooks, refresh figures and ledger, print the verdicts"),
    "claims": (".claims.ledger", "show the ledger"),
    "reflow": (".runs.command", "a long run of any scheme, kept on disk round by round"),
    "bench": ("benchmarks/bench.py", "measure speed and memory of this machine"),
    "budget": (".advice.budget_command", "how much real data, how often: for your own samples"),
    "monitor": (".advice.monitor_command", "watch rounds of your own self-training: rate, alarm, advice"),
    "page": ("book/page/page.py", "build the explorable page, one HTML file"),
}


class Parser(argparse.ArgumentParser):
    """argparse, but a usage error exits with 1: 2 is kept for an alarm."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code. An error a user can mend is one line on stderr, never a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = Parser(prog="rfcollapse", description="Model collapse, predicted and measured.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")
    asked = next((word for word in arguments if not word.startswith("-")), None)
    try:
        for name, (place, purpose) in COMMANDS.items():
            command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
            if name == asked:  # the code of the others is not loaded
                module = _loaded(place)
                module.add_options(command)
        options = parser.parse_args(arguments)
        return module.command(options)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"rfcollapse {asked}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        print(f"rfcollapse {asked}: {interruption or 'interrupted'}", file=sys.stderr)
        return 130


def _loaded(place):
    """A module of the package, or a program of the checkout around it. Either has `add_options` and `command`."""
    if place.startswith("."):
        return importlib.import_module(place, __package__)
    path = ROOT / place
    if not path.exists():
        raise ValueError(f"{place} is no part of the installed package: run this from a clone of the repository")
    sys.path.insert(0, str(path.parent))
    return importlib.import_module(path.stem)


if __name__ == "__main__":
    sys.exit(main())
