"""Euler's loss, against the cosine law for Gaussians and a mixture's velocity in closed form."""

import itertools

import numpy as np
import pytest
from scipy import stats

from rfcollapse.theory import anydata, flow

POINTS = np.linspace(-14, 14, 1001)
CENTRES, WIDTH = np.array([-(3.64**0.5), 3.64**0.5]), 0.6
MIXTURE = stats.norm.pdf(POINTS[:, None], CENTRES, WIDTH).mean(axis=1)


def stepped(steps, nodes=8001):
    """E|x̂_N|² with the mixture's velocity: that of each mode, by the chance that x_t belongs to it."""
    mass, x = carried(steps, nodes)
    return mass @ x**2


def carried(steps, nodes):
    x = noise = np.linspace(-9, 9, nodes)
    for i in range(steps):
        t = i / steps
        total = t**2 * WIDTH**2 + (1 - t) ** 2
        off = x[:, None] - t * CENTRES
        chance = np.exp(-(off**2) / (2 * total))
        inside = CENTRES + (t * WIDTH**2 - (1 - t)) / total * off
        x = x + (chance * inside).sum(axis=1) / chance.sum(axis=1) / steps
    mass = stats.norm.pdf(noise)
    return mass / mass.sum(), x


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


def test_rounds_hand_on_their_law():
    """Ten steps of the mixture, then ten of what they made: by the closed velocity, then by sums over its values."""
    mass, atoms = carried(10, 1001)
    x = noise = np.linspace(-9, 9, 1502)
    for i in range(10):
        t = i / 10
        log_chance = np.log(mass) - ((x[:, None] - t * atoms) / (1 - t)) ** 2 / 2
        chance = np.exp(log_chance - log_chance.max(axis=1, keepdims=True))
        x = x + (chance @ atoms / chance.sum(axis=1) - x) / (1 - t) / 10
    weight = stats.norm.pdf(noise) / stats.norm.pdf(noise).sum()
    law = POINTS, MIXTURE / MIXTURE.sum()
    for expected in (stepped(10), weight @ x**2):
        law = anydata.euler_round(*law, 10)
        np.testing.assert_allclose(law[1] @ law[0] ** 2, expected, rtol=3e-5)
        assert np.all(np.diff(law[0]) > 0)
    np.testing.assert_allclose(
        np.interp([0.02, 0.3], np.cumsum(law[1]), law[0]), np.interp([0.02, 0.3], np.cumsum(weight), x), atol=0.02
    )


def test_a_jump_is_too_steep(unchecked):
    """Two points part all paths at 0, between two nodes of any grid."""
    with pytest.raises(ValueError, match="the flow of this law is too steep"):
        anydata.euler_round([-2.0, 2.0], [0.5, 0.5], 10)


def test_points_that_do_not_resolve_the_last_step_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"points must lie closer: a noise of 0\.01"):
        anydata.euler_loss(POINTS, MIXTURE, 101)
    with pytest.raises(ValueError, match="points must lie closer for a limit"):
        anydata.euler_loss_rate(np.linspace(-20, 20, 201), stats.norm.pdf(np.linspace(-20, 20, 201), 0, 2))
    with pytest.raises(ValueError, match="density must have mass 1"):
        anydata.euler_loss(POINTS, MIXTURE / 2, 10)
