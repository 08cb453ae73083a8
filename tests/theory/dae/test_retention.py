"""Fixed points under real data against bracketed search, polynomial roots and exact special cases."""

import jax
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcollapse.theory import dae


def settled(u0, alpha, rho, own=False):
    """Where a monotone recursion from u0 ends: the first sign change of its step in the direction it starts off."""

    def step(u):
        pool = (1 - alpha) * u + alpha * u0
        return (pool / (pool + 1)) ** 2 * ((u if own else pool) + rho) - u

    if step(u0) == 0:
        return u0
    grid = np.geomspace(u0, 1e13 if step(u0) > 0 else 1e-13, 20_001)
    turned = np.flatnonzero(np.sign(step(grid)) != np.sign(step(u0)))
    if not turned.size:
        return np.inf if step(u0) > 0 else 0.0
    low, high = sorted(grid[turned[0] - 1 : turned[0] + 1])
    return scipy.optimize.brentq(step, low, high, xtol=1e-300, rtol=1e-14)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0, 1.8, 2.0, 2.6, 4.5])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 0.9, 1.0])
def test_retained_variance_is_where_the_recursion_ends(alpha, rho, own):
    for u0 in (0.05, 1.0, 4.0, 20.0, 300.0):
        value = dae.retained_variance(u0, 1.0, alpha, resample_std=rho**0.5, resample_from="own" if own else "pool")
        oracle = settled(u0, alpha, (rho**0.5) ** 2, own)
        if oracle == 0:
            assert float(value) < 1e-12
        else:
            assert float(value) == pytest.approx(oracle, rel=1e-9)


@pytest.mark.parametrize("u0", [1e-12, 1e-3, 1.0, 16.0, 1e6, 1e12])
@pytest.mark.parametrize("alpha", [1e-9, 1e-4, 0.1, 1 - 1e-9])
def test_equal_noise_has_the_quadratic_solution(u0, alpha):
    # αv² + (1 − αu0)v − αu0 = 0 in long double, by the branch that does not cancel.
    a, b = np.longdouble(alpha), 1 - np.longdouble(alpha) * np.longdouble(u0)
    c = np.longdouble(alpha) * np.longdouble(u0)
    root = np.sqrt(b * b + 4 * a * c)
    v = 2 * c / (b + root) if b > 0 else (root - b) / (2 * a)
    expected = float(v * v / (v + 1))
    assert float(dae.retained_variance(u0, 1.0, alpha)) == pytest.approx(expected, rel=1e-12)


def test_known_values():
    assert float(dae.retained_variance(16.0, 1.0, 0.1)) == pytest.approx(64 / 9, rel=1e-14)  # v = 8
    golden = (5**0.5 - 1) / 2
    assert float(dae.retained_variance(4 * 9.0, 3.0, 0.5)) / 36 == pytest.approx(golden, rel=1e-14)
    # αu0 = 1, u0 = 10: the rounded corner.
    v = 10**0.5
    assert float(dae.retained_variance(10.0, 1.0, 0.1)) == pytest.approx(v**2 / (v + 1), rel=1e-12)
    # From own data without noise everything dies, whatever the floor on the map.
    assert float(dae.retained_variance(4.0, 1.0, 0.5, resample_std=0.0, resample_from="own")) == 0


def test_large_variance_limits():
    for alpha, rho in ((0.3, 1.0), (0.1, 0.5), (0.7, 1.6)):
        pool = float(dae.retained_variance(1e9, 1.0, alpha, resample_std=rho**0.5))
        assert pool - 1e9 == pytest.approx(-(2 - rho) / alpha, rel=1e-5)
        own = float(dae.retained_variance(1e9, 1.0, alpha, resample_std=rho**0.5, resample_from="own"))
        assert own / 1e9 == pytest.approx(rho * alpha / (2 - rho + rho * alpha), rel=1e-6)


