"""The figures: what they show is read back from their artists and compared with what was given."""

import functools
import inspect
import io
import re
import subprocess
import sys

import matplotlib
import matplotlib.style
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

from vae_gmvae import plots
from vae_gmvae.plots.images import GAP, mosaic
from vae_gmvae.plots.maps import spread
from vae_gmvae.plots.style import DIGIT_COLORS, INK, PAPER, TERM_COLORS, WIDTH, text_on

COSTS = ("conditional_prior", "w_prior", "y_prior")


def images(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 1))


def separated(count=200, classes=10, seed=0):
    """Return codes [count, 2] in tight classes on a circle, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    angle = 2 * np.pi * labels / classes
    points = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + 0.3 * rng.normal(size=points.shape), labels


def mixed(count=200, classes=10, seed=0):
    """Return codes [count, 2] that say nothing about their labels."""
    points = np.random.default_rng(seed).normal(size=(count, 2))
    return points, np.arange(count) % classes


def history(epochs, costs=COSTS, seed=0):
    """Return a history whose terms add up to its ELBO."""
    rng = np.random.default_rng(seed)
    lists = {"epoch": list(range(1, epochs + 1)), "seconds": [3.0] * epochs}
    for prefix in ("", "val_"):
        rise = 1400 - 900 * np.exp(-np.arange(epochs) / 3)
        lists[f"{prefix}reconstruction"] = rise + rng.normal(size=epochs)
        for name in costs:
            lists[f"{prefix}{name}"] = 5 + rng.normal(size=epochs)
        total = sum(lists[f"{prefix}{name}"] for name in costs)
        lists[f"{prefix}elbo"] = lists[f"{prefix}reconstruction"] - total
    return {key: list(value) for key, value in lists.items()}


def broken_history():
    lists = history(20)
    lists["elbo"][12:] = [float("nan")] * 8
    lists["val_w_prior"] = [float("inf")] * 20
    return lists


GAUSSIANS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]]), np.log([[0.5, 0.1], [1, 1], [2, 0.3]])
TERMS = {"reconstruction": 1403.2, "conditional_prior": 14.31, "w_prior": 4.2, "y_prior": 2.11}
COUNTS = np.array([[0, 7, 1], [90, 2, 0], [0, 0, 0], [3, 4, 50]])
FIGURES = {
    "image_grid": lambda: plots.image_grid(images(25, 28, 28), title="25 digits, $z \\sim p(z)$"),
    "image_grid frey": lambda: plots.image_grid(images(7, 28, 20), rows=2),
    "image_grid large": lambda: plots.image_grid(images(12, 200, 300), cols=6, title="Large"),
    "cluster_grids": lambda: plots.cluster_grids(images(10, 25, 28, 28), title="Ten clusters"),
    "cluster_grids named": lambda: plots.cluster_grids(images(3, 4, 28, 20), ["smile", "sad", "-"]),
    "reconstructions": lambda: plots.reconstructions(
        images(13, 28, 28), images(13, 28, 28), "Test"
    ),
    "latent_scatter": lambda: plots.latent_scatter(*separated(), title="Codes"),
    "latent_scatter mixed": lambda: plots.latent_scatter(*mixed(), axis_names=("$w_1$", "$w_2$")),
    "latent_scatter K30": lambda: plots.latent_scatter(*mixed(300, classes=30)),
    "latent_scatter values": lambda: plots.latent_scatter(
        mixed()[0], values=np.arange(200), title="Film", value_name="frame"
    ),
    "latent_scatter one value": lambda: plots.latent_scatter(mixed()[0], values=np.ones(200)),
    "latent_scatter plain": lambda: plots.latent_scatter(mixed(3000)[0], axis_names=("", "")),
    "latent_scatter collapsed": lambda: plots.latent_scatter(np.zeros((20, 2)), np.arange(20) % 2),
    "mixture_components": lambda: plots.mixture_components(*GAUSSIANS, title="Prior"),
    "mixture_components codes": lambda: plots.mixture_components(*GAUSSIANS, *separated()),
    "training_curves": lambda: plots.training_curves(history(30), title="A run"),
    "training_curves vae": lambda: plots.training_curves(history(5, ("z_prior",))),
    "training_curves one": lambda: plots.training_curves(history(1)),
    "training_curves broken": lambda: plots.training_curves(broken_history()),
    "elbo_breakdown": lambda: plots.elbo_breakdown(TERMS, title="Where the ELBO goes"),
    "elbo_breakdown negative": lambda: plots.elbo_breakdown(TERMS | {"reconstruction": -372.3}),
    "elbo_equation vae": lambda: plots.elbo_equation("vae"),
    "elbo_equation mixture": lambda: plots.elbo_equation("mixture"),
    "elbo_equation gmvae": lambda: plots.elbo_equation("gmvae"),
    "graphical_model vae": lambda: plots.graphical_model("vae"),
    "graphical_model mixture": lambda: plots.graphical_model("mixture"),
    "graphical_model gmvae": lambda: plots.graphical_model("gmvae"),
    "cluster_confusion": lambda: plots.cluster_confusion(COUNTS, title="Clusters and digits"),
    "responsibilities_bars": lambda: plots.responsibilities_bars([0.2, 0.8], [0.1, 0.9], "One"),
}


def by_gid(figure, pattern):
    """Return {gid: artist} of the artists whose gid matches all of a regular expression."""
    matches = figure.findobj(lambda artist: re.fullmatch(pattern, artist.get_gid() or ""))
    return {artist.get_gid(): artist for artist in matches}


def axes_of(figure, gid):
    return next(axes for axes in figure.axes if axes.get_gid() == gid)


def texts(figure):
    """Return the texts of a figure that are not empty."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def png(figure, **options):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    return buffer.getvalue()


