"""What maps of a latent plane are made of: the axes, the dots, and room for their labels."""

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from .style import (
    PAPER,
    WIDTH,
    as_array,
    color_of,
    font,
    new_figure,
    place,
    quiet_axes,
    require_same,
)

SIDE = 4.7  # inches, the square that holds the map
FOOT = 0.5  # inches below it, for the ticks and the name of the axis


def new_map(low, high, title, axis_names):
    """Return a figure with square axes around the box low..high, one unit equal in x and y."""
    named = any(axis_names)
    foot = FOOT if named else 0.1
    figure = new_figure(foot + SIDE + 0.12, title)
    axes = place(figure, (WIDTH - SIDE) / 2, foot, SIDE, SIDE, gid="map")
    quiet_axes(axes, spines=("left", "bottom") if named else (), ticks=6)
    if not named:
        axes.set(xticks=[], yticks=[])
    middle, half = (low + high) / 2, 0.53 * (high - low).max() or 1.0
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes.set_xlabel(axis_names[0], **font(12))
    axes.set_ylabel(axis_names[1], rotation=0, ha="right", va="center", **font(12))
    return figure, axes


def inch(axes):
    """Return how many data units one inch of a map is."""
    return (axes.get_xlim()[1] - axes.get_xlim()[0]) / SIDE


def as_labels(labels, points):
    """Return labels as integers [N]."""
    labels = as_array("labels", labels, "N")
    require_same("labels", len(labels), "points", len(points))
    if (labels != np.round(labels)).any():
        raise ValueError("labels must be whole numbers; pass other numbers as values.")
    return labels.astype(int)


def spread(places, distance, rounds=200):
    """Return label positions [L, 2], moved apart until all are about `distance` from each other.

    Two that are too close push each other by half of what is missing, along the line between
    them; places that coincide part in fixed directions.
    """
    places = np.array(places, dtype=float)
    angles = 2.4 * np.arange(len(places))  # the golden angle: no two directions coincide
    places += 1e-3 * distance * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    others = ~np.eye(len(places), dtype=bool)
    for _ in range(rounds):
        apart = places[:, None] - places  # [L, L, 2]
        gaps = np.linalg.norm(apart, axis=-1)  # [L, L]
        missing = np.where(others, np.clip(1.02 * distance - gaps, 0, None), 0)
        if not missing.any():
            break
        gaps[~others] = 1.0
        places += 0.5 * (apart * (missing / gaps)[..., None]).sum(axis=1)
    return places


def dot_area(points):
    """Return the area of a dot in square points: the more there are, the smaller."""
    return np.clip(12000 / len(points), 3, 20)


def draw_dots(axes, points, color, **options):
    """Draw codes as dots."""
    options = {
        "c": color,
        "alpha": 0.85,
        "edgecolors": PAPER,
        "linewidths": 0.3,
        "marker": "o",
    } | options
    many = len(points) > 2000  # as a picture inside a PDF, not as thousands of paths
    return axes.scatter(*points.T, s=dot_area(points), rasterized=many, **options)


def draw_coloured(axes, points, labels):
    """Draw all codes in the colour of their class, in an order that hides no class."""
    order = np.random.default_rng(0).permutation(len(points))
    colors = [color_of(label) for label in labels[order]]
    draw_dots(axes, points[order], colors, gid="points")


def numeral(label):
    """Return a label's outline, centred, as a marker."""
    properties = FontProperties(family="STIXGeneral", weight="bold")
    outline = TextPath((0, 0), str(label), size=1, prop=properties)
    box = outline.get_extents()
    return Path(outline.vertices - (box.p0 + box.p1) / 2, outline.codes)
