"""Refitting a Gaussian to its own samples: how fast, on the mean and on the typical path, and what stops it.

Round 0 is the true law N(μ, σ0²). Each round draws n samples from the last fit and fits a Gaussian to them ("replace"),
to all cohorts so far, the real one included ("accumulate"), or to n of all those points, drawn without replacement
("subsample"). The fit divides the sum of squares about the fitted mean by n (maximum likelihood, MLE) or by N − 1
(``unbiased``, N the number of points fitted); about a *known* mean the two are one, and divide by N.

With ν degrees of freedom (n − 1, or n for a known mean) and divisor c, a round of "replace" multiplies the variance by
χ²_ν/c, independently of the past: everything below follows from that. The mean falls, the typical path falls faster.

What is said of mean variances and of the fitted mean rests on two moments, and needs no Gaussian: it holds for every
model that gives back the mean and the covariance it was fitted to, the shares of words among them.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import optimize, special

from .. import check
from ..check import Count, Fraction, Nonnegative, NonnegativeScalar, Number, Positive, PositiveScalar, Whole, choice
from ..schemes import REFIT_SCHEDULES
from .chi import binet, chi_deficit, log_gamma, mean_log_chi


@check.arguments
def lyapunov_exponents(
    dimension: Count, samples: int, *, known_mean: bool = True, unbiased: bool = False
) -> Float[Array, " dimension"]:
    """½[ψ(m_i/2) + ln(2/c)], m_i = ν − i + 1, i = 1…d: log-std per round of the i-th direction, largest first.

    Schedule "replace". For a known mean ν = c = n. Exact at any n for the diagonal of the triangular factor; singular
    values divided by the number of rounds J have a bias O(1/J). From n samples no more than ν directions survive the
    first round; the others have exponent −∞.

    Source: ours (products of Bartlett factors; the spectrum of products of Gaussian matrices is classical).

    Args:
        dimension: d ≥ 1.
        samples: n ≥ 1 a round; ≥ 2 for an unbiased fit with estimated mean.
        known_mean: fit about the known mean; otherwise ν = n − 1.
        unbiased: divide by n − 1 (estimated mean only) rather than n.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> resampling.lyapunov_exponents(3, 10).round(2).tolist()
        [-0.05, -0.11, -0.18]
    """
    samples = check.integer("samples", samples, _smallest(known_mean, unbiased))
    freedom, divisor = _fit(float(samples), known_mean, unbiased)
    return mean_log_chi(freedom - jnp.arange(dimension, dtype=jnp.float64), divisor)


@check.arguments
def typical_drift(samples: Number, *, known_mean: bool = False, unbiased: bool = False) -> Float[Array, "*shape"]:
    """½[ψ(ν/2) + ln(2/c)]: the mean change of log-std a round in one dimension, −1/n for large n.

    Negative for every fit, the unbiased one included: almost every path dies though its mean variance may stay. The
    MLE with estimated mean drifts at about −1/n, the other two at about −1/(2n).

    Source: ours; log-std is a random walk, so this is its law of large numbers.

    Args:
        samples: n, whole numbers ≥ 1; ≥ 2 for an unbiased fit with estimated mean.
        known_mean: fit about the known mean.
        unbiased: divide by n − 1 (estimated mean only).

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.typical_drift(10)), 4)
        -0.1103
    """
    samples = _samples(samples, _smallest(known_mean, unbiased))
    return mean_log_chi(*_fit(samples, known_mean, unbiased))


@check.arguments
def mean_std_rate(samples: Number, *, known_mean: bool = False, unbiased: bool = True) -> Float[Array, "*shape"]:
    """−ln a, a = E√χ²_ν/√c = √(2/c) Γ((ν + 1)/2)/Γ(ν/2): E std_j = a^j std_0 exactly, schedule "replace".

    For large n, 1/(4n) (unbiased, or known mean) or 3/(4n) (MLE, estimated mean): a half or three quarters of the
    typical rate.

    Source: the law for the unbiased fit, a = E√χ²_{n−1}/√(n−1), is known from Bertrand et al., arXiv 2310.00429 (their
    Gaussian warm-up; its wording could not be checked); the other fits are ours.

    Args:
        samples: n, whole numbers ≥ 1; ≥ 2 where ν or c would vanish.
        known_mean: fit about the known mean.
        unbiased: divide by n − 1 (estimated mean only).

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.mean_std_rate(10)), 4)
        0.0277
    """
    samples = _samples(samples, _smallest(known_mean, unbiased))
    freedom, divisor = _fit(samples, known_mean, unbiased)
    alive = freedom > 0
    freedom = jnp.where(alive, freedom, 1.0)
    return jnp.where(alive, chi_deficit(freedom) - 0.5 * jnp.log1p((freedom - divisor) / divisor), jnp.inf)


@check.in_float64
def mean_std_factor(samples: Number, *, known_mean: bool = False, unbiased: bool = True) -> Float[Array, "*shape"]:
    """a = √(2/c) Γ((ν + 1)/2)/Γ(ν/2), the factor on E std a round; arguments and source as for `mean_std_rate`.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.mean_std_factor(10)), 4)
        0.9727
    """
    return jnp.exp(-mean_std_rate(samples, known_mean=known_mean, unbiased=unbiased))


@check.arguments
def std_tail_bound(samples: Number, rounds: Nonnegative, level: Positive) -> Float[Array, "*shape"]:
    """Pr(std_j > ε) ≤ (std_0/ε) e^{−j/(4n−1)}, as published; above 1 it says nothing.

    Holds for estimated means, the unbiased fit (and so the MLE), every n ≥ 2: it is Markov's inequality with
    a ≤ e^{−1/(4n−1)}. False for a known mean, where −ln a < 1/(4n) < 1/(4n − 1): at n = 1, j = 100, ε = 200 std_0 the
    probability is 2,900 times the bound. Loose where it holds, as it decays at half the typical rate: at n = 10,
    j = 400, ε = .001 std_0 it says .035 for 5.3e-4 (unbiased) and 7e-15 (MLE). `std_tail` is the exact probability.

    Source: Suresh, Thangaraj, Khandavally, arXiv 2412.17646, as quoted second-hand; the one summary that could be read
    has 4n for 4n − 1.

    Args:
        samples: n ≥ 1, whole numbers.
        rounds: j ≥ 0.
        level: ε/std_0 > 0.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.std_tail_bound(10, 400, 0.001)), 3)
        0.035
    """
    return jnp.exp(-rounds / (4 * _samples(samples, 1) - 1)) / level


@check.arguments
def std_tail(
    samples: int, rounds: Count, level: PositiveScalar, *, known_mean: bool = False, unbiased: bool = True
) -> Float[Array, ""]:
    """Pr(std_j > ε std_0), exact: (1/2πi) ∫ E[std_j^s] ε^{−s} ds/s, E std_j^s = [(2/c)^{s/2} Γ((ν+s)/2)/Γ(ν/2)]^j.

    Also, up to the few paths that come back, the chance not to have collapsed to ε by round j. The line of integration
    runs through the saddle point, so that rare survivals keep their relative precision, about 1e-15 √(n j).

    Source: ours (Mellin inversion).

    Args:
        samples: n ≥ 2 (≥ 1 for a known mean).
        rounds: j ≥ 1.
        level: ε/std_0 > 0.
        known_mean: fit about the known mean.
        unbiased: divide by n − 1 (estimated mean only).

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.std_tail(10, 100, 0.1)), 4)
        0.0816
    """
    samples = check.integer("samples", samples, 1 if known_mean else 2)
    log_level = float(np.log(level))
    freedom, divisor = _fit(float(samples), known_mean, unbiased)

    def log_moment(s):
        # ln Γ(z + s/2) − ln Γ(z), Stirling's large terms cancelled by hand (numpy's complex log1p is too coarse)
        z = freedom / 2
        stirling = (z + s / 2 - 0.5) * special.log1p(s / freedom) - s / 2 + binet(z + s / 2) - binet(z)
        return rounds * (stirling + s / 2 * np.log1p((freedom - divisor) / divisor)) - s * log_level

    # The saddle is where the tilted mean meets the level, kept a standard deviation off the pole at s = 0.
    def slope(s):
        return special.digamma((freedom + s) / 2) - np.log(divisor / 2) - 2 * log_level / rounds

    high = 1.0
    while slope(high) < 0:
        high *= 2
    saddle = optimize.brentq(slope, freedom * (np.finfo(float).eps - 1), high)
    apart = min(1 / np.sqrt(rounds / 4 * special.polygamma(1, freedom / 2)), freedom / 2)
    saddle = max(saddle, apart) if saddle > 0 else min(saddle, -apart)
    width = 1 / np.sqrt(rounds / 4 * special.polygamma(1, (freedom + saddle) / 2))
    # Trapezoid rule: the error is exp(−2π distance/step) for the nearest singularity, exp(−2π²(width/step)²) besides.
    step = min(width / 2, abs(saddle) / 6, (freedom + saddle) / 6)
    reach = 10 * width + 60 / rounds
    line = saddle + 1j * step * np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1)
    tail = step / (2 * np.pi) * np.sum(np.exp(log_moment(line)) / line).real
    return jnp.asarray(tail if saddle > 0 else 1 + tail)


@check.arguments
def mean_variance(
    samples: int,
    rounds: Whole,
    *,
    schedule: choice(REFIT_SCHEDULES) = "replace",
    known_mean: bool = False,
    unbiased: bool = False,
    sampling_bias: NonnegativeScalar = 1.0,
) -> Float[Array, " rounds_and_one"]:
    """E var_j/var_0 at j = 0…rounds; in d dimensions the same factor on the whole covariance.

    Known mean: 1 whatever the schedule. Estimated mean, MLE (unbiased in brackets):

    - replace: (1 − 1/n)^j  (1);
    - accumulate: Π_{m≤j} (1 − 1/(n m²)) → sin(π/√n)/(π/√n)  (Π_{2≤m≤j} (1 − 1/(m(mn − 1)))): points drawn from a fit
      are not independent of the pool, so that dividing by N − 1 is no longer unbiased;
    - subsample: (1 − 1/n) Π_{2≤m≤j} (1 − (3 − 1/n)/(m(mn − 1)))  (Π (1 + (m − 3)/(m(mn − 1))), which *grows*, as
      j^{1/n}: each cohort adds the scatter of the fitted means).

    Where points are drawn with b times the variance of the fit (truncation, guidance, low temperature), "replace" takes
    a factor b more in each round. Keeping old data delays that and does not stop it: from factor m the new cohort takes
    (1 − b)/m (the MLE: times 1 − 1/(mn), or 1 − 1/n for subsample), so that by accumulating it falls as j^{−(1−b)}.

    The MLE's rows are also the law of 1 − Σp², the chance that two words differ, where the shares p of a vocabulary are
    refitted to n words drawn from them: the covariance of a word, as a unit vector, is fitted with its mean.

    Source: b^j for the unbiased fit is Alemohammad et al., arXiv 2307.01850 (their λ is b), 1 − 1/n for words Wright's
    and Fisher's (the heterozygosity of n gene copies); the rest is ours. The workflows are those of Gerstgrasser et
    al., arXiv 2404.01413, and Kazdan et al., arXiv 2410.16713.

    Args:
        samples: n ≥ 1 a round; ≥ 2 for an unbiased fit with estimated mean.
        rounds: J ≥ 0.
        schedule: "replace", "accumulate" or "subsample".
        known_mean: fit about the known mean.
        unbiased: divide by N − 1 (estimated mean only).
        sampling_bias: b ≥ 0, the variance of what is drawn over that of the fit.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> resampling.mean_variance(10, 3).round(3).tolist()
        [1.0, 0.9, 0.81, 0.729]
        >>> resampling.mean_variance(10, 3, schedule="accumulate").round(3).tolist()
        [1.0, 0.9, 0.878, 0.868]
        >>> resampling.mean_variance(10, 3, unbiased=True, sampling_bias=0.8).round(3).tolist()
        [1.0, 0.8, 0.64, 0.512]
    """
    n = check.integer("samples", samples, _smallest(known_mean, unbiased))
    m = jnp.arange(1, rounds + 1, dtype=jnp.float64)
    fitted = m * n if schedule == "accumulate" else jnp.full_like(m, n)
    loss = jnp.zeros_like(m) if known_mean or unbiased else -1 / fitted
    later = jnp.maximum(m, 2.0)
    pool = later * (later * n - 1)  # at n = 1 the first factor has made the product zero already
    if known_mean or schedule == "replace":
        change = loss
    elif schedule == "accumulate":
        change = -1 / pool if unbiased else loss / m
    else:
        change = (later - 3) / pool if unbiased else (1 / n - 3) / pool
    cohort = (1 + loss) / (1.0 if schedule == "replace" else m)
    steps = jnp.log1p(jnp.where(m == 1, loss, change) - (1 - sampling_bias) * cohort)
    return jnp.exp(jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)]))


@check.arguments
def mean_variance_limit(
    samples: Number, *, schedule: choice(REFIT_SCHEDULES) = "accumulate", unbiased: bool = False
) -> Float[Array, "*shape"]:
    """lim E var_j/var_0, estimated mean: sin(π/√n)/(π/√n) for the MLE that accumulates, about 1 − π²/(6n).

    The other products of `mean_variance` tend to ratios of Γ functions: with m² − m/n − b = (m − r)(m − s) the limit is
    Γ(2 − 1/n)/(Γ(2 − r)Γ(2 − s)), times 1 − 1/n for the MLE. Replace: 0 (MLE), 1 (unbiased); subsample and unbiased: ∞.

    Source: ours.

    Args:
        samples: n, whole numbers ≥ 1; ≥ 2 for an unbiased fit.
        schedule: "replace", "accumulate" or "subsample".
        unbiased: divide by N − 1.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.mean_variance_limit(10)), 3)
        0.843
    """
    n = _samples(samples, _smallest(False, unbiased))
    if schedule == "replace":
        return jnp.full_like(n, 1.0 if unbiased else 0.0)
    if schedule == "subsample" and unbiased:
        return jnp.full_like(n, jnp.inf)
    if schedule == "accumulate" and not unbiased:
        return jnp.where(n == 1, 0.0, jnp.sinc(1 / jnp.sqrt(n)))
    # The factors 1 − (1 or 3 − 1/n)/(m(mn − 1)) vanish where n m² − m equals the numerator.
    numerator = jnp.ones_like(n) if unbiased else 3 - 1 / n
    root = jnp.sqrt(1 + 4 * n * numerator)
    plus, minus = (1 + root) / (2 * n), (1 - root) / (2 * n)
    log_limit = log_gamma(2 - 1 / n) - log_gamma(2 - plus) - log_gamma(2 - minus)
    return jnp.exp(log_limit) * (1.0 if unbiased else 1 - 1 / n)


@check.arguments
def estimator_variance(
    rounds: Whole, *, schedule: choice(REFIT_SCHEDULES) = "replace"
) -> Float[Array, " rounds_and_one"]:
    """Variance of the fitted mean at j = 0…rounds, over σ²/n: j (replace), Σ_{m≤j} 1/m² → π²/6 (accumulate),
    2 − 1/j + Σ_{2≤m≤j} (2 − 1/(m−1))/m² → π²/2 − 2 = 2.93 (subsample).

    Exact for the mean of a Gaussian of known variance under replace and accumulate (and under replace with the unbiased
    variance estimated too); to leading order in 1/n for subsample, and for other parameters over their own one-round
    variance (log-std: 1/(2n)).

    Source: the plateau π²/6 is Gerstgrasser et al., arXiv 2404.01413 (linear regression), and Dey and Donoho,
    arXiv 2410.22812 (parametric families); the plateau π²/2 − 2 is ours.

    Args:
        rounds: J ≥ 0.
        schedule: "replace", "accumulate" or "subsample".

    Example:
        >>> from rfcollapse.theory import resampling
        >>> resampling.estimator_variance(3, schedule="accumulate").round(3).tolist()
        [0.0, 1.0, 1.25, 1.361]
    """
    m = jnp.arange(1, rounds + 1, dtype=jnp.float64)
    if schedule == "replace":
        variance = m
    elif schedule == "accumulate":
        variance = jnp.cumsum(1 / m**2)
    else:
        variance = 1 - 1 / m + jnp.cumsum(jnp.where(m == 1, 1.0, (2 - 1 / jnp.maximum(m - 1, 1.0)) / m**2))
    return jnp.concatenate([jnp.zeros(1), variance])


@check.arguments
def optimal_real_weight(real_per_synthetic: Nonnegative) -> Float[Array, "*shape"]:
    """w* = (√(k² + 4k) − k)/2, the weight on *fresh* real data that minimises `weighted_variance`; 1/φ = .618 at k = 1.

    More than their share k/(1 + k), which pooling gives them: synthetic points repeat the errors of the last fit.

    Source: He, Xu, Cheng, arXiv 2502.18049; here derived for the mean of a Gaussian.

    Args:
        real_per_synthetic: k = real samples over synthetic samples a round, ≥ 0.

    Example:
        >>> from rfcollapse.theory import resampling
        >>> round(float(resampling.optimal_real_weight(1.0)), 3)
        0.618
    """
    root = jnp.sqrt(real_per_synthetic)
    return 2 * root / (jnp.hypot(root, 2.0) + root)


@check.arguments
def weighted_variance(weight: Fraction, real_per_synthetic: Nonnegative) -> Float[Array, "*shape"]:
    """[w² + k(1 − w)²]/(w(2 − w)): stationary variance, over σ²/n_real, of a mean fitted to real and synthetic data.

    Each round, w on the mean of n_real *fresh* real samples, 1 − w on that of n_real/k samples of the last fit, with
    known variance (or the unbiased one). Its minimum over w is w* itself (`optimal_real_weight`). At w = 0: ∞.

    Source: the process of He, Xu, Cheng, arXiv 2502.18049; the formula is ours.

    Args:
        weight: w in [0, 1].
        real_per_synthetic: k ≥ 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import resampling
        >>> resampling.weighted_variance(np.array([0.5, 0.618, 1.0]), 1.0).round(3).tolist()
        [0.667, 0.618, 1.0]
    """
    used = jnp.where(weight > 0, weight, 1.0)
    return jnp.where(weight > 0, (used**2 + real_per_synthetic * (1 - used) ** 2) / (used * (2 - used)), jnp.inf)


def _smallest(known_mean, unbiased):
    return 2 if unbiased and not known_mean else 1


def _samples(value, minimum):
    if not check.traced(value) and bool(jnp.any((value < minimum) | (value != jnp.floor(value)))):
        raise ValueError(f"samples must be whole numbers, at least {minimum}; got {value}")
    return value


def _fit(samples, known_mean, unbiased):
    """Degrees of freedom ν and divisor c."""
    if known_mean:
        return samples, samples
    return samples - 1, samples - 1 if unbiased else samples
