"""All of an evaluation in one flat dictionary: what a run's metrics.json holds."""

import numpy as np

from vae_gmvae.evaluation import clustering, estimates


def evaluate(
    model,
    split,
    *,
    num_samples: int = 200,
    log_p_x_images: int | None = None,
    batch_size: int = estimates.BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> dict:
    """The metrics of a model on a split (x [N, H, W, C], labels [N] or None), ready for JSON.

    Args:
        num_samples: importance samples for each image's log p(x).
        log_p_x_images: log p(x) of the first so many images only; None takes all.
        seed: of every sample drawn and of k-means.
        progress: show a bar while log p(x) is estimated, which takes longest.

    Keys, in nats per image unless another unit is given; with * also KEY_standard_error (of the
    mean, from the spread over images):
        images: how many images were evaluated.
        elbo*, and each term of the model's ELBO* under its own name: one sample for each image.
        log_p_x*, log_p_x_num_samples, log_p_x_images: importance sampling, a lower bound in
            expectation.
        reconstruction_mse: squared grey level per pixel, pixels in [0, 1].
        active_units_z, active_units_w (GMVAE): dimensions.
        y_posterior_gap* (GMVAE): E_q[KL(network || Bayes)].
        clustering_by: "responsibilities" (model3, GMVAE), or "kmeans" on the codes z with as many
            clusters as there are labels (model1, model2). Absent, as is all below, for a model
            without clusters on images without labels.
        num_clusters, clusters_in_use: clusters; in use are those with at least 1 % of the images.
        accuracy_one_to_one (None unless there are as many clusters as labels), accuracy_majority,
            accuracy_surest, nmi, ari: shares of 1, only with labels; see ClusteringScores.

    Raises:
        ValueError: no images, images of another shape than the model's, fewer than one sample.
    """
    options = dict(batch_size=batch_size, seed=seed)
    latents = estimates.codes(model, split.x, batch_size=batch_size)
    metrics = {"images": len(split.x)}
    for name, values in estimates.elbo_terms(model, split.x, **options).items():
        metrics |= _with_error(name, np.mean(values), estimates.standard_error(values))
    x = split.x[:log_p_x_images]
    metrics |= _log_p_x(model, x, num_samples=num_samples, progress=progress, **options)
    mse = estimates.reconstruction_mse(model, split.x, batch_size=batch_size)
    metrics["reconstruction_mse"] = mse
    metrics["active_units_z"] = clustering.active_units(latents.z).count
    if latents.w is not None:
        metrics["active_units_w"] = clustering.active_units(latents.w).count
        gap = estimates.y_posterior_gap(model, split.x, **options)
        metrics |= _with_error("y_posterior_gap", gap.mean, gap.standard_error)
    return metrics | _clustering(model, split, latents.z, **options)


def _with_error(name: str, mean: float, error: float) -> dict:
    return {name: float(mean), f"{name}_standard_error": error}


def _log_p_x(model, x, **options) -> dict:
    found = estimates.log_likelihood(model, x, **options)
    return _with_error("log_p_x", found.mean, found.standard_error) | {
        "log_p_x_num_samples": found.num_samples,
        "log_p_x_images": len(x),
    }


def _clustering(model, split, z, batch_size, seed) -> dict:
    if hasattr(model, "responsibilities"):
        by = "responsibilities"
        found = estimates.responsibilities(model, split.x, batch_size=batch_size)  # [N, K]
    elif split.labels is not None:
        by = "kmeans"
        num_labels = len(np.unique(split.labels))
        found = clustering.kmeans_responsibilities(z, num_labels, seed)  # [N, L]
    else:
        return {}
    summary = {
        "clustering_by": by,
        "num_clusters": found.shape[1],
        "clusters_in_use": clustering.clusters_in_use(found),
    }
    return summary if split.labels is None else summary | _agreement(found, split.labels)


def _agreement(responsibilities, labels) -> dict:
    scores = clustering.clustering_scores(responsibilities, labels)
    return {
        "accuracy_one_to_one": scores.one_to_one,
        "accuracy_majority": scores.majority,
        "accuracy_surest": scores.surest,
        "nmi": scores.nmi,
        "ari": scores.ari,
    }
