"""The figures and the metrics of a trained run: the least that each model's results must show."""

import math
from pathlib import Path

import numpy as np

from vae_gmvae import evaluation, plots
from vae_gmvae.runs import Run
from vae_gmvae.storage import write_json

MAPPED = 600  # test images on the latent maps
PER_CLUSTER = 25  # images of each cluster's 5 x 5 grid
KINDS = {"model3": "mixture", "model4_bias": "gmvae", "model5": "gmvae"}


def report(
    run: Run, data, folder, *, num_imgs=50, num_samples=200, progress=False, say=print
) -> list[Path]:
    """Evaluates the run on the test set; writes its figures and metrics.json to `folder`.

    The run's own folder gets a copy of metrics.json.

    Args:
        run: a trained run.
        data: the Dataset it was trained on.
        folder: where the PNGs and metrics.json go.
        num_imgs: how many generated images and reconstructions to draw.
        num_samples: importance samples behind log p(x).
        progress: show a bar while log p(x) is estimated.
        say: where messages go.

    Returns:
        The paths of the figures.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"evaluating on {len(data.test)} test images, {num_samples} samples each for log p(x)")
    options = dict(num_samples=num_samples, progress=progress)
    metrics = evaluation.evaluate(run.model, data.test, **options, seed=run.config.seed)
    metrics = {"epochs": run.epochs_done} | metrics
    run.metrics = {name: _finite_or_none(value) for name, value in metrics.items()}
    for place in filter(None, (folder, run.folder)):
        write_json(place / "metrics.json", run.metrics)
    paths = []
    (folder / "elbo_breakdown.png").unlink(missing_ok=True)  # none may follow: see `figures`
    for name, figure in figures(run, data, num_imgs).items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1])
    return paths


def _finite_or_none(value):
    """JSON has no infinity and no NaN: null stands for both."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def figures(run: Run, data, num_imgs: int = 50) -> dict:
    """The run's figures by name; `run.metrics` holds its evaluation."""
    kind = KINDS.get(run.config.model_name, "vae")
    found = {
        "graphical_model": plots.graphical_model(kind),
        "elbo_equation": plots.elbo_equation(kind),
        "training_curves": plots.training_curves(run.history),
        "reconstructions_train": _reconstructions(run, data.train, num_imgs, "training images"),
        "reconstructions_test": _reconstructions(run, data.test, num_imgs, "test images"),
        "samples": plots.image_grid(
            _sample(run, num_imgs), cols=min(10, num_imgs), title="samples of p(x)"
        ),
        "samples_5x5": plots.image_grid(_sample(run, 25), rows=5, cols=5),
    }
    terms = {name: run.metrics[name] for name in run.model.Terms._fields}
    if None not in terms.values():  # a term that is not finite has no bar
        found["elbo_breakdown"] = plots.elbo_breakdown(terms)
    found |= _latent_maps(run, data.test)
    if kind != "vae":
        found |= _clusters(run, data.test)
    return found


def _sample(run: Run, num: int, **which) -> np.ndarray:
    return np.asarray(run.model.sample(num, seed=run.config.seed, **which))


def _reconstructions(run: Run, split, num: int, title: str):
    x = split.x[:num]
    return plots.reconstructions(x, np.asarray(run.model.reconstruct(x)), title=title)


def _latent_maps(run: Run, split) -> dict:
    """Maps of the codes z and w, coloured by label, or by cluster where there are no labels."""
    x, labels = split.x[:MAPPED], split.labels
    codes = evaluation.codes(run.model, x)
    if labels is not None:
        colours = labels[:MAPPED]
    elif hasattr(run.model, "responsibilities"):
        colours = evaluation.responsibilities(run.model, x).argmax(axis=1)
    else:
        colours = None
    return {
        f"latent_{name}": _latent_map(name, means, colours, run.config.seed)
        for name, means in codes._asdict().items()
        if means is not None and (len(means) >= 4 or means.shape[1] <= 2)  # t-SNE needs four
    }


def _latent_map(name: str, means: np.ndarray, labels, seed: int):
    points = evaluation.embed_2d(means, seed=seed)
    dim = means.shape[1]
    title = f"means of q({name}|x)" if dim <= 2 else f"means of q({name}|x), t-SNE"
    axis_names = [f"${name}_{i}$" if i <= dim <= 2 else "" for i in (1, 2)]
    return plots.latent_scatter(points, labels, title=title, axis_names=axis_names)


def _clusters(run: Run, split) -> dict:
    """A page with every cluster's samples, one page each, and the clusters against the labels."""
    clusters = range(run.config.num_clusters)
    samples = np.stack([_sample(run, PER_CLUSTER, k=k) for k in clusters])
    found = {"clusters": plots.cluster_grids(samples)}
    for k in clusters:
        found[f"cluster_{k}"] = plots.image_grid(samples[k], rows=5, cols=5)
    if split.labels is not None:
        responsibilities = evaluation.responsibilities(run.model, split.x)
        scores = evaluation.clustering_scores(responsibilities, split.labels)
        labels = np.unique(split.labels)
        found["cluster_confusion"] = plots.cluster_confusion(scores.counts, digits=labels)
    return found
