import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

from rfcollapse.schemes import SCHEMES
from rfcollapse.theory.flow import network_trajectory, network_variance, scheme_coupling, scheme_trajectory

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


def test_in_one_dimension_only_the_laws_of_noise_and_data_count():
    settings = dict(ridge=RIDGE, real_fraction=0.3)
    fresh, alone = (network_trajectory(scheme, REAL, 3, **settings) for scheme in ("fresh", "self_consuming"))
    np.testing.assert_array_equal(fresh, alone)


def test_one_kind_of_pairs_obeys_the_law_in_every_round():
    real = np.array([0.25, 4.0])
    for scheme, fraction in (("reflow", 0.3), ("ra", 0.0), ("fresh", 1.0)):
        found = network_trajectory(scheme, real, 3, ridge=RIDGE, real_fraction=fraction)
        law = scheme_trajectory(scheme, real, 3, ridge=RIDGE, real_fraction=fraction)
        np.testing.assert_allclose(found, law, rtol=1e-11)


@pytest.mark.parametrize("scheme", ["ra", "anchored", "fresh"])
def test_rounds_against_sorted_samples(scheme):
    """The monotone map between two laws, by sorting samples of both: three rounds of it, averaged over repetitions."""
    n, rounds, results = 400_000, 3, []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        z_grid = np.linspace(-6, 6, 1_201)
        forward, path = np.sqrt(1.5) * z_grid, []
        for _ in range(rounds):
            real = np.arange(n) < 0.3 * n
            x1_real = 2 * rng.normal(size=n)
            x0 = rng.normal(size=n)
            x1 = np.where(real, x1_real, np.interp(x0, z_grid, forward))
            if scheme == "ra":
                slope = (forward[-1] - forward[-2]) / (z_grid[-1] - z_grid[-2])
                inside = np.interp(x1_real, forward, z_grid)
                beyond = np.maximum(np.abs(x1_real) - forward[-1], 0) / slope * np.sign(x1_real)
                x0 = np.where(real, inside + beyond, x0)
            elif scheme == "anchored":
                x0 = np.where(real, x1_real / np.sqrt(2.5), x0)
            before = np.sort(x0 + np.sqrt(RIDGE) * rng.normal(size=n))
            after = np.sort(x1 + np.sqrt(RIDGE) * rng.normal(size=n))
            before, after = (before - before[::-1]) / 2, (after - after[::-1]) / 2  # the laws are symmetric
            forward = np.interp(z_grid, before, after)
            weights = np.exp(-(z_grid**2) / 2)
            path.append(weights @ forward**2 / weights.sum())
        results.append(path)
    mean, error = np.mean(results, axis=0), np.std(results, axis=0, ddof=1) / 2
    found = network_trajectory(
        scheme, REAL, rounds, ridge=RIDGE, real_fraction=0.3, initial_variance=1.5, anchor_variance=2.5
    )[1:]
    assert np.all(np.abs(found - mean) < 6 * error + 1e-3), (found, mean, error)
    law = scheme_trajectory(scheme, REAL, rounds, ridge=RIDGE, **SETTINGS)[1:]
    if scheme != "ra":
        assert np.all(np.abs(law - mean) > 6 * error + 1e-3)  # the correction is seen


@pytest.mark.parametrize("scheme", ["ra", "anchored", "fresh"])
def test_first_round_is_the_quadrature_of_the_one_round_form(scheme):
    real = np.array([0.25, 1.0, 4.0])
    settings = dict(ridge=RIDGE, real_fraction=0.3, initial_variance=1.5, anchor_variance=2.5)
    first = network_trajectory(scheme, real, 1, **settings)[1]
    np.testing.assert_allclose(first, network_variance(scheme, real, **settings), rtol=1e-11)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: network_trajectory("ra", 1.0, 2, ridge=0.0), "ridge must be greater than 0"),
        (lambda: network_trajectory("ra", 1e6, 2, ridge=1e-4), "ridge must not be so small beside the variances"),
        (lambda: network_variance("ra", 1.0, dimension=0), "dimension must be at least 1"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
