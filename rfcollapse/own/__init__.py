"""Reflow with a model of your own, of any framework: you fit it and say its velocity, the rest is done here.

Nothing here takes JAX, so that it does not stand beside another framework's hold on threads and devices; only the law,
where it is asked for, does.
"""

from .pairs import Pairs
from .plan import Plan
from .rounds import Round, Run, run

__all__ = ["Pairs", "Plan", "Round", "Run", "run"]
