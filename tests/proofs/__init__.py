"""Proof certificates: theorems and closed forms, checked without the package's code."""

from . import bounds, dae, finite_samples, flow, real_data, reflow, resampling
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE", "bounds", "dae", "finite_samples", "flow", "real_data", "reflow", "resampling"]
