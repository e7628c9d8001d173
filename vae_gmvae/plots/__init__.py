"""The book's figures: arrays in, a matplotlib Figure out. No pyplot, no global settings."""

from .breakdown import elbo_breakdown
from .clusters import cluster_confusion, responsibilities_bars
from .curves import training_curves
from .equation import elbo_equation
from .graphs import graphical_model
from .images import cluster_grids, image_grid, reconstructions
from .latent import latent_scatter, mixture_components
from .style import DIGIT_COLORS, TERM_COLORS

__all__ = [
    "DIGIT_COLORS",
    "TERM_COLORS",
    "cluster_confusion",
    "cluster_grids",
    "elbo_breakdown",
    "elbo_equation",
    "graphical_model",
    "image_grid",
    "latent_scatter",
    "mixture_components",
    "reconstructions",
    "responsibilities_bars",
    "training_curves",
]
