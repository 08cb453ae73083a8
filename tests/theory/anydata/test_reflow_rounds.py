"""Rounds of Reflow with a ridge, against the balance law and sums over all particles."""

import numpy as np
import pytest
from scipy import integrate, stats

from rfcollapse.theory import anydata, flow

LEVELS = (np.arange(20_000) + 0.5) / 20_000
LAWS = {"laplace": stats.laplace(scale=2**0.5), "uniform": stats.uniform(-(12**0.5), 2 * 12**0.5)}


@pytest.mark.parametrize("variance", [4.0, 0.25])
def test_gaussian_data_under_reflow_obey_the_balance_law(variance):
    found = anydata.reflow_variances(stats.norm.ppf(LEVELS) * variance**0.5, 5, 0.2)
    law = flow.scheme_trajectory("reflow", variance, 5, ridge=0.2)
    np.testing.assert_allclose(found, law, rtol=1e-4)  # the quantiles end at a level of 1/40,000
    assert abs(np.log(law[-1] / law[0])) > 0.4


def particles(values, scheme, ridge, fraction, rounds):
    """Pairs one by one, real noise drawn for "fresh"; paths by an adaptive method."""
    n, draw = len(values), np.random.default_rng(0)
    noise = stats.norm.ppf((np.arange(n) + 0.5) / n)
    own, found = values, [values.var()]
    for _ in range(rounds):
        if scheme == "fresh":
            x0 = np.concatenate([noise, *(draw.permutation(noise) for _ in range(20))])
            x1, weight = (
                np.concatenate([own, np.tile(values, 20)]),
                np.repeat([1 - fraction, fraction / 20], [n, 20 * n]),
            )
        else:
            back = {"ra": np.interp(values, own, noise), "anchored": noise}[scheme]
            x0, x1 = np.concatenate([noise, back]), np.concatenate([own, values])
            weight = np.repeat([1 - fraction, fraction], n)

        def velocity(t, y, x0=x0, x1=x1, weight=weight):
            chance = weight * np.exp(-((y[:, None] - (1 - t) * x0 - t * x1) ** 2) / (2 * ridge))
            return chance @ (x1 - x0) / chance.sum(axis=1)

        own = integrate.solve_ivp(velocity, (0, 1), noise, rtol=1e-4, atol=1e-5).y[:, -1]
        found.append(own.var())
    return found


@pytest.mark.parametrize("scheme", ["ra", "anchored", "fresh"])
@pytest.mark.parametrize("name", LAWS)
def test_rounds_against_all_particles(name, scheme):
    values = LAWS[name].ppf((np.arange(300) + 0.5) / 300)
    expected = particles(values, scheme, 0.2, 0.3, 2)
    found = anydata.reflow_variances(values, 2, 0.2, scheme=scheme, real_fraction=0.3)
    change = np.log(np.divide(expected[1:], expected[0]))
    np.testing.assert_allclose(np.log(found[1:] / found[0]), change, rtol=0.035)  # 300 atoms, not a law
    gaussian = np.log(flow.scheme_trajectory(scheme, 4.0, 2, ridge=0.2, real_fraction=0.3)[1:] / 4)
    assert np.all((change < gaussian) == (name == "laplace")) and np.all(abs(change / gaussian - 1) > 0.1)


@pytest.mark.parametrize("name", LAWS)
def test_a_small_ridge_loses_by_the_covariance_of_the_squares(name):
    """By quadrature of the map itself, which knows of no rounds."""
    ridge = 4e-3
    before, after = anydata.reflow_variances(LAWS[name].ppf(LEVELS), 1, ridge, nodes=2001)
    z = np.linspace(-3.9, 3.9, 20_001)
    mass, square = stats.norm.pdf(z) * (z[1] - z[0]), LAWS[name].ppf(stats.norm.cdf(z)) ** 2
    law = mass @ ((z**2 - 1) * square) / 2 - 1
    assert float(before - after) / ridge == pytest.approx(law, rel=0.03) and abs(law / 3 - 1) > 0.1


def test_more_nodes_change_nothing():
    values = LAWS["laplace"].ppf(LEVELS)
    coarse, fine = (
        anydata.reflow_variances(values, 3, 0.2, scheme="ra", real_fraction=0.3, nodes=n) for n in (257, 601)
    )
    np.testing.assert_allclose(coarse, fine, rtol=3e-4)


def test_bad_input(unchecked):
    with pytest.raises(ValueError, match="scheme must be one of reflow, ra, anchored, fresh; got 'oras'"):
        anydata.reflow_variances([0.0, 1.0], 2, 0.1, scheme="oras")
    with pytest.raises(ValueError, match="ridge must be greater than 0"):
        anydata.reflow_variances([0.0, 1.0], 2, 0.0)
    with pytest.raises(ValueError, match="quantiles must be a list of numbers in order"):
        anydata.reflow_variances([1.0, 0.0], 2, 0.1)
    two = np.repeat([-2.0, 2.0], 50)
    with pytest.raises(ValueError, match=r"nodes must be about \d+ for these data and a ridge of 0.01; got 257"):
        anydata.reflow_variances(two, 2, 0.01)
