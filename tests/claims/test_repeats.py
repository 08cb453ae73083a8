"""Repetitions on seeds drawn later: which seeds, what they read, what is kept and what counts."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from rfcollapse import __main__, claims
from rfcollapse.claims import ledger, repeats, reproduce
from rfcollapse.claims.registry import Claim, parse

ROOT = Path(__file__).resolve().parents[2]
TOML = "rfcollapse/claims/registry.toml"
TABLE = '[01_x.{}]\nstatement = "It is so"\nsource = "ours"\nkind = "law"\nmargin = 0.1\nunit = "rounds"\n'
READ = TABLE.format("read") + 'recording = ["some.json", "a part", "another, with a comma"]\n'
TOLD = ("repeats", "repeats_same")
NOTEBOOK = """
from pathlib import Path
import jax
from rfcollapse import claims
from rfcollapse.claims import record, registry, reproduce
claims.REGISTRY |= registry.parse(Path("../rfcollapse/claims/registry.toml").read_text())
drawn = 4 + 0.01 * jax.random.normal(reproduce.key(), (8,))
print(record("random", 4.0, runs=drawn))
print(record("fixed", 4.0, value=4.01))
print(record("hit", 1.0, hits=1000, of=1000))
print(record("read", 4.0, value=drawn[0]))
"""


def git(root, *arguments):
    named = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    named |= {f"GIT_{role}_DATE": "2026-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}  # seeds as always
    environment = os.environ | named | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root, **files):
    """Writes files by path, commits, and gives the hash."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "x")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A committed checkout of a registry and one notebook, in which the package works."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:  # of a hook that runs the tests
        monkeypatch.delenv(name)
    root = tmp_path / "checkout"
    (root / "benchmarks" / "results").mkdir(parents=True)
    registry = "\n".join(TABLE.format(id) for id in ("random", "fixed", "hit")) + READ
    marks = "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in ("ledger", "verdicts"))
    git(tmp_path, "init", "-q", "-b", "main", root)
    commit(root, **{TOML: registry, "README.md": marks, ".gitignore": "/runs/", "notebooks/01_x.ipynb": "{}"})
    for module in (ledger, reproduce):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(ledger, "REGISTRY", parse(registry))
    return root


def draw(registry, k):
    """The seed by other means than the package's: the first four bytes, without the highest bit."""
    return int.from_bytes(hashlib.sha256(f"{registry} {k}".encode()).digest()[:4], "big") & 0x7FFFFFFF


def test_the_commit_of_the_registry_draws_the_seeds(checkout):
    registry = git(checkout, "rev-parse", "HEAD")
    for _ in range(2):
        commit(checkout, other="what does not concern the registry")
        assert repeats.later(checkout) == {draw(registry, k): {"registry": registry, "draw": k} for k in (1, 2)}
        registry = commit(checkout, **{TOML: READ})


def test_seeds_of_the_command_line(checkout, tmp_path):
    first, second = repeats.later(checkout)
    assert repeats.seed("later:1", checkout) == first and repeats.seed("later:2", checkout) == second
    assert repeats.seed("7", checkout) == repeats.seed("7", tmp_path) == 7
    git(tmp_path, "clone", "-q", "--depth", "1", checkout.as_uri(), "shallow")
    for word, root in (("later:3", checkout), ("x", checkout), ("-1", checkout), ("later:1", tmp_path / "shallow")):
        with pytest.raises(ValueError, match="--seed must be a number, or later:1 or later:2") as refused:
            repeats.seed(word, root)
        assert "\n" not in str(refused.value)


def test_what_is_not_as_committed_is_no_repetition(checkout):
    seed, head = next(iter(repeats.later(checkout))), git(checkout, "rev-parse", "HEAD")
    assert repeats.repeated(checkout, seed) == head
    assert repeats.repeated(checkout, seed + 1) is repeats.repeated(checkout, 0) is None
    for path, harmless in (
        ("runs/some", True), ("benchmarks/results/repeats.json", True), ("README.md", True),
        ("rfcollapse/new.py", False), (TOML, False), ("notebooks/01_x.ipynb", False),
    ):  # fmt: skip
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).write_text("changed")
        assert repeats.repeated(checkout, seed) == (head if harmless else None), path
        git(checkout, "stash", "-q", "-u")
    assert repeats.repeated(checkout, seed) == head


def row(id="a", **change):
    claim = Claim(id, "It is so", "ours", "law", 0.1, "", "01_x", rival="no collapse")
    fields = {name: value for name, value in claim._asdict().items() if name in claims.Row._fields}
    numbers = dict(prediction=4.0, measurement=4.02, standard_error=0.01, n=20, form="runs")
    return claims.judged(claims.Row(**fields | numbers | dict(rival_prediction=5.0, rival_measurement=4.02) | change))


