"""The denoiser's self-training on n samples, exact in law."""

import sympy as sp
from sympy import Rational as R

from .table import certificate, gaussian_mean, vanishes

n, s, u, rho = sp.symbols("n s u rho", positive=True)


@certificate("exact", four=(R("3.9"), 2), two=(R("1.9"), 3))
def one_round(four=4, two=2):
    """A round has the mean w²(u + ρ), without drift, and the variance w⁴(4ρu/n + 2ρ²/n): one, two and three samples."""
    for samples in (1, 2, 3):
        x, e = sp.symbols(f"x1:{samples + 1}"), sp.symbols(f"e1:{samples + 1}")
        energy = sum((a + s * b) ** 2 for a, b in zip(x, e)) / samples
        before = sum(a**2 for a in x) / samples
        mean = gaussian_mean(sp.expand(energy), e)
        spread = gaussian_mean(sp.expand(energy**2), e) - mean**2
        if not vanishes(mean - before - s**2, spread - (four * s**2 * before + two * s**4) / samples):
            return False
    return True


@certificate("exact", lost=(0, 2))
def reduced_process(lost=1):
    """Σ(x_i + s e_i)² has the law of (√(Σx_i²) + s e)² + s²χ²_{n−1}: it knows of the data their second moment alone.

    By the first three moments, of two samples; E(χ²_ν)^k = ν(ν + 2)…. (For all: rotate x to its first axis.)
    """
    x, e = sp.symbols("x1:3"), sp.symbols("e1:3")
    first, chi = sp.symbols("r q")  # √Σx², and χ² of the others
    whole = sum((a + s * b) ** 2 for a, b in zip(x, e))
    parts = (first + s * e[0]) ** 2 + s**2 * chi
    for power in range(1, 4):
        terms = sp.Poly(gaussian_mean(sp.expand(parts**power), e[:1]), chi).terms()
        reduced = sum(c * sp.prod([2 - lost + 2 * i for i in range(k)]) for (k,), c in terms)
        reduced = sp.expand(reduced).subs(first, sp.sqrt(sum(a**2 for a in x)))
        if not vanishes(gaussian_mean(sp.expand(whole**power), e) - sp.expand(reduced)):
            return False
    return True


@certificate("exact", shift=(0, 2))
def bartlett_factor(shift=1):
    """The i-th entry on the diagonal of a Gaussian matrix's triangular factor is χ_{n−i+1}.

    It is the length of a row left over by the i − 1 rows before it: a projection, of trace n − i + 1. And the two first
    moments of the determinant of Gaussian matrices of 2 × 2 and 2 × 3 entries are those of a product of such χ².
    """
    row = sp.Matrix(sp.symbols("x1:5", positive=True))
    rest = sp.eye(4) - row * row.T / (row.T * row)[0]
    if not vanishes(*(rest * rest - rest), rest.trace() - (4 - 2 + shift)):
        return False
    for columns in (2, 3):
        e = sp.Matrix(2, columns, sp.symbols(f"e1:{2 * columns + 1}"))
        determinant = sp.expand((e * e.T).det())
        freedoms = [columns - i + shift for i in (1, 2)]
        once, twice = (gaussian_mean(sp.expand(determinant**power), list(e)) for power in (1, 2))
        if once != sp.prod(freedoms) or twice != sp.prod([m * (m + 2) for m in freedoms]):
            return False
    return True


@certificate("series", two=R("1.98"), shift=(1, 3))
def threshold_of_typical_paths(two=2, shift=2):
    """u large: E Δln u = [(ρ − 2) − 2ρ/n]/u + O(u⁻²), which is zero at ρ = 2n/(n − 2) and not at 2.

    ln u' − ln u = ln(1 + ε), ε = u'/u − 1, of mean (ρ − 2)/u and variance 4ρ/(nu) to this order (`one_round`).
    """
    x = sp.Symbol("x", positive=True)  # 1/u
    mean = (1 + rho * x) / (1 + x) ** 2 - 1
    second = mean**2 + (4 * rho * x + 2 * (rho * x) ** 2) / (1 + x) ** 4 / n
    drift = sp.diff(mean - second / 2, x).subs(x, 0)
    return vanishes(drift.subs(rho, two * n / (n - shift)))


@certificate("exact", freedom=(0, 1, 3))
def lifetime_law(freedom=2):
    """u large: du = (ρ − 2)dt + 2√(ρu/n) dB dies at t = (n u0/ρ)/χ²_ν, ν = 2 + n(2 − ρ)/ρ; at ρ = 1, n u0/χ²_{n+2}.

    p = Pr(χ² ≥ n u0/(ρt)) solves ∂p/∂t = (ρ − 2)∂p/∂u + (2ρu/n)∂²p/∂u², drift and variance being those of a round
    (`one_round`), and is 1 at u = 0 and 0 at t = 0. Its slopes are those of n u/(ρt), times χ²'s density, which is
    here without its constant.
    """
    t = sp.Symbol("t", positive=True)
    z = n * u / (rho * t)
    density = z ** ((freedom + n * (2 - rho) / rho) / 2 - 1) * sp.exp(-z / 2)
    of_time, of_start = -density * sp.diff(z, t), -density * sp.diff(z, u)
    generator = (rho - 2) * of_start + 2 * rho * u / n * sp.diff(of_start, u)
    return vanishes(sp.expand(sp.powsimp((of_time - generator) / density)))


@certificate("exact", less=(1, 3), freedom=(1, 3))
def lifetime_spread(less=2, freedom=2):
    """n u0/χ²_{n+2} has mean u0 and standard deviation u0√(2/(n − 2)): E χ^(−2k) by the ratio of Γ functions."""
    half = (n + freedom) / 2
    inverse = [sp.gammasimp(sp.gamma(half - k) / sp.gamma(half)) / 2**k for k in (1, 2)]
    mean, second = (n**k * moment for k, moment in zip((1, 2), inverse))
    return vanishes(mean - 1, second - mean**2 - 2 / (n - less))
