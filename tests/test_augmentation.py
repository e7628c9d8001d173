"""Moved images against scipy's transformations, strokes against distances to their line."""

import math

import keras
import numpy as np
import pytest
import toys
from scipy import ndimage, spatial

from vae_gmvae import augmentation

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
DRAWS = ("angle", "up", "along", "shear", "down", "right")


@pytest.fixture(params=TOLERANCE)
def dtype(request):
    if request.param == "float32":
        yield request.param
    else:
        with toys.float64():
            yield request.param


def moved(images, monkeypatch, **draw):
    """The images moved as `draw` says, each number in [-1, 1]; what it leaves out stays 0."""
    row = np.array([[draw.get(name, 0.0) for name in DRAWS]] * len(images), images.dtype)
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
def test_a_movement_is_the_affine_map_of_its_draw(draw, dtype, monkeypatch):
    x = np.zeros((1, 28, 20, 2), dtype)
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
        np.testing.assert_allclose(
            found[2:-2, 2:-2, channel], expected[2:-2, 2:-2], atol=TOLERANCE[dtype]
        )


def test_a_bent_image_is_read_where_the_bumps_push(dtype, monkeypatch):
    """Bumps of known heights against their sum, pixel by pixel, and scipy's interpolation."""
    heights = np.random.default_rng(1).normal(size=(1, 2, 25)).astype(dtype)
    monkeypatch.setattr(keras.random, "uniform", lambda *shape, seed: np.zeros((1, 6), dtype))
    monkeypatch.setattr(keras.random, "normal", lambda *shape, seed: heights)
    x = images((1, 28, 20, 1)).astype(dtype)
    found = np.asarray(augmentation.move(x, seed=None, elastic=1.5))[0, :, :, 0]
    middles = [(r, c) for r in np.linspace(0, 27, 5) for c in np.linspace(0, 19, 5)]
    places = np.argwhere(np.ones((28, 20)))
    squares = spatial.distance.cdist(places, middles, "sqeuclidean")
    bumps = np.exp(-squares / (2 * augmentation.BUMP_WIDTH**2))
    bumps /= np.sqrt((bumps**2).sum(axis=1, keepdims=True))
    sources = places + 1.5 * (bumps @ heights[0].T)
    expected = ndimage.map_coordinates(x[0, :, :, 0], sources.T, order=1).reshape(28, 20)
    inside = ((sources >= 0) & (sources <= (27, 19))).all(axis=1).reshape(28, 20)
    assert 0.8 < inside.mean() and np.abs(found - x[0, :, :, 0]).max() > 0.3
    np.testing.assert_allclose(found[inside], expected[inside], atol=TOLERANCE[dtype])


def test_elastic_is_the_standard_deviation_of_a_smooth_displacement():
    """A ramp shows how far each pixel was read from its place."""
    ramp = np.broadcast_to(np.arange(48, dtype="float32")[:, None, None], (4000, 48, 48, 1))
    straight, bent, again = (
        np.asarray(augmentation.move(ramp, keras.random.SeedGenerator(3), elastic))[..., 0]
        for elastic in (0.0, 0.5, 0.5)
    )
    np.testing.assert_array_equal(bent, again)
    field = (bent - straight)[:, 14:34, 14:34]  # what is read there comes from inside
    error = 0.5 / math.sqrt(2 * len(ramp))
    np.testing.assert_allclose(field.std(axis=0), 0.5, atol=5 * error)
    np.testing.assert_allclose(field.mean(axis=0), 0.0, atol=5 * 0.5 / math.sqrt(len(ramp)))
    neighbours = np.corrcoef(field[:, 10, 10], field[:, 10, 11])[0, 1]
    distant = np.corrcoef(field[:, 0, 0], field[:, 19, 19])[0, 1]
    assert neighbours > 0.95 and abs(distant) < 0.5


def test_what_comes_from_outside_is_black(monkeypatch):
    found = moved(np.ones((1, 8, 8, 1), "float32"), monkeypatch, down=1.0)[0, :, :, 0]
    np.testing.assert_allclose(found, np.array([[1] * 8] * 5 + [[0.5] * 8] + [[0] * 8] * 2))


