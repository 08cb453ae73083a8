"""What is looked at in every round of a run on images: quality, few steps, the way back, and some of the pictures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray, UInt8

from ..learn import devices
from ..learn.integrate import Integrator
from ..learn.pairs import on_each_seed
from ..measure.distances import frechet_distance
from ..measure.images import Quality, Reference, quality
from ..measure.paths import reconstruction_error

STEPS = (1, 2, 4, 10, 100)  # Euler steps of the curve of cost
SHOWN = 8  # pictures kept in a round


def looked_at(
    key: PRNGKeyArray,
    models: eqx.Module,
    reference: Reference,
    integrator: Integrator,
    *,
    samples: int,
    curve: bool = True,
) -> dict[str, Float[np.ndarray, "seeds ..."]]:
    """The fields of `Quality`, and "reconstruction", "few_steps" and "shown", for each seed of one round.

    Args:
        key: draws the noise, the same for the same key and another for each seed.
        models: with a leading axis of seeds.
        reference: real images.
        integrator: of the samples; few steps are Euler's whatever it says.
        samples: images generated.
        curve: False leaves out "few_steps", the Fréchet distance in features (in principal components where there are
            none) after 1, 2, 4, 10 and 100 Euler steps, of as many images as are held out.

    "reconstruction" is the mean of |x̂ − x|² per pixel over held-out images taken back to noise and forth again;
    "shown" are the first 8 images of the first seed. What is not finite makes a seed's numbers NaN.
    """
    seeds = jax.tree.leaves(eqx.filter(models, eqx.is_array))[0].shape[0]
    mesh = devices.mesh(seeds)
    held = jnp.asarray(reference.held, dtype=jnp.float32)
    noise = jax.random.normal(key, (seeds, samples, held.shape[1]), dtype=jnp.float32)

    def each_seed(function, rows, integrator=integrator):
        return devices.fetch(on_each_seed(function, integrator, mesh, models, rows))

    def numbers(function, every):
        """Of the rows of each seed; NaN where they are not finite."""
        return np.array([float(function(rows)) if np.all(np.isfinite(rows)) else np.nan for rows in every])

    generated = each_seed(Integrator.generate, noise)
    back = each_seed(_there_and_back, jnp.broadcast_to(held, (seeds, *held.shape)))
    nothing = Quality(*[np.nan] * 5, np.full(len(reference.variances), np.nan))
    qualities = [quality(reference, rows) if np.all(np.isfinite(rows)) else nothing for rows in generated]
    result = Quality(*map(np.stack, zip(*qualities)))._asdict()
    result["reconstruction"] = numbers(lambda rows: reconstruction_error(held, rows).mean() / held.shape[1], back)
    result["shown"] = generated[0, :SHOWN]
    if curve:
        features = reference.features or (lambda rows: jnp.asarray(rows) @ reference.directions)
        real = features(held)
        columns = [
            numbers(
                lambda rows: frechet_distance(real, features(rows)),
                each_seed(Integrator.generate, noise[:, : len(held)], Integrator(steps, "euler", integrator.at_once)),
            )
            for steps in STEPS
        ]
        result["few_steps"] = np.stack(columns, axis=1)
    return result


def levels(
    rows: Float[np.ndarray, "n d"], scale: float, mean: Float[np.ndarray, " d"], highest: int = 255
) -> UInt8[np.ndarray, "n d"]:
    """mean + scale · row from 0 (black) to 1, in whole levels from 0 to the highest; what is not finite is black.

    Args:
        rows, scale, mean: see `rfcollapse.data.Images`.
        highest: the level of white.
    """
    light = np.nan_to_num(np.asarray(rows) * scale + np.asarray(mean)[None])
    return np.rint(highest * np.clip(light, 0, 1)).astype(np.uint8)


def _there_and_back(integrator, model, data):
    return integrator.generate(model, integrator.invert(model, data))
