"""Is the reduced simulation exact in law? 100,000 seeds of it against as many that draw every sample.

    python benchmarks/reduced_law.py

writes benchmarks/results/reduced_law.json: the p-value of a two-sample Kolmogorov–Smirnov test for every eigenvalue,
the gain, and two statistics that need the joint law (ratio of outer eigenvalues, product of all), three rounds deep.
If the laws are the same, the smallest of K p-values is below .01/K in at most one run of a hundred.
"""

import json
import sys
from datetime import date

import jax
import numpy as np
from contenders import ROOT
from scipy import stats
from tqdm import tqdm

from rfcollapse.learn import devices
from rfcollapse.simulate import dae

devices.use_all_cores()
SEEDS, ROUNDS, D = 100_000, 3, 4
SPECTRUM = np.diag([8.0, 2.0, 1.0, 0.5])
DEAD = 1e-13  # what is smaller counts as this much: the direct eigenvalues are right to 16 digits of the largest
MIXED = {"real_fraction": 0.3}
CASES = [(n, options) for n in (D + 1, 2 * D, 16 * D) for options in ({}, MIXED, MIXED | {"resample_from": "own"})]


def statistics(run):
    logs, gains = np.log(np.maximum(np.asarray(run.eigenvalues), DEAD)), np.asarray(run.gains)
    named = {f"eigenvalue {i + 1}": logs[:, 1:, i] for i in range(D)}
    return named | {
        "gain": gains[:, 1:],
        "log ratio": logs[:, 1:, 0] - logs[:, 1:, -1],
        "log det": logs[:, 1:].sum(axis=2),
    }


def main():
    rows = []
    for index, (n, options) in enumerate(tqdm(CASES, desc="cases")):
        found = [
            statistics(
                dae.run(
                    jax.random.key(1000 + 2 * index + side),
                    SPECTRUM,
                    samples=n,
                    noise_std=1.0,
                    rounds=ROUNDS,
                    seeds=SEEDS,
                    method=method,
                    **options,
                )
            )
            for side, method in enumerate(("reduced", "direct"))
        ]
        for name, ours in found[0].items():
            values = [stats.ks_2samp(ours[:, j], found[1][name][:, j]).pvalue for j in range(ROUNDS)]
            rows.append({"samples": n, **options, "statistic": name, "p_values": [float(f"{p:.3g}") for p in values]})
    every = np.array([row["p_values"] for row in rows]).ravel()
    found = {
        "date": date.today().isoformat(),
        "device": devices.this_machine()[1],
        "seeds": SEEDS,
        "smallest_p": float(every.min()),
        "tests": len(every),
        "threshold": 0.01 / len(every),
        "rows": rows,
    }
    path = ROOT / "benchmarks" / "results" / "reduced_law.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"smallest p {every.min():.2g} of {len(every)}; threshold {0.01 / len(every):.2g}")
    return int(every.min() < found["threshold"])


if __name__ == "__main__":
    sys.exit(main())
