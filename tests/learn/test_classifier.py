"""The classifier: it tells digits apart that it has not seen, and its features are finite and wide."""

import jax
import numpy as np
import pytest

from rfcollapse import data
from rfcollapse.learn.classifier import train_classifier

KEY = jax.random.key(0)


def test_digits_it_has_not_seen():
    digits = data.digits()
    rows, labels = np.asarray(digits.samples), np.asarray(digits.labels)
    classifier = train_classifier(KEY, rows[:1400], labels[:1400], width=32)
    assert np.mean(np.asarray(classifier.classes(rows[1400:])) == labels[1400:]) > 0.9
    features = np.asarray(classifier.features(rows[1400:]))
    assert features.shape == (397, 32) and features.dtype == np.float64 and np.all(features >= 0)
    centres = np.stack([features[labels[1400:] == one].mean(axis=0) for one in range(10)])
    assert np.linalg.matrix_rank(centres - centres.mean(axis=0)) == 9  # the classes span what they can


def test_refuses(unchecked):
    with pytest.raises(ValueError, match="labels must be 3 whole numbers"):
        train_classifier(KEY, np.ones((3, 2)), [0, 1])
    with pytest.raises(ValueError, match="labels must be 3 whole numbers"):
        train_classifier(KEY, np.ones((3, 2)), [0, 1, -1])
