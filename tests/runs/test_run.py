"""Long runs: killed, damaged, resumed, refused; and that what is recorded is what the settings say."""

import argparse
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from rfcollapse import output
from rfcollapse.__main__ import main
from rfcollapse.learn import classifier, devices, reflow
from rfcollapse.learn import train as loop
from rfcollapse.learn.plan import Plan, Training
from rfcollapse.runs import command, looks
from rfcollapse.runs import folder as runfolder
from rfcollapse.runs import run as experiment
from rfcollapse.runs.plan import LONGEST, RunPlan, folder_name, read_options
from rfcollapse.runs.run import read, run
from rfcollapse.schemes import SCHEMES, Scheme

TINY = {"model": "linear", "seeds": 2, "samples": 64, "pairs": 64, "probes": 32, "steps": 3}
TINY |= {"training": Training.usual("linear", steps=50, chunk=25, batch=8)}
BASE = RunPlan(data="two_moons", scheme="anchored", rounds=3, real_fraction=0.3, ridge=0.1, warm_start=True, **TINY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(BASE, folder)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def arguments(plan, folder, *more):
    """The command line of this plan."""
    words = ["reflow", "--out", str(folder), *more]
    training = {"training_steps" if name == "steps" else name: value for name, value in vars(plan.training).items()}
    for name, value in (vars(plan) | training | plan.options).items():
        if name not in ("training", "options") and value is not False:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return words


def assert_same(folder, other):
    """Bit for bit, but for the seconds."""
    one, two = read(folder), read(other)
    assert one.config == two.config and one.metrics.keys() == two.metrics.keys()
    for name in one.metrics.keys() - {"seconds"}:
        np.testing.assert_array_equal(one.metrics[name], two.metrics[name])
    files = sorted(path.name for path in folder.glob("*.eqx"))
    assert files == sorted(path.name for path in other.glob("*.eqx")) and files
    for name in files:
        assert (folder / name).read_bytes().partition(b"\n")[2] == (other / name).read_bytes().partition(b"\n")[2]


@pytest.mark.slow
def test_every_setting_reaches_the_training(tmp_path):
    changed = {"ridge": 0.2, "first_ridge": 0.1, "real_fraction": 0.4, "mixing": "offline", "pairs": 40, "steps": 2}
    changed |= {"diffusion": 0.3}
    changed |= {"method": "euler", "parametrisation": "denoiser", "warm_start": True, "probes": 20, "seeds": 2}
    changed |= {"scheme": "oras", "rounds": 1, "model": "mlp", "options": {"width": 5}, "at_once": 7}
    training = {"batch": 4, "learning_rate": 0.02, "average": 0.5, "chunk": 5, "precision": "bfloat16"}
    training = Training(steps=10, optimizer="adamw", weight_decay=0.1, **training)
    changed |= {"training": training}
    plan = RunPlan(data="gaussian:4,0.25", seed=3, samples=30, **changed)
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    assert read_options(parser.parse_args(arguments(plan, "x")[1:])) == plan
    log = run(plan, tmp_path)
    key_data, key_run, _ = jax.random.split(jax.random.key(3), 3)
    samples = experiment.load(key_data, plan).train
    theirs = reflow.run(key_run, samples, **changed)
    diagonal = np.diagonal(theirs.one_step_moment, axis1=2, axis2=3)
    np.testing.assert_array_equal(log.metrics["eigenvalues"], theirs.eigenvalues)
    np.testing.assert_array_equal(log.metrics["one_step_moment_diagonal"], diagonal)
    np.testing.assert_array_equal(log.metrics["straightness"], theirs.straightness)
    np.testing.assert_array_equal(log.metrics["loss"], theirs.loss[:, :, -1])
    assert log.metrics["second_moment_diagonal"].shape == (2, 2, 2) and log.metrics["seconds"].shape == (2,)
    np.testing.assert_allclose(np.swapaxes(samples, 1, 2) @ samples / 30, [np.diag([4, 0.25])] * 2, atol=1e-12)
    known = log.config["settings"]
    assert known["options"] == {"width": 5} and known["training"]["precision"] == "bfloat16" and known["ridge"] == 0.2


def test_a_file_is_parted_and_mixtures_are_drawn_per_seed(tmp_path):
    rows = np.arange(400.0).reshape(200, 2)
    np.save(tmp_path / "rows.npy", rows)
    settings = replace(BASE, data=str(tmp_path / "rows.npy"))
    train, held, *_ = experiment.load(jax.random.key(0), settings)
    assert train.shape == (180, 2) and held.shape == (2, 20, 2)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held[1]]), axis=0), rows)
    np.save(tmp_path / "rows.npy", rows[:99])
    train, held, *_ = experiment.load(jax.random.key(0), settings)
    assert train.shape == (99, 2) and held is None
    train, held, *_ = experiment.load(jax.random.key(0), BASE)
    assert train.shape == (2, 64, 2) and held.shape == (2, 32, 2) and not np.any(np.isin(held, train))
    assert np.all(train[0] != train[1])


