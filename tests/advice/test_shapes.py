"""The real fraction that is named for a flow's samples, by their shape: applied to particles, and beside the law."""

import json

import numpy as np
import pytest
from scipy import stats

from rfcollapse.__main__ import main
from rfcollapse.advice import budget, mechanisms, samples
from rfcollapse.theory import anydata

pytestmark = pytest.mark.computes

DRAWS = {"laplace": "laplace", "exponential": "exponential", "uniform": "random", "normal": "standard_normal"}


def rows(name, n, seed=1, columns=1, variance=4.0):
    table = getattr(np.random.default_rng(seed), DRAWS[name])(size=(n, columns))
    return (table - table.mean(axis=0)) / table.std(axis=0) * variance**0.5


def fitted(table, steps):
    opened = samples.open_samples(table)
    spectrum = samples.spectrum(opened)
    return spectrum, mechanisms.Flow(steps).fitted(opened, spectrum)


def particles_keep(real, fraction, steps, rounds=15):
    """The share of the variance that is left where every velocity is a mean over all own and real particles."""
    own, mass = real, np.repeat([1 - fraction, fraction], len(real))
    noise = stats.norm.ppf((np.arange(len(real)) + 0.5) / len(real))
    for _ in range(rounds):
        pool, x = np.concatenate([own, real]), noise
        for i in range(steps):
            t = i / steps
            chance = mass * np.exp(-(((x[:, None] - t * pool) / (1 - t)) ** 2) / 2)
            x = x + (chance @ pool / chance.sum(axis=1) - x) / (steps - i)
        own = x
    return own.var() / real.var()


@pytest.mark.parametrize("name", ["laplace", "exponential", "uniform"])
def test_the_named_fraction_keeps_what_was_asked(name):
    table = rows(name, 600)
    spectrum, law = fitted(table, 8)
    named = float(mechanisms.required_fraction(law, spectrum.variances, 0.5))
    gaussian = float(mechanisms.required_fraction(law.shapeless, spectrum.variances, 0.5))
    assert particles_keep(table[:, 0], named, 8) == pytest.approx(0.5, abs=0.01)
    assert (particles_keep(table[:, 0], gaussian, 8) < 0.45) == (name != "uniform")


def test_gaussian_samples_are_given_the_gaussian_law():
    for seed in (1, 2):
        spectrum, law = fitted(rows("normal", 3000, seed, 2), 20)
        found = budget.needed_fraction(spectrum, law, 0.8)
        assert found.low < float(mechanisms.required_fraction(mechanisms.Flow(20), np.full(2, 4.0), 0.8)) < found.high
        assert not budget.report(spectrum, law, retention=0.8)["gaussian"]["unsafe"]


@pytest.mark.parametrize("steps", [20, 60])
@pytest.mark.parametrize("name", ["laplace", "uniform"])
def test_the_curve_is_that_of_the_rounds_themselves(name, steps):
    """Also for more steps than it is made from."""
    table = rows(name, 2000)
    spectrum, law = fitted(table, steps)
    for fraction in (0.1, 0.33, 0.9):
        settled = anydata.flow_settled(anydata.components(np.sort(table, axis=0)), steps, fraction)
        found = mechanisms.retained(law, spectrum.variances, fraction)
        np.testing.assert_allclose(found, settled.total, rtol=2e-3 if steps == 20 else 0.015)


def test_the_interval_knows_of_the_shape():
    """Spread of the answers over samples of their own, beside the half width of their intervals."""
    found = []
    for seed in range(12):
        table = np.random.default_rng(seed).laplace(size=(1000, 1)) * 2**0.5
        found.append(budget.needed_fraction(*fitted(table, 10), 0.4))
    values, half = np.array([x.fraction for x in found]), np.mean([x.high - x.low for x in found]) / 2
    assert 0.5 < half / (2.09 * values.std(ddof=1)) < 2  # 12 samples know a spread up to a third


def test_directions_beyond_those_that_count_obey_the_gaussian_law():
    table = np.concatenate([rows("laplace", 500), 1e-3 * rows("laplace", 500, 2)], axis=1)
    spectrum, law = fitted(table, 5)
    assert len(law.shapes.law.mean) == 1 and "Gaussian in the 1 others" in law.assumptions
    kept, gaussian = (mechanisms.retained(x, spectrum.variances, 0.4) for x in (law, law.shapeless))
    np.testing.assert_allclose(kept[1], gaussian[1], rtol=1e-9)
    assert kept[0] < 0.95 * gaussian[0]


@pytest.mark.parametrize(
    "table", [[[0.0], [1.0]], [[0.0, 3.0]] * 30 + [[5.0, 3.0]] * 2], ids=["two rows", "two values"]
)
def test_samples_that_have_hardly_a_shape(table):
    spectrum, law = fitted(table, 4)
    found = budget.report(spectrum, law, retention=0.3, rounds=3)
    assert 0 <= found["share"] <= 1 and found["needed"]["low"] <= found["needed"]["fraction"] <= found["needed"]["high"]


def test_what_the_command_says(tmp_path, capsys):
    np.save(tmp_path / "tails.npy", rows("laplace", 3000, columns=2))
    np.save(tmp_path / "flat.npy", rows("uniform", 3000, columns=2))
    asked = ["--steps", "20", "--retain", "0.8"]
    assert main(["budget", str(tmp_path / "tails.npy"), *asked]) == 0
    printed = capsys.readouterr().out
    assert "the marginals of 2 principal directions, smoothed and as if independent" in printed
    assert "UNSAFE The Gaussian law would have named" in printed
    assert main(["budget", str(tmp_path / "flat.npy"), *asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["gaussian"]["fraction"] > answer["needed"]["high"] and answer["gaussian"]["keeps"] > 0.8
    assert answer["gaussian"]["unsafe"] is False
    assert main(["budget", str(tmp_path / "flat.npy"), "--rate", "0.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gaussian"] is None
