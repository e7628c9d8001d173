"""Grids of images, and tables of clusters, read back from their artists."""

import numpy as np
import pytest
from figures import COUNTS, axes_of, images, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.testing import assert_allclose, assert_array_equal

from vae_gmvae import plots
from vae_gmvae.plots.images import GAP, mosaic


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