def idx(path, array):
    path.write_bytes(np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes() + array.tobytes())


def images(folder, count, side):
    """Of MNIST's format, so that the folder, labels and pictures are tried as well."""
    random = np.random.default_rng(0)
    idx(folder / "train-images-idx3-ubyte", random.integers(0, 256, (count, side, side), dtype=np.uint8))
    idx(folder / "train-labels-idx1-ubyte", random.integers(0, 3, count, dtype=np.uint8))
    return f"mnist:{folder}"


def test_images_are_looked_at_and_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 50)
    settings = replace(BASE, data=images(tmp_path, 300, 8), rounds=2, probes=30)
    log = run(settings, tmp_path / "whole")
    shapes = {name: values.shape for name, values in log.metrics.items()}
    assert shapes["variance_ratio"] == (2, 3, 64) and shapes["few_steps"] == (2, 3, 5)
    for name in ("frechet_pca", "frechet_features", "recall", "reconstruction", "sliced_w2"):
        assert shapes[name] == (2, 3) and np.all(np.isfinite(log.metrics[name]))
    shown = [np.load(path) for path in sorted((tmp_path / "whole").glob("pictures-*.npy"))]
    assert len(shown) == 3 and shown[0].shape == (8, 8, 8) and shown[0].dtype == np.uint8
    shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    for path in (tmp_path / "copy").glob("*-002.*"):
        path.unlink()
    run(settings, tmp_path / "copy", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "copy")
    np.testing.assert_array_equal(np.load(tmp_path / "copy" / "pictures-002.npy"), shown[2])


@pytest.mark.slow
def test_a_unet_from_the_command_line(tmp_path, capsys, monkeypatch):
    """Its later rounds and their refreshments compile nothing anew, and in bfloat16 its weights stay float32."""
    kept, sizes, save = [], [], runfolder.save

    def spy(folder, config, models, row, pictures):
        kept.append(models)
        sizes.append(loop._chunk._cache_size())
        save(folder, config, models, row, pictures)

    monkeypatch.setattr(runfolder, "save", spy)
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    monkeypatch.setattr(looks, "STEPS", (1, 2))
    monkeypatch.setattr(classifier, "STEPS", 50)
    training = replace(BASE.training, steps=4, chunk=2, precision="bfloat16")
    plan = replace(BASE, data=images(tmp_path, 320, 4), scheme="ora", model="unet", options={"channels": 8}, rounds=2)
    plan = replace(plan, training=training, steps=2, method="euler", pairs=32)
    assert main([*arguments(plan, tmp_path / "run"), "--json"]) == 0
    assert len(sizes) == 3 and len(set(sizes)) == 1
    assert json.loads(capsys.readouterr().out)["final"]["round"] == 2
    metrics = read(tmp_path / "run").metrics
    for name in ("frechet_features", "loss", "eigenvalues", "second_moment_diagonal"):
        assert metrics[name].shape[:2] == (2, 3) and np.all(np.isfinite(metrics[name]))
    dtypes = {leaf.dtype for models in kept for leaf in jax.tree.leaves(eqx.filter(models, eqx.is_array))}
    assert dtypes == {np.dtype("float32")}


