"""Moved images against scipy's affine transformation."""

import math

import keras
import numpy as np
import pytest
from scipy import ndimage

from vae_gmvae import augmentation

DRAWS = ("angle", "up", "along", "shear", "down", "right")


def moved(images, monkeypatch, **draw):
    """The images moved as `draw` says, each number in [-1, 1]; what it leaves out stays 0."""
    row = np.array([[draw.get(name, 0.0) for name in DRAWS]] * len(images), "float32")
    monkeypatch.setattr(keras.random, "uniform", lambda *shape, seed: row)
    return np.asarray(augmentation.move(images, seed=None))


def images(shape=(3, 28, 20, 2)):
    return np.random.default_rng(0).random(shape).astype("float32")


def test_without_movement_an_image_stays(monkeypatch):
    np.testing.assert_allclose(moved(images(), monkeypatch), images(), atol=1e-5)


@pytest.mark.parametrize(
    "draw",
    [
        dict(angle=1.0),
        dict(angle=-0.5, shear=0.7),
        dict(up=1.0, along=-1.0),
        dict(down=0.5, right=-0.9),
        dict(angle=0.3, up=-0.4, along=0.9, shear=-1.0, down=0.2, right=0.1),
    ],
)
def test_a_movement_is_the_affine_map_of_its_draw(draw, monkeypatch):
    x = np.zeros((1, 28, 20, 2), "float32")
    x[:, 5:-5, 5:-5] = images((1, 18, 10, 2))  # what leaves the image is treated below
    angle = augmentation.ROTATION * draw.get("angle", 0)
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    shear = [[1, 0], [augmentation.SHEAR * draw.get("shear", 0), 1]]
    scale = np.exp([augmentation.LOG_SCALE * draw.get(name, 0) for name in ("up", "along")])
    matrix = np.diag(scale) @ rotation @ shear
    centre = np.array([13.5, 9.5])
    shift = [augmentation.SHIFT * draw.get(name, 0) for name in ("down", "right")]
    offset = centre + shift - matrix @ centre
    found = moved(x, monkeypatch, **draw)[0]
    for channel in range(2):
        expected = ndimage.affine_transform(x[0, :, :, channel], matrix, offset, order=1)
        np.testing.assert_allclose(found[2:-2, 2:-2, channel], expected[2:-2, 2:-2], atol=1e-4)


def test_what_comes_from_outside_is_black(monkeypatch):
    found = moved(np.ones((1, 8, 8, 1), "float32"), monkeypatch, down=1.0)[0, :, :, 0]
    np.testing.assert_allclose(found, np.array([[1] * 8] * 5 + [[0.5] * 8] + [[0] * 8] * 2))


def test_every_image_moves_in_its_own_way_and_a_seed_decides_how():
    x = np.repeat(images((1, 28, 28, 1)), 4, axis=0)
    first, again, other = (
        np.asarray(augmentation.move(x, keras.random.SeedGenerator(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert min(np.abs(first[i] - first[j]).max() for i in range(4) for j in range(i)) > 0.1
    assert 0 <= first.min() and first.max() <= 1 + 1e-6
