"""Rectified flow between Gaussians: its steps, and what training on its own samples does."""

from functools import cache
from itertools import pairwise

import sympy as sp
from mpmath import iv, mp
from sympy import Rational as R

from .table import certificate, product, quotient, vanishes

h, t, variance, y = sp.symbols("h t lambda y", positive=True)
later = t + h


def moment(t, variance=variance):
    """E x_t², the squared length of u(t) = (√λ t, 1 − t)."""
    return t**2 * variance + (1 - t) ** 2


def velocity(t, variance=variance):
    """E(x1 − x0)x_t over E x_t²."""
    return (t * variance - (1 - t)) / moment(t, variance)


def inner(t, later, variance=variance):
    """u(t)·u(t')."""
    return t * later * variance + (1 - t) * (1 - later)


@certificate("exact", share=R("0.99"), power=(1, 3))
def velocity_and_map(share=1, power=2):
    """v = a(t)x, a = (tλ − (1−t))/(t²λ + (1−t)²), is the least-squares slope, and its flow maps x0 to √λ x0.

    E x_t² is Q, so that d ln x/dt = a = ½ d ln Q/dt, from Q(0) = 1 to Q(1) = λ. In matrices all commute with Σ.
    """
    noise, data = sp.symbols("x0 x1")
    path = sp.expand((1 - t) * noise + t * data)

    def mean(product):
        polynomial = sp.Poly(sp.expand(product), noise, data)
        return polynomial.coeff_monomial(noise**2) + variance * polynomial.coeff_monomial(data**2)

    stated = (t * variance - share * (1 - t)) / (t**power * variance + (1 - t) ** 2)
    slope = mean((data - noise) * path) / mean(path**2)
    ends = moment(t).subs(t, 0) - 1, moment(t).subs(t, 1) - variance
    return vanishes(slope - stated, stated - sp.diff(sp.log(moment(t)), t) / 2, *ends)


@certificate("exact", power=(1, 3), noise=R("1.01"))
def chain_of_daes(power=2, noise=1):
    """An Euler step is x + h(D(x) − x)/(1−t), D = A(σ_t)x/t, A = λ/(λ + σ²), σ_t = (1−t)/t; two are a DAE at σ = 1."""
    sigma = (1 - t) / t
    denoised = variance / (variance + noise * sigma**power) / t
    half = R(1, 2)
    two = (1 + half * velocity(sp.S.Zero)) * (1 + half * velocity(half))
    return vanishes(velocity(t) - (denoised - 1) / (1 - t), two - variance / (variance + 1))


@certificate("exact", power=(2, 0), scale=R("1.01"))
def cosine_law(power=1, scale=1):
    """A step multiplies x by u·u'/|u|², so that any three of them generate λ Π cos²Δθ, θ the angle of u."""
    times = (sp.S.Zero, *sp.symbols("t1 t2", positive=True), sp.S.One)
    steps = list(pairwise(times))
    gains = [1 + (b - a) * velocity(a) for a, b in steps]
    squares = [(inner(a, b) ** 2 / (moment(a) * moment(b))) ** power for a, b in steps]
    turned = (scale * sp.sqrt(variance) * t / (1 - t)) ** 2  # tan²θ
    cosine = vanishes(1 / (1 + turned) - (1 - t) ** 2 / moment(t))
    projected = [gain - inner(a, b) / moment(a) for gain, (a, b) in zip(gains, steps)]
    return cosine and vanishes(*projected, sp.prod(gains) ** 2 - variance * sp.prod(squares))


@certificate("series", parts=R("2.02"), leading=(R("2.4"), R("0.26")), root=R("1.01"))
def equal_angles(parts=2, leading=R(1, 4), root=1):
    """−Σ ln cos²Δ is convex in the angles, so that equal ones are best: −2N ln cos(π/2N) = π²/(4N) + O(N⁻³).

    And t = sin θ/(sin θ + √λ cos θ) has the angle θ.
    """
    angle, small = sp.symbols("theta x", positive=True)
    lost = -2 * sp.log(sp.cos(angle))
    convex = sp.simplify(sp.diff(lost, angle, 2) - 2 / sp.cos(angle) ** 2)
    whole = sp.series(lost.subs(angle, sp.pi * small / parts), small, 0, 4).removeO() / small
    node = sp.sin(angle) / (sp.sin(angle) + root * sp.sqrt(variance) * sp.cos(angle))
    tangent = sp.cancel(sp.sqrt(variance) * node / (1 - node)) - sp.tan(angle)
    return sp.expand(whole - leading * sp.pi**2 * small) == 0 and convex == 0 == sp.simplify(tangent)