def test_resumed_after_a_lost_checkpoint(whole, copy):
    (copy / "round-003.eqx").unlink()
    run(BASE, copy, resume=True)
    assert_same(whole, copy)
    for path in copy.glob("round-00[123].eqx"):
        path.unlink()
    run(BASE, copy, resume=True)
    assert_same(whole, copy)


@pytest.mark.slow
def test_resumed_after_being_killed(tmp_path):
    killed, settings = tmp_path / "killed", replace(BASE, rounds=1000)
    program = "from rfcollapse.learn.plan import Training; from rfcollapse.runs.run import RunPlan, run; "
    program += f"run({settings!r}, {str(killed)!r})"
    with (tmp_path / "log").open("w") as log, subprocess.Popen([sys.executable, "-c", program], stderr=log) as process:
        try:
            while process.poll() is None:
                time.sleep(0.01)
                if (killed / "metrics.jsonl").exists() and len(runfolder.lines(killed)) > 2:
                    break
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    rounds = len(list(killed.glob("*.eqx")))
    assert rounds - len(runfolder.lines(killed)) in (0, 1)
    settings = replace(settings, rounds=rounds + 1)
    run(settings, killed, resume=True)
    run(settings, tmp_path / "whole")
    assert_same(killed, tmp_path / "whole")
    assert read(killed).metrics["round"].tolist() == list(range(rounds + 2))


def test_more_rounds_are_added_and_fewer_refused(whole, copy):
    log = run(replace(BASE, rounds=4), copy, resume=True)
    assert log.config["settings"]["rounds"] == 4 and log.metrics["eigenvalues"].shape == (2, 5, 2)
    np.testing.assert_array_equal(log.metrics["recall"][:, :4], read(whole).metrics["recall"])
    with pytest.raises(ValueError, match="holds rounds 0 to 4 already; rounds must be 4 or more"):
        run(BASE, copy, resume=True)


def test_a_run_of_an_older_version_is_refused_in_one_line(copy):
    config = json.loads((copy / "config.json").read_text())
    del config["format"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"another version, whose checkpoints are not read: name another .* --out$"):
        run(BASE, copy, resume=True)


def test_a_torn_line_is_not_read_and_mended(whole, copy):
    text = (copy / "metrics.jsonl").read_text()
    (copy / "metrics.jsonl").write_text(text[:-20])
    (copy / "round-004.tmp").write_bytes(b"half")
    assert read(copy).metrics["round"].tolist() == [0, 1, 2]
    run(BASE, copy, resume=True)
    assert (copy / "metrics.jsonl").read_text() == text
    (copy / "metrics.jsonl").write_text("{1\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged .* resuming"):
        read(copy)


def test_an_existing_folder_is_refused(copy, tmp_path):
    with pytest.raises(ValueError, match=r"is not empty: --resume .* --out"):
        run(BASE, copy)
    (tmp_path / "other").mkdir()
    shutil.copy(copy / "round-000.eqx", tmp_path / "other")
    with pytest.raises(ValueError, match=r"no run to resume \(config.json is missing\)"):
        run(BASE, tmp_path / "other", resume=True)
    with pytest.raises(ValueError, match=r"another run: settings\.ridge was 0\.1, now 0\.2\. Resume"):
        run(replace(BASE, ridge=0.2, rounds=7), copy, resume=True)
    config = json.loads((copy / "config.json").read_text())
    config["versions"]["jax"] = "0.1"
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"versions\.jax was 0\.1, now"):
        run(BASE, copy, resume=True)
    for text in ("{", "7", ""):
        (copy / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config\.json is damaged .*: name another folder with --out"):
            run(BASE, copy, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "header", "longer", "another round", "another shape", "foreign"])
