"""What a round is trained on: own and real data, how they are mixed, and in Reflow the noise that belongs to each.

The Reflow schemes are a table, and it is all there is to the difference between them. `theory.flow` predicts a row from
its kinds of noise, `learn` makes pairs of these kinds, and what lists schemes (command line, figures, claims, the page)
lists its rows; so a new mixture of known kinds needs a row here and nothing else.
"""

from typing import NamedTuple

SCHEDULES = ("replace", "accumulate")
"""Whether a round's data replace those of the last, or join those of all rounds so far."""
REFIT_SCHEDULES = (*SCHEDULES, "subsample")
"""The same for a Gaussian that is refitted; or as many as a round's data are drawn from those of all rounds so far."""
SOURCES = ("pool", "own")
"""What a denoiser is resampled from: all that it was fitted to, or its own data without the real ones."""

OWN_KINDS = ("kept", "redrawn")
STOCHASTIC = ("diffused", "scored", "scattered")
"""Kinds of real noise that a reverse SDE finds."""
REAL_KINDS = ("inverted", "anchored", *STOCHASTIC, "redrawn")


class Scheme(NamedTuple):
    """Which noise x0 belongs to which sample x1."""

    title: str
    """As figures and claims call it."""
    own: str
    """Beside the model's own samples: "kept", the noise that each was made from, or "redrawn", always new."""
    real: str | None
    """Beside real data: "inverted" by the current model, "anchored" (inverted once, by the first model), "diffused" by
    the current model's reverse SDE with a Gaussian's score, "scored" by the same with the model's own, "scattered" by
    the same without a score, or "redrawn"; None: no real data."""
    refreshed: bool = False
    """Real data inverted again while training, by the model in training ("inverted" only)."""


SCHEMES = {
    "reflow": Scheme("Reflow", "kept", None),
    "ra": Scheme("RA Reflow", "kept", "inverted"),
    "anchored": Scheme("anchored pairs", "kept", "anchored"),
    "ora": Scheme("ORA", "kept", "inverted", refreshed=True),
    "oras": Scheme("ORAS", "kept", "diffused"),
    "naive_oras": Scheme("ORAS without the score", "kept", "scattered"),
    "fresh": Scheme("fresh pairs", "kept", "redrawn"),
    "self_consuming": Scheme("self-consuming", "redrawn", "redrawn"),
    "scored_oras": Scheme("ORAS with its own score", "kept", "scored"),
}
"""By name. RA, ORA and ORAS: Zhu et al., arXiv 2412.08175; self-consuming has no Reflow pairs at all, every round is
trained like a first one."""


def mixed(own, real, real_fraction):
    """(1−α) own + α real: a moment, density or law of what a round is trained on, α of it real.

    Example:
        >>> from rfcollapse.schemes import mixed
        >>> mixed(1.0, 4.0, 0.25)
        1.75
    """
    return (1 - real_fraction) * own + real_fraction * real
