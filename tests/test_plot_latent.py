"""Latent maps, read back from their artists."""

import matplotlib
import matplotlib.style
import numpy as np
from figures import GAUSSIANS, axes_of, by_gid, mixed, separated, texts
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from vae_gmvae import plots
from vae_gmvae.plots.maps import spread
from vae_gmvae.plots.style import DIGIT_COLORS, INK


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


@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=1, max_size=30))
def test_spread_parts_labels_and_leaves_free_ones_alone(places):
    places = np.array(places, dtype=float)
    moved = spread(places, 0.5)
    gaps = np.linalg.norm(moved[:, None] - moved, axis=-1)
    assert gaps[~np.eye(len(places), dtype=bool)].min(initial=1) > 0.49
    alone = (np.abs(places[:, None] - places).max(axis=-1) < 1).sum(axis=1) == 1
    if len(np.unique(places, axis=0)) == len(places):
        assert_allclose(moved[alone], places[alone], atol=1e-3)
