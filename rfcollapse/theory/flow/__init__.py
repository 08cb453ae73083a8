"""Gaussian rectified flow in closed form, direction by direction: the one door to its laws.

x0 ~ N(0, I) noise at t = 0, x1 ~ N(0, Σ) data at t = 1, x_t = (1−t)x0 + t x1, velocity v(x, t) = E[x1 − x0 | x_t = x].
Everything factorises over the eigendirections of Σ where the pairs do, so the functions take variances λ (eigenvalues,
any shape) and act elementwise; trajectories put the round axis first, round 0 being the start.

    sampler          velocity; what N steps of Euler (the cosine law), Heun and midpoint return
    grid             the time steps, and the best of them for a whole spectrum
    self_consuming   training on own samples with fresh noise: the rate, the finite lifetime, Heun's sink
    balance          the flow fitted with ridge to any coupling, in matrices
    couplings        what the pairs of a Reflow scheme are, by their kinds of noise (the table: `rfcollapse.schemes`)
    schemes          Reflow and its cures, every row of that table: trajectory, limit, contraction, one-step gain
    denoiser         the same schemes with x1-prediction
    network          the correction for a nonlinear network where real and synthetic pairs are mixed: one round, any d
    mixed            the same for all rounds, in one or two directions of different variance
    rule             real fraction against retention for a known rate
"""

from .balance import balance_map, coupling_angle, coupling_gain, transport_map
from .couplings import PairMoments, scheme_coupling
from .denoiser import denoiser_trajectory
from .grid import best_grid
from .mixed import mixed_pairs_trajectory
from .network import network_variance
from .rule import required_fraction_for_rate, retention_rule
from .sampler import euler_gain, heun_gain, midpoint_gain, velocity_gain
from .schemes import one_step_gain, scheme_contraction, scheme_limit, scheme_trajectory
from .self_consuming import (
    heun_sink,
    self_consuming_lifetime,
    self_consuming_rate,
    self_consuming_rate_asymptotic,
    self_consuming_trajectory,
)

__all__ = [
    "PairMoments",
    "balance_map",
    "best_grid",
    "coupling_angle",
    "coupling_gain",
    "denoiser_trajectory",
    "euler_gain",
    "heun_gain",
    "heun_sink",
    "midpoint_gain",
    "mixed_pairs_trajectory",
    "network_variance",
    "one_step_gain",
    "required_fraction_for_rate",
    "retention_rule",
    "scheme_contraction",
    "scheme_coupling",
    "scheme_limit",
    "scheme_trajectory",
    "self_consuming_lifetime",
    "self_consuming_rate",
    "self_consuming_rate_asymptotic",
    "self_consuming_trajectory",
    "transport_map",
    "velocity_gain",
]
