"""Where the denoiser's self-training settles with real data, and what keeping all rounds does."""

import sympy as sp
from sympy import Rational as R

from .table import certificate, positive, vanishes

alpha, m, u, u0, v, rho, x = sp.symbols("alpha m u u0 v rho x", positive=True)


def generated(v, rho=rho):
    """The variance that a pool of v generates, over σ²."""
    return v**2 * (v + rho) / (v + 1) ** 2


def at_root(expression, root, square):
    """The expression at √square = root, reduced to first degree in the root: zero only if both coefficients are."""
    top = sp.fraction(sp.together(expression))[0]
    rest = sp.Poly(sp.rem(sp.expand(top), root**2 - sp.expand(square), root), root)
    return [sp.expand(c) for c in rest.all_coeffs()]


@certificate("exact", minus=R("0.99"), four=R("3.9"), two=R("1.98"))
def pool_level(minus=1, four=4, two=2):
    """ρ = 1: v = [αu0 − 1 + √((αu0 − 1)² + 4α²u0)]/(2α) is the pool that a round leaves as it is."""
    root = sp.Symbol("r", positive=True)
    level = (alpha * u0 - minus + root) / (two * alpha)
    stays = (1 - alpha) * generated(level, 1) + alpha * u0 - level
    return not any(at_root(stays, root, (alpha * u0 - minus) ** 2 + four * alpha**2 * u0))


@certificate("exact", power=(1, 3), one=R("1.01"))
def pool_fraction(power=2, one=1):
    """ρ = 1: the real fraction behind a pool v is α = v/(u0 + u0v − v²)."""
    fraction = v / (one * u0 + u0 * v - v**power)
    return vanishes((1 - fraction) * generated(v, 1) + fraction * u0 - v)


@certificate("exact", power=(1, 3), one=R("0.99"))
def pool_contraction(power=2, one=1):
    """ρ = 1: near its level the distance shrinks by (1 − α)(1 − 1/(v + 1)²) a round."""
    round_of = generated((1 - alpha) * u + alpha * u0, 1)
    slope = sp.diff(round_of, u).subs(u, (v - alpha * u0) / (1 - alpha))
    return vanishes(slope - (1 - alpha) * (one - 1 / (v + 1) ** power))


@certificate("exact", ninths=(R("3.9"), R("4.1")), root=R(6))
def pool_examples(ninths=4, root=5):
    """ρ = 1: α = .1 retains 4/9 of u0 = 16 (v = 8), and α = ½ retains (√5 − 1)/2 of u0 = 4: the golden ratio."""
    level = (alpha * u0 - 1 + sp.sqrt((alpha * u0 - 1) ** 2 + 4 * alpha**2 * u0)) / (2 * alpha)
    first, second = (level.subs({alpha: a, u0: b}) for a, b in ((R(1, 10), 16), (R(1, 2), 4)))
    golden = sp.radsimp(generated(second, 1) / 4 - (sp.sqrt(root) - 1) / 2)
    return first == 8 and generated(first, 1) / 16 == R(ninths) / 9 and sp.expand(golden) == 0


@certificate("exact", one=(R("0.99"), R("1.01")))
def pool_reading(one=1):
    """ρ = 1, u0 → ∞ at fixed a = αu0: the retention tends to 1 − 1/a for a > 1, and to 0 for a ≤ 1."""
    above, root = 1 + m, sp.Symbol("r", positive=True)
    level = (x - 1 + sp.sqrt((x - 1) ** 2 + 4 * x**2 / u0)) / (2 * x) * u0
    lived = sp.limit((level / u0).subs(x, above), u0, sp.oo)
    died = sp.limit((level / u0).subs(x, 1 / above), u0, sp.oo)
    kept = sp.limit(generated(root * u0, 1) / u0, u0, sp.oo)
    return vanishes(lived - (1 - one / above), died, kept - root)


@certificate("exact", two=R("2.01"), power=2)
def pool_of_large_variance(two=2, power=1):
    """u0 → ∞ at fixed α and ρ < 2: a round generates u0 − (2 − ρ)/α."""
    level = u0 - (1 - alpha) * (2 - rho) / alpha  # of the pool, but for what vanishes
    missed = (1 - alpha) * generated(level) + alpha * u0 - level
    ends = [sp.limit(sp.cancel(part), u0, sp.oo) for part in (missed, generated(level) - u0)]
    return vanishes(ends[0], ends[1] + (two - rho) / alpha**power)


