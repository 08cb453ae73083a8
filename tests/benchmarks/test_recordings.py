"""Recordings are made part by part, and go on where they stopped."""

import argparse
import json

import jax
import pytest
import recordings
from recordings import add_seed, command, record


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


def test_parts_are_named_and_keyed_on_the_command_line(tmp_path, monkeypatch):
    """Each part's key is its own, whatever else is made, and another seed's goes elsewhere."""
    monkeypatch.setattr(recordings, "ROOT", tmp_path)
    parts = {name: lambda key: jax.random.key_data(key).tolist() for name in "ab"}

    def made(folder):
        (path,) = (tmp_path / folder).glob("some_*.json")
        return {name: entry["result"] for name, entry in json.loads(path.read_text()).items()}

    command("Some.", parts, "some", ["b"])
    assert made("benchmarks/results").keys() == {"b"}
    command("Some.", parts, "some", [])
    both = made("benchmarks/results")
    assert both["b"] == jax.random.key_data(jax.random.fold_in(jax.random.key(0), 1)).tolist() != both["a"]
    command("Some.", parts, "some", ["a", "--seed", "7"])
    assert made("runs/seed-7/results")["a"] not in both.values()


def test_numbers_are_kept_to_the_digits_of_float32(tmp_path):
    record({"a": lambda: {"x": [[0.20000000298023224, 12345678], 1 / 3], "y": "z"}}, [], tmp_path / "some.json")
    kept = json.loads((tmp_path / "some.json").read_text())["a"]["result"]
    assert kept == {"x": [[0.2, 12345678], 0.3333333], "y": "z"}


def test_the_seed_is_a_number(capsys):
    parser = argparse.ArgumentParser()
    add_seed(parser)
    assert (parser.parse_args([]).seed, parser.parse_args(["--seed", "7"]).seed) == (0, 7)
    with pytest.raises(SystemExit):
        parser.parse_args(["--seed", "x"])
    assert "argument --seed: invalid seed value: 'x'" in capsys.readouterr().err
