"""Rounds with a model of one's own: the best affine velocity, in closed form from the pairs alone, so that the laws of
`theory.flow`, which know nothing of pairs, say what must come out."""

import ast
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from own.affine import fit, gaussian, velocity
from sklearn.neural_network import MLPRegressor

from rfcollapse import own
from rfcollapse.measure.coverage import coverage
from rfcollapse.measure.paths import straightness
from rfcollapse.own import looks
from rfcollapse.schemes import SCHEMES
from rfcollapse.theory import flow

ROOT = Path(__file__).resolve().parents[2]


def fit_refreshed(pairs, previous, ridge=0.0):
    """As ORA does, to the end: real pairs inverted by the model that is fitted to them."""
    for _ in range(20 if previous is not None else 1):
        model = fit(*pairs.arrays(), ridge=ridge)
        if previous is not None:
            pairs.refresh(model)
    return model


SETTINGS = {"real_fraction": 0.5, "ridge": 0.1, "pairs": 40_000, "held": 0.0, "retain": None, "diffusion": 1.0}


def rounds(scheme, rounds=4, **changed):
    """The measured g² and the law's."""
    settings = SETTINGS | changed
    how = {"fit": partial(fit, ridge=0.1)}
    if SCHEMES[scheme].refreshed:
        how = {"train": partial(fit_refreshed, ridge=0.1)}
    data = gaussian(20_000, [4.0, 0.25], mean=3.0)
    run = own.run(data, velocity=velocity, scheme=scheme, rounds=rounds, **how, **settings)
    return np.array([one.variances for one in run.rounds]), run


# Of a first model that is off: else reflow and the anchored schemes start where some of them lead to.
FIRST = fit(np.random.default_rng(5).standard_normal((20_000, 2)), gaussian(20_000, [2.5, 0.5], mean=3.0))
EXACT = ("reflow", "ra", "anchored", "ora", "fresh", "oras", "naive_oras")


@pytest.mark.parametrize("scheme", EXACT)
def test_rounds_obey_the_law_of_their_scheme(scheme):
    measured, run = rounds(scheme, first=FIRST)
    angle = {"initial_angle": np.pi / 2} if "oras" in scheme else {}
    laws = {
        other: np.asarray(flow.scheme_trajectory(
            other, run.variances, 4, real_fraction=0.5, ridge=0.1, initial_variance=measured[0], diffusion=1.0,
            **(angle if "oras" in other else {}),
        ))
        for other in EXACT
    }  # fmt: skip
    changes = {other: np.log(law[-1] / measured[0]) for other, law in laws.items()}
    change = np.log(measured[-1] / measured[0])
    missed = {other: np.abs(change - law).max() for other, law in changes.items()}
    assert missed[scheme] < 0.025, (change, changes)  # 80,000 pairs' moments: four rounds of √(2/20,000)
    assert all(miss > 0.05 for other, miss in missed.items() if other != scheme), missed
    np.testing.assert_allclose([one.law for one in run.rounds], laws[scheme], rtol=1e-6)


def test_self_consuming_loses_what_the_steps_lose():
    data = gaussian(20_000, [1.0, 1.0])
    settings = {"held": 0.0, "retain": None, "ridge": 0.0, "method": "euler", "redraws": 20}
    run = own.run(data, velocity=velocity, fit=fit, scheme="self_consuming", rounds=3, steps=8, **settings)
    law = flow.self_consuming_trajectory(np.ones(2), 8, 4)[1:]
    measured = np.array([one.variances for one in run.rounds])
    np.testing.assert_allclose(measured, law, rtol=0.03)
    np.testing.assert_allclose([one.law for one in run.rounds], law, rtol=1e-6)
    assert measured[-1].max() < 0.6  # what is lost is far more than the tolerance


def test_a_round_is_what_the_balance_law_makes_of_the_very_pairs():
    """Noise of finite samples included: G (Q0 + τ) Gᵀ = Q1 + τ for the pairs that were handed over."""
    seen = []

    def kept(x0, x1, previous):
        seen.append(fit(x0, x1, ridge=0.2))
        return seen[-1]

    data = gaussian(300, [4.0, 1.0, 0.25])
    run = own.run(
        data, velocity=velocity, fit=kept, scheme="fresh", rounds=3, real_fraction=0.4, held=0.0, retain=None, steps=200
    )
    for one, model in zip(run.rounds, seen):
        law = flow.balance_map(model.noise, model.data, model.cross.T, ridge=0.2)
        turned = gaussian(300, [4.0, 1.0, 0.25]).T
        values, directions = np.linalg.eigh(np.cov(turned, bias=True))
        expected = np.diag(directions.T @ law @ law.T @ directions)[::-1]
        np.testing.assert_allclose(one.variances, expected, rtol=2e-4)
        np.testing.assert_allclose(values[::-1], run.variances, rtol=1e-5)


