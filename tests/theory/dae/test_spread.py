"""The spread of one direction in n samples, against the noncentral χ² that a round is."""

import numpy as np
import pytest
from scipy import integrate, stats

from rfcollapse.theory import dae


def next_variance(u, rho, n):
    """The law of u' given u, as scipy has it."""
    return stats.ncx2(n, n * u / rho, scale=(u / (u + 1)) ** 2 * rho / n)


@pytest.mark.parametrize("u, rho, n", [(8.0, 1.0, 16), (0.3, 2.5, 3), (100.0, 0.2, 1)])
def test_next_variance_scatters_as_the_noncentral_chi_squared(u, rho, n):
    found = dae.next_variance_std(0.49 * u, 0.7, n, resample_std=0.7 * rho**0.5)
    assert float(found) == pytest.approx(0.49 * next_variance(u, rho, n).std(), rel=1e-9)
    assert float(dae.next_variance_std(8.0, 1.0, 16, resample_std=0.0)) == 0


@pytest.mark.parametrize("u, rho, n", [(25.0, 2.7, 8), (0.5, 1.0, 2), (3.0, 0.3, 40)])
def test_log_drift_is_the_mean_of_the_log(u, rho, n):
    law = next_variance(u, rho, n)
    mean, _ = integrate.quad(lambda log: log * np.exp(log) * law.pdf(np.exp(log)), -25, 8, limit=400)
    found = dae.log_drift(0.49 * u, 0.7, n, resample_std=0.7 * rho**0.5)
    assert float(found) == pytest.approx(mean - np.log(u), abs=1e-6)


def test_log_drift_of_large_variances():
    for n, rho in ((8, 8 / 3), (2, 50.0), (1000, 2.0)):
        drift = 1e6 * float(dae.log_drift(1e6, 1.0, n, resample_std=rho**0.5))
        assert drift == pytest.approx(rho * (1 - 2 / n) - 2, abs=1e-3)


@pytest.mark.parametrize("u0, n, within", [(64.0, 50, 0.005), (20.0, 50, 0.008), (64.0, 10, 0.008)])
def test_lifetimes_against_the_chain_on_a_grid(u0, n, within):
    edges = np.geomspace(1, 600, 401)  # four times as fine, .0025, .0052 and .0064
    chance = next_variance(np.r_[u0, np.sqrt(edges[1:] * edges[:-1])][:, None], 1.0, n).cdf(edges)
    dead, alive = [0.0], np.r_[1.0, np.zeros(400)]
    for _ in range(200):
        dead.append(dead[-1] + alive @ chance[:, 0])
        alive = np.r_[0.0, alive @ np.diff(chance)]
    found = dae.lifetime_distribution(np.arange(201), 4 * u0, 2.0, n)
    assert np.max(abs(found - np.array(dead))) < within
    one_more = dae.lifetime_distribution(np.arange(201), 4 * u0, 2.0, n + 1)
    assert np.max(abs(one_more - np.array(dead))) > within
