"""Statements of neighbours that need no function, as they take a line: each by numbers, and how sharp it is."""

import numpy as np
import pytest
from scipy import integrate, stats

from rfcollapse.theory import flow


def exact_velocity(x, t, data):
    """E[x1 − x0 | x_t = x], x0 normal and independent of x1, by quadrature over whichever of the two is less narrow."""
    nodes = np.linspace(-40, 40, 4001)
    if t < 0.5:
        x1 = nodes
        x0 = (x[:, None] - t * x1) / (1 - t)
    else:
        x0 = nodes
        x1 = (x[:, None] - (1 - t) * x0) / t
    weights = stats.norm.pdf(x0) * data.pdf(x1)
    return np.sum((x1 - x0) * weights, axis=1) / np.sum(weights, axis=1)


@pytest.mark.parametrize("data", [stats.gumbel_r(-0.5), stats.logistic(1.0, 0.5)])
def test_the_flow_of_one_dimension_is_monges_map(data):
    """Paths of an ODE cannot cross, so its flow increases; the one increasing map from the noise to the data is F⁻¹∘Φ.

    Bansal, Roy, Sarkar and Rinaldo, arXiv 2410.14949 v6, state it for Gaussian noise. No step needs independent pairs,
    so every exact Reflow in one dimension is that map, too.
    """
    start = np.array([-2.5, -1.0, 0.0, 0.7, 2.5])
    flown = integrate.solve_ivp(lambda t, x: exact_velocity(x, t, data), (0, 1), start, "DOP853", rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(flown.y[:, -1], data.ppf(stats.norm.cdf(start)), atol=1e-6)
    linear = data.mean() + float(flow.transport_map([[data.var()]])[0, 0]) * start  # right for Gaussians alone
    assert np.max(np.abs(flown.y[:, -1] - linear)) > 0.15


class Diffusion:
    """dX = −½X ds + dW from N(0, λ), reversed from s = T to s = 0 with errors e(s) + f y of the score."""

    def __init__(self, variance, end):
        self.variance, self.end = variance, end

    def marginal(self, s):
        return 1 + (self.variance - 1) * np.exp(-s)

    def reach(self, s):
        """What is left at s = 0 of a shift at s."""
        return self.variance * np.exp(-s / 2) / self.marginal(s)

    def reversed(self, shift, slope=0.0):
        """Mean and variance of what is generated, and the path energy ε̂² = ∫E(error)²ds, under the learned path."""

        def derivative(time, state):
            s, (mean, variance, _) = self.end - time, state
            pull = 0.5 - 1 / self.marginal(s) + slope
            energy = (shift(s) + slope * mean) ** 2 + slope**2 * variance
            return pull * mean + shift(s), 2 * pull * variance + 1, energy

        start = [0.0, self.marginal(self.end), 0.0]
        return integrate.solve_ivp(derivative, (0, self.end), start, "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]

    def kl(self, mean, variance):
        ratio = variance / self.variance
        return 0.5 * (ratio - 1 - np.log(ratio) + mean**2 / self.variance)


def test_path_energy_bounds_kl_and_the_half_is_attained():
    """KL(generated ‖ trained on) ≤ ½ε̂²: Khelifa, Turner and Venkataramanan, arXiv 2602.16601, Proposition 3.1.

    Quoted second-hand. That no smaller constant will do is ours: an error e(s) in proportion to what is left of it.
    """
    for variance in (0.3, 1.0, 5.0):
        diffusion = Diffusion(variance, end=9.0)
        shifts = (lambda s: 0.2, lambda s: np.sin(3 * s), lambda s: np.exp(-4 * s), lambda s: 0.01 * s)
        for shift in shifts:
            for slope in (-0.4, 0.0, 0.1):
                mean, spread, energy = diffusion.reversed(shift, slope)
                assert diffusion.kl(mean, spread) <= 0.5 * energy
        mean, spread, energy = diffusion.reversed(lambda s, d=diffusion: 0.3 * d.reach(s))
        share = 1 - diffusion.reach(9.0) ** 2 * diffusion.marginal(9.0) / variance
        assert diffusion.kl(mean, spread) == pytest.approx(0.5 * share * energy, rel=1e-8)
        assert 0.499 * energy < diffusion.kl(mean, spread)


def test_the_window_of_chi_squared_closes_on_observability():
    """ηε²/4 − Cε⁴ ≤ χ² ≤ 4ε² + cε⁴ (the same paper, 3.3 and 3.4); for shifts e(s) it is e^{ηε²} − 1, well inside."""
    diffusion = Diffusion(2.0, end=9.0)
    for shift in (lambda s: 0.05, lambda s: 0.1 * np.sin(3 * s), lambda s: 0.1 * np.exp(-s)):
        mean, spread, energy = diffusion.reversed(shift)
        overlap = integrate.quad(lambda s, e=shift: diffusion.reach(s) * e(s), 0, 9.0, limit=200, epsabs=1e-14)[0]
        observability = overlap**2 / 2.0 / energy  # Var E[∫e dW | generated] over ε²
        points = np.linspace(-20, 20, 20_001)
        ideal, learned = (stats.norm.pdf(points, m, 2.0**0.5) for m in (0.0, mean))
        chi_squared = np.sum((learned - ideal) ** 2 / ideal) * (points[1] - points[0])
        assert spread == pytest.approx(2.0, rel=1e-9)
        assert chi_squared == pytest.approx(np.expm1(observability * energy), rel=1e-7)
        assert observability * energy / 4 <= chi_squared <= 4 * energy


def test_refresh_takes_the_square_of_what_is_own_from_chi_squared():
    """χ²(αp + (1−α)q ‖ p) = (1−α)² χ²(q‖p): the difference from p shrinks, and χ² is its square. For all p and q."""
    rng = np.random.default_rng(0)
    for fraction in (0.0, 0.3, 1.0):
        p, q = rng.dirichlet(np.ones(50), size=2)
        mixture = fraction * p + (1 - fraction) * q
        expected = (1 - fraction) ** 2 * np.sum((q - p) ** 2 / p)
        assert np.sum(mixture**2 / p) - 1 == pytest.approx(expected, rel=1e-9, abs=1e-12)
