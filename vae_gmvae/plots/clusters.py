"""Clusters against digits, and what one image is assigned to."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex

from .style import (
    GREY,
    INK,
    PAPER,
    WIDTH,
    as_array,
    draw_legend,
    font,
    new_figure,
    place,
    quiet_axes,
    require_same,
    text_on,
)

FIRST, SECOND = "#1d5fa8", "#e97200"
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, "#9db8dd", "#1d5fa8", "#12345f"])


def cluster_confusion(counts, title=None, digits=None, sort=True):
    """Return a table of how many images of each digit every cluster holds, shaded by share.

    Args:
        counts: [K, L], the number of images in cluster k with label l.
        digits: names of the L labels; by default 0 to L - 1.
        sort: order the clusters by their commonest digit, so that a good clustering is a diagonal.
    Raises:
        ValueError: another shape, counts below zero or not whole, not one name per label.
    """
    counts = as_array("counts", counts, "K", "L")
    if (counts < 0).any() or (counts != np.round(counts)).any():
        raise ValueError("counts must be whole numbers of images, none below zero.")
    digits = range(counts.shape[1]) if digits is None else digits
    require_same("digits", len(digits), "columns of counts", counts.shape[1])
    clusters = np.arange(len(counts))
    if sort:
        empty = counts.sum(axis=1) == 0
        clusters = np.lexsort((-counts.max(axis=1), counts.argmax(axis=1), empty))
    left, right, head, row = 0.8, 0.7, 0.6, 0.32
    width = min(0.46 * counts.shape[1], WIDTH - left - right)
    figure = new_figure(row * len(counts) + head + 0.1, title)
    middle = (WIDTH - left - right - width) / 2
    axes = place(figure, left + middle, 0.1, width, row * len(counts), gid="table")
    _draw_table(axes, counts[clusters])
    _name_table(axes, clusters, digits, counts[clusters].sum(axis=1))
    return figure


def responsibilities_bars(y_prob, other=None, title=None, names=("network", "Bayes")):
    """Return the probabilities of the K clusters for one image as bars, one or two for each.

    Args:
        y_prob: [K], for instance p(y|w,z) as the network gives it.
        other: [K] to compare with, for instance by Bayes' rule, or None.
        names: what the two are called.
    Raises:
        ValueError: another shape, different K, or numbers that are not probabilities.
    """
    rows = [as_array("y_prob", y_prob, "K")]
    if other is not None:
        rows.append(as_array("other", other, "K"))
        require_same("y_prob", len(rows[0]), "other", len(rows[1]))
    for row in rows:
        if row.min() < 0 or abs(row.sum() - 1) > 1e-3:
            raise ValueError(f"probabilities must be at least 0 and sum to 1; got {row}.")
    foot, height, left, right = 0.5, 1.7, 0.7, 0.2
    figure = new_figure(foot + height + 0.3, title)
    axes = place(figure, left, foot, WIDTH - left - right, height, gid="bars")
    quiet_axes(axes, ticks=4)
    k = np.arange(len(rows[0]))
    axes.set(xlim=(-0.6, len(k) - 0.4), ylim=(0, 1), xticks=k)
    axes.set_xlabel("cluster $k$", **font(10, GREY))
    axes.set_ylabel("probability", **font(10, GREY))
    width = 0.8 / len(rows)
    for i, (row, color, name) in enumerate(zip(rows, (FIRST, SECOND), names)):
        offset = (i - (len(rows) - 1) / 2) * width
        axes.bar(k + offset, row, width, color=color, linewidth=0, label=name, gid=f"bars:{i}")
    if other is not None:
        draw_legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, handlelength=0.8)
    return figure


def _draw_table(axes, counts):
    """Draw counts [K, L] as cells shaded by their share of the cluster; zeros stay empty."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    options = {"cmap": SHADES, "vmin": 0, "vmax": 1, "edgecolors": PAPER, "linewidth": 1.5}
    axes.pcolormesh(shares, **options)
    axes.set(xlim=(0, counts.shape[1]), ylim=(len(counts), 0))
    for row, column in np.argwhere(counts > 0):
        color = text_on(to_hex(SHADES(shares[row, column])))
        middle = {"ha": "center", "va": "center_baseline"}
        text = f"{counts[row, column]:.0f}"
        axes.text(column + 0.5, row + 0.5, text, **middle, **font(9.5, color))


def _name_table(axes, clusters, digits, sizes):
    """Name the rows by cluster and size, the columns by digit, above the table."""
    quiet_axes(axes, spines=())
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=11, labelcolor=INK)
    axes.set_xticks(np.arange(len(digits)) + 0.5, [str(digit) for digit in digits])
    axes.set_yticks(np.arange(len(clusters)) + 0.5, [str(k) for k in clusters])
    axes.set_ylabel("cluster $k$", **font(11, GREY))
    axes.set_xlabel("digit", labelpad=6, **font(11, GREY))
    axes.xaxis.set_label_position("top")
    beside = {"transform": axes.get_yaxis_transform(), "ha": "right"}
    column = ["images", *(f"{size:.0f}" if size else "unused" for size in sizes)]
    for row, text in enumerate(column, start=-1):
        axes.text(1.13, row + 0.5, text, va="center_baseline", **beside, **font(9.5, GREY))