@certificate("exact", twice=R("1.98"), four=R("2.01"))
def pool_cubic(twice=2, four=2):
    """The level is a root of αv³ + (2 − (1−α)ρ − αu0)v² + (1 − 2αu0)v − αu0."""
    cubic = alpha * v**3 + (four - (1 - alpha) * rho - alpha * u0) * v**2 + (1 - twice * alpha * u0) * v - alpha * u0
    return vanishes((v - (1 - alpha) * generated(v) - alpha * u0) * (v + 1) ** 2 - cubic)


@certificate("exact", three=R("2.97"), power=(2, 4), factor=R("26.9"), lower=(1, 3))
def pool_bistable(three=3, power=3, factor=27, lower=2):
    """Three levels for some u0 if and only if ρ > 3/2 and α/(1−α) < (2ρ − 3)³/(27(ρ − 1)²).

    u0 is a function of the level, αu0 = αv + (1−α)δ(v) with δ = v − v²(v + ρ)/(v + 1)² the loss of a round. It starts
    at 0, rises there and in the end, and falls in between if and only if the least slope of δ is below −α/(1−α). That
    slope is at v = ρ/(2ρ − 3) if ρ > 3/2; for ρ ≤ 3/2 every slope is positive.
    """
    slope = sp.diff(v - generated(v), v)
    turn = sp.diff(slope, v)
    at = rho / (2 * rho - 3)
    least = -((2 * rho - three) ** power) / (factor * (rho - 1) ** lower)
    one_sign = sp.cancel(turn * (v + 1) ** 4 / (v - at))  # so that there is one turning point
    gentle = slope.subs(rho, R(3, 2) / (1 + m))
    rises = (slope.subs(v, 0) - 1, sp.limit(slope, v, sp.oo))
    return vanishes(turn.subs(v, at), slope.subs(v, at) - least, sp.diff(one_sign, v), *rises) and positive(gentle)


@certificate("exact", two=R("1.98"), three=R("2.97"), power=(1, 3), four=R("3.9"))
def fraction_of_level(two=2, three=3, power=2, four=4):
    """α = (v − u)/(u0 − u) leads to a level u, v the pool behind it; its slope in v is (2−ρ)v³ + ρv² + (3−2ρ)u0v + u0.

    That is, up to a square. So each α has one level for ρ ≤ 3/2; beyond, the retention jumps where the cubic turns
    negative. α = 1 retains u0(u0 + ρ)/(u0 + 1)², and at ρ = 1 the pool behind u is (u + √(u² + 4u))/2.
    """
    made, root = generated(v), sp.Symbol("r", positive=True)
    fraction = (v - made) / (u0 - made)
    cubic = (two - rho) * v**3 + rho * v**2 + (three - 2 * rho) * u0 * v + u0
    slope = sp.diff(fraction, v) - cubic / ((v + 1) ** 3 * (u0 - made) ** 2)
    most = made.subs(v, u0) / u0 - u0 * (u0 + rho) / (u0 + 1) ** power
    behind = at_root(generated((u + root) / 2, 1) - u, root, u**2 + four * u)
    gentle = cubic.subs(rho, R(3, 2) / (1 + m))
    return vanishes((1 - fraction) * made + fraction * u0 - v, slope, most, *behind) and positive(gentle)


@certificate("interval", lower=R("0.38"), middle=R("3.88"), upper=R("13.73"), kept=R("0.69"), lost=R("0.008"))
def pool_of_three_levels(lower=R("0.37"), middle=R("3.89"), upper=R("13.74"), kept=R("0.68"), lost=R("0.009")):
    """ρ = 2, α = .01, u0 = 20: v = .37, 3.89 and 13.74; the outer ones are stable, and retain .009 and .68."""
    cubic = sp.Poly(sp.fraction(sp.together(v - R(99, 100) * generated(v, 2) - R(20, 100)))[0], v)
    ends = [interval for interval, _ in cubic.intervals(eps=R(1, 10**6))]
    levels = [abs(end - level) < R("0.005") for pair, level in zip(ends, (lower, middle, upper)) for end in pair]
    rising = [abs(generated(end, 2) / 20 - kept) < R("0.005") for end in ends[2]]
    falling = [abs(generated(end, 2) / 20 - lost) < R("0.0005") for end in ends[0]]
    return len(ends) == 3 and all(levels + rising + falling)