@functools.cache
def plain_png(name):
    """Return the PNG of one of FIGURES under the global settings of the test run."""
    return png(FIGURES[name]())


def png_size(data):
    """Return width and height in pixels from a PNG's header."""
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


# Every figure


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


# Images


@given(
    count=st.integers(1, 12),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    cols=st.integers(1, 5),
    gap=st.integers(0, 3),
)
def test_mosaic_holds_every_image_once_and_gaps_elsewhere(count, height, width, cols, gap):
    x = images(count, height, width, seed=count)
    rows = -(-count // cols)
    picture = mosaic(x, rows, cols, gap)
    assert picture.shape == (rows * (height + gap) - gap, cols * (width + gap) - gap)
    for i in range(count):
        row, column = divmod(i, cols)
        top, left = row * (height + gap), column * (width + gap)
        assert_array_equal(picture[top : top + height, left : left + width], x[i, :, :, 0])
    assert np.isfinite(picture).sum() == x.size


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 40),
    rows=st.none() | st.integers(1, 45),
    cols=st.none() | st.integers(1, 45),
)
def test_image_grid_has_room_for_all_or_refuses(count, rows, cols):
    x = images(count, 3, 2)
    if rows and cols and rows * cols < count:
        with pytest.raises(ValueError, match="leaves no room"):
            plots.image_grid(x, rows, cols)
        return
    picture = shown_picture(plots.image_grid(x, rows, cols), "images")
    shape = (picture.shape[0] + GAP) / (3 + GAP), (picture.shape[1] + GAP) / (2 + GAP)
    assert rows in (None, shape[0]) and cols in (None, shape[1])
    if rows is None or cols is None:  # no row (or column) more than the images need
        spare = shape[0] * shape[1] - count
        assert spare < (shape[0] if rows else shape[1])
    assert_allclose(np.sort(picture[np.isfinite(picture)]), np.sort(x.ravel()))


def shown_picture(figure, gid):
    """Return the array [H, W] that axes show, gaps as NaN, after a look at its scale."""
    (image,) = axes_of(figure, gid).get_images()
    assert image.get_clim() == (0, 1) and image.get_cmap().name == "gray"
    return np.ma.filled(image.get_array(), np.nan)


def test_image_pixels_fill_whole_dots():
    figure = plots.image_grid(images(25, 28, 28), title="Digits")
    box = axes_of(figure, "images").get_window_extent()
    picture = shown_picture(figure, "images")
    dots = box.width / picture.shape[1], box.height / picture.shape[0]
    assert_allclose(dots, round(dots[0]), atol=1e-6)
    assert_allclose([box.x0, box.y0], np.round([box.x0, box.y0]), atol=1e-6)