def test_a_damaged_checkpoint_is_named_with_the_remedy(copy, damage):
    path = copy / "round-002.eqx"
    good = path.read_bytes()
    contents = {
        "truncated": good[:-7],
        "header": good[:20],
        "longer": good + b"x",
        "another round": (copy / "round-001.eqx").read_bytes(),
        "another shape": good.replace(b"(2, 17, 2, 2)", b"(2, 34, 1, 2)"),
        "foreign": b"\x93NUMPY\n\x00",
    }
    path.write_bytes(contents[damage])
    with pytest.raises(
        ValueError, match=r"round-002\.eqx is not a whole checkpoint .*delete it, and --resume .* round 2"
    ):
        run(BASE, copy, resume=True)


def test_divergence_is_one_line_and_keeps_the_rounds_before(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(arguments(replace(BASE, ridge=1e38), folder)) == 1
    out, err = capsys.readouterr()
    last = err.strip().splitlines()[-1]
    assert out == "" and "rfcollapse reflow: training diverged in round 1, step 0, seed 0: loss" in last
    assert last.endswith(f"; rounds 0 to 0 are kept in {folder}")
    assert read(folder).metrics["round"].tolist() == [0]
    assert main(arguments(replace(BASE, first_ridge=1e38), tmp_path / "other")) == 1
    assert "there is no round before it" in capsys.readouterr().err


class Killed(BaseException):
    """As if by SIGKILL: nobody catches it, and nothing is tidied up afterwards."""


def test_killed_at_fifty_moments(tmp_path, monkeypatch):
    """In training, and before and after each step on the way of a file to the disk; what was being written is torn."""
    plan, moments, left, kills = replace(BASE, rounds=20), random.Random(0), 0, 0

    def deadly(module, name):
        true = getattr(module, name)

        def step(*arguments, **named):
            nonlocal left
            left -= 1
            if left == 0:
                if hasattr(arguments[0], "truncate"):
                    arguments[0].flush()
                    arguments[0].truncate(arguments[0].tell() - moments.randrange(9))
                raise Killed
            return true(*arguments, **named)

        monkeypatch.setattr(module, name, step)

    run(plan, tmp_path / "whole")
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **named: None if left <= 0 else unlink(path, **named))
    for module, name in (
        (os, "replace"),
        (os, "fsync"),
        (output, "flush"),
        (runfolder, "flush"),
        (reflow, "train"),
        (looks, "compared"),
    ):
        deadly(module, name)
    while True:
        left = moments.randint(1, 18) if kills < 50 else 10**9
        try:
            run(plan, tmp_path / "killed", resume=True)
            break
        except Killed:
            kills += 1
    assert kills == 50
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert {path.suffix for path in (tmp_path / "killed").iterdir()} <= {".json", ".jsonl", ".eqx", ""}


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EIO, "limit"])
@pytest.mark.parametrize("name", ["round-002.eqx", "metrics.jsonl", "config.json"])
def test_a_full_disk_costs_one_line_and_no_round(whole, tmp_path, monkeypatch, capsys, reason, name):
    folder, flush, save = tmp_path / "run", output.flush, runfolder.save

    def full(file):
        if Path(file.name).name.startswith(name) and (name != "metrics.jsonl" or len(list(folder.glob("*.eqx"))) > 2):
            raise OSError(reason, os.strerror(reason))
        flush(file)

    def limited(*arguments):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (9 if arguments[3]["round"] > 1 or name == "config.json" else soft, hard)
        )
        try:
            save(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with monkeypatch.context() as patch:
        patch.setattr(command, "use_all_cores", lambda: None)
        if reason == "limit":
            patch.setattr(runfolder, "save", limited)
        else:
            patch.setattr(output, "flush", full)
            patch.setattr(runfolder, "flush", full)
        assert main(arguments(BASE, folder)) == 1
    out, err = capsys.readouterr()
    last = {"round-002.eqx": 1, "metrics.jsonl": 1 if reason == "limit" else 2, "config.json": -1}[name]
    kept = f"rounds 0 to {last} are kept in {folder}" if last >= 0 else "there is no round before it to keep"
    said = os.strerror(errno.EFBIG if reason == "limit" else reason)
    line = err.rpartition("rfcollapse reflow: ")[2]
    assert not out and "Traceback" not in err and line.count("\n") == 1
    assert said in line and line.endswith(f"; {kept}: with room, the same command with --resume goes on\n")
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
    run(BASE, folder, resume=True)
    assert_same(whole, folder)


def test_two_jobs_never_share_a_folder(whole, copy, capsys, monkeypatch):
    """Also where both would resume the same run."""
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    before = {path: path.read_bytes() for path in copy.iterdir()}
    for more in ((), ("--resume",), ("--resume", "--strict")):
        with output.locked(copy):
            assert main(arguments(BASE, copy, *more)) == 1
        line = capsys.readouterr().err
        assert line == (
            f"rfcollapse reflow: {copy} is in use by another process (pid {os.getpid()}, host {os.uname().nodename}): "
            "wait until it ends\n"
        )
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize(
    "changed",
    [{"real_fraction": 0.5}, {"ridge": 0.01}, {"seed": 4}, {"scheme": "ra"}, {"warm_start": False}, {"data": "a/b.npy"},
     {"training": replace(BASE.training, steps=75)}, {"model": "mlp", "options": {"width": 5}, "training": None},
     {"data": "gaussian:4,0.25"}, {"data": "gaussian:4,0,25"}, {"data": "x" * 999}, {"data": "データ.npy"},
     {"data": "データ" * 40}, {"data": "../up.npy"}, {"data": "bad\udce4.npy"}, {"data": "a b\n.npy"}],
)  # fmt: skip
def test_a_folder_is_named_by_what_is_swept(changed, tmp_path):
    one, other = folder_name(BASE), folder_name(replace(BASE, **changed))
    assert one != other and folder_name(replace(BASE, rounds=9)) == one
    assert len(other.encode()) <= LONGEST and Path(other).name == other and "\n" not in other
    (tmp_path / other).mkdir()


def test_a_short_name_says_what_is_changed():
    plan = RunPlan(data="two_moons", scheme="ra", rounds=3, real_fraction=0.1, model="linear", warm_start=True)
    assert folder_name(plan) == "reflow-two_moons-ra-0-real_fraction=0.1-model=linear-warm_start=True"
    assert folder_name(RunPlan(data="digits", scheme="reflow", rounds=3, seed=7)) == "reflow-digits-reflow-7"


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_no_run_is_no_obstacle(resume, tmp_path):
    """Such as the scheduler's log of the very job, a folder, notes, a draft of a killed run."""
    (tmp_path / "slurm").mkdir()
    others = [tmp_path / name for name in ("log.txt", ".hidden", "slurm/1.out", "round-1.txt", "config.json.bak")]
    for path in others:
        path.write_text("mine")
    (tmp_path / "round-000.eqx.77.tmp").write_bytes(b"torn")
    run(replace(BASE, rounds=0), tmp_path, resume=resume)
    assert all(path.read_text() == "mine" for path in others) and not list(tmp_path.glob("*.tmp"))
    for name in ("config.json", "metrics.jsonl", "round-000.eqx", "pictures-000.npy"):
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "one" / name).touch()
        with pytest.raises(ValueError, match="is not empty: --resume"):
            run(BASE, tmp_path / "one")
        (tmp_path / "one" / name).unlink()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("part", ["name", "cpu", "cores", "python", "devices"])
