"""Every figure: its size, its type, its independence; and what is refused."""

import inspect
import io
import subprocess
import sys

import matplotlib
import matplotlib.style
import numpy as np
import pytest
from figures import FIGURES, TERMS, by_gid, history, images, plain_png, png, png_size
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from vae_gmvae import plots
from vae_gmvae.plots.style import WIDTH


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_saves_as_png_and_pdf_at_the_common_width(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    data = plain_png(name)
    assert data.startswith(b"\x89PNG")
    assert png_size(data)[0] == round(WIDTH * figure.dpi)
    pdf = io.BytesIO()
    figure.savefig(pdf, format="pdf")
    assert pdf.getvalue().startswith(b"%PDF")


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_or_covers_another(name):
    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = set(hidden_ticks(figure))
    shown = [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in hidden
    ]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in shown]
    width, height = canvas.get_width_height()
    for text, box in zip(shown, boxes):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, f"{text.get_text()!r} leaves the figure: {box}"
    for i, box in enumerate(boxes):
        for j in range(i):
            overlap = min(box.x1, boxes[j].x1) - max(box.x0, boxes[j].x0)
            deep = min(box.y1, boxes[j].y1) - max(box.y0, boxes[j].y0)
            pair = shown[i].get_text(), shown[j].get_text()
            assert overlap <= 1 or deep <= 1, f"{pair} overlap by {overlap:.0f} x {deep:.0f}"


def hidden_ticks(figure):
    """Return the labels of ticks that are not drawn: beyond the limits, or of axes without."""
    for axes in figure.axes:
        for axis, labels, limits in (
            (0, axes.get_xticklabels(which="both"), axes.get_xlim()),
            (1, axes.get_yticklabels(which="both"), axes.get_ylim()),
        ):
            for label in labels:
                inside = min(limits) <= label.get_position()[axis] <= max(limits)
                if not (axes.axison and inside):
                    yield label


