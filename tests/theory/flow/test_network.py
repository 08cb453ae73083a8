import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

from rfcollapse.schemes import SCHEMES
from rfcollapse.theory.flow import network_variance, scheme_coupling, scheme_trajectory

SETTINGS = dict(real_fraction=0.3, initial_variance=1.5, anchor_variance=2.5, diffusion=0.7)
REAL, RIDGE = 4.0, 0.2


def radial_flow(kinds, radius, dimension):
    """|x| at t = 1 from |x| = radius at t = 0 along the optimal velocity of a mixture of isotropic Gaussian couplings.

    Each kind is (weight, Q0, Q1, c); v(y) = Σ_k P(k | y) a_k y, a_k the slope of x1 − x0 on y = x_t + √τ e.
    """

    def velocity(t, y):
        log_weights, slopes = [], []
        for weight, noise, data, cross in kinds:
            spread = (1 - t) ** 2 * noise + 2 * t * (1 - t) * cross + t**2 * data + RIDGE
            log_weights.append(np.log(weight) - dimension / 2 * np.log(spread) - y**2 / 2 / spread)
            slopes.append((t * data - (1 - t) * noise + (1 - 2 * t) * cross) / spread)
        share = np.exp(np.array(log_weights) - np.max(log_weights, axis=0))
        return np.sum(share * np.array(slopes)[:, None], axis=0) / np.sum(share, axis=0) * y

    return solve_ivp(velocity, (0, 1), radius, method="DOP853", rtol=1e-10, atol=1e-10).y[:, -1]


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if not row.refreshed])
@pytest.mark.parametrize("dimension", [1, 2, 8])
def test_one_round_is_the_flow_of_the_optimal_velocity(scheme, dimension):
    share = 0.0 if SCHEMES[scheme].real is None else 0.3
    kinds = [(1 - share, 1.0, 1.5, 0.0 if SCHEMES[scheme].own == "redrawn" else 1.5**0.5)]
    if share:  # the moments of the real pairs alone
        kinds.append((0.3, *[float(m) for m in scheme_coupling(scheme, REAL, **{**SETTINGS, "real_fraction": 1.0})]))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    top = dimension**0.5 + 7
    radius = (nodes + 1) * top / 2
    density = stats.chi(dimension).pdf(radius) * weights * top / 2
    expected = density @ radial_flow(kinds, radius, dimension) ** 2 / dimension
    found = network_variance(scheme, REAL, dimension=dimension, ridge=RIDGE, **SETTINGS)
    assert float(found) == pytest.approx(expected, rel=1e-7)


def test_size_of_the_correction_for_fresh_pairs():
    def correction(start, dimension):
        settings = dict(real_fraction=0.3, ridge=0.2, initial_variance=start)
        law = float(scheme_trajectory("fresh", 4.0, 1, **settings)[1])
        return 100 * (float(network_variance("fresh", 4.0, dimension=dimension, **settings)) / law - 1)

    assert correction(1.5, 1) == pytest.approx(-2.4, abs=0.05) and correction(4.0, 1) == pytest.approx(0, abs=1e-9)
    found = [correction(2.0, dimension) for dimension in (1, 2, 8, 32)]
    np.testing.assert_allclose(found, [-1.23, -1.62, -3.75, -9.63], atol=0.01)


def test_without_ridge_fresh_pairs_obey_the_law_and_a_foreign_anchor_does_not():
    law = scheme_trajectory("fresh", REAL, 1, **SETTINGS)[1]
    for dimension in (1, 8):
        assert float(network_variance("fresh", REAL, dimension=dimension, **SETTINGS)) == pytest.approx(
            float(law), rel=1e-10
        )
    anchored = float(
        network_variance("anchored", REAL, **SETTINGS) / scheme_trajectory("anchored", REAL, 1, **SETTINGS)[1]
    )
    assert anchored < 0.995


def test_refuses_no_dimension(unchecked):
    with pytest.raises(ValueError, match="dimension must be at least 1"):
        network_variance("ra", 1.0, dimension=0)
