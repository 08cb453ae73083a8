"""The ledger: verdicts, mutations that must come out refuted, and files that must not be lost."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import scipy.stats

from rfcollapse import __main__, claims
from rfcollapse.claims import ledger, reproduce
from rfcollapse.claims.registry import REGISTRY, Claim, parse
from rfcollapse.claims.row import said
from rfcollapse.simulate import dae as simulate
from rfcollapse.theory import dae

TOY = Claim("toy", "Two and two | are four", "ours", "law", 0.1, "apples", "99_toy", runs=3)


def row(claim=TOY, **numbers):
    """A row of a claim as `record` makes it."""
    fields = {name: value for name, value in claim._asdict().items() if name in claims.Row._fields}
    given = dict(prediction=4.0, measurement=4.02, standard_error=0.01, n=20, form="runs")
    return claims.judged(claims.Row(**fields | given | numbers))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A registry of one claim, and what a run of its notebook does: it records, and its rows are merged."""

    def run(prediction, claim=TOY, **numbers):
        for module in (claims, ledger):
            monkeypatch.setattr(module, "REGISTRY", {claim.id: claim})
        monkeypatch.setenv(claims.LEDGER, str(tmp_path))
        lines = tmp_path / f"{claim.notebook}.jsonl"
        lines.unlink(missing_ok=True)
        line = claims.record(claim.id, prediction, **numbers)
        (one,) = ledger.merge(tmp_path, claim.notebook, lines)
        assert [one] == ledger.read(tmp_path / "claims.json") and line == said(one)
        return one

    return run


def gate(*rows):
    return ledger.problems(list(rows), {TOY.notebook})


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


@pytest.mark.parametrize(
    "p, k, n, kind, margin, verdict",
    [
        (
            0.0,
            0,
            1000,
            "law",
            0.0052,
            "inconclusive",
        ),  # the upper limit of no hit in 1000 is 1 − .005^(1/1000) = .00528
        (0.0, 0, 1000, "law", 0.0053, "confirmed"),
        (1.0, 1000, 1000, "law", 0.0053, "confirmed"),
        (0.01, 0, 1000, "law", 0.004, "refuted"),
        (0.006, 0, 1000, "bound", 0.0, "confirmed"),
        (0.005, 0, 1000, "bound", 0.0, "inconclusive"),
        (0.005, 1000, 1000, "bound", 0.0, "refuted"),
        (0.5, 500, 1000, "law", 0.042, "confirmed"),  # 2.576 × √(.25/1000) = .0407, and a little for being exact
        (0.5, 500, 1000, "law", 0.040, "inconclusive"),
    ],
)
def test_judge_of_hits(p, k, n, kind, margin, verdict):
    assert claims.judge(p, k / n, 0.1, n, kind=kind, margin=margin, form="hits") == verdict


RANDOM = np.random.default_rng(1)
TRIED = [
    (kind, form, *RANDOM.uniform(0.2, 0.8, 2), RANDOM.uniform(0, 0.2), int(RANDOM.integers(5, 60)))
    for kind in ("law", "bound") for form in ("runs", "hits") for _ in range(12)
]  # fmt: skip


@pytest.mark.parametrize("kind, form, p, m, margin, n", TRIED)
def test_resolution_is_where_other_predictions_begin_to_be_refuted(kind, form, p, m, margin, n):
    """All that are off by more are refuted, of those off by a little less one is not: as `judge` has it."""
    numbers = dict(measurement=round(m * n) / n, standard_error=0.02, n=n)
    one = row(TOY._replace(kind=kind, margin=margin), prediction=p, form=form, **numbers)
    signs = (-1,) if kind == "bound" else (-1, 1)

    def verdicts(error):
        others = [p * (1 + sign * error) for sign in signs]
        return {claims.judge(other, *numbers.values(), kind=kind, margin=margin, form=form) for other in others}

    assert all(
        verdicts(one.resolution * factor * (1 + 1e-5) + 1e-9) == {"refuted"} for factor in (1.0, 1.01, 1.3, 3.0, 20.0)
    )
    assert verdicts(one.resolution * 0.999) != {"refuted"} or (one.resolution == 0 and one.verdict == "refuted")


