"""A user's samples: going through them in chunks, however many, and their principal variances with errors."""

import csv
import itertools
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from .. import check, data
from ..data.columns import chosen
from ..measure.moments import moments, power_sums
from ..measure.rates import jackknife_error
from .rows import RowHashes

CHUNK = 4096  # rows in memory at a time
DRAWN = 8192  # rows of what is drawn
MOST_COLUMNS = 10_000  # a covariance of 800 MB
NULL = 1e-12  # of the largest variance: below it is rounding
NUMBER = re.compile(r"\d+(?:\.\d+)?")
GROUPS = 20  # of rows; the answer is computed again without each of them


class Samples(NamedTuple):
    """Somebody's samples: calling it goes through the rows once, at most 4096 in memory at a time."""

    chunks: Callable[[], Iterator[Float[np.ndarray, "_ d"]]]
    """() → all rows, in order."""
    names: tuple[str, ...] | None = None
    """Of the columns, where they have names."""
    notes: tuple[str, ...] = ()
    """How what was read is understood, where that is not a matter of course, each in a few words."""

    def __call__(self) -> Iterator[Float[np.ndarray, "_ d"]]:
        """All rows, in order, in chunks."""
        return self.chunks()


def open_samples(source: Any, *, columns: Sequence | None = None) -> Samples:
    """Samples that can be gone through again and again; a file is looked into at once, and read each time.

    What takes more than 2 s tells on stderr how far it is and how long it will take. Of mixtures and Gaussians 8192
    rows are drawn, the same ones each time.

    Args:
        source: a DATA name (`data.DATA_HELP`), a path, or rows (n ≥ 2, d), which may be a pandas DataFrame.
        columns: names (or numbers from 0 where there are none) to take, in this order: those that the user chose, or
            the `names` of a table that this one is to match. What else the table has is left out, and noted.

    Raises:
        FileNotFoundError, ValueError: in the words of `data.find` or `data.open_table`; a column that is asked for and
            not there is named with both lists.

    Example:
        >>> from rfcollapse.advice import samples
        >>> [len(chunk) for chunk in samples.open_samples("two_moons")()]
        [4096, 4096]
    """
    if isinstance(source, (str, Path)):
        found = data.find(str(source))
        if found.path is not None:
            table = data.open_table(found.path, columns)
            return Samples(partial(_watched, found.path, table), table.names, table.notes)
        rows = found.images().samples if found.images else _drawn(found.draw)
    elif hasattr(source, "iloc"):
        table = data.frame_table("samples", source, columns)
        return Samples(partial(table.chunks, CHUNK), table.names, table.notes)
    else:
        source, rows = "samples", check.table("samples", source, 2)
    rows = np.asarray(rows)
    if columns is not None:
        rows = rows[:, chosen(str(source), None, rows.shape[1], columns)]
    return Samples(lambda: (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)))


def _drawn(draw):
    import jax  # heavy, and needed for this alone

    return draw(jax.random.key(0), DRAWN)


def add_columns(command: ArgumentParser):
    """The option --columns, for `open_samples`.

    Example:
        >>> import argparse
        >>> from rfcollapse.advice import samples
        >>> parser = argparse.ArgumentParser()
        >>> samples.add_columns(parser)
        >>> parser.parse_args(["--columns", 'height,"weight, kg"']).columns
        ['height', 'weight, kg']
    """
    words = "read these columns only, by name, or by number from 0 where there are no names"
    command.add_argument("--columns", type=_fields, metavar="A,B,…", help=words)


def _fields(text):
    return [field.strip() for row in csv.reader(text.splitlines(), skipinitialspace=True) for field in row]


