"""Proof certificates: theorems and closed forms, checked without the package's code."""

from . import bounds, dae, finite_samples, real_data, resampling
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE", "bounds", "dae", "finite_samples", "real_data", "resampling"]
