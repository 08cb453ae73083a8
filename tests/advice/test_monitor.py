"""Monitor: its intervals, false alarms, delays and advice on pipelines whose truth is known; its state; bad files."""

import json
import os

import jax
import numpy as np
import pytest
from advice.fabricated import fabricated, fabricated_round

from rfcollapse.__main__ import main
from rfcollapse.advice import mechanisms, monitor, samples
from rfcollapse.advice import state as states
from rfcollapse.measure.coverage import coverage

SCALES = np.array([9.0, 4.0, 1.0])


def gaussian(generator, n, variances):
    return samples.open_samples(generator.standard_normal((n, len(variances))) * np.sqrt(variances) + 3)


# --------------------------------------------------------------------------------------------------- rounds


def test_measured_errors_are_those_of_repetition():
    generator = np.random.default_rng(4)
    state = monitor.start(samples.open_samples(generator.laplace(size=(4000, 3)) * np.sqrt(SCALES)))
    rounds = []
    for _ in range(200):
        one = monitor.add(state, samples.open_samples(generator.laplace(size=(1000, 3)) * np.sqrt(SCALES)))
        rounds.append(one.rounds[0])
    errors = np.mean([np.sqrt(found.level.kurtosis / found.level.rows) for found in rounds], axis=0)
    spread = np.std([np.log(found.level.variances) for found in rounds], axis=0)
    assert np.all(spread[3:6] > 1.4 * (2 / 1000) ** 0.5)  # Laplace: √(5/n), not √(2/n)
    np.testing.assert_allclose(errors, spread, rtol=0.2)


# -------------------------------------------------------------------------------------- alarms and their delay


def test_false_alarms_of_whole_verdicts():
    """At the border, every direction keeping just R, after 20 rounds of fabricated moments."""
    generator, alarms = np.random.default_rng(6), 0
    for _ in range(100):
        n, reference, retain = 300, 500, 0.9
        state = fabricated(generator.chisquare(reference, 4) / reference, reference)
        for _ in range(20):
            variances = retain * generator.chisquare(n, 4) / n
            state = state._replace(rounds=(*state.rounds, fabricated_round(n, variances)))
        alarms += bool(monitor.judge(state, retain=retain).alarms)
    assert alarms <= 1  # judged once a run: .0005


def test_false_alarms_of_the_level_at_its_border():
    generator, n, reference, looks = np.random.default_rng(7), 100, 200, 4_000_000
    ratio = 0.9 * generator.chisquare(n, looks) / n / (generator.chisquare(reference, looks) / reference)
    state = fabricated(np.ones(3), reference)
    worst = np.sort(ratio)[int(looks * monitor.LOOK / 2 / 3)]  # the share below which that many fall
    for factor, expected in ((0.97, True), (1.03, False)):
        there = fabricated_round(n, np.array([worst * factor, 1.0, 1.0]))
        assert bool(monitor.judge(state._replace(rounds=(there,)), retain=0.9).alarms) == expected


def test_coverage_is_that_of_measure_and_its_error_is_not_too_small():
    generator = np.random.default_rng(8)
    state = monitor.start(gaussian(generator, 800, SCALES))
    rounds = []
    for _ in range(150):
        rows = generator.standard_normal((150, 3)) * np.sqrt(SCALES) + 3
        rounds.append(monitor.add(state, samples.open_samples(rows)).rounds[0])
    known = state.reference
    along = (rows - known.mean) / known.scale @ known.directions
    assert rounds[-1].coverage == float(coverage(known.points, along).coverage)
    missing = np.array([found.uncovered for found in rounds])
    error = np.mean([found.uncovered_error for found in rounds])
    assert missing.std() < error < 4 * missing.std()  # one reference: what its control adds is in the error alone
    assert abs(missing.mean()) < 2 * error


def test_lost_modes_at_the_same_covariance_are_seen():
    generator = np.random.default_rng(9)

    def ring(n, modes):
        angle = np.pi / 4 * generator.choice(modes, n)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * generator.standard_normal((n, 2))

    state = monitor.start(samples.open_samples(ring(4000, np.arange(8))))
    for _ in range(4):
        state = monitor.add(state, samples.open_samples(ring(2000, np.arange(8))))
        assert not monitor.judge(state).alarms
    state = monitor.add(state, samples.open_samples(ring(2000, np.array([0, 2, 4, 6]))))
    (alarm,) = monitor.judge(state).alarms
    assert alarm.startswith("coverage")


@pytest.mark.parametrize("rate, latest", [(0.2, 2), (0.05, 5), pytest.param(0.01, 20, marks=pytest.mark.slow)])
def test_delay_to_the_alarm(rate, latest):
    """In 95 % of runs by the round at which 1 − R and five standard errors are lost, or the trend is seen."""
    delays = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        state = monitor.start(gaussian(generator, 20_000, SCALES))
        for j in range(1, latest + 1):
            state = monitor.add(state, gaussian(generator, 10_000, SCALES * np.exp(-rate * j)))
            if monitor.judge(state).alarms:
                break
        delays.append(j if monitor.judge(state).alarms else np.inf)
    assert np.mean(np.array(delays) <= latest) >= 0.9
    assert min(delays) > 0.05 / rate  # no sooner than half of it is lost


