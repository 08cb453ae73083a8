"""Laws that hold for any data and any network: the one door to them.

A denoiser D is fitted to a pool of data x with noise σ, and the pool is passed on, x' = D(x + sε); nothing is assumed
of the data but finite second moments, nor of D but that its fit is at the optimum of a class closed under scaling its
output (floor and ceiling ask for more). ``noise_std`` = σ, ``resample_std`` = s (None: σ), ρ = s²/σ². Variances and
losses are per sample, summed over coordinates, in the data's own units; a density is given by its values on increasing
points, in one dimension. The laws are ours unless a source is named.

    loss_law    what a round forgets is what its training loss says; Reflow's cost; how far real pairs slow a loss
    bounds      floor and ceiling of a round's variance
    densities   one round of the best denoiser, as a density
    quantiles   the same for what is narrower than any grid
    points      two points: their approach, and the levels at which real data hold them
    heat        small noise: the heat equation, backwards or forwards
    euler       what Euler's steps of a flow lose
    flow_rounds rounds of a flow on its own samples, N Euler steps each
    reflow_rounds  rounds of Reflow with a ridge
    shape       cumulants under a linear denoiser
"""

from .bounds import variance_ceiling, variance_floor
from .densities import density_round
from .euler import euler_loss, euler_loss_rate
from .flow_rounds import Components, components, flow_round, flow_settled, flow_variances
from .heat import entropy_rate, fisher_information, heat_rate
from .loss_law import cost_after, ra_loss_by_modes, ra_pace, settled_fraction, settled_variance, variance_after
from .points import two_points_levels, two_points_variance
from .quantiles import quantile_round
from .reflow_rounds import reflow_variances
from .shape import cumulant_factor

__all__ = [
    "Components",
    "components",
    "cost_after",
    "cumulant_factor",
    "density_round",
    "entropy_rate",
    "euler_loss",
    "euler_loss_rate",
    "fisher_information",
    "flow_round",
    "flow_settled",
    "flow_variances",
    "heat_rate",
    "quantile_round",
    "ra_loss_by_modes",
    "ra_pace",
    "reflow_variances",
    "settled_fraction",
    "settled_variance",
    "two_points_levels",
    "two_points_variance",
    "variance_after",
    "variance_ceiling",
    "variance_floor",
]
