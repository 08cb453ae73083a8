"""What the monitor remembers: the reference, and a few numbers of every round; kept in a file between calls."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..output import plain, replace

VERSION = 1  # of the file


class Reference(NamedTuple):
    """Real data, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    mean: Float[np.ndarray, " columns"]
    """Their mean."""
    directions: Float[np.ndarray, "columns k"]
    """Unit vectors, largest variance first."""
    counts: Float[np.ndarray, " k_and_1"]
    """Rows behind each variance."""
    variances: Float[np.ndarray, " k_and_1"]
    """Along the directions, and in total."""
    kurtosis: Float[np.ndarray, " k_and_1"]
    """n × the squared relative error of each variance: fourth moment over squared variance − 1, 2 if Gaussian."""
    points: Float[np.ndarray, "points k"]
    """Some rows along the directions."""
    radii: Float[np.ndarray, " points"]
    """Distance of each to its 5th neighbour among them."""


class Round(NamedTuple):
    """One round's samples, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    count: int
    """Rows."""
    variances: Float[np.ndarray, " k_and_1"]
    """Along the reference's directions, and in total."""
    kurtosis: Float[np.ndarray, " k_and_1"]
    """As in `Reference`."""
    coverage: float
    """Share of the reference's points with some of 1000 samples within their radius."""
    coverage_error: float
    """An upper estimate of its standard error (Efron and Stein: jackknife over the samples)."""
    coverage_expected: float
    """What samples of the reference's own law would reach on average, whatever the law (Naeem et al. 2020)."""
    shift: float | None = None
    """|x̄ − x̄0|², of the means; None in a state of an earlier version."""
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
    replace(Path(path), json.dumps({"version": VERSION, **plain(state)}))


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
            reference = Reference(**_arrays(kept["reference"]))
            return State(reference, tuple(Round(**_arrays(found)) for found in kept["rounds"]))
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a monitor's state ({' '.join(str(error).split())[:80]})") from None
    raise ValueError(f"{path}: a state of version {version}, this program reads {VERSION}; start a new one")


def _arrays(kept):
    return {key: np.array(item) if isinstance(item, list) else item for key, item in kept.items()}
