"""Colours: apart for every reader, and legible as type."""

import numpy as np
import pytest

from vae_gmvae.plots.style import DIGIT_COLORS, PAPER, TERM_COLORS, text_on


def linear_rgb(colors):
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(color):
    return linear_rgb([color])[0] @ [0.2126, 0.7152, 0.0722]


def contrast(first, second):
    """Return the contrast ratio of WCAG 2."""
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "all cones": np.eye(3),
    "no L cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no M cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no S cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", [DIGIT_COLORS, tuple(TERM_COLORS.values())])
def test_colours_are_apart_for_every_reader(vision, palette):
    seen = np.clip(linear_rgb(palette) @ np.transpose(VISIONS[vision]), 0, 1)
    lab = np.cbrt(seen @ np.transpose(TO_CONES)) @ np.transpose(TO_LAB)  # OKLab
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > 0.09


def test_coloured_type_is_legible():
    assert min(contrast(color, PAPER) for color in TERM_COLORS.values()) >= 4.5
    assert min(contrast(text_on(color), color) for color in DIGIT_COLORS) >= 4.5
