import errno
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rfcollapse import output
from rfcollapse.output import as_json, columns, locked, plain, replace
from rfcollapse.runs.folder import Log


def test_what_json_does_not_know_becomes_what_it_knows():
    given = {
        "a": np.array([[1.0, np.nan], [np.inf, 2.0]]),
        "b": (np.float32(0.5), -np.inf),
        "c": Log({"d": 1}, {}),
        "e": None,
    }
    known = {"a": [[1.0, None], [None, 2.0]], "b": [0.5, None], "c": {"config": {"d": 1}, "metrics": {}}, "e": None}
    assert json.loads(json.dumps(plain(given), allow_nan=False)) == json.loads(as_json(given)) == known


def test_columns_line_up_on_either_side():
    lines = [("name", "x"), ("a", "10.5"), ("longer", "2")]
    assert columns(lines) == "name    x\na       10.5\nlonger  2"
    assert columns(lines, right=True) == "  name     x\n     a  10.5\nlonger     2"


@pytest.mark.parametrize("stops", ["flush", "replace", "open"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("odd"), KeyboardInterrupt()]
)
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, stops, error):
    def stopped(*_, **__):
        raise error

    path = tmp_path / "x.json"
    replace(path, "läßt\n")
    assert path.read_bytes() == "läßt\n".encode()  # whatever the locale's encoding and line ends
    place = {"flush": (output, "flush"), "replace": (os, "replace"), "open": (type(path), "open")}[stops]
    said = None if isinstance(error, KeyboardInterrupt) else r"x\.json cannot be written \("
    with monkeypatch.context() as patch, pytest.raises(type(error), match=said):
        patch.setattr(*place, stopped)
        replace(path, b"new")
    assert os.listdir(tmp_path) == ["x.json"] and path.read_bytes() == "läßt\n".encode()


HOLD = f"""
import runpy, sys, time
with runpy.run_path({output.__file__!r})["locked"](sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "missing", "folder"])
def test_what_another_process_holds_is_named_and_free_once_it_is_killed(tmp_path, kind):
    path = tmp_path / "it"
    path.mkdir() if kind == "folder" else path.write_text("mine") if kind == "file" else None
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "held\n"
            started, said = (
                time.monotonic(),
                f"{path} is in use by another process (pid {other.pid}, host {platform.node()}): ",
            )
            for patience in (0, 0.2):
                with pytest.raises(OSError) as refused, locked(path, patience):
                    pass
                assert str(refused.value) == said + "wait until it ends"
            assert 0.2 <= time.monotonic() - started < 3
        finally:
            other.kill()
        assert other.wait() == -signal.SIGKILL
    beside = path / ".lock" if kind == "folder" else tmp_path / "it.lock"
    assert beside.exists()  # which is no obstacle
    with locked(str(path), 0):
        assert beside.read_text() == f"pid {os.getpid()}, host {platform.node()}"
    assert not beside.exists() and (kind != "file" or path.read_text() == "mine")


def test_many_take_turns(tmp_path):
    """Though each removes the lock's file in the end, two never hold it."""
    counter = tmp_path / "count"
    counter.write_text("0")

    def add():
        for _ in range(5):
            with locked(counter, 30):
                count = int(counter.read_text())
                time.sleep(0.001)
                counter.write_text(str(count + 1))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "30" and os.listdir(tmp_path) == ["count"]


def test_an_error_within_lets_go(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path, 0):
        pass


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(output.fcntl, "flock", none)
    with pytest.warns(UserWarning, match=r"\.lock: no locks on this file system; see to it"), locked(tmp_path):
        pass


def test_a_lock_that_cannot_be_made_says_where(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nodir/s\.json\.lock"), locked(tmp_path / "nodir" / "s.json"):
        pass
