"""Which pairs each scheme makes: their moments, weights and flags, with a flow whose map is known."""

from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from rfcollapse.learn import devices
from rfcollapse.learn import pairs as pool
from rfcollapse.learn.pairs import PairSource, first_pairs, inverted, make_pairs, refreshed
from rfcollapse.learn.plan import Plan
from rfcollapse.schemes import SCHEMES, Scheme
from rfcollapse.theory import flow

SEEDS, REAL, OWN, ALPHA, DIFFUSION = 2, 3000, 5000, 0.3, 0.6
REAL_VARIANCE = np.array([4.0, 0.25])


class Stretch(eqx.Module):
    """v = ln g x: the flow is x e^{t ln g}, with map g and a straight path in logarithms."""

    log_gain: Array
    parametrisation: ClassVar[str] = "velocity"

    def __call__(self, t, x):
        return self.log_gain * x


def stretch(gain):
    return Stretch(jnp.broadcast_to(jnp.log(jnp.asarray(gain, dtype=jnp.float32)), (SEEDS, 2)))


CURRENT, FIRST = np.array([1.6, 0.8]), np.array([1.9, 0.6])


@pytest.fixture(scope="module")
def source():
    keys = jax.random.split(jax.random.key(0))
    data = jax.random.normal(keys[0], (SEEDS, REAL, 2), dtype=jnp.float32)
    data = data * jnp.asarray(np.sqrt(REAL_VARIANCE), dtype=jnp.float32)[None, None]
    probe = jax.random.normal(keys[1], (SEEDS, 4000, 2), dtype=jnp.float32)
    plan = Plan(
        scheme="ra", rounds=1, seeds=SEEDS, real_fraction=ALPHA, pairs=OWN, diffusion=DIFFUSION, steps=20, at_once=2000
    )
    return PairSource(plan, data, probe, devices.mesh(SEEDS))


def changed(source, **settings):
    return source._replace(plan=replace(source.plan, **settings))


@pytest.mark.parametrize(
    "name, on_host", [*((name, False) for name in SCHEMES), ("ra", True), ("oras", True), ("fresh", True)]
)
def test_the_moments_of_the_pairs_are_those_of_the_theory(name, on_host, source, monkeypatch):
    scheme, models, source = SCHEMES[name], stretch(CURRENT), changed(source, scheme=name)
    if on_host:
        monkeypatch.setattr(pool, "BLOCK", 2200)
        source = source._replace(real=np.asarray(source.real))
    anchor = inverted(source, stretch(FIRST)) if scheme.real == "anchored" else None
    pairs = make_pairs(jax.random.key(1), source, models, anchor)
    assert pairs.noise.shape == pairs.data.shape == (SEEDS, OWN + REAL, 2)
    assert pairs.noise.dtype == pairs.data.dtype == jnp.float32
    assert isinstance(pairs.noise, np.ndarray) == isinstance(pairs.data, np.ndarray) == on_host
    if on_host:  # no block's noise is another's
        assert len(np.unique(pairs.noise[:, :OWN, 0])) > 0.99 * SEEDS * OWN
    weight = np.asarray(pairs.weight) / np.asarray(pairs.weight).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weight[:, OWN:].sum(axis=1), 0.0 if scheme.real is None else ALPHA, rtol=1e-12)
    redrawn = np.asarray(pairs.redrawn)
    assert np.all(redrawn[:, :OWN] == (scheme.own == "redrawn"))
    assert np.all(redrawn[:, OWN:] == (scheme.real == "redrawn"))
    x0, x1 = (np.asarray(array, dtype=float) for array in pairs[:2])
    if "redrawn" in (scheme.own, scheme.real):
        return
    monkeypatch.setitem(SCHEMES, "as made", scheme._replace(refreshed=False))  # before training, that is
    # The path g^t of this flow is not a straight line: ∫ε² g^{−2t} dt takes the place of ε²/g.
    spreading = DIFFUSION**2 * (1 - CURRENT**-2.0) / (2 * np.log(CURRENT))
    expected = flow.scheme_coupling(
        "as made",
        REAL_VARIANCE,
        real_fraction=ALPHA,
        initial_variance=CURRENT**2,
        anchor_variance=FIRST**2,
        diffusion=np.sqrt(spreading * CURRENT),
    )
    for measured, moment in (
        (x0 * x0, expected.noise_moment),
        (x1 * x1, expected.data_moment),
        (x0 * x1, expected.cross_moment),
    ):
        mean = np.einsum("sp,spd->sd", weight, measured)
        spread = np.sqrt(np.einsum("sp,spd->sd", weight**2, (measured - mean[:, None]) ** 2))
        assert np.all(np.abs(mean - np.asarray(moment)) < 5 * spread)


@pytest.mark.parametrize(
    "row, words",
    [
        (Scheme("x", "stirred", None), "own noise of 'toy' must be one of 'kept', 'redrawn'; got 'stirred'"),
        (Scheme("x", "kept", "stirred"), "real noise of 'toy' must be one of None, 'inverted'"),
        (Scheme("x", "kept", "anchored", refreshed=True), "only inverted real noise can be refreshed"),
    ],
)
def test_kinds_that_nobody_knows_are_refused(row, words, monkeypatch):
    monkeypatch.setitem(SCHEMES, "toy", row)
    with pytest.raises(ValueError, match=words):
        Plan(scheme="toy", rounds=1)


def test_own_samples_are_those_of_the_noise_and_real_ones_lead_back(source):
    pairs = make_pairs(jax.random.key(1), source, stretch(CURRENT), None)
    x0, x1 = np.asarray(pairs.noise), np.asarray(pairs.data)
    np.testing.assert_allclose(x1, x0 * CURRENT, rtol=1e-3)
    np.testing.assert_array_equal(x1[:, OWN:], np.asarray(source.real))
    again = refreshed(pairs, source, stretch(FIRST))
    np.testing.assert_array_equal(again.noise[:, :OWN], pairs.noise[:, :OWN])
    np.testing.assert_allclose(np.asarray(again.noise)[:, OWN:] * FIRST, x1[:, OWN:], rtol=1e-3)


def test_the_first_pairs_are_real_data_alone(source):
    pairs = first_pairs(source)
    assert np.all(np.asarray(pairs.weight[:, :OWN]) == 0) and np.all(np.asarray(pairs.weight[:, OWN:]) == 1)
    assert np.all(np.asarray(pairs.redrawn[:, OWN:]))
    np.testing.assert_array_equal(pairs.data[:, OWN:], source.real)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9, 1.0])
def test_offline_sets_hold_whole_pairs(source, fraction):
    offline = changed(source, scheme="fresh", mixing="offline", real_fraction=fraction)
    weight = np.asarray(make_pairs(jax.random.key(2), offline, stretch(CURRENT), None).weight)
    assert np.all(weight == np.round(weight)) and np.all(weight.sum(axis=1) == OWN)
    assert np.all(weight[:, OWN:].sum(axis=1) == round(fraction * OWN))
    assert np.all(np.ptp(weight[:, OWN:], axis=1) <= 1)  # no real sample twice before every one is in
    if 0 < fraction < REAL / OWN:
        assert np.any(weight[0, OWN:] != weight[1, OWN:])
