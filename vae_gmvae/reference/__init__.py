"""The reference runs that the book publishes: five models on two datasets, kept with the package.

    <model>_<dataset>/config.json    configuration, seed, versions
                      weights.npz    of the best validation ELBO, in float16
                      history.csv    every epoch
                      metrics.json   of these rounded weights, on the test images

`make reference` trains them anew. clustering.jsonl and densities.jsonl hold what the scripts of
these names in benchmarks/ found, clustering_samples.npz some pictures of it.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from vae_gmvae import runs, storage
from vae_gmvae.config import MODEL_NAMES

HERE = Path(__file__).parent
CLUSTERING = HERE / "clustering.jsonl"
SAMPLES = HERE / "clustering_samples.npz"
DENSITIES = HERE / "densities.jsonl"
DATASETS = ("MNIST", "FREY")
PAIRS = tuple((model, dataset) for dataset in DATASETS for model in MODEL_NAMES)
STORED = np.float16  # of the weights: half the size; a reconstructed pixel moves by up to 0.008


def folder_of(model_name: str, dataset_name: str) -> Path:
    """Where a pair's run lies. ValueError: there is no such pair."""
    dataset_name = dataset_name.upper()
    if (model_name, dataset_name) not in PAIRS:
        raise ValueError(
            f"no reference run of {model_name!r} on {dataset_name!r}: choose one of "
            f"{', '.join(MODEL_NAMES)} on {' or '.join(DATASETS)}"
        )
    return HERE / f"{model_name}_{dataset_name}"


def load_reference(model_name: str, dataset_name: str = "MNIST") -> runs.Run:
    """The run that the book publishes, with its model, history and metrics.

    Raises:
        ValueError: no such pair, or a damaged file.
        FileNotFoundError: the installation lacks the run.
    """
    run = runs.load_run(folder_of(model_name, dataset_name), weights="weights")
    run.folder = None  # nobody shall write there
    return run


def clustering_results() -> list[dict]:
    """What benchmarks/clustering.py found: experiment, seed, configuration, metrics of each run."""
    return _lines(CLUSTERING)


def clustering_samples() -> dict[str, np.ndarray]:
    """Images that some of these runs drew from each of their clusters, in [0, 1].

    By "<experiment>/<seed>": [K, n, H, W, 1].
    """
    arrays = storage.load_arrays(SAMPLES) if SAMPLES.exists() else {}
    return {name: array.astype("float32") / 255 for name, array in arrays.items()}


def add_clustering_samples(name: str, images):
    """Puts images [K, n, H, W, 1] in [0, 1] of one run into the file, in 256 levels of grey."""
    there = storage.load_arrays(SAMPLES) if SAMPLES.exists() else {}
    levels = np.round(255 * np.asarray(images)).astype("uint8")
    storage.save_arrays(SAMPLES, there | {name: levels}, compress=True)


def density_results() -> list[dict]:
    """What benchmarks/densities.py found: experiment, seed, configuration, metrics of each run."""
    return _lines(DENSITIES)


def _lines(path: Path) -> list[dict]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return list(map(json.loads, lines))


def store(run: runs.Run) -> Path:
    """Puts a run's configuration and its rounded history and weights into its place here.

    Its metrics are left to whoever evaluates what was stored.
    """
    folder = folder_of(run.config.model_name, run.config.dataset_name)
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)  # first: they are of other weights
    weights = runs.get_weights(run.model)
    rounded = {k: _rounded(v) for k, v in weights.items()}
    storage.save_arrays(folder / "weights.npz", rounded, compress=True)
    storage.write_history(folder / "history.csv", storage.shortened(run.history))
    shutil.copyfile(run.folder / "config.json", folder / "config.json")
    return folder


def _rounded(array: np.ndarray) -> np.ndarray:
    return array.astype(STORED) if array.dtype == np.float32 and array.ndim else array
