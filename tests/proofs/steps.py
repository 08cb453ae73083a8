"""What Euler's steps of any flow lose, to first order in one over their number."""

import math
from functools import cache

import sympy as sp
from sympy import Rational as R
from sympy.integrals.quadrature import gauss_legendre

from .densities import ATOMS, bell, central, given, slope_of
from .table import certificate, product, vanishes

h, t, x, y = sp.symbols("h t x y", positive=True)


@certificate("series", half=(R("0.49"), 1), one=R("0.99"))
def euler_error(half=R(1, 2), one=1):
    """A path x + he to first order in h = 1/N: ė = (∇v)e − ½a, a = ∂_t v + (∇v)v; in two dimensions, of any v.

    With the Jacobian J of the flow from t to 1, of J̇ = −J∇v, d/dt (Je) = −½Ja: so E|x1|² − E|x̂|² = h∫E⟨x1, Ja⟩dt.
    """
    place, error, row = (sp.Matrix(sp.symbols(f"{letter}1:3")) for letter in "xej")  # row: of J
    speed = sp.Matrix([sp.Function(name)(*place, t) for name in ("v1", "v2")])
    slopes = speed.jacobian(place)
    acceleration = sp.diff(speed, t) + one * slopes * speed
    stepped = place + h * error + h * speed.subs(dict(zip(place, place + h * error)), simultaneous=True)
    passed = sp.diff(stepped, h, 2).subs(h, 0).doit() / 2  # what a step makes of the error, at h²
    exact = sp.diff(speed, t) + slopes * speed  # of the path's own h²/2, by the chain rule
    law = slopes * error - half * acceleration
    missed = passed - (exact / 2 + law)
    carried = -(slopes.T * row).dot(error) + row.dot(law) + half * row.dot(acceleration)
    return all(sp.expand(e.doit()) == 0 for e in (*missed, carried))


@certificate("series", power=(1, 3), one=R("1.01"))
def euler_of_a_square(power=2, one=1):
    """ẋ = −x²: x1 = x/(1 + x), a = 2x_t³ and J = (x1/x_t)², so that N steps of Euler's end x1² ln(1 + x)/N below x1.

    The steps themselves, in powers of x up to the fifth: each coefficient is a polynomial in 1/N, found from N = 1 … 5.
    """
    end, path = x / (1 + x), x / (1 + x * t)
    integrand = (end / path) ** power * 2 * path**3 / 2
    gained = sp.log(1 + x * t) * one * end**power  # ∫½Ja dt
    ends = []
    for steps in range(1, 6):
        series = [0, 1, 0, 0, 0, 0]
        for _ in range(steps):
            series = [a - R(1, steps) * b for a, b in zip(series, product(series, series))]
        ends.append(series)
    logarithm = [0, *(R((-1) ** (k + 1), k) for k in range(1, 6))]
    square = [0, *(R((-1) ** k * (k - 1)) for k in range(1, 6))]  # x1²
    stated = [one * c for c in product(logarithm, square)]
    found = [sp.interpolate([(R(1, n), ends[n - 1][k]) for n in range(1, 6)], h) for k in range(6)]
    first = [sp.Poly(polynomial, h).coeff_monomial(h) for polynomial in found]
    return vanishes(sp.diff(gained, t) - integrand, *(a + b for a, b in zip(first, stated)))


# A path x_t = (1−t)x0 + t·x1 of noise x0 ~ N(0, 1) and independent data: the exponents of p(x_t | x1).
SEEN = [-((x - t * atom) ** 2) / (2 * (1 - t) ** 2) for atom in ATOMS]


@certificate("exact", power=(2, 4), third=(R("0.99"), -1))
def acceleration_of_the_best(power=3, third=1):
    """v = E[x1 − x0 | x_t] has a = (ε̄μ2 − μ3 t/(1−t))/(1−t)³, ε̄ = E[x0 | x_t], and p_t a = −∂_x(p_t E[r² | x_t]).

    r = x1 − x0 − v. By parts the latter is E φ'a = E φ''r² for any φ.
    """
    left = 1 - t
    speeds = [(atom - x) / left for atom in ATOMS]  # of the path, given its end
    speed = given(speeds)
    acceleration = slope_of(speeds, SEEN, t) + speed * slope_of(speeds, SEEN, x)
    noise = given([(x - t * atom) / left for atom in ATOMS])
    stated = (noise * central(ATOMS, 2) - third * central(ATOMS, 3) * t / left) / left**power
    squares = [(one - speed) ** 2 for one in speeds]
    score = given([sp.diff(exponent, x) for exponent in SEEN])
    spread = sp.Symbol("v")  # a number where the chances' slope is taken: E(ẋ − v) = 0
    flux = slope_of([(one - spread) ** 2 for one in speeds], SEEN, x).subs(spread, speed)
    return vanishes(acceleration - stated, acceleration + flux + score * given(squares))