def test_another_device_is_warned_of_or_refused(whole, copy, capsys, monkeypatch, part):
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    config = json.loads((copy / "config.json").read_text())
    device = config["device"] | {part: "another"}
    (copy / "config.json").write_text(json.dumps(config | {"device": device}))
    (copy / "round-003.eqx").unlink()
    assert main(arguments(BASE, copy, "--resume", "--strict")) == 1
    words = f"device.{part} was another, now {config['device'][part]}"
    assert f"holds another run: {words}" in capsys.readouterr().err
    for again in range(2):
        assert main(arguments(BASE, copy, "--resume")) == 0
        err, warning = (
            capsys.readouterr().err,
            f"begun on another device ({words}): from here on the last bits may differ\n",
        )
        assert (warning in err) == (again == 0)
    assert read(copy).config == config | {"earlier_devices": [device]}


@pytest.mark.filterwarnings("default")
def test_what_is_no_number_is_not_shown_as_one(tmp_path, capsys, monkeypatch):
    """Adaptive steps know no straightness, and --steps nothing of them."""
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    plan = replace(BASE, rounds=0, method="adaptive", steps=5)
    assert main(arguments(plan, tmp_path)) == 0
    out, err = capsys.readouterr()
    assert "rfcollapse reflow: warning: --steps 5 has no effect: --method adaptive takes as many as it needs\n" in err
    assert "nan" not in out and "straightness" not in out and "recall" in out
    metrics = {name: np.ones((2, 1, 2)) for name in ("eigenvalues", "law")} | {"seconds": np.ones(1)}
    metrics |= {"loss": np.array([[1.0], [np.nan]])}
    metrics["law"][1] = np.nan
    assert command._rounds(metrics).splitlines()[1].split() == ["0", "1", "±", "0", "—", "1", "±", "0", "—", "—", "1.0"]


