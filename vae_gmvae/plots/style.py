"""What all figures share: one width, one typeface, one palette, and the check of their input.

Every property is given where it is used: neither pyplot nor the global settings of matplotlib are
read or written, so a figure looks the same under any style. Lengths are inches, type is in points.
"""

import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

WIDTH = 6.4  # the same for every figure, so that type has one size throughout the book
DPI = 200
BADGE = 0.24  # inches, a label's diameter with some paper around it

INK = "#1f2430"
GREY = "#6b7280"
FAINT = "#c9cdd4"
PAPER = "#ffffff"

STROKE = {"linestyle": "-", "marker": ""}  # of every line, unless it says otherwise

# Ten colours at least 0.1 apart in OKLab, also for readers who lack one of the three cones.
DIGIT_COLORS = (
    "#2a2898",
    "#4471bd",
    "#52dbfa",
    "#00af82",
    "#006a0b",
    "#d6cb5c",
    "#e97200",
    "#b63a76",
    "#671e40",
    "#bd88fe",
)
# Dark enough for text on white (contrast at least 4.5), apart like the ten above.
TERM_COLORS = {
    "reconstruction": "#1d5fa8",
    "z_prior": "#85200e",
    "conditional_prior": "#b8506a",
    "w_prior": "#66056f",
    "y_prior": "#6f6f00",
    "elbo": INK,
}


class BookFigure(Figure):
    """A Figure that a notebook shows by itself, sharp on dense screens, without pyplot."""

    def _repr_png_(self):
        """Return the PNG and, for the front end, its width in CSS pixels (100 to the inch)."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue(), {"width": round(100 * self.get_figwidth())}


def new_figure(height, title=None):
    """Return an empty figure with `height` inches of room below its centred title.

    The invisible rectangle keeps the width when a notebook crops the figure to its contents.
    """
    head = 0.15 + 0.22 * len(title.splitlines()) if title else 0.0
    figure = BookFigure(figsize=(WIDTH, height + head), dpi=DPI, facecolor=PAPER)
    canvas = Rectangle((0, 0), 1, 1, fill=False, linewidth=0, transform=figure.transFigure)
    canvas.set_gid("canvas")
    figure.add_artist(canvas)
    if title:
        top = 1 - 0.1 / figure.get_figheight()
        figure.text(0.5, top, title, ha="center", va="top", gid="title", **font(13))
    return figure


def place(figure, left, bottom, width, height, **options):
    """Return new axes at a position in inches from the figure's lower left corner."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, bottom / h, width / w, height / h), **options)


def canvas_axes(figure, height):
    """Return bare axes over the lowest `height` inches whose data coordinates are inches."""
    axes = place(figure, 0, 0, WIDTH, height, xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    return axes


def font(size=10, color=INK, **options):
    """Return the text properties of the book's typeface, a serif that ships with matplotlib."""
    return {
        "fontfamily": "STIXGeneral",
        "math_fontfamily": "stix",
        "fontsize": size,
        "fontweight": "normal",
        "color": color,
    } | options


def code_font(size=9, color=INK, **options):
    """Return the text properties of names as they stand in the code."""
    return font(size, color, fontfamily="DejaVu Sans Mono") | options


def quiet_axes(axes, spines=("left", "bottom"), ticks=5):
    """Leave only the named spines, hair-thin, and a few ticks in the book's typeface."""
    axes.set_facecolor(PAPER)
    axes.grid(False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in spines, color=FAINT, linewidth=0.8)
    axes.tick_params(
        direction="out",
        length=3,
        width=0.8,
        pad=3,
        color=FAINT,
        labelcolor=GREY,
        labelsize=9,
        labelfontfamily="STIXGeneral",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(_tick)
        axis.set_minor_locator(NullLocator())
        axis.labelpad = 4


def _tick(value, _position):
    """Return a tick's number in full: no common factor or offset to look for elsewhere."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def draw_legend(axes, **options):
    """Name the labelled artists of `axes` in the book's typeface, without a frame."""
    type_ = {"family": "STIXGeneral", "size": 10}
    axes.legend(frameon=False, prop=type_, labelcolor=INK, handletextpad=0.3, **options)


def draw_badges(axes, places, names, colors, marker):
    """Draw labels [L] on their colours at [L, 2]: discs ("o") for digits, squares for clusters."""
    places = np.asarray(places, dtype=float)
    look = {"edgecolors": PAPER, "linewidths": 1.2, "zorder": 4, "clip_on": False}
    axes.scatter(*places.T, s=(66 * BADGE) ** 2, c=colors, marker=marker, gid="badges", **look)
    for (x, y), name, color in zip(places, names, colors):
        middle = {"ha": "center", "va": "center_baseline", "zorder": 5, "fontweight": "bold"}
        axes.text(x, y, str(name), **font(10, text_on(color), **middle))


def color_of(index):
    """Return the colour of a digit or cluster; after ten they repeat, and labels tell apart."""
    return DIGIT_COLORS[int(index) % len(DIGIT_COLORS)]


def text_on(color):
    """Return INK or PAPER, whichever reads better on `color` (WCAG relative luminance)."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return PAPER if linear @ [0.2126, 0.7152, 0.0722] < 0.19 else INK


def as_array(name, value, *shape):
    """Return `value` as a float array of the given shape; letters stand for any size above 0.

    Raises:
        ValueError: another rank or size, nothing in it, or a value that is not finite.
    """
    array = np.asarray(value, dtype=float)
    fits = array.ndim == len(shape) and all(
        have == want if isinstance(want, int) else have > 0
        for have, want in zip(array.shape, shape)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(
            f"{name} must have shape [{wanted}] with no empty axis; it has {list(array.shape)}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; only finite values can be drawn.")
    return array


def require_same(name, size, other_name, other_size):
    """Raise ValueError unless two inputs that belong together have the same size."""
    if size != other_size:
        raise ValueError(f"{name} and {other_name} must match; they have {size} and {other_size}.")
