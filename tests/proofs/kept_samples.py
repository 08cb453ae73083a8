"""A Gaussian, or the shares of a vocabulary, refitted to old samples and new ones: the mean of its variance."""

from itertools import product as draws

import sympy as sp
from mpmath import iv
from sympy import Rational as R

from .resampling import m, n, scatter
from .table import certificate, gaussian_mean, vanishes

b = sp.Symbol("b", positive=True)


@certificate("exact", power=(1, 3), factor=R("0.99"))
def accumulate_mean(power=2, factor=1):
    """E var of the pool goes to (1 − 1/(nm²)) of itself when its m-th cohort joins (MLE): cohorts of two, m to four."""
    for cohorts in (1, 2, 3, 4):
        old = sp.symbols(f"x1:{2 * cohorts - 1}") if cohorts > 1 else ()
        new, std = sp.symbols("e1:3"), sp.Symbol("s")
        mean = sum(old) / len(old) if old else 0
        pool = gaussian_mean(scatter([*old, *(mean + std * e for e in new)]), new) / (2 * cohorts)
        before = scatter(old) / len(old) if old else std**2  # the fit that drew the cohort
        if not vanishes(pool.subs(std**2, before) - before * (1 - factor / (2 * R(cohorts) ** power))):
            return False
    return True


@certificate("interval", pi=("3.14", "3.15"))
def accumulate_mean_limit(pi=None):
    """Π(1 − 1/(nm²)) = sin(π/√n)/(π/√n), n = 2, 8, 50: 2,000 factors and bounds on the rest."""
    pi = iv.pi if pi is None else iv.mpf(pi)
    tail = iv.mpf([1 / iv.mpf(2001), 1 / iv.mpf(2000)])  # Σ 1/m² beyond 2,000
    for samples in (2, 8, 50):
        partial = iv.mpf(1)
        for i in range(1, 2001):
            partial *= 1 - 1 / (iv.mpf(samples) * i * i)
        rest = -tail / samples * iv.mpf([1, "1.000001"])  # ln(1 − y) between −y and −y(1 + y)
        whole, angle = partial * iv.exp(rest), pi / iv.sqrt(samples)
        stated = iv.sin(angle) / angle
        if not (whole.a <= stated.b and stated.a <= whole.b):
            return False
    return True


@certificate("interval", six=("5.9", "6.1"), power=3)
def accumulate_plateau(six=6, power=2):
    """The variance of an accumulated mean grows by σ²/(nm²) in round m, and Σ 1/m² = π²/6."""
    old, new = sp.symbols("a e")
    mean = ((m - 1) * old + (old + new / sp.sqrt(n))) / m
    added = sp.expand(mean - old).coeff(new) ** 2
    total = sum(1 / iv.mpf(i) ** 2 for i in range(1, 2001)) + iv.mpf([1 / iv.mpf(2001), 1 / iv.mpf(2000)])
    stated = iv.pi**2 / iv.mpf(six)
    return vanishes(added - 1 / (n * m**power)) and total.a <= stated.b and stated.a <= total.b


def drawn(pool, size):
    """The variance (÷ n), and that of the mean, of n out of `size` points of variance `pool`, without replacement."""
    return (1 - 1 / n) * pool * size / (size - 1), pool * (size - n) / (n * (size - 1))


def growth(schedule, unbiased):
    """E var of round m over that of round m − 1, m ≥ 2, the cohort being drawn with b times the variance of the fit.

    Sums of squares: of the (m − 1)n old points, within the cohort, and between them, as the cohort's mean varies about
    that of the fit, and this about the pool's where n of all points are fitted ("subsample").
    """
    size, whole, fit, moved = (m - 1) * n, m * n, sp.Symbol("V"), 0
    old = (size - 1 if unbiased else size) * fit
    scale = n / (n - 1) if unbiased else 1
    if schedule == "subsample":
        pool = sp.Symbol("P")
        variance, moved = drawn(pool, size)
        fit, old = variance * scale, size * pool
    joined = old + (n - 1) * b * fit + (m - 1) * n / m * (moved + b * fit / n)
    if schedule == "subsample":
        return drawn(joined / whole, whole)[0] * scale / fit
    return joined / (whole - 1 if unbiased else whole) / fit


@certificate("exact", three=R("2.97"), one=(0, 2))
def subsample_mean(three=3, one=1):
    """With n of all points, E var goes to 1 − (3 − 1/n)/(m(mn − 1)) of itself from round m − 1 to m (MLE)."""
    return vanishes(growth("subsample", False).subs(b, 1) - 1 + (three - one / n) / (m * (m * n - 1)))


