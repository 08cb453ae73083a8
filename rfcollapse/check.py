"""What a public boundary accepts, and the words it refuses with.

A public function says in its annotations what each argument may be (`variance: Nonnegative`), and `arguments` sees to
it. Behind each annotation stands a function here that takes the argument's name and value and returns the value ready
for use (a float64 NumPy array, or a Python int), or raises ValueError with the offending value and what is allowed.
Tracers pass through unread, so a checked function can be jitted, vmapped and differentiated. What is NumPy needs no
JAX: it is imported where something is computed with it.
"""

import functools
import inspect
import math
import operator
import sys
from collections.abc import Callable
from typing import Annotated, Any, Protocol, get_args, get_origin, runtime_checkable

import numpy as np
from jaxtyping import Int, Real

ROUNDING = 1e-8  # of a covariance in float64, however it came about: relative to its largest entry or eigenvalue
COARSEST = 1e-2  # the most that is taken for the rounding of a narrower type
NARROW = {"float64": "float32", "int64": "int32", "complex128": "complex64"}  # what JAX holds without 64-bit mode


@runtime_checkable
class _Array(Protocol):
    """NumPy's, JAX's and whatever else has a shape and a type."""

    shape: tuple
    dtype: Any


ArrayLike = _Array | bool | int | float | complex
"""As `jax.typing.ArrayLike`, which costs the import of JAX."""


def in_float64(function: Callable) -> Callable:
    """The function, computed in float64 whether or not JAX's 64-bit mode is on, which it leaves as it is.

    Where it is off, results in float64 come back as NumPy arrays, for JAX's own would fall to float32 at the next sum;
    and from within somebody's jit, vmap or grad as float32, which is all that such a program can hold.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse import check
        >>> check.in_float64(lambda x: jnp.asarray(x) / 3)(1.0)
        array(0.33333333)
    """

    @functools.wraps(function)
    def computed(*positional, **named):
        import jax

        if jax.config.jax_enable_x64:
            return function(*positional, **named)
        with jax.enable_x64(True):
            return jax.tree.map(_held_outside, function(*positional, **named))

    return computed


def arguments(function: Callable) -> Callable:
    """The function with its arguments checked by what their annotations say; None stays None where it is allowed.

    Arguments that are combined elementwise reach the function as float64 arrays of one shape, and what it computes is
    `in_float64`.

    Example:
        >>> from rfcollapse import check
        >>> @check.arguments
        ... def gain(variance: check.Nonnegative, noise_std: check.Positive):
        ...     return variance / (variance + noise_std**2)
        >>> gain([4, 1], 1)
        array([0.8, 0.5])
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

    @in_float64
    @functools.wraps(function)
    def checked(*positional, **named):
        import jax

        bound = signature.bind(*positional, **named)
        bound.apply_defaults()
        values = bound.arguments
        present = [name for name in checks if values[name] is not None or name not in optional]
        values.update({name: checks[name](name, values[name]) for name in present})
        together = {name: values[name] for name in present if name in elementwise}
        if together:
            values.update(zip(together, broadcast(**together)))
        with jax.ensure_compile_time_eval():  # what is known stays so within jit
            arrays = {name: jax.numpy.asarray(values[name]) for name in present if type(values[name]) is np.ndarray}
        values.update(arrays)
        return function(*bound.args, **bound.kwargs)

    return checked


def traced(value) -> bool:
    """Whether a value is not known yet, within jit, vmap or grad."""
    return "jax" in sys.modules and isinstance(value, sys.modules["jax"].core.Tracer)


def finite(name, value):
    """Finite real numbers of any shape, as a float64 NumPy array; no tracers."""
    array = _numbers(name, value)
    _require(np.isfinite(array), array, f"{name} must be finite")
    return array


def real(name, value):
    """Finite real numbers of any shape, as float64."""
    return value.astype(float) if traced(value) else finite(name, value)


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
    """A symmetric positive semi-definite (d, d) matrix, as float64; the rounding of its own type is averaged away."""
    matrix = real(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 1:
        raise ValueError(f"{name} must be a square matrix of shape (d, d); got shape {matrix.shape}")
    if traced(matrix):
        return matrix
    rounding = max(ROUNDING, min(_epsilon(value, matrix) * len(matrix), COARSEST))
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > rounding * np.abs(matrix).max():
        raise ValueError(f"{name} must be symmetric; entries differ from their mirror images by up to {asymmetry:.3g}")
    matrix = (matrix + matrix.T) / 2
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] < -rounding * np.abs(eigenvalues).max():
        raise ValueError(f"{name} must be positive semi-definite; its smallest eigenvalue is {eigenvalues[0]:.3g}")
    return matrix


def _epsilon(value, numbers):
    """Relative rounding of the type that numbers were computed in; float64 that fit float32 have been there."""
    given = np.asarray(value).dtype
    with np.errstate(over="ignore"):
        if (given.kind in "biu" or given == np.float64) and np.array_equal(numbers, numbers.astype(np.float32)):
            given = np.float32
    return float(np.spacing(np.ones((), given)))


def real_given(real_fraction, **real):
    """Refuses a real fraction above 0 where what it needs is None; a tracer may be above 0."""
    lacking = any(value is None for value in real.values())
    if lacking and (traced(real_fraction) or np.any(np.asarray(real_fraction) > 0)):
        verb = "is" if len(real) == 1 else "are"
        raise ValueError(f"{' and '.join(real)} {verb} needed when real_fraction is above 0; got None")


def broadcastable(**arrays):
    """The common shape of arrays that are combined elementwise; ValueError where there is none."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"these shapes do not combine elementwise: {listed}") from None


def broadcast(**arrays):
    """The arrays that are combined elementwise, all of their common shape."""
    shape = broadcastable(**arrays)
    import jax

    wider = (jax.numpy.broadcast_to if traced(array) else np.broadcast_to for array in arrays.values())
    return [broadcast_to(array, shape) for broadcast_to, array in zip(wider, arrays.values())]


def time_grid(name, value):
    """Times from 0 to 1, as float64: i/N for a whole number of steps N ≥ 1, or the increasing times given."""
    if np.ndim(value) == 0:
        count = integer(name, value, 1)
        return np.arange(count + 1) / count
    time = real(name, value)
    if time.ndim != 1 or time.shape[0] < 2:
        raise ValueError(f"{name} must be a whole number or a grid of at least two times; got shape {time.shape}")
    if not traced(time) and not (time[0] == 0 and time[-1] == 1 and np.all(np.diff(time) > 0)):
        raise ValueError(f"{name} must increase from 0 to 1; got {np.array2string(time, threshold=8)}")
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


def _held_outside(leaf):
    """What an array of the 64-bit mode is outside it."""
    import jax

    narrow = NARROW.get(str(leaf.dtype)) if isinstance(leaf, jax.Array) else None
    if narrow is None:
        return leaf
    return leaf.astype(narrow) if traced(leaf) else np.asarray(leaf)


def _bounded(name, value, within, words):
    if traced(value):
        return value.astype(float)
    array = _numbers(name, value)
    _require(np.isfinite(array) & within(array), array, f"{name} {words} and be finite")
    return array


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
