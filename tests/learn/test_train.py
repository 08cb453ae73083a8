"""The loop itself: what it converges to, how often it compiles, how it stops, and that devices change nothing."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.learn import train as loop
from rfcollapse.learn.pairs import Pairs
from rfcollapse.learn.reflow import new_models
from rfcollapse.learn.train import Diverged, Training, train

KEY = jax.random.key(0)
QUICK = Training(steps=20, batch=8, chunk=10)
SEEDS, COUNT = 2, 64


def pairs_of(key, redrawn=False, seeds=SEEDS, count=COUNT):
    noise = jax.random.normal(key, (seeds, count, 2), dtype=jnp.float32)
    data = noise * jnp.array([2.0, 0.5], dtype=jnp.float32)[None, None]
    return Pairs(noise, data, jnp.ones((seeds, count)), jnp.full((seeds, count), redrawn))


def models_of(key, net="linear", parametrisation="velocity", seeds=SEEDS, **options):
    return new_models(key, 2, seeds, net, parametrisation, **options)


def leaves(models):
    return [np.asarray(leaf, dtype=float) for leaf in jax.tree.leaves(eqx.filter(models, eqx.is_array))]


@pytest.mark.parametrize("net, options", [("linear", {}), ("mlp", {"width": 8, "depth": 1})])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.slow
def test_shapes_dtypes_and_seeds(net, options, dtype):
    models = models_of(KEY, net, **options)
    before = leaves(models)
    training = Training(steps=20, batch=8, chunk=10, precision=dtype)
    trained, losses = train(KEY, models, pairs_of(KEY), training=training)
    assert losses.shape == (SEEDS, 2) and np.all(np.isfinite(losses))
    assert jax.tree.structure(trained) == jax.tree.structure(models)
    for old, kept, new in zip(before, leaves(models), jax.tree.leaves(eqx.filter(trained, eqx.is_array))):
        assert new.dtype == jnp.float32 and new.shape == old.shape
        np.testing.assert_array_equal(old, kept)  # the caller's models are not consumed
        assert np.all(np.asarray(new[0]) != np.asarray(new[1]))  # seeds differ


@pytest.mark.computes
@pytest.mark.parametrize("parametrisation", ["velocity", "denoiser"])
def test_converges_to_ridge_regression_at_every_time(parametrisation):
    """Oracle: the closed ridge fit of the target on x_t, from the moments of weighted pairs that are not diagonal."""
    ridge, count = 0.3, 2000
    noise = jax.random.normal(jax.random.key(1), (1, count, 2), dtype=jnp.float32)
    mixing = jnp.array([[1.5, 0.4], [-0.3, 0.6]], dtype=jnp.float32)
    data = noise @ mixing + 0.5 * jax.random.normal(jax.random.key(2), noise.shape, dtype=jnp.float32)
    weight = jnp.where(jnp.arange(count) < count // 2, 3.0, 1.0)[None]
    pairs = Pairs(noise, data, weight, jnp.full((1, count), False))
    models = models_of(KEY, "linear", parametrisation, seeds=1, knots=17)
    training = Training(steps=2000, batch=512, learning_rate=0.02, chunk=500)
    trained, _ = train(KEY, models, pairs, training=training, ridge=ridge)
    x0, x1, w = (np.asarray(array[0], dtype=float) for array in (noise, data, weight))
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        x = (1 - t) * x0 + t * x1
        target = x1 - x0 if parametrisation == "velocity" else x1
        gram = (x * w[:, None]).T @ x / w.sum() + ridge * np.eye(2)
        fitted = np.linalg.solve(gram, (x * w[:, None]).T @ target / w.sum()).T
        columns = [one_seed(trained).net(jnp.float32(t), e) for e in jnp.eye(2, dtype=jnp.float32)]
        np.testing.assert_allclose(np.stack(columns, axis=1), fitted, atol=0.06)


def one_seed(models, seed=0):
    return jax.tree.map(lambda leaf: leaf[seed], models)


def test_weight_zero_is_never_drawn_and_redrawn_noise_is_new():
    pairs = pairs_of(KEY, count=8)
    pairs = pairs._replace(
        weight=jnp.broadcast_to(jnp.array([0.0, 1, 0, 3, 0, 0, 0, 0]), (SEEDS, 8)),
        redrawn=jnp.broadcast_to(jnp.arange(8) == 3, (SEEDS, 8)),
    )
    one = jax.tree.map(lambda array: array[0], pairs)
    one_step = Training(steps=1, batch=4000, chunk=1)
    chosen = loop._chosen(jnp.cumsum(one.weight), KEY, 0, training=one_step)[0]
    x0, x1, t, e = loop._draw(KEY, one, chosen)
    first, third = (np.all(np.asarray(x1) == np.asarray(one.data[i]), axis=1) for i in (1, 3))
    assert np.all(first | third)
    assert abs(first.mean() - 0.25) < 6 * (0.25 * 0.75 / 4000) ** 0.5
    assert np.all(np.asarray(x0)[first] == np.asarray(one.noise[1]))
    assert len(np.unique(np.asarray(x0)[third], axis=0)) == third.sum()
    assert abs(np.mean(np.asarray(x0)[third] ** 2) - 1) < 6 * (2 / third.sum() / 2) ** 0.5
    assert np.all(np.abs(np.asarray(t) * 4000 - np.arange(4000) - 0.5) < 0.501)  # one time in each stratum
    assert {array.dtype for array in (x0, x1, t, e)} == {jnp.dtype(jnp.float32)}


def test_one_compilation_serves_all_pairs_rounds_and_ridges():
    train(KEY, models_of(KEY), pairs_of(KEY), training=QUICK)
    compiled = loop._chunk._cache_size()
    for round in range(3):
        key = jax.random.key(round)
        pairs = pairs_of(key, redrawn=round % 2 == 0)
        train(key, models_of(key), pairs, training=QUICK, ridge=0.1 * round, round=round, refresh=lambda _: pairs)  # noqa: B023
    assert loop._chunk._cache_size() == compiled


def test_refreshed_pairs_are_used():
    wrong = pairs_of(KEY)._replace(data=jnp.zeros((SEEDS, COUNT, 2), dtype=jnp.float32))
    seen = []

    def refresh(models):
        seen.append(leaves(models))
        return pairs_of(KEY)

    kept, _ = train(KEY, models_of(KEY), wrong, training=QUICK)
    changed, _ = train(KEY, models_of(KEY), wrong, training=QUICK, refresh=refresh)
    assert len(seen) == 1  # after each of two chunks but the last
    assert any(np.any(one != two) for one, two in zip(leaves(kept), leaves(changed)))


def test_pairs_on_the_host_are_drawn_alike():
    pairs = pairs_of(KEY)
    kept, losses = train(KEY, models_of(KEY), pairs, training=QUICK, ridge=0.1)
    on_host = pairs._replace(noise=np.asarray(pairs.noise), data=np.asarray(pairs.data))
    fetched, theirs = train(KEY, models_of(KEY), on_host, training=QUICK, ridge=0.1)
    np.testing.assert_allclose(theirs, losses, rtol=1e-6)
    for one, two in zip(leaves(kept), leaves(fetched)):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


def test_nan_names_round_step_and_seed():
    pairs = pairs_of(KEY)
    pairs = pairs._replace(data=pairs.data.at[1, :].set(jnp.nan))
    with pytest.raises(Diverged, match="round 4, step 0, seed 1: loss nan") as caught:
        train(KEY, models_of(KEY), pairs, training=QUICK, round=4)
    assert (caught.value.round, caught.value.step, caught.value.seed) == (4, 0, 1)


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_weights_decay(optimizer):
    """Where noise and data are 0 the loss has no slope: what is left of the weights is the product of 1 − ηλ, by a
    schedule and an average of our own."""
    nothing = jax.tree.map(jnp.zeros_like, pairs_of(KEY))._replace(weight=jnp.ones((SEEDS, COUNT)))
    training = Training(steps=40, batch=8, chunk=20, learning_rate=0.1, optimizer=optimizer, weight_decay=0.5)
    models = models_of(KEY)
    trained, _ = train(KEY, models, nothing, training=training)
    weight = average = 1.0
    for k in range(40):
        rate = 0.1 * (k / 2 if k < 2 else (1 + np.cos(np.pi * (k - 2) / 38)) / 2)
        weight *= 1 - 0.5 * rate
        average += (1 - min(0.999, (1 + k) / (10 + k))) * (weight - average)
    assert average < 0.6
    np.testing.assert_allclose(trained.net.matrices, average * np.asarray(models.net.matrices), rtol=1e-4)


def test_without_decay_adamw_is_adam():
    adam, _ = train(KEY, models_of(KEY), pairs_of(KEY), training=QUICK)
    adamw, _ = train(KEY, models_of(KEY), pairs_of(KEY), training=replace(QUICK, optimizer="adamw"))
    np.testing.assert_allclose(adamw.net.matrices, adam.net.matrices, rtol=1e-6)


def test_a_huge_learning_rate_is_called_divergence():
    with pytest.raises(Diverged, match=r"round 0, step \d+, seed \d: loss"):
        train(KEY, models_of(KEY), pairs_of(KEY), training=Training(steps=40, batch=8, chunk=10, learning_rate=1e4))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"steps": 25, "chunk": 10}, "multiple of chunk = 10; got 25"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"precision": "float16"}, "one of 'float32', 'bfloat16'"),
        ({"average": 1.5}, "average must lie in"),
        ({"optimizer": "adamax"}, "optimizer must be one of 'adam', 'adamw'"),
        ({"weight_decay": 0.1}, "weight_decay must be 0 for 'adam'"),
        ({"batch": 9, "shards": 2}, "batch must be a multiple of shards = 2; got 9"),
    ],
)
def test_refuses(settings, words, unchecked):
    with pytest.raises(ValueError, match=words):
        Training(**settings)


def test_more_shards_than_devices_are_refused():
    training = Training(steps=20, batch=64, chunk=10, shards=64)
    with pytest.raises(ValueError, match="shards must be from 1 to"):
        train(KEY, models_of(KEY), pairs_of(KEY), training=training)


SHARDED = """
import json, sys, jax
layouts = [*map(int, sys.argv[1:])]
from rfcollapse.learn import devices
from rfcollapse.learn.train import Training
from rfcollapse.learn.reflow import run
data = jax.random.normal(jax.random.key(1), (128, 2))
found = []
for seeds, shards in zip(layouts[::2], layouts[1::2]):
    training = Training(steps=20, batch=16, chunk=10, shards=shards)
    done = run(jax.random.key(0), data, scheme="ra", rounds=1, real_fraction=0.3, ridge=0.2, seeds=seeds, pairs=128,
               probes=64, options={"width": 8, "depth": 1}, steps=4, method="euler", training=training,
               warm_start=True)
    size = devices.mesh(seeds, shards).size
    found.append([size, done.second_moment.tolist(), done.straightness.tolist(), done.loss.tolist()])
print(json.dumps(found))
"""


def trained(layouts, local_devices):
    """What a process finds that trains with each (seeds, shards) in turn, and what it says on stderr."""
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={local_devices}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", SHARDED, *map(str, sum(layouts, ()))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def on_one_device():
    """What 1, 2 and 4 seeds come to."""
    found, err = trained([(1, 1), (2, 1), (4, 1)], 1)
    assert err == ""  # no progress bar where nobody watches
    assert [one[0] for one in found] == [1, 1, 1]
    return dict(zip((1, 2, 4), found))


def assert_close(one, other):
    for mine, theirs in zip(one[1:], other[1:], strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-4)


@pytest.mark.slow
def test_four_devices_train_what_one_does(on_one_device):
    layouts = [(4, 1), (2, 2), (1, 4)]
    found, _ = trained(layouts, 4)
    for (seeds, _), four in zip(layouts, found, strict=True):
        assert four[0] == 4
        assert_close(on_one_device[seeds], four)
