"""One figure of each kind, and how to read back what it shows."""

import functools
import io
import re

import numpy as np
from matplotlib.text import Text

from vae_gmvae import plots

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
