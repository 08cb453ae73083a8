"""Recordings are made part by part, and go on where they stopped."""

import argparse
import json

import pytest
from recordings import add_seed, record


def test_what_is_there_stays_unless_it_is_named(tmp_path):
    path, made = tmp_path / "runs" / "seed-7" / "results" / "some.json", []

    def part(name):
        made.append(name)
        if made == ["a", "b"]:
            raise KeyboardInterrupt
        return len(made)

    parts = {name: lambda name=name: part(name) for name in "abc"}

    def results():
        return {name: entry["result"] for name, entry in json.loads(path.read_text()).items()}

    with pytest.raises(KeyboardInterrupt):
        record(parts, [], path)
    assert results() == {"a": 1}
    record(parts, [], path)
    assert made == ["a", "b", "b", "c"] and results() == {"a": 1, "b": 3, "c": 4}
    record(parts, ["a"], path)
    assert results() == {"a": 5, "b": 3, "c": 4}
    assert {"device", "date", "versions", "seconds"} <= set(json.loads(path.read_text())["a"])
    with pytest.raises(KeyError):
        record(parts, ["d"], path)


def test_the_seed_is_a_number(capsys):
    parser = argparse.ArgumentParser()
    add_seed(parser)
    assert (parser.parse_args([]).seed, parser.parse_args(["--seed", "7"]).seed) == (0, 7)
    with pytest.raises(SystemExit):
        parser.parse_args(["--seed", "x"])
    assert "argument --seed: invalid seed value: 'x'" in capsys.readouterr().err
