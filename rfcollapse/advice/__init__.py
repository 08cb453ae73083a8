"""Answers for practitioners: how much real data, how often, and whether a series of rounds is healthy."""

from importlib import import_module

__all__ = ["budget", "mechanisms", "monitor", "rule", "samples"]


def __getattr__(name):
    """Each is imported when it is asked for: the laws of `mechanisms` need JAX, what watches a training does not."""
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
