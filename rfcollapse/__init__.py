"""Model collapse, predicted and measured.

``theory`` predicts (closed forms, float64), ``simulate`` and ``learn`` measure (Monte Carlo and trained networks),
``measure`` turns runs into numbers with errors, ``claims`` judges. Importing the package changes nothing in JAX, nor
does it import it. Closed forms and simulations run in float64 whether or not JAX's 64-bit mode is on; where it is off
they return NumPy arrays, for JAX's own would fall to float32 at the next sum. Within your own jit, vmap or grad they
take and return what JAX holds there, float32 where the mode is off, and compute in float64 between; JAX refuses some
gradients then, and `balance_map`, with a TypeError: use them ``with jax.enable_x64(True)``. The networks of ``learn``
are float32 either way, to the same bits.
"""

__version__ = "0.1.0"
