"""Tables of samples in files: .npy, .npz and .csv, chunk by chunk, one row a sample."""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import check

EXPECTED = "expected samples in rows (n ≥ 2, d ≥ 1) in a .npy, .npz or .csv file"
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


def read_samples(path: str | Path) -> Float[Array, "n d"]:
    """All rows of a .npy, .npz or .csv file, in memory, 8 n d bytes.

    Args:
        path: formats and errors as of `sample_chunks`.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savetxt(f"{folder}/x.csv", [[1.0, 2.0], [3.0, 4.0]], delimiter=",", header="a,b", comments="")
        ...     data.read_samples(f"{folder}/x.csv").tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    return jnp.asarray(np.concatenate(list(sample_chunks(path))))


def sample_chunks(path: str | Path, rows: int = 16_384) -> Iterator[Float[np.ndarray, "_ d"]]:
    """The rows of a file of samples (n, d), in order, as float64 arrays of at most `rows` rows each.

    Args:
        path: .npy (memory-mapped, so n is limited by the disk alone), .npz (holding one array, read whole), or .csv
            (commas; one header line of names is skipped, blank lines too).
        rows: ≥ 2.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: names file, place and remedy, where it is not a finite real table with n ≥ 2 and d ≥ 1. Arrays of
            Python objects (pickles) are refused unread. Errors come when the iteration reaches them; rows are counted
            from 0, lines and columns of text from 1.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.ones((5, 3)))
        ...     [chunk.shape for chunk in data.sample_chunks(f"{folder}/x.npy", rows=2)]
        [(2, 3), (2, 3), (1, 3)]
    """
    path, rows = Path(path), check.integer("rows", rows, 2)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {EXPECTED}")
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path}: unknown kind of file {path.suffix!r}; {EXPECTED}")
    yield from READERS[path.suffix.lower()](path, rows)


def _array_chunks(path, rows):
    kind = path.suffix.lower()
    saver = "save" if kind == ".npy" else "savez"
    remedy = f"save the samples again with numpy.{saver}(path, x), x real of shape (n, d), n ≥ 2, d ≥ 1"
    try:
        table = np.lib.format.open_memmap(path, mode="r") if kind == ".npy" else _only_array(path)
    except Exception as error:  # foreign, damaged, or Python objects: NumPy's parsers fail in many ways, and say how
        raise ValueError(f"{path}: not a whole {kind} file of one array ({_brief(error)}); {remedy}") from None
    if table.dtype.kind not in "fiu":
        raise ValueError(f"{path}: dtype {table.dtype}, not real numbers; {remedy}")
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(f"{path}: an array of shape {table.shape}; {remedy}")
    for start in range(0, len(table), rows):
        chunk = np.array(table[start : start + rows], dtype=np.float64)
        if not np.isfinite(chunk).all():
            row, column = np.argwhere(~np.isfinite(chunk))[0]
            where = f"row {start + row}, column {column} (counted from 0)"
            raise ValueError(f"{path}: {chunk[row, column]} in {where}; leave out or fill in such rows")
        yield chunk


def _only_array(path):
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise ValueError(f"{len(archive.files)} arrays in it ({', '.join(archive.files)})")
        return np.asarray(archive[archive.files[0]])


def _csv_chunks(path, rows):
    import pandas  # heavy. It reads quotes, blank lines and any line end, at four times the speed of Python's csv

    total, text = 0, {"encoding": "utf-8-sig", "header": None}
    try:
        top = pandas.read_csv(path, nrows=2, dtype=str, na_filter=False, **text)  # refuses a second line that is longer
        text["header"] = 0 if all(map(_is_name, top.iloc[0])) else None
        with pandas.read_csv(path, chunksize=rows, dtype=np.float64, **text) as chunks:
            for chunk in chunks:
                if not np.isfinite(chunk.values).all():
                    raise ValueError("a number that is not finite")
                total += len(chunk)
                yield np.array(chunk, dtype=np.float64)
    except pandas.errors.EmptyDataError:
        pass
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file ({error}); save the samples as UTF-8, parted by commas") from None
    except ValueError as error:  # a field that is no number, or a line that is too long: pandas does not say where
        raise ValueError(f"{path}: {_fault(path) or _brief(error)}") from None
    if total < 2:
        raise ValueError(f"{path}: too few rows of numbers, {total}; {EXPECTED}")


def _fault(path):
    """Place and remedy of the first field of a .csv file that is not a finite number, or of a line of another width."""
    width = None
    with path.open(newline="", encoding="utf-8-sig") as file, suppress(UnicodeDecodeError, csv.Error):
        reader = csv.reader(file)
        for fields in filter(None, reader):
            where, names, width = (
                f"line {reader.line_num}",
                not width and all(map(_is_name, fields)),
                width or len(fields),
            )
            if len(fields) != width:
                return f"{len(fields)} fields in {where}, {width} before; give every row as many"
            for column, field in enumerate([] if names else fields, 1):
                if not (NUMBER.fullmatch(field) and np.isfinite(float(field))):
                    remedy = "part finite numbers by commas, and leave out index columns and incomplete rows"
                    return f"{field[:40]!r} in {where}, column {column}, not a finite number; {remedy}"
    return None


def _is_name(field):
    try:
        float(field)
    except ValueError:
        return bool(field.strip())
    return False


READERS = {".npy": _array_chunks, ".npz": _array_chunks, ".csv": _csv_chunks}


def _brief(error):
    return " ".join(str(error).split())[:160]
