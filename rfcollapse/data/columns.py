"""Which columns of a table are samples: those asked for, by name or number, or all but one that counts the rows."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

EXPECTED = (
    "expected samples in rows (n ≥ 2, d ≥ 1) in a .csv, .tsv or .txt file (packed or not), .npy, .npz, FILE.npz:NAME "
    "or .parquet"
)
UNNAMED = "Unnamed: 0"  # as pandas calls a column without a name, which is an index that it wrote
KEY = re.compile(r"(?i:(.*[\W_])?(id|idx|key)|index|row|unnamed: .*)|.*[a-z]I[dD]")
MANY = 10  # rows that a column of data does not count by chance
CHOOSE = "choose columns (--columns), or save the table without it"


class Table(NamedTuple):
    """A table in a file, looked into and not yet read."""

    names: tuple[str, ...] | None
    """Of its columns, those left out excepted; None: it has none."""
    notes: tuple[str, ...]
    """How it is understood, where that is not a matter of course, each in a few words."""
    count: int | None
    """Its rows; of text an estimate, None where it is packed."""
    chunks: Callable[[int], Iterator[Float[np.ndarray, "_ d"]]]
    """(rows) → all rows in order, float64, at most so many at a time."""


def chosen(source: str, names: Sequence[str] | None, width: int, columns: Sequence | None) -> list[int]:
    """Positions of the columns asked for, in the order asked for; of all, where `columns` is None.

    Args:
        source: what the table is called in errors.
        names: of its columns; None: they are numbered from 0.
        width: how many there are.
        columns: names (or numbers), each once.

    Example:
        >>> from rfcollapse.data.columns import chosen
        >>> chosen("x.csv", ["a", "b", "c"], 3, ["c", "a"])
        [2, 0]
    """
    known = list(map(str, range(width) if names is None else names))
    places = {name: i for i, name in enumerate(known)}
    if len(places) < width:
        twice = next(name for i, name in enumerate(known) if places[name] != i)
        raise ValueError(f"{source}: two columns are named {twice!r}; give each a name of its own")
    asked = known if columns is None else list(map(str, columns))
    if missing := [name for name in asked if name not in places]:
        there = f"it has {listed(known)}" if names else f"its {width} columns have no names, only numbers from 0"
        raise ValueError(f"{source}: no column {missing[0]!r}; asked for {listed(asked)}, {there}")
    if not asked or len(set(asked)) < len(asked):
        raise ValueError(f"{source}: columns must be asked for once each, at least one; got {listed(asked)}")
    return [places[name] for name in asked]


def counts_rows(source: str, name: str | None, place: int, values: Float[np.ndarray, " n"]) -> bool:
    """Whether a column is an index: it has the name of one, or is the first, and rises by one from row to row.

    Args:
        source: what the table is called in errors.
        name: of the column, if it has one.
        place: of the column, from 0.
        values: its first rows.

    Raises:
        ValueError: the name is that of a key, and the values are whole numbers in another order.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.data.columns import counts_rows
        >>> counts_rows("x.csv", "id", 3, np.arange(5.0))
        True
    """
    named = KEY.fullmatch(name or "")
    whole = np.isfinite(values).all() and (values == np.floor(values)).all()
    if not whole or not (named or (place == 0 and len(values) >= MANY)):
        return False
    if (np.diff(values) == 1).all():
        return True
    if name == UNNAMED and MANY <= len(values) == len(np.unique(values)):  # of a frame that was cut or shuffled
        return True
    if named:
        raise ValueError(f"{source}: column {name!r} looks like a key but does not count the rows; {CHOOSE}")
    return False


def listed(names: Sequence) -> str:
    """The first few names, and the last."""
    names = list(map(str, names))
    return ", ".join(names if len(names) < 7 else [*names[:5], "…", names[-1]])[:160]
