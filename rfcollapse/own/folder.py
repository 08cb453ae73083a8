"""Rounds with somebody's own model, kept on disk: config.json, a line of metrics.jsonl and a model for each round.

A round's model appears whole or not at all, then its line: a round is whole that has its line. The models are written
and read by the user's own functions; unless told otherwise as pickles, which run code when they are read, so that only
folders that one trusts are to be resumed.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..output import as_json, flush, plain, replace
from .looks import Round

CONFIG, METRICS, MONITOR = "config.json", "metrics.jsonl", "monitor.json"


def save_pickle(model: Any, path: Path):
    """Writes a model as a pickle.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rfcollapse.own.folder import load_pickle, save_pickle
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_pickle({"weights": [1, 2]}, Path(folder, "model"))
        ...     load_pickle(Path(folder, "model"))
        {'weights': [1, 2]}
    """
    try:
        path.write_bytes(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(f"the model cannot be pickled ({error}): give save and load of your own") from None


def load_pickle(path: Path) -> Any:
    """What `save_pickle` wrote; whoever wrote it may run code of his own here."""
    return pickle.loads(path.read_bytes())


def start(folder: Path, config: dict, *, resume: bool) -> list[Round]:
    """The rounds that the folder holds, whole; afterwards it holds nothing else.

    Args:
        folder: which is there, and held by this process.
        config: must be the one that the folder has, but for the number of rounds.
        resume: else nothing of a run may be in the folder.
    """
    config, rows = plain(config), []
    if (folder / CONFIG).exists() or (folder / METRICS).exists():
        if not resume:
            raise ValueError(f"{folder} holds a run: resume=True goes on with it, another folder begins anew")
        try:
            old = json.loads((folder / CONFIG).read_text())
            was = {(part, name): value for part in config for name, value in old[part].items()}
            lines = (folder / METRICS).read_text().split("\n")[:-1] if (folder / METRICS).exists() else []
            rows = [_round(json.loads(line)) for line in lines]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder} holds no run that can be read ({error}): name another folder") from None
        now = {(part, name): value for part in config for name, value in config[part].items()}
        changed = [key for key in was | now if was.get(key) != now.get(key) and key != ("settings", "rounds")]
        if changed:
            listed = "; ".join(f"{key[1]} was {was.get(key)}, now {now.get(key)}" for key in changed)
            raise ValueError(f"{folder} holds another run: {listed}. Resume it as it was, or name another folder")
        if len(rows) > config["settings"]["rounds"] + 1:
            raise ValueError(f"{folder} holds rounds 0 to {len(rows) - 1}; rounds must be {len(rows) - 1} or more")
    for draft in folder.glob("round-*.model.*.tmp"):  # of a process that was killed while it wrote
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
    replace(folder / CONFIG, as_json(config) + "\n")
    replace(folder / METRICS, "".join(as_json(row) + "\n" for row in rows))
    return rows


def keep(folder: Path, row: Round, model: Any, save: Callable[[Any, Path], None]):
    """Writes the model of a round, then its line."""
    path = place(folder, row.index)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    save(model, draft)
    if not draft.exists():
        raise ValueError(f"save must write the path it is given, {draft}, a file or a folder; it did not")
    if path.is_dir():  # of a process that was killed before it wrote the line
        shutil.rmtree(path)
    os.replace(draft, path)
    with (folder / METRICS).open("ab") as file:
        file.write(as_json(row).encode() + b"\n")
        flush(file)


def place(folder: Path, index: int) -> Path:
    """Where the model of a round is."""
    return folder / f"round-{index:03d}.model"


def _round(row):
    arrays = {name: np.array(value) for name, value in row.items() if isinstance(value, list) and name != "alarms"}
    return Round(**row | arrays | {"alarms": None if row["alarms"] is None else tuple(row["alarms"])})
