"""Whether a claim was written down before its result came: computed from the repository's own history.

Every commit is held against its parents: what none of them has came with it. "Older" thus means an ancestor, not a
date: a claim that was registered, and then run, on a branch stays so however the branch is merged. The working tree
counts as the newest commit. Registries of the time before registry.toml were Python, and are executed as they stood.
"""

import functools
import io
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ..output import columns, plain
from .registry import parse

# The ledger; the registry, and where it stood as Python, the newest place first; what it imported there.
FILES = (
    "figures/claims.json", "rfcollapse/claims/registry.toml", "rfcollapse/claims/registry.py", "rfcollapse/registry.py",
    "rfcollapse/schemes.py",
)  # fmt: skip
EXECUTE = """import importlib, json, sys; sys.path.insert(0, sys.argv[1]); print(json.dumps(
    [claim._asdict() for claim in importlib.import_module(sys.argv[2]).REGISTRY.values()]))"""
PROMISE = ("statement", "margin", "expected")
CONTRACT = (*PROMISE, "kind", "unit", "law", "rival")
ROUNDING = 1e-6  # of a measurement and of its margin: a rerun of the same random numbers elsewhere differs by less


class Told(NamedTuple):
    """What history says of a claim."""

    registered: str
    """Its statement, margin and expected verdict, as they stood when its first result came: "before" where an older
    commit has all three, "with" where none has; "not run"."""
    contract: str
    """Its present statement, margin, expected verdict, kind, unit, law and rival: "before" where they are older than
    the present measurement, "with" where they came in one commit with the present row of the ledger, "not run since"
    where no other measurement has come since they were changed; "not run"."""
    changed: list[str]
    """What was changed after the first registration, the oldest first: field, old and new value (of a statement, that
    it was), commit, and whether that commit brought another measurement, too."""


class Step(NamedTuple):
    """A commit that has a claim, or a row of it."""

    where: str
    """Its hash and date."""
    claim: dict
    """As it is registered; empty where it is not, and so are the others."""
    row: dict
    """Of the ledger."""
    claims: list[dict]
    """As registered in each parent."""
    rows: list[dict]
    """Of each parent's ledger."""


def tell(root: Path) -> dict[str, Told] | None:
    """What history says of every claim that is registered now; None where there is none (an archive, a shallow clone).

    Args:
        root: of the checkout.

    Example:
        >>> from pathlib import Path
        >>> from rfcollapse.claims import history
        >>> history.tell(Path("/")) is None
        True
    """
    heads, states, steps = tips(root), {}, {}
    if not heads:
        return None
    for commit, where, parents, texts in tqdm(_commits(root, heads), "history", delay=2, unit=" commits"):
        claims, rows = states[commit] = _claims(*texts[1:]), {row["id"]: row for row in json.loads(texts[0] or "[]")}
        for id in {**claims, **rows}:
            older = ([states[parent][part].get(id, {}) for parent in parents] for part in (0, 1))
            steps.setdefault(id, []).append(Step(where, claims.get(id, {}), rows.get(id, {}), *older))
    return {id: _told(steps[id], claim, rows.get(id, {})) for id, claim in claims.items()}


def tips(root: Path) -> list[str]:
    """The hash of HEAD, and of what is being merged into it; none where there is no history, as `tell` has it."""
    asked = "rev-parse", "--show-prefix", "--is-shallow-repository", "--revs-only", "HEAD", "MERGE_HEAD"
    try:
        prefix, shallow, *found = git(root, *asked).read().decode().splitlines()
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return []
    return [] if prefix or shallow == "true" else found  # a prefix: this is a folder in another repository


