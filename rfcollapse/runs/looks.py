"""What is looked at in every round of a run on images: quality, few steps, the way back, and some of the pictures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray, UInt8

from ..learn import devices, integrate
from ..learn.pairs import Place, Sampler, on_each_seed
from ..measure.distances import frechet_distance
from ..measure.images import Quality, Reference, quality
from ..measure.paths import reconstruction_error

STEPS = (1, 2, 4, 10, 100)  # Euler steps of the curve of cost
SHOWN = 8  # pictures kept in a round


def looked_at(
    key: PRNGKeyArray, models: eqx.Module, reference: Reference, sampler: Sampler, *, samples: int, curve: bool = True
) -> dict[str, Float[np.ndarray, "seeds ..."]]:
    """The fields of `Quality`, and "reconstruction", "few_steps" and "shown", for each seed of one round.

    Args:
        key: draws the noise, the same for the same key and another for each seed.
        models: with a leading axis of seeds.
        reference: real images.
        sampler: of the samples; few steps are Euler's whatever it says.
        samples: images generated.
        curve: False leaves out "few_steps", the Fréchet distance in features (in principal components where there are
            none) after 1, 2, 4, 10 and 100 Euler steps, of as many images as are held out.

    "reconstruction" is the mean of |x̂ − x|² per pixel over held-out images taken back to noise and forth again;
    "shown" are the first 8 images of the first seed. What is not finite makes a seed's numbers NaN.
    """
    seeds = jax.tree.leaves(eqx.filter(models, eqx.is_array))[0].shape[0]
    where = Place(sampler, devices.mesh(seeds))
    held = jnp.asarray(reference.held, dtype=jnp.float32)
    noise = jax.random.normal(key, (seeds, samples, held.shape[1]), dtype=jnp.float32)
    generated = devices.fetch(on_each_seed(_generated, where, models, noise))
    back = devices.fetch(on_each_seed(_there_and_back, where, models, jnp.broadcast_to(held, (seeds, *held.shape))))
    found = [_finite(quality, reference, one) for one in generated]
    nothing = Quality(*[np.nan] * 5, np.full(len(reference.variances), np.nan))
    result = Quality(*map(np.stack, zip(*(nothing if one is None else one for one in found))))._asdict()
    lost = [_finite(lambda _, rows: reconstruction_error(held, rows).mean() / held.shape[1], None, one) for one in back]
    result["reconstruction"] = _stacked(lost)
    result["shown"] = generated[0, :SHOWN]
    if curve:
        features = reference.features or (lambda rows: jnp.asarray(rows) @ reference.directions)
        real = features(held)
        noise = noise[:, : len(held)]
        columns = []
        for steps in STEPS:
            short = Sampler(steps, "euler", sampler.batch)
            rows = devices.fetch(on_each_seed(_generated, where._replace(sampler=short), models, noise))
            columns.append(_stacked([_finite(lambda _, x: frechet_distance(real, features(x)), None, x) for x in rows]))
        result["few_steps"] = np.stack(columns, axis=1)
    return result


def levels(
    rows: Float[np.ndarray, "n d"], scale: float, mean: Float[np.ndarray, " d"], highest: int = 255
) -> UInt8[np.ndarray, "n d"]:
    """mean + scale · row from 0 (black) to 1, in whole levels from 0 to the highest; what is not finite is black.

    rows, scale, mean: see `rfcollapse.data.Images`.
    """
    light = np.nan_to_num(np.asarray(rows) * scale + np.asarray(mean)[None])
    return np.rint(highest * np.clip(light, 0, 1)).astype(np.uint8)


def _generated(sampler, model, noise):
    return integrate.generate(model, noise, batch=sampler.batch, **sampler.options)


def _there_and_back(sampler, model, data):
    noise = integrate.invert(model, data, batch=sampler.batch, **sampler.options)
    return integrate.generate(model, noise, batch=sampler.batch, **sampler.options)


def _finite(function, reference, rows):
    return function(reference, rows) if np.all(np.isfinite(rows)) else None


def _stacked(values):
    """One number for each seed, NaN where there is none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