def test_resolution_where_the_prediction_is_zero():
    """Relative to the rival: of a share of the way from the law to it, the least that these numbers refute."""
    zero = dict(prediction=0.0, measurement=0.01, standard_error=0.0)
    assert row(**zero).resolution is None
    assert row(TOY._replace(kind="observation"), prediction=None).resolution is None
    named = TOY._replace(rival="no collapse")
    assert row(named, **zero, rival_prediction=0.5, rival_measurement=0.01).resolution == pytest.approx(0.11 / 0.5)
    assert row(named, **zero, rival_prediction=0.0, rival_measurement=0.51).resolution == pytest.approx(0.11 / 0.5)


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
        assert claim.kind in claims.KINDS
        assert re.fullmatch(r"\d+(\.\d+)? %", claim.margin) if isinstance(claim.margin, str) else claim.margin >= 0
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
    monkeypatch.setitem(REGISTRY, "toy", TOY)
    monkeypatch.delenv(claims.LEDGER, raising=False)
    assert (
        claims.record("toy", 4, value=4.01, error=0.001, n=5) == "toy: confirmed (predicted 4, measured 4.01 ± 0.001)"
    )
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(claims.LEDGER, str(tmp_path))
    assert claims.record("toy", 4, value=5, n=5) == "toy: refuted (predicted 4, measured 5), expected confirmed"
    (line,) = (tmp_path / "99_toy.jsonl").read_text().splitlines()
    assert json.loads(line)["measurement"] == 5
    with pytest.raises(ValueError, match="no claim 'toys' in the registry"):
        claims.record("toys", 1, value=1)
    with pytest.raises(ValueError, match="asks for at least 3 runs; got 2"):
        claims.record("toy", 4, runs=[4.0, 4.2])
    monkeypatch.setenv(claims.QUICK, "1")
    assert claims.record("toy", 4, runs=[4.0, 4.2]).startswith("toy: inconclusive (")


def test_runs_are_averaged_over_all_but_the_first_axis(toy):
    values = np.random.default_rng(0).normal(4, 0.01, (6, 2, 5))
    one, means = toy(4.0, runs=values), [run.mean() for run in values]
    assert (one.form, one.n) == ("runs", 6) and one.measurement == pytest.approx(np.mean(means))
    assert one.standard_error == pytest.approx(np.std(means, ddof=1) / 6**0.5)


def test_hits_have_exact_limits(toy):
    one = toy(0.0, TOY._replace(kind="bound", margin=0.002), hits=0, of=np.int64(4000))
    assert (one.form, one.measurement, one.n, one.verdict) == ("hits", 0.0, 4000, "confirmed")
    assert said(one) == "toy: confirmed (predicted ≤ 0, measured 0 of 4000, 0 to 0.0013)"
    assert toy(0.75, hits=3000, of=4000).standard_error == pytest.approx((0.75 * 0.25 / 4000) ** 0.5)


@pytest.mark.parametrize(
    "numbers, words",
    [
        ({}, "takes one measurement"),
        ({"runs": [4.0, 4.1, 4.0], "n": 3}, "takes one measurement"),
        ({"hits": 3}, "takes one measurement"),
        ({"of": 3}, "takes one measurement"),
        ({"error": 0.1, "n": 5}, "takes one measurement"),
        ({"value": 4.0, "hits": 3, "of": 4}, "takes one measurement"),
        ({"hits": 5, "of": 4}, "hits must be from 0 to 4; got 5"),
        ({"hits": 2.5, "of": 4}, "hits must be a whole number"),
        ({"runs": 4.0}, "at least 2 runs"),
        ({"value": 4.0, "error": 0.1}, "at least 3 runs; got 1"),
        ({"value": 4.0, "n": 3, "rival": 1.0}, "rival"),
    ],
)
def test_record_takes_exactly_one_measurement(numbers, words, monkeypatch):
    monkeypatch.setitem(REGISTRY, "toy", TOY)
    with pytest.raises(ValueError, match=words) as refused:
        claims.record("toy", 4.0, **numbers)
    assert "\n" not in str(refused.value)


def test_a_rival_goes_through_the_same_judge(toy):
    named = TOY._replace(rival="no collapse")
    measured = dict(value=4.01, error=0.01, n=20)
    one = toy(4.0, named, **measured, rival=5.0)
    assert (one.rival_prediction, one.rival_measurement, one.rival_verdict) == (5.0, 4.01, "refuted")
    assert gate(one) == [] and "no collapse: 5, refuted" in ledger.table([one])
    weak = toy(4.0, named, **measured, rival=4.05)
    assert weak.rival_verdict == "confirmed" and gate(weak) == ["toy: its rival survives (no collapse: confirmed)"]
    for rivals in ({}, {"rival": 5.0, "rival_value": 1.0}):
        with pytest.raises(ValueError, match="one of rival= and rival_value= iff its claim has a rival"):
            toy(4.0, named, **measured, **rivals)


