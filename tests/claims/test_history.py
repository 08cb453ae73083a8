"""What history tells of claims: in small repositories that the tests make, and in this one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from rfcollapse import __main__
from rfcollapse.claims import history, ledger
from rfcollapse.claims.history import Told
from rfcollapse.claims.registry import parse

ROOT = Path(__file__).resolve().parents[2]
LEDGER, REGISTRY, IN_ROOM, IN_HALL, SCHEMES = history.FILES
HISTORY = "rfcollapse/claims/history.py"
CLAIM = {"statement": "It is so", "source": "ours", "kind": "law", "margin": 0.1, "unit": "rounds"}


def git(root, *arguments):
    named = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | named | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def row(id, measurement, **claim):
    return {"id": id, **CLAIM, "expected": "confirmed", **claim, "measurement": measurement}


class Repository:
    """A repository in which a registry and a ledger are written and committed."""

    def __init__(self, root):
        self.root = root
        git(root, "init", "-q", "-b", "main")

    def write(self, claims=None, rows=None, **files):
        """`claims`: fields by id; `rows`: a list; `files`: texts by path. What is not given stays as it is."""
        if claims is not None:
            tables = {id: "\n".join(f"{key} = {json.dumps(value)}" for key, value in (CLAIM | fields).items())
                      for id, fields in claims.items()}  # fmt: skip
            files[REGISTRY] = "\n".join(f"[01_x.{id}]\n{table}" for id, table in tables.items())
        if rows is not None:
            files[LEDGER] = json.dumps(rows)
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)

    def commit(self, *arguments, **files):
        """Writes, commits, and says how history calls the commit."""
        self.write(*arguments, **files)
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", "x")
        return "{:.7}, {}".format(*git(self.root, "log", "-1", "--format=%H %cs").split())

    def tell(self):
        return history.tell(self.root)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:  # of a hook that runs the tests
        monkeypatch.delenv(name)
    (tmp_path / "made").mkdir()
    return Repository(tmp_path / "made")


def test_registered_before_with_or_not_run(repository):
    repository.commit({"early": {}})
    rows = [row(id, 1.0) for id in ("early", "late", "afterwards", "never")]
    repository.commit({"early": {}, "late": {}}, rows)
    repository.commit({"early": {}, "late": {}, "afterwards": {}, "idle": {}})
    repository.commit(other="what does not concern claims")
    assert repository.tell() == {
        "early": Told("before", "before", []),
        "late": Told("with", "with", []),
        "afterwards": Told("with", "not run since", []),
        "idle": Told("not run", "not run", []),
    }


def test_what_was_changed_and_whether_a_result_came_with_it(repository):
    repository.commit({"a": {"runs": 8}})
    repository.commit(rows=[row("a", 1.0)])
    bolder = {"margin": 0.2, "expected": "refuted"}
    second = repository.commit({"a": bolder | {"runs": 16}}, [row("a", 1.5, **bolder)])
    third = repository.commit({"a": bolder | {"statement": "Or so", "runs": 16}})
    changes = [
        f"margin 0.1 → 0.2 ({second}, with a new result)",
        f"expected confirmed → refuted ({second}, with a new result)",
        f"runs 8 → 16 ({second}, with a new result)",
        f"statement ({third})",
    ]
    assert repository.tell() == {"a": Told("before", "not run since", changes)}
    repository.commit(rows=[row("a", 1.6, statement="Or so", **bolder)])
    assert repository.tell() == {"a": Told("before", "before", changes)}


def test_a_margin_that_changes_with_the_first_result_was_not_registered_before(repository):
    repository.commit({"a": {}})
    here = repository.commit({"a": {"margin": 0.3}}, [row("a", 1.0, margin=0.3)])
    assert repository.tell() == {"a": Told("with", "with", [f"margin 0.1 → 0.3 ({here}, with a new result)"])}


def test_a_contract_that_comes_with_its_row_is_seen_even_if_the_number_is_old(repository):
    repository.commit({"a": {}})
    repository.commit(rows=[row("a", 1.0)])
    repository.commit({"a": {"margin": 0.3}}, [row("a", 1.0, margin=0.3)])
    assert repository.tell()["a"].contract == "with"
    repository.commit({"a": {"margin": 0.4}})
    repository.commit(rows=[row("a", 1.0, margin=0.4)])
    assert repository.tell()["a"].contract == "not run since"
    repository.commit({"a": {}})
    repository.commit(rows=[row("a", 1.0)])
    assert repository.tell()["a"].contract == "before", "back to what was registered, and to its number"


def test_rounding_is_no_new_result(repository):
    def rows(error, **claim):
        return [row("a", 100.0 * (1 + error), **claim), row("b", error, **claim)]

    repository.commit({"a": {}, "b": {}}, rows(0.0))
    repository.commit({"a": {"margin": 0.2}, "b": {"margin": 0.2}})
    for error, contract in ((1e-8, "not run since"), (1e-3, "before")):
        repository.commit(rows=rows(error, margin=0.2))
        assert [each.contract for each in repository.tell().values()] == [contract, contract]


def test_a_new_notebook_or_source_is_no_change(repository):
    repository.commit({"a": {}}, [row("a", 1.0)])
    text = (repository.root / REGISTRY).read_text()
    repository.commit(**{REGISTRY: text.replace("01_x", "02_y").replace("ours", "paper")})
    assert repository.tell()["a"].changed == []


def test_a_claim_that_comes_back_is_held_against_what_it_was(repository):
    repository.commit({"a": {}}, [row("a", 1.0)])
    repository.commit({}, [])
    here = repository.commit({"a": {"margin": 0.5}}, [row("a", 1.0, margin=0.5)])
    assert repository.tell() == {"a": Told("with", "with", [f"margin 0.1 → 0.5 ({here}, with a new result)"])}


@pytest.mark.parametrize("how", ["--no-ff", "--squash", "--no-commit"])
def test_a_branch_counts_as_it_was_however_it_is_merged(repository, how):
    repository.commit({"a": {}}, [row("a", 1.0)])
    git(repository.root, "checkout", "-q", "-b", "side")
    repository.commit({"a": {}, "b": {}})
    repository.commit(rows=[row("a", 1.0), row("b", 2.0)])
    git(repository.root, "checkout", "-q", "main")
    repository.commit(other="main moves on")
    git(repository.root, "merge", "-q", *(("--no-ff", "--no-commit") if how == "--no-commit" else (how,)), "side")
    # A squashed branch is no ancestor: what it registered and what it ran come in one commit.
    kept = "with" if how == "--squash" else "before"
    assert repository.tell() == {"a": Told("with", "with", []), "b": Told(kept, kept, [])}


def test_two_branches_that_meet(repository):
    """One changes a contract, the other one runs: what comes of it was not run since."""
    repository.commit({"a": {}})
    repository.commit(rows=[row("a", 1.0)])
    git(repository.root, "checkout", "-q", "-b", "side")
    here = repository.commit({"a": {"margin": 0.2}})
    git(repository.root, "checkout", "-q", "main")
    repository.commit(rows=[row("a", 1.1)])
    git(repository.root, "merge", "-q", "side")
    assert repository.tell() == {"a": Told("before", "not run since", [f"margin 0.1 → 0.2 ({here})"])}


def test_a_result_that_a_merge_threw_away_was_the_first(repository):
    repository.commit({}, [])
    git(repository.root, "checkout", "-q", "-b", "side")
    repository.commit({"a": {}}, [row("a", 9.0)])
    git(repository.root, "checkout", "-q", "main")
    repository.commit(other="main moves on")
    git(repository.root, "merge", "-q", "-s", "ours", "side")
    here = repository.commit({"a": {"margin": 0.2}})
    repository.commit(rows=[row("a", 1.0, margin=0.2)])
    assert repository.tell() == {"a": Told("with", "before", [f"margin 0.1 → 0.2 ({here})"])}


def test_the_working_tree_is_the_newest_commit(repository):
    repository.commit({"a": {}})
    repository.write(rows=[row("a", 1.0)])
    assert repository.tell()["a"] == Told("before", "before", [])
    repository.write({"a": {"unit": "years"}}, [row("a", 1.0, unit="years")])
    assert repository.tell()["a"] == Told("before", "with", ["unit rounds → years (not committed, with a new result)"])


HALL = """
from typing import NamedTuple
class Claim(NamedTuple):
    id: str
    statement: str
    source: str
    kind: str
    margin: float
    unit: str
    notebook: str
    expected: str = "confirmed"