@certificate("exact", one=R("0.99"), quarter=R("0.24"))
def euler_of_a_gaussian(one=1, quarter=R(1, 4)):
    """∫E x1 J a dt = λ(1 + πk/4), k = √λ + 1/√λ, as μ2 = λ(1−t)²/Q, μ3 = 0, ε̄ = (1−t)x/Q and J = √(λ/Q).

    And E⟨r, ∇²(Φ²) r⟩/2, the residuals' form, is the same: Φ = √(λ/Q)x and E r² = λ/Q. In tan θ = √λ t/(1−t), y = √λ.
    """
    left, angle = 1 - t, sp.Symbol("theta")
    moment = left**2 + t**2 * y**2
    acceleration = (left * x / moment) * (y**2 * left**2 / moment) / left**3
    by_path = (y**2 / moment * x * acceleration).subs(x, sp.sqrt(moment))  # E x² = Q
    by_residuals = (y**2 / moment) * (y**2 / moment)
    sine, cosine = sp.sin(angle), sp.cos(angle)
    inverse = (sine + y * cosine) ** 2 / y**2  # 1/Q; dt = Q dθ/y
    rate = sp.integrate(sp.expand(y**3 * inverse), (angle, 0, sp.pi / 2))
    turned = inverse.subs(angle, sp.atan(y * t / left)) - 1 / moment
    stated = y**2 * (one + quarter * sp.pi * (y + 1 / y))
    return vanishes(by_path - by_residuals, by_path - y**4 / moment**2, sp.simplify(turned), sp.expand(rate - stated))


@certificate("exact", power=(1, 3), one=R("1.01"))
def single_step_of_a_flow(power=2, one=1):
    """From the exact law of x_t a step has E(x + hv)² = E x_{t+h}² − h²E r²: x_{t+h} = x + hv + hr, E r = 0 given x."""
    speeds = [(atom - x) / (1 - t) for atom in ATOMS]
    speed = given(speeds)
    later = given([(x + h * one_of) ** 2 for one_of in speeds])
    missed = given([(one_of - speed) ** 2 for one_of in speeds])
    return vanishes((x + h * speed) ** 2 - (later - one * h**power * missed))


def above(modes, x):
    return sum(w * math.erfc((x - place) / math.sqrt(2 * v)) for w, place, v in modes) / 2


def pushed(modes, t):
    """∫u p_t(x) a(x, t) du, x the quantile of x_t at the level of u, of a symmetric mixture (weight, mean, variance).

    Given its mode, x1 is Gaussian; moments of the mixture follow. Sums over an even grid of u.
    """
    left, step, total = 1 - t, 0.1, 0.0
    seen = [(w, t * place, left**2 + t**2 * v) for w, place, v in modes]
    for i in range(1, 220):
        low, high, level = 0.0, 30.0, above(modes, i * step)
        for _ in range(40):
            x = (low + high) / 2
            low, high = (x, high) if above(seen, x) > level else (low, x)
        parts = [w * bell(x, *law) for w, *law in seen]
        means = [place + t * v * (x - at) / whole for (_, place, v), (_, at, whole) in zip(modes, seen)]
        spreads = [v * left**2 / whole for (_, _, v), (_, _, whole) in zip(modes, seen)]
        density = sum(parts)
        if density < 1e-30:
            break
        mean = sum(map(math.prod, zip(parts, means))) / density
        second = sum(p * (c + (m - mean) ** 2) for p, m, c in zip(parts, means, spreads)) / density
        third = sum(p * (3 * c * (m - mean) + (m - mean) ** 3) for p, m, c in zip(parts, means, spreads)) / density
        total += 2 * step * i * step * density * ((x - t * mean) * second - t * third) / left**4
    return total


@cache
def euler_rate_of(modes):
    """lim N(E x1² − E x̂²), by Gauss and Legendre's rule in θ, tan θ = √λ t/(1−t)."""
    std = math.sqrt(sum(w * (place**2 + v) for w, place, v in modes))
    total = 0.0
    for node, weight in zip(*gauss_legendre(10, 17)):
        sine, cosine = (f(math.pi / 4 * (1 + float(node))) for f in (math.sin, math.cos))
        whole = std * cosine + sine
        total += math.pi / 4 * float(weight) * std / whole**2 * pushed(modes, sine / whole)
    return total


@certificate("precision", gaussian=R("11.84"), heavy=(R("14.8"), R("11.85")), modes=R("6.15"))
def gaussian_is_no_floor_of_steps(gaussian=R("11.854"), heavy=R("14.846"), modes=R("6.167")):
    """N times what N steps lose, N → ∞: 11.854 of N(0, 4), 14.846 of ½N(0, 1) + ½N(0, 7), 6.167 of ½N(±1.9, .36)."""
    laws = ((1, 0, 4),), ((0.5, 0, 1), (0.5, 0, 7)), ((0.5, -1.9, 0.36), (0.5, 1.9, 0.36))
    return all(abs(euler_rate_of(law) - stated) < 6e-4 for law, stated in zip(laws, (gaussian, heavy, modes)))
