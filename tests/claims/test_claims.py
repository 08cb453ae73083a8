"""The ledger: verdicts, mutations that must come out refuted, and files that must not be lost."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import scipy.stats

from rfcollapse import claims
from rfcollapse.claims import ledger, reproduce
from rfcollapse.claims.registry import REGISTRY, Claim, parse
from rfcollapse.simulate import dae as simulate
from rfcollapse.theory import dae

ROW = claims.Row("x", "a | b", "ours", "law", "", 0.1, "confirmed", 1.0, 1.02, 0.01, 20, "confirmed", "02_collapse")


@pytest.mark.parametrize(
    "p, m, se, n, kind, margin, verdict",
    [
        (1.0, 1.0, 0.0, 1, "exact", 0.0, "confirmed"),
        (1.0, 1.1, 0.0, 1, "exact", 0.05, "refuted"),
        (1.0, 1.02, 0.01, 1000, "law", 0.05, "confirmed"),
        (1.0, 1.02, 0.01, 1000, "law", 0.04, "inconclusive"),
        (1.0, 1.02, 0.01, 8, "law", 0.05, "inconclusive"),  # Student's t at 7 degrees of freedom is 3.50
        (1.0, 1.2, 0.01, 1000, "law", 0.05, "refuted"),
        (1.0, 0.8, 0.01, 1000, "law", 0.05, "refuted"),
        (1.0, 0.2, 0.01, 1000, "bound", 0.0, "confirmed"),
        (1.0, 1.2, 0.01, 1000, "bound", 0.0, "refuted"),
        (1.0, 1.01, 0.01, 1000, "bound", 0.0, "inconclusive"),
        (None, 3.0, 0.1, 5, "observation", 0.0, "observed"),
    ],
)
def test_judge(p, m, se, n, kind, margin, verdict):
    assert claims.judge(p, m, se, n, kind=kind, margin=margin) == verdict


def test_judge_confirms_at_its_stated_level():
    """When the truth lies exactly on the margin, a confirmation is an error: it must come in at most .5 % of cases."""
    rng = np.random.default_rng(0)
    n, trials = 10, 20_000
    draws = rng.normal(1.1, 0.3, size=(trials, n))
    errors = draws.std(axis=1, ddof=1) / n**0.5
    verdicts = [claims.judge(1.0, m, se, n, kind="law", margin=0.1) for m, se in zip(draws.mean(axis=1)[:2000], errors)]
    assert verdicts.count("confirmed") < 2000 * 0.005 + 4 * (2000 * 0.005) ** 0.5
    # The same for all trials at once, by the definition of the interval.
    slack = scipy.stats.t.ppf(0.995, n - 1) * errors
    assert np.mean(abs(draws.mean(axis=1) - 1) + slack <= 0.1) < 0.006


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((1.0, float("nan"), 0.0, 1, "law", 0.1), "measurement must be finite; got nan"),
        ((1.0, 1.0, -0.1, 5, "law", 0.1), "standard_error must be at least 0"),
        ((1.0, 1.0, 0.1, 1, "law", 0.1), "n must be at least 2"),
        ((1.0, 1.0, 0.1, 9, "exact", 0.1), "standard_error must be 0 for an exact claim"),
        ((None, 1.0, 0.1, 9, "law", 0.1), "prediction is needed"),
        ((1.0, 1.0, 0.1, 9, "guess", 0.1), "kind must be one of"),
        ((1.0, 1.0, 0.1, 9, "law", -0.1), "margin"),
    ],
)
def test_judge_refuses(arguments, words, unchecked):
    *numbers, kind, margin = arguments
    with pytest.raises(ValueError, match=words):
        claims.judge(*numbers, kind=kind, margin=margin)


def simulated_variance(rounds, **options):
    result = simulate.run(
        jax.random.key(7),
        np.diag([12.0]),
        samples=10**6,
        noise_std=1.0,
        rounds=rounds,
        seeds=32,
        **options,
    )
    last = np.asarray(result.variances)[:, -1, 0]
    return last.mean(), last.std(ddof=1) / 32**0.5


@pytest.mark.parametrize(
    "right, wrong",
    [
        # A wrong power, a wrong drift and a wrong noise in the recursion, each by a little.
        (lambda u: (u / (u + 1)) ** 2 * (u + 1), lambda u: (u / (u + 1)) ** 2.2 * (u + 1)),
        (lambda u: (u / (u + 1)) ** 2 * (u + 1), lambda u: (u / (u + 1)) ** 2 * (u + 1.1)),
        (lambda u: (u / (u + 1)) ** 2 * (u + 1), lambda u: (u / (u + 1.1)) ** 2 * (u + 1)),
    ],
)
def test_mutated_recursion_is_refuted(right, wrong):
    mean, error = simulated_variance(8)
    law, mutant = 12.0, 12.0
    for _ in range(8):
        law, mutant = right(law), wrong(mutant)
    assert claims.judge(1.0, mean / law, error / law, 32, kind="law", margin=0.02) == "confirmed"
    assert claims.judge(1.0, mean / mutant, error / mutant, 32, kind="law", margin=0.02) == "refuted"


@pytest.mark.slow
def test_mutated_fixed_points_are_refuted():
    mean, error = (value / 16 for value in simulated_variance(60, real_fraction=0.1))
    for factor, verdict in ((1.0, "confirmed"), (1.2, "refuted"), (0.8, "refuted")):
        kept = float(dae.retained_variance(12.0, 1.0, 0.1 * factor)) / 16
        assert claims.judge(kept, mean, error, 32, kind="law", margin=0.015) == verdict


def test_registry_is_well_formed():
    for claim in REGISTRY.values():
        assert claim.kind in claims.KINDS and claim.margin >= 0
        # "inconclusive" is for a claim whose runs, on record, are known to be too few for its margin
        assert claim.expected in ("confirmed", "refuted", "observed", "inconclusive")
        assert (claim.kind == "observation") == (claim.expected == "observed")


WHOLE = '[{}.a]\nkind = "observation"\nstatement = ""\nsource = ""\nunit = ""\n'


@pytest.mark.parametrize(
    "text, error, words",
    [
        ('[n.a]\nkind = "observation"', TypeError, "statement"),
        (WHOLE.format("n") + "width = 1", TypeError, "width"),
        (WHOLE.format("m") + WHOLE.format("n"), ValueError, "'a': in m and in n"),
        ("[n.a", ValueError, "Expected"),
    ],
)
def test_a_registry_that_is_none_is_refused(text, error, words):
    with pytest.raises(error, match=words):
        parse(text)


def test_record_writes_only_under_the_switch(tmp_path, monkeypatch, unchecked):
    id = "retained-golden"
    monkeypatch.delenv(claims.LEDGER, raising=False)
    assert claims.record(id, 0.618, 0.617, 0.0005, n=16) == f"{id}: confirmed"
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(claims.LEDGER, str(tmp_path))
    assert claims.record(id, 0.618, 0.5, 0.0005, n=16) == f"{id}: refuted (expected: confirmed)"
    (line,) = (tmp_path / "03_real_data.jsonl").read_text().splitlines()
    assert json.loads(line)["measurement"] == 0.5
    with pytest.raises(ValueError, match="no claim 'golden' in the registry"):
        claims.record("golden", 1, 1)
    with pytest.raises(ValueError, match="asks for at least 8 runs; got 3"):
        claims.record(id, 0.618, 0.617, 0.001, n=3)
    monkeypatch.setenv(claims.QUICK, "1")
    assert claims.record(id, 0.618, 0.617, 0.001, n=3) == f"{id}: inconclusive (expected: confirmed)"


def test_a_new_claim_is_one_row_of_the_registry(tmp_path, monkeypatch):
    """It is judged, recorded, written and shown without an edit elsewhere."""
    toy = Claim("toy", "Two and two | are four", "ours", "law", 0.1, "apples", "99_toy", runs=3)
    monkeypatch.setitem(REGISTRY, toy.id, toy)
    monkeypatch.setenv(claims.LEDGER, str(tmp_path))
    assert claims.record("toy", 4.0, 4.01, 0.001, n=5) == "toy: confirmed"
    (row,) = ledger.merge(tmp_path, "99_toy", tmp_path / "99_toy.jsonl")
    assert row == ledger.read(tmp_path / "claims.json")[-1]
    shared = set(Claim._fields) & set(claims.Row._fields)
    assert shared == set(Claim._fields) - {"runs"} and all(getattr(row, name) == getattr(toy, name) for name in shared)
    assert (row.prediction, row.measurement, row.standard_error, row.n) == (4.0, 4.01, 0.001, 5)
    for shown in (ledger.table([row]), ledger.summary([row]), ledger.verdicts([row])):
        assert "toy" in shown and "confirmed" in shown
    assert not [line for line in ledger.unexpected([row]) if line.startswith("toy")]
    assert reproduce.problems([reproduce.Outcome("99_toy", [row], None, 1.0)]) == []
    assert reproduce.problems([reproduce.Outcome("99_toy", [], None, 1.0)]) == ["toy: not recorded by 99_toy"]


def test_merge_replaces_one_notebook_only(tmp_path):
    def row(id, measurement):
        claim = REGISTRY[id]
        return claims.Row(
            claim.id, claim.statement, claim.source, claim.kind, claim.unit, claim.margin, claim.expected,
            1.0, measurement, 0.0, 16, "confirmed", claim.notebook,
        )._asdict()  # fmt: skip

    old = [row("law-rho-1", 1.0), row("retained-golden", 0.6), row("cadence", 0.3)]
    (tmp_path / "claims.json").write_text(json.dumps(old))
    lines = tmp_path / "03_real_data.jsonl"
    lines.write_text(json.dumps(row("retained-golden", 0.7)) + "\n")
    ledger.merge(tmp_path, "03_real_data", lines)
    merged = {row.id: row.measurement for row in ledger.read(tmp_path / "claims.json")}
    assert merged == {"law-rho-1": 1.0, "retained-golden": 0.7}
    assert "retained-golden" in (tmp_path / "claims.md").read_text()


def test_unexpected_names_what_is_wrong():
    claim = REGISTRY["retained-golden"]
    good = claims.Row(
        claim.id, claim.statement, claim.source, claim.kind, claim.unit, claim.margin, claim.expected,
        0.618, 0.618, 0.0, 16, "confirmed", claim.notebook,
    )  # fmt: skip
    others = {id: f"{id}: registered, but never recorded" for id in REGISTRY if id != claim.id}
    assert ledger.unexpected([good]) == list(others.values())
    for change, words in (
        ({"verdict": "refuted"}, "does not follow from the numbers"),
        ({"measurement": 0.9, "verdict": "refuted"}, "refuted, expected confirmed"),
        ({"margin": 0.5}, "another margin"),
        ({"id": "gone"}, "not in the registry"),
    ):
        assert words in ledger.unexpected([good._replace(**change)])[0]


def test_table_escapes_and_marks():
    assert r"a \| b" in ledger.table([ROW])
    assert "**refuted** (expected confirmed)" in ledger.table([ROW._replace(verdict="refuted")])


def test_read_refuses_what_is_no_ledger(tmp_path):
    with pytest.raises(ValueError, match="no ledger at"):
        ledger.read(tmp_path / "claims.json")
    (tmp_path / "claims.json").write_text('[{"id": 3')
    with pytest.raises(ValueError, match="is not a ledger"):
        ledger.read(tmp_path / "claims.json")


def test_the_ledger_is_shown_without_what_draws_or_runs_notebooks():
    script = """
import sys
from rfcollapse import __main__
from rfcollapse.claims import reproduce
assert __main__.main(["claims"]) == 0
print([name for name in ("matplotlib", "PIL", "nbformat", "nbclient") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "[]", said.stderr
