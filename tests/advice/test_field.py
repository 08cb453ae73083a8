"""The monitor on what people hand it: units, sizes, copies, neighbours, outliers, orders, retries."""

import json

import numpy as np
import pytest
from advice.fabricated import fabricated, fabricated_round

from rfcollapse.__main__ import main
from rfcollapse.advice import mechanisms, monitor, samples
from rfcollapse.measure.dependence import design_effect
from rfcollapse.output import locked


@pytest.fixture
def generator():
    return np.random.default_rng(31)


def watch(reference, *rounds, **settings):
    """The verdicts, and the state in the end."""
    state, verdicts = monitor.start(samples.open_samples(reference)), []
    for rows in rounds:
        state = monitor.add(state, samples.open_samples(rows))
        verdicts.append(monitor.judge(state, **settings))
    return verdicts, state


def kinds(verdict):
    return {alarm.partition(":")[0] for alarm in verdict.alarms}


# ----------------------------------------------------------------------------------------------------- units


def income(generator, n, share):
    return np.column_stack([generator.normal(50_000, 12_000, n), share * generator.standard_normal((n, 4))])


def test_columns_that_die_beside_one_in_large_units(generator):
    rounds = (income(generator, 2000, share) for share in (1, 0.3, 0.1, 0))
    (healthy, *dying), _ = watch(income(generator, 4000, 1), *rounds)
    assert not healthy.alarms
    assert [
        alarm for verdict in dying for alarm in verdict.alarms if "level" in alarm and "4 columns" not in alarm
    ] == []
    assert all("level" in kinds(verdict) for verdict in dying)


@pytest.mark.parametrize("units", [[1e6, 1, 1, 1], [1, 1e-9, 1, 1], [1e3, 1e-3, 1e6, 1e-6]])
def test_units_change_nothing(generator, units):
    """But which rows choose the directions: the halves go by the bits of the rows."""
    real, made = generator.laplace(size=(1000, 4)), 0.8 * generator.laplace(size=(500, 4))
    (plain,), one = watch(real, made)
    (scaled,), other = watch(real * units, made * units)
    assert kinds(plain) == kinds(scaled) == {"level"}
    columns = [state.rounds[0].level.variances[4:] for state in (one, other)]
    np.testing.assert_allclose(*columns, rtol=1e-9)


def test_a_column_far_from_0_is_followed(generator):
    real, made = np.array([1.7e9, 0.0]) + generator.standard_normal((2, 2000, 2))
    made[:, 0] = 1.7e9 + 0.5 * (made[:, 0] - 1.7e9)
    (verdict,), _ = watch(real, made)
    assert "1 column" in verdict.alarms[0] and "column 0" in verdict.alarms[0]


def test_growth_and_a_moved_mean_are_seen(generator):
    real = generator.standard_normal((4000, 3))
    (wide, moved), _ = watch(
        real, 1.2 * generator.standard_normal((2000, 3)), generator.standard_normal((2000, 3)) + 0.6
    )
    assert any("more than 111%" in alarm for alarm in wide.alarms)
    assert kinds(moved) == {"mean"}


# ------------------------------------------------------------------------------------------------ size and first round


