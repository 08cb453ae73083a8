"""Two points, against mpmath and against rounds of their own."""

import mpmath
import numpy as np
import pytest

from rfcollapse.theory import anydata


@pytest.mark.parametrize("half_distance", [1e-3, 0.5, 2.0, 6.0])
def test_one_round_by_quadrature(half_distance):
    """The other form of the expectation, E tanh, to 30 digits."""
    with mpmath.workdps(30):
        a = mpmath.mpf(half_distance)
        expected = a**2 * mpmath.quad(
            lambda z: mpmath.tanh(a**2 + a * z) * mpmath.npdf(z), mpmath.linspace(-14, 14, 57)
        )
    np.testing.assert_allclose(anydata.two_points_variance(half_distance, 1.0), float(expected), rtol=1e-12)


def test_scales_with_the_noise():
    np.testing.assert_allclose(anydata.two_points_variance([1.0, 3.0], 0.5), anydata.two_points_variance([2, 6], 1) / 4)


def test_far_points_approach_exponentially_slowly():
    """The share lost is √(π/2)(σ/a) e^(−a²/2σ²) in the limit."""
    a = np.array([5.0, 6.0])
    lost = 1 - anydata.two_points_variance(a, 1.0) / a**2
    limit = np.sqrt(np.pi / 2) / a * np.exp(-(a**2) / 2)
    assert np.all(np.abs(np.log(lost / limit)) < 2 / a**2)


@pytest.mark.parametrize(("fraction", "shares"), [(0.05, [0.064]), (0.07, [0.108, 0.852]), (0.15, [0.957])])
def test_levels_found_elsewhere(fraction, shares):
    """Found by other code (a real start and a start from a hundredth of the variance)."""
    np.testing.assert_allclose(anydata.two_points_levels(3.0, 1.0, fraction) / 9, shares, atol=6e-4)


def test_levels_stand_still():
    """A round of the law that settled, by `quantile_round`, moves nothing; and the levels scale with the noise."""
    real = dict(real_fraction=0.1, real_quantiles=[-3.0, 3.0], real_mass=[0.5, 0.5])
    for start, level in zip((0.3, 3.0), anydata.two_points_levels(3.0, 1.0, 0.1)):
        values, mass = np.array([-start, start]), np.full(2, 0.5)
        for _ in range(200):
            values, mass = anydata.quantile_round(values, mass / mass.sum(), 1.0, **real)
        np.testing.assert_allclose(mass @ values**2, level, rtol=1e-6)
    np.testing.assert_allclose(anydata.two_points_levels(1.5, 0.5, 0.1), anydata.two_points_levels(3, 1, 0.1) / 4)


def test_no_real_data_no_level():
    assert anydata.two_points_levels(3.0, 1.0, 0.0).tolist() == [0.0]
    np.testing.assert_allclose(anydata.two_points_levels(3.0, 1.0, 1.0), anydata.two_points_variance(3.0, 1.0))


def test_points_too_far_apart_are_refused(unchecked):
    with pytest.raises(ValueError, match="half_distance must be at most 20 noise_std; got 30"):
        anydata.two_points_levels(3.0, 0.1, 0.1)