def test_without_real_data_the_threshold_decides():
    s = 2.0  # ρ = 4, unstable point ½
    assert [float(dae.retained_variance(u, 1.0, 0.0, resample_std=s)) for u in (0.4, 0.5, 0.6)] == [0, 0.5, np.inf]
    assert float(dae.retained_variance(1e12, 1.0, 0.0)) == 0


def test_bistable_window():
    def positive_roots(u0, alpha, rho):
        roots = np.roots([alpha, 2 - (1 - alpha) * rho - alpha * u0, 1 - 2 * alpha * u0, -alpha * u0])
        return sorted(roots[(abs(roots.imag) < 1e-9) & (roots.real > 0)].real)

    for rho in (1.6, 2.0, 2.4):
        odds = (2 * rho - 3) ** 3 / (27 * (rho - 1) ** 2)
        edge = odds / (1 + odds)
        levels = np.geomspace(0.1, 1e4, 4000)
        assert any(len(positive_roots(u0, 0.5 * edge, rho)) == 3 for u0 in levels)
        assert not any(len(positive_roots(u0, 1.1 * edge, rho)) == 3 for u0 in levels)
    # ρ = 2, α = .01, u0 = 20: three pools, and from u0 the largest is reached.
    roots = positive_roots(20.0, 0.01, 2.0)
    np.testing.assert_allclose(roots, [0.37, 3.89, 13.74], atol=0.005)
    retained = float(dae.retained_variance(20.0, 1.0, 0.01, resample_std=2**0.5))
    assert retained == pytest.approx((roots[2] / (roots[2] + 1)) ** 2 * (roots[2] + 2), rel=1e-10)


def test_required_fraction_inverts_retention():
    rho, u0, alpha = (
        axis.ravel() for axis in np.meshgrid([0.0, 1.0, 1.7, 2.0], [0.5, 4.0, 20.0, 1e6], [1e-3, 0.04, 0.3, 0.9])
    )
    s = rho**0.5
    retention = dae.retained_variance(u0, 1.0, alpha, resample_std=s) / u0
    again = dae.required_real_fraction(retention, u0, 1.0, resample_std=s)
    # No larger than α, and it retains as much: the smallest, also where retention jumps.
    assert np.all(again <= alpha * (1 + 1e-8))
    kept = dae.retained_variance(u0, 1.0, np.minimum(again * (1 + 1e-9), 1.0), resample_std=s) / u0
    assert np.all(kept >= retention * (1 - 1e-7))


def test_required_fraction_at_equal_noise():
    for retention, u0 in ((0.444444, 16.0), (0.9, 100.0), (1e-6, 3.0), (0.2, 1e12)):
        target = retention * u0
        v = (target + np.sqrt(target**2 + 4 * target)) / 2
        assert float(dae.required_real_fraction(retention, u0, 1.0)) == pytest.approx(
            v / (u0 * (1 - retention) * (1 + v)), rel=1e-12
        )
    assert float(dae.required_real_fraction(0.95, 16.0, 1.0)) == np.inf  # even α = 1 keeps only 16/17
    assert float(dae.required_real_fraction(16 / 17 * (1 - 1e-12), 16.0, 1.0)) == pytest.approx(1, rel=1e-9)
    assert float(dae.required_real_fraction(0.0, 16.0, 1.0)) == 0


def test_retention_jumps_at_the_required_fraction():
    s = 2**0.5
    alpha = float(dae.required_real_fraction(0.3, 20.0, 1.0, resample_std=s))
    below, above = (
        float(dae.retained_variance(20.0, 1.0, alpha * f, resample_std=s)) / 20 for f in (1 - 1e-6, 1 + 1e-6)
    )
    assert below < 0.01 and above > 0.4


