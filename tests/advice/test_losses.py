"""Losses beside samples: exact denoisers, whose losses and next variances are known by other means."""

import json

import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.advice import losses, monitor, samples
from rfcollapse.advice import state as states

RNG = np.random.default_rng(8)


def points(rows, pool, fitted_to):
    """What the best denoiser of ±a at σ = 1, a tanh(ay), makes of a pool, and its loss on fresh noise."""
    pool = RNG.choice(pool, rows)
    judged, made = (fitted_to * np.tanh(fitted_to * (pool + RNG.standard_normal(rows))) for _ in range(2))
    return made, float(np.mean((pool - judged) ** 2))


def series(rounds, **bend):
    """Gaussian data in two columns under exact linear denoisers: a state, and each round's account."""
    rows = RNG.standard_normal((20_000, 2)) * [3.0, 1.5]
    state, found = monitor.start(samples.open_samples(rows)), []
    for _ in range(rounds):
        variance = rows.var(axis=0)
        gain = variance / (variance + 1) * bend.get("scale", 1.0)
        loss = ((1 - gain) ** 2 * variance + gain**2).sum()
        rows = gain * (rows + RNG.standard_normal(rows.shape))
        state = monitor.add(state, samples.open_samples(rows), loss=loss * bend.get("unit", 1.0))
        found.append(losses.account(state))
    return state, found


def test_lost_is_paid_at_the_optimum():
    _, found = series(4)
    for one in found:
        assert one.lost.low < one.paid < one.lost.high
        assert one.scale_defect.low < 0 < one.scale_defect.high
        assert one.warnings == ()


@pytest.mark.parametrize("scale, sign, word", [(0.9, 1, "too small"), (1.1, -1, "too large")])
def test_a_wrong_scale_shows_with_its_sign(scale, sign, word):
    """D = cD*: κ = c(1 − c)E|D*|², which no variance of the next round enters."""
    _, (one,) = series(1, scale=scale)
    best = (np.array([9.0, 2.25]) ** 2 / (np.array([9.0, 2.25]) + 1)).sum()
    assert one.scale_defect.low < scale * (1 - scale) * best < one.scale_defect.high
    assert np.sign(one.scale_defect.value) == sign
    assert word in one.warnings[0] and len(one.warnings) == 1


def test_a_mean_for_a_sum_is_recognised():
    _, (one,) = series(1, unit=0.5)
    assert "--loss-mean" in one.warnings[0]


def test_pools_with_real_data_and_a_moved_mean():
    """A pool half of own rows about another mean: its variance by brute force."""
    real = RNG.standard_normal((20_000, 2)) * [3.0, 1.5]
    own = 0.5 * real + [4.0, 0.0]
    state = monitor.add(monitor.start(samples.open_samples(real)), samples.open_samples(own), loss=0.0)
    state = monitor.add(state, samples.open_samples(own), loss=0.0)
    pool = np.concatenate([own, own, own, real])
    assert losses.account(state, real_fraction=0.25).pool == pytest.approx(pool.var(axis=0).sum(), rel=0.01)


def test_a_settled_level_tells_the_real_fraction():
    """Linear denoisers with α = .3 that have settled; started from the level, so that two rounds are enough."""
    real = RNG.standard_normal((100_000, 1)) * 3
    level = 9.0
    for _ in range(500):
        pool = 0.7 * level + 0.3 * 9
        level = pool**2 / (pool + 1)
    state = monitor.start(samples.open_samples(real))
    for _ in range(2):
        made = RNG.standard_normal((100_000, 1)) * level**0.5
        state = monitor.add(state, samples.open_samples(made), loss=pool / (pool + 1))
    found = losses.account(state, real_fraction=0.3)
    assert found.fraction.low < 0.3 < found.fraction.high < 0.4
    assert found.fraction.low > 0.2
    assert found.warnings == ()


