"""The benchmark runs, says what it measured, and keeps what other runs have measured."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from rfcollapse import bench
from rfcollapse.__main__ import main
from rfcollapse.simulate import dae


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout without results, with the peers of this one."""
    (tmp_path / "benchmarks").symlink_to(bench.ROOT / "benchmarks")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "use_all_cores", lambda: None)  # the tests of this process are not to share its devices
    return tmp_path


def test_race_takes_turns_and_gives_medians(monkeypatch):
    turns, clock = [], iter(np.cumsum([0, 9, 1, 2, 0, 10, 0, 4, 0, 20, 0, 3, 0, 90]))
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    seconds = bench.race({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 3)
    assert seconds == {"a": 3.0, "b": 20.0}  # the first turn, compilation, does not count
    assert "".join(turns) == "abababab"


def test_the_peer_follows_the_same_law():
    covariance = np.diag([4.0, 1.0])
    simulate = bench.peer("numpy_dae").simulate
    runs = [simulate(np.random.default_rng(i), covariance, 1.0, 2, 5) for i in range(3000)]
    eigenvalues, gains = (np.array(values) for values in zip(*runs))
    result = dae.run(bench.jax.random.key(0), covariance, samples=5, noise_std=1.0, rounds=2, seeds=3000)
    for peers, ours in ((eigenvalues, np.asarray(result.eigenvalues)), (gains, np.asarray(result.gains))):
        error = np.sqrt((peers.var(axis=0) + ours.var(axis=0)) / 3000)
        assert np.max(np.abs(peers.mean(axis=0) - ours.mean(axis=0)) / error) < 5


def test_a_cheap_section_is_merged_with_what_is_there(root, capsys):
    label, about = bench.device()
    path = root / "runs" / f"{label}.json"
    path.parent.mkdir()
    others = {"date": "2020-01-01", "versions": {"jax": "0"}, "rows": [{"seconds": 1.0}]}
    path.write_text(json.dumps({"sections": {"training": others}}))
    assert main(["bench", "parts", "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == json.loads(path.read_text()) and "parts" in err
    assert found["device"] == about and found["sections"]["training"] == others
    section = found["sections"]["parts"]
    assert {"date", "versions", "quick", "took", "rows"} <= section.keys() and section["quick"]
    assert sum(row["share"] for row in section["rows"]) == pytest.approx(1)
    assert "training (2020-01-01, jax 0)" in bench.table(found)


def test_an_unknown_section_is_one_line_and_exit_1(root, capsys):
    assert main(["bench", "speed"]) == 1
    assert "no section named speed; there are methods" in capsys.readouterr().err


def test_without_a_checkout(root):
    (root / "benchmarks").unlink()
    with pytest.raises(ValueError, match=r"numpy_dae\.py is missing"):
        bench.peer("numpy_dae")


@pytest.mark.slow
def test_every_section_runs(root, capsys):
    assert main(["bench", "--quick"]) == 0
    out = capsys.readouterr().out
    found = json.loads(next((root / "runs").glob("*.json")).read_text())
    assert list(found["sections"]) == list(bench.SECTIONS) and all(name in out for name in bench.SECTIONS)
    rows = {name: section["rows"] for name, section in found["sections"].items()}
    assert all(value > 0 for some in rows.values() for row in some for name, value in row.items() if name != "part")
    assert [row["samples"] for row in rows["samples"]] == [100, 1000, 10_000, 100_000, 1_000_000]
    assert rows["memory"][-1]["direct_bytes"] > rows["memory"][0]["direct_bytes"]
