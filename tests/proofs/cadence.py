"""Real data every K rounds only: the cycle that variances settle into, and its poorest round.

A round is u' = F(u) = u²(u + ρ)/(u + 1)². Every K-th one is fitted to the pool v = (1−α)u + αu0, and passes on that
pool, or the model's own data alone. The map of a whole cycle is made of K such maps.
"""

import sympy as sp
from mpmath import iv
from sympy import Rational as R

from .real_data import alpha, generated, m, rho, u, u0, v, x
from .table import certificate, positive, vanishes


@certificate("exact", three=(R("2.97"), R("3.03")), twice=R("1.98"), gentle=R("1.51"))
def cycle_contracts(three=3, twice=2, gentle=R(3, 2)):
    """F' = 1 − (1 + (3 − 2ρ)v)/(v + 1)³ < 1 for ρ ≤ 3/2: every map of a cycle brings any two runs closer.

    The round with real data has the slope (1−α)F'(v) in u from the pool, and F'(v) − 2αv(u0 + ρ)/(v + 1)³ from own
    data. So the map of the cycle, less u, decreases: it has one zero, and all runs go there, by at least a factor 1 − α
    a cycle from the pool.
    """
    slope = sp.diff(generated(v), v)
    pool = (1 - alpha) * u + alpha * u0
    of_pool = sp.diff(generated(pool), u) - (1 - alpha) * slope.subs(v, pool)
    own = sp.diff((pool / (pool + 1)) ** 2 * (u + rho), u)
    of_own = own - (slope - twice * alpha * v * (u0 + rho) / (v + 1) ** 3).subs(v, pool)
    stated = 1 - (1 + (three - 2 * rho) * v) / (v + 1) ** 3
    return vanishes(slope - stated, of_pool, of_own) and positive((1 - slope).subs(rho, gentle / (1 + m)))


@certificate("exact", loudest=R("2.01"))
def poorest_of_cycle(loudest=2):
    """F(u) < u for ρ ≤ 2: a cycle falls from its first round to its last, before real data come in again.

    So does the run from u0, from cycle to cycle: it goes to the largest cycle below u0, for ρ > 3/2 too.
    """
    return positive((u - generated(u)).subs(rho, loudest / (1 + m)))


@certificate("exact", two=(R("1.98"), R("2.02")), twice=R("1.98"), power=(3, 5))
def cycle_of_two(two=2, twice=2, power=4):
    """ρ = 1, K = 2: v is the one positive root of αv⁴ + (2−a)v³ + (2−2a)v² + (1−2a)v − a, a = αu0.

    For two rounds take v to v⁴/((v + 1)(v² + v + 1)). The coefficients change their sign once, at any a > 0: none is
    negative before one that is not.
    """
    a = alpha * u0
    poorest = v**power / ((v + 1) * (v**2 + v + 1))
    quartic = alpha * v**4 + (two - a) * v**3 + (2 - 2 * a) * v**2 + (1 - twice * a) * v - a
    missed = (v - (1 - alpha) * poorest - a) * (v + 1) * (v**2 + v + 1)
    edges = [sp.solve(sp.Poly(quartic, v).coeff_monomial(v**k).subs(u0, x / alpha), x)[0] for k in (3, 2, 1)]
    once = edges == sorted(edges, reverse=True)
    return vanishes(generated(generated(v, 1), 1) - poorest, missed - quartic) and once


@certificate("exact", two=(R("1.98"), R("2.02")), power=(0, 2))
def cycle_of_large_variance(two=2, power=1):
    """u0 → ∞ at fixed α and K, from the pool: the poorest round has u0 − K(2 − ρ)/α, so that α/K alone counts.

    F takes u0 + b + O(1/u0) to u0 + b − (2 − ρ) + O(1/u0); here x = 1/u0, and K = 1, 2, 3.
    """
    b = sp.Symbol("b")
    fall = sp.cancel(b + 1 / x - generated(b + 1 / x)).subs(x, 0)
    for rounds in (1, 2, 3):
        poorest = -(rounds**power) * (two - rho) / alpha
        later = (1 - alpha) * poorest
        for _ in range(rounds):
            later -= fall.subs(b, later)
        if not vanishes(later - poorest):
            return False
    return True


SIXTEEN, HUNDRED = (".181", ".171", ".147", ".119"), (".835",) * 4


@certificate(
    "interval",
    sixteen=((".182", *SIXTEEN[1:]), (*SIXTEEN[:3], ".120")),
    hundred=((".833", *HUNDRED[1:]), (*HUNDRED[:3], ".836")),
    lowest=("6.456", "6.458"),
    highest=("7.336", "7.338"),
)
def cycles_counted(sixteen=SIXTEEN, hundred=HUNDRED, lowest="6.457", highest="7.337"):
    """ρ = 1, α/K = .06, K = 1, 2, 5, 10: what the poorest round retains of u0 = 16 and 100; and one cycle as a whole.

    That of u0 = 10, α = ½, K = 2. The map of a cycle, less u, decreases (`cycle_contracts`): its zero is where the sign
    changes. And a round increases with u.
    """

    def after(variance, real, share, rounds):
        variance = (1 - iv.mpf(share)) * variance + iv.mpf(share) * real
        for _ in range(rounds):
            variance = variance**2 / (variance + 1)
        return variance

    def around(stated, scale=1):
        return [(iv.mpf(stated) + sign * iv.mpf("0.0005")) * scale for sign in (-1, 1)]

    def settles(stated, real, share, rounds, scale=1):
        low, high = around(stated, scale)
        return after(low, real, share, rounds).a > low.b and after(high, real, share, rounds).b < high.a

    poorest = [
        settles(kept, real, iv.mpf(rounds) * 6 / 100, rounds, real)
        for real, row in ((16, sixteen), (100, hundred))
        for kept, rounds in zip(row, (1, 2, 5, 10))
    ]
    ends = [after(end, 10, "0.5", 1) for end in around(lowest)]
    within = around(highest)[0].b < ends[0].a and ends[1].b < around(highest)[1].a
    return all(poorest) and settles(lowest, 10, "0.5", 2) and within
