"""The ledger: what is claimed, what was measured, and what follows.

A claim stands in the registry, with its margin and the verdict that is expected, before anything is run. A notebook
measures and calls `record`; `judge` turns three numbers into a verdict and looks at nothing else. `reproduce` collects
the rows into figures/claims.json and figures/claims.md.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from .. import check
from ..measure.rates import half_width
from .registry import REGISTRY

CONFIDENCE = 0.99
KINDS = ("exact", "law", "bound", "observation")
LEDGER = "RFCOLLAPSE_LEDGER"  # names the folder that takes the rows; unset, nothing is written
QUICK = "RFCOLLAPSE_QUICK"  # set under `reproduce --quick`, whose runs may be fewer than a claim asks for


class Row(NamedTuple):
    """A line of the ledger: a claim as it is registered, and what became of it."""

    id: str
    """As in `rfcollapse.claims.registry.Claim`, like all fields that are not explained here."""
    statement: str
    source: str
    kind: str
    unit: str
    margin: float
    expected: str
    prediction: float | None
    """In the unit; None for an observation."""
    measurement: float
    """In the unit."""
    standard_error: float
    """Of the measurement."""
    n: int
    """Independent runs behind it."""
    verdict: str
    """As `judge` gives it."""
    notebook: str


def judge(
    prediction: float | None, measurement: float, standard_error: float, n: int, *, kind: str, margin: float
) -> str:
    """The verdict on a claim, from prediction p, measurement m and its standard error se over n independent runs.

    With t the 99.5 % point of Student's distribution at n − 1 degrees of freedom, so that m ± t·se is a 99 % interval:

    - "exact" and "law": confirmed iff |m − p| + t·se ≤ margin, refuted iff |m − p| − t·se > margin, else inconclusive;
      "exact" has se = 0, and its margin is a tolerance for rounding.
    - "bound" (m must not exceed p): the same with (m − p) in place of |m − p|.
    - "observation": observed.

    Args:
        prediction: p; None for an observation.
        measurement: m, in the unit of p.
        standard_error: se ≥ 0.
        n: the number of independent runs behind se, ≥ 1; ≥ 2 where se > 0.
        kind: one of the above.
        margin: ≥ 0, set before the run.

    Returns:
        "confirmed", "refuted", "inconclusive" or "observed".

    Example:
        >>> from rfcollapse import claims
        >>> claims.judge(1.0, 1.02, 0.01, 1000, kind="law", margin=0.05)
        'confirmed'
        >>> claims.judge(1.0, 1.02, 0.01, 8, kind="law", margin=0.05)
        'inconclusive'
    """
    check.one_of("kind", kind, KINDS)
    measurement = float(check.real("measurement", measurement))
    standard_error = float(check.nonnegative("standard_error", standard_error))
    n, margin = check.integer("n", n, 1), float(check.nonnegative("margin", margin))
    if kind == "observation":
        return "observed"
    if prediction is None:
        raise ValueError(f"prediction is needed for a claim of kind {kind!r}; got None")
    if kind == "exact" and standard_error > 0:
        raise ValueError(f"standard_error must be 0 for an exact claim; got {standard_error:.6g}")
    if standard_error > 0 and n < 2:
        raise ValueError(f"n must be at least 2 where there is a standard error; got {n}")
    slack = float(half_width(standard_error, n, CONFIDENCE))
    distance = measurement - float(check.real("prediction", prediction))
    if kind != "bound":
        distance = abs(distance)
    if distance + slack <= margin:
        return "confirmed"
    return "refuted" if distance - slack > margin else "inconclusive"


def record(id: str, prediction, measurement, standard_error=0.0, n: int = 1) -> str:
    """Judges a claim of the registry, enters it into the ledger of the run, and says the verdict.

    Args:
        id: of the registry.
        prediction, measurement, standard_error, n: as for `judge`; n ≥ the claim's `runs`, but in a quick run.

    Returns:
        "id: verdict", for a notebook to show; with the expected verdict where it is another.

    Example:
        >>> from rfcollapse.claims import record
        >>> record("retained-golden", 0.618, 0.617, 0.0005, n=16)
        'retained-golden: confirmed'
    """
    if id not in REGISTRY:
        raise ValueError(f"no claim {id!r} in the registry; known are {', '.join(sorted(REGISTRY))}")
    claim = REGISTRY[id]
    if n < claim.runs and not os.environ.get(QUICK):
        raise ValueError(f"{id} asks for at least {claim.runs} runs; got {n}")
    verdict = judge(prediction, measurement, standard_error, n, kind=claim.kind, margin=claim.margin)
    row = Row(
        **{name: value for name, value in claim._asdict().items() if name in Row._fields},
        prediction=None if prediction is None else float(prediction),
        measurement=float(measurement),
        standard_error=float(standard_error),
        n=int(n),
        verdict=verdict,
    )
    folder = os.environ.get(LEDGER)
    if folder:
        with open(Path(folder) / f"{claim.notebook}.jsonl", "a") as lines:
            lines.write(json.dumps(row._asdict()) + "\n")
    return f"{id}: {verdict}" + ("" if verdict == claim.expected else f" (expected: {claim.expected})")
