"""Denoisers trained on their own output: the bookkeeping exactly, the laws within what few samples allow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.learn import denoise
from rfcollapse.learn.plan import Training
from rfcollapse.theory import anydata, dae

KEY = jax.random.key(3)
QUICK = Training(steps=200, batch=64, learning_rate=5e-3, chunk=200)
SETTINGS = dict(noise_std=1.0, seeds=2, training=QUICK, options={"width": 16, "depth": 2})
DATA = np.random.default_rng(0).laplace(size=(2, 8000, 3)) * [2.0, 1.0, 0.5]


@pytest.fixture(scope="module")
def rounds():
    """Two rounds with real data, and their run."""
    kept = []
    run = denoise.run(KEY, DATA, rounds=2, real_fraction=0.3, on_round=kept.append, **SETTINGS)
    return run, kept


def test_what_a_round_forgets_is_its_loss(rounds):
    """The fit stands on other noise than the judgement, which is that of 32,000 rows; what was made is 8,000."""
    run, _ = rounds
    lost = run.pool - run.variance[:, 1:]
    np.testing.assert_allclose(lost, run.pool - anydata.variance_after(run.pool, run.loss), rtol=0.12)
    np.testing.assert_allclose(run.scale_defect / run.loss, 0, atol=0.03)
    np.testing.assert_allclose(run.made.diagonal(axis1=2, axis2=3).sum(axis=2), run.variance[:, 1:], rtol=1e-12)
    np.testing.assert_allclose(run.residual.trace(axis1=2, axis2=3), run.loss, rtol=1e-12)
    np.testing.assert_allclose(run.covariance.trace(axis1=2, axis2=3), run.pool, rtol=1e-12)


def test_the_identity_holds_for_every_fit():
    """A net that was hardly trained: what it loses, about the pool's mean, beyond its loss is twice the defect."""
    short, kept = Training(steps=40, batch=64, learning_rate=5e-3, chunk=40), []
    settings = SETTINGS | {"training": short, "refit": False, "on_round": kept.append}
    run = denoise.run(KEY, DATA, rounds=1, **settings)
    about = kept[0].samples - DATA.mean(axis=1, keepdims=True)
    expected = anydata.variance_after(run.pool, run.loss, scale_defect=run.scale_defect)
    assert np.all(np.abs(run.scale_defect / run.loss) > 0.05)
    np.testing.assert_allclose((about**2).sum(axis=2).mean(axis=1), expected[:, 0], atol=0.02 * run.pool.max())


def test_any_rows_are_passed_on_at_any_noise(rounds):
    """Without noise it is the models themselves; with the noise of training, the run's next round but for chance."""
    _, (first, _) = rounds
    still = denoise.pass_on(KEY, first.models, DATA[:, :5], 0.0)
    for seed in range(2):
        model = jax.tree.map(lambda leaf, seed=seed: leaf[seed] if hasattr(leaf, "shape") else leaf, first.models)
        expected = jax.vmap(model)(jnp.asarray(DATA[seed, :5], jnp.float32))
        np.testing.assert_allclose(still[seed], expected, rtol=1e-5, atol=1e-5)
    again = denoise.pass_on(KEY, first.models, DATA, 1.0)
    np.testing.assert_allclose(again.var(axis=1).sum(axis=1), first.variance, rtol=0.03)
    assert np.abs(again - first.samples).max() > 0.1