def test_a_rising_loss_warns_and_a_falling_one_does_not():
    rows = np.concatenate([np.full(10_000, -3.0), np.full(10_000, 3.0)])
    state = monitor.start(samples.open_samples(rows[:, None]))
    for share in (1.0, 0.9, 0.8):
        made, loss = points(20_000, rows * share, 3 * share)
        state = monitor.add(state, samples.open_samples(made[:, None]), loss=loss)
    assert any("the loss rises" in warning for warning in losses.account(state).warnings)
    _, falling = series(3)
    assert falling[-1].warnings == ()


def test_no_loss_no_account():
    state = monitor.start(samples.open_samples("gaussian:9,4"))
    with pytest.raises(ValueError, match="must have its loss"):
        losses.account(state)
    with pytest.raises(ValueError, match="must have its loss"):
        losses.account(monitor.add(state, samples.open_samples("gaussian:9,4")))


def test_losses_are_read_from_words_and_logs(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [{"round": 0, "loss": 9.0}, {"round": 0, "loss": 1.5}, {"note": "x"}, {"round": 1, "loss": 1.0}]
    log.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert losses.read_losses([str(log)], 2) == [1.5, 1.0] == losses.read_losses(["1.5", "1"], 2)
    log.write_text('{"loss": 2}\n{"loss": 3}\n')
    assert losses.read_losses([str(log)], 2) == [2.0, 3.0]


@pytest.mark.parametrize(
    "words, said",
    [
        (["1"], "one finite loss"),
        (["1", "x"], "could not convert"),
        (["1", "nan"], "one finite loss"),
        (["1", "-1"], "≥ 0"),
    ],
)
def test_bad_losses_are_named(words, said):
    with pytest.raises(ValueError, match=said):
        losses.read_losses(words, 2)


@pytest.mark.parametrize(
    "text, said", [("[1]\n", "line 1"), ("{\n", "line 1"), ('{"loss": null}\n', "--loss: numbers")]
)
def test_bad_logs_are_named(tmp_path, text, said):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(ValueError, match=said):
        losses.read_losses([str(tmp_path / "log.jsonl")], 1)


@pytest.fixture
def files(tmp_path):
    rows, names = RNG.standard_normal((4000, 2)) * [3.0, 1.5], []
    np.save(tmp_path / "real.npy", rows)
    for j in range(3):
        rows = 0.9 * rows
        np.save(tmp_path / f"{j}.npy", rows)
        names.append(str(tmp_path / f"{j}.npy"))
    return [*names, "--reference", str(tmp_path / "real.npy")]


def test_command_tells_lost_and_paid(files, tmp_path, capsys):
    state = tmp_path / "state.json"
    main(["monitor", *files, "--retain", "0.1", "--state", str(state), "--loss", "2.1", "1.7", "1.4"])
    text = capsys.readouterr().out
    assert text.count("paid") == 3 and "WARNING" not in text
    assert states.load(state).rounds[1].loss == 1.7
    main(["monitor", *files, "--retain", "0.1", "--json", "--loss-mean", "--loss", "1.05", "0.85", "0.7"])
    found = json.loads(capsys.readouterr().out)["rounds"]
    assert [one["account"]["paid"] for one in found] == pytest.approx([2.1, 1.7, 1.4])


def test_command_refuses_where_there_is_no_law(files, capsys):
    losses_ = ["--loss", "1", "1", "1"]
    assert main(["monitor", *files, *losses_, "--mechanism", "flow", "--steps", "10"]) == 1
    assert main(["monitor", *files, *losses_, "--noise-std", "1", "--resample-std", "0.5"]) == 1
    assert capsys.readouterr().err.count("noise of training") == 2


def test_states_without_losses_are_read(files, tmp_path, capsys):
    state = tmp_path / "state.json"
    main(["monitor", *files, "--retain", "0.1", "--state", str(state)])
    kept = json.loads(state.read_text())
    for found in kept["rounds"]:
        del found["loss"], found["shift"]
    state.write_text(json.dumps(kept))
    assert states.load(state).rounds[0].loss is None
