"""One pass through samples as the monitor sees them: moments along directions and in columns, and how sure they are."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..measure.dependence import design_effect
from .rows import RowHashes
from .samples import NULL, Reservoir
from .state import Followed, column_name

POINTS = 1000  # rows for coverage
HEAD = 4096  # first rows, in which neighbours are compared one by one
BLOCK, MOST_BLOCKS = 256, 8192  # rows; blocks of them, which are compared beyond
FEWEST = 20  # rows behind levels
PEAK = 0.5  # of a column's sum of squares, in one row
CAP = 1e30  # standard deviations: beyond, fourth powers and their sums run over
ROUNDING = 1e-13  # of a mean square: less is no variance
CODE = 3.0  # times the range of all other values, from which a value that comes again looks like a code
NAMED = 0.01  # of the rows, from which on copies are named
WIDER = 2.0  # of variances of means, from which on dependence is named


class Lens(NamedTuple):
    """How rows are looked at."""

    mean: Float[np.ndarray, " columns"]
    """Of the reference."""
    scale: Float[np.ndarray, " columns"]
    """Its standard deviations, 0 where a column does not vary."""
    steady: Bool[np.ndarray, " p"]
    """Of the columns that vary: whose variance rests on many rows. Others are no part of directions and total."""
    directions: Float[np.ndarray, "p k"]
    """Unit vectors in the space of the columns that vary, each over its scale."""
    middle: Float[np.ndarray, "2 p"]
    """Quartiles there."""
    discrete: bool
    """Whether equal rows are to be expected."""
    columns: tuple[str, ...] | None = None
    """Names, for words."""

    def standardised(self, chunk):
        """(x − x̄0)/scale, of the columns that vary."""
        varies = self.scale > 0
        return np.clip((chunk[:, varies] - self.mean[varies]) / self.scale[varies], -CAP, CAP)

    def name(self, index):
        """Of one of the columns that vary, as the user knows it."""
        return column_name(int(np.flatnonzero(self.scale > 0)[index]), self.columns)


class Seen(NamedTuple):
    """What one pass leaves."""

    level: Followed
    """Moments and their weight."""
    shift: float
    """|x̄ − x̄0|² in the data's own units."""
    sample: Float[np.ndarray, "rows k"]
    """Some rows along the directions."""
    notes: tuple[str, ...]
    """What makes the numbers say less than they seem to."""


class Powers:
    """Sums of the first four powers of features."""

    def __init__(self):
        self.count, self.sums = 0, 0.0

    def add(self, values):
        """Takes more rows in."""
        self.count += len(values)
        power, sums = values, []
        for _ in range(4):
            sums.append(power.sum(axis=0))
            power = power * values
        self.sums = self.sums + np.stack(sums)

    def moments(self):
        """Mean, central variance and kurtosis − 1."""
        first, second, third, fourth = self.sums / self.count
        variance = second - first**2
        variance = np.where(variance > ROUNDING * second, variance, 0.0)
        central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
        safe = np.where(variance > 0, variance, 1.0)
        return first, variance, np.where(variance > 0, np.maximum(central / safe**2 - 1, 0.0), 0.0)