def test_a_rival_may_have_its_own_value_of_the_statistic(toy):
    """A distance from the law's distribution, and from the rival's."""
    distance = TOY._replace(kind="bound", margin=0.03, rival="degrees of freedom one off")
    one = toy(0.0, distance, value=0.004, n=5, rival_value=0.08)
    assert (one.verdict, one.rival_verdict, one.rival_prediction, one.rival_measurement) == (
        "confirmed", "refuted", 0.0, 0.08)  # fmt: skip
    assert "degrees of freedom one off: 0.08, refuted" in ledger.table([one])
    assert gate(one) == [] and gate(toy(0.0, distance, value=0.004, n=5, rival_value=0.02)) != []


def test_a_relative_margin_is_the_laws_for_both(toy):
    """2 % of a predicted change of −.7, where the rival predicts none: its own 2 % would be 0."""
    change = TOY._replace(margin="2 %", rival="no collapse")
    one = toy(-0.7, change, runs=[-0.701, -0.7, -0.699, -0.7], rival=0.0)
    assert (one.verdict, one.rival_verdict, one.margin) == ("confirmed", "refuted", "2 %")
    assert toy(-0.7, change, value=-0.6859, n=3, rival=0.0).verdict == "refuted"
    assert toy(-0.7, change, value=-0.6861, n=3, rival=0.0).verdict == "confirmed"
    assert toy(-0.7, change, value=-0.7, n=3, rival=-0.7139).rival_verdict == "confirmed"
    assert "| 2 % |" in ledger.table([one]) and "2 %" in ledger.verdicts([one])


def test_a_new_claim_is_one_table_of_the_registry(toy):
    """It is judged, recorded, written and shown without an edit elsewhere."""
    one = toy(4.0, value=4.01, error=0.001, n=5)
    shared = set(Claim._fields) & set(claims.Row._fields)
    assert shared == set(Claim._fields) - {"runs", "evidence", "recording"}
    assert all(getattr(one, name) == getattr(TOY, name) for name in shared)
    assert (one.prediction, one.measurement, one.standard_error, one.n) == (4.0, 4.01, 0.001, 5)
    for shown in (ledger.table([one]), ledger.summary([one]), ledger.verdicts([one])):
        assert "toy" in shown and "confirmed" in shown
    assert gate(one) == reproduce.problems([reproduce.Outcome("99_toy", [one], None, 1.0)], {}) == []
    assert reproduce.problems([reproduce.Outcome("99_toy", [], None, 1.0)], {}) == ["toy: not recorded by 99_toy"]


def test_a_wrong_expectation_lands(toy):
    """It is shown and counted, and fails nothing: here, in a rerun and with a rival that the numbers bear out."""
    one = toy(4.0, TOY._replace(rival="no collapse"), value=5.0, error=0.01, n=20, rival=5.0)
    assert (one.verdict, one.rival_verdict) == ("refuted", "confirmed")
    assert gate(one) == reproduce.problems([reproduce.Outcome("99_toy", [one], None, 1.0)], {"toy": "refuted"}) == []
    assert said(one).endswith("), expected confirmed")
    for shown in (ledger.table([one]), ledger.summary([one])):
        assert "**refuted** (expected confirmed)" in shown
    assert "refuted (expected confirmed)" in ledger.verdicts([one])
    assert ledger.counts([one]).startswith("1 claims: 1 refuted; 1 of them otherwise than expected.")


@pytest.mark.parametrize(
    "change",
    [{"margin": 2.0}, {"statement": "Two and two are 5"}, {"expected": "refuted"}, {"kind": "bound"}, {"unit": "pears"},
     {"law": "theory.dae:lifetime"}, {"rival": "no apples"}, {"source": "paper"}],
)  # fmt: skip
def test_a_registry_edited_after_the_run_is_seen(toy, monkeypatch, change):
    one = toy(4.0, value=5.0, error=0.01, n=20)
    monkeypatch.setattr(ledger, "REGISTRY", {"toy": TOY._replace(**change)})
    assert gate(one) == [f"toy: recorded under another {next(iter(change))} than the registry's"]