FOREIGN = {
    "axes.grid": True,
    "axes.linewidth": 4,
    "axes.spines.left": False,
    "axes.titlelocation": "right",
    "axes.labelpad": 20,
    "axes.unicode_minus": False,
    "axes.xmargin": 0.3,
    "font.family": "monospace",
    "font.size": 20,
    "image.cmap": "jet",
    "image.interpolation": "bicubic",
    "image.origin": "lower",
    "legend.frameon": True,
    "legend.fontsize": 20,
    "lines.linewidth": 5,
    "lines.linestyle": "--",
    "lines.marker": "s",
    "mathtext.fontset": "cm",
    "patch.edgecolor": "red",
    "patch.linewidth": 5,
    "scatter.marker": "s",
    "xtick.direction": "in",
    "xtick.major.size": 9,
    "ytick.minor.visible": True,
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_depends_on_or_changes_the_global_settings(name):
    plain = plain_png(name)
    with matplotlib.style.context(["dark_background", FOREIGN]):
        before = dict(matplotlib.rcParams)
        assert png(FIGURES[name]()) == plain
        assert dict(matplotlib.rcParams) == before


def test_importing_the_figures_loads_no_pyplot_and_no_keras():
    code = (
        "import sys, vae_gmvae.plots\n"
        "loaded = {'matplotlib.pyplot', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(loaded)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_notebook_shows_a_figure_without_pyplot():
    data, metadata = plots.elbo_equation("vae")._repr_png_()
    assert png_size(data)[0] == round(WIDTH * 200)
    assert metadata == {"width": round(WIDTH * 100)}


def test_cropping_keeps_the_width_so_that_type_keeps_its_size():
    figure = plots.image_grid(images(4, 28, 28))
    cropped = png(figure, bbox_inches="tight", pad_inches=0)
    assert abs(png_size(cropped)[0] - WIDTH * figure.dpi) <= 2


def test_titles_are_shown():
    for make in (plots.elbo_breakdown, plots.training_curves):
        given_data = TERMS if make is plots.elbo_breakdown else history(3)
        assert by_gid(make(given_data, title="What is seen"), "title")["title"].get_text() == (
            "What is seen"
        )
        assert not by_gid(make(given_data), "title")


POINTS = np.zeros((3, 2))
REFUSED = {
    "image_grid rank": (lambda: plots.image_grid(images(5, 28)), r"images .*\[5, 28, 1\]"),
    "image_grid colour": (lambda: plots.image_grid(np.zeros((5, 4, 4, 3))), "images must"),
    "image_grid empty": (lambda: plots.image_grid(np.zeros((0, 4, 4, 1))), "no empty axis"),
    "image_grid NaN": (lambda: plots.image_grid(np.full((1, 4, 4, 1), np.nan)), "images holds NaN"),
    "image_grid rows": (lambda: plots.image_grid(images(2, 4, 4), rows=0), "rows must be at least"),
    "cluster_grids rank": (lambda: plots.cluster_grids(images(5, 4, 4)), "images must"),
    "cluster_grids titles": (lambda: plots.cluster_grids(images(2, 1, 4, 4), ["a"]), "titles and"),
    "cluster_grids columns": (
        lambda: plots.cluster_grids(images(2, 1, 4, 4), columns=0),
        "columns must be at least 1",
    ),
    "reconstructions": (
        lambda: plots.reconstructions(images(3, 4, 4), images(2, 4, 4)),
        "x and x_mean must match",
    ),
    "reconstructions columns": (
        lambda: plots.reconstructions(images(3, 4, 4), images(3, 4, 4), columns=0),
        "columns must be at least 1",
    ),
    "scatter dimensions": (lambda: plots.latent_scatter(np.zeros((3, 5))), r"points .*\[3, 5\]"),
    "scatter labels": (lambda: plots.latent_scatter(POINTS, [1, 2]), "labels and points"),
    "scatter fractions": (lambda: plots.latent_scatter(POINTS, [0.5, 1, 2]), "whole numbers"),
    "scatter values": (lambda: plots.latent_scatter(POINTS, values=[1.0]), "values and points"),
    "scatter both": (lambda: plots.latent_scatter(POINTS, [1] * 3, [1] * 3), "give one of them"),
    "components": (lambda: plots.mixture_components(POINTS, POINTS[:2]), "means and logvars"),
    "components labels": (
        lambda: plots.mixture_components(POINTS, POINTS, labels=[1]),
        "there are no points",
    ),
    "curves empty": (lambda: plots.training_curves({"epoch": [], "elbo": []}), "one epoch"),
    "curves elbo": (lambda: plots.training_curves({"epoch": [1]}), "'elbo'"),
    "curves lengths": (
        lambda: plots.training_curves({"epoch": [1, 2], "elbo": [1.0, 2.0], "val_elbo": [1.0]}),
        "val_elbo and epoch must match",
    ),
    "breakdown order": (
        lambda: plots.elbo_breakdown({"z_prior": 1.0, "reconstruction": 2.0}),
        "reconstruction, then the costs",
    ),
    "breakdown costs": (lambda: plots.elbo_breakdown({"reconstruction": 2.0}), "then the costs"),
    "breakdown NaN": (
        lambda: plots.elbo_breakdown({"reconstruction": 2.0, "z_prior": np.nan}),
        "finite numbers",
    ),
    "equation": (lambda: plots.elbo_equation("model1"), "'model1'"),
    "graph": (lambda: plots.graphical_model("model1"), "'model1'"),
    "confusion rank": (lambda: plots.cluster_confusion([1, 2]), "counts must"),
    "confusion negative": (lambda: plots.cluster_confusion([[1, -2]]), "whole numbers"),
    "confusion names": (lambda: plots.cluster_confusion([[1, 2]], digits=["a"]), "digits and"),
    "bars sum": (lambda: plots.responsibilities_bars([0.5, 0.6]), "sum to 1"),
    "bars K": (lambda: plots.responsibilities_bars([0.5, 0.5], [1.0]), "y_prob and other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused_by_name(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_every_public_function_is_drawn_here():
    functions = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))}
    assert functions == {name.split()[0] for name in FIGURES}