def test_what_is_measured_of_a_first_model():
    """Independent pairs of N(0, 1) and N(0, λ): c = 1 + λ, c' = (1 − √λ)², one Euler step gives the mean."""
    data = gaussian(20_000, [4.0, 0.25])
    run = own.run(
        data, velocity=velocity, fit=fit, scheme="reflow", rounds=1, redraws=10, retain=None, held=0.0, probes=20_000
    )
    start, after = run.rounds
    np.testing.assert_allclose(run.variances, [4.0, 0.25], rtol=1e-5)
    np.testing.assert_allclose(start.variances, [4.0, 0.25], rtol=0.02)
    assert start.share == pytest.approx(1, abs=0.02) and start.one_step_share < 1e-3
    assert after.one_step_share == pytest.approx(after.share, rel=1e-4)
    assert start.pair_cost == pytest.approx(6.25, rel=0.05) and start.cost == pytest.approx(1 + 0.25, rel=0.03)
    assert start.straightness > 0.5 and abs(after.straightness) < 1e-3
    # The cost law c' = c − L − S, for which neither c, L nor S alone would do.
    assert start.pair_cost - start.loss - start.straightness == pytest.approx(start.cost, abs=0.15)
    assert after.loss < 1e-3 and after.pair_cost == pytest.approx(start.cost, rel=0.1)
    assert start.law is None and run.law is None


def test_straightness_is_that_of_the_paths():
    grid = [0.0, 0.1, 0.4, 1.0]
    data, seen = gaussian(200, [4.0, 0.25]), []

    def watched(model, t, x):
        seen.append((t, x.copy()))
        return velocity(model, t, x)

    settings = {"steps": grid, "method": "euler", "probes": 150, "at_once": 150, "held": 0.0, "retain": None}
    run = own.run(data, velocity=watched, fit=fit, scheme="reflow", rounds=0, **settings)
    (_, x0), (_, x1), (t, x2) = seen[:3]
    path = np.stack([x0, x1, x2, x2 + (1 - t) * velocity(run.last, t, x2)]).astype(float)
    assert float(straightness(path, np.array(grid)).mean()) == pytest.approx(run.rounds[0].straightness, rel=1e-5)
    assert float(np.sum((path[-1] - path[0]) ** 2, axis=1).mean()) == pytest.approx(run.rounds[0].cost, rel=1e-5)


def test_the_law_stands_beside_dead_directions_and_is_not_made_up():
    data = gaussian(300, [4.0, 0.25]) @ np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    ridged = partial(fit, ridge=0.1)
    run = own.run(data, velocity=velocity, fit=ridged, scheme="fresh", rounds=2, real_fraction=0.5, ridge=0.1)
    assert run.law.startswith("law: of a linear model") and run.rounds[2].law.shape == (3,)
    assert np.isfinite(run.rounds[2].law).all() and run.variances[2] < 1e-6
    np.testing.assert_allclose(run.rounds[2].variances[:2], run.rounds[2].law[:2], rtol=0.3)


def test_precision_and_recall_are_against_rows_that_were_held_out(monkeypatch):
    data, seen, compared = gaussian(1000, [1.0, 1.0]), [], []
    monkeypatch.setattr(looks, "coverage", lambda *both: compared.append(both[0]) or coverage(*both))

    def remembering(x0, x1, previous):
        seen.append(x1)
        return fit(x0, x1)

    run = own.run(data, velocity=velocity, fit=remembering, scheme="anchored", rounds=1, real_fraction=0.5, held=0.2)
    assert len(seen[0]) == 800
    real = {row.tobytes() for row in data.astype(np.float32)}
    shown = [[row.tobytes() in real for row in rows] for rows in seen]
    assert np.mean(shown[0]) == 1 and np.sum(shown[1]) == 400  # to the row
    trained = {row.tobytes() for rows in seen for row in rows} & real
    assert len(trained) == 800
    assert {row.astype(np.float32).tobytes() for rows in compared for row in rows} == real - trained
    assert min(run.rounds[0].precision, run.rounds[0].recall, run.rounds[0].coverage) > 0.9
    assert run.rounds[0].alarms == ()
    narrow = fit(np.random.default_rng(1).standard_normal(data.shape), 0.1 * data)
    collapsed = own.run(data, velocity=velocity, fit=fit, first=narrow, scheme="reflow", rounds=0, held=0.2)
    assert collapsed.rounds[0].recall < 0.2 and "level" in collapsed.rounds[0].alarms[0]
    assert collapsed.rounds[0].loss is None