@pytest.mark.parametrize(
    "changed",
    [{"samples": 900_000_000_000}, {"pairs": 10**15}, {"probes": 10**12}, {"rounds": 10**13}, {"seeds": 10**12},
     {"training": replace(BASE.training, batch=10**12)}, {"data": "gaussian:1,2", "samples": 10**14},
     {"training": replace(BASE.training, steps=10**12, chunk=10**12)},
     {"model": "mlp", "options": {"width": 10**8}, "training": None}],
)  # fmt: skip
def test_what_no_memory_holds_is_refused_before(changed, tmp_path):
    with pytest.raises(
        ValueError, match=r"needs [\de.+]+ GiB of memory, of .* in all; this process may use .*: take fewer"
    ):
        run(replace(BASE, **changed), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_limit_of_the_process_is_memory_too(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "memory", lambda: 8e9)
    with pytest.raises(
        ValueError,
        match=r"samples = 300000000 for each of 2 seeds needs 8\.94 GiB of memory, of 8\.94 in all; .* use 7\.45",
    ):
        run(replace(BASE, samples=300_000_000), tmp_path)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**30])
def test_seeds_that_jax_does_not_take_are_refused(seed):
    with pytest.raises(ValueError, match=f"seed must be from 0 to 9223372036854775807; got {seed}"):
        replace(BASE, seed=seed)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"data": "digit"}, "data must be digits, fashion, photos, photos32, eight_gaussians.*; got 'digit'"),
        ({"data": "none.npy"}, "none.npy"),
        ({"data": "gaussian:4,x"}, "data must be gaussian:VARIANCES, numbers ≥ 0"),
        ({"data": "gaussian:4,-1"}, "data must be gaussian:VARIANCES, numbers ≥ 0"),
        ({"data": "gaussian:1,1,1", "samples": 2}, "samples must be at least 3"),
        ({"ridge": -1.0}, "ridge must be at least 0"),
        ({"rounds": -1}, "rounds must be at least 0"),
        ({"options": {"width": 4}}, "options of the model 'linear' are knots; got width"),
        ({"options": {"channels": 8}}, "options of the model 'linear' are knots; got channels"),
        ({"model": "unet"}, "model must not be 'unet' for data that are no images; got data 'two_moons'"),
    ],
)
def test_bad_settings_are_one_line(changed, words, tmp_path, capsys, monkeypatch, unchecked):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError), match=words):
        run(replace(BASE, **changed), tmp_path / "run")
    command_line = arguments(BASE, tmp_path / "run")  # a folder that is left empty is no obstacle
    for name, value in changed.get("options", changed).items():
        command_line += [f"--{name}", str(value)]
    assert main(command_line) == 1
    assert "rfcollapse reflow: " in capsys.readouterr().err.strip().splitlines()[-1]
    with pytest.raises(ValueError, match="scheme must be one of"):
        replace(BASE, scheme="rca")


