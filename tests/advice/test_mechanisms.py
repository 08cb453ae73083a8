"""Mechanisms: the generic solver against closed forms and long runs, and refitting against samples."""

import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.advice import mechanisms
from rfcollapse.theory import dae, flow

SPECTRUM = np.array([100.0, 10.0, 4.0, 1.0, 0.1])
EVERY_KIND = [
    mechanisms.dae(1.0),
    mechanisms.dae(0.5, 0.65),
    mechanisms.flow(40),
    mechanisms.reflow(0.05),
    mechanisms.reflow(0.05, "anchored"),
    mechanisms.refit(100),
    mechanisms.rate(0.1),
]


@pytest.mark.parametrize("mechanism", EVERY_KIND, ids=lambda mechanism: mechanism.name)
@pytest.mark.parametrize("every", [1, 4])
def test_what_is_retained_is_where_a_long_run_ends(mechanism, every):
    fractions = np.where(np.arange(2000) % every == 0, 0.3, 0.0)
    end = mechanisms.trajectory(mechanism, SPECTRUM, fractions)[-1]
    found = mechanisms.retained(mechanism, SPECTRUM, 0.3, every=every)
    alive = np.asarray(end) > 1e-25 * SPECTRUM
    np.testing.assert_allclose(found[alive], end[alive], rtol=1e-8)
    assert np.all(found[~alive] < 1e-25 * SPECTRUM[~alive])


def test_one_round_is_that_of_the_theory():
    path = mechanisms.trajectory(mechanisms.flow(7), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(path, flow.self_consuming_trajectory(SPECTRUM, 7, 5, real_fraction=0.2), rtol=1e-12)
    path = mechanisms.trajectory(mechanisms.dae(0.7, 0.5), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(path, dae.trajectory(SPECTRUM, 0.7, 5, resample_std=0.5, real_fraction=0.2), rtol=1e-12)
    path = mechanisms.trajectory(mechanisms.reflow(0.1), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(
        path, flow.scheme_trajectory("fresh", SPECTRUM, 5, real_fraction=0.2, ridge=0.1), rtol=1e-12
    )


def test_cycle_against_the_dae_s_own_solver():
    found = mechanisms.retained(mechanisms.dae(1.0, 1.2), SPECTRUM[:2], 0.3, every=3)
    np.testing.assert_allclose(found, dae.retained_cycle(SPECTRUM[:2], 1.0, 0.3, 3, resample_std=1.2)[0], rtol=1e-9)


def test_required_fraction_against_closed_forms():
    each = mechanisms.required_fraction(mechanisms.dae(1.0), SPECTRUM, 0.8, total=False)
    np.testing.assert_allclose(each, dae.required_real_fraction(0.8, SPECTRUM, 1.0), rtol=1e-7)
    for retention in (0.3, 0.9, 0.95):
        found = mechanisms.required_fraction(mechanisms.rate(0.08), SPECTRUM, retention)
        np.testing.assert_allclose(found, flow.required_fraction_for_rate(0.08, retention), rtol=1e-7)


def test_required_fraction_retains_just_that_much():
    for mechanism in EVERY_KIND:
        fraction = mechanisms.required_fraction(mechanism, SPECTRUM, 0.8)
        kept = [mechanisms.retained(mechanism, SPECTRUM, x) for x in (fraction, 0.99 * fraction)]
        enough, less = (float(mechanisms.total_share(x, SPECTRUM)) for x in kept)
        assert enough == pytest.approx(0.8, abs=1e-6) and less < 0.8, mechanism.name


def test_required_fraction_at_its_ends():
    assert np.isinf(mechanisms.required_fraction(mechanisms.rate(0.2), SPECTRUM, 0.9))  # e^(−.2) = .82
    assert float(mechanisms.required_fraction(mechanisms.rate(0.2), SPECTRUM, 0.0)) == 0
    assert float(mechanisms.required_fraction(mechanisms.reflow(0.05), np.array([1.0]), 0.99)) == 0


def test_refit_against_samples():
    generator, n, fraction, seeds = np.random.default_rng(0), 20, 0.2, 40_000
    mean, variance, start = np.zeros(seeds), np.full(seeds, 4.0), 4.0
    for _ in range(30):
        own = mean[:, None] + np.sqrt(variance)[:, None] * generator.standard_normal((seeds, 16))
        pool = np.concatenate([2 * generator.standard_normal((seeds, 4)), own], axis=1)
        mean, variance = pool.mean(axis=1), pool.var(axis=1)
    found = float(mechanisms.retained(mechanisms.refit(n), start, fraction))
    assert abs(variance.mean() - found) < 4 * variance.std() / seeds**0.5


def test_share_counts_growth_as_loss():
    shares = mechanisms.share(np.array([2.0, 8.0, 4.0, np.inf]), np.full(4, 4.0))
    np.testing.assert_allclose(shares, [0.5, 0.5, 1, 0])
    assert float(mechanisms.total_share(np.array([3.0, 2.0]), np.array([3.0, 1.0]))) == pytest.approx(3.5 / 4)


def test_bad_input(unchecked):
    for call in (
        lambda: mechanisms.dae(0.0),
        lambda: mechanisms.flow(1),
        lambda: mechanisms.reflow(0.1, "other"),
        lambda: mechanisms.refit(1),
        lambda: mechanisms.rate(-1.0),
        lambda: mechanisms.retained(mechanisms.rate(0.1), jnp.zeros(2), 0.1),
        lambda: mechanisms.required_fraction(mechanisms.rate(0.1), SPECTRUM, 1.1),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
