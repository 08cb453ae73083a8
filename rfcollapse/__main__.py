"""The command line: `rfcollapse …`, or `python -m rfcollapse …`.

Exit codes: 0 done; 1 bad input or usage, or an unexpected verdict; 2 the alarm of `monitor`; 130 interrupted. A command
that knows its alarm sets `options.exit_code`, which then stands whatever fails afterwards.
"""

import argparse
import contextlib
import importlib
import os
import sys
import warnings
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
    asked = next((word for word in arguments if not word.startswith("-")), None)
    options = argparse.Namespace()

    def say(words):
        print(f"rfcollapse {asked}: {' '.join(str(words).split())}", file=sys.stderr)

    with contextlib.suppress(AttributeError):  # what the terminal cannot show is no reason to lose the rest
        sys.stdout.reconfigure(errors="replace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        try:
            code = _run(arguments, asked, options)
            print(end="", flush=True)
            return code
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            _drop()
            return getattr(options, "exit_code", 0)
        except (ValueError, OSError, MemoryError, ImportError, OverflowError, RuntimeError, AssertionError) as error:
            words = _mendable(error)
            if words is None:
                raise
            _drop()
            say(words)
            return getattr(options, "exit_code", 1)
        except KeyboardInterrupt as interruption:
            say(str(interruption) or "interrupted")
            return 130


def _run(arguments, asked, options):
    parser = Parser(prog="rfcollapse", description="Model collapse, predicted and measured.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")
    for name, (place, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name == asked:  # the code of the others is not loaded
            module = _loaded(place)
            module.add_options(command)
    parser.parse_args(arguments, options)
    return module.command(options)


def _mendable(error):
    """What a user can do something about, in words; None of a fault of ours."""
    words, name = str(error), getattr(error, "name", None) or ""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in words:
        return f"out of memory: {words or 'take fewer samples'}"
    if isinstance(error, ImportError):
        shown = os.environ.get("MPLBACKEND", "")
        remedy = f"MPLBACKEND={shown} asks for it: unset that" if name and name in shown else "is it installed?"
        return None if name.partition(".")[0] == __package__ else f"{words} ({remedy})"
    if not isinstance(error, RuntimeError | AssertionError):
        return words or type(error).__name__
    try:
        if "jax" in sys.modules:
            sys.modules["jax"].devices()
    except (RuntimeError, AssertionError) as reason:
        asked = os.environ.get("JAX_PLATFORMS", "")
        return f"JAX finds no device for JAX_PLATFORMS={asked!r}: unset that, or install what it needs. {reason}"
    return None


def _drop():
    """Gives up a stdout that takes nothing any more, or Python would complain of it once again at its end."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
