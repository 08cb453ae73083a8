"""The law beside the measurement: the variances that the models of a run should generate, where theory knows them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..learn.plan import Plan
from ..schemes import STOCHASTIC
from ..theory import flow

BLANK = 1e-12  # of the largest variance; theory wants variances > 0, and what is smaller counts as this much


class Law(NamedTuple):
    """What is known of a plan beforehand."""

    trajectory: Callable | None
    """(λ of the real data, g² of the first model, J) → g² of rounds 0 … J; None: there is no law."""
    words: str
    """Which law it is, or why there is none."""

    def variances(
        self, rounds: int, real: Float[np.ndarray, "seeds d"], first: Float[np.ndarray, "seeds d"]
    ) -> Float[np.ndarray, "rounds_and_start seeds d"]:
        """g² of rounds 0 … J, of each seed the largest first; NaN where the first model has none.

        Args:
            rounds: J.
            real: λ of the real data, the largest first.
            first: g² of the first model, likewise.
        """
        if not np.all(np.isfinite(first)):
            return np.full((rounds + 1, *first.shape), np.nan)
        real, first = (np.maximum(variances, BLANK * real.max()) for variances in (real, first))
        return -np.sort(-np.asarray(self.trajectory(real, first, rounds)), axis=2)


def closed_form(plan: Plan, *, gaussian: bool) -> Law:
    """The law for the plan's scheme, parametrisation and method.

    Args:
        plan: of the run.
        gaussian: whether the real data are, as all these laws take for granted.

    Example:
        >>> from rfcollapse.learn.plan import Plan
        >>> from rfcollapse.runs.law import closed_form
        >>> closed_form(Plan(scheme="reflow", rounds=3), gaussian=True).words
        'law: of a linear model and its exact flow, from the measured first model on'
    """
    if plan.training.weight_decay:
        return Law(None, "no law: theory has none for weight decay, which is no ridge")
    trajectory, words = _trajectory(plan)
    try:
        trajectory(np.ones(1), np.ones(1), 0)
    except ValueError:
        return Law(None, f"no law: theory has none for the scheme {plan.scheme!r} with a {plan.parametrisation}")
    return Law(trajectory, f"law: {words}{'' if gaussian else '; it takes the data for Gaussian, which they are not'}")


def _trajectory(plan):
    options = {"real_fraction": plan.real_fraction}
    steps = plan.steps if isinstance(plan.steps, int) else np.asarray(plan.steps)
    redrawn = plan.recipe.own == "redrawn" and plan.recipe.real in ("redrawn", None)
    independent = redrawn and not (plan.ridge or plan.first_ridge)
    if independent and plan.parametrisation == "velocity" and plan.method != "adaptive":

        def from_real_data(real, _, rounds):
            """Entry 0 is the data of the first model, which generates entry 1."""
            fraction = 0.0 if plan.recipe.real is None else plan.real_fraction
            path = flow.self_consuming_trajectory(real, steps, rounds + 1, method=plan.method, real_fraction=fraction)
            return path[1:]

        return from_real_data, f"of a linear model in steps of {plan.method}, from the real data on"
    options |= {"ridge": plan.ridge, "diffusion": plan.diffusion}
    function, words = flow.scheme_trajectory, "of a linear model and its exact flow, from the measured first model on"
    if plan.parametrisation == "denoiser":
        function, words = (
            flow.denoiser_trajectory,
            "of a linear denoiser in Euler steps, from the measured first model on",
        )
        options["steps"] = steps
    elif plan.recipe.real in STOCHASTIC:  # the first model's pairs were independent
        options["initial_angle"] = np.pi / 2

    def from_first_model(real, first, rounds):
        return function(plan.scheme, real, rounds, initial_variance=first, **options)

    return from_first_model, words
