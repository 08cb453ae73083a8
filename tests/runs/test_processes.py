"""Several processes that make one run, over loopback: the run of one, resumed; what fails in one fails in all."""

import argparse
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from rfcollapse.__main__ import main
from rfcollapse.runs import processes
from rfcollapse.runs.folder import read

SMALL = "--samples 128 --real-fraction 0.3 --width 8 --pairs 129 --probes 65 --steps 4 --training-steps 20 --batch 16"
ALL = f"--data eight_gaussians --scheme ora --chunk 10 {SMALL}".split()
COUNT = "--xla_force_host_platform_device_count="


def started(folder, *more, process=None):
    """`rfcollapse reflow` on one device; with a process = (I, port), as one of two."""
    joined = []
    if process:
        joined = ["--coordinator", f"127.0.0.1:{process[1]}", "--processes", "2", "--process", str(process[0])]
    program = "from rfcollapse.learn import devices; devices.cores = lambda: 1; from rfcollapse import __main__ as it; "
    command = [
        sys.executable,
        "-c",
        f"{program}it.sys.exit(it.main())",
        "reflow",
        *ALL,
        *joined,
        "--out",
        folder,
        *more,
    ]
    environment = os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {COUNT}1", "JAX_PLATFORMS": "cpu"}
    pipe = subprocess.PIPE
    return subprocess.Popen(map(str, command), env=environment, stdout=pipe, stderr=pipe, text=True)


def of_two(folder, *more, other=()):
    """Exit code, stdout and stderr of two processes that are joined; the second's options may be more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [started(folder, *more, *(other if i else ()), process=(i, port)) for i in range(2)]
    try:
        said = [process.communicate(timeout=400) for process in both]
    finally:
        for process in both:
            process.kill()
    return [(process.returncode, *words) for process, words in zip(both, said)]


@pytest.mark.parametrize("layout", ["--seeds 2", "--seeds 1 --shards 2"])
def test_two_processes_make_the_run_of_one_and_resume_it(tmp_path, layout):
    alone = started(tmp_path / "one", "--rounds", 2, *layout.replace("--shards 2", "").split())
    (first, out, err), second = of_two(tmp_path / "two", "--rounds", 1, *layout.split())
    assert first == 0, err
    assert out.startswith("round ") and "waiting for 2 processes" in err  # C++'s words of its sockets are on stderr
    assert second[:2] == (0, "")
    (first, out, _), second = of_two(tmp_path / "two", "--rounds", 2, *layout.split(), "--resume", "--json")
    assert (first, second[0]) == (0, 0)
    assert json.loads(out)["final"]["round"] == 2
    _, err = alone.communicate(timeout=400)
    assert alone.returncode == 0, err
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert two.config["device"]["devices"] == 2
    for name, values in one.metrics.items():
        if name not in ("seconds", "precision", "recall", "coverage"):  # seconds, and counts of neighbours
            np.testing.assert_allclose(two.metrics[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_what_one_refuses_all_refuse(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for code, out, err in of_two(tmp_path, "--rounds", 1, "--seeds", 2):
        assert (code, out) == (1, "")
        assert err.splitlines()[-1].startswith(f"rfcollapse reflow: {tmp_path} is not empty: --resume goes on")
    for code, out, err in of_two(tmp_path / "new", "--rounds", 1, "--seeds", 2, other=("--seed", 1)):
        assert (code, out) == (1, "")
        assert err.splitlines()[-1] == f"rfcollapse reflow: {processes.APART}"
    for code, out, err in of_two(tmp_path / "new", "--rounds", 1, "--seeds", 1):
        assert (code, out) == (1, "")
        assert "1 seeds by 1 shards occupy devices of 1 of 2 processes: take more seeds or shards" in err
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").glob("round*"))


@pytest.mark.parametrize("said, words", [
    ("--coordinator here:80", "--coordinator HOST:PORT, --processes N and --process I go together"),
    ("--processes 2 --process 0", "go together; give all three"),
    ("--coordinator here --processes 2 --process 0", "--coordinator must be HOST:PORT; got 'here'"),
    ("--coordinator here:80 --processes 2 --process 2", "--process must be from 0 to 1; got 2"),
    ("--coordinator here:80 --processes 0 --process 0", "--processes must be at least 1; got 0"),
])  # fmt: skip
def test_options_that_name_no_process_are_refused(said, words, unchecked):
    command = argparse.ArgumentParser()
    processes.add_options(command)
    with pytest.raises(ValueError, match=words):
        processes.join(command.parse_args(said.split()))


def test_where_there_is_no_cluster_it_says_so(tmp_path):
    _, err = (alone := started(tmp_path, "--rounds", 0, "--distributed")).communicate(timeout=100)
    assert alone.returncode == 1
    assert "--distributed finds no cluster in this environment" in err.splitlines()[-1]
    assert "name --coordinator HOST:PORT, --processes N" in err.splitlines()[-1]


def test_where_nobody_listens_it_says_so(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0)
    command = argparse.ArgumentParser()
    processes.add_options(command)
    with pytest.raises(ConnectionError, match=r"process 0 does not listen at localhost:1 .*: is it started\?"):
        processes.join(command.parse_args("--coordinator localhost:1 --processes 2 --process 1".split()))


def test_one_process_needs_nothing_of_this(tmp_path, capsys):
    assert processes.from_first(lambda: {"a": [1]}) == {"a": [1]}
    with pytest.raises(OSError, match="no room"):
        processes.from_first(lambda: (_ for _ in ()).throw(OSError("no room")))
    assert main(["reflow", *ALL, "--rounds", "0", "--process", "0", "--out", str(tmp_path)]) == 1
    assert "give all three" in capsys.readouterr().err
