"""Answers for practitioners: how much real data, how often, and whether a series of rounds is healthy."""
# ruff: noqa: F401

from . import budget, mechanisms, monitor, rule, samples
