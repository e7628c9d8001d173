"""The ELBO of each model as an equation, every term in its colour over its name in the code."""

from typing import NamedTuple

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from .style import GREY, INK, TERM_COLORS, WIDTH, canvas_axes, code_font, font, new_figure

SIZE = 15  # points
SPACE = 0.1  # inches between two pieces
UNDER = 0.46  # inches below a line of the equation, for braces and names
# The mathematics of each term by its name in the code: first what is gained, then the costs.
EQUATIONS = {
    "vae": {
        "reconstruction": r"\mathrm{E}_{q(z|x)}\left[\,\log p(x|z)\,\right]",
        "z_prior": r"\mathrm{KL}\left(\,q(z|x)\;\Vert\;p(z)\,\right)",
    },
    "mixture": {
        "reconstruction": r"\mathrm{E}_{q(z|x)}\left[\,\log p(x|z)\,\right]",
        "z_prior": r"\mathrm{E}_{q(z|x)}\left[\,\log q(z|x)\,-\,"
        r"\log\,\sum_k\;\dfrac{1}{K}\,\mathcal{N}(z;\,m_k,\,v\,I)\,\right]",
    },
    "gmvae": {
        "reconstruction": r"\mathrm{E}_{q}\left[\,\log p(x|z)\,\right]",
        "conditional_prior": r"\mathrm{E}_{q}\left[\,\sum_k\;p(y_k|w,z)\,"
        r"\log\,\dfrac{q(z|x)}{p(z|w,y_k)}\,\right]",
        "w_prior": r"\mathrm{KL}\left(\,q(w|x)\;\Vert\;p(w)\,\right)",
        "y_prior": r"\mathrm{E}_{q}\left[\,"
        r"\mathrm{KL}\left(\,p(y|w,z)\;\Vert\;p(y)\,\right)\,\right]",
    },
}
NOTES = {
    "vae": "",
    "mixture": r"$m_k$ and $v$: the fixed means and variance of the $K$ components",
    "gmvae": r"$\mathrm{E}_q$: the mean over $q(z|x)\,q(w|x)$",
}


class Piece(NamedTuple):
    """A stretch of the equation, its size in inches; `name` is the term it is, or None."""

    formula: str
    name: str | None
    width: float  # with the space that follows
    ascent: float  # above the baseline
    descent: float  # below it


def elbo_equation(model_kind):
    """Return the ELBO of a model: reconstruction and regularisers in their colours, named.

    Args:
        model_kind: "vae" (model1, model2), "mixture" (model3), "gmvae" (model4_bias, model5).
    Raises:
        ValueError: another kind.
    """
    if model_kind not in EQUATIONS:
        raise ValueError(f"model_kind must be one of {list(EQUATIONS)}; got {model_kind!r}.")
    lines = _break_lines(_pieces(EQUATIONS[model_kind]), WIDTH - 0.4)
    ascents = [max(piece.ascent for piece in line) for line in lines]
    descents = [max(piece.descent for piece in line) for line in lines]
    foot = 0.4 if NOTES[model_kind] else 0.12
    height = foot + sum(ascents) + sum(descents) + UNDER * len(lines)
    figure = new_figure(height)
    axes = canvas_axes(figure, height)
    indents = [0.0] + [lines[0][0].width] * (len(lines) - 1)
    widths = [sum(piece.width for piece in line) for line in lines]
    left = (WIDTH - max(np.add(widths, indents)) + SPACE) / 2
    top = height - 0.06
    for line, indent, ascent, descent in zip(lines, indents, ascents, descents):
        _draw_line(axes, line, left + indent, top - ascent, descent)
        top -= ascent + descent + UNDER
    axes.text(WIDTH / 2, 0.1, NOTES[model_kind], ha="center", va="baseline", **font(10, GREY))
    return figure


def _pieces(equation):
    """Return the equation as pieces: "ELBO =", a term, a minus sign, a term and so on."""
    pieces = [_piece(r"\mathrm{ELBO}\;=")]
    for i, (name, formula) in enumerate(equation.items()):
        pieces += [_piece("-")] if i else []
        pieces.append(_piece(formula, name))
    return pieces


def _piece(formula, name=None):
    """Return a piece with its size."""
    properties = FontProperties(
        family="STIXGeneral", math_fontfamily="stix", weight="normal", size=SIZE
    )
    box = TextPath((0, 0), f"${formula}$", prop=properties).get_extents()
    return Piece(formula, name, box.x1 / 72 + SPACE, box.y1 / 72, -box.y0 / 72)


def _break_lines(pieces, room):
    """Return the pieces in lines no wider than `room`, broken before a minus sign."""
    lines, indent = [[]], pieces[0].width
    for i, piece in enumerate(pieces):
        ahead = sum(p.width for p in pieces[i : i + 2])  # a sign stays with its term
        used = sum(p.width for p in lines[-1]) + (indent if len(lines) > 1 else 0)
        if piece.formula == "-" and used + ahead > room:
            lines.append([])
        lines[-1].append(piece)
    return lines


def _draw_line(axes, line, x, baseline, descent):
    """Write one line of the equation from `x` on, a brace and a name under each term."""
    brace = baseline - descent - 0.06
    for formula, name, width, *_ in line:
        color = TERM_COLORS[name] if name else INK
        axes.text(x, baseline, f"${formula}$", va="baseline", **font(SIZE, color))
        if name:
            end = x + width - SPACE
            axes.add_patch(_brace(x, end, brace, color, gid=f"brace:{name}"))
            below = {"ha": "center", "va": "top"}
            axes.text((x + end) / 2, brace - 0.11, name, **below, **code_font(9, color))
        x += width


def _brace(left, right, top, color, gid):
    """Return a horizontal curly brace, its point down, 0.09 inches high."""
    middle, bend, deep = (left + right) / 2, 0.06, 0.045
    corners = [
        (left, top),
        *[(left, top - deep), (left + bend, top - deep)],
        (middle - bend, top - deep),
        *[(middle, top - deep), (middle, top - 2 * deep)],
        *[(middle, top - deep), (middle + bend, top - deep)],
        (right - bend, top - deep),
        *[(right, top - deep), (right, top)],
    ]
    half = [Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3]
    return PathPatch(
        Path(corners, [Path.MOVETO, *half, *half]), fill=False, edgecolor=color, lw=1, gid=gid
    )
