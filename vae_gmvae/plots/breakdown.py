"""The ELBO as a sum: a waterfall from the reconstruction through each cost."""

import numpy as np

from .style import (
    FAINT,
    GREY,
    PAPER,
    STROKE,
    TERM_COLORS,
    WIDTH,
    code_font,
    font,
    new_figure,
    place,
    quiet_axes,
)

ROW = 0.38  # inches


def elbo_breakdown(terms, title=None):
    """Return a waterfall: the reconstruction, what each regulariser takes off it, the ELBO.

    Every bar has its true length. Where the costs are small beside the reconstruction, the axis
    shows their end of it alone and a cut marks the two long bars.

    Args:
        terms: mean of each term in nats per image by name, reconstruction first.
    Raises:
        ValueError: no cost, the reconstruction not first, or a value that is not finite.
    """
    names, values = list(terms), np.array(list(terms.values()), dtype=float)
    if len(names) < 2 or names[0] != "reconstruction":
        raise ValueError(f"terms must be the reconstruction, then the costs; got {names}.")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"terms must be finite numbers in nats; got {dict(terms)}.")
    levels = values[0] - np.concatenate([[0.0], np.cumsum(values[1:])])  # the last is the ELBO
    names.append("elbo")
    starts = np.concatenate([[0.0], levels[:-1], [0.0]])
    ends = np.append(levels, levels[-1])
    foot, left, right = 0.5, 1.75, 0.25
    figure = new_figure(ROW * len(names) + foot + 0.06, title)
    axes = place(figure, left, foot, WIDTH - left - right, ROW * len(names), gid="waterfall")
    quiet_axes(axes, spines=("bottom",))
    axes.set(xlim=_window(levels), ylim=(len(names) - 0.45, -0.55), yticks=[])
    axes.set_xlabel("nats per image", **font(10, GREY))
    for row, bar in enumerate(zip(names, starts, ends)):
        _draw_bar(axes, row, *bar)
    _join(axes, ends)
    return figure


def _window(levels):
    """Return limits that show zero, unless the costs would then fill less than a quarter."""
    low, high = levels.min(), levels.max()
    if high - low > 0.25 * max(high, -low):
        low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.3 * (high - low) or 1.0
    return low - pad, high + pad


def _draw_bar(axes, row, name, start, end):
    """Draw one bar with its name on the left and, beside it, its value in nats."""
    color = TERM_COLORS.get(name, GREY)
    axes.barh(row, end - start, 0.62, start, color=color, linewidth=0, gid=f"bar:{name}")
    total = name in ("reconstruction", "elbo")
    label = {"reconstruction": name, "elbo": "= ELBO"}.get(name, f"\N{MINUS SIGN} {name}")
    beside = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
    axes.text(-0.02, row, label, **beside, **code_font(9.5, color))
    low, high = axes.get_xlim()
    right = max(start, end)
    at, offset, side = (right, 5, "left") if right <= high else (min(start, end), -5, "right")
    value = f"{end - start:{'' if total else '+'},.2f}".replace("-", "\N{MINUS SIGN}")
    beside = {"textcoords": "offset points", "ha": side, "va": "center"}
    axes.annotate(value, (at, row), (offset, 0), **beside, **font(10, color))
    if total and not low <= 0 <= high:
        _draw_cut(axes, row, 0.02 if low > 0 else 0.98)


def _draw_cut(axes, row, x):
    """Cross a bar with two slanted strokes: it goes on to zero beyond the axis."""
    for shift in (-0.006, 0.006):
        ends = (x + shift - 0.006, x + shift + 0.006), (row + 0.42, row - 0.42)
        look = STROKE | {"color": PAPER, "linewidth": 1.5, "gid": "cut"}
        axes.plot(*ends, transform=axes.get_yaxis_transform(), **look)


def _join(axes, ends):
    """Lead the eye from the end of each bar to the beginning of the next."""
    for row, end in enumerate(ends[:-1]):
        look = STROKE | {"color": FAINT, "linewidth": 0.8, "zorder": 0}
        axes.plot([end, end], [row - 0.31, row + 1.31], **look)
