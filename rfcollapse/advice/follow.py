"""One pass through samples as the monitor sees them: moments along directions and in columns, and how sure they are."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..measure.dependence import design_effect
from .rows import RowHashes
from .samples import Reservoir
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
    rest: bool
    """Whether there are directions beyond these: they are followed together."""
    discrete: bool
    """Whether equal rows are to be expected."""
    columns: tuple[str, ...] | None = None
    """Names, for words."""

    def standardised(self, chunk):
        """(x − x̄0)/scale, of the columns that vary."""
        varies = self.scale > 0
        z = (chunk if varies.all() else chunk[:, varies]) - self.mean[varies]
        z /= self.scale[varies]
        return np.clip(z, -CAP, CAP, out=z)

    def beyond(self, z, along):
        """What of standardised rows is in none of the directions."""
        steady = slice(None) if self.steady.all() else self.steady
        return z[:, steady] - along @ self.directions[steady].T

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
    """Sums of the first four powers of features, and how far from 0 the farthest was."""

    def __init__(self):
        self.count, self.sums, self.most = 0, 0.0, 0.0

    def add(self, values):
        """Takes more rows in."""
        self.count += len(values)
        power, sums = values, []
        for _ in range(4):
            sums.append(power.sum(axis=0))
            power = power * values
        self.sums = self.sums + np.stack(sums)
        self.most = np.maximum(self.most, np.maximum(values.max(axis=0), -values.min(axis=0)))

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
        >>> lens = Lens(0 * one, one, one > 0, np.ones((1, 1)), middle, False, False)
        >>> rows, hashes = np.random.default_rng(0).standard_normal((1000, 1)), RowHashes()
        >>> follow(hashes.passing(iter([rows])), lens, "rows", hashes).level.inside.round(1)
        array([0.5])
    """
    columns, along, row, chosen, head, coarse = Powers(), Powers(), 0, Reservoir(points), [], []
    own, squares, rest = Powers(), Powers(), Powers()  # of |x − x̄0|² in the largest unit; of |z|², and of its rest
    peak, place, inside, idle, moved, off = 0.0, 0, 0.0, 0.0, 0.0, 0.0
    varies, unit = lens.scale > 0, lens.scale.max()
    weight = lens.scale[varies] / unit
    for chunk in chunks:
        if chunk.shape[1] != len(lens.mean):
            raise ValueError(f"{name}: {chunk.shape[1]} columns, the reference has {len(lens.mean)}; they must agree")
        z = lens.standardised(chunk)
        still = np.clip((chunk[:, ~varies] - lens.mean[~varies]) / unit, -CAP, CAP)
        f = z @ lens.directions
        features = _features(z, f, lens)
        columns.add(z)
        squares.add(features[-1])
        own.add((features[3] @ weight**2 + np.einsum("ij,ij->i", still, still))[:, None])
        moved, idle = moved + still.sum(axis=0), np.maximum(idle, np.abs(still).max(axis=0))
        used = slice(None) if half is None else half[row : row + len(z)]
        if len(part := f[used]):
            along.add(part)
            list(chosen.passing(iter([part])))
            if lens.rest:
                rest.add(features[-2][used])
                off = off + z[used].sum(axis=0)
        inside = inside + ((z >= lens.middle[0]) & (z <= lens.middle[1])).sum(axis=0)
        far = np.abs(z)
        high = far.argmax(axis=0)
        height = np.take_along_axis(far, high[None], axis=0)[0]
        peak, place = np.maximum(height, peak), np.where(height > peak, row + high, place)
        if row < HEAD:
            head.append(np.concatenate([x[: HEAD - row] for x in features], axis=1))
        if row < BLOCK * MOST_BLOCKS and len(z) >= BLOCK:
            blocks = [x[: len(z) // BLOCK * BLOCK].reshape(-1, BLOCK, x.shape[1]).mean(axis=1) for x in features]
            coarse.append(np.concatenate(blocks, axis=1))
        row += len(z)
    if along.count < FEWEST:
        raise ValueError(f"{name}: too few rows, {row}; at least {FEWEST} are needed, {2 * FEWEST} in the reference")
    (mean, variance, kurtosis), (dmean, dvariance, dkurtosis) = columns.moments(), along.moments()
    together = [rest, squares] if lens.rest else [squares]
    distinct, copies = hashes.multiplicity()
    if lens.discrete or distinct <= row**0.5:  # so few are a law's own, or what a collapse leaves
        copies = 1.0
    first = np.concatenate(head)
    effect = design_effect(first)
    if coarse:  # over the whole file
        single = [x.sums[1] / x.count - (x.sums[0] / x.count) ** 2 for x in together]
        spread = [dvariance, variance, dkurtosis * dvariance**2, kurtosis * variance**2, *single]
        spread = np.maximum(first.var(axis=0), np.concatenate(spread))
        effect = np.maximum(effect, design_effect(np.concatenate(coarse), size=BLOCK, spread=spread))
    effect = np.where(row < FEWEST * effect, row, effect)  # how few cannot be told then: worth a single row
    k = len(dmean) + len(mean)
    chain = (effect[:k] - 1) / (effect[:k] + 1)  # the correlation r of neighbours; that of squares is r² at least
    squared = (1 + chain**2) / (1 - chain**2)
    wide_mean, wide = np.maximum(effect[:k], copies), np.maximum(effect[k:], copies)
    wide = np.maximum(wide, np.append(squared, [squared.max()] * len(together)))
    counts = np.array([along.count] * len(dmean) + [row] * len(mean) + [x.count for x in together])
    total = variance[lens.steady].sum()
    beyond = []
    if lens.rest:
        middle = lens.beyond(off[None] / rest.count, dmean[None])
        beyond = [rest.sums[0, 0] / rest.count - (middle**2).sum()]
    variances = np.concatenate([dvariance, variance, beyond, [total]])
    largest = np.concatenate([along.most**2, peak**2, *(x.most for x in together)]) / counts
    shift = unit**2 * float(((mean * weight) ** 2).sum() + ((moved / row) ** 2).sum())
    level = Followed(
        row,
        np.concatenate([dmean, mean]),
        variances,
        np.maximum(variances - largest, 0.0),
        np.concatenate([dkurtosis, kurtosis, *map(_of_squares, together)]),
        counts / wide,
        counts[:k] / wide_mean,
        inside / row,
        unit**2 * float(own.sums[0, 0] / row) - shift,
        float(_of_squares(own)[0]),
    )
    notes = [*_copied(distinct, row, lens), *_alike(wide[:k] if copies == 1 else np.ones(1), row)]
    sums = columns.sums[1]
    for i in np.flatnonzero((peak**2 > PEAK * sums) & lens.steady & (variance > 0))[:3]:
        share = peak[i] ** 2 / sums[i]
        notes.append(
            f"row {place[i]} (from 0) alone is {share:.0%} of the squares in column {lens.name(i)}: an outlier or a "
            "code for a missing value hides what the other rows do; leave it out"
        )
    changed = np.flatnonzero(~varies)[idle > 0]
    if len(changed):
        which = ", ".join(column_name(int(i), lens.columns) for i in changed[:3])
        notes.append(f"{len(changed)} columns that are constant in the reference vary here ({which}): not followed")
    sample = chosen.rows
    if copies > 1:  # which cover nothing more
        sample = sample[np.sort(np.unique(sample, axis=0, return_index=True)[1])]
    return Seen(level, shift, sample, tuple(f"{name}: {note}" for note in notes))


def limits(name: str, lens: Lens, rows: Float[np.ndarray, "n columns"]) -> Iterator[str]:
    """What of the reference is followed with less than it seems, in a line each.

    Args:
        name: of the reference, for words.
        lens: its own.
        rows: some of its rows.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.advice.follow import Lens, limits
        >>> one = np.ones(2)
        >>> lens = Lens(0 * one, one, np.array([True, False]), np.eye(2)[:, :1], np.zeros((2, 2)), False, False)
        >>> print(*limits("real.npy", lens, np.random.default_rng(0).standard_normal((99, 2))))
        real.npy: the variance of 1 of 2 columns rests on a few far rows (1): outliers, codes for missing values, or \
mostly one value; followed is only their share in the middle half
    """
    yield from (*_unsteady(name, lens), *_coded(name, lens, rows))


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


def _features(z, f, lens):
    """Of each row: what means and variances are means of, along directions, in columns, in the rest and in total."""
    together = [lens.beyond(z, f)] * lens.rest + [z if lens.steady.all() else z[:, lens.steady]]
    return [f, z, f**2, z**2, *(np.einsum("ij,ij->i", x, x)[:, None] for x in together)]


def _of_squares(powers):
    """Squared relative error of a sum of squares about the reference's mean, for one row."""
    first, second = powers.sums[:2, 0] / powers.count
    return np.maximum([second / first**2 - 1 if first > 0 else 0.0], 0.0)


def _copied(distinct, count, lens):
    if lens.discrete or distinct > (1 - NAMED) * count:
        return []
    if distinct <= count**0.5:
        return [f"{count} rows, of which {distinct} differ"]
    return [f"{count - distinct} of {count} rows are exact copies of others: errors count what differs"]


def _alike(wide, rows):
    if wide.max() < WIDER:
        return []
    how = f"as if {wide.max():.0f} times fewer: errors are widened for it"
    how = how if wide.max() < rows / FEWEST else f"worth fewer than {FEWEST} independent ones, too few to judge"
    return [f"rows are like their neighbours (frames, chains, a sorted table), {how}; if independent, shuffle them"]
