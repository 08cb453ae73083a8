"""Model collapse, predicted and measured.

``theory`` predicts (closed forms, float64), ``simulate`` and ``learn`` measure (Monte Carlo and trained networks),
``measure`` turns runs into numbers with errors, ``claims`` judges. Importing the package enables JAX's 64-bit mode,
which the closed forms need; the networks of ``learn`` name float32 on every array.
"""

import jax

jax.config.update("jax_enable_x64", True)

__version__ = "0.1.0"
