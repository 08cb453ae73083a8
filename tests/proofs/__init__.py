"""Proof certificates: every theorem of book/theorems.md, checked without the package's code."""

from . import (  # noqa: F401 (each enters its certificates)
    accumulated,
    anydata,
    bounds,
    cadence,
    dae,
    denoiser,
    densities,
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
    steps,
)
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE"]
