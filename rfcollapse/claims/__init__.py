"""The ledger: what is claimed, what was measured, and what follows.

A claim stands in the registry, with its margin, its rival and the verdict that is expected, before anything is run. A
notebook measures and calls `record`; `judge` turns numbers into a verdict and looks at nothing else, and the rival goes
through it, too. `reproduce` collects the rows into figures/claims.json and figures/claims.md.
"""

import json
import math
import os
from pathlib import Path

import numpy as np

from .. import check
from ..measure.rates import mean_and_error
from .registry import REGISTRY
from .repeats import lacks
from .row import Row, interval, said

KINDS = ("exact", "law", "bound", "observation")
LEDGER = "RFCOLLAPSE_LEDGER"  # names the folder that takes the rows; unset, nothing is written
RECORDINGS = "RFCOLLAPSE_RECORDINGS"  # names the folder of this seed's recordings; unset, the committed ones are read
QUICK = "RFCOLLAPSE_QUICK"  # set under `reproduce --quick`, whose runs may be fewer than a claim asks for


def judge(
    prediction: float | None,
    measurement: float,
    standard_error: float,
    n: int,
    *,
    kind: str,
    margin: float,
    form="runs",
) -> str:
    """The verdict on a claim, from prediction p, measurement m and its standard error se over n independent runs.

    With [low, high] the 99 % interval of the measurement (m ± t·se, t the 99.5 % point of Student's distribution at
    n − 1 degrees of freedom; Clopper and Pearson's for a share of hits):

    - "exact" and "law": confirmed iff all of it lies in [p − margin, p + margin], refuted iff none of it does, else
      inconclusive; "exact" has se = 0, and its margin is a tolerance for rounding.
    - "bound" (the measured must not exceed p): the same with (−∞, p + margin].
    - "observation": observed.

    Args:
        prediction: p; None for an observation.
        measurement: m, in the unit of p.
        standard_error: se ≥ 0.
        n: the number of independent runs behind se, ≥ 1; ≥ 2 where se > 0.
        kind: one of the above.
        margin: ≥ 0, set before the run.
        form: "runs", "statistic" or "hits", where m is the share of hits among n.

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
    low, high = np.array(interval(measurement, standard_error, n, form)) - float(check.real("prediction", prediction))
    floor = -math.inf if kind == "bound" else -margin
    if low > margin or high < floor:
        return "refuted"
    return "confirmed" if floor <= low and high <= margin else "inconclusive"


def judged(row: Row) -> Row:
    """The row with all that follows from its numbers: its verdict, the rival's, and its resolution.

    With [low, high] the interval of the measurement, the resolution is the least r such that these numbers refute every
    prediction farther than r|p| from p, at the same margin in the unit: (margin + max(p − low, high − p))/|p|. Of a
    bound it is by how much p could be tightened without a refutation: max(0, margin + p − low)/|p|. Where p = 0, the
    distance from law to rival stands for |p|; without a rival there is none, nor in an observation.

    Example:
        >>> from rfcollapse.claims import judged, ledger
        >>> row = ledger.read(ledger.ROOT / "figures" / "claims.json")[0]
        >>> judged(row._replace(measurement=row.prediction + 9)).verdict
        'refuted'
    """
    p, m, margin = row.prediction, row.measurement, row.margin
    if isinstance(margin, str):  # "2 %"
        margin = float(margin[:-1]) / 100 * abs(p)
    rule = dict(kind=row.kind, margin=margin, form=row.form)
    verdict, rival_verdict = judge(p, m, row.standard_error, row.n, **rule), ""
    scale = 0.0 if p is None else abs(p)
    if row.rival_prediction is not None:
        rival_verdict = judge(row.rival_prediction, row.rival_measurement, row.standard_error, row.n, **rule)
        scale = scale or abs(row.rival_prediction - row.rival_measurement - p + m)
    row = row._replace(verdict=verdict, rival_verdict=rival_verdict, resolution=None)
    if verdict == "observed" or not scale:
        return row
    low, high = interval(m, row.standard_error, row.n, row.form)
    reach = max(-margin, p - low) if row.kind == "bound" else max(p - low, high - p)
    return row._replace(resolution=float(f"{(margin + reach) / scale:.6g}"))  # machines differ in later digits


def record(
    id: str, prediction, *, runs=None, hits=None, of=None, value=None, error=None, n=None, rival=None, rival_value=None
) -> str:
    """Judges a claim of the registry and its rival, enters both into the ledger of the run, and says the verdict.

    What was measured takes one of three forms:

    - runs=x: (n, …), n independent runs along the first axis; the other axes are averaged. Their mean is judged.
    - hits=k, of=n: the share k/n of n independent runs; the prediction is a share, and the interval exact.
    - value=m, error=se, n=n: a statistic of n runs whose error is known otherwise (a jackknife, a fit). Without error
      and n it has none (a deterministic result, or a distance between distributions whose margin covers the noise).

    Args:
        id: of the registry.
        prediction: in the claim's own unit; None for an observation. As a relative margin is relative to it, it is the
            *change* that is predicted, not a level that hardly moves.
        runs, hits, of, value, error, n: see above; at least as many runs as the claim asks for, but in a quick run.
        rival: what the alternative named in the registry predicts of the same quantity. It is judged by the same
            measurement and margin (a relative one remains the law's).
        rival_value: instead, where the prediction enters the measurement (the distance of a distribution from the
            law's): the same statistic taken against the rival. It is judged with the error of the law's.

    Returns:
        "id: verdict (numbers)", for a notebook to show; with the expected verdict where it is another. A claim whose
        recording was not repeated with the seed of this run has no verdict then, and does not enter the ledger.

    Example:
        >>> from rfcollapse.claims import record
        >>> record("training-curve-balanced", 0.0, value=0.001)
        'training-curve-balanced: confirmed (predicted 0, measured 0.001)'
    """
    if id not in REGISTRY:
        raise ValueError(f"no claim {id!r} in the registry; known are {', '.join(sorted(REGISTRY))}")
    claim, forms = REGISTRY[id], {"runs": (runs,), "hits": (hits, of), "statistic": (value, error, n)}
    given = [form for form, numbers in forms.items() if any(number is not None for number in numbers)]
    if len(given) != 1 or forms[given[0]][0] is None or (given == ["hits"] and of is None):
        raise ValueError(f"{id} takes one measurement: runs=, or hits= and of=, or value= (with error= and n=)")
    if given == ["runs"]:
        values = np.asarray(runs, dtype=float)
        value, error, n = mean_and_error(values.mean(axis=tuple(range(1, values.ndim))))
    elif given == ["hits"]:
        n = check.integer("of", of, 1)
        value = check.integer("hits", hits, 0, n) / n
        error = (value * (1 - value) / n) ** 0.5
    error, n = 0.0 if error is None else error, 1 if n is None else n
    if n < claim.runs and not os.environ.get(QUICK):
        raise ValueError(f"{id} asks for at least {claim.runs} runs; got {n}")
    if (rival is not None) + (rival_value is not None) != bool(claim.rival):
        raise ValueError(f"{id} takes one of rival= and rival_value= iff its claim has a rival; it has {claim.rival!r}")
    predicted, measured = None if prediction is None else float(prediction), float(value)
    fields = {name: field for name, field in claim._asdict().items() if name in Row._fields}
    row = Row(
        **fields, prediction=predicted, measurement=measured, standard_error=float(error), n=int(n), form=given[0]
    )
    if claim.rival:
        against = predicted if rival is None else float(rival), measured if rival_value is None else float(rival_value)
        row = row._replace(rival_prediction=against[0], rival_measurement=against[1])
    row = judged(row)
    folder, recordings = os.environ.get(LEDGER), os.environ.get(RECORDINGS)
    if recordings and lacks(claim, Path(recordings)):
        return f"{id}: not repeated (nothing of this seed in {' '.join(claim.recording)})"
    if folder:
        with open(Path(folder) / f"{claim.notebook}.jsonl", "a") as lines:
            lines.write(json.dumps(row._asdict(), allow_nan=False) + "\n")
    return said(row)