@certificate("exact", one=(0, 2), three=R("2.97"))
def unbiased_means(one=1, three=3):
    """The unbiased fit takes 1 − 1/(m(mn − 1)) where all are kept, and 1 + (m − 3)/(m(mn − 1)) of n of all: m^(1/n)."""
    kept, part = (growth(schedule, True).subs(b, 1) for schedule in ("accumulate", "subsample"))
    stated = 1 - one / (m * (m * n - 1)), 1 + (m - three) / (m * (m * n - 1))
    return vanishes(kept - stated[0], part - stated[1]) and sp.limit(m * (sp.cancel(part) - 1), m, sp.oo) == 1 / n


@certificate("exact", one=(0, 2), power=(0, 2))
def biased_draws(one=1, power=1):
    """Drawn with b times the variance, a cohort takes (1 − b)/m from the factor: kept data fall as m^(−(1−b)).

    (1 − b)(1 − 1/mn)/m of the MLE, (1 − b)(1 − 1/n)/m of n of all points; b itself where only the latest are kept.
    """
    shares = {("accumulate", True): 1, ("accumulate", False): 1 - one / (m * n), ("subsample", True): 1}
    shares["subsample", False] = 1 - one / n
    for kind, share in shares.items():
        factor = growth(*kind)
        if not vanishes(factor - factor.subs(b, 1) + (1 - b) * share / m**power):
            return False
    return sp.limit(m * (sp.cancel(growth("accumulate", False)) - 1), m, sp.oo) == b - 1


@certificate("exact", two=(1, 3), one=(0, 2))
def ends_of_products(two=2, one=1):
    """Π_{m ≥ 2}(1 − q/(m(mn − 1))) = Γ(2 − 1/n)/(Γ(2 − r)Γ(2 − s)), r and s the roots of nm² − m − q.

    So r + s = 1/n and rs = −q/n. As far as m = M it is that times Γ(M + 1 − r)Γ(M + 1 − s)/(Γ(M + 1)Γ(M + 1 − 1/n)),
    which tends to 1: the exponents of M cancel.
    """
    r, s = sp.symbols("r s", positive=True)
    inverse = r + s  # 1/n
    factor = 1 + r * s / inverse / (m * (m / inverse - 1))

    def partial(last):
        tail = sp.gamma(last + 1 - r) * sp.gamma(last + 1 - s) / sp.gamma(last + 1) / sp.gamma(last + one - inverse)
        return tail * sp.gamma(two - inverse) / sp.gamma(2 - r) / sp.gamma(2 - s)

    step = sp.gammasimp(partial(m) / partial(m - 1)) - factor
    return vanishes(step, partial(sp.S.One) - 1)


@certificate("exact", one=(0, 2), half=(R("0.49"), R("0.51")))
def subsample_plateau(one=1, half=R(1, 2)):
    """Of n of all points the fitted mean varies by 2 − 1/j + Σ_{2≤m≤j}(2 − 1/(m − 1))/m² → π²/2 − 2, over σ²/n.

    To leading order in 1/n. The pool's mean moves by 1/m of the cohort's distance from it: of the last fit's error,
    1 − 1/(m − 1) of n among (m − 1)n points (`drawn`), and of the cohort's own, 1. The fit adds 1 − 1/j. And
    1/(m²(m − 1)) is 1/(m − 1) − 1/m − 1/m², Σ_{m ≥ 2} 1/m² = π²/6 − 1 (`accumulate_plateau`).
    """
    errors = [sp.limit(n * drawn(1, size * n)[1], n, sp.oo) for size in (m - 1, m)]
    added = (errors[0] + 1) / m**2 - (2 - one / (m - 1)) / m**2
    parts = 1 / (m**2 * (m - 1)) - 1 / (m - 1) + 1 / m + 1 / m**2
    squares = sp.pi**2 / 6 - 1
    limit = 1 + 1 + 2 * squares - (1 - squares)
    return vanishes(added, errors[1] - 1 + 1 / m, parts, limit - half * sp.pi**2 + 2)


@certificate("exact", power=(1, 3), one=R("0.99"))
def words(power=2, one=1):
    """Shares p of words, refitted to n draws: 1 − Σp², the chance that two words differ, takes 1 − 1/(nm²) on the mean.

    As the variance of an accumulating MLE, m = 1 where only the latest are kept. Here all draws of two or three words
    out of three are counted.
    """
    first, second = sp.symbols("p1 p2", positive=True)
    shares = (first, second, 1 - first - second)
    differ = 1 - sum(share**2 for share in shares)
    for samples in (2, 3):
        for cohorts in (1, 2, 3):
            mean = 0
            for drawn_words in draws(range(3), repeat=samples):
                counts = [R(drawn_words.count(word), samples) for word in range(3)]
                pooled = [((cohorts - 1) * share + count) / cohorts for share, count in zip(shares, counts)]
                chance = sp.prod([shares[word] for word in drawn_words])
                mean += chance * (1 - sum(share**2 for share in pooled))
            if not vanishes(mean - differ * (1 - one / (samples * R(cohorts) ** power))):
                return False
    return True
