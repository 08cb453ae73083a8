"""Proof certificates: every theorem of book/theorems.md, checked without the package's code."""

from . import (  # noqa: F401 (each enters its certificates)
    accumulated,
    bounds,
    cadence,
    dae,
    finite_samples,
    fixed_pairs,
    flow,
    real_data,
    reflow,
    resampling,
    rotation,
)
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE"]
