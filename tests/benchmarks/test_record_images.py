"""The recording of images keeps each round, and goes on after the one in which it was cut off."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import record_images


@pytest.fixture
def record(tmp_path, monkeypatch):
    """The command, into a folder where the first model is: a number, to which each of four rounds adds one."""

    def each_round(key, rows, plan, models):
        for index in range(len(models), plan.rounds + 1):
            models = [*models, models[-1] + 1]
            made.append(index)
            yield SimpleNamespace(index=index, models=models[-1])

    def entry(scale, latest, curve):
        if latest.index == len(made) == stop:
            raise KeyboardInterrupt
        return {"model": float(latest.models), "curve": curve}

    def command(*words, until=None):
        nonlocal stop
        made.clear()
        stop = until
        record_images.main(["--scale", "trial", "--out", str(tmp_path), *words])
        return made.copy(), json.loads((tmp_path / "images_trial.json").read_text())[words[0]]["result"]

    made, stop = [], None
    nothing = SimpleNamespace(shape=(8, 8, 1)), np.zeros((9, 64)), None, 1.0
    monkeypatch.setattr(record_images, "material", lambda scale: nothing)
    monkeypatch.setattr(record_images, "entry", entry)
    monkeypatch.setattr(record_images.devices, "use_all_cores", lambda: None)
    monkeypatch.setattr(record_images.reflow, "each_round", each_round)
    monkeypatch.setattr(record_images.reflow, "new_models", lambda *_, **__: jnp.zeros(()))
    trial = record_images.SCALES["trial"]._replace(rounds=4, ablated_rounds=2)
    monkeypatch.setitem(record_images.SCALES, "trial", trial)
    record_images.keep(record_images.kept(trial._replace(folder=tmp_path)), jnp.zeros(()))
    return command


def test_a_part_goes_on_after_its_last_round(record, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record("ra", until=3)
    (draft,) = tmp_path.glob("images_digits_trial_ra.eqx")
    assert len(json.loads(draft.read_bytes().split(b"\n")[0])["entries"]) == 2
    made, result = record("ra")
    assert made == [3, 4] and not draft.exists()
    assert result["rounds"] == [{"model": float(index), "curve": index == 4} for index in (1, 2, 3, 4)]
    made, again = record("ra")
    assert made == [1, 2, 3, 4] and again == result


def test_a_part_of_other_first_models_begins_anew(record, tmp_path):
    name = "ra, real fraction .1"
    with pytest.raises(KeyboardInterrupt):
        record(name, until=2)
    (draft,) = tmp_path.glob("images_digits_trial_ra_real*.eqx")
    assert record("ra, real fraction .9")[0] == [1, 2] and draft.exists()
    record_images.keep(tmp_path / "images_digits_trial_first_models.eqx", jnp.full((), 5.0))
    made, result = record(name)
    assert made == [1, 2] and [one["model"] for one in result["rounds"]] == [6.0, 7.0]


@pytest.mark.parametrize("scale", [name for name in record_images.SCALES if name.startswith("gpu")])
def test_no_cpu_is_taken_for_a_gpu(record, capsys, scale):
    with pytest.raises(SystemExit):
        record("first", "--scale", scale)
    assert f"JAX finds no GPU for --scale {scale}" in capsys.readouterr().err


def test_every_scale_has_whole_chunks():
    for scale in record_images.SCALES.values():
        for steps in (scale.first_steps, scale.steps, 2 * scale.steps):
            record_images.training(scale, steps, 1e-3)
