"""Rounds of a flow on its own samples, against the Gaussian recursion, Euler's loss, and sums over all particles."""

import numpy as np
import pytest
from scipy import stats

from rfcollapse.theory import anydata, flow

pytestmark = pytest.mark.computes

LEVELS = (np.arange(1200) + 0.5) / 1200
LAWS = {"laplace": stats.laplace, "exponential": stats.expon, "uniform": stats.uniform}


def values(name, variance=4.0):
    """1200 quantiles, of mean 0."""
    found = LAWS[name].ppf(LEVELS)
    return (found - found.mean()) / found.std() * variance**0.5


def particles(real, fraction, steps, rounds):
    """Every round's quantiles walk with the mean of all particles, own and real, weighted by their chances."""
    own, found = real, [real.var()]
    noise = stats.norm.ppf((np.arange(len(real)) + 0.5) / len(real))
    for _ in range(rounds):
        pool = np.concatenate([own, real]) if fraction else own
        mass = np.repeat([1 - fraction, fraction], len(real)) if fraction else np.ones(len(real))
        x = noise
        for i in range(steps):
            t = i / steps
            chance = mass * np.exp(-(((x[:, None] - t * pool) / (1 - t)) ** 2) / 2)
            x = x + (chance @ pool / chance.sum(axis=1) - x) / (steps - i)
        own = x
        found.append(own.var())
    return np.array(found)


@pytest.mark.parametrize("variance", [4.0, 0.25])
def test_gaussian_data_alone_obey_the_gaussian_recursion(variance):
    law = anydata.components(np.sqrt(variance) * stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000))
    found = anydata.flow_variances(law, 10, 6)
    np.testing.assert_allclose(found, flow.self_consuming_trajectory(variance, 10, 6), rtol=1e-4)


def test_one_round_loses_what_euler_s_loss_says():
    points = np.linspace(-14, 14, 1001)
    density = stats.norm.pdf(points[:, None], [-1.5, 1.0], [0.8, 1.2]).mean(axis=1)
    law = anydata.components(points, density / density.sum(), nodes=97)
    lost = law.total - anydata.flow_round(law, 10).total
    mean = density @ points / density.sum()  # about which the loss of the second moment is no shift of the mean
    density = np.interp(points + mean, points, density)
    np.testing.assert_allclose(lost, anydata.euler_loss(points, density, 10), rtol=2e-3)


@pytest.mark.parametrize(("name", "fraction"), [("laplace", 0.0), ("exponential", 0.3), ("uniform", 0.3)])
def test_rounds_against_all_particles(name, fraction):
    real = values(name)
    found = anydata.flow_variances(anydata.components(real), 8, 6, real_fraction=fraction)
    np.testing.assert_allclose(found, particles(real, fraction, 8, 6), rtol=0.02)


def test_laplace_loses_more_than_the_gaussian_law():
    """.55 of a variance of 4 after six rounds of ten steps, as found elsewhere; the Gaussian law leaves .78."""
    points = np.linspace(-45, 45, 20_001)
    mass = stats.laplace.pdf(points, scale=2**0.5)
    law = anydata.components(points, mass / mass.sum(), nodes=97)
    np.testing.assert_allclose(anydata.flow_variances(law, 10, 6)[-1], 0.55, atol=0.005)


def test_settled_is_where_long_runs_end_from_above_and_below():
    laws = anydata.components(np.stack([values(name) for name in LAWS], axis=1))
    fractions = np.array([0.1, 0.3, 0.6])
    end = anydata.flow_variances(laws, 6, 80, real_fraction=fractions)[-1]
    low = anydata.Components(0.1 * laws.mean, 0.01 * laws.variance)
    for start in (None, low):
        np.testing.assert_allclose(anydata.flow_settled(laws, 6, fractions, start=start).total, end, rtol=1e-4)


def test_smoothing_keeps_mean_and_variance():
    generator = np.random.default_rng(1)
    for table in (generator.standard_t(3, (500, 2)), generator.integers(0, 2, (50, 2)), np.array([[1.0, 2], [1, 5]])):
        law = anydata.components(np.sort(table, axis=0))
        np.testing.assert_allclose(law.total, table.var(axis=0), atol=1e-12)
        assert np.all(np.diff(law.mean, axis=-1) >= -1e-9) and np.all(law.variance >= 0)


def test_bad_input(unchecked):
    law = anydata.components([0.0, 1.0, 2.0])
    for call, words in (
        (lambda: anydata.components([2.0, 1.0]), "quantiles must be in order"),
        (lambda: anydata.components([1.0, 2.0], [0.5, 0.6]), "mass must be a list of numbers that add up to 1"),
        (lambda: anydata.components([1.0, 2.0], nodes=3), "nodes must be at least 9"),
        (lambda: anydata.flow_round(law, 5, real_fraction=0.1), "real is needed"),
        (lambda: anydata.flow_round(law, 0), "steps must be at least 1"),
        (lambda: anydata.flow_settled(law, 5, 1.1), "real_fraction must lie in"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_more_nodes_resolve_the_valley_between_modes():
    points = np.linspace(-7, 7, 2801)
    density = sum(stats.norm.pdf(points, centre, 0.6) for centre in (3.64**0.5, -(3.64**0.5))) / 2
    half = 3.64**0.5 + 0.6 * stats.norm.ppf((np.arange(2**15) + 0.5) / 2**15)
    truth = float(anydata.euler_loss(points, density / np.trapezoid(density, points), 10))
    losses = []
    for nodes in (49, 193, 385):
        law = anydata.components(np.sort(np.concatenate([-half, half])), nodes=nodes)
        losses.append(float(law.square - anydata.flow_round(law, 10).square) - truth)
    assert 0.04 < losses[0] < 0.05  # too much is lost, never too little
    assert losses[0] > 4 * losses[1] > 8 * losses[2] > 0