@pytest.mark.parametrize("source", ["pool", "own"])
def test_contraction_factor_is_the_observed_one(source):
    u0, alpha = 16.0, 0.1
    fixed = float(dae.retained_variance(u0, 1.0, alpha, resample_from=source))
    path = np.asarray(dae.trajectory(u0, 1.0, 60, real_fraction=alpha, resample_from=source)) - fixed
    factor = float(dae.contraction_factor(u0, 1.0, alpha, resample_from=source))
    assert path[41] / path[40] == pytest.approx(factor, rel=1e-3)
    if source == "pool":
        assert factor == pytest.approx(0.9 * (1 - 1 / 81), rel=1e-13)
    else:
        assert float(dae.contraction_factor(4.0, 1.0, 0.5, resample_std=0.0, resample_from="own")) == pytest.approx(
            (2 / 3) ** 2, rel=1e-12
        )


@pytest.mark.parametrize("source", ["pool", "own"])
@pytest.mark.parametrize("every", [1, 2, 5])
def test_retained_cycle_is_the_end_of_a_long_run(every, source):
    options = dict(resample_std=0.8, resample_from=source)
    cycle = dae.retained_cycle(np.array([3.0, 16.0]), 1.0, 0.2, every, **options)
    path = dae.trajectory(np.array([3.0, 16.0]), 1.0, 3000 * every, real_fraction=0.2, real_every=every, **options)
    end = path[-every - 1 : -1]
    np.testing.assert_allclose(cycle, end, rtol=1e-10, atol=1e-300)
    assert cycle.shape == (every, 2)
    if every == 1:
        np.testing.assert_allclose(
            cycle[0], dae.retained_variance(np.array([3.0, 16.0]), 1.0, 0.2, **options), rtol=1e-10, atol=1e-300
        )


@given(st.floats(0.05, 1e3), st.floats(1e-3, 0.99), st.floats(0.1, 2.0), st.floats(1.01, 3.0))
@settings(max_examples=40, deadline=None)
def test_more_real_data_or_more_signal_retains_more(u0, alpha, rho, factor):
    kept = float(dae.retained_variance(u0, 1.0, alpha, resample_std=rho**0.5))
    more = float(dae.retained_variance(u0, 1.0, min(1.0, alpha * factor), resample_std=rho**0.5))
    richer = float(dae.retained_variance(u0 * factor, 1.0, alpha, resample_std=rho**0.5))
    assert 0 <= kept <= more * (1 + 1e-12) and kept <= richer * (1 + 1e-12)
    own = float(dae.retained_variance(u0, 1.0, alpha, resample_std=rho**0.5, resample_from="own"))
    assert own <= kept * (1 + 1e-12)


def test_retention_can_be_jitted_and_vmapped(in_float64):
    u0 = np.array([2.0, 5.0, 70.0])
    mapped = jax.jit(jax.vmap(lambda v: dae.retained_variance(v, 1.0, 0.1)))(u0)
    np.testing.assert_allclose(mapped, dae.retained_variance(u0, 1.0, 0.1), rtol=1e-14)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: dae.retained_variance(1.0, 0.0, 0.1), "noise_std must be greater than 0"),
        (lambda: dae.retained_variance(1.0, 1.0, 1.1), r"real_fraction must lie in \[0, 1\]"),
        (lambda: dae.retained_variance(-1.0, 1.0, 0.1), "real_variance"),
        (lambda: dae.retained_variance(1.0, 1.0, 0.1, resample_from="none"), "resample_from"),
        (lambda: dae.required_real_fraction(1.2, 1.0, 1.0), r"retention must lie in \[0, 1\]"),
        (lambda: dae.required_real_fraction(0.5, 1.0, 1.0, resample_std=1.5), "resample_std must be at most √2"),
        (lambda: dae.contraction_factor(1.0, 1.0, np.nan), "real_fraction"),
        (lambda: dae.retained_cycle(1.0, 1.0, 0.1, 0), "real_every must be at least 1"),
        (lambda: dae.retained_cycle(1.0, 1.0, 0.1, 2, resample_std=2.0), "resample_std must be at most √2"),
    ],
)
def test_bad_input_is_named(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