def test_a_saved_grid_shows_the_gray_values_that_were_passed():
    x = np.zeros((2, 2, 2, 1))
    x[0, :, :, 0] = [[0.0, 1.0], [0.2, 0.6]]
    figure = plots.image_grid(x, rows=1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    box = axes_of(figure, "images").get_window_extent()
    size = box.height / 2  # dots of one pixel
    for row, column in np.ndindex(2, 2):
        across = round(box.x0 + (column + 0.5) * size)
        down = round(pixels.shape[0] - box.y1 + (row + 0.5) * size)
        assert_allclose(pixels[down, across], x[0, row, column, 0], atol=1 / 255)


def test_every_cluster_has_its_grid_its_index_and_its_name():
    x = images(7, 5, 4, 3)
    figure = plots.cluster_grids(x, titles=[f"name {k}" for k in range(7)])
    for k in range(7):
        picture = shown_picture(figure, f"cluster:{k}")
        assert_allclose(picture, mosaic(x[k], 2, 3))
    assert {str(k) for k in range(7)} | {f"name {k}" for k in range(7)} == set(texts(figure))


def test_reconstructions_stand_below_their_originals():
    x, x_mean = images(7, 4, 3), images(7, 4, 3, seed=1)
    figure = plots.reconstructions(x, x_mean, columns=3)
    assert len(figure.axes) == 3
    for i in range(7):
        picture = shown_picture(figure, f"band:{i // 3}")
        left = (i % 3) * (3 + GAP)
        assert_allclose(picture[:4, left : left + 3], x[i, :, :, 0])
        assert_allclose(picture[4 + GAP :, left : left + 3], x_mean[i, :, :, 0])
    bottoms = [axes_of(figure, f"band:{i}").get_position().y0 for i in range(3)]
    assert bottoms == sorted(bottoms, reverse=True)
    for name, count in (("original", 3), ("reconstruction", 3)):
        assert texts(figure).count(name) == count
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert heights["original"] > heights["reconstruction"]


# Latent maps


def color_at(collection, point):
    """Return the colour of the dot at a point."""
    nearest = np.abs(collection.get_offsets() - point).sum(axis=1).argmin()
    colors = collection.get_facecolors()
    return to_hex(colors[nearest % len(colors)])


def test_separated_classes_are_coloured_and_named_at_their_medians():
    points, labels = separated()
    figure = plots.latent_scatter(points, labels)
    dots = by_gid(figure, "points")["points"]
    assert_allclose(np.sort(dots.get_offsets(), axis=0), np.sort(points, axis=0))
    for point, label in zip(points, labels):
        assert color_at(dots, point) == DIGIT_COLORS[label]
    badges = by_gid(figure, "badges")["badges"]
    named = {text.get_text(): text.get_position() for text in axes_of(figure, "map").texts}
    assert set(named) == {str(k) for k in range(10)}
    for label in range(10):
        median = np.median(points[labels == label], axis=0)
        assert_allclose(named[str(label)], median, atol=0.02)
        assert color_at(badges, median) == DIGIT_COLORS[label]


def test_mixed_classes_are_drawn_as_numerals_with_a_key_beside_the_map():
    points, labels = mixed()
    figure = plots.latent_scatter(points, labels)
    assert not by_gid(figure, "points")
    outlines = set()
    for label in range(10):
        dots = by_gid(figure, f"class:{label}")[f"class:{label}"]
        assert_allclose(dots.get_offsets(), points[labels == label])
        assert color_at(dots, points[labels == label][0]) == DIGIT_COLORS[label]
        outlines.add(dots.get_paths()[0].vertices.tobytes())
    assert len(outlines) == 10
    axes = axes_of(figure, "map")
    key = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(key) == {str(k) for k in range(10)}
    assert min(x for x, _ in key.values()) > axes.get_xlim()[1]


def test_values_colour_codes_on_the_scale_beside_them():
    points, values = mixed()[0], np.linspace(3, 7, 200)
    figure = plots.latent_scatter(points, values=values, value_name="frame")
    dots = by_gid(figure, "points")["points"]
    expected = matplotlib.colormaps["viridis"]((values - 3) / 4)[:, :3]
    assert_allclose(dots.get_facecolors()[:, :3], expected)
    assert_allclose(dots.get_offsets(), points)
    assert_allclose(axes_of(figure, "scale").get_ylim(), (3, 7))
    assert "frame" in texts(figure)


def test_maps_show_all_codes_on_equal_scales():
    points = mixed()[0] * [10, 1]
    figure = plots.latent_scatter(points, axis_names=("first", "second"))
    axes = axes_of(figure, "map")
    low, high = np.transpose([axes.get_xlim(), axes.get_ylim()])
    assert (points > low).all() and (points < high).all()
    box = axes.get_window_extent()
    assert_allclose((high - low)[0] / box.width, (high - low)[1] / box.height)
    assert {"first", "second"} <= set(texts(figure))


def test_ellipses_are_two_sigma():
    means, logvars = GAUSSIANS
    figure = plots.mixture_components(means, logvars)
    rng = np.random.default_rng(0)
    for k, (mean, logvar) in enumerate(zip(means, logvars)):
        ellipse = by_gid(figure, f"component:{k}")[f"component:{k}"]
        assert_allclose(ellipse.center, mean)
        assert_allclose([ellipse.width / 2, ellipse.height / 2], 2 * np.exp(logvar / 2))
        draws = mean + np.exp(logvar / 2) * rng.normal(size=(20_000, 2))
        path = ellipse.get_path().transformed(ellipse.get_patch_transform())
        inside = path.contains_points(draws).mean()
        exact = 1 - np.exp(-2)  # a two-dimensional Gaussian within two sigma
        assert abs(inside - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)
    named = {text.get_text(): text.get_position() for text in axes_of(figure, "map").texts}
    for k, mean in enumerate(means):
        assert_allclose(named[str(k)], mean, atol=0.02)


def test_components_stand_out_from_coloured_codes():
    points, labels = separated()
    figure = plots.mixture_components(*GAUSSIANS, points, labels)
    dots = by_gid(figure, "points")["points"]
    assert color_at(dots, points[3]) == DIGIT_COLORS[labels[3]]
    edges = {to_hex(e.get_edgecolor()) for e in by_gid(figure, r"component:\d").values()}
    assert edges == {INK}


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=1, max_size=30))
def test_spread_parts_labels_and_leaves_free_ones_alone(places):
    places = np.array(places, dtype=float)
    moved = spread(places, 0.5)
    gaps = np.linalg.norm(moved[:, None] - moved, axis=-1)
    assert gaps[~np.eye(len(places), dtype=bool)].min(initial=1) > 0.49
    alone = (np.abs(places[:, None] - places).max(axis=-1) < 1).sum(axis=1) == 1
    if len(np.unique(places, axis=0)) == len(places):
        assert_allclose(moved[alone], places[alone], atol=1e-3)


