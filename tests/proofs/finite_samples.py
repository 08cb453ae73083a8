"""The denoiser's self-training on n samples, exact in law."""

import sympy as sp
from mpmath import mp
from sympy import Rational as R
from sympy.functions.combinatorial.numbers import stirling

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


def poisson_mean(polynomial, count, mean):
    """E of a polynomial in a Poisson variable: E K^k = Σ S(k, i) mean^i, S the numbers of the second kind."""
    terms = sp.Poly(sp.expand(polynomial), count).terms()
    return sum(c * stirling(k, i) * mean**i for (k,), c in terms for i in range(k + 1))


@certificate("exact", half=(R("0.49"), 1), twice=(1, 3))
def poisson_mixture(half=R(1, 2), twice=2):
    """Σ(x_i + e_i)², of n terms and Σx_i² = z, is χ² with n + 2K degrees of freedom, K Poisson of mean z/2.

    So E ln of a round is ln(2ρw²/nu) + E ψ(n/2 + K), K of mean nu/2ρ. By the first three moments, n = 1 and 2, and
    E(χ²_ν)^k = ν(ν + 2)…. (For all: E e^(θ…) has the exponent zθ/(1 − 2θ) = (z/2)(1/(1 − 2θ) − 1).)
    """
    theta, count, mean = sp.symbols("theta K z")
    for samples in (1, 2):
        x, e = sp.symbols(f"x1:{samples + 1}"), sp.symbols(f"e1:{samples + 1}")
        energy, noncentral = sum((a + b) ** 2 for a, b in zip(x, e)), sum(a**2 for a in x)
        for power in range(1, 4):
            chi = sp.prod([samples + twice * count + 2 * i for i in range(power)])
            mixed = poisson_mean(chi, count, half * noncentral)
            if not vanishes(gaussian_mean(sp.expand(energy**power), e) - mixed):
                return False
    return vanishes(mean * theta / (1 - 2 * theta) - half * mean * (1 / (1 - 2 * theta) - 1))


@certificate("precision", turn=("0.684", "0.687", "0.5"), samples=9, start=20)
@mp.workdps(20)
def turning_point(turn="0.6855", samples=8, start=25):
    """E ln(u'/u) = 0 at ρ = 2.6855 for n = 8 and u = 25, where the expansion has 2n/(n − 2) = 2.667."""

    def drift(rho):
        mean = mp.mpf(samples) * start / (2 * rho)
        chance, total = mp.exp(-mean), mp.mpf(0)
        for k in range(200):
            total += chance * mp.digamma(mp.mpf(samples) / 2 + k)
            chance *= mean / (k + 1)
        return total - mp.log(mean) + 2 * mp.log(mp.mpf(start) / (start + 1))

    low, high = (2 + mp.mpf(turn) + sign * mp.mpf("5e-5") for sign in (-1, 1))
    return drift(low) < 0 < drift(high)


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


@certificate("series", half=(R("0.49"), 1), power=(1, 3))
def lift_of_a_level(half=R(1, 2), power=2):
    """u' = F(u) and noise of variance V₁/n settle at a mean F″V/(2(1 − F′)n) above the level, V = V₁/(1 − F′²).

    To first order in 1/n: of x = u − u∞ the mean a/n and the mean square V/n stay as they are in a round. The mean cube
    is of the next order, as the noise's is (`one_round`: it is an average over n).
    """
    slope, bend, noise, small, a, b = sp.symbols("f1 f2 v1 epsilon a b")
    means = {0: 1, 1: a * small, 2: b * small}  # of powers of x; higher ones are O(ε²)
    x = sp.Symbol("x")
    moved = slope * x + bend * x**2 / 2

    def mean(function):
        return sum(c * means.get(k, 0) for (k,), c in sp.Poly(sp.expand(function), x).terms())

    spread = noise / (1 - slope**power)
    lift = half * bend * spread / (1 - slope)
    left = [mean(moved) - means[1], mean(moved**2) + noise * small - means[2]]
    return vanishes(*(sp.diff(part, small).subs({a: lift, b: spread}) for part in left))


@certificate("exact", lift=(R("0.3097"), R("0.3100")), noise=R("0.99"))
def lift_of_own_level(lift=R("0.30985"), noise=1):
    """From own data at α = ½, u0 = 4, ρ = 1, n samples lift the mean of what is retained by .30985/n of it.

    There v = 1 + √21/3 (`own_level`), F = w²(u + 1) with w of the pool, and V₁ = w⁴(4u + 2) by `one_round`.
    """
    v = 1 + sp.sqrt(21) / 3
    level = 2 * v - 4  # v is the mean of u and u0
    pool = (u + 4) / 2
    gain = pool / (pool + 1)
    following = gain**2 * (u + 1)
    slope, bend = (sp.diff(following, u, order) for order in (1, 2))
    scatter = gain**4 * (4 * u + 2 * noise)
    relative = (bend * scatter / (1 - slope**2) / (1 - slope) / u / 2).subs(u, level)
    stays = sp.expand(sp.radsimp(following.subs(u, level) - level))
    return stays == 0 and abs(relative.evalf(20) - lift) < R("0.000005")
