"""The linear denoiser, the recursion of its self-training, and how long a direction lives."""

from functools import cache
from itertools import product as pairs

import sympy as sp
from mpmath import iv, mp
from sympy import Rational as R

from .table import certificate, positive, product, quotient, vanishes

iv.dps = 30

u, rho, x = sp.symbols("u rho x", positive=True)


def later(u, rho=rho):
    return u**2 * (u + rho) / (u + 1) ** 2


@certificate("exact", noise=R("0.99"))
def optimum(noise=1):
    """W = Σ(Σ + σ²)⁻¹ has no slope in E‖W(x + σε) − x‖², for any Σ in two dimensions.

    x is p or q and ε one of (±1, ±1), all equally likely: E ε = 0, E εεᵀ = I, and Σ = (ppᵀ + qqᵀ)/2 is any. The loss is
    a positive definite quadratic form in W, so that its one stationary point is its minimum.
    """
    p, q = sp.Matrix(sp.symbols("p1:3")), sp.Matrix(sp.symbols("q1:3"))
    sigma, entries = sp.symbols("sigma", positive=True), sp.symbols("w1:5")
    w = sp.Matrix(2, 2, entries)
    seen = [(v, v + sigma * sp.Matrix(e)) for v in (p, q) for e in pairs((1, -1), repeat=2)]
    loss = sum(((w * noisy - clean).T * (w * noisy - clean))[0] for clean, noisy in seen) / len(seen)
    covariance = (p * p.T + q * q.T) / 2
    seen = covariance + noise * sigma**2 * sp.eye(2)
    slopes = [sp.Poly(sp.diff(loss, entry), *entries) for entry in entries]  # linear in W: times det, W is a polynomial
    numerator = list(covariance * seen.adjugate())
    return vanishes(
        *[
            slope.eval((0, 0, 0, 0)) * seen.det()
            + sum(slope.coeff_monomial(w) * top for w, top in zip(entries, numerator))
            for slope in slopes
        ]
    )


@certificate("exact", power=(1, 3), noise=R("1.01"))
def rank_truncation(power=2, noise=1):
    """With W = abᵀ, |a| = 1, the least loss is tr Σ − Σ a_i² λ_i²/(λ_i + σ²), and λ²/(λ + σ²) increases with λ.

    So the best a is the top eigenvector; with k columns instead of one, Ky Fan's principle gives the top k.
    """
    first, second, sigma, m = sp.symbols("lambda1 lambda2 sigma m", positive=True)
    a = sp.Matrix([1 - m**2, 2 * m]) / (1 + m**2)
    covariance, seen = sp.diag(first, second), sp.diag(first + sigma**2, second + sigma**2)
    entries = sp.symbols("b1:3")
    b, best = sp.Matrix(entries), seen.inv() * covariance * a
    loss = (b.T * seen * b - 2 * b.T * covariance * a)[0] + covariance.trace()
    gained = [v**power / (v + noise * sigma**2) for v in (first, second)]
    least = covariance.trace() - a[0] ** 2 * gained[0] - a[1] ** 2 * gained[1]
    at_best = dict(zip(entries, best))
    slopes = [sp.diff(loss, entry).subs(at_best) for entry in entries]
    return vanishes(*slopes, loss.subs(at_best) - least) and positive(sp.diff(gained[0], first))


@certificate("exact", rate=R("1.99"), noise=R("0.99"), start=R("1.01"))
def logistic_training(rate=2, noise=1, start=1):
    """w = λE/(ξ(E − 1) + λ/w0), E = e^(2λt), solves the gradient flow of balanced factors."""
    a, b, variance, sigma, grown, w0 = sp.symbols("a b lambda sigma E w0", positive=True)
    loss = ((a * b) ** 2 * (variance + sigma**2) - 2 * a * b * variance + variance) / 2
    speed = -sp.diff(loss, a) * b - sp.diff(loss, b) * a
    curve = variance * grown / ((variance + noise * sigma**2) * (grown - 1) + start * variance / w0)
    slope = sp.diff(curve, grown) * rate * variance * grown
    balanced = sp.expand(speed.subs(b, a)).subs(a, sp.sqrt(curve))
    return vanishes(slope - balanced, curve.subs(grown, 1) - w0)


@certificate("exact", four=(R("3.9"), 2))
def unequal_factors(four=4):
    """w2² − w1² is conserved, and w' = (λ − ξw) √((w2² − w1²)² + 4w²): the faster, the less equal the factors are."""
    a, b, variance, sigma = sp.symbols("a b lambda sigma", positive=True)
    xi = variance + sigma**2
    loss = ((a * b) ** 2 * xi - 2 * a * b * variance + variance) / 2
    a_slope, b_slope = -sp.diff(loss, a), -sp.diff(loss, b)
    speed = a_slope * b + b_slope * a
    claimed = (variance - xi * a * b) ** 2 * ((b**2 - a**2) ** 2 + four * (a * b) ** 2)
    return vanishes(a * a_slope - b * b_slope, speed**2 - claimed)