def test_a_row_that_does_not_follow_from_its_numbers_is_seen(toy):
    one = toy(4.0, TOY._replace(rival="no collapse"), value=4.01, error=0.01, n=20, rival=5.0)
    assert gate(one) == []
    for change in (
        {"verdict": "refuted"}, {"measurement": 5.0}, {"standard_error": 0.1}, {"rival_verdict": "confirmed"},
        {"rival_prediction": 4.1}, {"resolution": one.resolution * 1.001}, {"resolution": None}, {"n": 2},
    ):  # fmt: skip
        assert "toy: a verdict or the resolution is not what the numbers give" in gate(one._replace(**change)), change
    assert gate(one, one._replace(id="gone")) == ["gone: not in the registry"]
    assert gate() == ["toy: not recorded by 99_toy"]


def test_claims_without_a_rival_are_listed(monkeypatch, capsys):
    registry = {
        id: TOY._replace(id=id, **change)
        for id, change in {
            "law": {}, "bound": {"kind": "bound"}, "named": {"rival": "no collapse"}, "exact": {"kind": "exact"},
            "reading": {"expected": "refuted"}, "seen": {"kind": "observation", "expected": "observed"},
        }.items()
    }  # fmt: skip
    monkeypatch.setattr(ledger, "REGISTRY", registry)
    assert ledger.without_rival() == ["law", "bound"]
    monkeypatch.setattr(ledger, "read", lambda path: [])
    assert __main__.main(["claims", "--check"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["law: names no rival", "bound: names no rival"]


def test_every_law_and_bound_expected_to_hold_names_a_rival():
    assert ledger.without_rival() == []


def test_counts(monkeypatch):
    monkeypatch.setattr(ledger, "waiting", lambda: ["one"])
    rows = [row()] * 3 + [row(measurement=9.0)]
    assert ledger.counts(rows) == (
        "4 claims: 3 confirmed, 1 refuted; 1 of them otherwise than expected. Registered in a commit before the one "
        "with their first result: 0, in the same: 0; changed since: 0. As they stand now, 0 were committed before the "
        "run that judges them. Repeated on seeds drawn later: 0, each time "
        "with the same verdict: 0. Registered, and waiting for their run: 1."
    )
    told = [
        rows[0]._replace(registered="before", repeats=[11, 12], repeats_same=[11, 12]),
        rows[1]._replace(registered="before", changed=["margin"], repeats=[11], repeats_same=[]),
        rows[2]._replace(registered="with", repeats=[11, 12], repeats_same=[12]),
        rows[3],
    ]
    assert ledger.counts(told) == (
        "4 claims: 3 confirmed, 1 refuted; 1 of them otherwise than expected. Registered in a commit before the one "
        "with their first result: 2, in the same: 1; changed since: 1. As they stand now, 0 were committed before the "
        "run that judges them. Repeated on seeds drawn later: 3, each time "
        "with the same verdict: 1. Registered, and waiting for their run: 1."
    )


def test_merge_replaces_one_notebook_only(tmp_path):
    old = [row(REGISTRY[id], measurement=value) for id, value in {"law-rho-1": 1.0, "retained-golden": 0.6}.items()]
    ledger.write(tmp_path, old)
    lines = tmp_path / "03_real_data.jsonl"
    lines.write_text(json.dumps(row(REGISTRY["retained-golden"], measurement=0.7)._asdict()) + "\n")
    ledger.merge(tmp_path, "03_real_data", lines)
    merged = {row.id: row.measurement for row in ledger.read(tmp_path / "claims.json")}
    assert merged == {"law-rho-1": 1.0, "retained-golden": 0.7}
    assert "retained-golden" in (tmp_path / "claims.md").read_text()


def test_history_stays_while_registration_and_verdict_do(toy, tmp_path):
    told = dict(registered="before", contract="with", changed=["statement"], repeats=[7], repeats_same=[7])
    blank = dict(registered="", contract="", changed=[], repeats=[], repeats_same=[])
    for change, value, history in (({}, 4.02, told), ({}, 9.0, blank), ({"margin": 0.2}, 4.01, blank)):
        first = toy(4.0, value=4.01, n=5)
        ledger.write(tmp_path, [first._replace(**told)])
        again = toy(4.0, TOY._replace(**change), value=value, n=5)
        assert {name: getattr(again, name) for name in ledger.HISTORY} == history


def test_table_escapes():
    assert r"Two and two \| are four" in ledger.table([row()])
    assert "(`theory.dae.lifetime`)" in ledger.table([row(TOY._replace(law="theory.dae:lifetime"))])


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
assert __main__.main(["claims", "--check"]) == 0
print([name for name in ("matplotlib", "PIL", "nbformat", "nbclient") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "[]", said.stderr
