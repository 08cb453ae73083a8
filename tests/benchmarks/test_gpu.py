"""What a GPU would run runs in miniature on a CPU, row by row, and what fails there costs one row."""

import json
import subprocess
import sys
from pathlib import Path

import gpu
import pytest

PROGRAM = Path(gpu.__file__)


def test_every_section_in_miniature(tmp_path):
    command = [sys.executable, PROGRAM, "--tiny", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (path,) = tmp_path.glob("gpu_*_tiny.json")
    report = json.loads(path.read_text())
    assert list(report["sections"]) == list(gpu.SECTIONS)
    rows = {f"{section}: {row['row']}": row for section, rows in report["sections"].items() for row in rows}
    assert not [name for name, row in rows.items() if "left_out" in row]
    failed = {name for name, row in rows.items() if "failed" in row}
    assert failed <= {"beside torch: as it is", "beside torch: closed forms on the CPU"}, rows  # PyTorch may be missing
    for name in gpu.COMPARED:  # one device, one program: the same numbers in both processes
        assert set(rows[f"agreement: {name}"]["relative_difference"].values()) == {0.0}
    assert rows["agreement: a claim"]["verdict"] == rows["agreement: a claim"]["verdict_cpu"]
    assert rows["resume: as JAX chooses"]["same_bits"] is True
    assert rows["seeds: 2 seeds"]["steps_per_second"]["ours"] > 0


def section(*rows):
    return {"some": (1.0, lambda bench: iter(rows))}


def test_a_row_that_fails_or_no_longer_fits_costs_no_other(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(gpu.time, "monotonic", lambda: float(next(clock)))
    rows = (
        gpu.Row("bad", 1.0, lambda: 1 / 0),
        gpu.Row("long", 1e3, lambda: {"never": 1}),
        gpu.Row("good", 1.0, lambda: {"value": 2}),
    )
    path = tmp_path / "report.json"
    gpu.measured(section(*rows), gpu.Bench(False, None), 5.0, path)
    bad, long, good = json.loads(path.read_text())["sections"]["some"]
    assert bad["failed"] == "ZeroDivisionError: division by zero"
    assert "takes about 1000 s" in long["left_out"]
    assert good["value"] == 2


def test_what_was_measured_is_kept_when_the_command_is_cut_off(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    rows = gpu.Row("first", 1.0, lambda: {"value": 1}), gpu.Row("cut off", 1.0, interrupted)
    path = tmp_path / "report.json"
    with pytest.raises(KeyboardInterrupt):
        gpu.measured(section(*rows), gpu.Bench(True, None), 5.0, path)
    assert [row["row"] for row in json.loads(path.read_text())["sections"]["some"]] == ["first"]


def test_no_cpu_is_taken_for_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "JAX finds no GPU; --tiny" in capsys.readouterr().err


def test_a_device_that_computes_wrongly_ends_it_at_once(tmp_path):
    sections = {"smoke": (1.0, lambda bench: iter([gpu.Row("operations outside jit", 1.0, lambda: 1 / 0)]))}
    with pytest.raises(ValueError, match="operations outside jit failed on this device"):
        gpu.measured(sections, gpu.Bench(True, None), 5.0, tmp_path / "report.json")


def test_a_peer_that_fails_is_left_out():
    def fails():
        raise ChildProcessError("CUDA graphs: no")

    def measure():
        return {"raced": list(gpu.raced({"ours": lambda: 1.0, "torch graphs": fails}, gpu.Bench(True, None)))}

    row = gpu.outcome(gpu.Row("some", 1.0, measure), 9.0, True)
    assert row["raced"] == ["ours"] and row["contenders_failed"] == {"torch graphs": "CUDA graphs: no"}
    assert "contenders_failed" not in gpu.outcome(gpu.Row("other", 1.0, dict), 9.0, True)


def test_full_sizes_can_be_trained(monkeypatch):
    """What is too much for a CPU is prepared there, at least."""
    monkeypatch.setattr(gpu.bench_training, "on_gpu", lambda: True)
    monkeypatch.setattr(gpu, "raced", lambda runners, bench: dict.fromkeys(runners, 1.0))
    rows = [row.measure() for row in gpu.widths(gpu.Bench(False, None))]
    assert len(rows) == 7 and all(rows)