def test_what_is_kept_counts_for_its_contract_alone(checkout):
    seeds = sorted(repeats.later(checkout))
    assert repeats.told(checkout, row()) == {"repeats": [], "repeats_same": []}
    repeats.keep(checkout, seeds[0], "c0", "01_x", [row(), row("b", measurement=5.0)])
    repeats.keep(checkout, seeds[1], "c0", "01_x", [row(measurement=4.06)])
    assert repeats.told(checkout, row()) == {"repeats": seeds, "repeats_same": seeds}
    assert repeats.told(checkout, row("b")) == {"repeats": seeds[:1], "repeats_same": []}
    weaker = row(rival_prediction=4.1)
    assert (weaker.verdict, weaker.rival_verdict) == ("confirmed", "inconclusive")
    assert repeats.told(checkout, weaker) == {"repeats": seeds, "repeats_same": []}
    for field, value in {"statement": "Or so", "margin": "2 %", "expected": "refuted", "kind": "bound", "unit": "s",
                         "law": "theory.dae:lifetime", "rival": "decay"}.items():  # fmt: skip
        assert repeats.told(checkout, row(**{field: value}))["repeats"] == [], field
    # a rerun of the same commit replaces what came of the first; of another commit, it stands beside it
    repeats.keep(checkout, seeds[0], "c0", "01_x", [row(measurement=5.0)])
    assert repeats.told(checkout, row()) == {"repeats": seeds, "repeats_same": seeds[1:]}
    repeats.keep(checkout, seeds[0], "c1", "01_x", [row()])
    assert repeats.told(checkout, row()) == {"repeats": seeds, "repeats_same": seeds[1:]}
    repeats.keep(checkout, seeds[0], "c0", "02_y", [])
    kept = json.loads((checkout / "benchmarks/results/repeats.json").read_text())
    assert [(each["commit"], each["notebook"]) for each in kept] == [
        ("c0", "01_x"), ("c0", "01_x"), ("c1", "01_x"), ("c0", "02_y")]  # fmt: skip
    ledger.write(checkout, [row(), row("b")])
    told = {each.id: (list(each.repeats), list(each.repeats_same)) for each in ledger.tell(checkout)}
    assert told == {"a": (seeds, seeds[1:]), "b": ([], [])}, "the rerun had no b"


def test_a_recording_is_read_part_by_part(checkout, monkeypatch):
    committed, again = repeats.results(checkout, 0) / "some.json", repeats.results(checkout, 7)
    claim = parse(READ)["read"]
    committed.write_text('{"a part": 0, "another, with a comma": 0, "a third": 0}')
    monkeypatch.delenv(claims.RECORDINGS, raising=False)
    assert set(reproduce.recording("some.json").values()) == {0}
    monkeypatch.setenv(claims.RECORDINGS, str(again))
    assert set(reproduce.recording("some.json").values()) == {0} and repeats.lacks(claim, again)
    again.mkdir(parents=True)
    (again / "some.json").write_text('{"a part": 7, "a third": 7}')
    assert reproduce.recording("some.json") == {"a part": 7, "another, with a comma": 0, "a third": 7}
    assert repeats.lacks(claim, again) and not repeats.lacks(claim._replace(recording=claim.recording[:2]), again)
    (again / "some.json").write_text('{"a part": 7, "another, with a comma": 7}')
    assert not repeats.lacks(claim, again) and not repeats.lacks(claim._replace(recording=()), again)
    with pytest.raises(FileNotFoundError):
        reproduce.recording("none.json")


def test_record_judges_no_number_of_another_seed(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "REGISTRY", parse(READ))
    monkeypatch.setenv(claims.LEDGER, str(tmp_path))
    monkeypatch.setenv(claims.RECORDINGS, str(tmp_path))
    said = "read: not repeated (nothing of this seed in some.json a part another, with a comma)"
    assert claims.record("read", 4.0, value=9.0) == said and not list(tmp_path.glob("*.jsonl"))
    (tmp_path / "some.json").write_text('{"a part": 7, "another, with a comma": 7}')
    assert claims.record("read", 4.0, value=9.0).startswith("read: refuted") and list(tmp_path.glob("*.jsonl"))


def test_what_changes_while_a_notebook_runs_is_no_repetition(checkout, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = nbformat.v4.new_markdown_cell("Exercises")
    commit(checkout, **{"notebooks/01_x.ipynb": nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))})
    seed, path = next(iter(repeats.later(checkout))), repeats.results(checkout, 0) / "repeats.json"
    for word, kept in (("x = 1", False), ("", True)):

        async def execute(client, word=word, **_):
            (checkout / "rfcollapse" / "new.py").write_text(word)

        commit(checkout, **{"rfcollapse/new.py": ""})
        monkeypatch.setattr(nbclient.NotebookClient, "async_execute", execute)
        (outcome,), _ = reproduce.run(["01"], seed=seed)
        assert (outcome.error, outcome.kept, path.exists()) == (None, kept, kept)
    assert not reproduce.run(["01"], seed=seed, quick=True)[0][0].kept


