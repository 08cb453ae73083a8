"""The rotation that the balance law leaves open in more than one dimension, and the cross moment decides.

P = Q_t + τ = LLᵀ with L triangular. The velocity is CP⁻¹, C = ½P' + A with A = (Xᵀ − X)/2, X = E x0x1ᵀ.
"""

from functools import cache

import sympy as sp
from mpmath import mp
from sympy import Rational as R

from .table import certificate, vanishes

t = sp.Symbol("t", positive=True)


@certificate("exact", half=(R("0.49"), 1), spin=(0, R("1.01")))
def rotation_rate(half=R(1, 2), spin=1):
    """L⁻¹GL₀ = R turns by R' = ΩR, Ω = L⁻¹AL⁻ᵀ + half of (upper − lower triangle of L⁻¹P'L⁻ᵀ): no stretch is left.

    In two dimensions, of P = (p, q; q, r) and A = (0, −s; s, 0), the angle grows by [s − ½(q' − qp'/p)]/√det P. Where
    P stays diagonal and A = 0, nothing turns: so for independent pairs, if τ = 0 or Q0 and Q1 commute.
    """
    a, b, c, s = sp.symbols("a b c s", positive=True)
    slopes = sp.symbols("a1 b1 c1")
    lower, slope = (sp.Matrix([[x, 0], [y, z]]) for x, y, z in ((a, b, c), slopes))
    moment, growth = lower * lower.T, slope * lower.T + lower * slope.T
    inverse = lower.inv()
    antisymmetric = sp.Matrix([[0, -s], [s, 0]])
    turning = inverse * ((growth / 2 + antisymmetric) * moment.inv() * lower - slope)
    white = inverse * growth * inverse.T
    triangles = sp.Matrix([[0, white[0, 1]], [-white[1, 0], 0]])
    stated = spin * inverse * antisymmetric * inverse.T + half * triangles
    angle = (s - (growth[0, 1] - moment[0, 1] * growth[0, 0] / moment[0, 0]) / 2) / (a * c)
    return vanishes(*(turning - stated), turning[1, 0] - angle)


@certificate("exact", spin=R("1.01"), power=(1, 3), ridge=R("1.01"))
def rotation_of_isotropic_pairs(spin=1, power=2, ridge=1):
    """Q0 = Q1 = 1, X = c − sJ, J a quarter turn: G turns by sφ/√((1 + τ)² − (c + τ)²), cos φ = (c + τ)/(1 + τ).

    The symmetric root is 1. P is a number, |(1−t)p0 + tp1|² with |p0|² = |p1|² = 1 + τ and p0·p1 = c + τ; G turns at
    the rate s/P, and the angle of the segment, which runs through φ, at √(…)/P. Where x1 is x0 turned by Θ, and τ = 0,
    c = cos Θ and s = sin Θ give Θ.
    """
    c, s, tau, root = sp.symbols("c s tau r", positive=True)  # r = |p0 × p1|
    quarter = sp.Matrix([[0, -1], [1, 0]])
    cross = c * sp.eye(2) - s * quarter
    both = (1 - t) * cross.T + t * sp.eye(2) - (1 - t) * sp.eye(2) - t * cross
    moment = (1 - t) ** 2 + 2 * t * (1 - t) * c + t**2 + ridge * tau
    velocity = both / moment - sp.diff(moment, t) / moment / 2 * sp.eye(2) - spin * s / moment * quarter
    tangent = t * root / ((1 - t) * (1 + tau) + t * (c + tau))  # of the angle from p0
    speed = sp.diff(tangent, t) / (1 + tangent**2) - root / moment
    top = sp.expand(sp.fraction(sp.together(speed))[0])
    closed = sp.rem(top, root**2 - (1 + tau) ** power + (c + tau) ** 2, root) == 0
    return closed and vanishes(*velocity)