def ring(generator, n, modes):
    angle = np.pi / 4 * generator.choice(modes, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * generator.standard_normal((n, 2))


@pytest.mark.parametrize("sizes", [(2000, 2000, 150), (60, 5000, 25), (20_000, 40)])
def test_rounds_of_any_size_are_healthy(generator, sizes):
    scale = [3, 2, 1]
    verdicts, _ = watch(
        generator.standard_normal((4000, 3)) * scale, *(generator.standard_normal((n, 3)) * scale for n in sizes)
    )
    assert not any(verdict.alarms for verdict in verdicts)


def test_a_small_reference_is_enough_for_large_rounds(generator):
    verdicts, _ = watch(generator.standard_normal((60, 3)), *(generator.standard_normal((5000, 3)) for _ in range(5)))
    assert not any(verdict.alarms for verdict in verdicts)


def test_modes_that_go_after_a_small_round_are_missed(generator):
    (small, half), _ = watch(ring(generator, 4000, 8), ring(generator, 100, 8), ring(generator, 2000, [0, 2, 4, 6]))
    assert not small.alarms and kinds(half) == {"coverage"}


@pytest.mark.parametrize(
    "made, kind",
    [
        (lambda g: ring(g, 2000, [0, 2, 4, 6]), "coverage"),
        (lambda g: ring(g, 2000, 8) + 20, "mean"),
        (lambda g: 0.7 * ring(g, 2000, 8), "level"),
    ],
)
def test_what_was_lost_before_the_first_round_is_missed(generator, made, kind):
    verdicts, _ = watch(ring(generator, 4000, 8), *(made(generator) for _ in range(3)))
    assert all(kind in kinds(verdict) for verdict in verdicts)


def test_what_cannot_be_seen_is_said(generator):
    (few, many), _ = watch(*(generator.standard_normal((n, 3)) for n in (4000, 40, 4000)))
    assert few.visible < 0.5 < 0.75 < many.visible < 0.9


# ------------------------------------------------------------------------------------------------- dependent rows


def repeated(g):
    return np.repeat(g.standard_normal((60, 3)), 20, axis=0)


def epochs(g):
    return g.permutation(repeated(g))


def frames(g):
    """A chain with correlation .95 from row to row."""
    rows = g.standard_normal((1200, 3))
    for i in range(1, len(rows)):
        rows[i] = 0.95 * rows[i - 1] + (1 - 0.95**2) ** 0.5 * rows[i]
    return rows


def clusters(g):
    return np.repeat(g.standard_normal((60, 3)), 20, axis=0) * 0.8**0.5 + g.standard_normal((1200, 3)) * 0.2**0.5


@pytest.mark.parametrize("made, word", [(repeated, "copies"), (epochs, "copies"), (frames, "like"), (clusters, "like")])
def test_dependent_rows_count_for_less_and_are_named(made, word):
    alarms = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        (verdict,), state = watch(generator.standard_normal((4000, 3)), made(generator))
        alarms += bool(verdict.alarms)
        assert word in state.rounds[0].notes[0] and len(state.rounds[0].notes) == 1
    assert not alarms


def test_equal_rows_of_a_discrete_law_are_no_copies(generator):
    real, made = (generator.integers(0, 3, (n, 2)).astype(float) for n in (4000, 2000))
    (verdict,), state = watch(real, made)
    assert not verdict.alarms and state.reference.discrete and state.rounds[0].notes == ()
    assert state.rounds[0].level.rows == pytest.approx(2000)


def test_design_effects_are_those_of_repetition(generator):
    """Means of chains against the variance that they truly have."""
    chains = np.stack([frames(np.random.default_rng(seed))[:, 0] for seed in range(300)], axis=1)
    truth = len(chains) * chains.mean(axis=0).var() / chains.var()
    assert design_effect(chains).mean() == pytest.approx(truth, rel=0.3)
    independent = generator.standard_t(4, (3000, 300)) ** 2
    assert (design_effect(independent) == 1).all()


# --------------------------------------------------------------------------------------------- a plan, and its level


def planned(rate, retain, n, fraction, seed):
    """Rounds that are told to hold at R by the rule: one direction and the total; see FIELD, budget's own advice."""
    generator, variance = np.random.default_rng(seed), 1.0
    state = fabricated(generator.chisquare(n, 2) / n, n)
    for _ in range(60):
        variance = np.exp(-rate) * ((1 - fraction) * variance + fraction)
        state = state._replace(rounds=(*state.rounds, fabricated_round(n, variance * generator.chisquare(n, 2) / n)))
        yield monitor.judge(state, retain=retain - 0.05, real_fraction=fraction)


@pytest.mark.parametrize("rate, retain, n", [(0.01, 0.9, 100_000), (0.02, 0.8, 20_000), (0.05, 0.7, 50_000)])
def test_a_series_that_settles_where_it_was_planned_is_no_alarm(rate, retain, n):
    fraction = float(mechanisms.required_fraction(mechanisms.Rate(rate), np.ones(1), retain))
    verdicts = [list(planned(rate, retain, n, fraction, seed)) for seed in range(8)]
    assert sum(any(verdict.alarms for verdict in series) for series in verdicts) <= 1
    ends = [series[-1].settles for series in verdicts]
    assert np.mean([end.low < retain < end.high for end in ends]) > 0.8


def test_a_series_that_is_on_its_way_below_is_an_alarm():
    fraction = float(mechanisms.required_fraction(mechanisms.Rate(0.02), np.ones(1), 0.6))
    assert any(verdict.alarms for verdict in planned(0.02, 0.85, 100_000, fraction, 0))


# --------------------------------------------------------------------------------------- values that hide the others


def test_what_goes_on_beneath_a_code_for_missing_values_is_seen(generator):
    real, made = generator.standard_normal((2, 4000, 3))
    for rows in (real, made):
        rows[generator.random(4000) < 0.01, 0] = -999
    (healthy, dead), _ = watch(real, made, np.where(made[:, :1] == -999, made, made * [0, 1, 1]))
    assert not healthy.alarms
    assert "middle" in kinds(dead) and any("column 0" in alarm for alarm in dead.alarms)


@pytest.mark.parametrize("value", [-9999.0, 1e9, 1e14])
def test_an_outlier_of_the_reference_is_named(generator, value):
    real, made = generator.standard_normal((2, 2000, 3))
    real[7, 1] = value
    (verdict,), state = watch(real, made)
    assert not verdict.alarms and "1 of 3 columns rests on a few far rows (1)" in state.reference.notes[0]
    (verdict,), _ = watch(real, made * [1, 0.0, 1])
    assert "middle" in kinds(verdict)


def test_an_outlier_of_a_round_is_named(generator):
    real, made = generator.standard_normal((2, 2000, 3))
    made[11, 2] = 1e6
    _, state = watch(real, made)
    assert "row 11 (from 0)" in state.rounds[0].notes[0] and "column 2" in state.rounds[0].notes[0]


def test_rows_of_the_reference_among_the_samples_are_named(generator):
    real, made = generator.standard_normal((2, 2000, 3))
    made[:300] = real[:300]
    _, state = watch(real, made)
    assert "memorised" in state.rounds[0].notes[0]


def test_a_column_that_is_constant_in_the_reference_alone_is_named(generator):
    real, made = generator.standard_normal((2, 2000, 3))
    real[:, 1] = 3.1
    _, state = watch(real, made)
    assert "constant in the reference vary here (1)" in state.rounds[0].notes[0]


def test_nothing_but_outliers_is_refused(generator):
    real = np.zeros((2000, 2))
    real[[3, 5], [0, 1]] = 1.0
    with pytest.raises(ValueError, match="rests on a few rows"):
        monitor.start(samples.open_samples(real))


# ---------------------------------------------------------------------------------------------------- order and retries


def test_the_order_of_the_reference_s_rows_does_not_matter(generator):
    rows = generator.standard_normal((1000, 3)) @ generator.standard_normal((3, 3))
    rows[::2] *= 3  # wide and narrow rows in turn
    one, other = (monitor.start(samples.open_samples(x)).reference for x in (rows, rows[generator.permutation(1000)]))
    np.testing.assert_allclose(one.level.variances, other.level.variances, rtol=1e-9)
    np.testing.assert_allclose(np.abs(one.directions), np.abs(other.directions), rtol=1e-6)
    assert one.level.variances[:3] == pytest.approx(1, abs=1.0) and one.digest != other.digest


@pytest.fixture
def files(tmp_path, monkeypatch, generator):
    """Real data and two rounds, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, n in (("real", 800), ("a", 400), ("b", 400)):
        np.save(f"{name}.npy", generator.standard_normal((n, 2)))
    return tmp_path


def test_the_same_round_again_is_the_same_round(files, capsys):
    base = ["--reference", "real.npy", "--state", "s.json", "--json"]
    assert main(["monitor", "a.npy", *base]) == 0
    np.savetxt("copy.csv", np.load("a.npy"), delimiter=",", fmt="%.17g")
    for again in ("a.npy", "copy.csv"):
        assert main(["monitor", again, "b.npy", *base]) == 0
    first, *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["names"] == ["a.npy", "b.npy"] and [one["round"] for one in last["rounds"]] == [1, 2]
    assert last["rounds"][0] == first["rounds"][0]
    assert last["notes"] == [
        "copy.csv: the same rows are round 1, not counted again", "b.npy: the same rows are round 2, not counted again",
    ]  # fmt: skip


def test_a_reference_is_known_by_its_rows(files, capsys):
    state = ["--state", "s.json"]
    assert main(["monitor", "a.npy", "--reference", "real.npy", *state]) == 0
    np.save("moved.npy", np.load("real.npy").astype(">f8"))
    assert main(["monitor", "b.npy", "--reference", "./moved.npy", *state]) == 0
    np.save("real.npy", 100 * np.load("real.npy"))
    assert main(["monitor", "b.npy", "--reference", "real.npy", *state]) == 1
    assert "was begun with real.npy; the rows of real.npy are others" in capsys.readouterr().err


def test_a_dead_round_is_an_alarm_as_often_as_it_is_given(files, capsys):
    corners = np.tile([[1.0, 0], [-1, 0], [0, 1], [0, -1]], (50, 1))
    np.save("ref.npy", corners)
    np.save("dead.npy", np.zeros((100, 2)))
    for _ in range(2):
        assert main(["monitor", "dead.npy", "--reference", "ref.npy", "--state", "s.json"]) == 2
        printed = capsys.readouterr()
        assert "nan" not in printed.out and not printed.err
    json.loads((files / "s.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("made, word, code", [("dead.npy", "ALARM", 2), ("a.npy", "healthy", 1)])
def test_verdicts_come_before_what_may_fail(files, capsys, made, word, code):
    np.save("dead.npy", np.zeros((100, 2)))
    assert main(["monitor", made, "--reference", "real.npy", "--state", "nowhere/s.json"]) == code
    printed = capsys.readouterr()
    assert word in printed.out and printed.err.count("\n") == 1 and "nowhere" in printed.err


def test_two_jobs_with_one_state_do_not_lose_a_round(files, capsys):
    with locked("s.json"):
        assert main(["monitor", "a.npy", "--reference", "real.npy", "--state", "s.json"]) == 1
    assert "in use by another process" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- order and names


def test_files_in_the_shell_s_order_give_the_verdict_of_their_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("real.npy", np.random.default_rng(99).standard_normal((60_000, 3)))
    names = [f"o_{j}.npy" for j in range(1, 13)]
    for j, name in enumerate(names, 1):
        np.save(name, np.random.default_rng(j).standard_normal((20_000, 3)) * np.exp(-0.006 * j))
    base = ["--reference", "real.npy", "--retain", "0.8"]
    codes, printed = [], []
    for order in (names, sorted(names)):
        codes.append(main(["monitor", *order, *base]))
        printed.append([line for line in capsys.readouterr().out.splitlines() if not line.startswith("NOTE")])
    assert codes == [2, 2] and printed[0] == printed[1] and any("o_12.npy" in line for line in printed[0])
    assert main(["monitor", *sorted(names), *base, "--loss", *map(str, range(12))]) == 1
    assert "in the order of their rounds" in capsys.readouterr().err


def written(name, rows, header):
    np.savetxt(name, rows, delimiter=",", header=header, comments="")


def test_columns_are_matched_by_name(files, generator, capsys):
    real, made = generator.standard_normal((2, 600, 2)) * [3, 1]
    written("r.csv", real, "a,b")
    written("q.csv", made[:, ::-1], "b,a")
    written("wide.csv", np.column_stack([np.arange(600.0), made[:, ::-1]]), "step,b,a")
    written("other.csv", made, "a,c")
    np.save("nameless.npy", made)
    for name in ("q.csv", "wide.csv", "nameless.npy"):
        assert main(["monitor", name, "--reference", "r.csv"]) == 0, name
    assert "step" in capsys.readouterr().out
    assert main(["monitor", "other.csv", "--reference", "r.csv"]) == 1
    error = capsys.readouterr().err
    assert "a, b" in error and "c" in error and error.count("\n") == 1
    assert main(["monitor", "other.csv", "--reference", "r.csv", "--columns", "a"]) == 0
    assert "1 columns" in capsys.readouterr().out


def test_in_a_loop_columns_in_another_order_are_refused(generator):
    pandas = pytest.importorskip("pandas")
    real, made = (pandas.DataFrame(x, columns=["a", "b"]) for x in generator.standard_normal((2, 600, 2)))
    state = monitor.start(samples.open_samples(real))
    with pytest.raises(ValueError, match="b, a and a, b"):
        monitor.add(state, samples.open_samples(made[["b", "a"]]))
    state = monitor.add(state, samples.open_samples(made[["b", "a"]], columns=state.reference.columns))
    assert not monitor.judge(state).alarms


# ------------------------------------------------------------------------------------------- healthy data of odd kinds


def blobs(g, n, ordered=False):
    kind = g.integers(0, 4, n)
    angle = np.pi / 2 * (np.sort(kind) if ordered else kind)
    return 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + g.standard_normal((n, 2))


def one_copy(g, n):
    rows = g.standard_normal((n, 3))
    rows[5] = rows[17]
    return rows


def zeros(g, n):
    """A third of the rows are nothing but zeros."""
    return g.lognormal(size=(n, 2)) * (g.random((n, 1)) > 0.3)


ODD = {
    "few rows": (lambda g: g.standard_normal((40, 3)), lambda g: g.standard_normal((20, 3))),
    "sorted rounds": (lambda g: blobs(g, 1500), lambda g: blobs(g, 1000, True)),
    "one copy": (lambda g: one_copy(g, 1500), lambda g: one_copy(g, 1000)),
    "rare ones": (lambda g: (g.random((1000, 8)) < 0.04) * 1.0, lambda g: (g.random((30, 8)) < 0.04) * 1.0),
    "a common value": (lambda g: (g.random((1000, 8)) < 0.3) * 1.0, lambda g: (g.random((20, 8)) < 0.3) * 1.0),
    "float32": (lambda g: g.choice([0.1, 0.3], (1500, 2)), lambda g: g.choice([0.1, 0.3], (999, 2)).astype("f4")),
    "Pareto": (lambda g: g.pareto(2.5, (2000, 2)), lambda g: g.pareto(2.5, (1000, 2))),
    "zeros": (lambda g: zeros(g, 1000), lambda g: zeros(g, 500)),
    "small reference": (lambda g: g.poisson(2, (100, 3)) * 1.0, lambda g: g.poisson(2, (5000, 3)) * 1.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_healthy_series_of_odd_kinds(kind):
    reference, made = ODD[kind]
    for seed in range(6):
        generator = np.random.default_rng(seed)
        verdicts, _ = watch(reference(generator), *(made(generator) for _ in range(4)))
        assert not any(verdict.alarms for verdict in verdicts), verdicts[-1].alarms


def test_a_copy_in_the_reference_hides_no_lost_mode(generator):
    real = ring(generator, 4000, 8)
    real[5] = real[17]
    (verdict,), _ = watch(real, ring(generator, 2000, [0, 2, 4, 6]))
    assert kinds(verdict) == {"coverage"}


def test_a_rare_value_that_dies_is_seen(generator):
    real, made = ((generator.random((n, 2)) < [0.01, 0.5]) * 1.0 for n in (4000, 20_000))
    (healthy, dead), _ = watch(real, made, made[::-1] * [0, 1])
    assert not healthy.alarms and any("column 0" in alarm for alarm in dead.alarms)


def test_directions_that_fall_beside_one_that_holds_the_total(generator):
    """Twenty columns on one factor, which stays; the trend of what is beside it is seen before any level is."""
    for j in range(25):
        state = monitor.start(samples.open_samples(factor(generator, 20_000, 0))) if j == 0 else state
        state = monitor.add(state, samples.open_samples(factor(generator, 10_000, j)))
        if found := kinds(monitor.judge(state, retain=0.7)):
            break
    assert found == {"trend"} and j < 20


def factor(g, n, j):
    return 3 * g.standard_normal((n, 1)) + g.standard_normal((n, 20)) * np.exp(-0.01 * j)


# ------------------------------------------------------------------------------------------------- what is said at last


def test_a_state_survives_an_explosion(files, capsys):
    np.save("boom.npy", 1e80 * np.load("a.npy"))
    base = ["--reference", "real.npy", "--state", "s.json"]
    assert main(["monitor", "boom.npy", *base]) == 2
    printed = capsys.readouterr()
    assert "times" in printed.out and len(max(printed.out.split(), key=len)) < 20 and not printed.err
    assert main(["monitor", "b.npy", *base]) == 0
    kept = (files / "s.json").read_text()
    (files / "s.json").write_text(kept.replace('"rows": [', '"rows": [null, ', 1))
    assert main(["monitor", "a.npy", *base]) == 1
    assert "not a monitor's state" in capsys.readouterr().err


@pytest.mark.parametrize(("rest", "change", "words"), [(0.1, 0.0, "less"), (0.1, 3.0, "more"), (1e-4, 0.0, "less")])
def test_directions_beyond_those_followed_one_by_one_are_followed_together(
    files, generator, capsys, rest, change, words
):
    mixing = generator.standard_normal((3, 40))

    def rows(n, rest):
        return generator.standard_normal((n, 3)) @ mixing + rest * generator.standard_normal((n, 40))

    np.save("wide.npy", rows(4000, rest))
    np.save("good.npy", rows(2000, rest))
    np.save("bad.npy", rows(2000, rest * change))
    base = ["--reference", "wide.npy"]
    assert main(["monitor", "good.npy", *base]) == 0
    printed = capsys.readouterr().out
    assert "3 principal directions, all others together, the total" in printed
    assert printed.splitlines()[-1].startswith("healthy")
    assert main(["monitor", "bad.npy", *base]) == 2
    printed = capsys.readouterr().out
    assert f"level: surely {words} than" in printed and "in the directions beyond these; the directions" in printed


def test_a_column_whose_variance_a_few_rows_make_is_not_judged_by_it(generator):
    """As border pixels of garments: 2 % are not 0, and of these the largest make the variance."""

    def rows(n):
        inked = generator.random(n) < 0.02
        return np.stack([np.where(inked, generator.lognormal(0, 1.3, n), 0.0), generator.standard_normal(n)], axis=1)

    alarms, noted = 0, 0
    for _ in range(20):
        state = monitor.start(samples.open_samples(rows(2000)))
        noted += "rests on a few far rows" in " ".join(state.reference.notes)
        for _ in range(10):
            state = monitor.add(state, samples.open_samples(rows(500)))
            alarms += bool(monitor.judge(state).alarms)
    assert alarms == 0 and noted == 20


def test_a_chain_too_short_to_know_how_long_it_ought_to_be_is_not_judged(files, generator, capsys):
    chain = np.zeros((120, 3))
    for i in range(1, 120):
        chain[i] = 0.95 * chain[i - 1] + 0.3 * generator.standard_normal(3)
    np.save("real.npy", generator.standard_normal((4000, 3)) * 2)  # the chain's variance is a quarter of that
    np.save("chain.npy", chain)
    assert main(["monitor", "chain.npy", "--reference", "real.npy"]) == 0
    printed = capsys.readouterr().out
    assert "worth fewer than 20 independent ones, too few to judge" in printed
    assert "cannot say that all is well" in printed.splitlines()[-1]


def test_variance_beyond_the_directions_is_what_projecting_them_out_leaves(generator):
    rows = generator.standard_normal((3000, 3)) @ generator.standard_normal((3, 40))
    rows = np.concatenate([rows, generator.standard_normal((1000, 3)) @ generator.standard_normal((3, 40))])
    rows = rows + generator.laplace(size=(4000, 40)) * 0.1 + 2
    state = monitor.start(samples.open_samples(rows))
    latest, known = monitor.look(state, samples.open_samples(rows[:2000] + 0.3)), state.reference
    z = (rows[:2000] + 0.3 - known.mean) / known.scale
    q, _ = np.linalg.qr(known.directions)
    beyond = z - z @ q @ q.T
    assert known.rest and len(latest.level.variances) == q.shape[1] + 42
    np.testing.assert_allclose(latest.level.variances[-2], np.trace(np.cov(beyond.T, bias=True)), rtol=1e-9)
    squares = (beyond**2).sum(axis=1)
    np.testing.assert_allclose(latest.level.kurtosis[-2], squares.var() / squares.mean() ** 2, rtol=1e-9)
    np.testing.assert_allclose(latest.level.variances[-1], np.trace(np.cov(z.T, bias=True)), rtol=1e-9)


def test_a_value_that_comes_again_far_from_the_others_is_named(generator):
    rows = np.stack([generator.poisson(0.3, 2000), generator.normal(size=2000)], axis=1).astype(float)
    assert monitor.start(samples.open_samples(rows)).reference.notes == ()
    rows[generator.random(2000) < 0.02, 0] = -999
    assert "column 0 are -999" in monitor.start(samples.open_samples(rows)).reference.notes[0]


def test_columns_chosen_by_number_are_remembered(files, capsys):
    np.save("wide.npy", np.random.default_rng(2).standard_normal((500, 3)))
    state = ["--state", "s.json"]
    assert main(["monitor", "wide.npy", "--reference", "wide.npy", "--columns", "0,2", *state]) == 0
    np.save("later.npy", np.random.default_rng(3).standard_normal((500, 3)) * [1, 0, 1])
    assert main(["monitor", "later.npy", *state]) == 0  # column 1 is none of its
    assert main(["monitor", "later.npy", "--columns", "0,1", *state]) == 1
    assert "was begun with 0, 2" in capsys.readouterr().err


def test_a_loss_can_be_given_later_or_mended(files, capsys):
    base = ["monitor", "a.npy", "--reference", "real.npy", "--state", "s.json"]
    assert main(base) == main([*base, "--loss", "0.1"]) == main([*base, "--loss", "0.7"]) == 0
    printed = capsys.readouterr().out
    assert "paid 0.1" in printed and "paid 0.7" in printed and "its loss is 0.7" in printed