CLAIMS = tuple(Claim(f"a-{name}", f"{title} is so", "ours", "law", 1e-1, "rounds", "01_x") for name, title in TITLES)
REGISTRY = {claim.id: claim for claim in CLAIMS}
"""
ROOM = HALL.replace("from typing", "from ..schemes import TITLES\nfrom typing", 1)


def test_registries_in_python_are_executed_as_they_stood(repository):
    """With the module that they imported then, not with the one of that name now. The move to TOML changes nothing, nor
    does a field that claims get, which is `runs` here."""
    repository.commit(**{IN_HALL: f"TITLES = [('x', 'It'), ('y', 'This')]{HALL}"})
    repository.commit(rows=[row("a-x", 1.0), row("a-y", 1.0, statement="This is so")])
    (repository.root / IN_HALL).unlink()
    repository.commit(**{IN_ROOM: ROOM, SCHEMES: "TITLES = [('x', 'It'), ('y', 'This')]"})
    here = repository.commit(**{SCHEMES: "TITLES = [('x', 'It'), ('y', 'That')]"})
    (repository.root / IN_ROOM).unlink()
    repository.commit({"a-x": {}, "a-y": {"statement": "That is so"}})
    assert repository.tell() == {
        "a-x": Told("before", "before", []),
        "a-y": Told("before", "not run since", [f"statement ({here})"]),
    }


def test_without_history_nothing_is_told(repository, tmp_path, monkeypatch, capsys):
    root = repository.root
    assert repository.tell() is None, "no commit yet"
    repository.commit({"a": {}})
    repository.commit(rows=[row("a", 1.0)])
    for name, depth in (("whole", ()), ("shallow", ("--depth", "1"))):
        git(tmp_path, "clone", "-q", *depth, root.as_uri(), name)
    assert history.tell(tmp_path / "whole") == repository.tell() == {"a": Told("before", "before", [])}
    assert history.tell(tmp_path / "shallow") is None
    git(root, "archive", "--format=tar", "-o", tmp_path / "it.tar", "HEAD")
    for place in (tmp_path / "unpacked", root / "inside-of-another"):
        place.mkdir()
        subprocess.run(["tar", "xf", tmp_path / "it.tar", "-C", place], check=True)
        assert history.tell(place) is None
    monkeypatch.setattr(ledger, "ROOT", tmp_path / "shallow")
    assert __main__.main(["claims", "--history"]) == 1
    assert "no history here" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository.tell() is None, "no git"


def test_command_line(repository, monkeypatch, capsys):
    repository.commit({"a": {}, "b": {}})
    here = repository.commit({"a": {"margin": 0.2}, "b": {}}, [row("a", 1.0, margin=0.2), row("b", 1.0)])
    monkeypatch.setattr(ledger, "ROOT", repository.root)
    assert __main__.main(["claims", "--history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["claim", "registered", "contract", "changed", "since"]
    assert lines[1].split(maxsplit=3) == ["a", "with", "with", f"margin 0.1 → 0.2 ({here}, with a new result)"]
    assert lines[-1].split("  ") == ["2 claims", "1 with, 1 before", "1 with, 1 before", "1 changed"]
    assert __main__.main(["claims", "--history", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["history"]
    assert {id: Told(**each) for id, each in said.items()} == repository.tell()


# This repository


def told(root=ROOT):
    found = history.tell(root)
    if found is None:
        pytest.skip("no history here: an archive, a shallow clone, or no git")
    return found


def test_this_history_until_it_was_computed(tmp_path):
    """What two readers had found by hand, at the commit where they had found it."""
    told()
    copy, last = tmp_path / "copy", git(ROOT, "rev-parse", "f632f58")
    git(tmp_path, "clone", "-q", "--shared", "--no-checkout", ROOT, copy)
    git(copy, "reset", "-q", "--soft", last)
    git(copy, "checkout", "-q", "HEAD", "--", LEDGER, REGISTRY)
    found = history.tell(copy)
    rows = json.loads((copy / LEDGER).read_text())
    # Notebooks 01 to 03 were registered first; five statements were rewritten when the results were there.
    first = {each["id"] for each in rows if each["notebook"][:2] in ("01", "02", "03")}
    reworded = {"retained-jump", "retained-digits", "retained-patches", "survivors-digits", "accumulate-lambert"}
    assert len(found) == 130 and len(first) == 38
    assert {id for id, each in found.items() if each.registered == "before"} == first - reworded
    with_result = "a6c8e6a, 2026-11-23, with a new result"
    assert all(found[id].changed[0] == f"statement ({with_result})" for id in reworded)
    assert found["denoiser-mlp-anchored"].changed[0] == (
        "expected inconclusive → confirmed (417f2f7, 2026-11-24, with a new result)"
    )
    assert {id for id, each in found.items() if each.changed} - reworded == {
        "theorem-1-violations", "denoiser-mlp-anchored", "denoiser-mlp-reflow",
    }  # fmt: skip


def late(root):
    """The claims that are new or changed since history is computed, and that no commit older than their row has."""
    first = git(root, "log", "--topo-order", "--reverse", "--format=%H", "--", HISTORY).split()
    if not first:
        return []
    now, then = parse((root / REGISTRY).read_text()), parse(git(root, "show", f"{first[0]}:{REGISTRY}"))

    def contract(claim):
        return [getattr(claim, field, None) for field in history.CONTRACT]

    with_row = [id for id, each in told(root).items() if each.contract == "with"]
    return [id for id in with_row if id not in then or contract(then[id]) != contract(now[id])]


def test_what_counts_as_late(repository):
    before, after = {"old": {}, "touched": {}}, {"old": {}, "touched": {"margin": 0.2}, "new": {}, "good": {}}
    repository.commit(before, [row("old", 1.0), row("touched", 1.0)])
    assert late(repository.root) == []
    repository.commit(**{HISTORY: ""})
    assert late(repository.root) == [], "what was there before the rule"
    repository.commit(before | {"good": {}})
    rows = [row("old", 1.0), row("touched", 1.0, margin=0.2), row("new", 1.0), row("good", 1.0)]
    repository.write(after, rows)
    assert late(repository.root) == ["touched", "new"]
    repository.commit()
    assert late(repository.root) == ["touched", "new"]


def test_every_claim_is_registered_in_a_commit_before_it_is_run():
    """Commit the registry first, then run."""
    told()
    assert late(ROOT) == []