def follow(
    chunks: Iterator,
    lens: Lens,
    name: str,
    hashes: RowHashes,
    half: Bool[np.ndarray, " n"] | None = None,
    points: int = POINTS,
) -> Seen:
    """What is seen of the rows through a lens.

    Args:
        chunks: rows, with all columns.
        lens: of the reference.
        name: of the samples, for words.
        hashes: of the same rows; filled now, or before.
        half: which rows count along the directions and for the sample; None: all.
        points: the size of that sample.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.advice.follow import Lens, follow
        >>> from rfcollapse.advice.rows import RowHashes
        >>> middle, one = np.array([[-0.7], [0.7]]), np.ones(1)
        >>> lens = Lens(0 * one, one, one > 0, np.ones((1, 1)), middle, False)
        >>> rows, hashes = np.random.default_rng(0).standard_normal((1000, 1)), RowHashes()
        >>> follow(hashes.passing(iter([rows])), lens, "rows", hashes).level.inside.round(1)
        array([0.5])
    """
    columns, along, row, coarse = Powers(), Powers(), 0, []
    squares, own = Powers(), Powers()  # of |z|², and of |x − x̄0|² in the largest unit
    peak, place, inside, idle, tall, most = 0.0, 0, 0.0, 0.0, 0.0, 0.0
    raw, chosen, head, unit = 0.0, Reservoir(points), [], lens.scale.max()
    for chunk in chunks:
        if chunk.shape[1] != len(lens.mean):
            raise ValueError(f"{name}: {chunk.shape[1]} columns, the reference has {len(lens.mean)}; they must agree")
        z, centred = lens.standardised(chunk), np.clip((chunk - lens.mean) / unit, -CAP, CAP)
        used = z if half is None else z[half[row : row + len(z)]]
        f = used @ lens.directions
        columns.add(z)
        square = (z[:, lens.steady] ** 2).sum(axis=1, keepdims=True)
        squares.add(square)
        most = max(most, square.max(initial=0.0))
        own.add(np.einsum("ij,ij->i", centred, centred)[:, None])
        raw = raw + centred.sum(axis=0)
        if len(f):
            along.add(f)
            tall = np.maximum(tall, np.abs(f).max(axis=0))
            list(chosen.passing(iter([f])))
        inside = inside + ((z >= lens.middle[0]) & (z <= lens.middle[1])).sum(axis=0)
        idle = np.maximum(idle, np.abs(np.where(lens.scale > 0, 0.0, centred)).max(axis=0))
        high = np.abs(z).argmax(axis=0)
        height = np.take_along_axis(np.abs(z), high[None], axis=0)[0]
        peak, place = np.maximum(height, peak), np.where(height > peak, row + high, place)
        if row < HEAD:
            head.append(z[: HEAD - row])
        if row < BLOCK * MOST_BLOCKS and len(z) >= BLOCK:
            features = _features(z[: len(z) // BLOCK * BLOCK], lens)
            coarse.append(features.reshape(-1, BLOCK, features.shape[1]).mean(axis=1))
        row += len(z)
    if along.count < FEWEST:
        raise ValueError(f"{name}: too few rows, {row}; at least {FEWEST} are needed, {2 * FEWEST} in the reference")
    (mean, variance, kurtosis), (dmean, dvariance, dkurtosis) = columns.moments(), along.moments()
    distinct, copies = hashes.multiplicity()
    if lens.discrete or distinct <= row**0.5:  # so few are a law's own, or what a collapse leaves
        copies = 1.0
    first = _features(np.concatenate(head), lens)
    effect = design_effect(first)
    if coarse:  # over the whole file
        tails, mean_square = squares.sums[:2] / row
        spread = [dvariance, variance, dkurtosis * dvariance**2, kurtosis * variance**2, mean_square - tails**2]
        spread = np.maximum(first.var(axis=0), np.concatenate(spread))
        effect = np.maximum(effect, design_effect(np.concatenate(coarse), size=BLOCK, spread=spread))
    k = len(dmean) + len(mean)
    chain = (effect[:k] - 1) / (effect[:k] + 1)  # the correlation r of neighbours; that of squares is r² at least
    squared = (1 + chain**2) / (1 - chain**2)
    wide_mean, wide = np.maximum(effect[:k], copies), np.maximum(effect[k:], copies)
    wide = np.maximum(wide, np.append(squared, squared.max()))
    counts = np.concatenate([np.full(len(dmean), along.count), np.full(len(mean) + 1, row)])
    variances = np.concatenate([dvariance, variance, [variance[lens.steady].sum()]])
    largest = np.concatenate([tall**2, peak**2, [most]]) / counts
    shift = unit**2 * float(((raw / row) ** 2).sum())
    level = Followed(
        row,
        np.concatenate([dmean, mean]),
        variances,
        np.maximum(variances - largest, 0.0),
        np.concatenate([dkurtosis, kurtosis, _of_total(squares)]),
        counts / wide,
        counts[:-1] / wide_mean,
        inside / row,
        unit**2 * float(own.sums[0, 0] / row) - shift,
        float(_of_total(own)[0]),
    )
    notes = [*_copied(distinct, row, lens), *_alike(wide[:-1] if copies == 1 else np.ones(1))]
    sums = columns.sums[1]
    for i in np.flatnonzero((peak**2 > PEAK * sums) & lens.steady & (variance > 0))[:3]:
        share = peak[i] ** 2 / sums[i]
        notes.append(
            f"row {place[i]} (from 0) alone is {share:.0%} of the squares in column {lens.name(i)}: an outlier or a "
            "code for a missing value hides what the other rows do; leave it out"
        )
    moved = np.flatnonzero(idle > 0)
    if len(moved):
        which = ", ".join(column_name(int(i), lens.columns) for i in moved[:3])
        notes.append(f"{len(moved)} columns that are constant in the reference vary here ({which}): not followed")
    sample = chosen.rows
    if copies > 1:  # which cover nothing more
        sample = sample[np.sort(np.unique(sample, axis=0, return_index=True)[1])]
    return Seen(level, shift, sample, tuple(f"{name}: {note}" for note in notes))


def limits(
    name: str, lens: Lens, values: Float[np.ndarray, " p"], rows: Float[np.ndarray, "n columns"]
) -> Iterator[str]:
    """What of the reference is not followed, or followed with less than it seems, in a line each.

    Args:
        name: of the reference, for words.
        lens: its own.
        values: eigenvalues of its correlations, largest first.
        rows: some of its rows.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.advice.follow import Lens, limits
        >>> lens = Lens(np.zeros(2), np.ones(2), np.ones(2, bool), np.ones((2, 1)), np.zeros((2, 2)), False)
        >>> list(limits("real.npy", lens, np.array([1.99, 0.01]), np.random.default_rng(0).standard_normal((99, 2))))
        ['real.npy: 1 of 2 directions, 0.5% of the correlations, are not followed one by one']
    """
    yield from (*_unsteady(name, lens), *_unfollowed(name, lens, values), *_coded(name, lens, rows))


def _unfollowed(name, lens, values):
    """Directions beyond those that are followed, however many."""
    count, k = int((values > NULL * values[0]).sum()), lens.directions.shape[1]
    if count > k:
        share = values[k:].sum() / values.sum()
        yield f"{name}: {count - k} of {count} directions, {share:.1%} of the correlations, are not followed one by one"


def _coded(name, lens, rows):
    """Values that come again and again, far from all others."""
    for i in range(rows.shape[1]):
        values, times = np.unique(rows[:, i], return_counts=True)
        for end, inner in ((0, values[1:]), (-1, values[:-1])):
            if len(inner) > 1 and times[end] > 2 and np.abs(values[end] - inner).min() > CODE * np.ptp(inner):
                what = f"{times[end] / len(rows):.1%} of the rows of column {column_name(i, lens.columns)}"
                yield f"{name}: {what} are {values[end]:g}, far from all others: a missing value's code?"


def _unsteady(name, lens):
    which = np.flatnonzero(~lens.steady)
    if len(which):
        some = ", ".join(lens.name(i) for i in which[:3]) + ", …" * (len(which) > 3)
        yield (
            f"{name}: the variance of {len(which)} of {len(lens.mean)} columns rests on a few far rows ({some}): "
            "outliers, codes for missing values, or mostly one value; followed is only their share in the middle half"
        )


def _features(z, lens):
    """Of each row: what means and variances are means of, along the directions, in the columns and in total."""
    f = z @ lens.directions
    return np.concatenate([f, z, f**2, z**2, (z[:, lens.steady] ** 2).sum(axis=1, keepdims=True)], axis=1)


def _of_total(powers):
    """Squared relative error of a sum of squares about the reference's mean, for one row."""
    first, second = powers.sums[:2, 0] / powers.count
    return np.maximum([second / first**2 - 1 if first > 0 else 0.0], 0.0)


def _copied(distinct, count, lens):
    if lens.discrete or distinct > (1 - NAMED) * count:
        return []
    if distinct <= count**0.5:
        return [f"{count} rows, of which {distinct} differ"]
    return [f"{count - distinct} of {count} rows are exact copies of others: errors count what differs"]


def _alike(wide):
    if wide.max() < WIDER:
        return []
    return [
        f"rows are like their neighbours (frames, chains, a sorted table), as if {wide.max():.0f} times fewer: errors "
        "are widened for it; if the rows are independent, shuffle them"
    ]
