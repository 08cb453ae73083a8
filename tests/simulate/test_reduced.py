"""The reduced process against the process of samples, as whole joint laws; and its numerics where directions die."""

import functools
import json
import os
import subprocess
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rfcollapse.simulate import dae as simulate
from rfcollapse.simulate import factors, reduced
from rfcollapse.theory import dae

KEY = jax.random.key(11)
SPECTRUM = {2: [9.0, 2.0], 3: [12.0, 5.0, 2.0], 4: [12.0, 5.0, 3.0, 3.0]}
ROUNDS = 3
ALARM = 1e-4  # family-wise rate of false alarms of one test, shared out among its statistics (Bonferroni)


def features(result):
    """All that a run reports, one row per seed; eigenvalues in logarithms, floored where samples have only rounding."""
    parts = [np.log(np.maximum(result.eigenvalues, 1e-8)), np.log(np.maximum(result.variances, 1e-8)), result.gains]
    return np.concatenate([np.asarray(part).reshape(len(part), -1) for part in parts], axis=1)


def p_values(one, other, functionals=12):
    """Kolmogorov and Smirnov's two-sample p for every number reported, and for functionals of all of them together.

    Linear functionals and products of two see how rounds and directions hang together, which no marginal does.
    """
    both = np.concatenate([one, other])
    varied = both.std(axis=0) > 1e-9
    scaled = (both[:, varied] - both[:, varied].mean(axis=0)) / both[:, varied].std(axis=0)
    rng = np.random.default_rng(5)
    first, second = scaled @ rng.normal(size=(2, scaled.shape[1], functionals))
    columns = np.concatenate([scaled, first, first * second], axis=1)
    halves = columns[: len(one)], columns[len(one) :]
    return np.array([stats.ks_2samp(a, b, method="asymp").pvalue for a, b in zip(halves[0].T, halves[1].T)])


def run(method, dimension, samples, *, seeds, rho=1.0, rounds=ROUNDS, key=KEY, **options):
    key = jax.random.fold_in(key, method == "direct")  # the two must not share draws
    spread = dict(noise_std=1.0, resample_std=rho**0.5, rounds=rounds, seeds=seeds)
    return simulate.run(key, np.diag(SPECTRUM[dimension]), samples=samples, method=method, **spread, **options)


@functools.cache
def known_law(dimension, samples, **options):
    """By samples, once for all that is compared with it."""
    return features(run("direct", dimension, samples, seeds=6000, **options))


POOL = dict(real_fraction=0.3)
OWN = dict(real_fraction=0.3, resample_from="own")
GROWING = dict(schedule="accumulate", resample_from="own")
QUICK = [
    (3, 4, dict()),
    (3, 48, dict(rho=3.0)),
    (3, 4, OWN),
]
SLOW = [
    (2, 3, POOL),
    (2, 3, GROWING),
    (3, 4, dict(rho=0.0)),
    (3, 6, dict()),
    (3, 12, dict(rho=3.0)),
    (4, 4, dict()),
    (4, 5, dict(rank=2)),
    (3, 12, OWN | dict(rank=2, rho=3.0)),
    (3, 6, OWN | dict(real_every=2)),
    (2, 4, POOL | dict(rho=3.0)),
    (2, 32, POOL),
    (2, 3, POOL | dict(rank=1, real_every=2)),
    (2, 4, GROWING | dict(real_fraction=0.2, rho=3.0)),
]


@pytest.mark.parametrize(
    "dimension, samples, options", QUICK + [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]
)
def test_same_joint_law_as_samples(dimension, samples, options):
    reduced_law = features(run("reduced", dimension, samples, seeds=6000, **options))
    found = p_values(reduced_law, known_law(dimension, samples, **options))
    assert len(found) > 24 and np.min(found) * len(found) > ALARM


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [
    pytest.param(lambda keys, d, m: jnp.zeros((d, d, len(keys))), id="no Wishart part"),
    pytest.param(lambda keys, d, m: factors.bartlett(keys, d, m + 1), id="one degree of freedom too many"),
    pytest.param(lambda keys, d, m: factors.bartlett(keys, d, m - 1), id="one degree of freedom too few"),
])  # fmt: skip
def test_a_wrong_law_is_seen(monkeypatch, wrong):
    monkeypatch.setattr(reduced, "bartlett", wrong)
    reduced._simulate.clear_cache()
    found = p_values(features(run("reduced", 3, 6, seeds=6000)), known_law(3, 6))
    reduced._simulate.clear_cache()
    assert np.min(found) * len(found) < ALARM


