"""A flow fitted by least squares to n pairs whose noise was drawn once: what it loses beside its steps.

Its second moments are those of the n pairs. They obey G²Q0 = Q1, and Q0 and Q1, of n independent normals each, have the
same mean logarithm: what is left is that such pairs are correlated by chance, γ = c/√(Q0Q1) = cos Θ.
"""

import sympy as sp
from sympy import Rational as R

from .flow import OMEGA, SLOPE, P, step_loss, t, y
from .table import certificate, vanishes

gamma, n, angle = sp.symbols("gamma n Theta", positive=True)


@certificate("exact", half=(R("0.49"), 1), twice=R("1.98"))
def loss_of_correlated_pairs(half=R(1, 2), twice=2):
    """Euler loses [1 − γk/2 + (k − 2γ)Θ/(2√(1 − γ²))]/N + O(N⁻³) on pairs of correlation γ = cos Θ.

    k = y + 1/y, y² = Q1/Q0. A step loses (θ'h)² first, θ' = |p0 × p1|/Q_t, and θ runs through Θ; the derivative of
    Q'/4Q + (1 − 2γy + y²)θ/2|p0 × p1| is θ'². Its next term is half the slope of the first, which is what a sum over
    left ends has too much: there is no 1/N².
    """
    moment = (1 - t) ** 2 + 2 * gamma * y * t * (1 - t) + t**2 * y**2
    growth = sp.diff(moment, t)
    square = y**2 * (1 - gamma**2)  # |p0 × p1|²
    path = {P: growth / moment / 2, OMEGA: sp.diff(moment, t, 2) / 2 / moment}
    leading = step_loss("euler")[2].subs(path) + square / moment**2
    inside = sp.diff(growth / moment / 4, t) + sp.diff(moment, t, 2) / 4 / moment - square / moment**2
    ends = (growth / moment).subs(t, 1) - (growth / moment).subs(t, 0)
    k, sine = y + 1 / y, sp.Symbol("s", positive=True)
    whole = ends / 4 + sp.diff(moment, t, 2) / 4 * angle / (y * sine)
    stated = 1 - half * gamma * k + (k - twice * gamma) * angle / (2 * sine)
    flat = step_loss("euler")[3] - sum(sp.diff(step_loss("euler")[2], name) * SLOPE[name] for name in (P, OMEGA)) / 2
    return step_loss("euler")[1] == 0 and vanishes(leading, flat, inside, whole - stated)


@certificate("exact", one=(0, 2), less=(1, 3), quarter=R("0.24"))
def drift_of_fixed_pairs(one=1, less=2, quarter=R(1, 4)):
    """The mean of that over n Gaussian pairs is (1 + πk/4)(n − 1)/(n − 2): to −r there comes −r/(n − 2), up to O(N⁻³).

    Lengths and angle of two Gaussian vectors are independent; E|b|/|a| by E χ^s = 2^(s/2) Γ((n + s)/2)/Γ(n/2), the
    angle has the density ∝ sin^(n−2) Θ, and Θ cos Θ sin^(n−3) Θ is integrated by parts.
    """

    def length(power):
        return 2 ** (sp.S(power) / 2) * sp.gamma((n + power) / 2) / sp.gamma(n / 2)

    def sines(power):
        """∫₀^π sin^power Θ dΘ."""
        return sp.sqrt(sp.pi) * sp.gamma((power + 1) / 2) / sp.gamma(power / 2 + 1)

    ratio = length(1) * length(-1)  # of y to its value at infinite n, and of 1/y
    bent = sp.pi / 2 * sines(n - 3) / sines(n - 2)  # E Θ/sin Θ: Θ − π/2 is odd about the right angle
    by_parts = sp.diff(angle * sp.sin(angle) ** (n - 2), angle) - sp.sin(angle) ** (n - 2)
    by_parts -= (n - 2) * angle * sp.cos(angle) * sp.sin(angle) ** (n - 3)
    tilted = -1 / (n - 2)  # E Θ cot Θ, as Θ sin^(n−2) Θ vanishes at both ends
    cosine = 1 - sines(n) / sines(n - 2) - 1 / n  # E cos²Θ = 1/n, as for any direction
    k = sp.Symbol("k", positive=True)
    mean = 1 - tilted + sp.expand_func(ratio * bent) * k / 2
    stated = (1 + quarter * sp.pi * k) * (n - one) / (n - less)
    leading = 1 + sp.pi * k / 4  # r, times N
    return (
        vanishes(sp.expand_func(cosine), mean - stated, stated - leading - leading / (n - 2))
        and sp.simplify(by_parts) == 0
    )
