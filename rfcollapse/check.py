"""What a public boundary accepts, and the words it refuses with.

A public function says in its annotations what each argument may be (`variance: Nonnegative`), and `arguments` sees to
it. Behind each annotation stands a function here that takes the argument's name and value and returns the value ready
for use (a float64 JAX array, or a Python int), or raises ValueError with the offending value and what is allowed.
Tracers pass through unread, so a checked function can be jitted, vmapped and differentiated.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable
from typing import Annotated, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int, Real

SYMMETRY_TOLERANCE = 1e-8  # of the largest entry; covers covariances accumulated in float32
INDEFINITE_TOLERANCE = 1e-8  # of the largest eigenvalue, likewise


def arguments(function: Callable) -> Callable:
    """The function with its arguments checked by what their annotations say; None stays None where it is allowed.

    Arguments that are combined elementwise reach the function as float64 arrays of one shape.

    Example:
        >>> from rfcollapse import check
        >>> @check.arguments
        ... def gain(variance: check.Nonnegative, noise_std: check.Positive):
        ...     return variance / (variance + noise_std**2)
        >>> gain([4, 1], 1)
        Array([0.8, 0.5], dtype=float64)
        >>> gain(-1, 1)
        Traceback (most recent call last):
        ValueError: variance must be at least 0 and be finite; got -1
    """
    signature, checks, elementwise, optional = inspect.signature(function), {}, set(), set()
    for name, parameter in signature.parameters.items():
        hints = parameter.annotation, *get_args(parameter.annotation)  # also within `… | None`
        if type(None) in hints:
            optional.add(name)
        for hint in hints:
            if get_origin(hint) is Annotated:
                checks[name] = hint.__metadata__[0]
                if hint.__origin__ == Elementwise:
                    elementwise.add(name)

    @functools.wraps(function)
    def checked(*positional, **named):
        bound = signature.bind(*positional, **named)
        bound.apply_defaults()
        values = bound.arguments
        present = [name for name in checks if values[name] is not None or name not in optional]
        values.update({name: checks[name](name, values[name]) for name in present})
        together = {name: values[name] for name in present if name in elementwise}
        if together:
            values.update(zip(together, broadcast(**together)))
        return function(*bound.args, **bound.kwargs)

    return checked


def finite(name, value):
    """Finite real numbers of any shape, as a float64 NumPy array; no tracers."""
    array = _numbers(name, value)
    _require(np.isfinite(array), array, f"{name} must be finite")
    return array


def real(name, value):
    """Finite real numbers of any shape, as float64."""
    return value.astype(jnp.float64) if isinstance(value, jax.core.Tracer) else jnp.asarray(finite(name, value))


def nonnegative(name, value):
    """Real numbers ≥ 0, as float64."""
    return _bounded(name, value, lambda array: array >= 0, "must be at least 0")


def positive(name, value):
    """Real numbers > 0, as float64."""
    return _bounded(name, value, lambda array: array > 0, "must be greater than 0")


def fraction(name, value):
    """Real numbers in [0, 1], as float64."""
    return _bounded(name, value, lambda array: (array >= 0) & (array <= 1), "must lie in [0, 1]")


def integer(name, value, minimum, maximum=None):
    """One whole number from minimum to maximum (None: no upper limit), as int."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number; got {value!r}") from None
    if whole < minimum or (maximum is not None and whole > maximum):
        allowed = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"{name} must be {allowed}; got {whole}")
    return whole