def natural_order(names: Sequence[str]) -> list[str]:
    """Files in the order of the numbers in their names, where they come in an order of text, as from a shell's glob.

    Neighbours in the list that differ in numbers only, and that stand in the order that a shell gives them (sorted by
    characters, or as most languages sort, by letters and digits alone), are put in the order of the numbers: round_2
    before round_10. Any other order is somebody's own, and kept.

    Args:
        names: as they were given.

    Example:
        >>> from rfcollapse.advice import samples
        >>> samples.natural_order(["o_1.npy", "o_10.npy", "o_2.npy"])
        ['o_1.npy', 'o_2.npy', 'o_10.npy']
        >>> samples.natural_order(["late.npy", "early.npy"])
        ['late.npy', 'early.npy']
    """
    ordered = []
    for _, group in itertools.groupby(names, lambda name: NUMBER.sub("0", name)):
        group = list(group)
        by_text = (group == sorted(group, key=key) for key in (str, lambda name: re.sub(r"[\W_]", "", name).casefold()))
        ordered += sorted(group, key=lambda name: [*map(float, NUMBER.findall(name))]) if any(by_text) else group
    return ordered


def _watched(path, table):
    with tqdm(desc=path.name, unit=" rows", delay=2, total=table.count) as bar:
        for chunk in table.chunks(CHUNK):
            if chunk.shape[1] > MOST_COLUMNS:
                raise ValueError(
                    f"{path}: {chunk.shape[1]} columns, at most {MOST_COLUMNS} can be taken; reduce them first, for "
                    "example to features or principal components"
                )
            yield chunk
            bar.update(len(chunk))


class Spectrum(NamedTuple):
    """Variances of samples along their principal directions."""

    count: int
    """n, rows."""
    mean: Float[np.ndarray, " columns"]
    """The mean, which is taken off."""
    directions: Float[np.ndarray, "columns d"]
    """Unit vectors, the largest variance first; d ≤ columns, those without variance being left out."""
    variances: Float[np.ndarray, " d"]
    """λ > 0."""
    without: Float[np.ndarray, "groups d"]
    """The variances along the same directions with one of up to 20 groups of rows left out."""
    copies: int
    """Rows that are exact copies of earlier ones."""

    @property
    def relative_error(self) -> Float[np.ndarray, " d"]:
        """Standard error of λ over λ: jackknife over the groups, for independent rows."""
        return jackknife_error(self.without) / self.variances


def spectrum(chunks: Callable[[], Iterator]) -> Spectrum:
    """Principal variances of the rows about their mean, going twice through them.

    About the mean, because a model with a bias keeps the mean at no cost; what dies is the variation around it. A
    direction below 10⁻¹² of the largest variance is left out.

    Args:
        chunks: see `open_samples`.

    Raises:
        ValueError: nothing varies.

    Example:
        >>> from rfcollapse.advice import samples
        >>> samples.spectrum(samples.open_samples([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])).variances.round(2)
        array([2.67])
    """
    hashes = RowHashes()
    count, mean, covariance = moments(hashes.passing(chunks()))
    copies = count - hashes.multiplicity()[0]
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    varies = variances > NULL * max(variances[0], 0)
    if not varies.any():
        raise ValueError("the samples are all alike: no column varies; there is no variance to keep")
    variances, directions = variances[varies], np.ascontiguousarray(directions[:, varies])
    sums = power_sums(chunks(), mean, directions, groups=min(GROUPS, count))
    rest = (count - sums.counts)[:, None]
    first, second = ((powers.sum(axis=0) - powers) / rest for powers in sums.along)
    return Spectrum(count, mean, directions, variances, np.maximum(second - first**2, NULL * variances), copies)


class Reservoir:
    """Up to so many rows of a stream of chunks, every row with the same chance, in an order of chance."""

    def __init__(self, size: int):
        self.size, self.rows, self._keys, self._generator = size, None, np.zeros(0), np.random.default_rng(0)

    def passing(self, chunks: Iterator) -> Iterator[Float[np.ndarray, "_ d"]]:
        """The same chunks; afterwards `rows` holds those with the least random keys."""
        for chunk in chunks:
            self.rows = chunk if self.rows is None else np.concatenate([self.rows, chunk])
            self._keys = np.concatenate([self._keys, self._generator.random(len(chunk))])
            chosen = np.argsort(self._keys)[: self.size]
            self.rows, self._keys = self.rows[chosen], self._keys[chosen]
            yield chunk