@certificate("exact", twice=R("1.98"), ends=(1, 3))
def loss_over_a_spectrum(twice=2, ends=2):
    """With w = ln tan θ the loss is 2Σ ln cosh w_i − 2Σ ln cosh ½(w_i + w_{i+1}) + w_1 − w_{N−1} + 2 ln 2; here N = 4.

    In z = e^(w/2) its exponential is a rational function.
    """
    roots = sp.symbols("z1:4", positive=True)
    tangents = [0, *(z**2 for z in roots)]
    squares = [(1 + a * b) ** 2 / (1 + a**2) / (1 + b**2) for a, b in pairwise(tangents)]
    squares.append(tangents[-1] ** 2 / (1 + tangents[-1] ** 2))  # to θ = π/2
    corners = [(z**2 + z**-2) / 2 for z in roots]
    middles = [(a * b + 1 / (a * b)) / 2 for a, b in pairwise(roots)]
    powers = sp.prod(corners) ** twice / sp.prod(middles) ** 2 * roots[0] ** 2 / roots[-1] ** 2 * 2**ends
    return vanishes(sp.powdenest(powers, force=True) * sp.prod(squares) - 1)


# One step, in p = (ln √Q)' and ω = |u'|²/Q, the whole of what a step of h knows: |u(t + h)|²/Q = 1 + 2hp + h²ω.
P, OMEGA = sp.symbols("p omega")
ORDER = 5
AFTER = [sp.S.One, 2 * P, OMEGA, 0, 0]


def logarithm(series):
    """Of a power series in h that begins with 1."""
    slope = quotient([power * c for power, c in enumerate(series)], series)
    return [sp.S.Zero, *(sp.factor(c / power) for power, c in enumerate(slope) if power)]


@cache
def step_loss(method):
    """The coefficients of h⁰ … h⁴ in ln of (what a step multiplies x² by)/(what the exact flow does)."""
    euler = [sp.S.One, P, 0, 0, 0]
    if method == "euler":
        step = euler
    elif method == "heun":  # x + ½h(ax + a'(x + hax)), a' = (p + hω)/(|u(t + h)|²/Q)
        there = product(quotient([P, OMEGA, 0, 0, 0], AFTER), euler)
        step = [a + b / 2 for a, b in zip([sp.S.One, P / 2, 0, 0, 0], [0, *there])]
    else:  # x + ha_m(x + ½hax), a_m = (p + ½hω)/(|u(t + ½h)|²/Q)
        middle = quotient([P, OMEGA / 2, 0, 0, 0], [sp.S.One, P, OMEGA / 4, 0, 0])
        step = [sp.S.One, *product(middle, [sp.S.One, P / 2, 0, 0, 0])][:ORDER]
    return [sp.factor(2 * a - b) for a, b in zip(logarithm(step), logarithm(AFTER))]


W = 1 + y**2  # |u'|², y = √λ
AT = {0: {P: -1, OMEGA: W}, 1: {P: 1, OMEGA: W / y**2}}  # the ends of the path
SLOPE = {P: OMEGA - 2 * P**2, OMEGA: -2 * P * OMEGA}  # their derivatives in time: Q' = 2pQ, (pQ)' = |u'|²


def over_time(function):
    """∫₀¹ dt of a function of p and ω, exactly: a polynomial in sin θ and cos θ, as √Q = y/(sin θ + y cos θ)."""
    sine, cosine = sp.symbols("S C")
    length = sine + y * cosine  # y/√Q; dt = y dθ/length²
    path = {P: -(cosine - y * sine) * length / y, OMEGA: W * length**2 / y**2}
    terms = sp.Poly(sp.cancel(function.subs(path) * y / length**2), sine, cosine).terms()
    beta = [(sp.gamma(R(a + 1, 2)) * sp.gamma(R(b + 1, 2)) / sp.gamma(R(a + b, 2) + 1) / 2, c) for (a, b), c in terms]
    return sp.expand(sum(integral * c for integral, c in beta))


