"""The Reflow schemes with x1-prediction: a ridge on the denoiser D, v = (D − x)/(1−t), and Euler steps."""

import sympy as sp
from sympy import Rational as R

from .reflow import ANCHORED, INVERTED, NOISE, REAL, G, alpha, pairs, real, t, tau
from .table import certificate, positive, vanishes


def fit(noise, root):
    """D of own pairs of gain `root` and real ones with the given noise."""
    q0, q1, c = (moment.subs(G, root**2) for moment in pairs(noise))
    return ((1 - t) * c + t * q1) / ((1 - t) ** 2 * q0 + 2 * t * (1 - t) * c + t**2 * q1 + tau)


@certificate("exact", power=(1, 3), ridge=R("1.01"))
def denoiser_fit(power=2, ridge=1):
    """x1-prediction on RA pairs: D = gsM/(s²M + τ), s = 1−t + tg; a step multiplies x by ((1−t') + hD)/(1−t).

    Ridge makes D smaller than g/s, which would lead straight to g: the next g is smaller in any number of steps, at any
    g > 0, so that no level but zero stays where it is.
    """
    later, g = sp.symbols("s g", positive=True)
    s, after = 1 - t + t * g, 1 - later + later * g
    pull = 1 - alpha + alpha * real / g**2
    stated = g * s * pull / (s**power * pull + ridge * tau)
    straight = ((1 - later) + (later - t) * g / s) / (1 - t) - after / s
    below = tau * g / (s * (s**2 * pull + tau))
    return vanishes(fit(INVERTED, g) - stated, straight, g / s - fit(INVERTED, g) - below)


@certificate("exact", lost=(0, 2), power=(1, 3))
def denoiser_of_refreshed_pairs(lost=1, power=2):
    """ORA: the next g' < g, as for g' ≥ g the fit falls short of g'/s', which leads to g': no level but zero.

    Real pairs (x1/g', x1) obey D = g'/s', s' = 1−t + tg'. Own ones, of E x_t² = s², fall short of it by
    s(1−t)(g' − g)/s', and the ridge by τg'/s'.
    """
    later, root = sp.symbols("g1 g", positive=True)
    s, s_later = 1 - t + t * root, 1 - t + t * later
    seen = (1 - alpha) * s**power + alpha * real * (s_later / later) ** 2 + tau
    short = ((1 - lost * alpha) * s * (1 - t) * (later - root) + tau * later) / s_later
    return vanishes((later / s_later - fit(REAL / later, root)) * seen - short)


@certificate("exact", four=R("3.96"), power=(0, 2))
def denoiser_floor(four=4, power=1):
    """Anchored and fresh pairs, and ORAS, keep a floor: as g → 0, D keeps a positive limit at every t > 0.

    A step multiplies by ((1−t') + hD)/(1−t), which is then above zero; two steps leave αλ0/(1 + αλ0 + 4τ) of fresh
    pairs, and ORAS tends to these, as κ = e^(−ε²/g) and κ/g² vanish. As g → ∞ two steps have (1−α)g/(1 + τ), below g:
    runs stay bounded. Under Reflow and RA D vanishes with g.
    """
    root, late, kept = sp.symbols("g m k", positive=True)
    limits = [fit(noise, root).subs({t: 1 / (1 + late), root: 0}) for noise in (ANCHORED, NOISE)]
    first, second = (fit(NOISE, root).subs(t, time) for time in (0, R(1, 2)))
    two = (1 + first) / 2 * second
    stated = alpha * real / (1 + alpha * real + four * tau)
    grown = sp.limit(two / root, root, sp.oo) - (1 - alpha) / (1 + tau) ** power
    gone = sp.cancel(fit(INVERTED, root)).subs({t: 1 / (1 + late), root: 0})
    return vanishes(two.subs(root, 0) - stated, grown, gone) and positive(
        *(limit.subs(alpha, 1 / (1 + kept)) for limit in limits)
    )


@certificate("exact", second=R("1.860"), third=R("1.719"), fourth=R("1.583"))
def denoiser_stds(second=R("1.859"), third=R("1.720"), fourth=R("1.582")):
    """Reflow from g = 2 at τ = .05, ten Euler steps: 1.859, 1.720, 1.582; rationals, of 12 digits between rounds."""
    gain = R(2)
    for stated in (second, third, fourth):
        current, gain = gain, R(1)
        for i in range(10):
            time, rest = R(i, 10), 1 - R(i, 10)
            s = rest + time * current
            gain *= (rest - R(1, 10) + current * s / (s**2 + R(1, 20)) / 10) / rest
        gain = R(round(gain * 10**12), 10**12)
        if abs(gain - stated) > R("0.0005"):
            return False
    return True


@certificate("exact", ridge=R("1.01"), power=(1, 0))
def denoiser_exponent(ridge=1, power=2):
    """In N steps Reflow's next g is ∝ N^(−τ/(g² + τ)): more steps lose more.

    With k = N(1−t) a step is 1 − (1 − D)/k, and D = 1 − τ/(g² + τ) at t = 1, from where it departs as 1 − t: the rest
    of the sum converges to an integral. And Π(1 − δ/k) = Γ(N + 1 − δ)/(Γ(1 − δ)N!) goes as N^(−δ).
    """
    k, steps, x, root = sp.symbols("k N x g", positive=True)
    s = x + (1 - x) * root  # x = 1 − t
    fit = root * s / (s**2 + tau)
    step = ((k - 1) / steps + fit / steps) / (k / steps)
    exponent = ridge * tau / (root**power + tau)
    departs = sp.fraction(sp.cancel((fit - (1 - exponent)) / x))[1].subs(x, 0)
    ratio = (steps + 1 - exponent) / (steps + 1)
    slope = sp.limit(steps * (ratio - 1), steps, sp.oo)
    return departs != 0 and vanishes(step - (1 - (1 - fit) / k), fit.subs(x, 0) - (1 - exponent), slope + exponent)
