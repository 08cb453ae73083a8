"""Least squares refitted to labels of its own making: errors add up, and how large they are on the mean."""

import sympy as sp
from sympy import Rational as R

from .table import certificate, positive, vanishes

d, i, T = sp.symbols("d i T", positive=True)


@certificate("exact", one=(0, R("0.99")))
def errors_add_up(one=1):
    """w_j = w_{j−1} + G_j⁻¹X_jᵀe_j: what the earlier pairs say is w_{j−1}, and its labels are those of the new ones.

    By the normal equations G_j w_j = G_{j−1}w_{j−1} + X_jᵀ(X_jw_{j−1} + e_j), with one new input x in two dimensions;
    where only the latest pairs are kept there are no old ones.
    """
    old = sp.Matrix(2, 2, sp.symbols("g1 g2 g2 g3"))
    x, last, error = sp.Matrix(sp.symbols("x1:3")), sp.Matrix(sp.symbols("w1:3")), sp.Symbol("e")
    whole = old + x * x.T
    right = old * last + x * ((x.T * last)[0] + error)
    return vanishes(*(whole * (last * one) + x * error - right))


def inverse_chi(freedom):
    """E 1/χ² = 1/(ν − 2), by the ratio of Γ functions."""
    half = sp.Symbol("h", positive=True)
    return sp.gammasimp(sp.gamma(half - 1) / sp.gamma(half) / 2).subs(half, freedom / 2)


@certificate("exact", shift=(0, 2), less=(0, 2))
def inverse_wishart(shift=1, less=1):
    """E tr (XᵀX)⁻¹ = d/(T − d − 1), of T Gaussian inputs in d dimensions: a diagonal entry is 1/χ²_{T−d+1}.

    It is one over what the d − 1 other columns leave of its column (`bartlett_factor`); here of G = XᵀX for d = 3.
    """
    a, b, c, e, f, k = sp.symbols("a b c e f k")
    gram = sp.Matrix([[a, b, c], [b, e, f], [c, f, k]])
    across, others = gram[0, 1:], gram[1:, 1:]
    left = a - (across * others.adjugate() * across.T)[0] / others.det()
    entry = others.det() / gram.det()
    return vanishes(entry - 1 / left, d * inverse_chi(T - d + shift) - d / (T - d - less))


@certificate("exact", power=(1, 3), one=(0, 2))
def regression_errors(power=2, one=1):
    """Round i adds E tr G⁻¹CG⁻¹, C = XᵀX: d/(T − d − 1), or of kept inputs d/(i(iT − d − 1)), or, if the same, over i².

    Fresh cohorts are alike, so that given their sum G each is G/i on the mean, and G has iT inputs. In one dimension
    C/G is a beta variable independent of G. The same inputs have G = iC; their errors are larger, and bounded by π²/6
    of the first, Σ 1/i² (`accumulate_plateau`).
    """
    first, more = sp.symbols("C m", positive=True)
    beta = (T / 2) / (T / 2 + (i - one) * T / 2)
    fresh, same = d / (i * (i * T - d - 1)), d / (T - d - 1) / i**power
    one_dimension = beta * inverse_chi(i * T) - fresh.subs(d, 1)
    repeated = (i * first) ** -2 * first - 1 / first * (same / same.subs(i, 1))
    dearer = (same - fresh).subs(T, d + 1 + more).subs(i, 1 + sp.Symbol("k", positive=True))
    return vanishes(one_dimension, repeated) and positive(dearer)