@cache
def change(method):
    """ln(λ'/λ) over N steps in powers of h = 1/N, h¹ … h³: Euler and Maclaurin's sum of `step_loss` over left ends."""
    second, third, fourth = step_loss(method)[2:]

    def rise(function):
        return function.subs(AT[1]) - function.subs(AT[0])

    slope = sum(sp.diff(second, name) * SLOPE[name] for name in (P, OMEGA))
    one = over_time(second)
    two = over_time(third) - rise(second) / 2
    three = over_time(fourth) - rise(third) / 2 + rise(sp.sympify(slope)) / 12
    return one, two, three


K = y + 1 / y


@certificate("series", one=R("0.99"), quarter=R("0.24"), last=R(1, 63), sixth=R(1, 7))
def euler_rate(one=1, quarter=R(1, 4), last=R(1, 64), sixth=R(1, 6)):
    """r = (1 + πk/4)/N + [πk³/64 + (k² − 1)/6]/N³ + O(N⁻⁵), k = √λ + 1/√λ; there is no 1/N².

    Symmetric under λ → 1/λ, as k is; at finite N exactly so, u·u' at 1−t', 1−t being λ times that for 1/λ at t, t'.
    """
    first, second, third = change("euler")
    stated = -one - sp.pi * quarter * K, -last * sp.pi * K**3 - sixth * (K**2 - 1)
    mirrored = inner(1 - later, 1 - t) - variance * inner(t, later, 1 / variance)
    return vanishes(first - stated[0], second, third - stated[1], mirrored)


@certificate("interval", rounds=("2.9", "2.91"), pi=("3.12",), square=R("4.1"))
def euler_lifetime(rounds="2.908", pi=None, square=4):
    """2∫₀^√λ dy/(y + (π/4)(1 + y²)) = (4/D) atan(D√λ/(√λ + π/2)), D = √(π²/4 − 1), at most (4/D) atan D = 2.908."""
    root, quarter = sp.symbols("D q", positive=True)  # q = π/4, D² = 4q² − 1
    angle = root * y / (y + 2 * quarter)
    slope = 4 / root * sp.diff(angle, y) / (1 + angle**2)
    top = sp.fraction(sp.together(slope - 2 / (y + quarter * (1 + y**2))))[0]
    closed = sp.rem(sp.expand(top), root**2 - square * quarter**2 + 1, root) == 0
    half = (iv.pi if pi is None else iv.mpf(pi)) / 2
    root = iv.sqrt(half**2 - 1)
    gap = 4 / root * iv.atan2(root, 1) - iv.mpf(rounds)
    return closed and gap.a >= -5e-4 and gap.b <= 5e-4


@certificate("exact", eight=R("7.9"), power=(1, 3))
def euler_lifetime_of_small(eight=8, power=2):
    """dy/dj = −(1/2N)(y + (π/4)(1 + y²)) is the leading rate in y = √λ; from a small y it takes 8Ny/π rounds."""
    first = -change("euler")[0]  # of ln λ, over h
    speed = first * y / 2
    stated = (y + sp.pi / 4 * (1 + y**power)) / 2
    return vanishes(speed - stated, sp.expand(1 / speed.expand().subs(y, 0)) - eight / sp.pi)


@certificate("exact", power=(1, 3), less=(0, 2))
def euler_of_small_variance(power=2, less=1):
    """λ'/λ² → (N − 1)² as λ → 0, N = 2 … 6: below 1/N² a direction dies doubly exponentially."""
    for steps in range(2, 7):
        times = [R(i, steps) for i in range(steps + 1)]
        gain = sp.prod([inner(a, b) / moment(a) for a, b in pairwise(times)])
        if sp.cancel(gain / variance).subs(variance, 0) ** 2 != (steps - less) ** power:
            return False
    return True


@certificate("exact", quarter=R("0.24"), power=(1, 3))
def densest_grid(quarter=R(1, 4), power=2):
    """N → ∞: the best nodes in z = ln(t/(1−t)) have the density √Σ sech²w, w = z + ½ ln λ, and lose (∫ of it)²/4N.

    As θ' = ½ sech w, N steps of density p, ∫p = 1, lose ∫Σ(θ')²/p dz/N; by Cauchy and Schwarz that is no less than
    (∫√Σ(θ')²)²/N, and equal where p goes as the root. Over one λ, ∫ sech = π gives the π²/4N of `equal_angles`.
    """
    root, z = sp.symbols("r z", positive=True)  # r = e^(½w), so that dr/dw = r/2
    angle = sp.diff(sp.atan(root**2), root) * root / 2
    over_one = 2 * sp.atan(sp.exp(z))
    whole = (sp.limit(over_one, z, sp.oo) - sp.limit(over_one, z, -sp.oo)) ** power * quarter
    sech = 2 / (root**2 + root**-2)
    rises = sp.diff(over_one, z).subs(z, sp.log(root**2)) - sech
    return vanishes(angle**power - quarter * sech**2, rises, whole - sp.pi**2 / 4)


