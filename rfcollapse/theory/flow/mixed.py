"""The best nonlinear velocity for a mixture of real and synthetic pairs, in one direction or two. Ours.

A network fits E[x1 − x0 | x_t + √τ e]. On one Gaussian coupling that is linear, and the law of `schemes` holds; of a
mixture it is the average of what each kind of pair asks for, weighted by the chance that x_t belongs to that kind. The
chance depends on all directions at once, so they no longer part, and the flow G makes no Gaussian out of noise. The
next round's own pairs (z, G(z)) are therefore carried as they are, as atoms on a grid of z that the ridge blurs.
"""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import check
from ...check import Count, FractionScalar, Nonnegative, Positive, PositiveScalar, Whole
from ...schemes import mixed
from .balance import angle_of
from .couplings import Direction, HalfTurn, SchemeName, coupling, pairing, real_pairs
from .network import WITHOUT

REACH = 5.0  # standard deviations of the noise beyond which there are no atoms
SPACING = 1.3  # of neighbouring atoms, in √τ: a sum over them is an integral up to 2e^(−2π²/SPACING²) = 2e-5
MOST_ATOMS = 4096  # of the positive quadrant
STEPS = 12  # of Runge and Kutta's fourth order


@check.arguments
def mixed_pairs_trajectory(
    scheme: SchemeName,
    real_variance: Positive,
    rounds: Whole,
    *,
    ridge: PositiveScalar,
    real_fraction: FractionScalar = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
    diffusion: Nonnegative = 0.0,
    initial_angle: HalfTurn | None = None,
    denoiser_steps: Count | None = None,
) -> Float[Array, "rounds_and_start dim"]:
    """E G_i(z)² at rounds 0 … J, G the flow of v(x, t) = E[x1 − x0 | x_t + √τ e = x] from z ~ N(0, I) on.

    The expectation is over the mixture of own pairs (z, G(z)) of the last round's G, a sum over z on a grid, and of
    real pairs: where they are inverted the same (z, G(z)), in the proportion N(G(z); 0, λ0)|det G'(z)|, else a Gaussian
    coupling. With x1-prediction D = E[x1 | x_t + √τ e = x], and v = (D − x)/(1−t). Off by about 2e-5.

    The first model and the anchor are taken as linear. So is the model that a reverse SDE follows, in every round: the
    one approximation that is left.

    Args:
        scheme: by name, see `couplings`; own noise must be kept, and pairs that are refreshed have no such form.
        real_variance: λ0 > 0 of each direction, one or two.
        rounds: J ≥ 0.
        ridge: τ > 0, a number.
        real_fraction: α in [0, 1], a number.
        denoiser_steps: N uniform Euler steps of x1-prediction, see `denoiser_trajectory`; None is a velocity model,
            followed exactly.
        initial_variance, anchor_variance, diffusion, initial_angle: see `scheme_trajectory`; for one or all directions.

    Raises:
        ValueError: also a ridge so small beside the variances that the grid would be too large.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.mixed_pairs_trajectory("ra", np.array([4.0]), 2, ridge=0.2, real_fraction=0.3)[:, 0].round(3).tolist()
        [4.0, 3.5, 3.097]
    """
    if real_variance.ndim != 1 or not 1 <= len(real_variance) <= 2:
        raise ValueError(f"real_variance must be a list of 1 or 2 numbers; got shape {real_variance.shape}")
    if real_fraction.ndim or ridge.ndim:
        raise ValueError(f"real_fraction and ridge must be single numbers; got {real_fraction.shape}, {ridge.shape}")
    whole = partial(jnp.full_like, real_variance)
    arguments = real_variance, whole(real_fraction), whole(ridge), initial_variance, anchor_variance, diffusion
    row, start = pairing(scheme, *arguments, without=WITHOUT)
    if row.own != "kept":
        raise ValueError(f"scheme {scheme!r}: no law here for {row.own!r} own noise")
    widest = np.sqrt(np.maximum(np.maximum(start.real, start.current), 1))
    step = SPACING * np.sqrt(float(ridge)) / widest
    counts = np.ceil(REACH / step).astype(int)
    if counts.prod() > MOST_ATOMS:
        raise ValueError(f"ridge must not be so small beside the variances: {counts.prod()} atoms, of {MOST_ATOMS}")
    axes = [(np.arange(count) + 0.5) * one for count, one in zip(counts, step)]
    noise = jnp.asarray(np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes)))
    bent = initial_angle is not None
    angle = initial_angle if bent else jnp.zeros_like(real_variance)
    return _trajectory(row, rounds, denoiser_steps, bent, start, angle, noise, math.log(step.prod()))


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _trajectory(row, rounds, denoiser_steps, bent, start: Direction, angle, noise, log_volume):
    fraction = start.fraction[0]
    prior = jnp.log1p(-fraction) - jnp.log(fraction)  # own against real
    log_normal = jax.vmap(_log_normal, (0, None))
    log_mass = log_volume + log_normal(noise, jnp.ones_like(start.real))
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=noise.shape[1])))

    def everywhere(quadrant):
        return (signs[:, None] * quadrant[None]).reshape(-1, noise.shape[1])

    def mean_square(mapped):
        return jnp.exp(log_mass) @ mapped**2 / jnp.sum(jnp.exp(log_mass))

    def one_round(state, _):
        mapped, log_stretch, angle = state
        now, angle = start._replace(current=mean_square(mapped)), angle if bent else None
        inverted, log_weight = row.real == "inverted", log_mass
        if inverted:  # real pairs lie where own ones do
            log_real = log_volume + log_normal(mapped, start.real) + log_stretch
            log_weight = jnp.logaddexp(log_mass + jnp.log1p(-fraction), log_real + jnp.log(fraction))
        atoms = partial(_atoms, everywhere(noise), everywhere(mapped), jnp.tile(log_weight, len(signs)))
        coupled = partial(_gaussian, *real_pairs(row, now, angle))

        def fit(t, x, of_data=False):
            (own, own_fit), (real, real_fit) = (kind(t, x, start.ridge, of_data) for kind in (atoms, coupled))
            return own_fit if inverted else mixed(own_fit, real_fit, jax.nn.sigmoid(real - own - prior))

        def denoised(index, x):
            return x + (fit(index / denoiser_steps, x, of_data=True) - x) / (denoiser_steps - index)

        def step(index, x):
            def stage(state, at):
                slope, total = state
                part, weight = at
                slope = fit((index + part) / STEPS, x + part / STEPS * slope)
                return (slope, total + weight / STEPS * slope), None

            stages = jnp.array([0, 1 / 2, 1 / 2, 1]), jnp.array([1, 2, 2, 1]) / 6
            (_, change), _ = jax.lax.scan(stage, (0 * x, 0 * x), stages)
            return x + change

        walk = (STEPS, step) if denoiser_steps is None else (denoiser_steps, denoised)

        def flow(z):
            end = jax.lax.fori_loop(0, *walk, z)
            return end, end

        if inverted:
            slope, mapped = jax.vmap(jax.jacfwd(flow, has_aux=True))(noise)
            log_stretch = jnp.linalg.slogdet(slope)[1]
        else:
            mapped, _ = jax.vmap(flow)(noise)
        following = mapped, log_stretch, angle_of(*coupling(row, now, angle), start.ridge)
        return following, mean_square(mapped)

    gain = jnp.sqrt(start.current)
    first = noise * gain[None], jnp.full(len(noise), jnp.log(gain).sum()), angle
    _, later = jax.lax.scan(one_round, first, length=rounds)
    return jnp.concatenate([start.current[None], later])


def _log_normal(x, variance):
    """The log-density of N(0, diag variance)."""
    return -jnp.sum(x**2 / variance + jnp.log(2 * jnp.pi * variance)) / 2


def _atoms(noise, data, log_weight, t, x, ridge, of_data):
    """The log-density of x among pairs that are atoms blurred by the ridge, and their own fit: of x1 − x0, or of x1."""
    place = (1 - t) * noise + t * data
    near = log_weight + place @ (x / ridge) - place**2 @ (0.5 / ridge)
    total = jax.nn.logsumexp(near)
    return total + _log_normal(x, ridge), jnp.exp(near - total) @ (data if of_data else data - noise)


def _gaussian(noise, data, cross, t, x, ridge, of_data):
    """The same among pairs of one Gaussian coupling."""
    moment = (1 - t) ** 2 * noise + 2 * t * (1 - t) * cross + t**2 * data + ridge
    towards_data = (1 - t) * cross + t * data
    towards_noise = (1 - t) * noise + t * cross
    slope = (towards_data if of_data else towards_data - towards_noise) / moment
    return _log_normal(x, moment), x * slope
