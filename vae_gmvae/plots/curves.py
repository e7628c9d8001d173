"""Training curves: the ELBO and its terms over the epochs."""

import math

import numpy as np

from .style import (
    GREY,
    INK,
    PAPER,
    STROKE,
    TERM_COLORS,
    WIDTH,
    code_font,
    font,
    new_figure,
    place,
    quiet_axes,
    require_same,
)

UNIT = "nats per image"
LINE = 0.16  # inches between two lines of small type
STYLES = {
    "training": STROKE | {"linewidth": 1.1, "alpha": 0.6},
    "validation": STROKE | {"linewidth": 1.9, "alpha": 1.0},
}
WEIGHTS = {"training": {}, "validation": {"fontweight": "bold"}}  # as thin and thick as the lines


def training_curves(history, title=None):
    """Return one panel for the ELBO and one for each term: training and validation by epoch.

    The first tenth of a long run may leave a panel at an edge, so that the rest can be read.

    Args:
        history: lists of one length under the keys epoch, elbo, the names of terms, and the same
            with `val_`, in nats per image. What is not a term (a time, a rate) is left out.
    Raises:
        ValueError: no epochs, no ELBO, or lists of different lengths.
    """
    terms = _terms_in(history)
    head, foot, left, right, between = 0.32, 0.46, 0.74, 0.78, 0.6
    tall, low = 1.75, 1.3
    whole = WIDTH - left - right
    half = (whole - right - between) / 2
    rows = math.ceil((len(terms) - 1) / 2)
    figure = new_figure(foot + rows * (low + head + foot) + tall + head, title)
    for i, term in enumerate(terms):
        row, column = divmod(i + 1, 2) if i else (0, 0)
        bottom = foot + (rows - row) * (low + head + foot)
        x = left + column * (half + right + between)
        size = (half, low) if i else (whole, tall)
        axes = place(figure, x, bottom, *size, gid=f"panel:{term}")
        _draw_term(axes, history, term, height=size[1])
        axes.set_ylabel("" if column else UNIT, **font(9, GREY))
        axes.yaxis.set_label_coords(-0.58 / size[0], 0.5)
    return figure


def _terms_in(history):
    """Return the ELBO and the terms of a history, in the order of TERM_COLORS, after checks."""
    if len(history.get("epoch", ())) == 0 or "elbo" not in history:
        raise ValueError("history needs at least one epoch and the keys 'epoch' and 'elbo'.")
    terms = ["elbo", *(name for name in TERM_COLORS if name in history and name != "elbo")]
    for key in [*terms, *(f"val_{name}" for name in terms)]:
        if key in history:
            require_same(key, len(history[key]), "epoch", len(history["epoch"]))
    return terms


def _draw_term(axes, history, term, height):
    """Draw one term's training and validation lines, each named at its right end."""
    quiet_axes(axes, ticks=4)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel("epoch", labelpad=1, **font(9, GREY))
    name = "ELBO" if term == "elbo" else term
    axes.set_title(name, loc="left", pad=6, **code_font(9.5, TERM_COLORS[term]))
    epoch = np.asarray(history["epoch"], dtype=float)
    lines = {}
    for name, key in (("training", term), ("validation", f"val_{term}")):
        if key in history:
            values = np.asarray(history[key], dtype=float)
            lines[name] = np.where(np.isfinite(values), values, np.nan)
    _set_limits(axes, epoch, lines)
    for name, line in lines.items():
        dots = {"marker": "o", "markersize": 3.5} if len(epoch) < 12 else {}
        look = {"color": TERM_COLORS[term]} | STYLES[name] | dots
        axes.plot(epoch, line, label=name, **look)
    _name_lines(axes, lines, TERM_COLORS[term], LINE / height)
    _mark_gaps(axes, epoch, lines)


def _set_limits(axes, epoch, lines):
    """Fit a panel to its finite values after the first tenth of a run of 20 epochs or more."""
    start = len(epoch) // 10 if len(epoch) >= 20 else 0
    values = np.array(list(lines.values()))
    later = values[:, start:]
    values = later if np.isfinite(later).any() else values
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
    side = 0.02 * (epoch.max() - epoch.min()) or 0.5
    axes.set(xlim=(epoch.min() - side, epoch.max() + side), ylim=(low - pad, high + pad))


def _name_lines(axes, lines, color, gap):
    """Write each line's name right of its last finite value, at least `gap` of a panel apart."""
    low, high = axes.get_ylim()
    last = {k: line[np.isfinite(line)][-1] for k, line in lines.items() if np.isfinite(line).any()}
    heights = {k: np.clip((value - low) / (high - low), 0, 1) for k, value in last.items()}
    if len(heights) == 2:
        up, down = sorted(heights, key=heights.get, reverse=True)
        middle = (heights[up] + heights[down]) / 2
        half = max(heights[up] - heights[down], gap) / 2
        heights = {up: middle + half, down: middle - half}
    for name, y in heights.items():
        beside = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
        axes.annotate(name, (1, y), (5, 0), **beside, **font(9.5, color, **WEIGHTS[name]))


def _mark_gaps(axes, epoch, lines):
    """Cross the epochs, at the foot of the panel, where a line has no finite value."""
    gaps = epoch[np.isnan(list(lines.values())).any(axis=0)]
    if len(gaps):
        foot = {"transform": axes.get_xaxis_transform(), "color": INK}
        axes.plot(gaps, np.full(len(gaps), 0.06), "x", markersize=4, gid="not finite", **foot)
        paper = {"facecolor": PAPER, "alpha": 0.85, "linewidth": 0, "pad": 1}
        where = {"transform": axes.get_xaxis_transform(), "va": "bottom", "bbox": paper}
        axes.text(gaps[0], 0.12, "not finite", **where, **font(9))
