"""Mechanisms: the generic solver against closed forms and long runs, and refitting against samples."""

import json
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.advice import mechanisms, retention
from rfcollapse.theory import dae, flow

SPECTRUM = np.array([100.0, 10.0, 4.0, 1.0, 0.1])
EVERY_KIND = [
    mechanisms.Dae(1.0),
    mechanisms.Dae(0.5, 0.65),
    mechanisms.Flow(40),
    mechanisms.Reflow(0.05),
    mechanisms.Reflow(0.05, "anchored"),
    mechanisms.Reflow(0.05, "oras", 5.0),
    mechanisms.Refit(100),
    mechanisms.Rate(0.1),
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


def test_equal_mechanisms_share_one_compilation():
    assert mechanisms.Dae(0.3) == mechanisms.Dae(0.3, 0.3) != mechanisms.Dae(0.3, 0.2)
    assert mechanisms.Flow(3) == mechanisms.Flow(3) and hash(mechanisms.Rate(0.1)) == hash(mechanisms.Rate(0.1))
    mechanisms.trajectory(mechanisms.Dae(0.31), SPECTRUM, np.zeros(3))
    before = retention._trajectory._cache_size()
    mechanisms.trajectory(mechanisms.Dae(0.31), SPECTRUM, np.full(3, 0.5))
    assert retention._trajectory._cache_size() == before
    mechanisms.trajectory(mechanisms.Dae(0.32), SPECTRUM, np.zeros(3))
    assert retention._trajectory._cache_size() == before + 1


@dataclass(frozen=True)
class Fading(mechanisms.Mechanism):
    """λ' = f m."""

    factor: float = mechanisms.option("--fading-factor", "F", "factor of the variance", mechanisms.check.fraction)
    name = "fading"
    assumes = "every round leaves the part {factor:g}"
    end = "half is left"

    def one_round(self, variance, fraction, real):
        return self.factor * ((1 - fraction) * variance + fraction * real)

    def lifetime(self, real):
        return jnp.full_like(real, np.log(2) / -np.log(self.factor))


def test_a_mechanism_is_one_class(monkeypatch, capsys, tmp_path):
    """Entered into the table, it is an option of both commands, named by it, with an answer of the generic solver."""
    monkeypatch.setitem(mechanisms.MECHANISMS, "fading", Fading)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((200, 2)))
    budget = ["budget", str(tmp_path / "x.npy"), "--json", "--retain", "0.5", "--fading-factor", "0.9"]
    for named in ([], ["--mechanism", "fading"]):
        assert main([*budget, *named]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["mechanism"] == "fading" and answer["assumptions"] == "every round leaves the part 0.9"
        assert answer["needed"]["fraction"] == pytest.approx(1 / 9)  # (1/f − 1) R/(1 − R)
        assert answer["directions"]["lifetime"] == pytest.approx([np.log(2) / -np.log(0.9)] * 2)
    reference = ["--reference", str(tmp_path / "x.npy")]
    assert main(["monitor", str(tmp_path / "x.npy"), *reference, "--retain", "0.5", "--fading-factor", "0.9"]) == 0
    assert main([*budget, "--rate", "0.1"]) == 1 and "several mechanisms (fading, rate)" in capsys.readouterr().err
    assert main(["budget", str(tmp_path / "x.npy"), "--fading-factor", "7"]) == 1
    assert "fading_factor must lie in [0, 1]" in capsys.readouterr().err


def test_only_what_is_proved_is_promised_beyond_the_assumptions(capsys):
    """The floor for any denoiser is a theorem at ρ = 1 alone."""
    for options, said in (
        (["--noise-std", "1"], True),
        (["--noise-std", "1", "--resample-std", "1.1"], False),
        (["--steps", "9"], False),
    ):
        assert main(["budget", "gaussian:4,1", *options]) == 0
        assert ("is a floor, by theorem" in capsys.readouterr().out) == said
        assert main(["budget", "gaussian:4,1", "--json", *options]) == 0
        assert bool(json.loads(capsys.readouterr().out)["beyond"]) == said


def test_one_round_is_that_of_the_theory():
    path = mechanisms.trajectory(mechanisms.Flow(7), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(path, flow.self_consuming_trajectory(SPECTRUM, 7, 5, real_fraction=0.2), rtol=1e-12)
    path = mechanisms.trajectory(mechanisms.Dae(0.7, 0.5), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(path, dae.trajectory(SPECTRUM, 0.7, 5, resample_std=0.5, real_fraction=0.2), rtol=1e-12)
    path = mechanisms.trajectory(mechanisms.Reflow(0.1), SPECTRUM, np.full(5, 0.2))
    np.testing.assert_allclose(
        path, flow.scheme_trajectory("fresh", SPECTRUM, 5, real_fraction=0.2, ridge=0.1), rtol=1e-12
    )


def test_cycle_against_the_dae_s_own_solver():
    found = mechanisms.retained(mechanisms.Dae(1.0, 1.2), SPECTRUM[:2], 0.3, every=3)
    np.testing.assert_allclose(found, dae.retained_cycle(SPECTRUM[:2], 1.0, 0.3, 3, resample_std=1.2)[0], rtol=1e-9)


def test_required_fraction_against_closed_forms():
    each = mechanisms.required_fraction(mechanisms.Dae(1.0), SPECTRUM, 0.8, total=False)
    np.testing.assert_allclose(each, dae.required_real_fraction(0.8, SPECTRUM, 1.0), rtol=1e-7)
    for share in (0.3, 0.9, 0.95):
        found = mechanisms.required_fraction(mechanisms.Rate(0.08), SPECTRUM, share)
        np.testing.assert_allclose(found, flow.required_fraction_for_rate(0.08, share), rtol=1e-7)


def test_required_fraction_retains_just_that_much():
    for mechanism in EVERY_KIND:
        fraction = mechanisms.required_fraction(mechanism, SPECTRUM, 0.8)
        kept = [mechanisms.retained(mechanism, SPECTRUM, x) for x in (fraction, 0.99 * fraction)]
        enough, less = (float(mechanisms.total_share(x, SPECTRUM)) for x in kept)
        assert enough == pytest.approx(0.8, abs=1e-6) and less < 0.8, mechanism.name


def test_required_fraction_at_its_ends():
    assert np.isinf(mechanisms.required_fraction(mechanisms.Rate(0.2), SPECTRUM, 0.9))  # e^(−.2) = .82
    assert float(mechanisms.required_fraction(mechanisms.Rate(0.2), SPECTRUM, 0.0)) == 0
    assert float(mechanisms.required_fraction(mechanisms.Reflow(0.05), np.array([1.0]), 0.99)) == 0


def test_refit_against_samples():
    generator, n, fraction, seeds = np.random.default_rng(0), 20, 0.2, 40_000
    mean, variance, start = np.zeros(seeds), np.full(seeds, 4.0), 4.0
    for _ in range(30):
        own = mean[:, None] + np.sqrt(variance)[:, None] * generator.standard_normal((seeds, 16))
        pool = np.concatenate([2 * generator.standard_normal((seeds, 4)), own], axis=1)
        mean, variance = pool.mean(axis=1), pool.var(axis=1)
    found = float(mechanisms.retained(mechanisms.Refit(n), start, fraction))
    assert abs(variance.mean() - found) < 4 * variance.std() / seeds**0.5


def test_share_counts_growth_as_loss():
    shares = mechanisms.share(np.array([2.0, 8.0, 4.0, np.inf]), np.full(4, 4.0))
    np.testing.assert_allclose(shares, [0.5, 0.5, 1, 0])
    assert float(mechanisms.total_share(np.array([3.0, 2.0]), np.array([3.0, 1.0]))) == pytest.approx(3.5 / 4)


def test_bad_input(unchecked):
    for call in (
        lambda: mechanisms.Dae(0.0),
        lambda: mechanisms.Flow(1),
        lambda: mechanisms.Reflow(0.1, "other"),
        lambda: mechanisms.Refit(1),
        lambda: mechanisms.Rate(-1.0),
        lambda: mechanisms.retained(mechanisms.Rate(0.1), jnp.zeros(2), 0.1),
        lambda: mechanisms.required_fraction(mechanisms.Rate(0.1), SPECTRUM, 1.1),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