def test_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "use_all_cores", lambda: None)  # what else runs in this process has one device
    monkeypatch.chdir(tmp_path)
    words = [word for word in arguments(replace(BASE, rounds=1), "x") if word not in ("--out", "x")]
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    name = f"runs/{folder_name(BASE)}"
    assert found["folder"] == name and "2/2" in err
    assert found["final"]["round"] == 1 and found["final"] == runfolder.lines(found["folder"])[-1]
    assert found["config"]["settings"]["warm_start"] is True
    assert main(words) == 1
    assert "is not empty: --resume" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["round", "largest", "variance"] and lines[2].startswith("1 ") and "±" in lines[2]
    assert lines[-1] == f"written to {name}"


@pytest.mark.computes
def test_the_law_stands_beside_the_measurement(tmp_path, capsys, monkeypatch):
    """Reflow's own: g² ← (g² + τ)/(1 + τ). Pairs are finite: .4 % a round and seed through the ridge."""
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    training = Training.usual("linear", steps=600)
    plan = replace(BASE, data="gaussian:4,0.25", scheme="reflow", ridge=0.2, steps=20, samples=4096, pairs=4096)
    assert main(arguments(replace(plan, rounds=2, training=training), tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["round", "largest", "variance", "law", "smallest"]
    assert lines[4] == "law: of a linear model and its exact flow, from the measured first model on"
    metrics = read(tmp_path).metrics
    law, measured = metrics["law"], metrics["eigenvalues"]
    np.testing.assert_allclose(law[:, 0], measured[:, 0], rtol=1e-12)
    np.testing.assert_allclose(law[:, 1:], (law[:, :-1] + 0.2) / 1.2, rtol=1e-12)
    np.testing.assert_allclose(measured[:, 2], law[:, 2], rtol=0.03)
    assert np.all(np.abs(law[:, 2] - law[:, 0]) > 0.2 * np.abs(1 - law[:, 0]))


def test_a_new_row_of_known_kinds_trains_and_is_a_choice(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "use_all_cores", lambda: None)
    monkeypatch.setitem(SCHEMES, "toy", Scheme("toy", "redrawn", "inverted"))
    plan = replace(BASE, scheme="toy", rounds=1)
    trained = reflow.run(jax.random.key(0), np.random.default_rng(0).normal(size=(64, 2)), plan)
    assert np.all(np.isfinite(trained.loss)) and len(trained.models) == 2
    assert main(arguments(plan, tmp_path)) == 0
    assert "law: " in capsys.readouterr().out and read(tmp_path).metrics["round"].tolist() == [0, 1]


def test_an_interrupt_says_how_to_resume(tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reflow, "train", interrupted)
    assert main(arguments(BASE, tmp_path)) == 130
    assert (
        capsys.readouterr().err.strip().splitlines()[-1].endswith("the same command with --resume goes on from there")
    )


def test_the_command_needs_neither_jupyter_nor_plots():
    program = """
import sys
from rfcollapse.__main__ import main
try:
    main(["reflow", "--help"])
except SystemExit:
    print([name for name in ("matplotlib", "nbformat", "nbclient", "IPython", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--real-fraction" in done.stdout and done.stdout.endswith("[]\n")


def test_a_checkpoint_is_the_models_of_the_round(whole):
    real = experiment.load(jax.random.split(jax.random.key(0), 3)[0], BASE)
    like = experiment._untrained(BASE, real)
    loaded = [runfolder._load(path, like, index) for index, path in enumerate(sorted(whole.glob("*.eqx")))]
    plan = Plan(**{one.name: getattr(BASE, one.name) for one in fields(Plan)})
    again = reflow.run(jax.random.split(jax.random.key(0), 3)[1], real.train, plan)
    for (row, models), expected, eigenvalues in zip(loaded, again.models, np.swapaxes(again.eigenvalues, 0, 1)):
        assert eqx.tree_equal(models, expected)
        np.testing.assert_array_equal(row["eigenvalues"], eigenvalues)
