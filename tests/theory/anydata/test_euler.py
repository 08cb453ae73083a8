"""Euler's loss, against the cosine law for Gaussians and a mixture's velocity in closed form."""

import itertools

import numpy as np
import pytest
from scipy import stats

from rfcollapse.theory import anydata, flow

POINTS = np.linspace(-14, 14, 1001)
CENTRES, WIDTH = np.array([-(3.64**0.5), 3.64**0.5]), 0.6
MIXTURE = stats.norm.pdf(POINTS[:, None], CENTRES, WIDTH).mean(axis=1)


def stepped(steps):
    """E|x̂_N|² with the mixture's velocity: that of each mode, by the chance that x_t belongs to it."""
    x = noise = np.linspace(-9, 9, 8001)
    for i in range(steps):
        t = i / steps
        total = t**2 * WIDTH**2 + (1 - t) ** 2
        off = x[:, None] - t * CENTRES
        chance = np.exp(-(off**2) / (2 * total))
        inside = CENTRES + (t * WIDTH**2 - (1 - t)) / total * off
        x = x + (chance * inside).sum(axis=1) / chance.sum(axis=1) / steps
    mass = stats.norm.pdf(noise)
    return mass @ x**2 / mass.sum()


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_one_round_of_a_mixture(steps):
    np.testing.assert_allclose(anydata.euler_loss(POINTS, MIXTURE, steps), 4 - stepped(steps), atol=1e-9)


@pytest.mark.parametrize(("variance", "steps"), [(4.0, 1), (4.0, 10), (0.25, 7)])
def test_gaussians_lose_what_the_cosine_law_says(variance, steps):
    lost = anydata.euler_loss(POINTS, stats.norm.pdf(POINTS, 0, variance**0.5), steps)
    np.testing.assert_allclose(lost, variance - flow.euler_gain(variance, steps) ** 2, atol=1e-10)


@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
def test_gaussian_rate(variance):
    points = POINTS * variance**0.5 / 2
    rate = anydata.euler_loss_rate(points, stats.norm.pdf(points, 0, variance**0.5))
    k = variance**0.5 + variance**-0.5
    np.testing.assert_allclose(rate, variance * (1 + np.pi * k / 4), rtol=1e-7)


def test_rate_is_the_limit_for_a_mixture():
    """Extrapolated from steps of the closed velocity, in 1/N."""
    table = [count * (4 - stepped(count)) for count in (8, 16, 32, 64)]
    for order in (1, 2, 3):
        table = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in itertools.pairwise(table)]
    np.testing.assert_allclose(anydata.euler_loss_rate(POINTS, MIXTURE), table[0], rtol=1e-3)


def test_heavy_tails_lose_more_than_the_gaussian_law():
    """As found elsewhere: ten steps leave 2.70 of a Laplace direction of variance 4; the Gaussian law says 2.97."""
    points = np.linspace(-45, 45, 1401)
    density = stats.laplace.pdf(points, scale=2**0.5)
    density /= np.trapezoid(density, points)
    np.testing.assert_allclose(4 - anydata.euler_loss(points, density, 10), 2.70, atol=6e-3)


def test_points_that_do_not_resolve_the_last_step_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"points must lie closer: a noise of 0\.01"):
        anydata.euler_loss(POINTS, MIXTURE, 101)
    with pytest.raises(ValueError, match="points must lie closer for a limit"):
        anydata.euler_loss_rate(np.linspace(-20, 20, 201), stats.norm.pdf(np.linspace(-20, 20, 201), 0, 2))
    with pytest.raises(ValueError, match="density must have mass 1"):
        anydata.euler_loss(POINTS, MIXTURE / 2, 10)
