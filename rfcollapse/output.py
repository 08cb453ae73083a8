"""What the command line prints and files keep: JSON, which knows no NaN and no arrays, and plain columns.

A file is written whole or not at all, and can be held by one process at a time.
"""

import contextlib
import errno
import json
import math
import os
import platform
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

FIGURES = "RFCOLLAPSE_FIGURES"  # names the folder that takes the figures of notebooks; unset, none is written
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # of a file system without locks


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


def as_json(value: Any) -> str:
    """One line of JSON, see `plain`."""
    return json.dumps(plain(value), allow_nan=False)


def replace(path: Path, content: str | bytes):
    """Writes a file whole or not at all, and onto the disk: whatever stops it, power included, leaves what was there.

    Args:
        path: of the file; an OSError names it, and leaves no draft beside it.
        content: text is written as UTF-8.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            flush(file)
        os.replace(draft, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror or error})") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    with contextlib.suppress(OSError):  # where a folder cannot be opened, its entry is written without this
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def flush(file):
    """What has been written to an open file is on the disk afterwards."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def locked(path: str | Path, patience: int | float = 5):
    """A file or folder held by this process alone among those that ask for it here; let go when the process ends.

    The lock is the system's own, on PATH.lock beside the file, or on .lock in the folder. That file is removed in the
    end; one that a killed process has left is no obstacle.

    Args:
        path: of the file, which need not be there, or of a folder, which must.
        patience: seconds ≥ 0 to wait for another process, before BlockingIOError names it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rfcollapse.output import locked
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder, "state.json")):
        ...     print([path.name for path in Path(folder).iterdir()])
        ['state.json.lock']
    """
    path, deadline = Path(path), time.monotonic() + patience
    beside = path / ".lock" if path.is_dir() else path.with_name(f"{path.name}.lock")
    while (file := _held(beside)) is None:
        if time.monotonic() >= deadline:
            holder = "unknown"
            with contextlib.suppress(OSError):
                holder = beside.read_text() or holder
            raise BlockingIOError(f"{path} is in use by another process ({holder}): wait until it ends")
        time.sleep(0.05)
    with file:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                beside.unlink()


def _held(path):
    """The lock file, open, and locked for this process; None while it is another's."""
    while True:
        file = path.open("a+b", buffering=0)
        try:
            if os.name == "nt":
                file.seek(1 << 30)  # a byte that nobody reads, for who holds it is read
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in UNLOCKABLE:
                file.close()
                return None
            warnings.warn(f"{path}: no locks on this file system; see to it that one job alone writes", stacklevel=2)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                with contextlib.suppress(OSError):  # a full disk is no reason to refuse
                    file.truncate(0)
                    file.write(f"pid {os.getpid()}, host {platform.node()}".encode())
                return file
        file.close()  # whoever had it has removed it meanwhile


def percent(share: float) -> str:
    """A share in words.

    Example:
        >>> from rfcollapse.output import percent
        >>> percent(0.873), percent(2.5e60)
        ('87.3%', '2.5e+60 times')
    """
    return f"{share:.1%}" if share < 100 else f"{share:.3g} times"


def columns(lines: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Lines of cells as text whose columns stand one below another, the first line being the header."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    place = str.rjust if right else str.ljust
    return "\n".join("  ".join(place(cell, width) for cell, width in zip(line, widths)).rstrip() for line in lines)
