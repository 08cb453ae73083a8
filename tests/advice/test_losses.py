"""Losses beside samples: exact denoisers, whose losses and next variances are known by other means."""

import json

import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.advice import losses, monitor, samples
from rfcollapse.advice import state as states

SCALES = np.array([3.0, 1.5])


@pytest.fixture
def generator():
    return np.random.default_rng(8)


def opened(rows):
    return samples.open_samples(np.reshape(rows, (len(rows), -1)))


def series(generator, rounds, *, scale=1.0, unit=1.0, alpha=0.0, start=1.0, rows=20_000):
    """Gaussian data under exact linear denoisers at σ = 1, times `scale`; the pool is drawn, the loss is that of the
    law. Each round's account; started from so much of the standard deviation."""
    real = generator.standard_normal((rows, 2)) * SCALES
    own, expected = real * start, SCALES**2 * start**2
    state, found = monitor.start(opened(real)), []
    if start < 1:
        state = monitor.add(state, opened(own))
    for j in range(rounds):
        taken = round(alpha * rows) if j or start < 1 else 0
        pool = np.concatenate([own[taken:], generator.permutation(real)[:taken]])
        expected = expected + taken / rows * (SCALES**2 - expected)
        gain = scale * expected / (expected + 1)
        loss = ((1 - gain) ** 2 * expected + gain**2).sum()
        own = generator.permutation(gain * (pool + generator.standard_normal(pool.shape)))
        expected = gain**2 * (expected + 1)
        state = monitor.add(state, opened(own), loss=loss * unit)
        found.append(losses.account(state, real_fraction=alpha))
    return found


def test_lost_is_paid_at_the_optimum(generator):
    for one in series(generator, 4):
        assert one.lost.low < one.paid < one.lost.high
        assert one.scale_defect.low < 0 < one.scale_defect.high
        assert one.warnings == ()


def test_intervals_hold_with_real_data_in_the_pool(generator):
    """At a level of a tenth of the variance, where what the pool happens to draw is most of the error."""
    found = series(generator, 300, alpha=0.05, rows=2000)[20:]
    inside = [one.scale_defect.low < 0 < one.scale_defect.high for one in found]
    truly = [one.fraction.low < 0.05 < one.fraction.high for one in found]
    assert np.mean(inside) >= 0.93 and np.mean(truly) >= 0.93
    assert sum(len(one.warnings) for one in found) <= 1
    widths = [one.fraction.high - one.fraction.low for one in found]
    assert np.median(widths) < 0.03


@pytest.mark.parametrize("scale, sign, word", [(0.9, 1, "too small"), (1.1, -1, "too large")])
def test_a_wrong_scale_shows_with_its_sign(generator, scale, sign, word):
    """D = cD*: κ = c(1 − c)E|D*|², which no variance of the next round enters."""
    (one,) = series(generator, 1, scale=scale)
    best = (SCALES**4 / (SCALES**2 + 1)).sum()
    assert one.scale_defect.low < scale * (1 - scale) * best < one.scale_defect.high
    assert np.sign(one.scale_defect.value) == sign
    assert word in one.warnings[0] and len(one.warnings) == 1


def test_a_wrong_unit_is_named(generator):
    assert "--loss-mean" in series(generator, 1, unit=0.5)[0].warnings[0]
    assert "above the pool's variance" in series(generator, 1, unit=10.0)[0].warnings[0]


def test_the_fraction_is_that_of_the_pool_settled_or_not(generator):
    """It needs no α to be given: where lost is not paid at α = 0 it is at the true one."""
    for alpha in (0.0, 0.3):
        one = series(generator, 3, alpha=alpha, rows=100_000)[-1]
        assert one.fraction.low < alpha < one.fraction.high < alpha + 0.1
    assert series(generator, 1)[0].fraction is None  # at the reference's own variance nothing can be said


def test_pools_with_real_data_and_a_moved_mean(generator):
    """A pool half of own rows about another mean: its variance by brute force."""
    real = generator.standard_normal((20_000, 2)) * SCALES
    own = 0.5 * real + [4.0, 0.0]
    state = monitor.add(monitor.start(opened(real)), opened(own), loss=0.0)
    state = monitor.add(state, opened(own[::-1]), loss=0.0)
    pool = np.concatenate([own, own, own, real])
    assert losses.account(state, real_fraction=0.25).pool == pytest.approx(pool.var(axis=0).sum(), rel=0.01)


