"""Budget: from a file to an answer, the answer applied in simulation, its intervals, costs, and every bad file."""

import json

import jax
import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.advice import budget, mechanisms, samples
from rfcollapse.simulate import dae


def rows(seed, n, scales, df=None):
    generator = np.random.default_rng(seed)
    shape = (n, len(scales))
    z = generator.standard_normal(shape) if df is None else generator.standard_t(df, shape)
    turn, _ = np.linalg.qr(generator.standard_normal((len(scales), len(scales))))
    return z * np.sqrt(scales) @ turn + 5.0


def test_spectrum_in_chunks_is_that_of_numpy(tmp_path):
    table = rows(0, 10_000, [9.0, 4.0, 1.0])
    np.save(tmp_path / "x.npy", table.astype(np.float32))
    found = samples.spectrum(samples.open_samples(tmp_path / "x.npy"))
    np.testing.assert_allclose(found.variances, np.linalg.eigvalsh(np.cov(table.T, ddof=0))[::-1], rtol=1e-5)
    along = (np.delete(table, np.s_[3::20], axis=0)) @ found.directions
    np.testing.assert_allclose(found.without[3], along.var(axis=0), rtol=1e-5)


def test_standard_errors_of_heavy_tailed_rows():
    found = [samples.spectrum(samples.open_samples(rows(seed, 2000, [9.0, 1.0], df=6))) for seed in range(150)]
    spread = np.std([x.variances for x in found], axis=0)
    errors = np.mean([x.relative_error * x.variances for x in found], axis=0)
    assert np.all(spread > 1.2 * np.sqrt(2 / 2000) * np.array([9, 1]))  # as Gaussian rows it would be far less
    np.testing.assert_allclose(errors, spread, rtol=0.2)


@pytest.mark.slow
def test_interval_for_the_fraction_covers_the_truth():
    scales, mechanism = np.array([30.0, 9.0]), mechanisms.Dae(1.0)
    truth = float(mechanisms.required_fraction(mechanism, scales, 0.8))
    found = [
        budget.needed_fraction(samples.spectrum(samples.open_samples(rows(seed, 500, scales))), mechanism, 0.8)
        for seed in range(200)
    ]
    covered = np.mean([x.low <= truth <= x.high for x in found])
    assert 0.90 < covered < 0.99  # three standard errors around .95
    assert np.mean([x.high / x.low for x in found]) < 1.6


def test_the_answer_holds_in_simulation(tmp_path, capsys):
    scales = [8.0, 4.0, 2.0]
    np.savetxt(tmp_path / "x.csv", rows(1, 5000, scales), delimiter=",", header="a,b,c", comments="")
    assert main(["budget", str(tmp_path / "x.csv"), "--noise-std", "0.2", "--retain", "0.8", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    run = dae.run(
        jax.random.key(0),
        np.diag(scales),
        noise_std=0.2,
        rounds=100,
        samples=2000,
        seeds=8,
        real_fraction=answer["needed"]["high"],
    )
    kept = np.asarray(run.variances)[:, -1].sum(axis=-1) / np.asarray(run.variances)[:, 0].sum(axis=-1)
    assert abs(kept.mean() - 0.8) < 0.02 + 4 * kept.std() / 8**0.5
    assert answer["columns"] == len(answer["directions"]["variance"]) == 3
    ahead = answer["ahead"]
    assert ahead["α in every round"]["total"] == pytest.approx(answer["share"], rel=0.01)
    assert ahead["no real data"]["total"] < ahead["α/j, shrinking"]["total"] < ahead["α in every round"]["total"]


def test_table_plot_and_costs(tmp_path, capsys):
    plot = tmp_path / "answer.png"
    asked = ["budget", "digits", "--noise-std", "0.3", "--every", "2", "--retain", "0.5", "--plot", str(plot)]
    assert main([*asked, "--value", "10", "--cost-per-sample", "0.01", "--samples", "100"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "61 principal directions",
        "(3 without variance left out)",
        "To keep 50%",
        "every 2 rounds",
        "Cheapest",
    ):
        assert words in printed
    assert plot.stat().st_size > 10_000


def test_cheapest_fraction_against_its_closed_form():
    q = np.expm1(0.05)
    for value, price in ((100.0, 0.5), (20.0, 1.0), (1.0, 50.0)):
        found = budget.cheapest_fraction(
            np.array([3.0, 1.0]),
            mechanisms.Rate(0.05),
            value=value,
            cost_per_sample=price,
            samples=10,
            cost_per_round=2.0,
        )
        best = np.clip(np.sqrt(value * q / (10 * price)) - q, 0, 1)
        assert found.best == pytest.approx(best, abs=1e-3)
        net = value * best / (best + q) - price * 10 * best - 2 if best else -2.0
        assert found.best_net == pytest.approx(net, abs=1e-4 * value)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("empty.csv", "", "too few rows"),
        ("text.csv", "1,2\n3,four\n", "'four'"),
        ("ragged.csv", "1,2\n3\n", "1 fields"),
        ("nan.csv", "1,2\n3,nan\n", "'nan'"),
        ("one.csv", "1,2\n", "too few rows"),
        ("alike.csv", "5,2\n5,2\n5,2\n", "no column varies"),
        ("x.doc", "1,2\n", "unknown kind"),
    ],
)
def test_bad_files_are_one_line(tmp_path, capsys, name, content, words):
    (tmp_path / name).write_text(content)
    assert main(["budget", str(tmp_path / name), "--rate", "0.1"]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "say how variance is lost"),
        (["--rate", "0.1", "--steps", "5"], "several mechanisms"),
        (["--mechanism", "dae"], "needs --noise-std"),
        (["--rate", "0.1", "--retain", "2"], "retention must lie"),
        (["--rate", "0.1", "--real-fraction", "-1"], "real_fraction must lie"),
        (["--rate", "0.1", "--value", "1"], "go together"),
        (["--rate", "-3"], "rate must be greater"),
    ],
)
def test_bad_options_are_one_line(tmp_path, capsys, options, words, unchecked):
    np.save(tmp_path / "x.npy", rows(0, 50, [1.0, 2.0]))
    assert main(["budget", str(tmp_path / "x.npy"), *options]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_too_many_columns_are_refused_early(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((3, 10_001), np.float32))
    assert main(["budget", str(tmp_path / "x.npy"), "--rate", "0.1"]) == 1
    assert "10001 columns" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gaussian:9,4", "two_moons", "mnist"])
def test_every_kind_of_data_is_taken(tmp_path, capsys, name):
    if name == "mnist":
        pixels = np.random.default_rng(0).integers(0, 256, (50, 2, 2), dtype=np.uint8)
        header = np.array([2051, *pixels.shape], ">u4").tobytes()
        (tmp_path / "train-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        name = f"mnist:{tmp_path}"
    assert main(["budget", name, "--rate", "0.05", "--rounds", "2", "--json"]) == 0
    variances = json.loads(capsys.readouterr().out)["directions"]["variance"]
    if name.startswith("gaussian"):
        np.testing.assert_allclose(variances, [9, 4], rtol=5 * (2 / 8192) ** 0.5)
    assert main(["monitor", name, "--reference", name]) == 0
    assert main(["budget", "no such data", "--rate", "0.05"]) == 1
    assert "data must be digits" in capsys.readouterr().err
