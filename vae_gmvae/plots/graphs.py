"""Graphical models: how an image is generated, and how its causes are inferred."""

from typing import NamedTuple

from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from .style import FAINT, GREY, INK, PAPER, WIDTH, canvas_axes, font, new_figure

RADIUS = 0.23  # inches
SHADE = "#d5dae3"  # of what is observed
ROOM = 0.4  # inches from the middle of an outer node to the plate
FOOT = 0.55  # inches below the plate, for the factors
# Where each node stands, in inches from the middle of the plate's lower edge.
PLACES = {"x": (0.0, 0.5), "z": (0.0, 1.45), "w": (-0.7, 2.4), "y": (0.7, 2.4)}


class Graph(NamedTuple):
    """A directed graph over the nodes of PLACES.

    Each edge is two letters, parent and child; `parameters` gives, by the node they act on, the
    symbol and the side it stands on (-1 left, 1 right).
    """

    factors: str
    edges: tuple[str, ...]
    parameters: dict[str, tuple[str, int]]


# Generative and inference model of each kind. Without w, the cluster y stands above z.
GRAPHS = {
    "vae": (
        Graph(r"p(x,z) = p(z)\;p(x|z)", ("zx",), {"x": (r"\theta", -1)}),
        Graph(r"q(z|x)", ("xz",), {"z": (r"\phi", 1)}),
    ),
    "mixture": (
        Graph(
            r"p(x,z,y) = p(y)\;p(z|y)\;p(x|z)",
            ("yz", "zx"),
            {"z": ("m_k,v", 1), "x": (r"\theta", -1)},
        ),
        Graph(r"q(z|x)", ("xz",), {"z": (r"\phi", 1)}),
    ),
    "gmvae": (
        Graph(
            r"p(x,z,w,y) = p(w)\;p(y)\;p(z|w,y)\;p(x|z)",
            ("wz", "yz", "zx"),
            {"z": (r"\beta_z", 1), "x": (r"\theta", -1)},
        ),
        Graph(
            r"q(z,w,y|x) = q(z|x)\;q(w|x)\;p(y|w,z)",
            ("xz", "xw", "zy", "wy"),
            {"z": (r"\phi_z", 1), "w": (r"\phi_w", -1), "y": (r"\beta_y", 1)},
        ),
    ),
}


def graphical_model(model_kind):
    """Return the graphs of a model, generative on the left, inference on the right.

    Circles are variables, shaded where observed; dots are parameters; the plate repeats what is
    inside for each of the N images.

    Args:
        model_kind: "vae" (model1, model2), "mixture" (model3), "gmvae" (model4_bias, model5).
    Raises:
        ValueError: another kind.
    """
    if model_kind not in GRAPHS:
        raise ValueError(f"model_kind must be one of {list(GRAPHS)}; got {model_kind!r}.")
    generative, inference = GRAPHS[model_kind]
    nodes = {name for graph in (generative, inference) for edge in graph.edges for name in edge}
    places = {name: PLACES[name] for name in nodes}
    if "w" not in nodes and "y" in nodes:
        places["y"] = (0.0, PLACES["y"][1])
    top = max(y for _, y in places.values()) + ROOM
    height = FOOT + top + 0.45
    figure = new_figure(height)
    axes = canvas_axes(figure, height)
    for middle, name, graph in (
        (0.255, "generative model", generative),
        (0.735, "inference model", inference),
    ):
        axes.text(middle * WIDTH, height - 0.2, name, ha="center", va="center", **font(12))
        _draw_graph(axes, graph, places, (middle * WIDTH, FOOT), top, name.split()[0])
    return figure


def _draw_graph(axes, graph, places, origin, top, gid):
    """Draw one graph with its plate, parameters and factors; `gid` begins its artists' ids."""
    left, bottom = origin
    nodes = {name for edge in graph.edges for name in edge}
    half = max(abs(x) for x, _ in places.values()) + ROOM
    _draw_plate(axes, left - half, bottom, 2 * half, top, f"{gid} plate")
    circles = {}
    for name in sorted(nodes):
        x, y = places[name]
        circles[name] = _draw_node(axes, (left + x, bottom + y), name, f"{gid} node:{name}")
    for parent, child in graph.edges:
        _draw_arrow(axes, circles[parent], circles[child], f"{gid} edge:{parent}->{child}")
    for child, (symbol, side) in graph.parameters.items():
        at = (left + side * (half + 0.2), bottom + places[child][1])
        dot = _draw_parameter(axes, at, symbol, side, f"{gid} parameter:{symbol}")
        _draw_arrow(axes, dot, circles[child], f"{gid} edge:{symbol}->{child}")
    axes.text(left, 0.3, f"${graph.factors}$", ha="center", va="center", **font(12))


def _draw_plate(axes, left, bottom, width, height, gid):
    """Draw the plate, N in its lower right corner."""
    corners = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, height, corners, fill=False, edgecolor=FAINT, lw=1.2, gid=gid
        )
    )
    inside = {"ha": "right", "va": "bottom"}
    axes.text(left + width - 0.1, bottom + 0.07, "$N$", **inside, **font(12, GREY))


def _draw_node(axes, at, name, gid):
    """Draw a variable and return its circle; x is observed."""
    fill = SHADE if name == "x" else PAPER
    circle = Circle(at, RADIUS, facecolor=fill, edgecolor=INK, linewidth=1.2, gid=gid)
    axes.add_patch(circle)
    axes.text(*at, f"${name}$", ha="center", va="center", **font(15))
    return circle


def _draw_parameter(axes, at, symbol, side, gid):
    """Draw a parameter as a dot with its symbol on the outer side, and return the dot."""
    dot = Circle(at, 0.035, facecolor=INK, linewidth=0, gid=gid)
    axes.add_patch(dot)
    outside = {"ha": "left" if side > 0 else "right", "va": "center"}
    axes.text(at[0] + 0.09 * side, at[1], f"${symbol}$", **outside, **font(13))
    return dot


def _draw_arrow(axes, start, end, gid):
    """Draw an arrow from the rim of one circle to the rim of another."""
    arrow = {"arrowstyle": "-|>,head_width=0.28,head_length=0.55", "mutation_scale": 12}
    ends = {"patchA": start, "patchB": end, "shrinkA": 0, "shrinkB": 0}
    line = {"color": INK, "linewidth": 1.2, "gid": gid}
    axes.add_patch(FancyArrowPatch(start.center, end.center, **arrow, **ends, **line))
