"""Oracle: the process itself in NumPy, every sample drawn, the velocity of every time fitted by `lstsq`."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import special, stats

from rfcollapse.simulate import flow as simulate
from rfcollapse.theory import flow

KEY = jax.random.key(0)
VARIANCES = np.array([4.0, 0.25])


def by_samples(n, steps, rounds, seeds, pairing, seed=0):
    """Spectra of data and flow in every round, (seeds, rounds+1, 2, d)."""
    rng = np.random.default_rng(seed)
    d, times = len(VARIANCES), np.linspace(0, 1, steps + 1)
    result = np.zeros((seeds, rounds + 1, 2, d))
    for run in range(seeds):
        data = rng.standard_normal((n, d)) * np.sqrt(VARIANCES)
        for j in range(rounds + 1):
            x0, x1 = rng.standard_normal((n, d)), data
            if pairing == "redrawn":
                # Every sample with the same 2d points of mean 0 and second moment I: as good as all of the noise.
                frame = np.sqrt(d) * np.concatenate([np.eye(d), -np.eye(d)])
                x0, x1 = np.tile(frame, (n, 1)), np.repeat(data, 2 * d, axis=0)
            points = np.concatenate([rng.standard_normal((n, d)), np.eye(d)])
            for t in times[:-1]:
                velocity = np.linalg.lstsq((1 - t) * x0 + t * x1, x1 - x0)[0]
                points = points + points @ velocity / steps
            result[run, j] = [np.linalg.eigvalsh(a.T @ a)[::-1] for a in (data / np.sqrt(n), points[n:])]
            data = points[:n]
    return result


@pytest.mark.parametrize(("pairing", "n"), [("redrawn", 1), ("redrawn", 6), ("fixed", 2), ("fixed", 3), ("fixed", 6)])
@pytest.mark.slow
def test_whole_law_against_sampled_points(pairing, n):
    steps, rounds, seeds = 3, 2, 1500
    ours = simulate.run(
        KEY, np.diag(VARIANCES), samples=n, steps=steps, rounds=rounds, seeds=4 * seeds, pairing=pairing
    )
    ours = np.log(np.maximum(np.stack([ours.eigenvalues, ours.variances], axis=2), 1e-10))
    direct = np.log(np.maximum(by_samples(n, steps, rounds, seeds, pairing), 1e-10))
    statistics = [lambda x, place=place: x[:, *place] for place in np.ndindex(rounds + 1, 2, 2)]
    statistics.append(lambda x: (x[:, 0, 1] - x[:, 0, 0]).sum(axis=1))  # how a flow depends on its own data
    statistics.append(lambda x: (x[:, 1, 0] - x[:, 0, 1]).sum(axis=1))  # and data on the flow before
    for index, statistic in enumerate(statistics):
        assert stats.ks_2samp(statistic(ours), statistic(direct)).pvalue > 1e-4, index


@pytest.mark.parametrize("pairing", simulate.PAIRINGS)
@pytest.mark.parametrize("grid", [False, True])
def test_many_samples_follow_the_law(pairing, grid):
    steps = flow.best_grid(VARIANCES, 8) if grid else 8
    rounds = 5
    result = simulate.run(KEY, np.diag(VARIANCES), samples=10**12, steps=steps, rounds=rounds, seeds=2, pairing=pairing)
    law = np.asarray(flow.self_consuming_trajectory(VARIANCES, steps, rounds + 1))
    for run in range(2):
        np.testing.assert_allclose(result.eigenvalues[run], law[:-1], rtol=1e-4)
        np.testing.assert_allclose(result.variances[run], law[1:], rtol=1e-4)


def test_directions_that_have_all_but_died_keep_their_digits():
    variances = np.array([4.0, 1e-40])
    result = simulate.run(KEY, np.diag(variances), samples=10**12, steps=5, rounds=1, seeds=2)
    law = np.asarray(flow.self_consuming_trajectory(variances, 5, 2))
    for run in range(2):
        np.testing.assert_allclose(result.variances[run], law[1:], rtol=1e-4)


@pytest.mark.parametrize(("d", "n"), [(1, 4), (2, 6)])
@pytest.mark.slow
def test_fresh_samples_cost_the_drift_of_a_wishart(d, n):
    """Beside the loss to the steps, ln det loses Σ ψ((n−i+1)/2) + ln(2/n) a round with redrawn noise."""
    steps, rounds, seeds = 10, 6, 20_000
    covariance = np.diag(VARIANCES[:d])
    result = simulate.run(KEY, covariance, samples=n, steps=steps, rounds=rounds, seeds=seeds)
    data = np.asarray(result.eigenvalues)
    lost = np.asarray(flow.self_consuming_rate(data[:, :-1], steps)).sum(axis=(1, 2))
    drift = np.log(data[:, -1] / data[:, 0]).sum(axis=1) + lost
    predicted = rounds * sum(special.digamma((n - i) / 2) + np.log(2 / n) for i in range(d))
    error = drift.std(ddof=1) / np.sqrt(seeds)
    assert abs(drift.mean() - predicted) < 4 * error
    assert error < 0.02 * abs(predicted)


@pytest.mark.slow
def test_fixed_pairs_lose_r_over_n_minus_2_beside_r():
    """G Q0 Gᵀ = Q1 in the exact flow: the spread of the noise makes up for that of the samples. The steps lose more."""
    n, steps, rounds, seeds = 16, 10, 3, 100_000
    options = dict(samples=n, steps=steps, rounds=rounds, seeds=seeds, pairing="fixed")
    variances = np.asarray(simulate.run(KEY, np.eye(1), **options).variances)[:, :, 0]
    lost = np.asarray(flow.self_consuming_rate(variances[:, :-1], steps)).sum(axis=1)
    drift = np.log(variances[:, -1] / variances[:, 0]) + lost
    error = (drift + lost / (n - 2)).std(ddof=1) / np.sqrt(seeds)
    assert abs((drift + lost / (n - 2)).mean()) < 4 * error < lost.mean() / (n - 2) / 4


def test_why_by_quadrature():
    """N × loss of pairs of correlation γ, k = √(Q1/Q0) + √(Q0/Q1), and its mean over n Gaussian pairs."""

    def loss(gamma, k):
        return 1 - gamma * k / 2 + (k - 2 * gamma) * np.arccos(gamma) / (2 * np.sqrt(1 - gamma**2))

    variance, steps = 4.0, 20_000
    for gamma in (-0.6, 0.0, 0.8):
        gain = float(flow.coupling_gain(1.0, variance, gamma * variance**0.5, steps=steps))
        np.testing.assert_allclose(-steps * np.log(gain**2 / variance), loss(gamma, 2.5), rtol=1e-3)
    for n in (4, 9):
        density = stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)  # of γ
        spread = stats.f(n, n).expect(np.sqrt)  # E √(Q1/Q0) over its value at infinite n
        mean = density.expect(partial(loss, k=2.5 * spread))
        np.testing.assert_allclose(mean, (1 + np.pi / 4 * 2.5) * (n - 1) / (n - 2), rtol=1e-6)


@pytest.mark.slow
def test_a_seed_does_not_depend_on_its_company(monkeypatch):
    options = dict(samples=9, steps=3, rounds=2, pairing="fixed")
    together = simulate.run(KEY, np.diag(VARIANCES), seeds=6, **options)
    monkeypatch.setattr(simulate, "BATCH_BYTES", 1)
    simulate._simulate.clear_cache()
    alone = simulate.run(KEY, np.diag(VARIANCES), seeds=6, **options)
    simulate._simulate.clear_cache()
    np.testing.assert_allclose(together.variances, alone.variances, rtol=1e-9)
    assert together.variances.shape == together.eigenvalues.shape == (6, 3, 2)


def test_rotated_data_have_the_same_law():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    options = dict(samples=50, steps=4, rounds=2, seeds=3)
    straight = simulate.run(KEY, np.diag(VARIANCES), **options)
    turned = simulate.run(KEY, turn @ np.diag(VARIANCES) @ turn.T, **options)
    np.testing.assert_allclose(straight.variances, turned.variances, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"covariance": np.ones((2, 3))}, "square matrix"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"samples": 1, "pairing": "fixed"}, "samples must be at least 2"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": np.array([0.0, 0.7, 0.6, 1.0])}, "steps must increase"),
        ({"rounds": -1}, "rounds must be at least 0"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"pairing": "kept"}, "pairing must be one of"),
    ],
)
def test_bad_input(change, words, unchecked):
    arguments = {"covariance": np.eye(2), "samples": 5, "steps": 3, "rounds": 1, **change}
    with pytest.raises(ValueError, match=words):
        simulate.run(KEY, arguments.pop("covariance"), **arguments)
