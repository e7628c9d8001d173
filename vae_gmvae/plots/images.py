"""Pages of images: a grid, a grid per cluster, originals beside their reconstructions."""

import math

import numpy as np

from .style import (
    DPI,
    GREY,
    WIDTH,
    as_array,
    canvas_axes,
    color_of,
    draw_badges,
    font,
    new_figure,
    place,
    require_same,
)

GAP = 2  # pixels of paper between two images
MARGIN = 0.08  # inches


def image_grid(images, rows=None, cols=None, title=None):
    """Return a figure of images side by side, without frames, black 0 to white 1.

    Args:
        images: [N, H, W, 1], values in [0, 1]; what lies outside is drawn as black or white.
        rows, cols: shape of the grid; what is not given follows from N, near a square.
    Raises:
        ValueError: another shape, or a grid too small for all images.
    """
    images = as_array("images", images, "N", "H", "W", 1)
    rows, cols = _grid_shape(len(images), rows, cols)
    tiles = mosaic(images, rows, cols)
    width, height = _size(tiles, WIDTH - 2 * MARGIN, largest=0.75 * cols)
    figure = new_figure(height + 2 * MARGIN, title)
    _show(figure, tiles, (WIDTH - width) / 2, MARGIN, width, height, gid="images")
    return figure


def cluster_grids(images, titles=None, title=None, columns=5):
    """Return one page with a small grid of images for every cluster.

    Args:
        images: [K, N, H, W, 1], N samples of each of K clusters, values in [0, 1].
        titles: K names for the clusters; by default their index.
        columns: clusters in a row.
    Raises:
        ValueError: another shape, not one title per cluster, or no columns.
    """
    images = as_array("images", images, "K", "N", "H", "W", 1)
    titles = [None] * len(images) if titles is None else list(titles)
    require_same("titles", len(titles), "images", len(images))
    columns = min(_positive("columns", columns), len(images))
    rows = math.ceil(len(images) / columns)
    grids = [mosaic(cluster, *_grid_shape(len(cluster))) for cluster in images]
    between, head = 0.16, 0.3
    room = (WIDTH - 2 * MARGIN - (columns - 1) * between) / columns
    width, height = _size(grids[0], room, largest=1.6)
    left = (WIDTH - columns * width - (columns - 1) * between) / 2
    figure = new_figure(rows * (height + head) + MARGIN, title)
    overlay = canvas_axes(figure, rows * (height + head) + MARGIN)
    for k, (grid, name) in enumerate(zip(grids, titles)):
        row, column = divmod(k, columns)
        x = left + column * (width + between)
        y = MARGIN + (rows - 1 - row) * (height + head)
        _show(figure, grid, x, y, width, height, gid=f"cluster:{k}")
        draw_badges(overlay, [(x + 0.11, y + height + 0.13)], [k], [color_of(k)], "s")
        name = "" if name is None else str(name)
        overlay.text(x + 0.28, y + height + 0.13, name, va="center_baseline", **font(10))
    return figure


def reconstructions(x, x_mean, title=None, columns=10):
    """Return originals in rows, each above the mean that the decoder gives it.

    Args:
        x, x_mean: [N, H, W, 1] images and their reconstructions, values in [0, 1].
        columns: pairs in a row.
    Raises:
        ValueError: another shape, two different ones, or no columns.
    """
    x = as_array("x", x, "N", "H", "W", 1)
    x_mean = as_array("x_mean", x_mean, "N", "H", "W", 1)
    require_same("x", x.shape, "x_mean", x_mean.shape)
    columns = min(_positive("columns", columns), len(x))
    starts = range(0, len(x), columns)
    bands = [_band(x[i : i + columns], x_mean[i : i + columns], columns) for i in starts]
    left, between = 1.0, 0.12
    width, height = _size(bands[0], WIDTH - left - MARGIN, largest=0.6 * columns)
    left += (WIDTH - left - MARGIN - width) / 2
    figure = new_figure(len(bands) * (height + between) - between + 2 * MARGIN, title)
    for i, band in enumerate(reversed(bands)):
        axes = _show(figure, band, left, MARGIN + i * (height + between), width, height)
        axes.set_gid(f"band:{len(bands) - 1 - i}")
        for y, name in ((0.75, "original"), (0.25, "reconstruction")):
            beside = {"ha": "right", "va": "center", "transform": axes.transAxes}
            axes.text(-0.08 / width, y, name, **beside, **font(10, GREY))
    return figure


def mosaic(images, rows, cols, gap=GAP):
    """Return images [N, H, W, 1] as one picture [rows * (H + gap) - gap, ...]; gaps are NaN."""
    count, height, width, _ = images.shape
    tiles = np.full((rows * cols, height + gap, width + gap), np.nan)
    tiles[:count, :height, :width] = images[..., 0]
    tiles = tiles.reshape(rows, cols, height + gap, width + gap)
    picture = tiles.swapaxes(1, 2).reshape(rows * (height + gap), cols * (width + gap))
    return picture[: rows * (height + gap) - gap, : cols * (width + gap) - gap]


def _band(x, x_mean, columns):
    """Return one row of originals over one row of reconstructions, padded to `columns`."""
    return np.vstack(
        [
            mosaic(x, 1, columns),
            np.full((GAP, columns * (x.shape[2] + GAP) - GAP), np.nan),
            mosaic(x_mean, 1, columns),
        ]
    )


def _grid_shape(count, rows=None, cols=None):
    """Return (rows, cols) that hold `count` images, near a square where the choice is free."""
    for name, size in (("rows", rows), ("cols", cols)):
        if size is not None:
            _positive(name, size)
    if cols is None:
        cols = math.ceil(math.sqrt(count) if rows is None else count / rows)
    rows = math.ceil(count / cols) if rows is None else rows
    if rows * cols < count:
        raise ValueError(f"rows * cols = {rows} * {cols} leaves no room for {count} images.")
    return rows, cols


def _positive(name, size):
    """Return a number of rows or columns, or raise ValueError if it is below 1."""
    if size < 1:
        raise ValueError(f"{name} must be at least 1; it is {size}.")
    return size


def _size(picture, room, largest):
    """Return width and height in inches, a whole number of dots per pixel where that fits."""
    height, width = picture.shape
    dots = min(room, largest) * DPI / width
    dots = math.floor(dots) if dots >= 2 else dots
    return width * dots / DPI, height * dots / DPI


def _show(figure, picture, left, bottom, width, height, gid=None):
    """Draw a picture [H, W] at a place in inches, snapped to dots so that pixels stay square."""
    left, bottom = round(left * DPI) / DPI, round(bottom * DPI) / DPI
    axes = place(figure, left, bottom, width, height, gid=gid)
    axes.set_axis_off()
    coarse = width * DPI / picture.shape[1] < 2
    look = {"interpolation": "antialiased" if coarse else "none", "origin": "upper"}
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="auto", **look)
    return axes