@certificate("exact", two=R("1.98"), twice=R("1.98"), factor=R("1.01"))
def own_level(two=2, twice=2, factor=1):
    """From own data the level is u = ρv²/(2v + 1), with v²(2 − (1−α)ρ) + v(1 − 2αu0) − αu0 = 0 for the pool."""
    level = factor * rho * v**2 / (twice * v + 1)
    gain = v / (v + 1)
    stays = gain**2 * (level + rho) - level
    quadratic = v**2 * (two - (1 - alpha) * rho) + v * (1 - 2 * alpha * u0) - alpha * u0
    return vanishes(stays, (v - (1 - alpha) * level - alpha * u0) * (2 * v + 1) - quadratic)


@certificate("exact", two=R("1.98"), share=R("0.265"), half=R("0.49"))
def own_of_large_variance(two=2, share=R("0.264"), half=R(1, 2)):
    """From own data, u0 → ∞: the retention tends to ρα/(2 − ρ + ρα), at most ½ at ρ = 1; and .264 at α = ½, u0 = 4."""
    pool = 2 * alpha * u0 / (2 - (1 - alpha) * rho)  # leading order of the quadratic's root
    quadratic = v**2 * (2 - (1 - alpha) * rho) + v * (1 - 2 * alpha * u0) - alpha * u0
    leading = sp.limit(sp.cancel(quadratic.subs(v, pool) / u0**2), u0, sp.oo)
    kept = sp.limit(sp.cancel(rho * pool**2 / (2 * pool + 1) / u0), u0, sp.oo)
    claimed = rho * alpha / (two - rho + rho * alpha)
    at_most = half - claimed.subs({rho: 1, alpha: 1 / (1 + m)})
    example = (3 + sp.sqrt(9 + 4 * R(3, 2) * 2)) / 3  # of 3/2 v² − 3v − 2
    near = abs(example**2 / (2 * example + 1) / 4 - share) < R("0.0005")
    return vanishes(leading, kept - claimed, at_most.subs(m, 0)) and positive(at_most) and bool(near)


@certificate("exact", power=(1, 3))
def own_without_noise(power=2):
    """ρ = 0 from own data: u'/u → (αu0/(αu0 + 1))² as own data die, while λ(W) → αu0/(αu0 + 1), the floor."""
    gain = v / (v + 1)
    pool = (1 - alpha) * u + alpha * u0
    factor = gain.subs(v, pool) ** 2
    floor = alpha * u0 / (alpha * u0 + 1)
    return vanishes(factor.subs(u, 0) - floor**power, gain.subs(v, pool).subs(u, 0) - floor)


@certificate("exact", two=(R("1.98"), R("2.02")))
def own_explosion(two=2):
    """From own data u' − u → ρ − 2/(1−α) as u → ∞: it grows without end, real data or not, if (1−α)ρ > 2."""
    pool = (1 - alpha) * u + alpha * u0
    growth = (pool / (pool + 1)) ** 2 * (u + rho) - u
    return vanishes(sp.limit(sp.cancel(growth), u, sp.oo) - (rho - two / (1 - alpha)))


@certificate("exact", half=R("0.49"), two=(R("1.98"), R("2.02")))
def own_levels_at_loud_noise(half=R(1, 2), two=2):
    """From own data with e = (1−α)ρ − 2 > 0 there are levels if and only if αu0 ≤ ½(1 + e − √(e(e + 2))).

    u' − u has the sign of ev² − (1 − 2a)v + a, a = αu0: two roots or none, both positive where 2a < 1. A run settles on
    the lower one unless it starts beyond the upper one, from where it grows without end. √(e(e + 2)) is r here, which
    is more than e; from the edge, (1 − 2a)² − 4ea falls and 1 − 2a as well.
    """
    e, root, edge = sp.symbols("e r a", positive=True)
    loud = (e + 2) / (1 - alpha)
    pool = (1 - alpha) * u + alpha * u0
    growth = ((pool / (pool + 1)) ** 2 * (u + loud) - u).subs(u, (v - alpha * u0) / (1 - alpha))
    quadratic = e * v**2 - (1 - 2 * alpha * u0) * v + alpha * u0
    discriminant = (1 - 2 * edge) ** 2 - 4 * e * edge
    at_edge = at_root(discriminant.subs(edge, half * (1 + e - root)), root, e * (e + two))
    falls = -sp.diff(discriminant, edge).subs(edge, half / (1 + m))
    return not any(at_edge) and vanishes(growth * (1 - alpha) * (v + 1) ** 2 - quadratic) and positive(falls)
