"""What the monitor remembers: the reference, and a few numbers of every round; kept in a file between calls."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..output import as_json, replace

VERSION = 3  # of the file


def column_name(index: int, names: tuple[str, ...] | None) -> str:
    """As the user knows it: by its name, or its number from 0.

    Example:
        >>> from rfcollapse.advice.state import column_name
        >>> column_name(1, ("age", "height")), column_name(1, None)
        ("'height'", '1')
    """
    return repr(names[index]) if names else str(index)


class Followed(NamedTuple):
    """What is known of samples: first along k directions, then in p columns, then, of variances, in all r = 0 or 1
    directions beyond the k together, and in total.

    All in standard deviations of the reference's columns, so that no unit counts more than another; columns that do not
    vary in the reference are no part of p.
    """

    count: int
    """Rows."""
    mean: Float[np.ndarray, " k_and_p"]
    """From the reference's mean."""
    variances: Float[np.ndarray, " k_and_p_and_r_and_1"]
    """About their own mean; the total is the sum over the steady columns."""
    trimmed: Float[np.ndarray, " k_and_p_and_r_and_1"]
    """The same less what the row with the largest square adds: one row alone is no growth."""
    kurtosis: Float[np.ndarray, " k_and_p_and_r_and_1"]
    """Of one row, squared relative error of a variance: fourth moment over squared variance − 1, 2 if Gaussian."""
    rows: Float[np.ndarray, " k_and_p_and_r_and_1"]
    """Independent rows that each variance is worth: fewer where rows are copies, or like their neighbours."""
    mean_rows: Float[np.ndarray, " k_and_p"]
    """The same for the means."""
    inside: Float[np.ndarray, " p"]
    """Share of rows in the middle half of the reference, column by column."""
    total: float
    """Σ of the columns' variances in the data's own units, all columns."""
    total_kurtosis: float
    """Of that, like the others."""


class Reference(NamedTuple):
    """Real data, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    digest: str
    """Of their rows."""
    columns: tuple[str, ...] | None
    """The names of all columns, where they have some."""
    mean: Float[np.ndarray, " columns"]
    """Of all columns."""
    scale: Float[np.ndarray, " columns"]
    """Standard deviations; 0 where a column does not vary."""
    steady: Bool[np.ndarray, " p"]
    """Of the columns that vary: whether the variance rests on many rows; others are no part of directions and total."""
    directions: Float[np.ndarray, "p k"]
    """Principal directions of the correlations, largest first, of one half of the rows."""
    middle: Float[np.ndarray, "2 p"]
    """Quartiles of the columns, standardised, and a hair's breadth beyond."""
    rest: bool
    """Whether there are further directions."""
    common: Float[np.ndarray, " p"]
    """Share of rows at the median: that of the commonest value, where one has half of them."""
    spectrum: Float[np.ndarray, " d"]
    """Principal variances in the data's own units, largest first."""
    level: Followed
    """The directions on the other half of the rows, the columns and the total on all."""
    points: Float[np.ndarray, "points k"]
    """Some rows of the other half along the directions."""
    radii: Float[np.ndarray, " points"]
    """Distance of each to its 5th neighbour among them."""
    control: Float[np.ndarray, "rows k"]
    """Further ones, to see what real data cover."""
    sketch: Int[np.ndarray, " kept"]
    """Hashes of some rows."""
    discrete: bool
    """Whether equal rows are to be expected of independent draws."""
    notes: tuple[str, ...]
    """What was seen in the rows that verdicts depend on."""
    picked: tuple[str, ...] | None = None
    """The columns that were chosen on the command line."""

    @property
    def judged(self) -> Bool[np.ndarray, " k_and_p_and_r_and_1"]:
        """Whose variance is known."""
        return np.concatenate([np.ones(self.directions.shape[1], bool), self.steady, np.ones(self.rest + 1, bool)])

    def entry(self, index: int | np.integer) -> str:
        """What one of k + p + r + 1 numbers is of, in words."""
        k, p = self.directions.shape[1], len(self.steady)
        if index < k:
            return f"direction {index + 1}"
        if index >= k + p:
            return "the directions beyond these" if index - k - p < self.rest else "the total"
        return f"column {column_name(int(np.flatnonzero(self.scale > 0)[index - k]), self.columns)}"


class Round(NamedTuple):
    """One round's samples, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    digest: str
    """Of their rows."""
    level: Followed
    """As of the reference."""
    coverage: float
    """Share of the reference's points with some samples within their radius: of as many as it has further rows."""
    uncovered: float
    """By how much that is less than with as many real rows."""
    uncovered_error: float
    """An upper estimate of its standard error (Efron and Stein: jackknife over both)."""
    shift: float
    """|x̄ − x̄0|², of the means, in the data's own units."""
    notes: tuple[str, ...]
    """As of the reference."""
    loss: float | None = None
    """Training loss per sample, summed over the columns, of the denoiser that made them; see `losses.account`."""


class State(NamedTuple):
    """All that is remembered from round to round."""

    reference: Reference
    """The real data."""
    rounds: tuple[Round, ...]
    """In order."""


def save(state: State, path: str | Path):
    """Writes the state as JSON, whole or not at all.

    Args:
        state: of `monitor.start` or `monitor.add`.
        path: of the file.

    Example:
        >>> import tempfile
        >>> from rfcollapse.advice import monitor, samples, state
        >>> begun = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state.save(begun, f"{folder}/monitor.json")
    """
    replace(Path(path), as_json({"version": VERSION, **state._asdict()}))


def load(path: str | Path) -> State:
    """What `save` wrote; ValueError, in a line, for anything else.

    Example:
        >>> import tempfile
        >>> from rfcollapse.advice import monitor, samples, state
        >>> begun = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state.save(begun, f"{folder}/monitor.json")
        ...     state.load(f"{folder}/monitor.json").reference.directions.shape
        (2, 2)
    """
    try:
        kept = json.loads(Path(path).read_text())
        version = kept.pop("version")
        if version == VERSION:
            return State(_restored(Reference, kept["reference"]), tuple(_restored(Round, x) for x in kept["rounds"]))
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a monitor's state ({' '.join(str(error).split())[:80]})") from None
    raise ValueError(f"{path}: a state of version {version}, this program reads {VERSION}; start a new one")


def _restored(kind, kept):
    words = {name: tuple(kept[name]) for name in ("columns", "notes", "picked") if kept.get(name) is not None}
    arrays = {name: np.array(value) for name, value in kept.items() if isinstance(value, list) and name not in words}
    if damaged := [name for name, array in arrays.items() if array.dtype == object]:
        raise ValueError(f"no numbers in {damaged[0]}")
    nested = {"level": _restored(Followed, kept["level"])} if "level" in kept else {}
    return kind(**kept | words | arrays | nested)