# Training curves


def test_one_panel_per_term_with_training_and_validation_as_given():
    lists = history(8)
    figure = plots.training_curves(lists)
    names = ["elbo", "reconstruction", *COSTS]
    assert [axes.get_gid() for axes in figure.axes] == [f"panel:{name}" for name in names]
    for name in names:
        axes = axes_of(figure, f"panel:{name}")
        lines = {line.get_label(): line for line in axes.lines}
        assert set(lines) == {"training", "validation"}
        for label, key in (("training", name), ("validation", f"val_{name}")):
            assert_allclose(lines[label].get_xdata(), lists["epoch"])
            assert_allclose(lines[label].get_ydata(), lists[key])
            assert lines[label].get_color() == TERM_COLORS[name]
        assert {"training", "validation"} == {text.get_text() for text in axes.texts}
        assert axes.get_xlabel() == "epoch"
    assert axes_of(figure, "panel:elbo").get_ylabel() == "nats per image"


def test_line_names_stand_in_the_order_of_the_lines():
    lists = history(6)
    for name in ("elbo", *COSTS):
        axes = axes_of(plots.training_curves(lists), f"panel:{name}")
        heights = {text.get_text(): text.xy[1] for text in axes.texts}
        higher = lists[name][-1] > lists[f"val_{name}"][-1]
        assert (heights["training"] > heights["validation"]) == higher


def test_without_validation_there_is_one_line():
    lists = {key: value for key, value in history(4).items() if not key.startswith("val_")}
    figure = plots.training_curves(lists)
    assert all([line.get_label() for line in axes.lines] == ["training"] for axes in figure.axes)


def test_epochs_without_a_finite_value_are_gaps_and_crossed():
    figure = plots.training_curves(broken_history())
    axes = axes_of(figure, "panel:elbo")
    crosses = by_gid(figure, "not finite")
    assert crosses
    (cross,) = [line for line in axes.lines if line.get_gid() == "not finite"]
    assert_array_equal(cross.get_xdata(), range(13, 21))
    training = next(line for line in axes.lines if line.get_label() == "training")
    assert_array_equal(np.isnan(training.get_ydata()), np.arange(20) >= 12)
    assert np.isfinite(axes.get_ylim()).all()
    w_prior = axes_of(figure, "panel:w_prior")
    assert "validation" not in [text.get_text() for text in w_prior.texts]


