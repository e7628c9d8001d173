"""The ELBO as a sum, as an equation, as a graph, read back from their artists."""

import re

import numpy as np
import pytest
from figures import COSTS, TERMS, axes_of, by_gid, texts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba
from matplotlib.path import Path
from numpy.testing import assert_allclose

from vae_gmvae import plots
from vae_gmvae.plots.style import PAPER, TERM_COLORS


@pytest.mark.parametrize("reconstruction", [1403.2, -372.3, 3.0, -1.0])
def test_waterfall_leads_from_the_reconstruction_to_the_elbo(reconstruction):
    terms = TERMS | {"reconstruction": reconstruction, "conditional_prior": -1.5}
    figure = plots.elbo_breakdown(terms)
    bars = {name: bar for name, bar in by_gid(figure, "bar:.*").items()}
    spans = {name[4:]: (bar.get_x(), bar.get_x() + bar.get_width()) for name, bar in bars.items()}
    assert list(spans) == [*terms, "elbo"]
    elbo = terms["reconstruction"] - sum(terms[name] for name in COSTS)
    assert_allclose(spans["reconstruction"], (0, reconstruction))
    assert_allclose(spans["elbo"], (0, elbo))
    level = reconstruction
    for name in COSTS:
        assert_allclose(spans[name], (level, level - terms[name]))
        level -= terms[name]
    for name, bar in bars.items():
        assert to_hex(bar.get_facecolor()) == TERM_COLORS[name[4:]]
    numbers = [text.replace("\N{MINUS SIGN}", "-").replace(",", "") for text in texts(figure)]
    for value in (f"{reconstruction:.2f}", f"{elbo:.2f}", "+1.50", "-4.20", "-2.11"):
        assert value in numbers


def test_waterfall_shows_every_cost_and_cuts_only_what_it_cannot_show():
    near = plots.elbo_breakdown(TERMS)
    low, high = axes_of(near, "waterfall").get_xlim()
    assert low < 1382.58 and high > 1403.2 and low > 0
    assert len([line for line in axes_of(near, "waterfall").lines if line.get_gid() == "cut"]) == 4
    whole = plots.elbo_breakdown({"reconstruction": -70.0, "z_prior": 30.0})
    low, high = axes_of(whole, "waterfall").get_xlim()
    assert low < -100 and high > 0
    assert not by_gid(whole, "cut")


# The terms of each model as notation.md writes them, without spacing.
EQUATIONS = {
    "vae": {"reconstruction": "E[log p(x|z)]", "z_prior": "KL(q(z|x)||p(z))"},
    "mixture": {
        "reconstruction": "E[log p(x|z)]",
        "z_prior": "E[log q(z|x) - log sum_k 1/K N(z; m_k, v I)]",
    },
    "gmvae": {
        "reconstruction": "E[log p(x|z)]",
        "conditional_prior": "E[sum_k p(y_k|w,z) log q(z|x)/p(z|w,y_k)]",
        "w_prior": "KL(q(w|x)||p(w))",
        "y_prior": "E[KL(p(y|w,z)||p(y))]",
    },
}


def plain(formula):
    """Return mathtext without what is only typography."""
    formula = re.sub(r"\\d?frac\{(.*?)\}\{(.*?)\}", r"\1/\2", formula)
    formula = re.sub(r"\\mathrm\{(\w+)\}(_\{q[^}]*\})?", r"\1", formula)
    formula = re.sub(r"\\mathcal\{(\w)\}", r"\1", formula.replace(r"\Vert", "||"))
    formula = re.sub(r"\\left|\\right|\\[,;!]|\\(?=log|sum)|\$|\s", "", formula)
    return formula


