"""The pairs of noise and data that somebody's own model is trained on, by the kinds of noise of a scheme's row.

A round's set is put together once, as mixing "offline" does in `rfcollapse.learn`: α of its rows are real.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .integrate import Integrator, Rows
from .plan import Plan

MAKING, DRAWING, USERS, PROBES, HELD, LOSS = range(1, 7)  # streams of random numbers: what they are for


class Pairs:
    """Noise and data, joined by straight lines.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.own.pairs import first_pairs
        >>> from rfcollapse.own.plan import Plan
        >>> pairs = first_pairs(Plan(scheme="ra", rounds=1), np.ones((4, 2), np.float32))
        >>> [(x0.shape, x1.shape) for x0, x1 in pairs.batches(3, steps=2)]
        [((3, 2), (3, 2)), ((3, 2), (3, 2))]
    """

    noise: Rows
    """x0."""
    data: Rows
    """x1."""
    redrawn: np.ndarray
    """Which rows belong to no x0 but to a new one each time, independent of x1; `noise` has a draw of it."""
    seed: int
    """Of the user's own random numbers, another in each round: a resumed run is the same if nothing else is drawn."""
    refreshed: bool = False
    """Whether `refresh` has been called."""

    def __init__(self, plan: Plan, index: int, noise: Rows, data: Rows, redrawn: np.ndarray, invert: Any = None):
        """Of the round with this index; invert: (model) → None has the real pairs made anew, where the scheme does."""
        self.noise, self.data, self.redrawn, self._invert = noise, data, redrawn, invert
        self.seed, self._rng = int(plan.rng(index, USERS).integers(2**31)), plan.rng(index, DRAWING)

    def batches(self, size: int, steps: int) -> Iterator[tuple[Rows, Rows]]:
        """So many batches of so many pairs, drawn with replacement: x0 and x1, float32 and the caller's own."""
        for _ in range(steps):
            yield self._drawn(self._rng.integers(len(self.data), size=size))

    def arrays(self, redraws: int = 1) -> tuple[Rows, Rows]:
        """All pairs, each so many times: x0 and x1."""
        return self._drawn(np.tile(np.arange(len(self.data)), redraws))

    @property
    def refreshes(self) -> bool:
        """Whether `refresh` is to be called."""
        return self._invert is not None

    def refresh(self, model: Any):
        """Inverts the real data anew by the model in training ("ora"): the batches that follow are of these pairs."""
        if not self.refreshes:
            raise ValueError("only the scheme 'ora' refreshes its pairs, from round 1 on")
        self._invert(model)
        self.refreshed = True

    def _drawn(self, chosen):
        noise, new = self.noise[chosen], self.redrawn[chosen]
        noise[new] = self._rng.standard_normal((new.sum(), *noise.shape[1:]), np.float32)
        return noise, self.data[chosen]


def first_pairs(plan: Plan, real: Rows) -> Pairs:
    """Real data with noise drawn anew each time: the independent pairs of the first model."""
    noise = plan.rng(0, MAKING).standard_normal(real.shape, np.float32)
    return Pairs(plan, 0, noise, real.copy(), np.ones(len(real), bool))


def make_pairs(plan: Plan, index: int, integrator: Integrator, real: Rows, first: Any, model: Any) -> Pairs:
    """The pairs that the current model makes for the round with this index.

    Args:
        plan, index, integrator: of the run.
        real: samples to be mixed in.
        first, model: of round 0, and of the round before; "anchored" pairs are the first's.
    """
    rng, recipe, count = plan.rng(index, MAKING), plan.recipe, plan.pairs or len(real)
    taken = 0 if recipe.real is None else round(plan.real_fraction * count)
    own_noise = rng.standard_normal((count - taken, *real.shape[1:]), np.float32)
    own = integrator.generate(model, own_noise) if taken < count else own_noise
    real = real[np.resize(rng.permutation(len(real)), taken)]
    found = {
        "inverted": lambda: integrator.invert(model, real),
        "anchored": lambda: integrator.invert(first, real),
        "diffused": lambda: reverse(probe=probe_noise(plan, real.shape[1:])),
        "scattered": lambda: reverse(probe=None),
        "redrawn": lambda: rng.standard_normal(real.shape, np.float32),
    }
    reverse = partial(integrator.reverse, rng, model, real, diffusion=plan.diffusion)
    real_noise = found[recipe.real]() if taken else real
    noise, data = np.concatenate([own_noise, real_noise]), np.concatenate([own, real])
    redrawn = np.repeat([recipe.own == "redrawn", recipe.real == "redrawn"], [count - taken, taken])

    def invert(model):
        noise[count - taken :] = integrator.invert(model, real) if taken else real

    return Pairs(plan, index, noise, data, redrawn, invert if recipe.refreshed else None)


def probe_noise(plan: Plan, shape: tuple[int, ...]) -> Rows:
    """Noise to be measured on, the same in every round.

    Where there are more rows than entries in each, of mean exactly 0 and covariance exactly I: then the covariance of
    what a linear model generates has no sampling error.
    """
    noise = plan.rng(0, PROBES).standard_normal((plan.probes, int(np.prod(shape))))
    if len(noise) > noise.shape[1]:
        frame, triangle = np.linalg.qr(noise - noise.mean(axis=0))
        noise = len(noise) ** 0.5 * frame * np.sign(np.diag(triangle))
    return noise.astype(np.float32).reshape(-1, *shape)