def test_a_run_may_start_from_what_is_lost(unchecked):
    """The first pool is then a mixture, too, whose mean squares say of how much of which."""
    start = DATA / 10
    run = denoise.run(KEY, DATA, start=start, rounds=1, real_fraction=0.25, **SETTINGS)
    np.testing.assert_allclose(run.variance[:, 0], start.var(axis=1).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(run.pool[:, 0], (0.75 / 100 + 0.25) * DATA.var(axis=1).sum(axis=1), rtol=0.05)
    with pytest.raises(ValueError, match="start must have as many rows and columns as data"):
        denoise.run(KEY, DATA, start=start[:, :10], rounds=1, **SETTINGS)


def test_rounds_are_chained_and_pools_mixed(rounds):
    run, (first, second) = rounds
    np.testing.assert_allclose(run.pool[:, 0], DATA.var(axis=1).sum(axis=1), rtol=1e-6)
    assert run.variance[:, 0] == pytest.approx(run.pool[:, 0])
    assert run.shown.shape == (2, 3, 64, 3)
    np.testing.assert_array_equal(run.shown[:, 1], first.samples[:, :64])
    pool = denoise._pool(KEY, first.samples, DATA.astype(np.float32), 0.3)
    for seed in range(2):
        rows, own, real = (set(map(bytes, part[seed])) for part in (pool, first.samples, DATA.astype(np.float32)))
        assert (len(rows & own), len(rows & real)) == (5600, 2400)
    mixed = 0.7 * first.variance + 0.3 * run.variance[:, 0]
    np.testing.assert_allclose(second.pool, mixed, rtol=0.05)


def test_models_are_what_made_the_data(rounds):
    """Each model denoises rows as it did, and its scale, skip and shift are a fit."""
    _, (first, _) = rounds
    one = jax.tree.map(lambda array: array[0], first.models)
    y = np.asarray(DATA[0, :5], np.float32)
    basis = np.asarray(one.basis)
    scale, skip, shift = map(np.asarray, (one.scale, one.skip, one.shift))
    fitted = np.asarray(jax.vmap(lambda row: one.net(jnp.ones((), row.dtype), row))(y)) @ basis
    expected = (scale * fitted + skip * (y @ basis) + shift) @ basis.T
    np.testing.assert_allclose(jax.vmap(one)(y), expected, rtol=1e-4, atol=1e-5)
    assert np.any(scale != 1)


def test_a_linear_net_obeys_the_linear_law():
    """Refitted, it is the best map of each direction."""
    variances = np.array([9.0, 1.0])
    gaussian = np.random.default_rng(1).normal(size=(20_000, 2)) * variances**0.5
    run = denoise.run(KEY, gaussian, rounds=3, noise_std=1.0, seeds=2, model="linear", training=QUICK)
    law = np.asarray(dae.trajectory(gaussian.var(axis=0), 1.0, 3)).sum(axis=1)
    np.testing.assert_allclose(run.variance, np.broadcast_to(law, (2, 4)), rtol=0.02)


def test_own_data_may_be_passed_on_without_the_pool():
    """From real data alone, α = 1, "own" still passes the round's own rows on."""
    kept = []
    settings = SETTINGS | {"resample_std": 0.0}
    run = denoise.run(KEY, DATA, rounds=2, real_fraction=1.0, resample_from="own", on_round=kept.append, **settings)
    np.testing.assert_allclose(run.pool[:, 1], run.pool[:, 0], rtol=1e-5)
    second = jax.vmap(jax.vmap(lambda model, row: model(row), (None, 0)))(kept[1].models, kept[0].samples[:, :9])
    np.testing.assert_allclose(kept[1].samples[:, :9], second, rtol=1e-4, atol=1e-5)


def test_wide_data_keep_no_matrices():
    """Above d = 1024; the totals are there all the same."""
    rows = np.random.default_rng(2).normal(size=(30, 1025))
    quick = Training(steps=2, batch=8, learning_rate=5e-3, chunk=2)
    run = denoise.run(KEY, rows, noise_std=1.0, rounds=1, seeds=1, training=quick, options={"width": 4, "depth": 1})
    assert [matrices.shape for matrices in (run.covariance, run.residual, run.made)] == 3 * [(1, 1, 0, 0)]
    np.testing.assert_allclose(run.pool[0, 0], rows.var(axis=0).sum(), rtol=1e-6)
    assert np.isfinite(run.loss).all() and np.isfinite(run.variance).all()


def test_bad_settings_are_refused(unchecked):
    for wrong, words in (
        ({"noise_std": 0.0}, "noise_std must be greater than 0"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"real_fraction": 1.5}, "real_fraction must lie in"),
        ({"resample_from": "both"}, "resample_from must be one of"),
        ({"model": "tree"}, "model must be one of 'linear', 'mlp', 'unet'; got 'tree'"),
    ):
        with pytest.raises(ValueError, match=words):
            denoise.run(KEY, DATA, **SETTINGS | {"rounds": 1} | wrong)
