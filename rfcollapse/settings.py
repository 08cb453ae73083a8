"""Settings that are declared once, as fields of a dataclass: each with its default and what it may be."""

from dataclasses import MISSING, field, fields

import numpy as np

from . import check


def whole(minimum: int, default=MISSING, maximum: int | None = None):
    """A field for a whole number ≥ minimum."""
    return _field(default, lambda name, value: check.integer(name, value, minimum, maximum))


def number(allowed, default=MISSING):
    """A field for a number that a function of `rfcollapse.check` allows."""
    return _field(default, lambda name, value: float(allowed(name, value)))


def choice(allowed, default=MISSING):
    """A field for one of a few names; a table that grows later offers its new names."""
    return _field(default, lambda name, value: check.one_of(name, value, tuple(allowed)), choices=allowed)


def grid(default=MISSING):
    """A field for a number of uniform steps, or the increasing times from 0 to 1 themselves, kept as a tuple."""

    def checked(name, value):
        times = check.time_grid(name, value)
        return tuple(times.tolist()) if np.ndim(value) else int(value)

    return _field(default, checked)


def _field(default, checked, **more):
    return field(default=default, metadata={"check": checked, **more})


class Checked:
    """A dataclass whose fields are checked when it is made; None is left aside where there is a default."""

    def __post_init__(self):
        for one in fields(self):
            value = getattr(self, one.name)
            if "check" in one.metadata and (value is not None or one.default is MISSING):
                object.__setattr__(self, one.name, one.metadata["check"](one.name, value))