def test_samples_keep_their_shape_and_arrays_belong_to_who_gets_them():
    """Callbacks that write into what they are given, and return one buffer each time, change nothing."""
    data = gaussian(200, [4.0, 1.0, 0.5, 0.25, 1.0, 1.0]).reshape(200, 2, 3).astype(np.float32)
    buffer = np.empty((64, 2, 3), np.float32)

    def flat(x):
        return x.reshape(len(x), -1)

    def careless(model, t, x):
        assert x.shape[1:] == (2, 3) and len(x) <= 64 and x.dtype == np.float32
        out = buffer[: len(x)]
        out[...] = velocity(model, t, flat(x)).reshape(x.shape)
        x[...] = 7
        return out

    def careless_fit(x0, x1, previous):
        model = fit(flat(x0), flat(x1), ridge=0.1)
        x0[...] = x1[...] = 7
        return model

    settings = {"scheme": "oras", "rounds": 2, "real_fraction": 0.3, "probes": 100, "retain": None}
    run = own.run(data, velocity=careless, fit=careless_fit, at_once=64, **settings)
    careful = own.run(flat(data), velocity=velocity, fit=partial(fit, ridge=0.1), **settings)
    for one, other in zip(run.rounds, careful.rounds):
        np.testing.assert_allclose(one.variances, other.variances, rtol=1e-3)


ROWS = np.random.default_rng(0).standard_normal((50, 2))


def test_the_batches_of_a_training_are_mixed_and_redrawn():
    counts, noises = [], []

    def train(pairs, previous):
        batches = list(pairs.batches(100, steps=50))
        real = {row.tobytes() for row in ROWS.astype(np.float32)}
        counts.append(np.mean([row.tobytes() in real for _, x1 in batches for row in x1]))
        noises.append(len({row.tobytes() for x0, _ in batches for row in x0}))
        assert pairs.seed not in seeds
        seeds.append(pairs.seed)
        model = fit(*pairs.arrays())
        pairs.data[...] = 0  # which is nobody else's
        return model

    seeds = []
    own.run(ROWS, velocity=velocity, train=train, scheme="fresh", rounds=1, real_fraction=0.4, pairs=500, held=0.0)
    assert counts[0] == 1 and noises[0] == 5000  # the first model's noise is new in every batch
    assert counts[1] == pytest.approx(0.4, abs=6 * (0.24 / 5000) ** 0.5)
    assert 5000 * counts[1] + 250 < noises[1] <= 5000 * counts[1] + 300  # of own pairs it is kept: 300 of them


def test_nothing_takes_jax_unless_a_law_is_asked_for():
    program = """
import sys, numpy as np
from rfcollapse import own
settings = dict(velocity=lambda model, t, x: 0 * x, fit=lambda *_: [0], scheme="oras", rounds=1, real_fraction=0.5)
own.run(np.random.default_rng(0).standard_normal((500, 2)), **settings)
print(*({"jax", "torch", "equinox"} & sys.modules.keys()))
own.run(np.random.default_rng(0).standard_normal((500, 2)), ridge=0.0, **settings)
print("jax" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.stdout == "\nTrue\n", done.stderr


def block(text, start, end):
    return text.split(start)[1].split(end)[0].strip()


def test_the_readme_has_the_lines_of_the_program_that_runs_them():
    program = block((ROOT / "benchmarks" / "own_torch.py").read_text(), "# --- README\n", "# --- README")
    shown = block((ROOT / "README.md").read_text().split("### Your own model")[1], "```python\n", "```")
    assert ast.dump(ast.parse(program)) == ast.dump(ast.parse(shown)) and "own.run" in shown


@pytest.mark.slow
def test_a_network_of_scikit_learn_follows_the_law():
    """With noise of variance τ on its input, an MLP of sklearn's drifts as Reflow's law says, by no free parameter."""
    ridge = 0.2

    def waves(t):
        return [np.cos(np.pi * k * t) for k in (1, 2)] + [t]

    def trained(x0, x1, previous):
        rng = np.random.default_rng(3)
        t = rng.random((len(x0), 1))
        x = x0 + t * (x1 - x0) + ridge**0.5 * rng.standard_normal(x0.shape)
        net = MLPRegressor(
            hidden_layer_sizes=(32, 32), activation="tanh", learning_rate_init=3e-3, max_iter=12, tol=0, random_state=0
        )
        return net.fit(np.concatenate([x, *waves(t)], axis=1), x1 - x0)

    def asked(net, t, x):
        return net.predict(np.concatenate([x, *waves(np.full((len(x), 1), t))], axis=1))

    data = gaussian(20_000, [4.0, 0.25])
    settings = {"rounds": 3, "ridge": ridge, "redraws": 2, "held": 0.0, "steps": 20, "retain": None}
    with pytest.warns(Warning, match="Maximum iterations"):
        run = own.run(data, velocity=asked, fit=trained, scheme="reflow", **settings)
    change = np.log(run.rounds[-1].variances / run.rounds[0].variances)
    law = np.log(run.rounds[-1].law / run.rounds[0].variances)
    assert np.abs(law).min() > 0.2
    np.testing.assert_allclose(change, law, rtol=0.2)  # RA, of half real data, would drift by a third less
