"""A line of the ledger: what stands in it, the interval of its measurement, and its words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..measure.rates import clopper_pearson, half_width

CONFIDENCE = 0.99


class Row(NamedTuple):
    """A claim as it is registered, what was measured, and what became of it."""

    id: str
    """As in `rfcollapse.claims.registry.Claim`, like all fields that are not explained here."""
    statement: str
    source: str
    law: str
    kind: str
    unit: str
    margin: float | str
    expected: str
    rival: str
    notebook: str
    prediction: float | None
    """In the unit; None for an observation."""
    measurement: float
    """In the unit."""
    standard_error: float
    """Of the measurement; √(m(1 − m)/n) for hits, whose interval does without it."""
    n: int
    """Independent runs behind it."""
    form: str
    """"runs", "hits" or "statistic": how it was measured, see `rfcollapse.claims.record`."""
    rival_prediction: float | None = None
    """The rival's, of the same quantity; the law's own where the prediction enters the measurement; None: no rival."""
    rival_measurement: float | None = None
    """What is held against it: the measurement, or the same statistic taken against the rival in place of the law."""
    verdict: str = ""
    """As `rfcollapse.claims.judge` gives it."""
    rival_verdict: str = ""
    """The same on the rival."""
    resolution: float | None = None
    """The smallest relative error of the prediction that these numbers refute; see `rfcollapse.claims.judged`."""
    registered: str = ""
    """Whether "before" or "with" its first result; "" where that is not known, as in the next ones."""
    contract: str = ""
    """The same of all that is promised now and of the present result; "not run since" where the numbers are older."""
    changed: Sequence[str] = ()
    """What was changed in its registration after the first result."""
    repeats: Sequence[int] = ()
    """Seeds drawn later on which it was repeated under the present contract; see `rfcollapse.claims.repeats`."""
    repeats_same: Sequence[int] = ()
    """Those of them that gave these verdicts."""


def interval(measurement: float, standard_error: float, n: int, form: str) -> tuple[float, float]:
    """The 99 % interval of a measurement: Clopper and Pearson's for a share of hits, m ± t·se for all else."""
    if form == "hits":
        return tuple(map(float, clopper_pearson(round(measurement * n), n, confidence=CONFIDENCE)[1:]))
    slack = float(half_width(standard_error, n, CONFIDENCE))
    return measurement - slack, measurement + slack


def number(value: float | None, digits: int = 4) -> str:
    return "—" if value is None else f"{value:.{digits}g}"


def predicted(row: Row) -> str:
    return ("≤ " if row.kind == "bound" else "") + number(row.prediction)


def measured(row: Row) -> str:
    """67.25 ± 0.077, or 3 of 4000, 8.4e-05 to 0.0027 (the interval)."""
    if row.form == "hits":
        low, high = interval(row.measurement, row.standard_error, row.n, row.form)
        return f"{round(row.measurement * row.n)} of {row.n}, {low:.2g} to {high:.2g}"
    if not row.standard_error:
        return number(row.measurement)
    orders = math.log10(max(abs(row.measurement), row.standard_error) / row.standard_error)
    return f"{number(row.measurement, max(4, 2 + round(orders)))} ± {row.standard_error:.2g}"


def said(row: Row) -> str:
    """The row in one line, for a notebook to show."""
    before = "" if row.prediction is None else f"predicted {predicted(row)}, "
    surprise = "" if row.verdict == row.expected else f", expected {row.expected}"
    return f"{row.id}: {row.verdict} ({before}measured {measured(row)}){surprise}"