STROKES = [  # middle (rows down, columns right), angle, length and chance, each in [-1, 1]
    (0.0, 0.0, 0.0, 1.0, -1.0),
    (0.9, -0.4, 0.25, 0.2, -1.0),
    (-0.3, 0.8, -0.6, -1.0, -1.0),
    (-1.0, 1.0, 0.5, 1.0, -1.0),
]


def stroked(images, draws, share, monkeypatch):
    rows = np.array(draws, "float32")
    monkeypatch.setattr(keras.random, "uniform", lambda *shape, seed: rows)
    return np.asarray(augmentation.add_strokes(images, share, seed=None))


def test_a_stroke_is_the_ink_near_a_line(monkeypatch):
    x = images((4, 28, 20, 2))
    found = stroked(x, STROKES, 1.0, monkeypatch)
    pixels = np.argwhere(np.ones((28, 20))) - (13.5, 9.5)
    for before, after, (down, right, angle, length, _) in zip(x, found, STROKES):
        along = np.linspace(-0.5, 0.5, 2001)[:, None] * augmentation.STROKE_LENGTH
        along = along * (1 + length) / 2
        direction = [math.sin(math.pi * angle), math.cos(math.pi * angle)]
        line = augmentation.STROKE_REACH * np.array([down, right]) + along * direction
        distance = spatial.KDTree(line).query(pixels)[0].reshape(28, 20, 1)
        ink = np.clip(augmentation.PEN - distance, 0, 1)
        assert ink.max() > 0.9 and (ink == 0).any()
        np.testing.assert_allclose(after, before + ink * (1 - before), atol=1e-2)


def test_the_share_of_images_with_a_stroke(monkeypatch):
    draws = [(0.0, 0.0, 0.0, 0.0, chance) for chance in (-1.0, -0.51, -0.49, 0.99)]
    x = images((4, 28, 28, 1))
    changed = np.any(stroked(x, draws, 0.25, monkeypatch) != x, axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, [True, True, False, False])
    assert np.array_equal(stroked(x, draws, 0.0, monkeypatch), x)
    assert np.all(np.any(stroked(x, draws, 1.0, monkeypatch) != x, axis=(1, 2, 3)))


def test_strokes_differ_by_image_and_a_seed_decides_them():
    x = np.zeros((400, 28, 28, 1), "float32")
    first, again, other = (
        np.asarray(augmentation.add_strokes(x, 0.5, keras.random.SeedGenerator(seed)))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    written = first[first.any(axis=(1, 2, 3))]
    assert 160 <= len(written) <= 240  # 200 are expected, four standard deviations are 40
    assert len(np.unique(written.reshape(len(written), -1), axis=0)) == len(written)
    assert first.min() == 0 and first.max() <= 1


def test_every_image_moves_in_its_own_way_and_a_seed_decides_how():
    x = np.repeat(images((1, 28, 28, 1)), 4, axis=0)
    first, again, other = (
        np.asarray(augmentation.move(x, keras.random.SeedGenerator(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert min(np.abs(first[i] - first[j]).max() for i in range(4) for j in range(i)) > 0.1
    assert 0 <= first.min() and first.max() <= 1 + 1e-6


def test_movements_go_both_ways_and_as_far_as_chapter_10_says():
    assert augmentation.ROTATION == math.radians(12) and augmentation.SHIFT == 2.5
    assert (augmentation.LOG_SCALE, augmentation.STROKE_LENGTH) == (0.1, 12)
    x = np.zeros((400, 28, 28, 1), "float32")
    x[:, 13:15, 13:15] = 1
    moved_dots = np.asarray(augmentation.move(x, keras.random.SeedGenerator(0)))[..., 0]
    middles = np.array([ndimage.center_of_mass(dot) for dot in moved_dots]) - 13.5
    error = middles.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(middles.mean(axis=0)) < 5 * error).all()
    assert 2 < np.abs(middles).max() < 2 * augmentation.SHIFT
