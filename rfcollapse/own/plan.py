"""The settings of rounds with somebody's own model: each with its default, its range and what it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import check
from ..schemes import SCHEMES, Scheme
from ..settings import Checked, choice, grid, number, whole


@dataclass(frozen=True, kw_only=True)
class Plan(Checked):
    """What the rounds of a run are; what goes on within a training is the user's.

    Example:
        >>> from rfcollapse.own.plan import Plan
        >>> Plan(scheme="anchored", rounds=5, real_fraction=0.3).recipe.real
        'anchored'
    """

    scheme: str = choice(SCHEMES)
    """which noise belongs to which sample, a row of `rfcollapse.schemes`; all but scored_oras"""
    rounds: int = whole(0)
    """rounds after the first model"""
    real_fraction: float = number(check.fraction, 0.0)
    """α, part of the pairs that is real data; of no effect on schemes without"""
    pairs: int | None = whole(1, None)
    """in a round after the first, a set put together anew; None: as many as there are real rows"""
    redraws: int = whole(1, 1)
    """how often `fit` gets each pair: with new noise each time where the scheme pairs data with new noise"""
    steps: int | Sequence[float] | np.ndarray = grid(40)
    """of sampling and inversion: their number, or a grid of times"""
    method: str = choice(("heun", "euler"), "heun")
    """of sampling and inversion"""
    diffusion: float = number(check.nonnegative, 0.5)
    """ε, strength of the noise in the reverse SDE of oras and naive_oras"""
    at_once: int = whole(1, 2048)
    """rows that the velocity is asked for at once, which bounds its memory"""
    probes: int = whole(20, 2048)
    """generated samples that are measured, at least as many as the monitor needs; for oras more than a sample's
    entries"""
    held: float = number(check.fraction, 0.1)
    """part of the real rows that is not trained on but compared with; 0: what is trained on is compared with, too"""
    retain: float | None = number(check.fraction, 0.9)
    """share of the variance below which the monitor alarms, see `rfcollapse.advice.monitor`; None: no monitor"""
    ridge: float | None = number(check.nonnegative, None)
    """τ, variance of the noise that the training puts on its input (0 for none), which asks for the law of Gaussian
    data beside what is measured; None: no law"""
    seed: int = whole(0, 0)
    """of all random numbers that are drawn here"""

    def __post_init__(self):
        super().__post_init__()
        if self.recipe.real == "scored":
            raise ValueError(f"scheme {self.scheme!r} needs derivatives of the model; 'oras' has a Gaussian's score")
        if self.held == 1:
            raise ValueError("held must leave rows to train on; got 1")

    @property
    def recipe(self) -> Scheme:
        """The scheme's row of `rfcollapse.schemes`."""
        return SCHEMES[self.scheme]

    def rng(self, *stream: int) -> np.random.Generator:
        """Random numbers of their own for a round and a purpose, the same whenever they are asked for."""
        return np.random.default_rng([self.seed, *stream])