@certificate("exact", power=(1, 3), resampled=R("0.99"))
def recursion(power=2, resampled=1):
    """u' = u²(u + ρ)/(u + 1)²: the next second moment under the best map, the data being p and the noise ±1."""
    p, sigma, s, w = sp.symbols("p sigma s w", positive=True)
    loss = sum((w * (p + sigma * e) - p) ** 2 for e in (1, -1)) / 2
    slope = sp.diff(loss, w)
    best = -slope.subs(w, 0) / sp.diff(slope, w)
    following = best**2 * sum((p + s * e) ** 2 for e in (1, -1)) / 2
    over = {u: p**2 / sigma**2, rho: s**2 / sigma**2}
    return vanishes(following / sigma**2 - (u**power * (u + resampled * rho) / (u + 1) ** 2).subs(over))


@certificate("exact", three=(R("2.97"), 4), two=R("1.98"))
def round_map_increases(three=3, two=2):
    """du'/du = u(u² + 3u + 2ρ)/(u + 1)³ > 0: runs never cross, and each settles at the next fixed point on its side."""
    slope = u * (u**2 + three * u + two * rho) / (u + 1) ** 3
    return vanishes(sp.diff(later(u), u) - slope) and positive(slope)


@certificate("exact", quarter=R("0.24"), half=R("0.49"))
def cusp(quarter=R(1, 4), half=R(1, 2)):
    """At ρ = 1, z = σ²/λ + ½ obeys z' = z² + ¼."""
    return vanishes(1 / later(u, 1) + half - (1 / u + half) ** 2 - quarter)


@certificate("series", fall=R("1.01"), three=R("2.9"))
def linear_fall(fall=1, three=3):
    """u − u' = (2 − ρ) − (3 − 2ρ)/u + O(1/u²): far above the noise a round takes (2 − ρ)σ²."""
    top, bottom = sp.fraction(sp.cancel(1 / x - later(1 / x)))
    falls = quotient(*[[sp.Poly(part, x).coeff_monomial(x**power) for power in range(2)] for part in (top, bottom)])
    return vanishes(falls[0] - fall * (2 - rho), falls[1] + (three - 2 * rho))


@certificate("series", half=(R("0.49"), 1))
def half_denoising(half=R(1, 2)):
    """Adding σe and taking back half of it, x − ½σ²x/(λ + σ²), changes λ by σ⁴/(4λ) + …: nothing to first order.

    Taking back all of it is a round at ρ = 1, which loses σ² (`linear_fall`).
    """
    noisy = u + 1
    change = (1 - half / noisy) ** 2 * noisy - u
    return sp.limit(change, u, sp.oo) == 0 and sp.limit(change * u, u, sp.oo) == R(1, 4)


@certificate("exact", power=(1, 3), power_without=(2, 4))
def endgame(power=2, power_without=3):
    """u'/u² → ρ, or u'/u³ → 1 at ρ = 0, as u → 0; and u' < u² at ρ = 1: ln u doubles, or trebles, each round."""
    with_noise, without = sp.cancel(later(u) / u**power), sp.cancel(later(u, 0) / u**power_without)
    finite = all(sp.denom(ratio).subs(u, 0) != 0 for ratio in (with_noise, without))
    return finite and vanishes(with_noise.subs(u, 0) - rho, without.subs(u, 0) - 1) and positive(u**2 - later(u, 1))


@certificate("exact", power=(2, 4))
def mean_shift(power=3):
    """At ρ = 0 a round is s' = s³/(s² + h²), s² = λ and h = σ: Carreira-Perpiñán's law of blurring mean-shift."""
    s, h = sp.symbols("s h", positive=True)
    return vanishes((s**power / (s**2 + h**2)) ** 2 - h**2 * later(s**2 / h**2, 0))


@certificate("exact", two=R("1.98"))
def sharp_threshold(two=2):
    """u' < u if and only if (ρ − 2)u < 1, as u − u' = u(1 − (ρ − 2)u)/(u + 1)²."""
    return vanishes(u - later(u) - u * (1 - (rho - two) * u) / (u + 1) ** 2)


@certificate("exact", two=R("1.98"), power=(1, 3))
def unstable_point(two=2, power=2):
    """1/(ρ − 2) stays where it is, with the multiplier 1 + ((ρ − 2)/(ρ − 1))² > 1."""
    point = 1 / (rho - two)
    multiplier = sp.diff(later(u), u).subs(u, point)
    return vanishes(later(point) - point, multiplier - 1 - ((rho - 2) / (rho - 1)) ** power)