def _told(steps: list[Step], claim: dict, row: dict) -> Told:
    """From the steps of a claim, parents first, and from what is there now."""
    changed, known = [], []
    for step in steps:
        known = list(filter(None, step.claims)) or known  # a claim that comes back is held against what it was
        result = ", with a new result" if step.row and not among(step.row, step.rows, ("measurement",)) else ""
        for field in (*CONTRACT, "runs") if known and step.claim else ():
            old, new = [stood.get(field) for stood in known], step.claim.get(field)
            if None not in old and new not in old:  # to get a field that claims did not have is no change
                what = field if field == "statement" else f"{field} {old[0]} → {new}"
                changed.append(f"{what} ({step.where}{result})")
        known = [step.claim] if step.claim else known
    if not row:
        return Told("not run", "not run", changed)

    def came(*fields):  # the oldest step with these fields of the row, which no parent of it can have
        return next(step for step in steps if among(row, [step.row], fields))

    entry, contract = came("measurement", *CONTRACT), "not run since"
    if among(claim, [entry.claim], CONTRACT) and not among(claim, entry.claims, CONTRACT):
        contract = "with"
    elif among(claim, came("measurement").claims, CONTRACT):
        contract = "before"
    return Told("before" if among(came().claim, came().claims, PROMISE) else "with", contract, changed)


def among(one: dict, others: list[dict], fields: tuple[str, ...]) -> bool:
    """Whether another has the same in these fields, of which a measurement may differ by rounding."""
    return any(other and all(_same(one, other, field) for field in fields) for other in others)


def _same(one, other, field):
    if field != "measurement":
        return (one.get(field) or "") == (other.get(field) or "")  # what claims once did not have is empty
    margin = 0.0 if isinstance(one["margin"], str) else one["margin"]  # "2 %" is relative
    return math.isclose(one[field], other[field], rel_tol=ROUNDING, abs_tol=ROUNDING * margin)


def _commits(root: Path, heads: list[str]) -> list[tuple]:
    """Those that touch FILES, parents first, and the working tree: hash, what readers see of it, parents, texts."""
    order = "--topo-order", "--reverse", "--full-history", "--parents", "--no-show-signature", "--format=%H %cs %P"
    log = [line.decode().split() for line in git(root, "log", *order, *heads, "--", *FILES)]
    names = "".join(f"{commit}:{path}\n" for commit, *_ in log for path in FILES)
    said = git(root, "cat-file", "--batch=%(objectsize)", given=names)

    def text():
        head = said.readline()
        return None if head.endswith(b" missing\n") else said.read(int(head) + 1).decode()

    past = [(commit, f"{commit[:7]}, {date}", above, [text() for _ in FILES]) for commit, date, *above in log]
    here = [path.read_text("utf-8") if path.exists() else None for path in map(root.joinpath, FILES)]
    childless = {commit for commit, *_ in log} - {parent for _, _, *above in log for parent in above}
    return [*past, ("", "not committed", childless, here)]


@functools.cache
def _claims(toml: str | None, *python: str | None) -> dict[str, dict]:
    if toml is not None:
        return {id: claim._asdict() for id, claim in parse(toml).items()}
    files = {path: text for path, text in zip(FILES[2:], python) if text is not None}
    modules = [path.removesuffix(".py").replace("/", ".") for path in files if path.endswith("registry.py")]
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).write_text(text, "utf-8")
        program = [sys.executable, "-I", "-S", "-c", EXECUTE, folder, *modules]
        return {claim["id"]: claim for claim in json.loads(subprocess.check_output(program))} if modules else {}


def git(root: Path, *arguments: str, given: str = "") -> io.BytesIO:
    """What git says in this folder."""
    done = subprocess.run(["git", *arguments], cwd=root, input=given.encode(), capture_output=True, check=True)
    return io.BytesIO(done.stdout)


def table(told: dict[str, Told]) -> str:
    """As plain columns, and what they come to."""
    lines = [(id, each.registered, each.contract, "; ".join(each.changed)) for id, each in told.items()]
    words = [", ".join(f"{count} {word}" for word, count in Counter(each).items()) for each in list(zip(*lines))[1:3]]
    total = (f"{len(lines)} claims", *words, f"{sum(bool(each.changed) for each in told.values())} changed")
    return columns([("claim", "registered", "contract", "changed since"), *lines, total])


def command(root: Path, as_json: bool) -> int:
    """`rfcollapse claims --history`: prints it; returns the exit code."""
    told = tell(root)
    if told is None:
        raise ValueError("no history here (an archive, a shallow clone, or no git); the ledger keeps what it said")
    print(json.dumps(plain({"history": told})) if as_json else table(told))
    return 0
