"""Repetitions: seeds that nobody chose, the recordings made with them, and the verdicts that came.

The commit that last changed the registry draws two seeds by its hash, which nobody knew before. What came of them is
kept in benchmarks/results/repeats.json, one entry for each seed, commit and notebook that was run: "seed"; "registry",
the commit that drew it; "draw", its number; "commit"; "notebook"; "date"; "verdicts", {id: [contract, the claim's
verdict, its rival's]}.
"""

import hashlib
import json
from datetime import date
from pathlib import Path

from ..output import replace
from . import history
from .registry import Claim
from .row import Row

DRAWS = (1, 2)


def drawn(commit: str, draw: int) -> int:
    """The seed number `draw` of a commit: the first 8 hexadecimal digits of sha256("COMMIT DRAW"), modulo 2³¹.

    Example:
        >>> from rfcollapse.claims import repeats
        >>> repeats.drawn("aaffa43", 1)
        504580935
    """
    return int(hashlib.sha256(f"{commit} {draw}".encode()).hexdigest()[:8], 16) % 2**31


def later(root: Path) -> dict[int, dict]:
    """The seeds that the registry's last commit draws, each with its "registry" and "draw"; none without history."""
    if not history.tips(root):
        return {}
    commit = history.git(root, "rev-list", "-1", "HEAD", "--", history.FILES[1]).read().decode().strip()
    return {drawn(commit, draw): {"registry": commit, "draw": draw} for draw in DRAWS}


def seed(word: str, root: Path) -> int:
    """The seed that a command line means: "7" is 7, "later:1" the first one of `later`."""
    seeds = {f"later:{about['draw']}": seed for seed, about in later(root).items()}
    if word not in seeds and not word.isdecimal():
        raise ValueError(f"--seed must be a number, or later:1 or later:2 where there is history; got {word!r}")
    return int(seeds.get(word, word))


def repeated(root: Path, seed: int) -> str | None:
    """The commit that a run with this seed repeats: HEAD, if it drew the seed and has this package and notebooks."""
    if seed not in later(root) or history.git(root, "status", "--porcelain", "rfcollapse", "notebooks").read():
        return None
    return history.tips(root)[0]


def results(root: Path, seed: int) -> Path:
    """The folder of the recordings made with a seed; those of seed 0 are the committed ones."""
    return root / "runs" / f"seed-{seed}" / "results" if seed else root / "benchmarks" / "results"


def read(path: Path) -> dict | list:
    """The parts of a recording, or the entries of repeats.json; none where the file is missing."""
    return json.loads(path.read_text()) if path.exists() else {}


def lacks(claim: Claim, folder: Path) -> bool:
    """Whether a claim is read from parts of a recording that this folder does not have."""
    name, *parts = claim.recording or ("",)
    return bool(parts) and not set(parts) <= set(read(folder / name))


def contract(claim: Claim | Row) -> str:
    """What a claim promises, as a hash."""
    promised = [getattr(claim, field) for field in history.CONTRACT]
    return hashlib.sha256(json.dumps(promised).encode()).hexdigest()[:12]


def keep(root: Path, seed: int, commit: str, notebook: str, rows: list[Row]):
    """Adds the verdicts of a run to repeats.json, in the place of an older run of that seed, commit and notebook."""
    path, run = results(root, 0) / "repeats.json", {"seed": seed, "commit": commit, "notebook": notebook}
    entries = [entry for entry in read(path) if not run.items() <= entry.items()]
    verdicts = {row.id: [contract(row), row.verdict, row.rival_verdict] for row in rows}
    entries.append(run | later(root)[seed] | {"date": date.today().isoformat(), "verdicts": verdicts})
    replace(path, "[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n")


def told(root: Path, row: Row) -> dict[str, list[int]]:
    """Seeds on which a row was repeated under its present contract; those that gave its verdicts, the rival's, too."""
    found = {}
    for entry in read(results(root, 0) / "repeats.json"):
        promised, *verdicts = entry["verdicts"].get(row.id, [""])
        if promised == contract(row):
            found.setdefault(entry["seed"], []).append(verdicts == [row.verdict, row.rival_verdict])
    return {"repeats": sorted(found), "repeats_same": sorted(seed for seed, same in found.items() if all(same))}