def steps_missed(rho, order, coefficients, log, linear=1, square=0):
    """A(u) − A(u') − 1 in powers of x = 1/u, for A = square·u² + linear·u + log·ln u + Σ coefficient_k u^(−k).

    In exact rationals or symbols, from x'/x = (1 + x)²/(1 + ρx). A square is for ρ = 2, where x'/x has no linear term.
    """
    rho, one = sp.sympify(rho), [sp.S.One] + [sp.S.Zero] * (order + 1)
    ratio = quotient([1, 2, 1, *one[3:]], [1, rho, *one[2:]])
    inverse = quotient(one, ratio)
    squared = product(inverse, inverse)
    missed = [-linear * inverse[k + 1] - square * squared[k + 2] for k in range(order)]
    missed[0] -= 1
    for k in range(1, order):
        missed[k] += log * (-1) ** (k + 1) * (2 - rho**k) / k
    power = one
    for k, coefficient in enumerate(coefficients, 1):
        power = product(power, ratio)
        for i in range(1, order - k):
            missed[k + i] -= coefficient * power[i]
    return missed


@certificate("series", half=R("0.49"), third=R("0.34"), last=(R(12, 36), R(14, 36)))
def abel_function(half=R(1, 2), third=R(1, 3), last=R(13, 36)):
    """At ρ = 1, A = u + ln u + 1/(2u) − 1/(3u²) + 13/(36u³) falls by 1 a round up to O(u⁻⁵)."""
    return vanishes(*steps_missed(1, 5, (half, -third, last), log=1))


def climbed(u, rounds):
    """The u that a number of rounds at ρ = 1 bring to this one: 1/u' = 1/u + 1/u² backwards, in intervals."""
    for _ in range(rounds):
        u = (1 + iv.sqrt(1 + 4 / u)) * u / 2
    return u


@cache
def abel_brackets():
    """Whether u + ln u + 1/(2u) − 1/(3u²) lies below A, and the same with 13/(36u³) above, from u = 10 on.

    They do if they fall by more, or by less, than 1 a round, since A adds what they miss in all rounds that lead to u.
    The logarithm lies between its Taylor polynomials of 8 and 9 terms; a polynomial without a root keeps its sign.
    """
    for coefficients, sign in (((R(1, 2), -R(1, 3)), 1), ((R(1, 2), -R(1, 3), R(13, 36)), -1)):
        for terms in (8, 9):
            logarithm = sum(-((-1) ** k) * x**k / k for k in range(1, terms + 1))
            missed = 1 / (1 + x) - 1 + logarithm  # u − u' = 1/(1 + x)
            missed += sum(c * x**k * (1 - (1 + x) ** k) for k, c in enumerate(coefficients, 1))
            top = sp.Poly(sp.fraction(sp.together(missed))[0], x)
            order = min(power for (power,), _ in top.terms())
            lead = sp.Poly(sp.cancel(top.as_expr() / x**order), x)
            if lead.count_roots(0, R(1, 10)) or sign * lead.eval(0) <= 0:
                return False
    return True


@cache
def abel(u, rounds):
    """A(u) at ρ = 1 as an interval, from so many rounds farther up."""
    u = climbed(iv.mpf(u), rounds)
    below = u + iv.log(u) + 1 / (2 * u) - 1 / (3 * u**2) - rounds
    return iv.mpf([below.a, (below + iv.mpf(13) / (36 * u**3)).b])


@certificate("interval", constant=("1.32", "1.3291", "1.329124"))
def lifetime_constant(constant="1.329122"):
    """A(1) = 1.329122 to seven digits, so that a direction lives ⌈u + ln u + 1/(2u) − 1.329122 + O(u⁻²)⌉ rounds."""
    gap = abel(1, 600) - iv.mpf(constant)
    return abel_brackets() and gap.a >= -5e-7 and gap.b <= 5e-7


@certificate("interval", constant=("1.32", "1.34"))
def lifetime_of_whole_variances(constant="1.329122"):
    """⌈u + ln u + 1/(2u) − 1.329122⌉ is the lifetime ⌈A(u) − A(1)⌉ of every whole u from 2 to 3000."""
    one, constant = abel(1, 600), iv.mpf(constant)
    for whole in range(2, 3001):
        u = iv.mpf(whole)
        life, formula = abel(whole, max(0, 60 - whole)) - one, u + iv.log(u) + 1 / (2 * u) - constant
        if not mp.ceil(life.a) == mp.ceil(life.b) == mp.ceil(formula.a) == mp.ceil(formula.b):
            return False
    return abel_brackets()