@pytest.mark.parametrize("kind", EQUATIONS)
def test_equation_names_every_term_in_its_colour_gain_first_then_costs(kind):
    figure = plots.elbo_equation(kind)
    artists = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    read = sorted(artists, key=lambda text: (-round(text.get_position()[1]), text.get_position()))
    formulas = [plain(text.get_text()) for text in artists if text.get_color() != "#6b7280"]
    expected = ["ELBO="]
    for i, (name, formula) in enumerate(EQUATIONS[kind].items()):
        expected += ["-"] * (i > 0) + [formula.replace(" ", ""), name]
    assert formulas == expected
    for name in EQUATIONS[kind]:
        label = next(text for text in read if text.get_text() == name)
        formula = artists[artists.index(label) - 1]
        assert {label.get_color(), formula.get_color()} == {TERM_COLORS[name]}
        brace = by_gid(figure, f"brace:{name}")[f"brace:{name}"]
        assert to_hex(brace.get_edgecolor()) == TERM_COLORS[name]
        span = brace.get_path().get_extents()
        assert span.x0 <= label.get_position()[0] <= span.x1
        assert_allclose(span.x0, formula.get_position()[0])


@pytest.mark.parametrize("kind", EQUATIONS)
def test_braces_are_as_wide_as_the_terms_above_them(kind):
    figure = plots.elbo_equation(kind)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for gid, brace in by_gid(figure, "brace:.*").items():
        color = TERM_COLORS[gid.removeprefix("brace:")]
        formula = next(t for t in figure.axes[0].texts if t.get_color() == color)
        wide = formula.get_window_extent(canvas.get_renderer())
        span = brace.get_path().get_extents()
        pixels = figure.axes[0].transData.transform([(span.x0, span.y1), (span.x1, span.y1)])
        assert_allclose(pixels[:, 0], [wide.x0, wide.x1], atol=0.06 * figure.dpi)
        assert pixels[0, 1] < wide.y0


EDGES = {
    "vae": ({"zx"}, {"xz"}),
    "mixture": ({"yz", "zx"}, {"xz"}),
    "gmvae": ({"wz", "yz", "zx"}, {"xz", "xw", "zy", "wy"}),
}


def arrow_ends(figure, panel):
    """Return {(parent, child)} read off the drawn arrows: whose rims their two ends lie on."""
    circles = by_gid(figure, f"{panel} (node|parameter):.*")
    ends = set()
    for arrow in by_gid(figure, f"{panel} edge:.*").values():
        path = arrow.get_path()  # in data units: the shaft, then the head
        outline = path.vertices[path.codes != Path.CLOSEPOLY]
        tip = outline[np.linalg.norm(outline - outline[0], axis=1).argmax()]
        ends.add((touching(circles, outline[0]), touching(circles, tip)))
    return ends


def touching(circles, point):
    """Return the name of the one circle whose rim is near a point."""
    near = [
        gid.split(":")[1]
        for gid, circle in circles.items()
        if abs(np.hypot(*(circle.center - point)) - circle.radius) < 0.03
    ]
    assert len(near) == 1, (point, near)
    return near[0]


@pytest.mark.parametrize("kind", EDGES)
@pytest.mark.parametrize("index, panel", [(0, "generative"), (1, "inference")])
def test_arrows_join_the_variables_of_the_factors(kind, index, panel):
    figure = plots.graphical_model(kind)
    FigureCanvasAgg(figure).draw()
    ends = arrow_ends(figure, panel)
    assert {a + b for a, b in ends if a in "xzwy"} == EDGES[kind][index]
    left = figure.axes[0].get_xlim()[1] / 2
    (factors,) = [
        text.get_text()
        for text in figure.axes[0].texts
        if "(" in text.get_text() and (text.get_position()[0] > left) == bool(index)
    ]
    right_side = plain(factors).split("=")[-1]
    conditionals = re.findall(r"[pq]\((\w)\|([\w,]+)\)", right_side)
    assert {p + child for child, given in conditionals for p in given.split(",")} == EDGES[kind][
        index
    ]


@pytest.mark.parametrize("kind", EDGES)
def test_variables_lie_in_the_plate_parameters_outside_and_x_is_shaded(kind):
    figure = plots.graphical_model(kind)
    for panel in ("generative", "inference"):
        plate = by_gid(figure, f"{panel} plate")[f"{panel} plate"].get_bbox()
        for gid, circle in by_gid(figure, f"{panel} node:.*").items():
            assert plate.contains(*circle.center)
            shaded = to_rgba(circle.get_facecolor())[:3] != to_rgba(PAPER)[:3]
            assert shaded == gid.endswith(":x")
        parameters = by_gid(figure, f"{panel} parameter:.*")
        assert parameters
        assert not any(plate.contains(*dot.center) for dot in parameters.values())
