"""Whole runs: the linear model against every law, divergence and resumption."""

from itertools import pairwise

import equinox as eqx
import jax
import numpy as np
import pytest

from rfcollapse import data
from rfcollapse.learn import devices, reflow
from rfcollapse.learn import train as loop
from rfcollapse.learn.plan import Plan
from rfcollapse.learn.reflow import ReflowRound, each_round, run
from rfcollapse.learn.train import Diverged, Training
from rfcollapse.schemes import SCHEMES
from rfcollapse.theory import flow

KEY = jax.random.key(0)
VARIANCES = np.array([4.0, 0.25])
ALPHA, RIDGE, SEEDS = 0.3, 0.2, 4
TINY = {
    "seeds": 2,
    "pairs": 64,
    "probes": 32,
    "model": "linear",
    "options": {"knots": 3},
    "steps": 3,
    "training": Training(steps=10, batch=8, chunk=5),
}


def gaussian(key, seeds, n):
    """Samples whose second moment is exactly diag(VARIANCES), so that the law has no free parameter."""
    return data.exact_gaussians(key, seeds, n, VARIANCES)


def table():
    return np.asarray(data.gaussian(KEY, 50, np.eye(2)))


def law(scheme, rounds):
    """The variances that the models of rounds 0 … J generate."""
    if SCHEMES[scheme].own == "redrawn":
        return np.asarray(flow.self_consuming_trajectory(VARIANCES, 10, rounds, real_fraction=ALPHA))[1:]
    if SCHEMES[scheme].refreshed:
        # G inverts for itself: Q0 = 1−α + αλ/G², and λ drops out of G²(Q0 + τ) = Q1 + τ.
        variance = [VARIANCES]
        for _ in range(rounds):
            variance.append(((1 - ALPHA) * variance[-1] + RIDGE) / (1 - ALPHA + RIDGE))
        return np.stack(variance)
    options = {"real_fraction": ALPHA, "ridge": RIDGE, "diffusion": 0.5}
    if SCHEMES[scheme].real in ("diffused", "scored"):
        options["initial_angle"] = np.pi / 2
    return np.asarray(flow.scheme_trajectory(scheme, VARIANCES, rounds, **options))


@pytest.mark.computes
@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if row.real != "scattered"])
def test_the_linear_model_obeys_the_law(scheme):
    """Margins: over 5 standard errors of the mean of seeds, whose pairs are finite: .4 % a round and seed through the
    ridge where they are kept, √(2/8192) = 1.6 % where their noise is redrawn."""
    redrawn = SCHEMES[scheme].own == "redrawn"
    margin = 0.04 if redrawn else 0.015
    rounds = 2
    options = {"ridge": RIDGE, "steps": 40, "method": "heun"}
    if redrawn:
        rounds, options = 3, {"steps": 10, "method": "euler"}
    result = run(
        KEY, gaussian(jax.random.key(5), SEEDS, 8192), scheme=scheme, rounds=rounds, real_fraction=ALPHA, seeds=SEEDS,
        model="linear", **options,
    )  # fmt: skip
    variance = np.diagonal(result.second_moment, axis1=2, axis2=3)
    expected = law(scheme, rounds)
    if redrawn:
        # Round 0 is trained on real data but sampled with the same N steps: generated variances start at λ_1.
        variance = variance[:, :-1]
    deviation = np.log(variance).mean(axis=0) - np.log(expected)
    assert np.all(np.abs(deviation) < margin), deviation
    np.testing.assert_allclose(result.eigenvalues[:, 0], np.linalg.eigvalsh(result.second_moment[:, 0])[:, ::-1])
    bent = SCHEMES[scheme].real == "redrawn"
    assert np.all(result.straightness[:, -1] / result.straightness[:, 0] < (1.5 if bent else 0.01))


@pytest.mark.slow
@pytest.mark.computes
def test_a_denoiser_falls_to_zero():
    result = run(
        KEY, gaussian(jax.random.key(5), SEEDS, 8192), scheme="reflow", rounds=3, ridge=0.05, seeds=SEEDS,
        model="linear", parametrisation="denoiser", steps=10, method="euler",
    )  # fmt: skip
    variance = np.diagonal(result.second_moment, axis1=2, axis2=3)
    start = flow.euler_gain(VARIANCES, 10) ** 2
    expected = flow.denoiser_trajectory("reflow", VARIANCES, 3, steps=10, ridge=0.05, initial_variance=start)
    assert np.all(np.abs(np.log(variance).mean(axis=0) - np.log(expected)) < 0.04)


@pytest.mark.slow
@pytest.mark.computes
def test_an_mlp_follows_reflow():
    """From where each seed's first model stands; a change of .13 to .65 in log-variance, with a margin of .02."""
    result = run(KEY, gaussian(jax.random.key(5), SEEDS, 8192), scheme="reflow", rounds=2, ridge=RIDGE, seeds=SEEDS)
    variance = np.diagonal(result.second_moment, axis1=2, axis2=3)
    assert np.all(np.abs(np.log(variance[:, 0] / VARIANCES).mean(axis=0)) < 0.05)
    expected = flow.scheme_trajectory("reflow", VARIANCES[None], 2, ridge=RIDGE, initial_variance=variance[:, 0])
    deviation = np.log(variance) - np.log(np.swapaxes(np.asarray(expected), 0, 1))
    assert np.all(np.abs(deviation.mean(axis=0)) < 0.02)