@certificate("interval", equal=((9, 67, 541), (8, 67, 542)), double=((161, 2180), (162, 2179)))
def lifetimes_counted(equal=(9, 67, 542), double=(162, 2180)):
    """Counted to u ≤ 1: u = 8, 64, 537 at ρ = 1, and 16, 64 at ρ = 2. The map increases, so its ends are those of u."""

    def lives(whole, rho, rounds):
        low = high = iv.mpf(whole)
        for _ in range(rounds):
            before = low
            low, high = (iv.mpf(getattr((u / (u + 1)) ** 2 * (u + rho), end)) for u, end in ((low, "a"), (high, "b")))
        return before.a > 1 and high.b <= 1

    return all(map(lives, (8, 64, 537), (1, 1, 1), equal)) and all(map(lives, (16, 64), (2, 2), double))


@certificate("series", three=R("2.97"), power=(1, 3), slope=R("1.01"))
def abel_at_other_noise(three=3, power=2, slope=1):
    """u/(2 − ρ) + (3 − 2ρ)/(2 − ρ)² ln u falls by 1 a round up to O(u⁻²), for every ρ < 2."""
    log = (three - 2 * rho) / (2 - rho) ** power
    return vanishes(*steps_missed(rho, 2, (), log, linear=slope / (2 - rho)))


@certificate("series", square=R("0.51"), linear=R("2.02"), log=R("1.51"))
def abel_at_double_noise(square=R(1, 2), linear=2, log=R(3, 2)):
    """At ρ = 2, u²/2 + 2u + 3/2 ln u falls by 1 a round up to O(u⁻³)."""
    return vanishes(*steps_missed(2, 3, (), log, linear, square))


@certificate("series", half=R("0.49"), twelfth=R(1, 13), left=(0, R(1, 13)))
def abel_of_slow_maps(half=R(1, 2), twelfth=R(1, 12), left=R(1, 12)):
    """A = ∫du/δ − ½ ln δ − δ'/12 falls by 1 + δ'²/12 + … in a step u → u − δ(u), for any slowly varying δ.

    Around u, δ = d0 + d1 et + d2 (et)²/2 + …, in powers of e. Here δ'²/δ ≤ 1/u³ for ρ ≤ 2, so that what A neglects
    sums up to less than 1/(24u²).
    """
    t, d0, d1, d2 = sp.symbols("t d0 d1 d2")
    slope = quotient([1, -half * d1, -half * d2 * t], [d0, d1 * t, d2 * t**2 / 2])
    slope[2] -= twelfth * d2
    fall = [sp.integrate(sp.expand(term), (t, -d0, 0)) for term in slope]
    return vanishes(fall[0] - 1, fall[1], fall[2] - left * d1**2)


@cache
def life_from_one(rho, rounds):
    """A(1) from so many rounds farther up, where A is its expansion, of which four more terms are found first."""
    expansion = {"square": R(1, 2), "linear": R(2), "log": R(3, 2)}
    if rho < 2:
        expansion = {"square": R(0), "linear": 1 / (2 - rho), "log": (3 - 2 * rho) / (2 - rho) ** 2}
    coefficients = []
    for k in range(1, 5):
        order = k + 2 + (rho == 2)
        missed, unit = (steps_missed(rho, order, (*coefficients, c), **expansion)[-1] for c in (0, 1))
        coefficients.append(missed / (missed - unit))
    u, noise = mp.mpf(1), mp.mpf(rho.p) / rho.q
    for _ in range(rounds):
        wanted, last, u = u, 0, u + max(2 - noise, 0)
        while abs(u - last) > u * mp.mpf(10) ** (3 - mp.dps):
            last = u
            u -= (u**2 * (u + noise) - wanted * (u + 1) ** 2) / (3 * u**2 + 2 * noise * u - 2 * wanted * (u + 1))
    powers = (u**2, u, mp.log(u), *(u**-k for k in range(1, 5)))
    return sum(mp.mpf(c.p) / c.q * power for c, power in zip((*expansion.values(), *coefficients), powers)) - rounds


@certificate("precision", none="0.85", half="1.02", equal="1.32", more="1.03", double="3.19")
@mp.workdps(30)
def lifetime_constants(none="0.855", half="1.022", equal="1.329", more="1.036", double="3.195"):
    """A(1) = C(ρ) at ρ = 0, ½, 1, 3⁄2 and 2, to the digits given; 80 rounds up and 320 agree to 10⁻⁵."""
    for twice, constant in enumerate((none, half, equal, more, double)):
        near, far = (life_from_one(R(twice, 2), rounds) for rounds in (80, 320))
        if abs(far - near) > 1e-5 or abs(far - mp.mpf(constant)) > 5.1e-4:
            return False
    return True
