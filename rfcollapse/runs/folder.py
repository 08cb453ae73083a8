"""A run kept on disk: config.json says what it is, metrics.jsonl what came of it, round-NNN.eqx where to go on from.

A checkpoint holds the round's line of metrics, then its models (equinox's serialisation, never a pickle). It appears
whole or not at all, after the round's pictures and before its line; metrics.jsonl is written again from the checkpoints
on resuming. Whatever else is in the folder, such as a log, is no matter.
"""

import io
import json
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float, UInt8

from ..output import as_json, flush, replace

CONFIG, METRICS = "config.json", "metrics.jsonl"
OURS = re.compile(r"(?:config\.json|metrics\.jsonl|round-\d+\.eqx|pictures-\d+\.npy)(\.\d+\.tmp)?")  # the rest: a draft
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
    return Log(_config(Path(folder)), metrics)


def lines(folder: str | Path) -> list[dict]:
    """The whole lines of metrics.jsonl, see `read`."""
    path = Path(folder) / METRICS
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): resuming the run writes it again") from None


def kept(folder: Path) -> str:
    """What of a run that failed is there to go on from, in words."""
    last = sum(1 for _ in folder.glob("round-*.eqx")) - 1
    return f"rounds 0 to {last} are kept in {folder}" if last >= 0 else "there is no round before it to keep"


def start(
    folder: Path, config: dict, like: eqx.Module, *, resume: bool, strict: bool = False
) -> tuple[list[eqx.Module | None], list[dict]]:
    """The models of each round that the folder holds, and its line; afterwards metrics.jsonl agrees.

    None stands for all models between the first and the last: memory must not grow with the rounds.

    Args:
        folder: of the run, which is there, and held by this process.
        config: must be the one that the folder has, but for the number of rounds; another device is warned of.
        like: models with the structure, shapes and dtypes of this run's.
        resume: else nothing of a run may be in the folder.
        strict: refuses another device, too.

    Raises:
        ValueError: another run is in the folder, or a file is no whole checkpoint.
    """
    found = [(path, name[1]) for path in folder.iterdir() if (name := OURS.fullmatch(path.name))]
    for path, draft in found:
        if draft:  # of a process that was killed while it wrote
            path.unlink()
    if all(draft for _, draft in found):
        return [], []
    if not resume:
        raise ValueError(f"{folder} is not empty: --resume goes on with the run in it, --out names another folder")
    if not (folder / CONFIG).exists():
        raise ValueError(f"{folder} holds no run to resume ({CONFIG} is missing): name another folder with --out")
    old = _config(folder)
    _require_same(folder, old, config, strict)
    models, rows = [], []
    while (path := _checkpoint(folder, len(rows))).exists():
        row, latest = _load(path, like, len(rows))
        models = [*models[:1], *[None] * (len(models) - 1), latest]
        rows.append(row)
    last = len(rows) - 1
    if last > config["settings"]["rounds"]:
        raise ValueError(f"{folder} holds rounds 0 to {last} already; rounds must be {last} or more")
    earlier = old.get("earlier_devices", []) + [old["device"]] * (old["device"] != config["device"])
    replace(folder / CONFIG, as_json(config | ({"earlier_devices": earlier} if earlier else {})) + "\n")
    replace(folder / METRICS, "".join(as_json(row) + "\n" for row in rows))
    return models, rows


def save(folder: Path, config: dict, models: eqx.Module, row: dict, pictures: UInt8[np.ndarray, "n ..."] | None = None):
    """Writes pictures and checkpoint of a round, and when these are on the disk its line of metrics.

    OSError says what could not be written, and that --resume goes on.
    """
    index, line = row["round"], as_json(row).encode() + b"\n"
    try:
        if index == 0:
            replace(folder / CONFIG, as_json(config) + "\n")
        if pictures is not None:
            replace(folder / f"pictures-{index:03d}.npy", _bytes(np.save, pictures))
        replace(_checkpoint(folder, index), line + _bytes(eqx.tree_serialise_leaves, models))
        with (folder / METRICS).open("ab") as file:
            file.write(line)
            flush(file)
    except OSError as error:
        raise OSError(f"{error}; {kept(folder)}: with room, the same command with --resume goes on") from None


def _load(path, like, index):
    try:
        with path.open("rb") as file:
            row = json.loads(file.readline())
            models = eqx.tree_deserialise_leaves(file, like)
            if file.read(1) or row["round"] != index:
                raise ValueError("it is of another round, or longer than one")
    except (ValueError, TypeError, KeyError, RuntimeError) as error:  # of equinox whatever befalls it is the last
        if isinstance(error.__cause__, OSError | MemoryError):  # no fault of the file
            raise error.__cause__ from None
        reason = str(error).splitlines()[0]
        remedy = f"delete it, and --resume goes on from round {index}"
        raise ValueError(f"{path} is not a whole checkpoint of this run ({reason}): {remedy}") from None
    return row, models


def _config(folder):
    try:
        return dict(json.loads((folder / CONFIG).read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} is damaged ({error}): name another folder with --out") from None


def _require_same(folder, old, new, strict):
    """ValueError that names what differs; the rounds may, the words for the law, and with a warning the device."""
    if old.get("format") != new["format"]:
        raise ValueError(f"{folder} is of another version, whose checkpoints are not read: name another with --out")
    old, new = _flat(old), _flat(new)
    for free in ("settings.rounds", "law", "earlier_devices"):
        old[free] = new.get(free)
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    if changed:
        listed = "; ".join(f"{name} was {old.get(name)}, now {new.get(name)}" for name in changed)
        if strict or not all(name.startswith("device.") for name in changed):
            raise ValueError(f"{folder} holds another run: {listed}. Resume it as it was, or name another with --out")
        said = f"{folder} was begun on another device ({listed}): from here on the last bits may differ"
        warnings.warn(said, stacklevel=3)


def _flat(value, name=""):
    """Every entry of nested dictionaries, by the names that lead to it."""
    if not isinstance(value, dict):
        return {name: value}
    below = (_flat(entry, f"{name}.{key}" if name else key) for key, entry in value.items())
    return {path: entry for part in below for path, entry in part.items()}


def _checkpoint(folder, index):
    return folder / f"round-{index:03d}.eqx"


def _bytes(write, value):
    """What a function writes to a file. Written straight to the disk, an error would come wrapped by equinox."""
    file = io.BytesIO()
    write(file, value)
    return file.getvalue()
