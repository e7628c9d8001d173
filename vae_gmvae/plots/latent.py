"""Maps of a latent plane: codes coloured by digit or by a value, and mixture components."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Ellipse

from .maps import (
    SIDE,
    as_labels,
    dot_area,
    draw_coloured,
    draw_dots,
    inch,
    new_map,
    numeral,
    spread,
)
from .style import (
    BADGE,
    DIGIT_COLORS,
    FAINT,
    GREY,
    INK,
    WIDTH,
    as_array,
    color_of,
    draw_badges,
    font,
    place,
    quiet_axes,
    require_same,
)

MIXED = 0.1  # classes whose medians vary less than this share of what is within lie on each other


def latent_scatter(
    points, labels=None, values=None, title=None, axis_names=("$z_1$", "$z_2$"), value_name="value"
):
    """Return a map of codes, coloured by digit, by a value, or in one colour.

    Each class carries its label at its median. Where the classes lie on top of each other, such
    labels would say nothing: then every code is drawn as its numeral, with a key beside the map.

    Args:
        points: [N, 2] codes, or their two-dimensional embedding.
        labels: [N] integers (digits, or cluster indices), or None.
        values: [N] numbers that colour the codes instead (frames of a film), or None.
        axis_names: names of the two axes; empty where they mean nothing, as after t-SNE.
        value_name: what `values` are.
    Raises:
        ValueError: another shape, labels or values of another length, or both of them.
    """
    points = as_array("points", points, "N", 2)
    if labels is not None and values is not None:
        raise ValueError("labels and values both choose the colour; give one of them.")
    figure, axes = new_map(points.min(axis=0), points.max(axis=0), title, axis_names)
    if labels is not None:
        _draw_classes(axes, points, as_labels(labels, points))
    elif values is not None:
        _draw_values(figure, axes, points, values, value_name)
    else:
        draw_dots(axes, points, DIGIT_COLORS[1], gid="points")
    return figure


def mixture_components(
    means, logvars, points=None, labels=None, title=None, axis_names=("$z_1$", "$z_2$")
):
    """Return the two-sigma ellipses of K Gaussians, each with its index k, over codes if given.

    Args:
        means, logvars: [K, 2] of Gaussians with diagonal covariance.
        points: [N, 2] codes below the ellipses, or None.
        labels: [N] integers that colour the codes; the ellipses are then drawn in ink.
    Raises:
        ValueError: another shape, labels of another length, or labels without points.
    """
    means = as_array("means", means, "K", 2)
    logvars = as_array("logvars", logvars, "K", 2)
    require_same("means", means.shape, "logvars", logvars.shape)
    if labels is not None and points is None:
        raise ValueError("labels colour the points, but there are no points.")
    points = np.empty((0, 2)) if points is None else as_array("points", points, "N", 2)
    reach = 2 * np.exp(0.5 * logvars)
    everything = np.concatenate([means - reach, means + reach, points])
    figure, axes = new_map(everything.min(axis=0), everything.max(axis=0), title, axis_names)
    colors = [color_of(k) for k in range(len(means))]
    fill = 0.12
    if labels is not None:
        draw_coloured(axes, points, as_labels(labels, points))
        colors, fill = [INK] * len(means), 0.0
    elif len(points):
        draw_dots(axes, points, FAINT, gid="points")
    for k, (mean, half_axes, color) in enumerate(zip(means, reach, colors)):
        _draw_component(axes, k, mean, half_axes, color, fill)
    draw_badges(axes, spread(means, BADGE * inch(axes)), range(len(means)), colors, "s")
    return figure


def _draw_classes(axes, points, labels):
    """Draw the codes by class, named by badges at the medians or, if mixed, by a key."""
    classes = np.unique(labels)
    groups = [points[labels == label] for label in classes]
    medians = np.stack([np.median(group, axis=0) for group in groups])
    within = np.mean([group.var(axis=0).sum() for group in groups])
    strays = 2 * len(classes) / len(points)  # share by which medians of one cloud vary by chance
    if len(classes) == 1 or medians.var(axis=0).sum() > (MIXED + strays) * within:
        draw_coloured(axes, points, labels)
        places = spread(medians, BADGE * inch(axes))
    else:
        _draw_numerals(axes, classes, groups, 2.5 * dot_area(points))
        places = _key_places(axes, len(classes))
    draw_badges(axes, places, classes, [color_of(label) for label in classes], "o")


def _draw_numerals(axes, classes, groups, area):
    """Draw every code as its label."""
    for label, group in zip(classes, groups):
        look = {"marker": numeral(label), "linewidths": 0, "gid": f"class:{label}"}
        axes.scatter(*group.T, s=area, c=color_of(label), **look)


def _key_places(axes, count):
    """Return where badges stand beside a map [count, 2], in columns of up to 15."""
    column, row = np.divmod(np.arange(count), 15)
    step = 0.3 * inch(axes)
    right = axes.get_xlim()[1] + step * (1 + column)
    top = np.mean(axes.get_ylim()) + step * row.max() / 2
    return np.stack([right, top - step * row], axis=1)


def _draw_values(figure, axes, points, values, value_name):
    """Draw codes coloured by a number, with the scale beside the map."""
    values = as_array("values", values, "N")
    require_same("values", len(values), "points", len(points))
    low, high = values.min(), values.max()
    if low == high:  # one value has the middle colour
        low, high = low - 0.5, high + 0.5
    scale = ScalarMappable(Normalize(low, high), colormaps["viridis"])
    draw_dots(axes, points, scale.to_rgba(values), gid="points")
    x0, y0, _, height = axes.get_position().bounds
    right, middle = x0 * WIDTH + SIDE + 0.12, (y0 + height / 4) * figure.get_figheight()
    side = place(figure, right, middle, 0.1, SIDE / 2, gid="scale")
    bar = figure.colorbar(scale, cax=side)
    bar.outline.set_visible(False)
    quiet_axes(side, spines=())
    side.set_xticks([])
    side.set_title(value_name, loc="left", pad=8, **font(10, GREY))


def _draw_component(axes, k, mean, half_axes, color, fill):
    """Draw the ellipse that holds what lies within two standard deviations of one Gaussian."""
    width, height = 2 * half_axes
    shape = {"xy": mean, "width": width, "height": height}
    face = Ellipse(**shape, facecolor=color, alpha=fill, linewidth=0)
    edge = Ellipse(**shape, fill=False, edgecolor=color, linewidth=1.2, gid=f"component:{k}")
    axes.add_patch(face)
    axes.add_patch(edge)
