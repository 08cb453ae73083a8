"""Densities that need not be Gaussian: the best denoiser, small noise, two points, early stopping."""

import math
from functools import cache

import sympy as sp
from mpmath import mp
from sympy import Rational as R

from .table import certificate, gaussian_mean, vanishes

alpha, h, mu, sigma, t, x, y = sp.symbols("alpha h mu sigma t x y", positive=True)

# A law of two atoms, given what was seen of it: its chances, of which the slope in any variable follows from that of
# the exponents. Two have a mean, a variance and a third central moment of any size.
ATOMS = sp.symbols("x1:3")
CHANCES = (sp.Symbol("w"), 1 - sp.Symbol("w"))


def given(values):
    return sum(w * value for w, value in zip(CHANCES, values))


def slope_of(values, exponents, name):
    """d/dname of the mean of values, where the chances are in the ratio of e^exponents."""
    rates = [sp.diff(exponent, name) for exponent in exponents]
    moved = given([value * rate for value, rate in zip(values, rates)]) - given(values) * given(rates)
    return moved + given([sp.diff(value, name) for value in values])


def central(values, power):
    return given([(value - given(values)) ** power for value in values])


@certificate("exact", power=(1, 3), one=R("1.01"))
def best_denoiser(power=2, one=1):
    """D(y) = E[x | x + σε = y] has D' = Var(x | y)/σ² > 0, and D = y + σ²(ln q)', q the density of y (Tweedie).

    So E(x − D)² = σ²E D' = σ² − σ⁴J(q), as E(ln q)'' = −J(q); for a Gaussian of variance λ that is λσ²/(λ + σ²).
    """
    variance = sp.Symbol("lambda", positive=True)
    exponents = [-((y - atom) ** 2) / (2 * sigma**2) for atom in ATOMS]
    slope = slope_of(ATOMS, exponents, y) - central(ATOMS, 2) / sigma**power
    tweedie = given(ATOMS) - (y + one * sigma**2 * given([sp.diff(exponent, y) for exponent in exponents]))
    left = sigma**2 - sigma**4 / (variance + sigma**2) - variance * sigma**2 / (variance + sigma**2)
    return vanishes(slope, tweedie, left)


@certificate("series", two=R("1.98"), half=R("0.49"))
def heat_step(two=2, half=R(1, 2)):
    """E f(x') − E f(x) = ½(ρ − 2)σ² ∫ f p'' + O(σ⁴) for any f: ∂p = ½(ρ − 2)σ² p''; σ² = h. And the entropy's rate.

    x' = D(y), y of the density p + ½ρh p'' + … and D = y + h(ln p)' + …; by parts f'p' is −fp''. As ½∫x²p'' = 1, what a
    blur of variance 1 adds, the variance changes by (ρ − 2)h; the entropy by −∫∂p (ln p + 1) = ½(ρ − 2)h∫p'²/p.
    """
    rho, density, test = sp.Symbol("rho"), sp.Function("p")(x), sp.Function("f")
    twice = sp.diff(density, x, 2)
    blurred = density + h / 2 * twice
    denoised = x + h * sp.diff(blurred, x) / blurred
    passed = (density + rho * h / 2 * twice) * test(denoised)
    first = sp.diff(passed, h).subs(h, 0).doit()
    ends = sp.diff(test(x) * sp.diff(density, x), x)
    stated = half * (rho - two) * twice
    entropy = -twice * (sp.log(density) + 1) - sp.diff(density, x) ** 2 / density
    flux = -sp.diff(sp.diff(density, x) * (sp.log(density) + 1), x)
    second = gaussian_mean((x + y) ** 2 - x**2, (y,)) - 1
    return all(sp.expand(e.doit()) == 0 for e in (first - ends - stated * test(x), entropy - flux, sp.sympify(second)))


