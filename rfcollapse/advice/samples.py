"""A user's samples: going through them in chunks, however many, and their principal variances with errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real
from tqdm import tqdm

from .. import check, data
from ..measure.moments import moments, power_sums
from ..measure.rates import jackknife_error

CHUNK = 4096  # rows in memory at a time
DRAWN = 8192  # rows of what is drawn
MOST_COLUMNS = 10_000  # a covariance of 800 MB
NULL = 1e-12  # of the largest variance: below it is rounding
GROUPS = 20  # of rows; the answer is computed again without each of them


def open_samples(source: str | Path | Real[ArrayLike, "n d"]) -> Callable[[], Iterator[Float[np.ndarray, "_ d"]]]:
    """A function that goes through the rows once each time it is called, at most 4096 rows in memory at a time.

    What takes more than 2 s tells on stderr how far it is and how long it will take. Of mixtures and Gaussians 8192
    rows are drawn, the same ones each time.

    Args:
        source: a DATA name (`data.DATA_HELP`), a path, or rows (n ≥ 2, d).

    Raises:
        ValueError: in the words of `data.find`, or of `data.sample_chunks` on reading.

    Example:
        >>> from rfcollapse.advice import samples
        >>> [len(chunk) for chunk in samples.open_samples("two_moons")()]
        [4096, 4096]
    """
    if isinstance(source, (str, Path)):
        found = data.find(str(source))
        if found.path is not None:
            return lambda: _watched(found.path)
        rows = found.images().samples if found.images else found.draw(jax.random.key(0), DRAWN)
    else:
        rows = check.samples("samples", source, 2)
    rows = np.asarray(rows)
    return lambda: (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _watched(path):
    with tqdm(desc=path.name, unit=" rows", delay=2) as bar:
        for chunk in data.sample_chunks(path, CHUNK):
            if chunk.shape[1] > MOST_COLUMNS:
                raise ValueError(
                    f"{path}: {chunk.shape[1]} columns, at most {MOST_COLUMNS} can be taken; reduce them first, for "
                    "example to features or principal components"
                )
            bar.total = bar.total or _expected_rows(path)
            yield chunk
            bar.update(len(chunk))


def _expected_rows(path):
    """Exact for arrays, from the length of the first lines for text."""
    if path.suffix.lower() == ".npy":
        return len(np.load(path, mmap_mode="r"))
    if path.suffix.lower() == ".csv":
        with path.open("rb") as file:
            start = file.read(1 << 16)
        return max(round(path.stat().st_size * start.count(b"\n") / len(start)), 1)
    return None


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
    count, mean, covariance = moments(chunks())
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    varies = variances > NULL * max(variances[0], 0)
    if not varies.any():
        raise ValueError("the samples are all alike: no column varies; there is no variance to keep")
    variances, directions = variances[varies], np.ascontiguousarray(directions[:, varies])
    sums = power_sums(chunks(), mean, directions, groups=min(GROUPS, count))
    rest = (count - sums.counts)[:, None]
    first, second = ((powers.sum(axis=0) - powers) / rest for powers in sums.along)
    return Spectrum(count, mean, directions, variances, np.maximum(second - first**2, NULL * variances))


class Reservoir:
    """Up to so many rows of a stream of chunks, every row with the same chance."""

    def __init__(self, size: int):
        self.size, self.rows, self._keys, self._generator = size, None, np.zeros(0), np.random.default_rng(0)

    def passing(self, chunks: Iterator) -> Iterator[Float[np.ndarray, "_ d"]]:
        """The same chunks; afterwards `rows` holds those with the least random keys."""
        for chunk in chunks:
            self.rows = chunk if self.rows is None else np.concatenate([self.rows, chunk])
            self._keys = np.concatenate([self._keys, self._generator.random(len(chunk))])
            if len(self._keys) > self.size:
                chosen = np.argpartition(self._keys, self.size)[: self.size]
                self.rows, self._keys = self.rows[chosen], self._keys[chosen]
            yield chunk