def test_a_history_with_no_finite_value_still_draws():
    lists = {"epoch": [1, 2], "elbo": [np.nan] * 2, "z_prior": [np.inf] * 2}
    figure = plots.training_curves(lists)
    assert texts(figure).count("not finite") == 2


def test_the_first_tenth_of_a_long_run_does_not_set_the_limits():
    lists = history(40)
    lists["elbo"][0] = -1e6
    low, high = axes_of(plots.training_curves(lists), "panel:elbo").get_ylim()
    later = lists["elbo"][4:] + lists["val_elbo"][4:]
    assert low < min(later) and max(later) < high
    assert high - low < 2 * (max(later) - min(later))


def test_a_run_that_broke_at_once_shows_what_there_is():
    lists = {"epoch": list(range(20)), "elbo": [5.0, 7.0] + [np.nan] * 18}
    axes = axes_of(plots.training_curves(lists), "panel:elbo")
    low, high = axes.get_ylim()
    assert low < 5 and high > 7
    lists |= {"val_elbo": [900.0] * 10 + [901.0] * 10}
    axes = axes_of(plots.training_curves(lists), "panel:elbo")
    heights = {text.get_text(): text.xy[1] for text in axes.texts if hasattr(text, "xy")}
    assert 0 <= heights["training"] < heights["validation"] <= 1


# The ELBO as a sum, as an equation, as a graph


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


# Clusters


def test_confusion_shows_every_count_sorted_to_a_diagonal():
    figure = plots.cluster_confusion(COUNTS)
    axes = axes_of(figure, "table")
    rows = [int(label.get_text()) for label in axes.get_yticklabels()]
    assert rows == [1, 0, 3, 2]  # by commonest digit; the unused cluster last
    cells = {}
    for text in axes.texts:
        x, y = text.get_position()
        cells[rows[int(y)] if y > 0 else "head", x] = text.get_text()
    for k, digit in np.ndindex(COUNTS.shape):
        assert cells.get((k, digit + 0.5), "0") == str(COUNTS[k, digit])
    totals = {k: text for (k, x), text in cells.items() if x == 1.13}
    assert totals == {"head": "images", 0: "8", 1: "92", 2: "unused", 3: "57"}


def test_confusion_is_shaded_by_the_share_of_the_cluster():
    figure = plots.cluster_confusion(COUNTS, sort=False, digits=["a", "b", "c"])
    axes = axes_of(figure, "table")
    (mesh,) = axes.collections
    sizes = np.maximum(COUNTS.sum(axis=1, keepdims=True), 1)
    assert_allclose(mesh.get_array(), COUNTS / sizes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_bars_are_as_high_as_the_probabilities():
    network, bayes = np.array([0.1, 0.7, 0.2]), np.array([0.2, 0.5, 0.3])
    figure = plots.responsibilities_bars(network, bayes, names=("one", "two"))
    axes = axes_of(figure, "bars")
    for container, expected in zip(axes.containers, (network, bayes)):
        assert_allclose([bar.get_height() for bar in container], expected)
        middles = [bar.get_x() + bar.get_width() / 2 for bar in container]
        assert_array_equal(np.round(middles), range(3))
    assert {"one", "two"} <= set(texts(figure))
    assert axes.get_ylim() == (0, 1)


# Colours


def linear_rgb(colors):
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(color):
    return linear_rgb([color])[0] @ [0.2126, 0.7152, 0.0722]


def contrast(first, second):
    """Return the contrast ratio of WCAG 2."""
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "all cones": np.eye(3),
    "no L cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no M cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no S cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", [DIGIT_COLORS, tuple(TERM_COLORS.values())])
def test_colours_are_apart_for_every_reader(vision, palette):
    seen = np.clip(linear_rgb(palette) @ np.transpose(VISIONS[vision]), 0, 1)
    lab = np.cbrt(seen @ np.transpose(TO_CONES)) @ np.transpose(TO_LAB)  # OKLab
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert distance[~np.eye(len(lab), dtype=bool)].min() > 0.09


def test_coloured_type_is_legible():
    assert min(contrast(color, PAPER) for color in TERM_COLORS.values()) >= 4.5
    assert min(contrast(text_on(color), color) for color in DIGIT_COLORS) >= 4.5


# What cannot be drawn

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
