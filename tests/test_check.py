"""The gatekeepers themselves: what passes comes out ready, what does not is named."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse import check
from rfcollapse.measure.distances import gaussian_w2
from rfcollapse.theory import dae


def test_values_come_out_as_float64_arrays():
    for function in (check.real, check.nonnegative, check.fraction):
        for value in (1, 0.5, np.float32(0.25), [0.1, 1], jnp.ones(2, jnp.float32), np.array([1, 0])):
            result = function("x", value)
            assert type(result) is np.ndarray and result.dtype == np.float64
            np.testing.assert_array_equal(result, np.asarray(value))


def test_tracers_pass_through_unread():
    assert float(jax.jit(lambda x: check.fraction("x", x))(7.0)) == 7.0
    assert jax.jit(lambda x: check.covariance("x", x))(-jnp.eye(2)).shape == (2, 2)


def test_integers_of_any_make():
    assert check.integer("k", np.int32(3), 1) == 3 and type(check.integer("k", np.int64(3), 1)) is int
    assert check.integer("k", jnp.asarray(3), 1) == 3


def test_covariance_averages_rounding_away():
    matrix = np.array([[1.0, 0.3], [0.3 + 1e-12, 2.0]])
    result = check.covariance("c", matrix)
    assert result[0, 1] == result[1, 0]
    check.covariance("c", np.diag([1.0, -1e-12]))  # rounding of a singular matrix


def singular(dtype=np.float32, n=100, d=300):
    """The covariance of fewer samples than columns, accumulated in a type."""
    rows = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32) * np.linspace(1, 3, d, dtype=np.float32)
    rows -= rows.mean(axis=0)
    return (rows.T @ rows / np.float32(n)).astype(dtype)


@pytest.mark.parametrize("matrix", [
    singular(), jnp.asarray(singular()), singular().tolist(), singular().astype(float), singular(d=2, n=1),
    singular(np.float16), jnp.asarray(singular(), jnp.bfloat16), singular(n=50, d=500),
    singular() + np.float32(2e-5) * np.tri(300, dtype=np.float32),  # not quite symmetric
], ids=lambda matrix: f"{type(matrix).__name__} {getattr(matrix, 'dtype', '')}")  # fmt: skip
def test_a_singular_covariance_is_judged_by_the_rounding_of_its_own_type(matrix):
    assert check.covariance("c", matrix).dtype == np.float64
    assert np.isfinite(float(gaussian_w2(matrix, np.eye(len(matrix)))))
    assert np.isfinite(dae.optimal_map(matrix, 1.0)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, jnp.bfloat16])
def test_what_is_more_than_rounding_is_refused_in_every_type(dtype):
    matrix = (
        np.diag(np.r_[np.linspace(1.1, 3.3, 299), -0.05]) if dtype != np.float64 else np.diag([1.0, 1 / 3, -3.3e-7])
    )
    with pytest.raises(ValueError, match="c must be positive semi-definite; its smallest eigenvalue is -"):
        check.covariance("c", jnp.asarray(matrix, dtype) if dtype == jnp.bfloat16 else matrix.astype(dtype))
    with pytest.raises(ValueError, match="c must be symmetric"):
        check.covariance("c", np.array([[1.0, 0.3], [0.2, 1.0]]).astype(np.float32))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: check.real("x", np.inf), "x must be finite; got inf"),
        (lambda: check.real("x", np.array([[1.0, np.nan]])), "x must be finite; got nan"),
        (lambda: check.real("x", None), "x must be a number or an array of numbers; got None"),
        (lambda: check.real("x", [1, [2]]), "x must be a number or an array of numbers"),
        (lambda: check.nonnegative("x", [3.0, -0.5]), "x must be at least 0 and be finite; got -0.5"),
        (lambda: check.positive("x", 0), "x must be greater than 0 and be finite; got 0"),
        (lambda: check.fraction("x", 1.0001), r"x must lie in \[0, 1\] and be finite; got 1.0001"),
        (lambda: check.integer("x", True + 0.5, 0), "x must be a whole number; got 1.5"),
        (lambda: check.integer("x", 5, 1, 4), "x must be from 1 to 4; got 5"),
        (lambda: check.samples("x", np.ones((3, 0))), r"at least 1 row; got shape \(3, 0\)"),
        (lambda: check.samples("x", np.ones((3, 2)), minimum=4), "at least 4 rows"),
        (lambda: check.covariance("x", np.ones((0, 0))), "square matrix"),
        (lambda: check.broadcastable(a=jnp.ones(2), b=jnp.ones(3)), r"a \(2,\), b \(3,\)"),
        (lambda: check.broadcast(a=jnp.ones(2), b=jnp.ones(3)), r"a \(2,\), b \(3,\)"),
        (lambda: check.time_grid("steps", 0), "steps must be at least 1; got 0"),
        (lambda: check.time_grid("steps", [0.0, 0.5, 0.5, 1.0]), "steps must increase from 0 to 1; got"),
        (lambda: check.time_grid("steps", [0.0]), r"a grid of at least two times; got shape \(1,\)"),
        (lambda: check.one_of("x", "c", ("a", "b")), "x must be one of 'a', 'b'; got 'c'"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_times_are_those_of_uniform_steps_or_the_ones_given():
    assert check.time_grid("steps", 4).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert check.time_grid("steps", [0, 0.3, 1]).tolist() == [0, 0.3, 1]
    assert check.time_grid("steps", 7).dtype == np.float64


def test_arrays_are_brought_to_their_common_shape():
    a, b = check.broadcast(a=jnp.ones((2, 1)), b=jnp.arange(3.0))
    assert a.shape == b.shape == (2, 3)


@check.arguments
def gain(
    variance: check.Nonnegative,
    noise_std: check.Positive,
    *,
    rank: check.Count | None = None,
    shift: check.NonnegativeScalar = 0,
    method: check.choice({"a": 1}) = "a",
    note: str = "any",
):
    """w."""
    return variance, noise_std, rank, shift, method, note


def test_arguments_reach_the_function_ready_for_use():
    variance, noise_std, rank, shift, method, note = gain(np.ones((2, 1)), noise_std=[1, 2, 3], note=None)
    assert variance.shape == noise_std.shape == (2, 3) and variance.dtype == noise_std.dtype == np.float64
    assert shift.shape == () and shift.dtype == np.float64  # a scalar is not broadcast
    assert rank is None and method == "a" and note is None
    assert type(gain(1, 2, rank=np.int32(3))[2]) is int
    assert gain.__doc__ == "w." and list(inspect.signature(gain).parameters)[:2] == ["variance", "noise_std"]


def test_arguments_may_be_traced():
    @check.arguments
    def product(x: check.Positive, y: check.Fraction):
        return x * y

    assert jax.vmap(product, (0, None))(jnp.arange(3.0), 0.5).tolist() == [0, 0.5, 1]
    assert float(jax.jit(jax.grad(product))(-2.0, 0.5)) == 0.5


@pytest.mark.parametrize(
    "positional, named, words",
    [
        ((-1, 1), {}, "variance must be at least 0 and be finite; got -1"),
        ((1, [1, 0]), {}, "noise_std must be greater than 0"),
        ((None, 1), {}, "variance must be a number or an array of numbers; got None"),
        (([1, 2], [1, 2, 3]), {}, r"variance \(2,\), noise_std \(3,\)"),
        ((1, 1), {"rank": 0}, "rank must be at least 1; got 0"),
        ((1, 1), {"shift": -1}, "shift must be at least 0"),
        ((1, 1), {"method": "b"}, "method must be one of 'a'; got 'b'"),
    ],
)
def test_arguments_refused_are_named(positional, named, words):
    with pytest.raises(ValueError, match=words):
        gain(*positional, **named)
