"""How often the monitor alarms, and when: six kinds of healthy series and six of decay, 1,000 of each.

`python benchmarks/record_monitor.py [PART …] [--seed N]`, minutes a part. Nothing is trained: each round's rows are
drawn from a law that is known.
"""

from functools import lru_cache, partial

import jax
import numpy as np
from recordings import command
from tqdm import tqdm

from rfcollapse import data
from rfcollapse.advice import monitor, samples

SERIES, ROUNDS = 1000, 40
RETAIN = 0.9
REFERENCE, ROWS = 4000, 2000  # of the decays
# The round by which a decay is to be seen: (border + 5 standard errors of one column)/rate; of modes when they go.
LATEST = {"falling": 15, "heavy_falling": 11, "units": 6, "modes": 4, "growing": 10, "drifting": 16}
LATEST |= {"drifting_slowly": 20}  # 3 standard errors: of "drifting", 93 % were seen by the round of its rival already


def gaussian(generator):
    """Four correlated columns; 1,000 real rows, 500 a round."""
    mixing = np.array([[3.0, 0, 0, 0], [1, 2, 0, 0], [0.5, 0.5, 1, 0], [0, 0, 0.2, 0.3]])
    return lambda n: generator.standard_normal((n, 4)) @ mixing, 1000, lambda: 500


def heavy(generator):
    """Four columns of Student's law with five degrees of freedom, in units from 1 to 1,000."""
    return lambda n: generator.standard_t(5, (n, 4)) * 10.0 ** np.arange(4), 1000, lambda: 500


def binary(generator):
    """Twelve columns of 0 and 1, ones from 5 % to 60 %."""
    ones = np.linspace(0.05, 0.6, 12)
    return lambda n: (generator.random((n, 12)) < ones).astype(float), 1000, lambda: 500


def images(generator):
    """Garments of 14 × 14 pixels: 2,000 as the reference, rounds of 500 from the other 3,000."""
    rows = generator.permutation(garments())
    real, rest = rows[:2000], rows[2000:]
    return lambda n: real if n == 2000 else rest[generator.choice(3000, n, replace=False)], 2000, lambda: 500


def sizes(generator):
    """Rounds of 60 to 5,000 rows beside 3,000 real ones, of a mixture of three clouds in the plane."""
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 6.0]])

    def draw(n):
        return centres[generator.choice(3, n, p=[0.5, 0.3, 0.2])] + generator.standard_normal((n, 2))

    return draw, 3000, lambda: int(np.exp(generator.uniform(np.log(60), np.log(5000))))


def columns(generator):
    """100 columns, ten factors and noise; 800 real rows, 400 a round."""
    loadings = np.random.default_rng(3).standard_normal((10, 100))
    return (
        lambda n: generator.standard_normal((n, 10)) @ loadings + generator.standard_normal((n, 100)),
        800,
        lambda: 400,
    )


@lru_cache
def garments():
    """5,000 of 14 × 14 pixels: means of four of the 28 × 28."""
    return np.asarray(data.fashion().samples, np.float64).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)


def healthy(kind, key):
    """The rounds, of 40, in which each series alarmed, and in which its total's 95 % interval left out 1."""
    alarmed, naive, words = [], [], []
    for seed in tqdm(seeds(key), desc=kind.__name__):
        draw, reference, size = kind(np.random.default_rng(seed))
        state, first, below = monitor.start(samples.open_samples(draw(reference))), [], []
        for j in range(1, ROUNDS + 1):
            state = monitor.add(state, samples.open_samples(draw(size())))
            verdict = monitor.judge(state, retain=RETAIN)
            first += [j] * bool(verdict.alarms)
            below += [j] * bool(not verdict.share.low[-1] < 1 < verdict.share.high[-1])
            words += [alarm.partition(":")[0] for alarm in verdict.alarms]
        alarmed.append(len(first))
        naive.append(len(below))
    return {"series": SERIES, "rounds": ROUNDS, "alarmed": alarmed, "naive": naive, "kinds": sorted(words)}


def falling(generator, j):
    """Three Gaussian columns that lose 2 % a round."""
    return generator.standard_normal((ROWS if j else REFERENCE, 3)) * [3, 2, 1] * np.exp(-0.01 * j)


def heavy_falling(generator, j):
    """Three columns of Laplace's law that lose 4 % a round."""
    return generator.laplace(size=(ROWS if j else REFERENCE, 3)) * [3, 2, 1] * np.exp(-0.02 * j)


def units(generator, j):
    """Five columns, the first in units 10,000 times as large; the others lose 5 % a round."""
    rows = generator.standard_normal((ROWS if j else REFERENCE, 5)) * np.exp(-0.025 * j * np.array([0, 1, 1, 1, 1]))
    return rows * [1e4, 1, 1, 1, 1] + [5e4, 0, 0, 0, 0]


def modes(generator, j):
    """Eight clouds on a ring, of which every second one is lost in round 4: the covariance stays what it is."""
    angle = np.pi / 4 * generator.choice(8 if j < 4 else [0, 2, 4, 6], ROWS if j else REFERENCE)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * generator.standard_normal((len(angle), 2))


def growing(generator, j):
    """Three Gaussian columns whose variance grows by 3 % a round."""
    return generator.standard_normal((ROWS if j else REFERENCE, 3)) * [3, 2, 1] * np.exp(0.015 * j)


def drifting(generator, j):
    """Three Gaussian columns whose mean moves by .03 standard deviations a round, at the same variance."""
    return (generator.standard_normal((ROWS if j else REFERENCE, 3)) + 0.03 * j) * [3, 2, 1]


def drifting_slowly(generator, j):
    """The same at .02 standard deviations a round."""
    return (generator.standard_normal((ROWS if j else REFERENCE, 3)) + 0.02 * j) * [3, 2, 1]


def decay(kind, key):
    """The first round in which each kind of alarm was raised, up to the latest by which one should be; 0: in none."""
    first = {name: np.zeros(SERIES, int) for name in ("level", "mean", "middle", "trend", "coverage")}
    for i, seed in enumerate(tqdm(seeds(key), desc=kind.__name__)):
        generator = np.random.default_rng(seed)
        state = monitor.start(samples.open_samples(kind(generator, 0)))
        for j in range(1, LATEST[kind.__name__] + 1):
            state = monitor.add(state, samples.open_samples(kind(generator, j)))
            for alarm in monitor.judge(state, retain=RETAIN).alarms:
                name = alarm.partition(":")[0]
                first[name][i] = first[name][i] or j
    return {"series": SERIES, "rounds": LATEST[kind.__name__], "first": {k: v.tolist() for k, v in first.items()}}


def seeds(key):
    """A seed for each series."""
    return np.asarray(jax.random.key_data(jax.random.split(key, SERIES))).tolist()


PARTS = {  # a part's place decides its key: new ones go to the end
    "gaussian": partial(healthy, gaussian),
    "heavy": partial(healthy, heavy),
    "binary": partial(healthy, binary),
    "images": partial(healthy, images),
    "sizes": partial(healthy, sizes),
    "columns": partial(healthy, columns),
    "falling": partial(decay, falling),
    "heavy_falling": partial(decay, heavy_falling),
    "units": partial(decay, units),
    "modes": partial(decay, modes),
    "growing": partial(decay, growing),
    "drifting": partial(decay, drifting),
    "drifting_slowly": partial(decay, drifting_slowly),
}


if __name__ == "__main__":
    command(__doc__, PARTS, "monitor")
