"""A Gaussian refitted to its own samples, and the neighbours' laws."""

import sympy as sp
from mpmath import mp
from sympy import Rational as R

from .table import certificate, gaussian_mean, positive, vanishes

k, m, n, w, x = sp.symbols("k m n w x", positive=True)


def scatter(points):
    """Their sum of squares about their mean."""
    mean = sum(points) / len(points)
    return sp.expand(sum((point - mean) ** 2 for point in points))


@certificate("exact", lost=(0, 2))
def variance_of_one_fit(lost=1):
    """E Σ(e_i − ē)²/n = 1 − 1/n, for two to five normals: the maximum-likelihood variance falls to (1 − 1/n)^j."""
    for samples in range(2, 6):
        e = sp.symbols(f"e1:{samples + 1}")
        if gaussian_mean(scatter(e), e) / samples != 1 - R(lost, samples):
            return False
    return True


def chi_mean(function, freedom):
    """E f(χ²) by quadrature to some twenty digits."""
    half = mp.mpf(freedom) / 2
    density = lambda z: mp.exp(-z / 2 + (half - 1) * mp.log(z) - half * mp.log(2) - mp.loggamma(half))  # noqa: E731
    return mp.quad(lambda z: function(z) * density(z), [0, freedom / 4, freedom, 3 * freedom, 12 * freedom + 200])


@certificate("precision", freedom=(0, 2), divisor=1)
@mp.workdps(25)
def typical_fit(freedom=1, divisor=0):
    """½[ψ((n − 1)/2) + ln(2/n)] is E ln √(χ²_{n−1}/n), for n = 3, 8, 30: the log-std of a fit moves by it."""
    for samples in (3, 8, 30):
        logarithm = chi_mean(lambda z: mp.log(z / samples) / 2, samples - 1)  # noqa: B023
        stated = (mp.digamma(mp.mpf(samples - freedom) / 2) + mp.log(mp.mpf(2) / (samples - divisor))) / 2
        if abs(logarithm - stated) > 1e-12:
            return False
    return True


@certificate("series", mle=R("1.01"), other=(R("0.49"), 1))
def typical_drift_of_many(mle=1, other=R(1, 2)):
    """That is −1/n + O(1/n²) for the MLE with estimated mean, −1/(2n) for a known mean and for the unbiased fit.

    ψ(z) = ln z − 1/(2z) + O(1/z²); freedom ν and divisor c are (n − 1, n), (n, n) and (n − 1, n − 1).
    """
    drifts = []
    for freedom, divisor in ((1 / x - 1, 1 / x), (1 / x, 1 / x), (1 / x - 1, 1 / x - 1)):
        drift = (sp.log(sp.cancel(freedom / divisor)) - 1 / freedom) / 2  # x = 1/n
        drifts.append(sp.limit(drift / x, x, 0))
    return drifts == [-mle, -other, -other]


@certificate("precision", shift=(0, 2), divisor=1)
@mp.workdps(25)
def lyapunov_spectrum(shift=1, divisor=0):
    """½[ψ((n − i + 1)/2) + ln(2/n)] is E ln of the i-th row's length left over by the i − 1 rows before it, over √n.

    The left-over projects on n − i + 1 dimensions (its trace, exact for rows of whole numbers), and products of
    triangular factors multiply their diagonals; here n = 6, i = 1, 2 and 3.
    """
    rows = [sp.Matrix([1, 2, 0, -1, 3, 1]), sp.Matrix([2, -1, 1, 1, 0, 4])]
    rest = sp.eye(6)
    for i in (1, 2, 3):
        logarithm = chi_mean(lambda z: mp.log(z / 6) / 2, int(rest.trace()))
        stated = (mp.digamma(mp.mpf(6 - i + shift) / 2) + mp.log(mp.mpf(2) / (6 - divisor))) / 2
        if abs(logarithm - stated) > 1e-12 or rest * rest != rest:
            return False
        if i < 3:
            left = rest * rows[i - 1]
            rest -= left * left.T / (left.T * left)[0]
    return True


@certificate("precision", lost=(0, 2), two=1.99)
@mp.workdps(25)
def mean_std(lost=1, two=2):
    """a = √(2/(n − 1)) Γ(n/2)/Γ((n − 1)/2) is E√(χ²_{n−1}/(n − 1)), n = 3, 8, 30: E std_j = a^j (Bertrand et al.)."""
    for samples in (3, 8, 30):
        mean = chi_mean(lambda z: mp.sqrt(z / (samples - 1)), samples - 1)  # noqa: B023
        freedom = mp.mpf(samples - lost)
        if abs(mean - mp.sqrt(two / freedom) * mp.gammaprod([(freedom + 1) / 2], [freedom / 2])) > 1e-12:
            return False
    return True


@certificate("series", one=R("0.99"), three=R("2.97"))
def mean_std_of_many(one=1, three=3):
    """−ln a = 1/(4n) + O(1/n²) for a known mean and the unbiased fit, 3/(4n) for the MLE with estimated mean.

    With ν degrees of freedom and divisor c it is −½ ln(ν/c) and something between 1/(4ν + 1) and 1/(4ν) (`tail_bound`,
    `tail_bound_needs_estimated_mean`).
    """
    stated = (one / R(4), one / R(4), three / R(4))
    for freedom, divisor, rate in zip((1 / x, 1 / x - 1, 1 / x - 1), (1 / x, 1 / x - 1, 1 / x), stated):
        for deficit in (1 / (4 * freedom + 1), 1 / (4 * freedom)):
            if sp.limit((deficit - sp.log(sp.cancel(freedom / divisor)) / 2) / x, x, 0) != rate:
                return False
    return True


