"""The benchmark runs, says what it measured, and keeps what other runs have measured."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import bench
import bench_images
import bench_training
import contenders
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.learn import devices
from rfcollapse.simulate import dae


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout without results, with the peers of this one."""
    (tmp_path / "benchmarks").symlink_to(bench.ROOT / "benchmarks")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(contenders, "ROOT", tmp_path)
    contenders.versions.cache_clear()
    monkeypatch.setattr(bench, "use_all_cores", lambda: None)  # the tests of this process are not to share its devices
    return tmp_path


def test_race_takes_turns_and_gives_medians(monkeypatch):
    turns, clock = [], iter(np.cumsum([0, 50, 0, 9, 1, 2, 0, 10, 0, 4, 0, 20, 0, 3, 0, 90]))
    monkeypatch.setattr(contenders, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    seconds = bench.race({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 3)
    assert seconds == {"a": 3.0, "b": 20.0}  # the first turn, compilation, does not count
    assert "".join(turns) == "abababab"


def test_the_peer_follows_the_same_law():
    covariance = np.diag([4.0, 1.0])
    simulate = bench.peer("numpy_dae").simulate
    runs = [simulate(np.random.default_rng(i), covariance, 1.0, 2, 5) for i in range(3000)]
    eigenvalues, gains = (np.array(values) for values in zip(*runs))
    result = dae.run(jax.random.key(0), covariance, samples=5, noise_std=1.0, rounds=2, seeds=3000)
    for peers, ours in ((eigenvalues, np.asarray(result.eigenvalues)), (gains, np.asarray(result.gains))):
        error = np.sqrt((peers.var(axis=0) + ours.var(axis=0)) / 3000)
        assert np.max(np.abs(peers.mean(axis=0) - ours.mean(axis=0)) / error) < 5


def test_a_cheap_section_is_merged_with_what_is_there(root, capsys):
    label, about = devices.this_machine()
    path = root / "elsewhere" / f"{label}.json"
    path.parent.mkdir()
    others = {"date": "2020-01-01", "versions": {"jax": "0"}, "rows": [{"seconds": 1.0}]}
    path.write_text(json.dumps({"sections": {"training": others}}))
    assert main(["bench", "parts", "--quick", "--json", "--out", str(path.parent)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == json.loads(path.read_text()) and "parts" in err
    assert found["device"] == about and found["sections"]["training"] == others
    section = found["sections"]["parts"]
    assert {"date", "versions", "quick", "took", "rows"} <= section.keys() and section["quick"]
    assert sum(row["share"] for row in section["rows"]) == pytest.approx(1)
    assert "training (2020-01-01, jax 0)" in bench.table(found)


def test_a_measurement_that_fails_costs_no_other(root, capsys, monkeypatch):
    def section(quick):
        yield {"size": 1}, lambda: [{"seconds": 1.0}]
        (written,) = (root / "runs").glob("*.json")  # each row as it comes
        assert json.loads(written.read_text())["sections"]["toy"]["rows"] == [{"size": 1, "seconds": 1.0}]
        yield {"size": 2}, lambda: [{"seconds": 1 / 0}]
        yield {"size": 3}, lambda: [{"seconds": 3.0}]

    monkeypatch.setitem(bench.SECTIONS, "toy", section)
    assert main(["bench", "toy", "--quick"]) == 1
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines() if line.strip()[:1] in {*"123"}] == [
        ["1", "1"],
        ["2", "ZeroDivisionError:", "division", "by", "zero"],
        ["3", "3"],
    ]
    assert "toy {'size': 2}: ZeroDivisionError" in err


def test_programs_take_the_checkout_that_they_lie_in(tmp_path):
    """Installed or not; so that `contenders` must be imported before rfcollapse."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "rfcollapse").mkdir()
    shutil.copy(bench.ROOT / "benchmarks" / "contenders.py", tmp_path / "benchmarks")
    (tmp_path / "rfcollapse" / "__init__.py").write_text("print('this one')")
    (tmp_path / "benchmarks" / "toy.py").write_text("import contenders\nimport rfcollapse\n")
    ran = subprocess.run([sys.executable, tmp_path / "benchmarks" / "toy.py"], capture_output=True, text=True)
    assert ran.stdout == "this one\n", ran.stderr
    for path in (bench.ROOT / "benchmarks").glob("*.py"):
        imported = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        if "rfcollapse" in imported:
            before = set(imported[: imported.index("rfcollapse")])
            assert before & {"contenders", "bench_training", "recordings"}, path.name


def test_an_unknown_section_is_one_line_and_exit_1(root, capsys):
    assert main(["bench", "speed"]) == 1
    assert "no section named speed; there are methods" in capsys.readouterr().err


def test_without_a_checkout(root):
    (root / "benchmarks").unlink()
    with pytest.raises(ValueError, match=r"numpy_dae\.py is missing"):
        bench.peer("numpy_dae")


MODES = {"eager": None, "compiled": "no such mode"}  # of the stub at width 11, and why not
STUB = """
import json, sys, time
if "--versions" in sys.argv:
    print(json.dumps({"torch": "0", "torchcfm": "0"}))
    sys.exit()
threads, seen = int(sys.argv[2]), set()
print("{}", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request.get("width") == 13:
        sys.exit("out of luck")
    if request.get("width") == 11 and request["mode"] == "compiled":
        print(json.dumps({"error": "no such mode"}), flush=True)
        continue
    if request["mode"] not in seen:
        seen.add(request["mode"])
        time.sleep(0.2 if request["mode"] == "compiled" else 0)
    time.sleep(0.1 * (2 if request["mode"] == "eager" else 1) / threads)
    print(json.dumps({"loss": 1.0}), flush=True)
"""


@pytest.fixture
def stub(root, monkeypatch):
    """Peers that sleep for 0.2 s in eager and 0.1 s in compiled mode, half of it with two threads; ours for 0.05 s."""
    (root / "benchmarks").unlink()
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "torch_flow.py").write_text(STUB)
    monkeypatch.setattr(bench_training, "cores", lambda: 2)
    monkeypatch.setattr(
        bench_training, "ours", lambda size, steps, seeds=1, shards=1: lambda: contenders.time.sleep(0.05)
    )


def test_each_peer_at_its_best_number_of_threads(stub):
    found, _ = bench.run(["training"], quick=True, peers=sys.executable)
    section = found["sections"]["training"]
    rows = {row["loop"]: row for row in section["rows"]}
    assert section["versions"]["torch"] == "0" and len(rows) == 5
    assert all(row["threads"] == 2 for row in rows.values())
    steps = bench_training.steps_of(bench_training.QUICK, True)
    seconds = {"rfcollapse": 0.05, "torch eager": 0.1, "torchcfm compiled": 0.05}
    for loop, value in seconds.items():
        assert rows[loop]["step_seconds"] * steps == pytest.approx(value, rel=0.4)
    assert rows["torch compiled"]["compile_seconds"] == pytest.approx(0.2, rel=0.4)
    best = min(rows[f"{library} compiled"]["step_seconds"] for library in ("torch", "torchcfm"))
    assert all(row["against_best_peer"] == pytest.approx(best / row["step_seconds"]) for row in rows.values())


def test_peers_on_every_core_work_at_the_same_time(stub):
    found, _ = bench.run(["seeds"], quick=True, peers=sys.executable)
    rows = found["sections"]["seeds"]["rows"]
    each = {(row["loop"], row["processes"], row["threads"]): row["step_seconds"] * 10 for row in rows}
    assert each["torch eager", 1, 1] == pytest.approx(0.2, rel=0.4)
    assert each["torch eager", 2, 1] == pytest.approx(0.1, rel=0.4)  # of one seed, where two take 0.2 s
    two = next(row for row in rows if row["loop"] == "rfcollapse" and row["seeds"] == 2)
    assert two["against_one_process"] == pytest.approx(0.05 / 0.025, rel=0.4)


def test_peers_of_the_unet_and_of_sampling(stub, monkeypatch):
    def ours(*_, **__):
        contenders.time.sleep(0.05)

    monkeypatch.setattr(bench_training.integrate, "generate", ours)
    monkeypatch.setattr(bench_training.integrate, "invert", ours)
    monkeypatch.setattr(bench_images, "trained", lambda *_: ours)
    found, _ = bench.run(["sampling", "unet"], quick=True, peers=sys.executable)
    sampling, unet = (found["sections"][name]["rows"] for name in ("sampling", "unet"))
    loops = ["rfcollapse", "torch eager", "torch compiled"]  # torchcfm has neither
    assert [row["loop"] for row in sampling] == loops
    assert [(row["task"], row["loop"]) for row in unet] == list(itertools.product(("train", "sample"), loops))
    for row in (sampling[0], unet[0], unet[3]):
        assert row["against_best_peer"] == pytest.approx(1, rel=0.4)  # compiled, with two threads, takes .05 s, too
    assert sampling[1]["generate_per_second"] == pytest.approx(16 / 0.1, rel=0.4)
    assert unet[2]["images_per_second"] == pytest.approx(2 / 0.05, rel=0.4)
    assert unet[4]["samples_per_second"] == pytest.approx(1 / 0.1, rel=0.4)


def test_a_peer_that_stops(stub, capfd):
    with contenders.Peers(1, sys.executable, "torch_flow", "--threads", "1") as peers:
        with pytest.raises(ChildProcessError, match="stopped"):
            peers.ask(width=13)
        assert peers.ask(width=12, mode="eager") == [{"loss": 1.0}]  # of another process
    assert "out of luck" in capfd.readouterr().err


def test_a_peer_that_fails_costs_no_other(stub, monkeypatch):
    monkeypatch.setattr(bench_training, "QUICK", bench_training.Size(11, 16))
    found, _ = bench.run(["training", "seeds"], quick=True, peers=sys.executable)
    rows = found["sections"]["training"]["rows"]
    assert {row["loop"]: row.get("failed") for row in rows} == {
        "rfcollapse": None,
        **{f"{library} {mode}": why for library in ("torch", "torchcfm") for mode, why in MODES.items()},
    }
    assert rows[0]["against_best_peer"] > 0
    rows = found["sections"]["seeds"]["rows"]
    assert {row["loop"] for row in rows if "failed" in row} == {"torch compiled", "torchcfm compiled"}
    assert rows[0]["against_all_cores"] > 0 and "no such mode" in bench.table(found)


def test_one_process_serves_all_sizes(stub, monkeypatch):
    started = []
    monkeypatch.setattr(bench_training, "Peers", lambda *words: started.append(words) or contenders.Peers(*words))
    sizes = bench_training._each([bench_training.QUICK, bench_training.Size(9, 16)], True, sys.executable)
    assert [len(measure()) for _, measure in sizes] == [5, 5]
    assert len(started) == 4  # two libraries, with one thread and with two


@pytest.mark.parametrize("gpu", [True, False])
def test_a_turn_is_whole_chunks(monkeypatch, gpu):
    monkeypatch.setattr(bench_training, "on_gpu", lambda: gpu)
    for size in itertools.starmap(bench_training.Size, itertools.product((8, 128, 512, 2048), (1, 512, 16384))):
        steps = bench_training.steps_of(size, False)
        assert steps >= 10 and bench_training.training(size, steps).steps == steps


@pytest.mark.parametrize("python", [sys.executable, "no-such-python"])
def test_peers_that_are_not_installed_are_one_line_and_exit_1(root, python, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root))  # where torch may be installed after all, it is not found
    (root / "torch.py").write_text("raise ImportError('no torch')")
    assert main(["bench", "training", "--quick", "--peers", python]) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "benchmarks/requirements-peers.txt" in err


def test_flops_are_those_that_xla_counts():
    size = bench_training.Size(256, 64)
    flow = bench_training.model(size)

    def loss(flow, t, x):
        return jnp.mean(jax.vmap(flow)(t, x) ** 2)

    given = flow, jnp.ones(64, dtype=jnp.float32), jnp.ones((64, 2), dtype=jnp.float32)
    counted = jax.jit(jax.grad(loss)).lower(*given).compile().cost_analysis()["flops"]
    assert 1 < counted / size.flops < 1.03  # which counts what is done element by element as well


def test_ours_learns_the_best_velocity():
    # Independent pairs with variances 1 and 4 leave ∫ 4/((1−t)² + 4t²) dt = π, and the input noise a little more.
    _, loss = bench_training.ours(bench_training.Size(32, 256), 400)()
    assert loss[0, -1] == pytest.approx(np.pi, rel=0.05)


@pytest.mark.slow
def test_every_section_runs(root, capsys):
    assert main(["bench", "--quick"]) == 0
    out = capsys.readouterr().out
    found = json.loads(next((root / "runs").glob("*.json")).read_text())
    assert list(found["sections"]) == list(bench.SECTIONS) and all(name in out for name in bench.SECTIONS)
    rows = {name: section["rows"] for name, section in found["sections"].items()}
    # The differences of `agreement` are 0 where the only device is the CPU.
    measured = [row for name in rows if name != "agreement" for row in rows[name]]
    values = [value for row in measured for value in row.values() if isinstance(value, int | float)]
    assert not [row for row in measured if "failed" in row]
    assert len(values) > len(measured) and all(value > 0 for value in values)
    for row in rows["agreement"]:  # of the CPU with itself
        differences = row["loss_difference"], row["gradient_difference"]
        assert max(differences) < 1e-6 if row["dtype"] == "float32" else 0 < max(differences) < 0.1
    precisions = ("float32", "highest"), ("float32", "default"), ("bfloat16", "default")
    assert [(row["net"], (row["dtype"], row["precision"])) for row in rows["agreement"]] == list(
        itertools.product(("mlp", "unet"), precisions)
    )
    assert [(row["task"], row.get("dtype")) for row in rows["unet"]] == [("train", "bfloat16"), ("sample", None)]
    assert rows["unet"][0]["peak_share"] < 1
    assert [row["samples"] for row in rows["samples"]] == [100, 1000, 10_000, 100_000, 1_000_000]
    assert rows["memory"][-1]["direct_bytes"] > rows["memory"][0]["direct_bytes"]


def test_the_speeds_of_the_readme_are_those_on_record():
    record = json.loads((bench.ROOT / "benchmarks" / "results" / "amd_epyc_2_cores.json").read_text())
    rows = [row for row in record["sections"]["training"]["rows"] if row["loop"] == "rfcollapse"]
    told = []
    for row in rows:
        speed = format(row["steps_per_second"], ".0f" if row["steps_per_second"] > 100 else ".3g")
        shares = f"{row['against_best_peer']:.2f} × | {100 * row['peak_share']:.0f} %"
        told.append(f"| {row['width']} | {row['batch']} | {speed} | {shares} |")
    text = " ".join((bench.ROOT / "README.md").read_text().split())
    assert " ".join(told) in text
    rows = {(row["loop"], row["seeds"]): row for row in record["sections"]["seeds"]["rows"]}
    one, many = rows[bench_training.SHARED, 1], rows[bench_training.OURS, 16]
    assert f"makes {one['steps_per_second']:.0f} steps/s, {one['against_one_process']:.2f} × the best peer." in text
    speeds = f"{many['against_one_process']:.2f} × one peer process, {many['against_all_cores']:.2f} × the best"
    assert f"make {many['steps_per_second']:.0f} steps/s together: {speeds}" in text