def test_what_is_all_but_dead_is_still_judged(generator):
    real = generator.standard_normal((4000, 2)) * SCALES
    state = monitor.start(opened(real))
    state = monitor.add(state, opened(real * 0.1))
    for share in (0.01, 1e-6, 0.0):
        state = monitor.add(state, opened(real * share), loss=0.0)
        assert np.isfinite(losses.account(state).fraction.value)
    points = np.where(np.arange(4000) // 2 % 2, 3.0, -3.0)  # no kurtosis: nothing is uncertain but the last bits
    state = monitor.add(monitor.start(opened(points)), opened(points * (1 + 1e-8)), loss=0.0)
    assert losses.account(state).warnings == ()


def rising(state):
    return [warning for warning in losses.account(state).warnings if "the loss rises" in warning]


def test_a_loss_that_rises_while_variance_falls_warns():
    def after(shares, paid):
        points = np.where(np.arange(4000) // 2 % 2, 3.0, -3.0)
        state = monitor.start(opened(points))
        for share, loss in zip(shares, paid):
            state = monitor.add(state, opened(points * share), loss=loss)
        return rising(state)

    assert after((0.9, 0.8, 0.7), (1.0, 1.2, 1.4))
    assert not after((0.7, 0.8, 0.9), (1.0, 1.2, 1.4))  # a recovery
    assert not after((0.9, 0.8, 0.7), (1.0, 1.4, 1.2))
    assert not after((0.9, 0.8, 0.7), (1.0, 1.01, 1.02))  # by chance
    assert not after((0.9, 0.8, 0.7, 0.6), (1.0, None, 1.2, 1.4))


def test_what_is_not_known_is_not_judged(generator):
    real = generator.standard_normal((4000, 2))
    state = monitor.start(opened(real))
    with pytest.raises(ValueError, match="must have its loss"):
        losses.account(state)
    with pytest.raises(ValueError, match="must have its loss"):
        losses.account(monitor.add(state, opened(real)))


# ------------------------------------------------------------------------------------------------ words and logs


def logged(folder, text):
    (folder / "log.jsonl").write_text(text)
    return [str(folder / "log.jsonl")]


@pytest.mark.parametrize(
    "text",
    [
        '{"round": 0, "loss": 9.0}\n{"round": 0, "loss": 1.5}\n \n{"note": "\u2028"}\n{"round": 1, "loss": 1.0}\n\n',
        '{"round": 1, "loss": 1.0}\n{"round": 0, "loss": 1.5}',
        '{"loss": 1.5}\n{"loss": "1"}\n',
        '{"round": 3, "loss": 1.5}\n{"round": 12, "loss": 1.0}\n',
    ],
)
def test_losses_are_read_from_words_and_logs(tmp_path, text):
    assert losses.read_losses(logged(tmp_path, text), 2) == [1.5, 1.0] == losses.read_losses(["1.5", "1"], 2)


def test_a_log_may_hold_the_rounds_of_a_state(tmp_path):
    log = logged(tmp_path, "".join(json.dumps({"round": j, "loss": 9 - j}) + "\n" for j in range(5)))
    assert losses.read_losses(log, 2, known=3) == [6.0, 5.0]
    assert losses.read_losses(log, 5) == [9.0, 8.0, 7.0, 6.0, 5.0]
    with pytest.raises(ValueError, match="each of 2 SAMPLES"):
        losses.read_losses(log, 2, known=2)


@pytest.mark.parametrize(
    "words, said",
    [
        (["1"], "each of 2"), (["1", "x"], "got 1, x"), (["1", "nan"], "finite"), (["1", "-1"], "≥ 0"),
        (["1", "inf"], "finite"), (["nowhere.jsonl"], "neither a number nor a file"), ([""], "neither a number"),
    ],
)  # fmt: skip
def test_bad_losses_are_named(words, said):
    with pytest.raises(ValueError, match=said):
        losses.read_losses(words, 2)


@pytest.mark.parametrize(
    "text, said",
    [
        ("[1]\n", "line 1: not a JSON object"), ("{\n", "line 1: not a JSON object"), ("[" * 100_000, "line 1"),
        ('{"loss": null}\n', "one finite number"), ('{"loss": true}\n', "one finite number"), ("", "one finite number"),
        ('{"loss": 1' + "0" * 400 + "}", "one finite number"), ('{"loss": 1}\n{"loss": 2}\n', "each of 1 SAMPLES"),
        ('{"loss": 1}\n{"loss": 2, "round": 0}\n', 'must all have a "round"'),
        ('{"loss": 1, "round": 1}\n{"loss": 2, "round": [0]}\n', 'must all have a "round"'),
    ],
)  # fmt: skip
def test_bad_logs_are_named(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        losses.read_losses(logged(tmp_path, text), 1)


# --------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def files(generator, tmp_path):
    rows, names = generator.standard_normal((4000, 2)) * SCALES, []
    np.save(tmp_path / "real.npy", rows)
    for j in range(3):
        rows = 0.9 * rows
        np.save(tmp_path / f"{j}.npy", rows)
        names.append(str(tmp_path / f"{j}.npy"))
    return [*names, "--reference", str(tmp_path / "real.npy"), "--retain", "0.1"]


def test_command_tells_lost_and_paid(files, tmp_path, capsys):
    state = tmp_path / "state.json"
    main(["monitor", *files, "--state", str(state), "--loss", "2.1", "1.7", "1.4"])
    text = capsys.readouterr().out
    assert text.count("paid") == 4 and "WARNING" not in text  # the last one names the real fraction
    assert states.load(state).rounds[1].loss == 1.7
    main(["monitor", *files, "--json", "--loss-mean", "--loss", "1.05", "0.85", "0.7"])
    found = json.loads(capsys.readouterr().out)["rounds"]
    assert [one["account"]["paid"] for one in found] == pytest.approx([2.1, 1.7, 1.4])
    assert found[0]["account"]["fraction"] is None
    main(["monitor", *files, "--loss", "2.1", "1.7", "0"])
    assert "WARNING" in capsys.readouterr().out


def test_command_refuses_where_there_is_no_law(files, capsys):
    paid = ["--loss", "1", "1", "1"]
    assert main(["monitor", *files, *paid, "--mechanism", "flow", "--steps", "10"]) == 1
    assert main(["monitor", *files, *paid, "--noise-std", "1", "--resample-std", "0.5"]) == 1
    assert capsys.readouterr().err.count("noise of training") == 2
    assert main(["monitor", *files, "--loss-mean"]) == 1
    assert "--loss is needed" in capsys.readouterr().err
    assert main(["monitor", *files, *paid, "--noise-std", "1"]) in (0, 2)
