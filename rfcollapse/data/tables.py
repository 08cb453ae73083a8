"""Tables of samples in files, chunk by chunk, one row a sample: the one reader for every command."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .. import check
from .arrays import array_table, brief, open_array
from .columns import EXPECTED, Table, chosen, counts_rows, listed
from .texts import open_text

ROWS = 16_384  # at a time


def read_samples(path: str | Path, columns: Sequence | None = None) -> Float[np.ndarray, "n d"]:
    """All rows of a file, in memory, 8 n d bytes; the notes of `open_table` on how it is understood become warnings.

    Args:
        path, columns: as of `sample_chunks`, and so are formats and errors.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savetxt(f"{folder}/x.csv", [[1.0, 2.0], [3.0, 4.0]], delimiter=",", header="a,b", comments="")
        ...     data.read_samples(f"{folder}/x.csv", ["b", "a"]).tolist()
        [[2.0, 1.0], [4.0, 3.0]]
    """
    table = open_table(path, columns)
    for note in table.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return np.concatenate(list(table.chunks(ROWS)))


def sample_chunks(
    path: str | Path, rows: int = ROWS, columns: Sequence | None = None
) -> Iterator[Float[np.ndarray, "_ d"]]:
    """The rows of a file of samples (n, d), in order, as float64 arrays of at most `rows` rows each.

    Args:
        path: see `open_table`.
        rows: ≥ 2.
        columns: names, or numbers from 0 where there are none, read in this order and no others.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: names file, place and remedy, where it is not a finite real table with n ≥ 2 and d ≥ 1. Arrays of
            Python objects (pickles) are refused unread. Rows are counted from 0, lines and columns of text from 1.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.ones((5, 3)))
        ...     [chunk.shape for chunk in data.sample_chunks(f"{folder}/x.npy", rows=2)]
        [(2, 3), (2, 3), (1, 3)]
    """
    rows = check.integer("rows", rows, 2)
    return open_table(path, columns).chunks(rows)


def open_table(path: str | Path, columns: Sequence | None = None) -> Table:
    """A file of samples, looked into: names of its columns, how it is understood, and the way through its rows.

    - .npy is memory-mapped, so that n is limited by the disk alone; .npz is read whole, one array of several as
      FILE.npz:NAME; images (n, h, w) or (n, h, w, c) are flattened.
    - .csv, .tsv and .txt, packed or not (.gz, .bz2, .xz, .zip, .zst), with commas, semicolons, tabs, bars or white
      space, decimal points or, where commas part no fields, commas, in UTF-8 or, marked as such, UTF-16. A first line
      of words, or of the numbers 0, 1, … or 1, 2, … that pandas makes up, names the columns; blank lines are skipped.
      A column that counts the rows is left out, if it is the first or named like an index. Missing values, other text,
      true and false are refused.
    - .parquet, if pandas has an engine for it.

    Args:
        path: of the file.
        columns, and errors: as of `sample_chunks`. Where a line or column may be meant in two ways, it is refused.

    Example:
        >>> import tempfile
        >>> import pandas
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}).to_csv(f"{folder}/x.csv.gz")
        ...     table = data.open_table(f"{folder}/x.csv.gz")
        ...     table.names, table.notes
        (('a', 'b'), ("index column 'Unnamed: 0' left out",))
    """
    file, member = parted(path)
    kind = file.suffix.lower()
    if file.is_dir():
        raise ValueError(f"{file}: a folder; name the files in it, one for each round: {file / '*'}")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file}: a pipe or a device, and samples are read more than once; save them in a file first")
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; {EXPECTED}")
    if kind not in READERS:
        raise ValueError(f"{file}: unknown kind of file {kind!r}; {EXPECTED}")
    return READERS[kind](file, columns, *([member] if member else []))


def parted(path: str | Path) -> tuple[Path, str | None]:
    """The file, and the name of the array in it: FILE.npz:NAME.

    Example:
        >>> from rfcollapse.data.tables import parted
        >>> parted("x.npz:images")[1]
        'images'
    """
    found = re.fullmatch(r"(.+\.npz):(.+)", str(path), re.IGNORECASE)
    return (Path(found[1]), found[2]) if found and not Path(path).is_file() else (Path(path), None)


def frame_table(source: str | Path, frame, columns: Sequence | None = None) -> Table:
    """The table of a pandas DataFrame, whose columns are matched and left out as those of a file.

    Args:
        source: what it is called in errors.
        frame: of numbers, or with the columns of numbers named.
        columns, and errors: as of `sample_chunks`.

    Example:
        >>> import pandas
        >>> from rfcollapse.data.tables import frame_table
        >>> frame_table("x", pandas.DataFrame({"id": [1, 2], "a": [0.5, 1.0], "b": [1.5, 2.0]})).names
        ('a', 'b')
    """
    names = list(map(str, frame.columns))
    kept = chosen(str(source), names, len(names), columns)
    try:
        array = frame.iloc[:, kept].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        remedy = "choose columns of numbers (--columns)"
        raise ValueError(f"{source}: not all columns are numbers ({brief(error)}); {remedy}") from None
    left = [name for i, name in enumerate(names) if i not in kept]
    notes = [f"left out: {listed(left)}"] if left else []
    names = data = [names[i] for i in kept]
    if columns is None:
        data = [name for i, name in enumerate(names) if not counts_rows(str(source), name, i, array[:, i])]
        notes = [f"index column {name!r} left out" for name in names if name not in data]
    return array_table(source, array, data, names)._replace(notes=tuple(notes))


def _open_parquet(path, columns):
    import pandas

    try:
        frame = pandas.read_parquet(path)
    except ImportError:
        raise ValueError(f"{path}: .parquet needs the package pyarrow; install it, or save as .csv or .npy") from None
    except Exception as error:  # as of NumPy's parsers
        raise ValueError(f"{path}: not a whole .parquet file ({brief(error)}); save it again") from None
    return frame_table(path, frame, columns)


TEXTS = (".csv", ".tsv", ".txt", ".gz", ".bz2", ".xz", ".zip", ".zst")
READERS = {".npy": open_array, ".npz": open_array, ".parquet": _open_parquet} | dict.fromkeys(TEXTS, open_text)
