"""A run kept on disk: config.json says what it is, metrics.jsonl what came of it, round-NNN.eqx where to go on from.

A checkpoint holds the round's line of metrics, then its models (equinox's serialisation, never a pickle). It appears
whole or not at all, and before its line; metrics.jsonl is written again from the checkpoints on resuming.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float

CONFIG, METRICS = "config.json", "metrics.jsonl"
FORMAT = 2  # of checkpoints; they held whole rounds before


class Log(NamedTuple):
    """What a run has recorded so far."""

    config: dict
    """Settings, data, law, versions and device."""
    metrics: dict[str, Float[np.ndarray, "..."]]
    """By name, (seeds, rounds, …); "round" and "seconds" are (rounds,). NaN where there was no finite number."""


def read(folder: str | Path) -> Log:
    """The record of a run, which may still be going on: a line of metrics that is not yet whole is left out.

    Args:
        folder: of `rfcollapse.runs.run.run`.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: a file is not what a run writes.
    """
    rows = lines(folder)
    columns = {name: [np.array(row[name], dtype=np.float64) for row in rows] for name in (rows or [{}])[0]}
    metrics = {name: np.stack(column, axis=min(1, column[0].ndim)) for name, column in columns.items()}
    return Log(json.loads((Path(folder) / CONFIG).read_text()), metrics)


def lines(folder: str | Path) -> list[dict]:
    """The whole lines of metrics.jsonl, see `read`."""
    path = Path(folder) / METRICS
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): resuming the run writes it again") from None


def start(folder: Path, config: dict, like: eqx.Module, *, resume: bool) -> tuple[list[eqx.Module | None], list[dict]]:
    """The models of each round that the folder holds, and its line; afterwards metrics.jsonl agrees.

    None stands for all models between the first and the last: memory must not grow with the rounds.

    Args:
        folder: of the run.
        config: must be the one that the folder has, but for the number of rounds.
        like: models with the structure, shapes and dtypes of this run's.
        resume: else the folder must be empty.

    Raises:
        ValueError: something else is in the folder, or a file is no whole checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if all(path.suffix == ".tmp" for path in folder.iterdir()):
        return [], []
    if not resume:
        raise ValueError(f"{folder} is not empty: --resume goes on with the run in it, --out names another folder")
    if not (folder / CONFIG).exists():
        raise ValueError(f"{folder} holds no run to resume ({CONFIG} is missing): name another folder with --out")
    _require_same(folder, json.loads((folder / CONFIG).read_text()), config)
    models, rows = [], []
    while (path := _checkpoint(folder, len(rows))).exists():
        row, latest = _load(path, like, len(rows))
        models = [*models[:1], *[None] * (len(models) - 1), latest]
        rows.append(row)
    last = len(rows) - 1
    if last > config["settings"]["rounds"]:
        raise ValueError(f"{folder} holds rounds 0 to {last} already; rounds must be {last} or more")
    _replace(folder / CONFIG, _encoded(config))
    _replace(folder / METRICS, b"".join(map(_encoded, rows)))
    return models, rows


def save(folder: Path, config: dict, models: eqx.Module, row: dict):
    """Writes the checkpoint of a round, and when that is on the disk its line of metrics."""
    if row["round"] == 0:
        _replace(folder / CONFIG, _encoded(config))
    line = _encoded(row)
    _replace(_checkpoint(folder, row["round"]), line, models)
    with (folder / METRICS).open("ab") as file:
        file.write(line)
        _flush(file)


def _load(path, like, index):
    try:
        with path.open("rb") as file:
            row = json.loads(file.readline())
            models = eqx.tree_deserialise_leaves(file, like)
            if file.read(1) or row["round"] != index:
                raise ValueError("it is of another round, or longer than one")
    except (ValueError, TypeError, KeyError, RuntimeError) as error:  # of equinox whatever befalls it is the last
        reason = str(error).splitlines()[0]
        remedy = f"delete it, and --resume goes on from round {index}"
        raise ValueError(f"{path} is not a whole checkpoint of this run ({reason}): {remedy}") from None
    return row, models


def _require_same(folder, old, new):
    """ValueError that names what differs; the number of rounds may, and the words for the law."""
    if old.get("format") != new["format"]:
        raise ValueError(f"{folder} is of another version, whose checkpoints are not read: name another with --out")
    old, new = _flat(old), _flat(new)
    for free in ("settings.rounds", "law"):
        old[free] = new[free]
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    if changed:
        listed = "; ".join(f"{name} was {old.get(name)}, now {new.get(name)}" for name in changed)
        raise ValueError(f"{folder} holds another run: {listed}. Resume it as it was, or name another with --out")


def _flat(value, name=""):
    """Every entry of nested dictionaries, by the names that lead to it."""
    if not isinstance(value, dict):
        return {name: value}
    below = (_flat(entry, f"{name}.{key}" if name else key) for key, entry in value.items())
    return {path: entry for part in below for path, entry in part.items()}


def _checkpoint(folder, index):
    return folder / f"round-{index:03d}.eqx"


def _encoded(row):
    return json.dumps(row, allow_nan=False).encode() + b"\n"


def _replace(path, content, tree=None):
    """A file with the content and then the leaves of a tree; whenever the power fails, it is that or what it was."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(content)
        eqx.tree_serialise_leaves(file, tree)
        _flush(file)
    os.replace(draft, path)
    with contextlib.suppress(OSError):  # where a folder cannot be opened, its entry is written without this
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _flush(file):
    file.flush()
    os.fsync(file.fileno())
