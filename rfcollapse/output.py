"""What the command line prints and files keep: JSON, which knows no NaN and no arrays, and plain columns."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = "RFCOLLAPSE_FIGURES"  # names the folder that takes the figures of notebooks; unset, none is written


def plain(value: Any) -> Any:
    """As JSON has it: objects for dictionaries and named tuples, lists for arrays, null for what is not finite."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replace(path: Path, text: str):
    """Writes a file whole or not at all: an interruption leaves what was there, and so does another process."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_text(text)
    os.replace(draft, path)


def columns(lines: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Lines of cells as text whose columns stand one below another, the first line being the header."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    place = str.rjust if right else str.ljust
    return "\n".join("  ".join(place(cell, width) for cell, width in zip(line, widths)).rstrip() for line in lines)