@pytest.mark.slow
def test_all_schemes_share_one_compilation():
    sizes = set()
    for scheme in SCHEMES:
        result = run(KEY, table(), scheme=scheme, rounds=2, real_fraction=0.3, ridge=0.1, **TINY)
        sizes.add(loop._chunk._cache_size())
        assert len(result.models) == 3 and result.second_moment.shape == (2, 3, 2, 2)
        assert result.loss.shape == (2, 3, 2) and result.straightness.shape == (2, 3)
        matrices = [np.asarray(models.net.matrices) for models in result.models]
        assert all(np.any(one != two) for one, two in pairwise(matrices))  # a new model each round
    assert len(sizes) == 1


@pytest.mark.parametrize("scheme, warm", [("anchored", False), ("oras", True), ("scored_oras", False)])
def test_a_run_continued_is_the_run_uninterrupted(scheme, warm):
    settings = {"scheme": scheme, "real_fraction": 0.3, "ridge": 0.1, "warm_start": warm, **TINY}
    seen: list[ReflowRound] = []
    whole = run(KEY, table(), rounds=3, on_round=seen.append, **settings)
    assert [one.index for one in seen] == [0, 1, 2, 3]
    continued = run(KEY, table(), rounds=3, finished=seen[:2], **settings)
    for one, two in zip(
        jax.tree.leaves(eqx.filter(whole, eqx.is_array_like)), jax.tree.leaves(eqx.filter(continued, eqx.is_array_like))
    ):
        np.testing.assert_array_equal(one, two)
    other = run(jax.random.key(1), table(), rounds=1, **settings)
    assert np.all(other.second_moment[:, 1] != whole.second_moment[:, 1])


def test_the_first_models_and_the_last_are_all_that_is_needed_to_go_on():
    plan = Plan(scheme="anchored", rounds=3, real_fraction=0.3, **TINY)
    whole = run(KEY, table(), plan)
    (last,) = each_round(KEY, table(), plan, [whole.models[0], None, whole.models[2]])
    assert last.index == 3
    np.testing.assert_array_equal(last.second_moment, whole.second_moment[:, 3])
    np.testing.assert_array_equal(run(KEY, table(), plan, rounds=1).loss, whole.loss[:, :2])


def test_wide_data_keep_no_moments(monkeypatch):
    monkeypatch.setattr(reflow, "WIDEST", 1)
    result = run(KEY, table(), scheme="reflow", rounds=0, **TINY)
    assert result.second_moment.shape == result.one_step_moment.shape == (2, 1, 0, 0)
    assert np.all(result.eigenvalues > 0)


def test_every_round_draws_its_own(monkeypatch):
    drawn = []
    for name in ("new_models", "make_pairs", "train"):
        original = getattr(reflow, name)

        def spy(key, *arguments, original=original, **settings):
            drawn.append(tuple(jax.random.key_data(key).tolist()))
            return original(key, *arguments, **settings)

        monkeypatch.setattr(reflow, name, spy)
    run(KEY, table(), scheme="reflow", rounds=2, **TINY)
    assert len(set(drawn)) == len(drawn) == 3 + 2 + 3


def test_divergence_keeps_the_rounds_before_it():
    with pytest.raises(Diverged, match="round 1, step 0, seed 0: loss") as caught:
        run(KEY, table(), scheme="reflow", rounds=2, ridge=1e38, **TINY)
    (first,) = caught.value.finished
    assert first.index == 0 and np.all(np.isfinite(first.second_moment))


def test_one_table_for_each_seed_and_adaptive_steps():
    data = np.stack([table(), 3 * table()])
    result = run(KEY, data, scheme="ra", rounds=0, method="adaptive", **TINY)
    assert result.second_moment.shape == (2, 1, 2, 2) and np.all(np.isnan(result.straightness))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scheme": "rca"}, "scheme must be one of 'reflow'"),
        ({"rounds": -1}, "rounds must be at least 0"),
        ({"real_fraction": 1.5}, r"real_fraction must lie in \[0, 1\]"),
        ({"ridge": -1.0}, "ridge must be at least 0"),
        ({"parametrisation": "denoiser"}, "method must be 'euler' for a denoiser"),
        ({"scheme": "oras", "method": "adaptive"}, "reverse SDE"),
        ({"mixing": "both"}, "mixing must be one of 'batch', 'offline'"),
        ({"probes": 1}, "probes must be at least 2"),
        ({"seeds": 3, "data": np.ones((2, 5, 2))}, r"with 3 seeds; got \(2, 5, 2\)"),
    ],
)
def test_refuses(change, words, unchecked):
    settings = {"data": table(), "scheme": "ra", "rounds": 1, **TINY} | change
    with pytest.raises(ValueError, match=words):
        run(KEY, settings.pop("data"), **settings)


def test_seeds_side_by_side_give_what_they_give_in_turn(monkeypatch):
    """On a GPU the seeds of a device go together, on a CPU in turn: the same numbers, up to rounding."""
    changed = {"model": "mlp", "options": {"width": 8, "depth": 1}, "pairs": 48, "rounds": 1, "real_fraction": ALPHA}
    settings, together = TINY | changed, []
    in_turn = {scheme: run(KEY, table(), scheme=scheme, **settings) for scheme in ("ra", "oras")}
    jax.clear_caches()  # the programs of the other way have the same keys
    monkeypatch.setattr(devices, "_take_turns", together.append)  # which returns None
    for scheme, one in in_turn.items():
        other = run(KEY, table(), scheme=scheme, **settings)
        for name in ("second_moment", "one_step_moment", "straightness", "loss"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-6, err_msg=name)
    jax.clear_caches()
    assert together
