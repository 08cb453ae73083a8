"""The linear denoising autoencoder trained on its own outputs, at infinite sample size.

Data x ~ N(0, Σ), input x + σε, model W = W2 W1, loss E‖W(x + σε) − x‖². Round j fits W_j to the data of round j, then
generates X_{j+1} = W_j (X_j + s E_j). Everything factorises over the eigendirections of Σ, so the functions below take
variances λ (eigenvalues, any shape) and act elementwise. Throughout: ``noise_std`` = σ, the training noise;
``resample_std`` = s, the noise of the pass that generates (default: σ); u = λ/σ² and ρ = s²/σ².

This is the one door to its laws:

    optimum      the best denoiser, and gradient descent's way to it
    recursion    the variance of each round's data; where collapse turns into explosion
    lifetimes    how long a direction lives; what is left where all rounds are kept
    retention    where a run with real data settles, how fast, and in which cycle if they come every K rounds only
    requirement  how much real data a wanted level takes
    spread       of one direction in n samples: of a round, of lifetimes, of the turning point
    bounds       on collapse, from above in n samples and from below with real data
"""

from .bounds import norm_bound, norm_bound_applies, norm_floor, variance_bound
from .lifetimes import accumulated_variance, lifetime
from .optimum import optimal_gain, optimal_map, training_curve
from .recursion import critical_resample_std, next_variance, trajectory, unstable_variance
from .requirement import required_real_fraction
from .retention import contraction_factor, retained_cycle, retained_variance
from .spread import lifetime_distribution, log_drift, next_variance_std

__all__ = [
    "accumulated_variance",
    "contraction_factor",
    "critical_resample_std",
    "lifetime",
    "lifetime_distribution",
    "log_drift",
    "next_variance",
    "next_variance_std",
    "norm_bound",
    "norm_bound_applies",
    "norm_floor",
    "optimal_gain",
    "optimal_map",
    "required_real_fraction",
    "retained_cycle",
    "retained_variance",
    "training_curve",
    "trajectory",
    "unstable_variance",
    "variance_bound",
]
