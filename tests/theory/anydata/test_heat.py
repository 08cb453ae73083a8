"""Small noise: variance and entropy of a mixture's rounds tend to the heat equation's; Gaussians in closed form."""

import numpy as np
import pytest
from scipy import stats

from rfcollapse.theory import anydata, dae

POINTS = np.linspace(-6, 6, 481)
MIXTURE = stats.norm.pdf(POINTS[:, None], [-1.9, 1.9], 0.6).mean(axis=1)


def entropy(density):
    return -np.trapezoid(xlogx(density), POINTS)


def xlogx(density):
    density = np.asarray(density)
    return np.where(density > 0, density * np.log(np.where(density > 0, density, 1.0)), 0.0)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.0, 3.0])
def test_a_round_of_a_mixture(ratio):
    """What is left beyond the first order halves with σ²."""
    errors = []
    for noise_variance in (0.02, 0.01):
        noise, resample = noise_variance**0.5, (ratio * noise_variance) ** 0.5
        after = anydata.density_round(POINTS, MIXTURE, noise, resample_std=resample)
        change = np.trapezoid(POINTS**2 * (after - MIXTURE), POINTS) - anydata.heat_rate(noise, resample)
        gained = entropy(after) - entropy(MIXTURE) - anydata.entropy_rate(POINTS, MIXTURE, noise, resample)
        errors.append([float(change) / noise_variance, float(gained) / noise_variance])
    coarse, fine = np.array(errors)
    np.testing.assert_allclose(fine / coarse, 0.5, atol=0.12)
    assert np.all(np.abs(coarse) < [0.2, 0.25])


def test_at_rest_where_the_linear_law_is_critical():
    assert anydata.heat_rate(0.7, dae.critical_resample_std(0.7)) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("std", [0.3, 1.0])
def test_gaussian_entropy(std):
    """½ ln λ has the slope 1/(2λ) in λ."""
    density = stats.norm.pdf(POINTS, 0, std)
    rate = anydata.entropy_rate(POINTS, density, 0.1, 0.1)
    np.testing.assert_allclose(rate, anydata.heat_rate(0.1, 0.1) / (2 * std**2), rtol=1e-7)


def test_fisher_information_of_a_laplace_like_density():
    """Of the hyperbolic secant, whose score is −(π/2) tanh(πx/2): π²/4 E tanh² = π²/8."""
    points = np.linspace(-25, 25, 5001)
    density = stats.hypsecant.pdf(np.pi / 2 * points) * np.pi / 2
    np.testing.assert_allclose(anydata.fisher_information(points, density), np.pi**2 / 8, rtol=1e-9)
