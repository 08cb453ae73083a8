"""All rounds kept: each is fitted to the real data and to those of every round so far."""

import math
from functools import cache

import sympy as sp
from mpmath import mp
from sympy import Rational as R

from .real_data import generated, m
from .table import certificate, vanishes


@certificate("exact", added=(1, 3))
def accumulated_mean(added=2):
    """ρ = 1, all rounds kept: m_{j+1} = m_j − (m_j/(m_j + 1))/(j + 2), the mean of j + 2 rounds of equal size."""
    j = sp.Symbol("j", positive=True)
    mean = ((j + 1) * m + generated(m, 1)) / (j + 2)
    return vanishes(mean - (m - m / (m + 1) / (j + added)))


@certificate("exact", log=R("0.99"))
def accumulate_lambert(log=1):
    """m + ln m = u0 + ln u0 − H, m = W(u0 e^(u0 − H)), solves dm/dH = −m/(m + 1): the recursion, H for Σ 1/i."""
    implicit = m + log * sp.log(m)
    return vanishes(sp.diff(implicit, m) * (-m / (m + 1)) + 1)


@certificate("series", half=R("0.49"), power=(1, 3))
def lambert_to_first_order(half=R(1, 2), power=2):
    """In m + ln m a round falls by h + ½h²/(m + 1)² + O(h³), h = 1/(j + 2), and not by h: Lambert's function is high.

    What has been missed adds up there, and is 1/(m + 1) of that relative to m: by 1/(m_j + 1) Σ ½(i + 2)⁻²/(m_i + 1)².
    """
    h, fall = sp.Symbol("h"), m / (m + 1)
    after = (m - h * fall) + sp.log(m - h * fall)
    first, second = (sp.diff(after, h, order).subs(h, 0) / order for order in (1, 2))
    relative = 1 / (m * sp.diff(m + sp.log(m), m))
    return vanishes(first + 1, second + half / (m + 1) ** power, relative - 1 / (m + 1))


@certificate("exact", one=(0, 2), added=(1, 3))
def accumulate_falls_as_a_power(one=1, added=2):
    """(j + 1)m_j rises, by the factor 1 + m/((m + 1)(j + 1)), to a finite limit: in the end m falls as 1/j.

    For m itself takes the factor 1 − 1/((m + 1)(j + 2)), and so is below a multiple of j^(−1/(u0 + 1)): what (j + 1)m
    grows by is summable.
    """
    j = sp.Symbol("j", positive=True)
    later = m - m / (m + 1) / (j + 2)
    rise = (j + 2) * later / ((j + 1) * m) - 1
    return vanishes(rise - m / ((m + 1) * (j + one)), later / m - 1 + 1 / ((m + 1) * (j + added)))


@cache
def lambert_error(start):
    """The largest of |m/m_j − 1| over 20,000 rounds, m + ln m = u0 + ln u0 − H solved by Newton's method."""
    exact = smooth = start
    left, worst = start + math.log(start), 0.0
    for j in range(20_000):
        exact -= exact / (exact + 1) / (j + 2)
        left -= 1 / (j + 2)
        for _ in range(3):
            smooth -= (smooth + math.log(smooth) - left) * smooth / (smooth + 1)
        worst = max(worst, abs(smooth / exact - 1))
    return worst


@certificate("precision", first=0.15, second=0.02, third=0.003, fourth=0.00015)
def accumulate_errors(first=0.154, second=0.0208, third=0.00284, fourth=0.000152):
    """Lambert's function misses the recursion by 15.4, 2.08, .284, .0152 % at u0 = 1, 4, 8, 16 over 20,000 rounds."""
    stated = {1.0: (first, 5e-4), 4.0: (second, 5e-5), 8.0: (third, 5e-6), 16.0: (fourth, 5e-7)}
    return all(abs(lambert_error(start) - error) < digit for start, (error, digit) in stated.items())


@certificate("precision", gamma=(R("0.577"), R("0.5773")))
@mp.workdps(30)
def accumulate_lifetime(gamma=None):
    """m = 1 after u0 e^(u0 − γ) rounds, as H_j = ln j + γ − 1 + O(1/j); the error of H is below 2/j."""
    gamma = mp.euler if gamma is None else mp.mpf(gamma.p) / gamma.q
    for start in (5, 10, 20):
        life = start * mp.exp(start - gamma)
        left = start + mp.log(start) - (mp.digamma(life + 2) - mp.digamma(2))
        if abs(left - 1) > 2 / life:
            return False
    return True
