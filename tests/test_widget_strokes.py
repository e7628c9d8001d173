"""Strokes become images as MNIST's digits did: by area, centred by their centre of mass."""

import json
import math

import javascript
import numpy as np
import pytest
from scipy import ndimage

from vae_gmvae import load_dataset

FINE = 5  # pad pixels for each of the image's, js/drawing.js


def node(script: str, folder, **arrays) -> dict:
    """What a script tells by `told.name = array`; it finds the arrays in `given`."""
    (folder / "given.json").write_text(
        json.dumps({k: np.asarray(v).tolist() for k, v in arrays.items()})
    )
    head = (
        'import { readFileSync } from "node:fs";\n'
        'import * as drawing from "./drawing.mjs";\n'
        'const given = JSON.parse(readFileSync("given.json")), told = {};\n'
        "const flat = (a) => Float32Array.from(a.flat(Infinity));\n"
    )
    tail = (
        "\nconsole.log(JSON.stringify(told, (_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v));"
    )
    return json.loads(javascript.run_script(head + script + tail, folder))


def by_area(image, shape):
    """The image on another grid: every pixel cut into as many as fit both grids, then averaged."""
    for axis, size in enumerate(shape):
        many = np.repeat(image, size, axis=axis)
        pieces = np.split(many, size, axis=axis)
        image = np.stack([piece.mean(axis=axis) for piece in pieces], axis=axis)
    return image


def as_mnist(picture, shape=(28, 28), box=20):
    """The oracle: size by area, centre of mass by scipy, whole pixels by np.roll."""
    (ink,) = ndimage.find_objects((picture >= 1 / 255).astype(int))
    cut = picture[ink]
    scale = box / max(cut.shape)
    size = [max(1, math.floor(side * scale + 0.5)) for side in cut.shape]
    fitted = np.zeros(shape)
    corner = [(whole - side) // 2 for whole, side in zip(shape, size)]
    fitted[tuple(slice(c, c + s) for c, s in zip(corner, size))] = by_area(cut, size)
    mass = ndimage.center_of_mass(fitted)
    moves = [math.floor(whole / 2 - at + 0.5) for whole, at in zip(shape, mass)]
    room = [(-c, whole - s - c) for c, s, whole in zip(corner, size, shape)]
    moves = [int(np.clip(move, *limits)) for move, limits in zip(moves, room)]
    return fitted, np.roll(fitted, moves, axis=(0, 1)), moves


def pictures(count=12):
    """Random strokes of all sizes and places, [count, 140, 140]."""
    rng = np.random.default_rng(0)
    found = np.zeros((count, 28 * FINE, 28 * FINE), "float32")
    for picture in found:
        top, left = rng.integers(0, 100, 2)
        height, width = rng.integers(6, 40, 2)
        picture[top : top + height, left : left + width] = rng.random((height, width))[
            : 140 - top, : 140 - left
        ]
    found[0] = 1  # the whole pad
    found[1, 60:66, 0:140] = 1  # a line across it
    found[2, 0, 0] = found[2, 139, 5] = 1  # its mass lies far from its middle
    return found


def test_preparation_is_that_of_mnist(tmp_path):
    given = pictures()
    script = """
    told.all = given.pictures.map((p) => drawing.asMnist(flat(p), [140, 140], [28, 28]));
    told.empty = drawing.asMnist(new Float32Array(140 * 140), [140, 140], [28, 28]);
    """
    told = node(script, tmp_path, pictures=given)
    assert told["empty"] is None
    for picture, found in zip(given, told["all"], strict=True):
        fitted, centred, moves = as_mnist(picture)
        np.testing.assert_allclose(np.reshape(found["fitted"], (28, 28)), fitted, atol=1e-6)
        np.testing.assert_allclose(np.reshape(found["centred"], (28, 28)), centred, atol=1e-6)
        assert [found["down"], found["right"]] == moves


@pytest.mark.data
def test_mnist_itself_needs_no_preparation(tmp_path, data_dir):
    """What the preparation makes of a test image is the image: it is the one MNIST was made by."""
    x = load_dataset("MNIST", data_dir).test.x[:200, ..., 0]
    script = """
    told.centred = given.images.map((image) => drawing.asMnist(
      drawing.paint(flat(image), [], [28, 28]), [140, 140], [28, 28]).centred);
    """
    told = node(script, tmp_path, images=x)
    same = np.abs(np.reshape(told["centred"], x.shape) - x).max(axis=(1, 2)) < 1e-6
    assert same.mean() > 0.98  # a centre of mass at half a pixel may go either way


def test_strokes_cover_once_and_undo_nothing_else(tmp_path):
    script = """
    const image = flat(given.image), size = [28, 28];
    const stroke = (ink, ...points) => ({ points, ink });
    told.plain = drawing.resize(drawing.paint(image, [], size), [140, 140], size);
    told.dot = drawing.paint(null, [stroke(1, [14, 14])], size);
    told.twice = drawing.paint(null, [stroke(1, [14, 14], [14, 14], [14, 14])], size);
    told.line = drawing.paint(null, [stroke(1, [5, 14], [23, 14])], size);
    told.dark = drawing.paint(image, [stroke(0, [14, 14])], size);
    told.outside = drawing.paint(null, [stroke(1, [-3, -3], [40, 60])], size);
    const growing = stroke(1, [5, 14]);
    drawing.paint(null, [growing], size);
    growing.points.push([14, 14], [23, 14]);
    told.grown = drawing.paint(null, [growing], size);
    told.whole = drawing.paint(null, [stroke(1, [5, 14], [14, 14], [23, 14])], size);
    """
    image = np.random.default_rng(0).random((28, 28))
    told = {k: np.array(v) for k, v in node(script, tmp_path, image=image).items()}
    np.testing.assert_allclose(told["plain"].reshape(28, 28), image, atol=1e-6)
    assert np.array_equal(told["dot"], told["twice"])
    assert np.array_equal(told["grown"], told["whole"])
    dot, line = (told[name].reshape(140, 140) for name in ("dot", "line"))
    assert dot.sum() / FINE**2 == pytest.approx(math.pi * 1.25**2, rel=0.03)  # the brush's disc
    assert line.sum() / FINE**2 == pytest.approx(18 * 2.5 + math.pi * 1.25**2, rel=0.01)
    assert dot.max() == line.max() == 1 and ndimage.center_of_mass(dot) == pytest.approx(
        (69.5, 69.5)
    )
    dark = told["dark"].reshape(140, 140)
    assert dark[70, 70] == 0 and dark[0, 0] == pytest.approx(image[0, 0])
    assert np.isfinite(told["outside"]).all() and told["outside"].max() == 1
