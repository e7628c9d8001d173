"""Small random movements of images, written in keras.ops: other hands writing the same digit."""

import math

import keras
import numpy as np
from keras import ops

from vae_gmvae import devices

ROTATION = math.radians(12)  # each range is uniform around no movement
LOG_SCALE = 0.1
SHEAR = 0.3
SHIFT = 2.5  # pixels
BUMPS = 5  # of a smooth displacement, in each direction
BUMP_WIDTH = 5.0  # pixels, a bump's standard deviation

STROKE_LENGTH = 12.0  # pixels, at most
STROKE_REACH = 8.0  # pixels from the image's middle to a stroke's, at most, in rows and in columns
PEN = 1.8  # pixels from the middle of a stroke's line to where its ink ends


def move(images, seed: keras.random.SeedGenerator, elastic: float = 0.0):
    """Each image rotated, scaled, sheared and shifted a little of its own, [B, H, W, C].

    Bilinear; what comes from outside the image is 0.

    Args:
        images: [B, H, W, C].
        seed: draws the movements.
        elastic: the standard deviation, in pixels, of a smooth displacement in each direction, as
            if the image were on rubber. Simard, Steinkraus and Platt 2003, section 2, who smooth
            noise by a Gaussian filter.
    """
    _, height, width, channels = images.shape
    num = ops.shape(images)[0]
    rows, columns = _sources(num, height, width, seed)  # [B, H * W] each
    if elastic:
        down, right = _smooth_fields(num, height, width, seed)
        rows, columns = rows + elastic * down, columns + elastic * right
    flat = ops.reshape(images, (-1, height * width, channels))
    row, column = ops.floor(rows), ops.floor(columns)
    moved = 0.0
    for down in (0, 1):
        for right in (0, 1):
            r, c = row + down, column + right
            share = (1 - ops.abs(rows - r)) * (1 - ops.abs(columns - c))
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            share = ops.where(inside, share, 0.0)[..., None]  # [B, H * W, 1]
            place = ops.clip(r, 0, height - 1) * width + ops.clip(c, 0, width - 1)
            pixels = ops.take_along_axis(flat, ops.cast(place, "int32")[..., None], axis=1)
            moved += share * pixels
    return ops.reshape(moved, (-1, height, width, channels))


def add_strokes(images, share: float, seed: keras.random.SeedGenerator):
    """A short straight stroke of a pen drawn into about this share of the images, [B, H, W, C].

    Its middle, direction and length are uniform in their ranges; its ink is 1.
    """
    num, height, width, _ = ops.shape(images)
    draw = devices.own_rows(lambda rows: keras.random.uniform((rows, 5), -1.0, 1.0, seed=seed), num)
    down, right, angle, length, chance = (draw[:, i : i + 1] for i in range(5))  # [B, 1]
    row, column = _centred(height, width)
    row, column = row - STROKE_REACH * down, column - STROKE_REACH * right  # [B, H * W]
    sin, cos = ops.sin(math.pi * angle), ops.cos(math.pi * angle)
    half = STROKE_LENGTH * (1 + length) / 4
    along = ops.clip(sin * row + cos * column, -half, half)  # to the nearest point of the line
    distance = ops.sqrt(ops.square(row - along * sin) + ops.square(column - along * cos))
    ink = ops.where(chance < 2 * share - 1, ops.clip(PEN - distance, 0.0, 1.0), 0.0)
    ink = ops.reshape(ink, (-1, height, width, 1))
    return images + ink * (1 - images)


def _sources(num: int, height: int, width: int, seed):
    """Where each pixel of each moved image comes from: rows and columns, [B, H * W]."""
    draw = devices.own_rows(lambda rows: keras.random.uniform((rows, 6), -1.0, 1.0, seed=seed), num)
    angle, up, along, shear, down, right = (draw[:, i : i + 1] for i in range(6))  # [B, 1]
    cos, sin = ops.cos(ROTATION * angle), ops.sin(ROTATION * angle)
    row, column = _centred(height, width)
    column = column + SHEAR * shear * row
    rows = (cos * row - sin * column) * ops.exp(LOG_SCALE * up) + SHIFT * down
    columns = (sin * row + cos * column) * ops.exp(LOG_SCALE * along) + SHIFT * right
    return rows + (height - 1) / 2, columns + (width - 1) / 2


def _smooth_fields(num: int, height: int, width: int, seed):
    """Two sums of Gaussian bumps of random heights for each image, [B, H * W] each.

    Each pixel's value is N(0, 1), and like its neighbours'.
    """
    draw = devices.own_rows(lambda rows: keras.random.normal((rows, 2, BUMPS**2), seed=seed), num)
    bumps = np.einsum("ia,jb->abij", _bumps(height), _bumps(width))
    fields = ops.matmul(draw, bumps.reshape(BUMPS**2, height * width).astype(keras.config.floatx()))
    return fields[:, 0], fields[:, 1]


def _bumps(size: int) -> np.ndarray:
    """Gaussian bumps along a side, [size, BUMPS]; the squares at each pixel sum to 1."""
    middles = np.linspace(0, size - 1, BUMPS)
    values = np.exp(-(((np.arange(size)[:, None] - middles) / BUMP_WIDTH) ** 2) / 2)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _centred(height: int, width: int):
    """Row and column of each pixel, counted from the image's middle, [1, H * W] each."""
    row, column = ops.meshgrid(
        ops.arange(height, dtype=keras.config.floatx()) - (height - 1) / 2,
        ops.arange(width, dtype=keras.config.floatx()) - (width - 1) / 2,
        indexing="ij",
    )
    return ops.reshape(row, (1, -1)), ops.reshape(column, (1, -1))