@certificate("exact", half=R("0.49"), power=(1, 3))
def heun_and_midpoint(half=R(1, 2), power=2):
    """Heun: √λ Π[cos Δ + ½(|u|/|u'|) sin²Δ]; midpoint: √λ Π cos(φ − ψ), φ and ψ the angles of the half steps.

    Per step, over |u'|/|u|; by the cross products |u × u'| = √λ h, |u × m| = |m × u'| = √λ h/2.
    """
    a, b = velocity(t), velocity(later)
    heun = 1 + h / 2 * (a + b * (1 + h * a))
    sine = variance * h**power / (moment(t) * moment(later))
    middle = t + h / 2
    midpoint = 1 + h * velocity(middle) * (1 + h / 2 * a)
    cosine = inner(t, middle) * inner(middle, later) + variance * (h / 2) ** power
    heun_missed = heun - inner(t, later) / moment(t) - half * sine
    return vanishes(heun_missed, midpoint - cosine / moment(middle) / moment(t))


@certificate("exact", half=(R("0.49"), 1))
def heun_of_no_variance(half=R(1, 2)):
    """Heun at λ → 0: every step but the last goes the exact way, (1−t')/(1−t), and the last gains ½: h/2 is left.

    On any grid; here three steps of any lengths.
    """
    times = (sp.S.Zero, t, later, sp.S.One)
    gain = sp.S.One
    for a, b in pairwise(times):
        step = 1 + (b - a) / 2 * (velocity(a) + velocity(b) * (1 + (b - a) * velocity(a)))
        gain *= sp.cancel(step).subs(variance, 0)
    return vanishes(gain - half * (1 - later))


@certificate("series", quarter=R("0.24"), power=(1, 4))
def heun_drift(quarter=R(1, 4), power=2):
    """Heun: ln(λ'/λ) = (1/λ − λ)/(4N²) + O(N⁻³): above 1 it falls, below it rises."""
    first, second, _ = change("heun")
    return vanishes(first, second - quarter * (y**-power - y**power))


@certificate("series", three=R("2.9"), four=R("3.9"), eight=R("7.9"))
def sink_of_heun(three=3, four=4, eight=8):
    """Heun's sink is 1 − 3(π + 4)/(8N) + O(N⁻²), 1 − 2.678/N: there the N⁻³ of the loss balances the drift."""
    _, second, third = change("heun")
    slope = sp.diff(second, y).subs(y, 1) / 2  # in λ = y²
    return vanishes(third.subs(y, 1) - slope * three * (sp.pi + four) / eight)


@certificate("precision", ten="0.77", twenty="0.866")
@mp.workdps(20)
def heun_sink_at_few_steps(ten="0.7626", twenty="0.8743"):
    """The sink itself: .7626 at N = 10 and .8743 at N = 20, where g² crosses λ."""

    def excess(variance, steps):
        gain = mp.mpf(1)
        for i in range(steps):
            a, b = velocity(mp.mpf(i) / steps, variance), velocity(mp.mpf(i + 1) / steps, variance)
            gain *= 1 + (a + b * (1 + a / steps)) / steps / 2
        return gain**2 - variance

    for sink, steps in ((mp.mpf(ten), 10), (mp.mpf(twenty), 20)):
        if not excess(sink - mp.mpf("5e-5"), steps) > 0 > excess(sink + mp.mpf("5e-5"), steps):
            return False
    return True


@certificate("series", last=R(1, 127), twelfth=R(1, 13))
def midpoint_order(last=R(1, 128), twelfth=R(1, 12)):
    """Midpoint loses (πk³/128 + 1/12)/N³ + …, nothing before."""
    first, second, third = change("midpoint")
    return vanishes(first, second, third + last * sp.pi * K**3 + twelfth)
