"""States of the monitor made of numbers: one direction or more, no column."""

import numpy as np

from rfcollapse.advice import state as states


def fabricated(variances, count):
    """A reference with these variances along directions and in total, of so many Gaussian rows; no rounds."""
    k, empty = len(variances) - 1, np.zeros(0)
    rows = {"points": np.zeros((9, k)), "radii": np.ones(9), "control": np.zeros((9, k)), "sketch": empty}
    lens = {"mean": empty, "scale": empty, "steady": np.zeros(0, bool), "middle": np.zeros((2, 0))}
    lens |= {"directions": np.zeros((0, k)), "spectrum": np.ones(k), "discrete": False, "columns": None}
    lens |= {"common": empty, "rest": False}
    return states.State(states.Reference("", "", level=_level(count, variances), notes=(), **lens, **rows), ())


def fabricated_round(count, variances):
    return states.Round("", "", _level(count, variances), 0.95, 0.0, 0.01, 0.0, ())


def _level(count, variances):
    ones = np.ones(len(variances))
    rows = count * ones
    return states.Followed(count, 0 * ones[1:], variances, variances, 2 * ones, rows, rows[1:], np.zeros(0), 1.0, 2.0)
