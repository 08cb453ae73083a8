"""Flows in NumPy against those in JAX, which share no line: the same ends, and from the same noise the same SDE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.learn import integrate as theirs
from rfcollapse.own.integrate import Integrator, as_float32
from rfcollapse.own.pairs import MAKING, first_pairs, make_pairs, probe_noise
from rfcollapse.own.plan import Plan
from rfcollapse.schemes import REAL_KINDS, SCHEMES, Scheme

GRID = (0.0, 0.2, 0.3, 0.7, 1.0)


def velocity(strength, t, x):
    return strength * np.sin(x + t) + t * x[..., ::-1]


def in_jax(t, x):
    return jnp.float32(1.5) * jnp.sin(x + t) + t * x[::-1]


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("at_once", [3, 100])
def test_ends_are_those_of_jax(method, at_once):
    x = np.random.default_rng(0).standard_normal((10, 4), np.float32)
    own = Integrator(velocity, GRID, method, at_once)
    for mine, other in ((own.generate, theirs.generate), (own.invert, theirs.invert)):
        expected = other(in_jax, jnp.asarray(x), steps=np.array(GRID), method=method)
        np.testing.assert_allclose(mine(1.5, x), expected, rtol=2e-5, atol=2e-6)
        assert mine(1.5, x).dtype == np.float32
        assert np.abs(mine(1.5, x) - x).max() > 0.5


def test_heun_goes_back_to_where_it_came_from():
    x = np.random.default_rng(0).standard_normal((10, 4), np.float32)
    own = Integrator(velocity, tuple(np.linspace(0, 1, 101).tolist()), "heun", 100)
    np.testing.assert_allclose(own.invert(1.5, own.generate(1.5, x)), x, atol=1e-3)


class Drawn(np.random.Generator):
    """The noise that JAX draws, for each sample, step, and half of a step."""

    def __init__(self, key, rows, steps, d):
        super().__init__(np.random.PCG64())

        def one_row(key):
            keys = jax.random.split(key, steps)
            return jax.vmap(lambda key: jax.random.normal(key, (2, d), dtype=jnp.float32))(keys)

        noise = np.asarray(jax.vmap(one_row)(jax.random.split(key, rows)))
        self.left = [noise[:, step, half] for step in range(steps) for half in (0, 1)]

    def standard_normal(self, shape, dtype):
        found = self.left.pop(0)
        assert found.shape == shape and found.dtype == dtype
        return found


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("score, d", [(True, 1), (False, 1), (False, 4)])  # in d = 1 eigenvectors have no choice
def test_the_reverse_sde_is_that_of_jax_on_the_same_noise(method, score, d):
    rng, key, options = np.random.default_rng(0), jax.random.key(3), {"steps": np.array(GRID), "method": method}
    data, probe = rng.standard_normal((20, d), np.float32), rng.standard_normal((50, d), np.float32)
    marginals = theirs.marginals(in_jax, jnp.asarray(probe), **options) if score else None
    expected = theirs.reverse_sde(key, in_jax, jnp.asarray(data), marginals, diffusion=0.8, **options)
    drawn = Drawn(key, 20, len(GRID) - 1, d)
    own = Integrator(velocity, GRID, method, 7)
    found = own.reverse(drawn, 1.5, data, diffusion=0.8, probe=probe if score else None)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not drawn.left and np.abs(found - own.invert(1.5, data)).max() > 0.1


def test_the_reverse_sde_keeps_the_marginals_of_a_gaussian_model():
    """From the model's own samples it leads back to N(0, I), however strong the noise is; without a score it does not.

    In three dimensions with a turned covariance, so that the eigenvectors matter.
    """
    plan = Plan(scheme="oras", rounds=1, probes=4000)
    turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    root = turn @ np.diag([3.0, 0.4, 1.5]) @ turn.T - np.eye(3)  # x_t = (I + t root) x0

    def straight(_, t, x):
        return x @ np.linalg.solve(np.eye(3) + t * root, root).T

    own = Integrator(straight, tuple(np.linspace(0, 1, 41).tolist()), "heun", 10**6)
    data = own.generate(None, np.random.default_rng(1).standard_normal((20_000, 3), np.float32))
    noise = probe_noise(plan, (3,))
    np.testing.assert_allclose(np.cov(noise.T, bias=True), np.eye(3), atol=1e-5)
    for diffusion in (0.5, 3.0):
        settings = {"model": None, "data": data, "diffusion": diffusion}
        found = own.reverse(np.random.default_rng(2), probe=noise, **settings)
        np.testing.assert_allclose(np.cov(found.T), np.eye(3), atol=0.04)
        loose = own.reverse(np.random.default_rng(2), probe=None, **settings)
        assert np.linalg.eigvalsh(np.cov(loose.T))[-1] > 1.1


def test_own_pairs_are_those_that_the_model_makes_and_real_ones_those_it_inverts():
    real = np.random.default_rng(0).standard_normal((30, 4), np.float32)
    own = Integrator(velocity, tuple(np.linspace(0, 1, 41).tolist()), "heun", 100)
    known = {row.tobytes() for row in real}
    for scheme, by in (("ra", 1.5), ("anchored", 0.7)):
        plan = Plan(scheme=scheme, rounds=2, real_fraction=0.25, pairs=200)
        pairs = make_pairs(plan, 2, own, real, 0.7, 1.5)
        is_real = np.array([row.tobytes() in known for row in pairs.data])
        assert is_real.sum() == 50  # each of 30 once, 20 of them twice
        times = np.unique(pairs.data[is_real], axis=0, return_counts=True)[1]
        assert sorted(times) == [1] * 10 + [2] * 20
        np.testing.assert_array_equal(own.generate(1.5, pairs.noise[~is_real]), pairs.data[~is_real])
        np.testing.assert_array_equal(own.invert(by, pairs.data[is_real]), pairs.noise[is_real])
        assert not pairs.redrawn.any() and (pairs.arrays(3)[0] == np.tile(pairs.noise, (3, 1))).all()
    assert (make_pairs(plan, 2, own, real, 0.7, 1.5).noise == pairs.noise).all()
    assert (make_pairs(plan, 1, own, real, 0.7, 1.5).noise[:150] != pairs.noise[:150]).all()


@pytest.mark.parametrize("fraction, rows", [(0.0, 0), (1.0, 40)])
@pytest.mark.parametrize("kind", [kind for kind in REAL_KINDS if kind != "scored"])
def test_every_kind_of_real_noise_is_made_at_any_fraction(kind, fraction, rows, monkeypatch):
    monkeypatch.setitem(SCHEMES, "some", Scheme("some", "redrawn", kind, refreshed=kind == "inverted"))
    real = np.random.default_rng(0).standard_normal((30, 4), np.float32)
    plan = Plan(scheme="some", rounds=1, real_fraction=fraction, pairs=40, probes=50)
    pairs = make_pairs(plan, 1, Integrator(velocity, GRID, "heun", 100), real, 0.7, 1.5)
    assert pairs.noise.shape == pairs.data.shape == (40, 4)
    assert pairs.redrawn.sum() == 40 - (rows if kind != "redrawn" else 0)
    if kind == "inverted":
        before = pairs.noise.copy()
        pairs.refresh(0.2)
        assert (pairs.noise != before).all(axis=1).sum() == rows


def test_random_numbers_of_two_purposes_and_rounds_differ():
    """A seed sequence takes [0] and [0, 0] for the same."""
    plan = Plan(scheme="ra", rounds=1)
    drawn = {plan.rng(index, purpose).random() for index in range(4) for purpose in range(1, 7)}
    drawn |= {Plan(scheme="ra", rounds=1, seed=5).rng(index, MAKING).random() for index in range(4)}
    assert len(drawn) == 28
    first = first_pairs(plan, np.ones((5, 2), np.float32))
    assert len(np.unique(np.concatenate([first.noise, *(first.arrays()[0] for _ in range(3))]))) == 40


def test_arrays_are_taken_over_where_that_is_possible():
    rows = np.ones((3, 2), np.float32)
    assert np.shares_memory(as_float32("data", rows), rows)
    assert as_float32("data", jnp.arange(3)).dtype == np.float32


def test_torch_tensors_are_taken_over_or_refused_with_the_remedy(unchecked):
    torch = pytest.importorskip("torch")
    rows = torch.ones(3, 2)
    assert np.shares_memory(as_float32("data", rows), rows.numpy())
    for tensor in (rows.clone().requires_grad_(), rows.to(torch.bfloat16), rows.to("meta")):
        with pytest.raises(ValueError, match=r"data must be an array for NumPy \(.*\.detach\(\)\.float\(\)\.cpu\(\)"):
            as_float32("data", tensor)
    own = Integrator(lambda net, t, x: net(torch.from_numpy(x)).detach(), GRID, "heun", 2)
    net = torch.nn.Linear(2, 2)
    expected = Integrator(lambda net, t, x: x @ net[0].T + net[1], GRID, "heun", 9)
    arrays = [part.detach().numpy() for part in (net.weight, net.bias)]
    np.testing.assert_allclose(own.generate(net, rows.numpy()), expected.generate(arrays, rows.numpy()), rtol=1e-5)