@pytest.mark.parametrize("samples", [1, 2, 3, 40, 10**6])
@pytest.mark.slow
def test_one_dimension_is_noncentral_chi_square(samples):
    """Each round's law given the last, in scipy: the probabilities met must be uniform and independent."""
    result = simulate.run(
        KEY, np.array([[4.0]]), samples=samples, noise_std=1.0, resample_std=0.8, rounds=2, seeds=20_000
    )
    variances = np.asarray(result.eigenvalues[:, :, 0])
    met = [stats.chi2.cdf(samples * variances[:, 0] / 4.0, samples)]
    for before, after in zip(variances.T[:-1], variances.T[1:]):
        unit = (before / (before + 1.0)) ** 2 * 0.8**2 / samples
        if samples < 1000:
            met.append(stats.ncx2.cdf(after / unit, samples, samples * before / 0.8**2))
        else:  # scipy's series has 10⁶ terms; the law is normal up to 10⁻³ there
            mean, variance = samples * (1 + before / 0.8**2), 2 * samples * (1 + 2 * before / 0.8**2)
            met.append(stats.norm.cdf((after / unit - mean) / np.sqrt(variance)))
    met = np.array(met)
    assert min(stats.kstest(row, "uniform").pvalue for row in met) > ALARM / 3
    correlation = np.corrcoef(met)[np.triu_indices(3, 1)] * np.sqrt(met.shape[1])
    assert np.max(np.abs(correlation)) < 4.5


@pytest.mark.parametrize("freedom", [1.0, 2.0, 3.0, 25.0, 1e6])
def test_chi(freedom, in_float64):
    keys = jax.random.split(KEY, 50_000)
    freedoms = [freedom, freedom + 1]
    drawn = np.asarray(factors.chi(keys, jnp.array(freedoms)))
    assert min(stats.kstest(row**2, stats.chi2(m).cdf).pvalue for row, m in zip(drawn, freedoms)) > ALARM / 2
    assert abs(np.corrcoef(drawn)[0, 1]) * np.sqrt(len(keys)) < 4.5


