"""What is looked at in every round of a run: distances to held-out data; of images few steps and the way back, too."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray, UInt8

from ..learn import devices
from ..learn.integrate import Integrator
from ..learn.pairs import on_each_seed
from ..measure.coverage import coverage
from ..measure.distances import frechet_distance, sliced_w2
from ..measure.images import Quality, Reference, quality
from ..measure.paths import reconstruction_error

STEPS = (1, 2, 4, 10, 100)  # Euler steps of the curve of cost
SHOWN = 8  # pictures kept in a round
NEIGHBOURLY = 64  # the largest d in which nearest neighbours are looked for


def compared(
    key: PRNGKeyArray, models: eqx.Module, held: Float[np.ndarray, "seeds m d"], integrator: Integrator
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Sliced W2 to the real samples held out, in many steps and one; for d ≤ 64 precision, recall and coverage, too.

    Args:
        key: draws noise and directions, the same for the same key and others for each seed.
        models: with a leading axis of seeds.
        held: real samples that no model was trained on.
        integrator: of many steps.

    What is not finite makes a seed's numbers NaN.
    """
    keys = [jax.random.split(jax.random.fold_in(key, seed)) for seed in range(len(held))]
    noise = jnp.stack([jax.random.normal(key_noise, held.shape[1:], dtype=jnp.float32) for key_noise, _ in keys])
    many = _of_each_seed(Integrator.generate, integrator, models, noise)
    single = _of_each_seed(Integrator.generate, _euler(integrator, 1), models, noise)

    def distance(seed, rows):
        return sliced_w2(keys[seed][1], held[seed], rows)

    result = {"sliced_w2": _numbers(distance, many), "one_step_sliced_w2": _numbers(distance, single)}
    if held.shape[2] <= NEIGHBOURLY:
        balls = _numbers(lambda seed, rows: coverage(held[seed], rows), many, [np.nan] * 3)
        result |= zip(("precision", "recall", "coverage"), balls.T)
    return result


def looked_at(
    key: PRNGKeyArray,
    models: eqx.Module,
    reference: Reference,
    integrator: Integrator,
    *,
    samples: int,
    curve: bool = True,
) -> dict[str, Float[np.ndarray, "seeds ..."]]:
    """The fields of `Quality`, and "reconstruction", "few_steps" and "shown", for each seed of one round of images.

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
    held = jnp.asarray(reference.held, dtype=jnp.float32)
    noise = jax.random.normal(key, (seeds, samples, held.shape[1]), dtype=jnp.float32)
    generated = _of_each_seed(Integrator.generate, integrator, models, noise)
    back = _of_each_seed(_there_and_back, integrator, models, jnp.broadcast_to(held, (seeds, *held.shape)))
    nothing = Quality(*[np.nan] * 5, np.full(len(reference.variances), np.nan))
    qualities = [quality(reference, rows) if np.all(np.isfinite(rows)) else nothing for rows in generated]
    result = Quality(*map(np.stack, zip(*qualities)))._asdict() | {"shown": generated[0, :SHOWN]}
    d = held.shape[1]
    result["reconstruction"] = _numbers(lambda _, rows: reconstruction_error(held, rows).mean() / d, back)
    if curve:
        features = reference.features or (lambda rows: np.asarray(rows) @ reference.directions)
        real, noise = features(held), noise[:, : len(held)]
        few = [_of_each_seed(Integrator.generate, _euler(integrator, steps), models, noise) for steps in STEPS]
        columns = [_numbers(lambda _, rows: frechet_distance(real, features(rows)), every) for every in few]
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


def _of_each_seed(function, integrator, models, rows):
    mesh = devices.mesh(len(rows), integrator.shards)
    return devices.fetch(on_each_seed(function, integrator, mesh, models, rows))


def _there_and_back(integrator, model, data):
    return integrator.generate(model, integrator.invert(model, data))


def _euler(integrator, steps):
    return integrator._replace(steps=steps, method="euler")


def _numbers(function, every, otherwise=np.nan):
    """function(seed, rows) of each seed, NaN where the rows are not finite."""
    values = [function(seed, rows) if np.all(np.isfinite(rows)) else otherwise for seed, rows in enumerate(every)]
    return np.array(values, dtype=np.float64)