@pytest.mark.slow
def test_a_seed_drawn_later_enters_the_ledger(checkout, capsys):
    nbformat = pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell(NOTEBOOK)
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell("Exercises")]))
    without = dict(unit="rounds", rival="", rival_prediction=None)
    (checkout / "figures").mkdir()
    ledger.write(checkout / "figures", [
        row("random", measurement=9.0, **without),  # committed as refuted
        row("fixed", measurement=4.01, standard_error=0.0, **without),
        row("hit", measurement=1.0, form="hits", **without),
    ])  # fmt: skip
    head = commit(checkout, **{"notebooks/01_x.ipynb": text})
    (seed, about), _ = repeats.later(checkout).items()
    path = checkout / "benchmarks" / "results" / "repeats.json"

    def run(word):
        code = __main__.main(["reproduce", "--seed", word])
        return code, capsys.readouterr()

    code, said = run("later:1")
    assert code == 0, said
    assert "not repeated, for their numbers are those of seed 0: read, fixed\n" in said.out
    assert "\nrandom: confirmed, committed as refuted\n" in said.out and "01_x: kept in repeats.json" in said.out
    (entry,) = json.loads(path.read_text())
    contracts = {id: repeats.contract(ledger.REGISTRY[id]) for id in ("random", "hit")}
    assert entry.pop("verdicts") == {id: [contract, "confirmed", ""] for id, contract in contracts.items()}
    assert entry.pop("date") and entry == {"seed": seed, **about, "commit": head, "notebook": "01_x"}
    told = {each.id: (each.repeats, each.repeats_same) for each in ledger.read(checkout / "figures" / "claims.json")}
    assert told == {"random": ([seed], []), "fixed": ([], []), "hit": ([seed], [])}
    counted = "Repeated on seeds drawn later: 2, each time with the same verdict: 0."
    assert counted in (checkout / "README.md").read_text()

    # with the recording, and something in the package that no commit has: all is said, and nothing kept
    repeats.results(checkout, seed).mkdir()
    (repeats.results(checkout, seed) / "some.json").write_text('{"a part": 7, "another, with a comma": 7}')
    (checkout / "rfcollapse" / "new.py").touch()
    before = {file: file.read_bytes() for file in (path, checkout / "README.md", checkout / "figures" / "claims.json")}
    code, said = run(str(seed))
    assert code == 0 and "not kept in repeats.json: package, registry or notebooks are not as committed" in said.err
    assert "those of seed 0: fixed\n" in said.out and re.search(r"^read +4 .*confirmed", said.out, re.MULTILINE)
    assert {file: file.read_bytes() for file in before} == before


def unfounded(root):
    """The entries whose seed was not drawn by the registry's last commit before them, or whose contracts it has not."""
    found = []
    for entry in repeats.read(repeats.results(root, 0) / "repeats.json"):
        last = git(root, "rev-list", "-1", entry["commit"], "--", TOML)
        registry = parse(git(root, "show", f"{last}:{TOML}"))
        fair = (entry["registry"], entry["seed"]) == (last, draw(last, entry["draw"])) and entry["draw"] in (1, 2)
        promised = {id: contract for id, (contract, *_) in entry["verdicts"].items()}
        had = {id: repeats.contract(claim) for id, claim in registry.items()}
        if not fair or not promised.items() <= had.items():
            found.append(entry)
    return found


def test_what_is_unfounded_is_seen(checkout):
    seed, head = next(iter(repeats.later(checkout))), git(checkout, "rev-parse", "HEAD")
    repeats.keep(checkout, seed, head, "01_x", [row("hit", unit="rounds", rival="")])
    path = repeats.results(checkout, 0) / "repeats.json"
    (entry,) = json.loads(path.read_text())
    assert unfounded(checkout) == []
    for change in ({"seed": seed + 1}, {"draw": 2}, {"verdicts": {"hit": ["another", "confirmed", ""]}},
                   {"commit": commit(checkout, **{TOML: READ})}, {"draw": 3, "seed": draw(head, 3)}):  # fmt: skip
        path.write_text(json.dumps([entry | change]))
        assert unfounded(checkout) == [entry | change]


def test_the_repetitions_of_this_repository_are_founded_and_counted():
    rows = ledger.read(ROOT / "figures" / "claims.json")
    assert [row.id for row in rows if repeats.told(ROOT, row) != {name: getattr(row, name) for name in TOLD}] == []
    if not repeats.later(ROOT):
        pytest.skip("no history here: an archive, a shallow clone, or no git")
    assert unfounded(ROOT) == []