def one_of(name, value, allowed):
    """One of a few names."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def samples(name, value, minimum=1):
    """Samples in rows, (n, d) with n ≥ minimum and d ≥ 1, finite, as float64."""
    return _table(name, real(name, value), minimum)


def table(name, value, minimum=1):
    """The same as a NumPy array; no tracers."""
    return _table(name, finite(name, value), minimum)


def _table(name, array, minimum):
    if array.ndim != 2 or array.shape[0] < minimum or array.shape[1] < 1:
        rows = f"at least {minimum} row{'' if minimum == 1 else 's'}"
        raise ValueError(f"{name} must be a table of shape (n, d) with {rows}; got shape {array.shape}")
    return array


def covariance(name, value):
    """A symmetric positive semi-definite (d, d) matrix, as float64; rounding asymmetry is averaged away."""
    matrix = real(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 1:
        raise ValueError(f"{name} must be a square matrix of shape (d, d); got shape {matrix.shape}")
    if isinstance(matrix, jax.core.Tracer):
        return matrix
    asymmetry = float(jnp.max(jnp.abs(matrix - matrix.T)))
    if asymmetry > SYMMETRY_TOLERANCE * float(jnp.max(jnp.abs(matrix))):
        raise ValueError(f"{name} must be symmetric; entries differ from their mirror images by up to {asymmetry:.3g}")
    matrix = (matrix + matrix.T) / 2
    eigenvalues = jnp.linalg.eigvalsh(matrix)
    if float(eigenvalues[0]) < -INDEFINITE_TOLERANCE * float(jnp.max(jnp.abs(eigenvalues))):
        raise ValueError(
            f"{name} must be positive semi-definite; its smallest eigenvalue is {float(eigenvalues[0]):.3g}"
        )
    return matrix


def real_given(real_fraction, **real):
    """Refuses a real fraction above 0 where what it needs is None; a tracer may be above 0."""
    lacking = any(value is None for value in real.values())
    if lacking and (isinstance(real_fraction, jax.core.Tracer) or bool(jnp.any(real_fraction > 0))):
        verb = "is" if len(real) == 1 else "are"
        raise ValueError(f"{' and '.join(real)} {verb} needed when real_fraction is above 0; got None")


def broadcastable(**arrays):
    """The common shape of arrays that are combined elementwise; ValueError where there is none."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"these shapes do not combine elementwise: {listed}") from None


def broadcast(**arrays):
    """The arrays that are combined elementwise, all of their common shape."""
    shape = broadcastable(**arrays)
    return [jnp.broadcast_to(array, shape) for array in arrays.values()]


def time_grid(name, value):
    """Times from 0 to 1, as float64: i/N for a whole number of steps N ≥ 1, or the increasing times given."""
    if np.ndim(value) == 0:
        count = integer(name, value, 1)
        return jnp.arange(count + 1, dtype=jnp.float64) / count
    time = real(name, value)
    if time.ndim != 1 or time.shape[0] < 2:
        raise ValueError(f"{name} must be a whole number or a grid of at least two times; got shape {time.shape}")
    if not isinstance(time, jax.core.Tracer) and not (time[0] == 0 and time[-1] == 1 and jnp.all(jnp.diff(time) > 0)):
        raise ValueError(f"{name} must increase from 0 to 1; got {np.array2string(np.asarray(time), threshold=8)}")
    return time


Elementwise = Real[ArrayLike, "*#shape"]
"""Numbers of any shape, combined elementwise with the other arguments of the function."""
Number = Annotated[Elementwise, real]
Nonnegative = Annotated[Elementwise, nonnegative]
Positive = Annotated[Elementwise, positive]
Fraction = Annotated[Elementwise, fraction]
NonnegativeScalar = Annotated[Real[ArrayLike, ""], nonnegative]
PositiveScalar = Annotated[Real[ArrayLike, ""], positive]
FractionScalar = Annotated[Real[ArrayLike, ""], fraction]
Whole = Annotated[int, functools.partial(integer, minimum=0)]
Count = Annotated[int, functools.partial(integer, minimum=1)]
Samples = Annotated[Real[ArrayLike, "_ dim"], samples]
Covariance = Annotated[Real[ArrayLike, "dim dim"], covariance]
Steps = Annotated[int | Int[ArrayLike, ""] | Real[ArrayLike, " nodes"], time_grid]
"""N uniform steps, or a grid of N + 1 times from 0 to 1; the function gets the times."""


def choice(allowed) -> object:
    """The annotation of an argument that is one of a few names, which are looked up when the function is called."""
    return Annotated[str, functools.partial(one_of, allowed=allowed)]


def _bounded(name, value, within, words):
    if isinstance(value, jax.core.Tracer):
        return value.astype(jnp.float64)
    array = _numbers(name, value)
    _require(np.isfinite(array) & within(array), array, f"{name} {words} and be finite")
    return jnp.asarray(array)


def _numbers(name, value):
    try:
        complex_valued = np.iscomplexobj(value)
        array = None if value is None or complex_valued else np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        complex_valued, array = False, None
    if complex_valued:
        raise ValueError(f"{name} must be real; got complex numbers")
    if array is None:
        raise ValueError(f"{name} must be a number or an array of numbers; got {value!r:.80}")
    return array


def _require(accepted, array, words):
    if not np.all(accepted):
        refused = array[np.unravel_index(int(np.argmin(accepted)), array.shape)] if array.ndim else array[()]
        shown = f"{refused:.6g}" if math.isfinite(refused) else str(refused)
        raise ValueError(f"{words}; got {shown}")