PAIRS = (((1, 1), (3, 0)), ((1, -1), (1, 1)), ((1, 1), (1, 0)), ((1, -1), (-1, 1)))
"""Noise and data: with their mirror images a coupling of Q0 = 1, Q1 = diag(3, ½) and X = (1, ½; 1, −½)."""
RIDGE = R(1, 10)


def over_pairs(first, second):
    """E abᵀ + τ, of noise (0) or data (1) each."""
    products = [sp.Matrix(pair[first]) * sp.Matrix(pair[second]).T for pair in PAIRS]
    return sum(products, sp.zeros(2)) / len(PAIRS) + RIDGE * sp.eye(2)


NOISE, CROSS, DATA = over_pairs(0, 0), over_pairs(0, 1), over_pairs(1, 1)
SPIN = (CROSS.T - CROSS) / 2


def moment(time):
    """P, P' and ½P'', exactly."""
    rest, both = 1 - time, CROSS + CROSS.T
    slope = 2 * (time * DATA - rest * NOISE) + (rest - time) * both
    return rest**2 * NOISE + time * rest * both + time**2 * DATA, slope, NOISE - both + DATA


def folded(first, second, power):
    """The coefficient of a product of two power series of matrices."""
    pairs = [(first[i], second[power - i]) for i in range(len(first)) if 0 <= power - i < len(second)]
    return sum((a * b for a, b in pairs), mp.zeros(2))


@cache
def flow_by_series(pieces=12, terms=50):
    """G of G' = (½P' + A)P⁻¹G, as det P · G' = (½P' + A) adj P · G, in a power series for each piece of time."""
    flow, step = mp.eye(2), mp.mpf(1) / pieces
    for piece in range(pieces):
        around = moment(R(piece, pieces))
        both, seen, adjugates = (
            [mp.matrix(m.tolist()) for m in series]
            for series in ((around[1] / 2 + SPIN, around[2]), around, [m.adjugate() for m in around])
        )
        products = [folded(both, adjugates, power) for power in range(4)]
        determinant = [folded(seen, adjugates, power) for power in range(5)]  # times the unit matrix
        series, slopes = [flow], []
        for k in range(terms):
            known = folded(products, series, k) - folded(determinant, slopes, k)
            slopes.append(known / determinant[0][0, 0])
            series.append(slopes[k] / (k + 1))
        flow = sum((term * step**k for k, term in enumerate(series)), mp.zeros(2))
    return flow


@certificate("precision", angle=("-0.1326", "-0.1328", "0"), spin=(R("0.99"), 0), ridge=(R("0.099"), 0))
@mp.workdps(30)
def rotation_is_there(angle="-0.1327", spin=1, ridge=RIDGE):
    """G of those pairs at τ = .1 is the symmetric root after a turn by −.1327: both have G(Q0 + τ)Gᵀ = Q1 + τ.

    To 20 digits. The turn is read off the flow, solved as such, and is the integral of the rate of `rotation_rate`.
    """
    flow, time = flow_by_series(), sp.Symbol("t")
    noise, data = (mp.matrix((m + (ridge - RIDGE) * sp.eye(2)).tolist()) for m in (NOISE, DATA))
    root = mp.diag([mp.sqrt(data[i, i] / noise[i, i]) for i in (0, 1)])
    p, slope, _ = moment(time)
    rate = (spin * SPIN[1, 0] - (slope[0, 1] - p[0, 1] * slope[0, 0] / p[0, 0]) / 2) / sp.sqrt(p.det())
    turn = mp.quad(sp.lambdify(time, rate, "mpmath"), [0, 0.25, 0.5, 0.75, 1])
    rotation = mp.matrix([[mp.cos(turn), -mp.sin(turn)], [mp.sin(turn), mp.cos(turn)]])
    missed = flow * noise * flow.T - data, root * noise * root.T - data, flow - root * rotation
    return max(map(mp.norm, missed)) < 1e-20 and abs(turn - mp.mpf(angle)) < 5e-5
