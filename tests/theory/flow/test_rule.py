import numpy as np
import pytest
from scipy.stats import norm

from rfcollapse.theory import dae
from rfcollapse.theory.flow import required_fraction_for_rate, retention_rule


def test_retention_is_the_fixed_point_of_decay_and_mixing():
    for rate, fraction in [(0.03, 0.1), (0.5, 0.01), (3.0, 0.9), (1e-9, 1e-6)]:
        level = 1.0
        for _ in range(20_000):
            level = np.exp(-rate) * ((1 - fraction) * level + fraction)
        if (1 - fraction) * np.exp(-rate) < 0.999:
            assert float(retention_rule(rate, fraction)) == pytest.approx(level, rel=1e-12)
    assert float(retention_rule(1e-15, 1e-15)) == pytest.approx(0.5, rel=1e-12)


def test_rule_and_its_inverse():
    rate, fraction = np.array([[1e-12], [0.1], [5.0]]), np.array([1e-6, 0.2, 1.0])
    retention = retention_rule(rate, fraction)
    found = required_fraction_for_rate(np.broadcast_to(rate, (3, 3)), retention)
    np.testing.assert_allclose(found, np.broadcast_to(fraction, (3, 3)), rtol=1e-3)  # 1 − R carries few digits at R → 1
    np.testing.assert_allclose(found[1:], np.broadcast_to(fraction, (2, 3)), rtol=1e-12)


def test_corners():
    assert float(retention_rule(0.0, 0.0)) == 1 and float(retention_rule(0.3, 0.0)) == 0
    assert float(required_fraction_for_rate(0.0, 1.0)) == 0 and float(required_fraction_for_rate(0.3, 0.0)) == 0
    assert float(required_fraction_for_rate(0.3, np.exp(-0.3))) == pytest.approx(1, rel=1e-12)
    assert (
        float(required_fraction_for_rate(0.3, 0.75)) == np.inf and float(required_fraction_for_rate(0.3, 1.0)) == np.inf
    )


def test_exact_for_the_autoencoder_at_its_fixed_point_and_unsafe_from_its_start():
    fraction, real = 0.1, 16.0
    kept = float(dae.retained_variance(real, 1.0, fraction))
    pool = (1 - fraction) * kept + fraction * real
    rate_there = np.log(pool / float(dae.next_variance(pool, 1.0)))
    assert float(retention_rule(rate_there, fraction)) == pytest.approx(kept / real, rel=1e-12)
    rate_at_start = np.log(real / float(dae.next_variance(real, 1.0)))
    assert float(retention_rule(rate_at_start, fraction)) == pytest.approx(0.615, abs=5e-4)
    assert kept / real == pytest.approx(4 / 9, rel=1e-12)


def test_hermite_moments_of_recursive_diffusion_that_stops_early():
    """Densities on a grid, smoothed and mixed until they rest: this knows no Hermite function and no sum."""
    time, fraction = 0.1, 0.2
    points = np.linspace(-12, 12, 1201)
    step = points[1] - points[0]

    def mixture(time):
        """0.3 N(−2, 0.2) + 0.7 N(1, 0.5), smoothed for so long."""
        shrunk, kinds = np.exp(-time), zip((0.3, 0.7), (-2.0, 1.0), (0.2, 0.5))
        return sum(w * norm.pdf(points, shrunk * m, np.sqrt(1 + (v - 1) * shrunk**2)) for w, m, v in kinds)

    kernel = norm.pdf(points[:, None], np.exp(-time) * points, np.sqrt(-np.expm1(-2 * time))) * step
    density = mixture(0)
    for _ in range(160):
        density = kernel @ ((1 - fraction) * density + fraction * mixture(0))
    limit = sum(fraction * (1 - fraction) ** k * mixture((k + 1) * time) for k in range(160))
    np.testing.assert_allclose(density, limit, atol=1e-13)
    for order in range(1, 7):
        wave = np.polynomial.hermite_e.hermeval(points, np.eye(7)[order])
        kept = (wave @ density) / (wave @ mixture(0))
        assert kept == pytest.approx(float(retention_rule(order * time, fraction)), rel=1e-8)


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="rate must be at least 0"):
        retention_rule(-0.1, 0.5)
    with pytest.raises(ValueError, match="retention must lie in"):
        required_fraction_for_rate(0.1, 1.1)
