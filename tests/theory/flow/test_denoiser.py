from itertools import pairwise

import numpy as np
import pytest

from rfcollapse.schemes import SCHEMES
from rfcollapse.theory.flow import denoiser_trajectory, scheme_coupling, scheme_trajectory


def euler_denoiser(noise, data, cross, ridge, times):
    """N steps x += h (Dx − x)/(1−t) from x = 1, D the ridge fit of x1 on x_t over points that have these moments."""
    lower = np.linalg.cholesky(np.array([[noise, cross], [cross, data]]) + 1e-300 * np.eye(2))
    return fitted_to_points(*lower @ np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]), ridge, times)


def fitted_to_points(x0, x1, ridge, times):
    """The same for points that have four times the moments."""
    x = 1.0
    for t, after in pairwise(times):
        at = (1 - t) * x0 + t * x1
        denoised = np.linalg.lstsq(np.append(at, np.sqrt(4 * ridge))[:, None], np.append(x1, 0.0), rcond=None)[0][0] * x
        x += (after - t) * (denoised - x) / (1 - t)
    return x


@pytest.mark.parametrize("scheme", ["anchored", "oras", "naive_oras", "fresh", "self_consuming"])
@pytest.mark.parametrize("grid", ["uniform", "own"])
def test_rounds_are_those_of_the_fitted_denoiser(scheme, grid):
    steps = 6 if grid == "uniform" else np.array([0, 0.1, 0.5, 0.7, 1.0])
    times = np.linspace(0, 1, 7) if grid == "uniform" else steps
    settings = dict(real_fraction=0.3, anchor_variance=2.5, diffusion=0.9)
    variance, expected = 2.0, [2.0]
    for _ in range(4):
        pairs = [float(m) for m in scheme_coupling(scheme, 4.0, initial_variance=variance, **settings)]
        variance = euler_denoiser(*pairs, 0.07, times) ** 2
        expected.append(variance)
    path = denoiser_trajectory(scheme, 4.0, 4, steps=steps, ridge=0.07, initial_variance=2.0, **settings)
    np.testing.assert_allclose(path, expected, rtol=1e-10)


@pytest.mark.parametrize("steps, ridge, fraction", [(1, 0.05, 0.3), (10, 0.05, 0.3), (10, 0.02, 0.7), (10, 0.0, 0.3)])
def test_refreshed_pairs_are_inverted_until_nothing_changes(steps, ridge, fraction):
    real, times, variance, expected = 4.0, np.linspace(0, 1, steps + 1), 2.0, [2.0]
    for _ in range(3):
        training = variance
        for _ in range(400):
            x1 = 2 * np.sqrt([(1 - fraction) * variance, fraction * real])  # own and real, each made by a gain
            training = fitted_to_points(x1 / np.sqrt([variance, training]), x1, ridge, times) ** 2
        variance = training
        expected.append(variance)
    path = denoiser_trajectory("ora", real, 3, steps=steps, ridge=ridge, real_fraction=fraction, initial_variance=2.0)
    np.testing.assert_allclose(path, expected, rtol=1e-9)


@pytest.mark.parametrize("scheme", ["reflow", "ra"])
def test_straight_pairs_by_their_own_closed_form(scheme):
    real, fraction, ridge, steps, gain = 4.0, 0.3, 0.05, 10, 2.0**0.5
    expected = [gain**2]
    for _ in range(5):
        inflation = 1.0 if scheme == "reflow" else 1 - fraction + fraction * real / gain**2
        x = 1.0
        for i in range(steps):
            t = i / steps
            s = 1 - t + t * gain
            x += (gain * s * inflation / (s**2 * inflation + ridge) * x - x) / steps / (1 - t)
        gain = x
        expected.append(gain**2)
    path = denoiser_trajectory(scheme, real, 5, steps=steps, ridge=ridge, real_fraction=fraction, initial_variance=2.0)
    np.testing.assert_allclose(path, expected, rtol=1e-12)


def test_known_decay_of_the_standard_deviation():
    path = denoiser_trajectory("reflow", 4.0, 3, steps=10, ridge=0.05)
    np.testing.assert_allclose(np.sqrt(path), [2, 1.859, 1.720, 1.582], atol=6e-4)


def test_more_steps_lose_more_as_a_power():
    gains = [float(denoiser_trajectory("reflow", 4.0, 1, steps=n, ridge=0.05)[1]) ** 0.5 for n in (2_000, 20_000)]
    assert np.log10(gains[1] / gains[0]) == pytest.approx(-0.05 / 4.05, rel=1e-3)


def test_where_each_scheme_ends():
    ends = {
        scheme: float(
            denoiser_trajectory(scheme, 4.0, 3_000, steps=10, ridge=0.05, real_fraction=0.3, diffusion=1.0)[-1]
        )
        for scheme in SCHEMES
    }
    assert ends["reflow"] < 1e-10 and ends["ra"] < 1e-4 and ends["ora"] < 1e-10 and ends["naive_oras"] < 1e-2
    assert ends["anchored"] > 2 and ends["fresh"] > 1.5 and ends["oras"] > 1


def test_without_ridge_and_bending_it_is_the_velocity_model():
    for scheme in ("reflow", "ra"):
        settings = dict(real_fraction=0.3, initial_variance=2.0)
        np.testing.assert_allclose(
            denoiser_trajectory(scheme, 4.0, 3, steps=7, **settings),
            scheme_trajectory(scheme, 4.0, 3, **settings),
            rtol=1e-13,
        )


def test_hard_corners_are_finite_and_positive():
    real = np.array([1e-12, 1.0, 1e12])
    for scheme in SCHEMES:
        path = denoiser_trajectory(scheme, real, 3, steps=1, ridge=0.1, real_fraction=1.0, diffusion=0.5)
        assert path.shape == (4, 3) and np.all(np.isfinite(path)) and np.all(path >= 0)
    # One step: gain c/(Q0 + τ); for reflow g/(1 + τ).
    np.testing.assert_allclose(denoiser_trajectory("reflow", real, 2, steps=1, ridge=0.1)[2], real / 1.1**4, rtol=1e-14)


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="scheme must be one of"):
        denoiser_trajectory("self", 1.0, 1, steps=3)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        denoiser_trajectory("ra", 1.0, 1, steps=0)
