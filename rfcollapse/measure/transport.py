"""Where Reflow's transport cost goes: what a model misses of the pairs it is given, and how its paths bend. Ours."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .euler import axes_for, spread_times, walked


class TransportCost(NamedTuple):
    """What becomes of the cost of each pair; the means over rows are the terms of the law."""

    cost: Float[Array, " n"]
    """c = |x1 − x0|² of the pair."""
    loss: Float[Array, " n"]
    """L = ∫|r|² dt, r = x1 − x0 − v(t, x_t): the loss of training, on the model as it now is."""
    scale_defect: Float[Array, " n"]
    """κ = ∫⟨v, r⟩ dt, of mean 0 where v is fitted up to scale; c = L + 2κ + ∫|v(t, x_t)|² dt."""
    straightness: Float[Array, " n"]
    """S = ∫|v − (Z1 − Z0)|² dt along the model's own path Z from the same noise."""
    next_cost: Float[Array, " n"]
    """c' = |Z1 − Z0|² of the pair that the model makes; c' + S = ∫|v(t, Z_t)|² dt."""


@eqx.filter_jit
def transport_cost(
    model: Callable,
    noise: Float[Array, "n d"],
    data: Float[Array, "n d"],
    *,
    steps: int = 64,
    times: int = 16,
    at_once: int | None = None,
) -> TransportCost:
    """The terms of c' = c − L − S, the law of `rfcollapse.theory.anydata.cost_after`, for pairs and their model.

    ∫E|v|² dt is c − L − 2κ along the lines of the pairs and c' + S along the model's own paths. Where v is the
    conditional mean of x1 − x0, κ is 0 and the model's Z_t has the law of x_t, so that both sides are one.

    Args:
        model, at_once: see `rfcollapse.measure.euler.euler_loss_rate`.
        noise, data: x0 and x1 of the pairs.
        steps: of the model's own paths.
        times: t for each pair, spread evenly over [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.measure import transport
        >>> pair = jnp.zeros((1, 1)), jnp.full((1, 1), 3.0)
        >>> terms = transport.transport_cost(lambda t, x: 2 + 0 * x, *pair)  # always goes 2, where 3 were asked
        >>> [term.item() for term in terms]
        [9.0, 1.0, 2.0, 0.0, 4.0]
    """
    axes_for(None, noise, data)

    def action(t, state):
        v = model(t, state[:-1])
        return jnp.append(v, v @ v)

    def one(row):
        x0, x1, spread = row
        v = jax.vmap(lambda t: model(t, (1 - t) * x0 + t * x1))(spread)
        r = (x1 - x0)[None] - v
        end = walked(action, 0.0, jnp.append(x0, jnp.zeros((), x0.dtype)), steps)
        cost, next_cost = ((to - x0) @ (to - x0) for to in (x1, end[:-1]))
        loss, defect = ((r * other).sum(axis=1).mean() for other in (r, v))
        return TransportCost(cost, loss, defect, end[-1] - next_cost, next_cost)

    return jax.lax.map(one, (noise, data, spread_times(noise, times)), batch_size=at_once or len(noise))