# ---------------------------------------------------------------------------------------------------- advice


def test_advice_by_the_law_restores_what_is_wanted():
    generator, mechanism = np.random.default_rng(10), mechanisms.Flow(30)
    state, share = _pipeline(generator, mechanism, lambda verdict: 0.0, 5)
    assert share < 0.9
    fraction = monitor.judge(state, mechanism=mechanism).fraction
    _, share = _pipeline(generator, mechanism, lambda verdict: fraction, 80)
    assert share == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    "mechanism", [mechanisms.Flow(60), mechanisms.Dae(0.3), mechanisms.Rate(0.03)], ids=lambda one: one.name
)
def test_advice_by_the_rule_measured_again_keeps_what_is_wanted(mechanism):
    generator = np.random.default_rng(11)
    _, share = _pipeline(generator, mechanism, lambda verdict: verdict.fraction, 60)
    assert 0.89 < share < 0.97  # the upper end of the rate: rather too much than too little


def test_advice_knows_of_the_real_data_in_use():
    """At rest nothing falls, and yet the α in use is what it takes."""
    generator, mechanism = np.random.default_rng(21), mechanisms.Rate(0.05)
    state = monitor.start(gaussian(generator, 200_000, SCALES))
    kept = np.asarray(mechanisms.retained(mechanism, SCALES, 0.45))
    for _ in range(8):
        state = monitor.add(state, gaussian(generator, 100_000, kept))
    needed = np.expm1(0.05) * 0.9 / 0.1
    assert needed - 0.01 < monitor.judge(state, real_fraction=0.45).fraction < 1.3 * needed
    assert monitor.judge(state).fraction < 0.3 * needed


def test_rounds_left():
    generator = np.random.default_rng(12)
    state = monitor.start(gaussian(generator, 400_000, SCALES))
    for j in range(8):
        state = monitor.add(state, gaussian(generator, 200_000, SCALES * np.exp(-0.02 * j)))
    left = monitor.judge(state, retain=0.5).rounds_left
    truth = (np.log(2) - 0.14) / 0.02
    assert left.low < truth < left.high and left.value == pytest.approx(truth, rel=0.1)
    assert np.isinf(monitor.judge(state._replace(rounds=state.rounds[:1] * 5), retain=0.5).rounds_left.high)


def _pipeline(generator, mechanism, policy, rounds):
    """A mechanism run by a policy that sees 20,000 rows a round; the state and the share of the total in the end."""
    real = np.array([4.0, 2.0, 1.0])
    state = monitor.start(gaussian(generator, 40_000, real))
    variance, fraction = real, 0.0
    for j in range(rounds):
        variance = np.asarray(mechanism.one_round(variance, fraction, real))
        state = monitor.add(state, gaussian(generator, 20_000, variance))
        if j % monitor.WINDOW == monitor.WINDOW - 1:  # a rate is measured at one fraction
            verdict = monitor.judge(state, real_fraction=float(fraction))
            fraction = min(policy(verdict), 1.0)
        elif j == 0:
            fraction = min(policy(monitor.judge(state)) or 0.0, 1.0)
    return state, variance.sum() / real.sum()


# ------------------------------------------------------------------------------------------ state and files


def test_state_goes_on_where_it_was(tmp_path, capsys):
    generator = np.random.default_rng(13)
    np.save(tmp_path / "real.npy", generator.standard_normal((500, 3)))
    names = []
    for j in range(5):
        names.append(str(tmp_path / f"{j}.npy"))
        np.save(names[-1], generator.standard_normal((300, 3)) * np.exp(-0.25 * j))
    base = ["--reference", str(tmp_path / "real.npy"), "--json"]
    assert main(["monitor", *names, *base]) == 2
    at_once = json.loads(capsys.readouterr().out)
    kept = ["--state", str(tmp_path / "state.json")]
    codes = [main(["monitor", name, *base, *kept]) for name in names]
    parts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert codes[0] == 0 and codes[-1] == 2
    assert [part["rounds"][0] for part in parts] == at_once["rounds"]
    assert [path.name for path in tmp_path.glob("state*")] == ["state.json"]
    state = states.load(tmp_path / "state.json")
    assert len(state.rounds) == 5 and state.reference.directions.shape == (3, 3)


