"""Proof certificates: every theorem of book/theorems.md, checked without the package's code."""

from . import (  # noqa: F401 (each enters its certificates)
    accumulated,
    bounds,
    cadence,
    dae,
    denoiser,
    finite_samples,
    fixed_pairs,
    flow,
    kept_samples,
    network,
    real_data,
    reflow,
    regression,
    resampling,
    rotation,
)
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE"]