def bell(y, mean, variance):
    return math.exp(-((y - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def changes_of_two_modes(rho, square, place=1.9, mode=0.36):
    """ΔVar/σ² and ΔH/σ² of a round of ½N(±place, mode): the posterior in closed form, sums over an even grid of y.

    H' is the entropy of y, plus E ln D'.
    """
    step, seen, whole = 0.02, mode + rho * square, mode + square
    second = entropy = before = 0.0
    for i in range(-400, 401):
        at = i * step
        density, real = ((bell(at, place, v) + bell(at, -place, v)) / 2 for v in (seen, mode))
        tanh = math.tanh(place * at / whole)
        made = (mode * at + square * place * tanh) / whole
        slope = mode / whole + square * (place / whole) ** 2 * (1 - tanh**2)
        second += step * density * made**2
        entropy += step * density * math.log(slope / density)
        before -= step * real * math.log(real)
    return (second - place**2 - mode) / square, (entropy - before) / square


@certificate("precision", two=R("1.99"), variance=R("0.82"), entropy=R("1.13"), fisher=R("2.75"))
def heat_of_two_modes(two=2, variance=R("0.847"), entropy=R("1.125"), fisher=R("2.712")):
    """½N(±1.9, .36), σ² = .02: −1.847, −.949, −.051, .847 and −2.642, −1.314, −.061, 1.125 times σ², ρ = 0 … 3.

    As σ² → 0 they are ρ − 2 and ½(ρ − 2)J, J = 2.712, by a step of Richardson's from σ² = 2 and 1 · 10⁻⁴.
    """
    variances, entropies = (-1.847, -0.949, -0.051, variance), (-2.642, -1.314, -0.061, entropy)
    for rho, *stated in zip(range(4), variances, entropies):
        loud, soft, softer = (changes_of_two_modes(rho, square) for square in (0.02, 2e-4, 1e-4))
        limits = [2 * b - a for a, b in zip(soft, softer)]
        rate = float(rho - two)
        if any(
            abs(a - float(b)) > 6e-4 for a, b in zip((*loud, limits[0], limits[1]), (*stated, rate, rate * fisher / 2))
        ):
            return False
    return True


@certificate("exact", power=(0, 3), two=R("1.98"))
def two_points_identity(power=2, two=2):
    """±a: D = a tanh t, t = ay/σ² ~ N(μ, μ) from a, μ = a²/σ², and E tanh t = E tanh² t; λ' = a² E tanh² t.

    The density of t is e^t times an even one, and e^t(tanh t − tanh² t) is odd; z = e^t.
    """
    z, place = sp.symbols("z a", positive=True)
    chances = [-((y - sign * place) ** 2) / (2 * sigma**2) for sign in (1, -1)]
    odds = sp.expand(chances[0] - chances[1]) - two * place * y / sigma**2  # D = a tanh of half of it
    even = sp.expand(-((y - mu) ** 2) / (2 * mu) - y + (y**2 + mu**2) / (2 * mu))
    tanh = (z**2 - 1) / (z**2 + 1)
    odd = z * (tanh - tanh**power)
    return vanishes(odds, even, odd + odd.subs(z, 1 / z))


@certificate("exact", half=(R("0.49"), 1), power=(0, 2))
def two_points_far_apart(half=R(1, 2), power=1):
    """1 − λ'/λ = e^(−μ/2)/√(2πμ) ∫e^(−t²/2μ) sech t dt, below √(π/2)(σ/a)e^(−a²/2σ²) and tending to it: ∫sech = π.

    1 − tanh t = e^(−t) sech t, and e^(−(t−μ)²/2μ) = e^(t − t²/2μ − μ/2).
    """
    z = sp.Symbol("z", positive=True)
    tanh, sech = (z**2 - 1) / (z**2 + 1), 2 * z / (z**2 + 1)
    place = sp.Symbol("a", positive=True)
    primitive = 2 * sp.atan(sp.exp(y))
    whole = sp.limit(primitive, y, sp.oo) - sp.limit(primitive, y, -sp.oo)
    sloped = sp.diff(primitive, y).subs(y, sp.log(z)) - sech
    exponent = sp.expand(-((y - mu) ** 2) / (2 * mu) - (y - y**2 / (2 * mu) - half * mu))
    height = (whole / sp.sqrt(2 * sp.pi * mu)).subs(mu, place**2 / sigma**2)
    return vanishes((1 - tanh) * z - sech, sloped, exponent, height - sp.sqrt(sp.pi / 2) * (sigma / place) ** power)


@certificate("series", one=R("0.99"), third=R(2))
def two_points_close_by(one=1, third=R(5, 3)):
    """λ'/λ = μ − μ² + (5/3)μ³ − … of two points, where the linear law, μ/(1 + μ), has 1 for 5/3."""
    e = sp.Symbol("e")
    powers = [gaussian_mean(sp.expand((mu + sp.sqrt(mu) * e) ** k), (e,)) for k in (1, 3, 5)]
    mean = sum(c * power for c, power in zip((1, -R(1, 3), R(2, 15)), powers))
    found = [sp.expand(mean).coeff(mu, k) for k in (1, 2, 3)]
    return found == [1, -one, third]


@cache
def points_left(place, fraction, start, rounds):
    """The share of the variance of ±place, σ = 1, α = fraction, that rounds 1, 2, … have left, from ±√start of them.

    The law as atoms D(y) ≥ 0, each with its mirror image, on an even grid of y; the posterior's nearest pole is about
    π/(2·place) off the real line, so that a round over gaps of .2 errs by 10⁻⁵ at ±3, and a level by 10⁻⁴.
    """
    step, shares = 0.2, []
    grid = [(i + 0.5) * step for i in range(42)]
    atoms, weights = [place * start**0.5], [1.0]
    for _ in range(rounds):
        pool = [(place, fraction), *zip(atoms, ((1 - fraction) * w for w in weights))]
        pool = [(atom, w * bell(atom, 0, 1)) for atom, w in pool]
        atoms, weights = [], []
        for y in grid:
            chance = first = 0.0
            for atom, w in pool:
                tilt = math.exp(atom * y)
                chance += w * (tilt + 1 / tilt)
                first += w * atom * (tilt - 1 / tilt)
            atoms.append(first / chance)
            weights.append(chance * math.exp(-(y**2) / 2) * step)
        shares.append(sum(w * atom**2 for atom, w in zip(atoms, weights)) / place**2)
    return shares


@certificate("precision", once=R("3.7266"), eighth=R("0.489"))
@mp.workdps(20)
def two_points_at_two(once=R("3.7256"), eighth=R("0.4895")):
    """a = 2, σ = 1: a round leaves 3.7256, by both integrals, and eight of them .4895."""

    def over(function):
        return 4 * mp.quad(lambda z: function(4 + 2 * z) * mp.npdf(z), [-9, -2, 0, 3, 9])

    by_integrals = [over(mp.tanh), over(lambda argument: mp.tanh(argument) ** 2)]
    first, *_, last = points_left(2.0, 0.0, 1.0, 8)
    errors = [abs(value - float(once)) for value in (*by_integrals, 4 * first)]
    return max(errors) < 5e-5 and abs(4 * last - float(eighth)) < 5e-5


def settled(shares, apart=40):
    """Where a run goes that tends there as a geometric series (Aitken)."""
    first, second, last = shares[-1 - 2 * apart], shares[-1 - apart], shares[-1]
    late = last - second
    return last - late**2 / (late - (second - first)) if abs(late) > 1e-9 else last


@certificate("precision", low=R("0.109"), high=R("0.851"), only=R("0.956"), promised=R("0.916"))
def two_points_held_or_lost(low=R("0.108"), high=R("0.852"), only=R("0.957"), promised=R("0.917")):
    """±3, σ = 1: α = .07 has the stable levels .108 and .852 of the variance, .1 has .214 and .924, .15 .957 alone.

    Those of .07 are approached from both sides; the others from the real points and from a hundredth of their variance.
    At α = .05 the run from the real ones has .951, .845 and .062 at rounds 10, 40 and 140; its first loss, over α,
    promises .917.
    """
    levels = [(0.07, (0.01, 0.2), low), (0.07, (0.8, 1.0), high), (0.15, (0.01, 1.0), only)]
    levels += [(0.1, (0.01,), R("0.214")), (0.1, (1.0,), R("0.924"))]
    for fraction, starts, level in levels:
        if any(abs(settled(points_left(3.0, fraction, start, 160)) - level) > 5e-4 for start in starts):
            return False
    falling = points_left(3.0, 0.05, 1.0, 140)
    kept = abs(1 - (1 - falling[0]) / 0.05 - promised) < 5e-4
    return kept and all(abs(falling[i - 1] - share) < 5e-4 for i, share in ((10, 0.951), (40, 0.845), (140, 0.062)))


@certificate("exact", factor=(R("0.99"), 2), one=R("1.01"), fourth=R("0.2897"), sixth=R("0.1953"))
def modes_of_early_stopping(factor=1, one=1, fourth=R("0.2891"), sixth=R("0.1957")):
    """E He_m falls by e^(−mt) under dx = −x dt + √2 dB, so that q = P_t((1−α)q + αp) keeps α/(α + e^(mt) − 1) of it.

    c = e^(−t), x_t = cx + √(1−c²)e; m = 1 … 6. The limit is also Σ α(1−α)^k P_((k+1)t) p. At α = .2, t = .1 the modes 4
    and 6 keep .2891 and .1957.
    """
    c, e, kept = sp.symbols("c e R", positive=True)
    for order in range(1, 7):
        hermite = sp.hermite_prob(order, x)
        smoothed = gaussian_mean(sp.expand(hermite.subs(x, c * x + y * e)), (e,)).subs(y, sp.sqrt(1 - c**2))
        stated = alpha / (alpha + c ** (-factor * order) - one)
        level = sp.solve(c**order * ((1 - alpha) * kept + alpha) - kept, kept)[0]
        summed = alpha * c**order / (1 - (1 - alpha) * c**order)  # Σ α(1−α)^k c^((k+1)m)
        if not vanishes(sp.expand(smoothed) - c**order * hermite, level - stated, summed - stated):
            return False
    example = {alpha: R(1, 5), c: sp.exp(-R(1, 10))}
    levels = [alpha * c**order / (1 - (1 - alpha) * c**order) for order in (4, 6)]
    return all(abs(sp.N(found.subs(example)) - claimed) < 6e-5 for found, claimed in zip(levels, (fourth, sixth)))