@certificate("exact", four=(3, R("3.9")), minus=4, reached=(2, 4))
def tail_bound(four=4, minus=1, reached=3):
    """−ln a ≥ 1/(4n − 3) ≥ 1/(4n − 1), mean estimated and unbiased: with Markov's inequality, Suresh et al.'s bound.

    (1) Γ(z + 1)/Γ(z + ½) > √(z + ¼) (Watson): the squared ratio of the two sides, right over left, grows in steps of 1,
    (z + 5/4)(z + ½)² − (z + ¼)(z + 1)² = 1/16, to 1. (2) So a² < z/(z + ¼), z = ν/2 and ν = n − 1. (3) As
    ln(1 + y) ≥ 2y/(2 + y), whose slopes differ by y²/((1 + y)(2 + y)²), −ln a ≥ 1/(4ν + 1). And −ln a = 1/(4n) +
    O(1/n²), so that no factor below 4 will do.
    """
    y, freedom = sp.symbols("y nu", positive=True)
    step = (x + R(5, 4)) * (x + R(1, 2)) ** 2 - (x + R(1, 4)) * (x + 1) ** 2
    tangent = 1 / (1 + y) - sp.diff(2 * y / (2 + y), y)
    least = sp.cancel((2 * y / (2 + y)).subs(y, 1 / (2 * freedom)) / 2)
    slack = least - 1 / (four * (freedom + 1) - minus)
    identities = step - R(1, 16), tangent - y**2 / ((1 + y) * (2 + y) ** 2), least - 1 / (4 * freedom + 4 - reached)
    return vanishes(*identities) and positive(slack) and sp.limit(slack * freedom, freedom, sp.oo) == 0


@certificate("exact", half=R("0.51"))
def tail_bound_needs_estimated_mean(half=R(1, 2)):
    """−ln a < 1/(4n) < 1/(4n − 1) for a known mean, where the bound fails: ln a + 1/(4ν) falls to 0 in steps of 2.

    Γ(z + 1) = zΓ(z) makes the step ½[ln(1 + q) − q] < 0, q = 1/(ν(ν + 2)).
    """
    freedom, q = sp.symbols("nu q", positive=True)
    ratio = ((freedom + 1) / freedom) ** 2 * freedom / (freedom + 2)  # of a², at ν + 2 and at ν
    tilt = 1 / (4 * (freedom + 2)) - 1 / (4 * freedom)
    inverse = 1 / (freedom * (freedom + 2))
    falls = 1 - sp.diff(sp.log(1 + q), q)
    return vanishes(ratio - 1 - inverse, tilt + half * inverse) and positive(falls)


@certificate("precision", times=(2800, 3000), samples=2)
@mp.workdps(25)
def tail_of_known_mean(times=2900, samples=1):
    """n = 1, j = 100, ε = 200: Pr(Π|e_i| > ε) is 2,900 times (1/ε)e^(−j/(4n − 1)), by Mellin inversion."""
    rounds, level = 100, mp.mpf(200)

    def inner(y):
        s = mp.mpc(saddle, y)
        moment = mp.loggamma((1 + s) / 2) - mp.log(mp.pi) / 2 + s / 2 * mp.log(2)
        return (mp.exp(rounds * moment - s * mp.log(level)) / s).real

    saddle = mp.findroot(lambda s: rounds * (mp.digamma((1 + s) / 2) + mp.log(2)) / 2 - mp.log(level), 2)
    step = mp.mpf("0.02")
    tail = step / (2 * mp.pi) * (inner(0) + 2 * mp.fsum(inner(step * i) for i in range(1, 200)))
    return abs(tail / (mp.exp(-mp.mpf(rounds) / (4 * samples - 1)) / level) / times - 1) < 0.01


@certificate("exact", one=(0, 2))
def more_than_its_share(one=1):
    """w* > k/(1 + k), the weight that pooling gives: there the slope, of the sign of w² + kw − k, is −k/(1 + k)²."""
    fixed = (w**2 + k * (1 - w) ** 2) / (w * (2 - w))
    sign = sp.diff(fixed, w) - 2 * (w**2 + k * w - k) / (w * (2 - w)) ** 2
    return vanishes(sign, (w**2 + k * w - k).subs(w, k / (1 + k)) + k / (one + k) ** 2)


@certificate("exact", four=R("3.9"), half=R("0.49"), golden=R(6))
def best_weight(four=4, half=R(1, 2), golden=5):
    """w* = (√(k² + 4k) − k)/2 minimises the stationary variance, and its least value is w* (He et al.); k = 1: 1/φ.

    V = w²/n_real + (1 − w)²(V + k/n_real), in units of 1/n_real [w² + k(1 − w)²]/(w(2 − w)).
    """
    variance, root = sp.Symbol("V"), sp.Symbol("r", positive=True)
    fixed = (w**2 + k * (1 - w) ** 2) / (w * (2 - w))
    stays = w**2 + (1 - w) ** 2 * (variance + k) - variance
    best = half * (root - k)
    tops = [sp.fraction(sp.together(part.subs(w, best)))[0] for part in (sp.diff(fixed, w), fixed - w)]
    inverse = sp.expand((half * (sp.sqrt(golden) - 1)) * (1 + sp.sqrt(5)) / 2 - 1)
    return vanishes(stays.subs(variance, fixed), inverse) and not any(
        sp.rem(sp.expand(top), root**2 - k**2 - four * k, root) for top in tops
    )
