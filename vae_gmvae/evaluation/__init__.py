"""What a trained model is worth: bounds, likelihoods, clusterings, all on numpy arrays.

Everything is in nats per image. Nothing here trains, and nothing here draws from the model's own
noise: an evaluation leaves a run as it found it, and the same seed gives the same numbers.
"""

from vae_gmvae.evaluation.clustering import (
    ActiveUnits,
    ClusterInformation,
    ClusteringScores,
    active_units,
    cluster_information,
    clustering_scores,
    clusters_in_use,
    embed_2d,
    kmeans_responsibilities,
)
from vae_gmvae.evaluation.estimates import (
    Estimate,
    codes,
    elbo_terms,
    log_likelihood,
    reconstruction_mse,
    responsibilities,
    standard_error,
    y_posterior_gap,
)
from vae_gmvae.evaluation.metrics import evaluate

__all__ = [
    "ActiveUnits",
    "ClusterInformation",
    "ClusteringScores",
    "Estimate",
    "active_units",
    "cluster_information",
    "clustering_scores",
    "clusters_in_use",
    "codes",
    "elbo_terms",
    "embed_2d",
    "evaluate",
    "kmeans_responsibilities",
    "log_likelihood",
    "reconstruction_mse",
    "responsibilities",
    "standard_error",
    "y_posterior_gap",
]
