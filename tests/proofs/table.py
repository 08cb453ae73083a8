"""The table of certificates: each proves a theorem or closed form afresh, and rejects every mutation of its constants.

A certificate is a function that says whether its statement holds; the constants of the statement are its arguments,
and their defaults are the true ones. It is entered with the way in which it proves, and with wrong values of each
constant, of which it must reject every one:

    exact      an identity of polynomials or rational functions, or an inequality by the signs of their coefficients
    series     order by order in a small quantity, each coefficient exact
    interval   enclosed by intervals that are rounded outwards
    precision  evaluated with an error far below the smallest mutation

No certificate imports rfcollapse, nor a number from it.
"""

from collections.abc import Callable
from typing import NamedTuple

import sympy as sp

TABLE = {}
METHODS = ("exact", "series", "interval", "precision")


class Certificate(NamedTuple):
    holds: Callable[..., bool]
    method: str
    mutations: dict[str, tuple]
    """Wrong values of each constant."""


def certificate(method, **wrong):
    """Enters a function under its name; a constant has one wrong value, or a tuple of them."""

    def enter(holds):
        mutations = {name: given if isinstance(given, tuple) else (given,) for name, given in wrong.items()}
        TABLE[holds.__name__] = Certificate(holds, method, mutations)
        return holds

    return enter


def vanishes(*expressions):
    """Whether all are zero as rational functions; a point where one is not spares the expansion."""
    for expression in map(sp.sympify, expressions):
        symbols = sorted(expression.free_symbols, key=str)
        value = expression.subs({symbol: sp.Rational(sp.prime(k + 5), 10) for k, symbol in enumerate(symbols)})
        wrong = value.is_Rational and value != 0
        if wrong or sp.expand(sp.fraction(sp.together(expression))[0]) != 0:
            return False
    return True


def positive(*expressions):
    """Whether all are above zero wherever their symbols are: a ratio of polynomials with coefficients of one sign."""
    products = [sp.expand(sp.Mul(*sp.fraction(sp.cancel(expression)))) for expression in expressions]
    return all(product != 0 and min(product.as_coefficients_dict().values()) > 0 for product in products)


def gaussian_mean(polynomial, normals):
    """E of a polynomial in independent standard normals, from E e^(2k) = (2k − 1)!!."""
    return sum(
        coefficient * sp.prod([0 if power % 2 else sp.factorial2(power - 1) for power in powers])
        for powers, coefficient in sp.Poly(polynomial, *normals).terms()
    )


def product(first, second):
    """Of two power series, given by as many coefficients each."""
    return [sum(first[i] * second[power - i] for i in range(power + 1)) for power in range(len(first))]


def quotient(top, bottom):
    """Of two power series, given by as many coefficients each; the second begins with a constant."""
    result = []
    for power in range(len(top)):
        known = sum(bottom[power - i] * result[i] for i in range(power))
        result.append((top[power] - known) / sp.sympify(bottom[0]))
    return result
