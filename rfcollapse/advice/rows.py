"""Which rows are the same: for copies, for halves that the order of the rows does not change, for a file's identity."""

import hashlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

ODD = np.uint64(0x9E3779B97F4A7C15)
COPIED = 0.1  # of the distinct rows, above which what comes twice is a copy
KEPT = 1000  # hashes of the real rows, to find their copies again


class RowHashes:
    """A 64-bit hash of every row of a stream of chunks, 8 bytes each."""

    def __init__(self):
        self._parts, self._multipliers = [], None

    def passing(self, chunks: Iterator) -> Iterator[Float[np.ndarray, "_ d"]]:
        """The same chunks; afterwards the hashes are there."""
        for chunk in chunks:
            rows = np.ascontiguousarray(chunk, np.float64) + 0.0  # −0 is 0
            if self._multipliers is None:
                draw = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], np.uint64)
                self._multipliers = 2 * draw + np.uint64(1)
            self._parts.append(_mixed((_mixed(rows.view(np.uint64)) * self._multipliers).sum(axis=1, dtype=np.uint64)))
            yield chunk

    @property
    def values(self) -> UInt64[np.ndarray, " n"]:
        """Of each row, in order."""
        self._parts = [np.concatenate([np.zeros(0, np.uint64), *self._parts])]  # once, however often it is asked for
        return self._parts[0]

    @property
    def digest(self) -> str:
        """Of all rows in their order, whatever file, format or chunks they came from."""
        return hashlib.blake2b(self.values.tobytes(), digest_size=16).hexdigest()

    @property
    def sketch(self) -> Int[np.ndarray, " kept"]:
        """Up to 1000 of the hashes, the smallest, cut to 53 bits (JSON): a sample that depends on the rows alone."""
        return np.unique(_short(self.values))[:KEPT]

    def share_of(self, sketch: Int[np.ndarray, " kept"]) -> float:
        """The share of another stream's sketch that is among these rows."""
        return float(np.isin(sketch, _short(self.values)).mean())

    def multiplicity(self) -> tuple[int, float]:
        """The number of distinct rows, and Σ m²/n, m being how often each is there: 1 where hardly any comes twice.

        A few rows that come often are what a law has of them (all zeros); copies are of many rows.
        """
        _, times = np.unique(self.values, return_counts=True)
        copied = (times > 1).mean() > COPIED
        return len(times), float((times.astype(float) ** 2).sum() / times.sum()) if copied else 1.0

    def halves(self, together: bool) -> Bool[np.ndarray, " n"]:
        """Half of the rows, by their content alone: no order of the rows changes it.

        Args:
            together: whether equal rows stay in one half, as copies must; else each goes its own way, as equal draws
                from a discrete law do.
        """
        values = self.values
        if not together:
            order = np.argsort(values, kind="stable")
            first = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
            before = np.empty(len(values), np.uint64)  # of equal rows
            before[order] = np.arange(len(values)) - np.repeat(first, np.diff(np.append(first, len(values))))
            values = _mixed(values + before * ODD)
        return values < np.partition(values, len(values) // 2)[len(values) // 2]


def discrete(rows: Float[np.ndarray, "n d"]) -> bool:
    """Whether equal rows are to be expected of independent draws, as from a table of a few categories.

    Else one that comes twice is a copy: the values of one column, on no grid, tell the distinct rows apart, or either
    half of the columns does (copied images: every pixel is on a grid). √n distinct rows of n are few.

    Args:
        rows: a sample, n ≥ 1.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.advice.rows import discrete
        >>> discrete(np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])), discrete(np.array([[0.12], [0.57], [0.71]]))
        (True, False)
    """
    count = len(np.unique(rows, axis=0))
    if count <= len(rows) ** 0.5:
        return True
    columns = [np.unique(column) for column in rows.T]
    halves = [len(np.unique(rows[:, part::2], axis=0)) for part in (0, 1)] if len(columns) > 1 else [0]
    return min(halves) < 0.9 * count and all(len(x) <= count / 2 or _on_grid(x) for x in columns)


def _on_grid(values):
    """Whether sorted numbers are whole multiples of their smallest gap."""
    gaps = np.diff(values)
    steps = gaps / gaps.min() if len(gaps) else np.ones(1)
    return bool(np.all(np.abs(steps - np.round(steps)) < 1e-4 * np.maximum(steps, 1)))


def _mixed(x):
    """A bijection of 64 bits after which each bit of the result depends on most of x."""
    x = (x ^ (x >> np.uint64(32))) * ODD
    return x ^ (x >> np.uint64(29))


def _short(values):
    return (values >> np.uint64(11)).astype(np.int64)