@pytest.mark.parametrize("dimension, spread", [(2, 0.0), (3, 130.0), (4, 0.0), (5, 60.0)])
def test_principal_axes_to_all_digits(dimension, spread, in_float64):
    """The eigenvalues of LLᵀ, counted below and above each one found, in fractions."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(dimension, dimension)) * 10.0 ** -np.linspace(0, spread, dimension)[:, None]
    lower = factors.folded(jnp.zeros((dimension, dimension, 1)), jnp.asarray(rows)[:, :, None])
    scales, turn = factors.principal(lower, jnp.eye(dimension)[:, :, None])
    exact = [[sum(Fraction(x) * Fraction(y) for x, y in zip(a, b)) for b in rows.tolist()] for a in rows.tolist()]

    def count_below(bound):
        """How many eigenvalues lie below: negative pivots of the matrix less the bound (Sylvester)."""
        matrix = [[x - (bound if i == k else 0) for k, x in enumerate(row)] for i, row in enumerate(exact)]
        negative = 0
        for i in range(dimension):
            negative += matrix[i][i] < 0
            for k in range(i + 1, dimension):
                factor = matrix[k][i] / matrix[i][i]
                matrix[k] = [x - factor * y for x, y in zip(matrix[k], matrix[i])]
        return negative

    for place, scale in enumerate(np.sort(np.asarray(scales)[:, 0])):
        value = Fraction(float(scale)) ** 2
        assert count_below(value * (1 - Fraction(1, 10**13))) == place
        assert count_below(value * (1 + Fraction(1, 10**13))) == place + 1
    turn = np.asarray(turn)[:, :, 0]
    np.testing.assert_allclose(turn @ turn.T, np.eye(dimension), atol=1e-14)


@pytest.mark.parametrize("options", [
    dict(),
    pytest.param(dict(real_fraction=0.3, resample_from="own", real_every=10), marks=pytest.mark.slow),
    pytest.param(dict(real_fraction=0.3, real_every=10), marks=pytest.mark.slow),
    pytest.param(dict(schedule="accumulate", resample_from="own"), marks=pytest.mark.slow),
])  # fmt: skip
def test_dying_directions_keep_their_digits(options):
    """Without resampling noise the infinite-n law holds for every realisation, down to the last round."""
    settings = dict(noise_std=1.0, resample_std=0.0, rounds=50, **options)
    result = simulate.run(KEY, np.diag([1e12, 1e6, 20.0, 1.0]), samples=6, seeds=20, **settings)
    law = np.moveaxis(np.asarray(dae.trajectory(result.eigenvalues[:, 0], **settings)), 0, 1)
    law = np.sort(law)[:, :, ::-1]
    alive = law > 1e-270
    assert options.get("schedule") == "accumulate" or np.min(law[alive]) < 1e-200
    # The law itself multiplies a relative error by up to 3 a round while a direction dies: hence not 1e-13.
    np.testing.assert_allclose(np.where(alive, result.eigenvalues, law), law, rtol=1e-10)
    assert np.all(np.isfinite(result.gains)) and np.all(np.asarray(result.eigenvalues)[~alive] < 1e-260)


@pytest.mark.slow
def test_a_direction_dies_beside_one_that_lives():
    """With noise the axes turn, and a factor kept in fixed axes would hold 10⁻³⁰ of the living direction for ever."""
    settings = dict(noise_std=1.0, rounds=50)
    result = simulate.run(KEY, np.diag([400.0, 0.5]), samples=10**6, seeds=20, **settings)
    law = np.asarray(dae.trajectory(np.array([400.0, 0.5]), **settings))
    seen = law[:, 1] > 1e-250
    assert np.min(law[seen, 1]) < 1e-150
    logs = np.log(np.asarray(result.eigenvalues)[:, seen, 1])
    np.testing.assert_allclose(logs, np.tile(np.log(law[seen, 1]), (20, 1)), rtol=0.02, atol=0.01)
    np.testing.assert_allclose(np.mean(result.eigenvalues[:, :, 0], axis=0), law[:, 0], rtol=0.01)
    assert np.all(np.isfinite(result.variances)) and np.all(np.asarray(result.eigenvalues)[:, -1, 1] < 1e-250)


def test_fewer_samples_than_dimensions_are_carried_as_samples():
    options = dict(samples=3, noise_std=1.0, rounds=2, seeds=3)
    one, other = (simulate.run(KEY, np.eye(4), method=method, **options) for method in simulate.METHODS)
    np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)


DEVICES = """
import json, sys
import jax, numpy as np
from rfcollapse.simulate import dae
runs = [dict(), dict(real_fraction=0.3), dict(method="direct")]
found = [
    dae.run(jax.random.key(2), np.diag([4.0, 1.0]), samples=5, noise_std=1.0, rounds=2, seeds=101, **options)
    for options in runs
]
json.dump([len(jax.devices()), [[np.asarray(leaf).tolist() for leaf in run[:3]] for run in found]], sys.stdout)
"""


@pytest.mark.slow
def test_seeds_spread_over_devices_give_the_same_numbers():
    results = []
    for count in (1, 4):
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count}"
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", DEVICES]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
        devices, numbers = json.loads(done.stdout)
        assert devices == count
        results.append(numbers)
    for one, four in zip(*results):
        for a, b in zip(one, four):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
@pytest.mark.computes
@pytest.mark.timeout(300)
def test_many_seeds_at_a_million_samples():
    """10,000 seeds × 50 rounds, d = 8: no NaN, and it comes to an end (batched LAPACK calls in a scan may not)."""
    result = simulate.run(
        KEY, np.diag(np.linspace(1.0, 60.0, 8)), samples=10**6, noise_std=1.0, rounds=50, seeds=10_000
    )
    assert np.all(np.isfinite(result.eigenvalues)) and np.all(np.isfinite(result.variances))
    law = np.asarray(dae.trajectory(60.0, 1.0, 50))
    np.testing.assert_allclose(np.mean(result.eigenvalues[:, :, 0], axis=0), law, rtol=0.01)
