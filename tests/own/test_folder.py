"""What is kept of rounds with a model of one's own, how they go on, and what is refused."""

import json

import numpy as np
import pytest
from own.affine import Affine, fit, gaussian, velocity
from sklearn.linear_model import Ridge

from rfcollapse import own

FIRST = fit(np.random.default_rng(5).standard_normal((20_000, 2)), gaussian(20_000, [2.5, 0.5], mean=3.0))


def features(t, x):
    """(n, 3d): x times a parabola of t, for a linear regression."""
    return np.concatenate([x, t * x, t * t * x], axis=1)


def regressed(x0, x1, previous):
    t = np.random.default_rng(len(x0)).random((len(x0), 1))
    return Ridge(alpha=1e-3).fit(features(t, x0 + t * (x1 - x0)), x1 - x0)


def regression_velocity(model, t, x):
    return model.predict(features(t, x))


class Cut(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("scheme", ["anchored", "oras", "fresh"])
def test_a_resumed_run_is_the_run_it_would_have_been(scheme, tmp_path):
    data = gaussian(400, [4.0, 0.25])
    settings = {"velocity": regression_velocity, "scheme": scheme, "real_fraction": 0.3}

    def cut(x0, x1, previous):
        calls.append(previous)
        if len(calls) == 3:
            raise Cut
        return regressed(x0, x1, previous)

    calls = []
    with pytest.raises(Cut):
        own.run(data, fit=cut, rounds=4, folder=tmp_path / "cut", **settings)
    assert len((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()) == 2
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"index": 2, "var')  # as a process does that is killed while it writes
    (tmp_path / "cut" / "round-002.model").mkdir()
    (tmp_path / "cut" / "round-003.model.1.tmp").mkdir()
    (tmp_path / "cut" / "round-002.model.2.tmp").write_text("half")
    own.run(data, fit=regressed, rounds=3, folder=tmp_path / "cut", resume=True, **settings)
    resumed = own.run(data, fit=regressed, rounds=4, folder=tmp_path / "cut", resume=True, **settings)
    whole = own.run(data, fit=regressed, rounds=4, folder=tmp_path / "whole", **settings)
    unkept = own.run(data, fit=regressed, rounds=4, **settings)
    for one, other, third in zip(resumed.rounds, whole.rounds, unkept.rounds, strict=True):
        assert repr(one._replace(seconds=0)) == repr(other._replace(seconds=0)) == repr(third._replace(seconds=0))
    assert np.array_equal(resumed.last.coef_, whole.last.coef_)
    assert (tmp_path / "cut" / "monitor.json").read_text() == (tmp_path / "whole" / "monitor.json").read_text()
    assert [path.name for path in (tmp_path / "cut").glob("*.tmp")] == []
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == [
        "config.json", "metrics.jsonl", "monitor.json", *(f"round-00{index}.model" for index in range(5))
    ]  # fmt: skip
    again = own.run(data, fit=cut, rounds=4, folder=tmp_path / "whole", resume=True, **settings)
    assert len(again.rounds) == 5 and len(calls) == 3  # nothing is trained anew


def test_a_first_model_that_is_given_is_the_anchor_of_a_resumed_run_too(tmp_path):
    data, settings = gaussian(400, [4.0, 0.25], mean=3.0), {"scheme": "anchored", "real_fraction": 0.3, "rounds": 2}
    callbacks = {"velocity": velocity, "fit": fit, "first": FIRST}
    whole = own.run(data, **callbacks, **settings)
    own.run(data, folder=tmp_path, **callbacks, **settings | {"rounds": 1})
    resumed = own.run(data, folder=tmp_path, resume=True, **callbacks, **settings)
    for one, other in zip(resumed.rounds, whole.rounds, strict=True):
        assert repr(one._replace(seconds=0)) == repr(other._replace(seconds=0))
    assert whole.first is FIRST and whole.rounds[0].loss is None and whole.rounds[1].loss is not None


def test_models_are_kept_by_the_users_own_functions(tmp_path):
    def save(model, path):
        path.mkdir()
        np.save(path / "moments.npy", np.array([model.noise, model.data, model.cross]))

    def load(path):
        return Affine((0.0, 0.0), *np.load(path / "moments.npy"), 0.0)

    data, settings = gaussian(300, [4.0, 0.25]), {"velocity": velocity, "fit": fit, "scheme": "anchored"}
    own.run(data, rounds=1, folder=tmp_path, save=save, load=load, **settings)
    run = own.run(data, rounds=2, folder=tmp_path, save=save, load=load, resume=True, **settings)
    assert len(run.rounds) == 3 and (tmp_path / "round-002.model" / "moments.npy").exists()
    with pytest.raises(ValueError, match="save must write the path"):
        own.run(data, rounds=3, folder=tmp_path, save=lambda *_: None, load=load, resume=True, **settings)
    with pytest.raises(ValueError, match=r"cannot be pickled .* give save and load"):
        unsaid = {"fit": lambda *_: lambda: 0, "velocity": still}
        own.run(data, rounds=0, folder=tmp_path / "other", **settings | unsaid)


def still(model, t, x):
    return 0 * x


class Graph:
    """As torch's tensors that need a gradient, or lie on a GPU."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


ROWS = np.random.default_rng(0).standard_normal((50, 2))
REFUSED = [
    ({"scheme": "raa"}, "scheme must be one of 'reflow'"),
    ({"scheme": "scored_oras"}, "needs derivatives of the model; 'oras' has"),
    ({"scheme": "ora"}, r"needs train\(pairs, previous\), which calls pairs.refresh"),
    ({"scheme": "ora", "fit": None, "train": lambda pairs, _: fit(*pairs.arrays())}, "must call pairs.refresh"),
    ({"fit": None, "train": lambda pairs, _: pairs.refresh(0)}, "only the scheme 'ora' refreshes"),
    ({"fit": None}, "either fit or train must be given; got neither"),
    ({"train": fit}, "either fit or train must be given; got both"),
    ({"fit": lambda *_: None}, "must return the model; got None"),
    ({"fit": lambda x0, x1, old: old or fit(x0, x1)}, "train a copy of previous"),
    ({"velocity": lambda model, t, x: x[0]}, r"array of x's shape, \(2048, 2\); got \(2,\)"),
    ({"velocity": lambda model, t, x: x[:, :1]}, r"array of x's shape, \(2048, 2\); got \(2048, 1\)"),
    ({"velocity": lambda model, t, x: 0.0}, r"array of x's shape, \(2048, 2\); got \(\)"),
    ({"velocity": lambda model, t, x: x / 0}, "velocity at t = 0 must be finite in float32"),
    ({"velocity": lambda model, t, x: x * 1e300}, "velocity at t = 0 must be finite in float32; got -?inf"),
    ({"velocity": lambda model, t, x: 3e38 + 0 * x, "steps": 1, "probes": 50}, "at t = 1 the model has lost them"),
    ({"scheme": None}, "scheme must be one of 'reflow'"),
    ({"rounds": None}, "rounds must be a whole number; got None"),
    ({"velocity": lambda model, t, x: Graph()}, r"requires grad.*\.detach\(\)\.float\(\)\.cpu\(\)"),
    ({"velocity": lambda model, t, x: None}, "velocity at t = 0 must be an array of real numbers"),
    ({"velocity": lambda model, t, x: 1j * x}, "velocity at t = 0 must be an array of real numbers"),
    ({"data": Graph()}, r"data must be an array for NumPy .*\.detach"),
    ({"data": ROWS[:1]}, r"data must have shape \(n, …\) with at least 2 rows; got \(1, 2\)"),
    ({"data": ROWS[:, 0]}, r"data must have shape \(n, …\) with at least 2 rows; got \(50,\)"),
    ({"data": np.ones((50, 2))}, "data must vary"),
    ({"data": ROWS * np.inf}, "data must be finite in float32"),
    ({"data": ROWS[:30], "held": 0.99}, "held must leave at least 2 rows"),
    ({"held": 1}, "held must leave"),
    ({"held": 0.0, "retain": 1.0}, "retain must lie between 0 and 1"),
    ({"probes": 19}, "probes must be at least 20; got 19"),
    ({"scheme": "oras", "probes": 30, "data": np.ones((50, 5, 6))}, "probes must be at least 31; got 30"),
    ({"method": "adaptive"}, "method must be one of 'heun', 'euler'"),
    ({"steps": [0, 0.5]}, "steps must increase from 0 to 1"),
    ({"real_fraction": 1.5}, r"real_fraction must lie in \[0, 1\]"),
    ({"seed": -1}, "seed must be at least 0"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the user's own divisions by 0
@pytest.mark.parametrize("changed, words", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_is_said_in_one_line(changed, words, unchecked):
    usual = {"data": ROWS, "velocity": velocity, "fit": fit, "scheme": "ra", "rounds": 1, "real_fraction": 0.3}
    settings = usual | changed
    with pytest.raises(ValueError, match=words) as raised:
        own.run(settings.pop("data"), **settings)
    assert "\n" not in str(raised.value)


def test_another_run_in_the_folder_is_refused_by_what_differs(tmp_path):
    settings = {"velocity": velocity, "fit": fit, "rounds": 1, "folder": tmp_path}
    own.run(ROWS, scheme="ra", **settings)
    for data, changed, words in [
        (ROWS, {"scheme": "ra"}, "holds a run: resume=True goes on"),
        (ROWS, {"scheme": "fresh", "resume": True}, "another run: scheme was ra, now fresh"),
        (ROWS, {"scheme": "ra", "resume": True, "first": FIRST}, "another run: first was False, now True"),
        (ROWS + 1, {"scheme": "ra", "resume": True}, "another run: sha256 was"),
        (ROWS, {"scheme": "ra", "resume": True, "rounds": 0}, "holds rounds 0 to 1; rounds must be 1 or more"),
    ]:
        with pytest.raises(ValueError, match=words):
            own.run(data, **settings | changed)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="holds no run that can be read"):
        own.run(ROWS, scheme="ra", resume=True, **settings)
