"""A run kept on disk: config.json says what it is, metrics.jsonl what came of it, round-NNN.eqx where to go on from.

A checkpoint holds the round's line of metrics, then the round itself (equinox's serialisation, never a pickle). It
appears whole or not at all, and before its line; metrics.jsonl is written again from the checkpoints on resuming.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..learn.reflow import Round

CONFIG, METRICS = "config.json", "metrics.jsonl"


class Log(NamedTuple):
    """What a run has recorded so far.

    Attributes:
        config: settings, data, versions and device.
        metrics: by name, (seeds, rounds, …); "round" and "seconds" are (rounds,). NaN where there was no finite number.
    """

    config: dict
    metrics: dict[str, Float[np.ndarray, "..."]]


def read(folder: str | Path) -> Log:
    """The record of a run, which may still be going on: a line of metrics that is not yet whole is left out.

    folder: of `rfcollapse.runs.run.run`. Raises FileNotFoundError where there is no run, and ValueError for a file
    that is not what a run writes.
    """
    rows = lines(folder)
    columns = {name: [np.array(row[name], dtype=np.float64) for row in rows] for name in (rows or [{}])[0]}
    metrics = {name: np.stack(column, axis=min(1, column[0].ndim)) for name, column in columns.items()}
    return Log(json.loads((Path(folder) / CONFIG).read_text()), metrics)


def lines(folder: str | Path) -> list[dict]:
    """The whole lines of metrics.jsonl. Arguments and errors: see `read`."""
    path = Path(folder) / METRICS
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): resuming the run writes it again") from None


def start(folder: Path, config: dict, like: Round, *, resume: bool) -> list[Round | None]:
    """The rounds that the folder holds, None for all between the first and the last; afterwards metrics.jsonl agrees.

    like: a round with the structure, shapes and dtypes of this run's. Raises ValueError for a folder with something in
    it unless `resume`, for another config (but for the number of rounds), and for a file that is no whole checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if all(path.suffix == ".tmp" for path in folder.iterdir()):
        return []
    if not resume:
        raise ValueError(f"{folder} is not empty: --resume goes on with the run in it, --out names another folder")
    if not (folder / CONFIG).exists():
        raise ValueError(f"{folder} holds no run to resume ({CONFIG} is missing): name another folder with --out")
    _require_same(folder, json.loads((folder / CONFIG).read_text()), config)
    rounds, rows = [], []
    while (path := _checkpoint(folder, len(rounds))).exists():
        row, one = _load(path, like, len(rounds))
        if len(rounds) > 1:
            rounds[-1] = None  # only the first and the last are needed, and memory must not grow with the rounds
        rounds.append(one)
        rows.append(row)
    if len(rounds) > config["settings"]["rounds"] + 1:
        raise ValueError(
            f"{folder} holds rounds 0 to {len(rounds) - 1} already; rounds must be {len(rounds) - 1} or more"
        )
    _replace(folder / CONFIG, _encoded(config))
    _replace(folder / METRICS, b"".join(map(_encoded, rows)))
    return rounds


def save(folder: Path, config: dict, one: Round, row: dict):
    """Writes the checkpoint of a round, and when that is on the disk its line of metrics."""
    if one.index == 0:
        _replace(folder / CONFIG, _encoded(config))
    line = _encoded(row)
    _replace(_checkpoint(folder, one.index), line, one)
    with (folder / METRICS).open("ab") as file:
        file.write(line)
        _flush(file)


def _load(path, like, index):
    try:
        with path.open("rb") as file:
            row = json.loads(file.readline())
            one = eqx.tree_deserialise_leaves(file, like)
            if file.read(1) or one.index != index:
                raise ValueError("it is of another round, or longer than one")
    except (ValueError, RuntimeError) as error:  # equinox makes a RuntimeError of whatever befalls it
        reason = str(error).splitlines()[0]
        remedy = f"delete it, and --resume goes on from round {index}"
        raise ValueError(f"{path} is not a whole checkpoint of this run ({reason}): {remedy}") from None
    return row, one


def _require_same(folder, old, new):
    """ValueError that names what differs, the number of rounds left aside."""
    old, new = _flat(old), _flat(new)
    changed = [name for name in old | new if old.get(name) != new.get(name) and name != "settings.rounds"]
    if changed:
        listed = "; ".join(f"{name} was {old.get(name)}, now {new.get(name)}" for name in changed)
        raise ValueError(
            f"{folder} holds another run: {listed}. Resume it as it was, or name another folder with --out"
        )


def _flat(config):
    return {f"{part}.{name}": value for part, entries in config.items() for name, value in entries.items()}


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