def test_a_state_that_is_none(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(14).standard_normal((50, 2)))
    for content, words in (("{", "not a monitor's state"), ('{"version": 99}', "version 99"), ("[]", "not a monitor")):
        (tmp_path / "state.json").write_text(content)
        assert main(["monitor", str(tmp_path / "x.npy"), "--state", str(tmp_path / "state.json")]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_bad_rounds_are_one_line(tmp_path, capsys):
    generator = np.random.default_rng(15)
    np.save(tmp_path / "real.npy", generator.standard_normal((100, 3)))
    np.save(tmp_path / "wide.npy", generator.standard_normal((100, 4)))
    np.save(tmp_path / "few.npy", generator.standard_normal((5, 3)))
    np.save(tmp_path / "alike.npy", np.ones((100, 3)))
    cases = [
        (["wide.npy", "--reference", "real.npy"], "4 columns, the reference has 3"),
        (["few.npy", "--reference", "real.npy"], "too few rows"),
        (["real.npy", "--reference", "alike.npy"], "no column varies"),
        (["real.npy"], "--reference REAL is needed"),
        (["real.npy", "--reference", "none.npy"], "no such file"),
        (["real.npy", "--reference", "real.npy", "--retain", "7"], "retain must lie"),
    ]
    for arguments, words in cases:
        arguments = [str(tmp_path / x) if x.endswith(".npy") else x for x in arguments]
        assert main(["monitor", *arguments]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_the_reference_s_columns_are_those_of_all_its_rows_and_its_directions_of_one_half():
    rows = np.random.default_rng(22).standard_normal((10_001, 3)) * SCALES
    known = monitor.start(samples.open_samples(rows)).reference
    np.testing.assert_allclose(known.scale, rows.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(known.level.variances[3:], [1, 1, 1, 3], rtol=1e-9)
    assert known.level.total == pytest.approx(rows.var(axis=0).sum(), rel=1e-9)
    np.testing.assert_allclose(known.spectrum, np.linalg.eigvalsh(np.cov(rows.T, ddof=0))[::-1], rtol=1e-9)
    assert list(known.level.rows) == [5001] * 3 + [10_001] * 4
    assert known.level.variances[:3] == pytest.approx(1, abs=0.1)


def test_a_shift_of_the_mean_changes_no_moment():
    generator = np.random.default_rng(19)
    rows = generator.laplace(size=(1000, 3)) * SCALES
    state = monitor.start(samples.open_samples(rows))
    state = monitor.add(monitor.add(state, samples.open_samples(rows)), samples.open_samples(rows + 20.0))
    here, there = (found.level for found in state.rounds)
    np.testing.assert_allclose(there.variances, here.variances, rtol=1e-9)
    np.testing.assert_allclose(there.kurtosis[:-1], here.kurtosis[:-1], rtol=1e-6)
    known = state.reference
    along = (rows - known.mean) / known.scale @ known.directions
    fourth = ((along - along.mean(axis=0)) ** 4).mean(axis=0)
    np.testing.assert_allclose(here.kurtosis[:3], fourth / along.var(axis=0) ** 2 - 1, rtol=1e-9)
    assert [round(found.shift) for found in state.rounds] == [0, 1200]


def test_a_collapsed_round_is_an_alarm_not_an_error():
    state = monitor.start(gaussian(np.random.default_rng(16), 500, SCALES))
    for _ in range(4):
        state = monitor.add(state, samples.open_samples(np.ones((100, 3))))
    verdict = monitor.judge(state)
    assert any("of the variance in" in alarm and "the total" in alarm for alarm in verdict.alarms)


def test_a_column_without_variance_in_the_reference_is_left_out():
    rows = np.random.default_rng(17).standard_normal((500, 3)) * [2, 1, 0]
    state = monitor.start(samples.open_samples(rows))
    assert state.reference.directions.shape == (2, 2)
    assert not monitor.judge(monitor.add(state, samples.open_samples(rows))).alarms


def test_text_names_what_to_do(tmp_path, capsys):
    generator = np.random.default_rng(18)
    np.savetxt(tmp_path / "real.csv", generator.standard_normal((500, 2)), delimiter=",")
    for j in range(3):
        np.savetxt(tmp_path / f"{j}.csv", generator.standard_normal((400, 2)), delimiter=",")
    names = [str(tmp_path / f"{j}.csv") for j in range(3)]
    assert main(["monitor", *names, "--reference", str(tmp_path / "real.csv"), "--rate", "0.05"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("healthy") and "by the law of rate" in printed
    assert "decay per round" in printed and " 2.csv " in printed


def test_jax_arrays_are_samples_too():
    rows = jax.random.normal(jax.random.key(0), (100, 2))
    state = monitor.add(monitor.start(samples.open_samples(rows)), samples.open_samples(rows))
    assert not monitor.judge(state).alarms


def test_a_round_that_cannot_be_read_costs_none_before_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    np.save("real.npy", generator.standard_normal((1000, 2)))
    np.save("ok.npy", generator.standard_normal((500, 2)))
    np.save("dead.npy", np.zeros((500, 2)))
    base = ["--reference", "real.npy", "--state", "state.json"]
    assert main(["monitor", "ok.npy", "nosuch.npy", *base]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("healthy") and "nosuch.npy: no such file" in printed.err
    assert len(states.load("state.json").rounds) == 1
    assert main(["monitor", "dead.npy", "nosuch.npy", *base]) == 2  # an alarm is an alarm
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "ALARM" and "nosuch.npy: no such file" in printed.err
    assert main(["monitor", "ok.npy", *base[:3], "."]) == 1
    assert "--state: . is a folder; name a file in it" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir("rounds")
    os.mkfifo("pipe.csv")
    for name, words in (("rounds", "rounds: a folder; name the files in it"), ("pipe.csv", "pipe.csv: a pipe or")):
        assert main(["budget", name, "--rate", "0.1"]) == 1
        assert words in capsys.readouterr().err
