"""Proof certificates: theorems and closed forms, checked without the package's code."""

from . import bounds, dae, real_data
from .table import METHODS, TABLE

__all__ = ["METHODS", "TABLE", "bounds", "dae", "real_data"]
