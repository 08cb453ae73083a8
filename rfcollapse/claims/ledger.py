"""The ledger on disk: rows read and merged, checked against the registry, and shown."""

import json
import math
from pathlib import Path

from ..output import columns, replace
from . import Row, history, judge
from .registry import REGISTRY

ROOT = Path(__file__).resolve().parents[2]


def read(path: Path) -> list[Row]:
    """The rows of a claims.json; ValueError where the file is missing, or is not a ledger."""
    try:
        return [Row(**row) for row in json.loads(Path(path).read_text())]
    except FileNotFoundError:
        raise ValueError(f"no ledger at {path}: run `rfcollapse reproduce` first") from None
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a ledger ({error}); `rfcollapse reproduce` writes a new one") from None


def merge(folder: Path, notebook: str, lines: Path) -> list[Row]:
    """Replaces a notebook's rows in folder/claims.json (and .md) by those it has just recorded; returns them.

    A row of a claim that is no longer registered is dropped. The files are replaced whole, so that an interruption
    leaves the old ones.

    Args:
        folder: of the ledger.
        notebook: its name, without suffix.
        lines: of JSON, a row each, as `record` writes them; none where the file is missing.
    """
    fresh = [Row(**json.loads(line)) for line in lines.read_text().splitlines()] if lines.exists() else []
    path = folder / "claims.json"
    kept = [row for row in read(path) if row.notebook != notebook] if path.exists() else []
    order = {id: place for place, id in enumerate(REGISTRY)}
    rows = {row.id: row for row in [*kept, *fresh] if row.id in REGISTRY}
    rows = sorted(rows.values(), key=lambda row: order[row.id])
    replace(path, json.dumps([row._asdict() for row in rows], indent=1, ensure_ascii=False) + "\n")
    replace(folder / "claims.md", table(rows))
    return fresh


def unexpected(rows: list[Row]) -> list[str]:
    """What `--check` complains of: other verdicts than expected, rows that differ from the registry, claims not run."""
    problems = []
    for row in rows:
        claim = REGISTRY.get(row.id)
        if claim is None:
            problems.append(f"{row.id}: not in the registry")
        elif (row.margin, row.kind, row.expected) != (claim.margin, claim.kind, claim.expected):
            problems.append(f"{row.id}: recorded under another margin, kind or expectation than the registry's")
        elif row.verdict != judge(
            row.prediction, row.measurement, row.standard_error, row.n, kind=row.kind, margin=row.margin
        ):
            problems.append(f"{row.id}: the verdict does not follow from the numbers")
        elif row.verdict != row.expected:
            problems.append(f"{row.id}: {row.verdict}, expected {row.expected}")
    missing = set(REGISTRY) - {row.id for row in rows}
    return problems + [f"{id}: registered, but never recorded" for id in REGISTRY if id in missing]


def table(rows: list[Row]) -> str:
    """The ledger as a Markdown table."""
    cells = []
    for row in rows:
        predicted = "—" if row.prediction is None else _number(row.prediction)
        measured = _number(row.measurement) + (f" ± {_number(row.standard_error)}" if row.standard_error else "")
        relation = "≤ " if row.kind == "bound" else ""
        margin = "—" if row.kind == "observation" else _number(row.margin)
        verdict = row.verdict if row.verdict == row.expected else f"**{row.verdict}** (expected {row.expected})"
        numbers = relation + predicted, measured, margin
        cells.append((f"`{row.id}`", row.statement, row.source, *numbers, verdict, row.notebook))
    header = "claim", "statement", "source", "predicted", "measured", "margin", "verdict", "notebook"
    return _markdown(header, cells)


def summary(rows: list[Row]) -> str:
    """The verdicts as a short Markdown table, for the README."""
    cells = []
    for row in rows:
        place = f"[{row.notebook[:2]}](notebooks/{row.notebook}.ipynb)"
        cells.append((f"{row.statement} (`{row.id}`)", row.source, row.verdict, place))
    return _markdown(("claim", "whose", "verdict", "where"), cells)


def add_options(command):
    """The options of `rfcollapse claims`."""
    other = command.add_mutually_exclusive_group()
    other.add_argument("--check", action="store_true", help="exit 1 where a verdict is missing or unexpected")
    other.add_argument("--history", action="store_true", help="what was registered before its result, and what changed")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse claims`: prints the ledger; returns the exit code."""
    if options.history:
        return history.command(ROOT, options.json)
    rows = read(ROOT / "figures" / "claims.json")
    problems = unexpected(rows) if options.check else []
    if options.json:
        print(json.dumps({"claims": [row._asdict() for row in rows], "problems": problems}))
    else:
        print("\n".join([verdicts(rows), *problems]))
    return 1 if problems else 0


def verdicts(rows: list[Row]) -> str:
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


def _markdown(header, rows):
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.4g}" if math.isfinite(value) else str(value)
