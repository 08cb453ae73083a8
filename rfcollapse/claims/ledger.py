"""The ledger on disk: rows read and merged, checked against the registry, counted and shown."""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ..output import columns, replace
from . import history, judged, repeats
from .registry import REGISTRY
from .row import Row, measured, number, predicted

ROOT = Path(__file__).resolve().parents[2]
HISTORY = ("registered", "contract", "changed", "repeats", "repeats_same")


def read(path: Path) -> list[Row]:
    """The rows of a claims.json; ValueError where the file is missing, or is not a ledger."""
    try:
        return [Row(**row) for row in json.loads(Path(path).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise ValueError(f"no ledger at {path}: run `rfcollapse reproduce` first") from None
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a ledger ({error}); delete it, and `rfcollapse reproduce` goes on") from None


def merge(folder: Path, notebook: str, lines: Path) -> list[Row]:
    """Replaces a notebook's rows in folder/claims.json (and .md) by those it has just recorded; returns them.

    A row of a claim that is no longer registered is dropped; what is known of a row's history stays with it while its
    registration and its verdict do. The files are replaced whole, so that an interruption leaves the old ones.

    Args:
        folder: of the ledger.
        notebook: its name, without suffix.
        lines: of JSON, a row each, as `record` writes them; none where the file is missing.
    """
    fresh = [Row(**json.loads(line)) for line in lines.read_text().splitlines()] if lines.exists() else []
    path = folder / "claims.json"
    old = {row.id: row for row in (read(path) if path.exists() else [])}
    for place, row in enumerate(fresh):
        before = old.get(row.id)
        if before and before.verdict == row.verdict and not differences(before):
            fresh[place] = row._replace(**{name: getattr(before, name) for name in HISTORY})
    rows = {id: row for id, row in old.items() if row.notebook != notebook} | {row.id: row for row in fresh}
    write(folder, [rows[id] for id in REGISTRY if id in rows])
    return fresh


def write(folder: Path, rows: list[Row]):
    """The ledger as folder/claims.json and folder/claims.md."""
    replace(folder / "claims.json", json.dumps([row._asdict() for row in rows], indent=1, ensure_ascii=False) + "\n")
    replace(folder / "claims.md", table(rows))


def tell(folder: Path) -> list[Row]:
    """Enters into the ledger on which seeds each row was repeated, and, where there is one, what history says of it."""
    rows, told = read(folder / "claims.json"), history.tell(ROOT) or {}
    for place, row in enumerate(rows):
        past = told[row.id]._asdict() if row.id in told else {}
        rows[place] = row._replace(**past, **repeats.told(ROOT, row))
    write(folder, rows)
    return rows


def differences(row: Row) -> list[str]:
    """The fields in which a row is not as the registry has its claim today."""
    claim = REGISTRY[row.id]
    return [name for name in claim._fields if name in Row._fields and getattr(row, name) != getattr(claim, name)]


def survives(row: Row) -> bool:
    """Whether the rival of a law or bound that was expected to hold is not refuted by what does not refute the law."""
    wanted = row.rival and row.kind in ("law", "bound") and row.expected == "confirmed"
    return bool(wanted) and row.verdict != "refuted" and row.rival_verdict != "refuted"


def without_rival() -> list[str]:
    """The laws and bounds of the registry that are expected to be confirmed and name no rival yet."""
    claims = (claim for claim in REGISTRY.values() if claim.kind in ("law", "bound") and claim.expected == "confirmed")
    return [claim.id for claim in claims if not claim.rival]


def waiting() -> list[str]:
    """The claims that are registered, and whose recording has not been made yet."""
    return [claim.id for claim in REGISTRY.values() if repeats.lacks(claim, repeats.results(ROOT, 0))]


def problems(rows: list[Row], notebooks: Collection[str], *, quick: bool = False, excused=()) -> list[str]:
    """What must not stand: rows that numbers or registry do not bear out, rivals that survive, claims not recorded.

    A verdict that differs from the expected one is no problem: it is a result, shown and counted. Under `quick` a rival
    may survive as inconclusive: fewer runs may not be able to decide.

    Args:
        rows: of these notebooks.
        notebooks: those that were run.
        quick: whether with fewer runs.
        excused: ids of claims that need not be recorded.
    """
    found, recorded = [], {row.id for row in rows}.union(excused, waiting())
    for row in rows:
        if row.id not in REGISTRY:
            found.append(f"{row.id}: not in the registry")
            continue
        if other := differences(row):
            found.append(f"{row.id}: recorded under another {', '.join(other)} than the registry's")
        if judged(row) != row:
            found.append(f"{row.id}: a verdict or the resolution is not what the numbers give")
        if survives(row) and not (quick and row.rival_verdict == "inconclusive"):
            found.append(f"{row.id}: its rival survives ({row.rival}: {row.rival_verdict})")
    claims = [claim for claim in REGISTRY.values() if claim.notebook in notebooks and claim.id not in recorded]
    found += [f"{claim.id}: not recorded by {claim.notebook}" for claim in claims]
    return found


def counts(rows: list[Row]) -> str:
    """The ledger in three sentences of numbers, for the README's first screen."""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(row.verdict for row in rows).most_common())
    surprises, changed = sum(row.verdict != row.expected for row in rows), sum(bool(row.changed) for row in rows)
    first, now = (Counter(getattr(row, name) for row in rows) for name in ("registered", "contract"))
    repeated = [row for row in rows if row.repeats]
    same = sum(len(row.repeats) == len(row.repeats_same) for row in repeated)
    return (
        f"{len(rows)} claims: {verdicts}; {surprises} of them otherwise than expected. Registered in a commit before "
        f"the one with their first result: {first['before']}, in the same: {first['with']}; changed since: {changed}. "
        f"As they stand now, {now['before']} were committed before the run that judges them. Repeated on seeds drawn "
        f"later: {len(repeated)}, each time with the same verdict: {same}. Registered, and waiting for their run: "
        f"{len(waiting())}."
    )


def table(rows: list[Row]) -> str:
    """The ledger as a Markdown table."""
    cells = []
    for row in rows:
        law = f" (`{row.law.replace(':', '.')}`)" if row.law else ""
        margin = "—" if row.kind == "observation" else row.margin if isinstance(row.margin, str) else number(row.margin)
        numbers = predicted(row) + law, measured(row), margin
        cells.append((f"`{row.id}`", row.statement, row.source, *numbers, *_outcome(row, "**"), row.notebook))
    return _markdown(
        "claim statement source predicted measured margin verdict rival resolution notebook".split(), cells
    )


def summary(rows: list[Row]) -> str:
    """The verdicts as a short Markdown table, for the README."""
    cells = []
    for row in rows:
        place = f"[{row.notebook[:2]}](notebooks/{row.notebook}.ipynb)"
        cells.append((f"{row.statement} (`{row.id}`)", row.source, _outcome(row, "**")[0], place))
    return _markdown(("claim", "whose", "verdict", "where"), cells)


def verdicts(rows: list[Row]) -> str:
    """The rows as plain columns."""
    cells = [(row.id, predicted(row), measured(row), str(row.margin), *_outcome(row)) for row in rows]
    return columns(["claim predicted measured margin verdict rival resolution".split(), *cells])


def add_options(command):
    """The options of `rfcollapse claims`."""
    other = command.add_mutually_exclusive_group()
    other.add_argument("--check", action="store_true", help="exit 1 where a row cannot stand, or one is missing")
    other.add_argument("--history", action="store_true", help="what was registered before its result, and what changed")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse claims`: prints the ledger; returns the exit code."""
    if options.history:
        return history.command(ROOT, options.json)
    rows = read(ROOT / "figures" / "claims.json")
    found = []
    if options.check:
        found = problems(rows, {claim.notebook for claim in REGISTRY.values()})
        found += [f"{id}: names no rival" for id in without_rival()]
    if options.json:
        claims = [row._asdict() for row in rows]
        print(json.dumps({"claims": claims, "problems": found}))
    else:
        print(verdicts(rows), counts(rows), *found, sep="\n")
    return 1 if found else 0


def _outcome(row, mark=""):
    """The verdict, with the expected one where it is another; the rival, its number and its verdict; the resolution."""
    verdict = row.verdict if row.verdict == row.expected else f"{mark}{row.verdict}{mark} (expected {row.expected})"
    taken = row.rival_measurement if row.rival_prediction == row.prediction else row.rival_prediction
    rival = f"{row.rival}: {number(taken)}, {row.rival_verdict}" if row.rival else "—"
    shown = row.resolution is not None and row.verdict != "refuted"
    return verdict, rival, f"{100 * row.resolution:.2g} %" if shown else "—"


def _markdown(header, rows):
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"
