"""Tables in NumPy's files: .npy, memory-mapped, and .npz."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .columns import Table, chosen


def open_array(path: Path, columns: Sequence | None = None, member: str | None = None) -> Table:
    """Looks into a .npy or .npz file; errors as of `data.sample_chunks`.

    Args:
        path: of the file.
        columns: numbers from 0; None: all.
        member: the array's name in an .npz file with several.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from rfcollapse.data import arrays
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "x.npz")
        ...     np.savez(path, images=np.ones((5, 4, 4, 3), np.uint8), labels=np.arange(5))
        ...     arrays.open_array(path, member="images").notes
        ('images of 4 × 4 × 3 flattened to 48 columns',)
    """
    kind = path.suffix.lower()
    saver = "save" if kind == ".npy" else "savez"
    remedy = f"save the samples again with numpy.{saver}(path, x), x real of shape (n, d), n ≥ 2, d ≥ 1"
    try:
        with np.errstate(over="ignore"):  # of absurd shapes
            array = np.lib.format.open_memmap(path, mode="r") if kind == ".npy" else _member(path, member)
    except MemoryError as error:
        remedy = "save it again, as .npy if it is that big: that is read piece by piece"
        raise ValueError(f"{path}: its header asks for more memory than there is ({brief(error)}); {remedy}") from None
    except Exception as error:  # foreign, damaged, or Python objects: NumPy's parsers fail in many ways, and say how
        raise ValueError(f"{path}: not a whole {kind} file of one array ({brief(error)}); {remedy}") from None
    return array_table(f"{path}:{member}" if member else path, array, columns, remedy=remedy)


def array_table(
    source: str | Path, array: np.ndarray, columns: Sequence | None, names=None, remedy="give real numbers (n, d)"
) -> Table:
    """The table of an array of real numbers (n, d), or of images (n, h, w) or (n, h, w, c).

    Args:
        source: what it is called in errors.
        array: in memory or not.
        columns, names: as of `columns.chosen`.
        remedy: for other arrays.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.data.arrays import array_table
        >>> next(array_table("x", np.eye(3), ["2", "0"]).chunks(2))
        array([[0., 1.],
               [0., 0.]])
    """
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{source}: dtype {str(array.dtype)[:80]}, not real numbers; {remedy}")
    shape, width = array.shape, math.prod(array.shape[1:])
    if not 2 <= len(shape) <= 4 or shape[0] < 2 or width < 1:
        raise ValueError(f"{source}: an array of shape {shape}; {remedy}")
    kept = chosen(str(source), names, width, columns)
    size = " × ".join(map(str, shape[1:]))
    notes = (f"images of {size} flattened to {width} columns",) if len(shape) > 2 else ()

    def chunks(rows):
        for start in range(0, len(array), rows):
            chunk = np.array(array[start : start + rows], dtype=np.float64).reshape(-1, width)
            chunk = chunk if columns is None else chunk[:, kept]
            if not np.isfinite(chunk).all():
                row, column = np.argwhere(~np.isfinite(chunk))[0]
                where = f"row {start + row}, column {kept[column]} (counted from 0)"
                raise ValueError(f"{source}: {chunk[row, column]} in {where}; leave out or fill in such rows")
            yield chunk

    return Table(names and tuple(names[i] for i in kept), notes, len(array), chunks)


def _member(path, name):
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
        names = archive.files
        if name is None and len(names) != 1:
            raise ValueError(f"{len(names)} arrays in it ({', '.join(names)}): name one, as in {path.name}:NAME")
        if name is not None and name not in names:
            raise ValueError(f"no {name!r} among its arrays ({', '.join(names)})")
        return np.asarray(archive[name or names[0]])


def brief(error: Exception) -> str:
    """What an error says, on one line.

    Example:
        >>> from rfcollapse.data.arrays import brief
        >>> brief(ValueError("one\\n  two"))
        'one two'
    """
    return " ".join(str(error).split())[:160]
