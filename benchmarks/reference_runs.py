"""Trains the reference runs that the book publishes and stores them with the package.

    python benchmarks/reference_runs.py                       all ten
    python benchmarks/reference_runs.py --only model1/FREY    one of them

`make reference` runs it. It can be interrupted at any moment and started again: what is stored
with the preset's configuration is kept, a run that was cut short is completed. The metrics are
those of the rounded weights that are stored.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import tables
from pairs import PAIRS, trained
from PIL import Image

from vae_gmvae import (
    Config,
    evaluate,
    load_dataset,
    plots,
    preset,
    reference,
    runs,
    storage,
)

LIMIT = 8  # MB, of all ten
README_PICTURE = Path(__file__).resolve().parents[1] / "book" / "assets" / "clusters.png"
NUM_SAMPLES = 200  # importance samples of log p(x)


def is_stored(config) -> bool:
    """Whether the package holds this very configuration, with its metrics.

    An option younger than what is stored had its default there.
    """
    folder = reference.folder_of(config.model_name, config.dataset_name)
    if not (folder / "metrics.json").exists():
        return False
    there = storage.read_json(folder / "config.json", "config")["config"]
    return Config.from_dict(there) == config


def store(config, checkpoints: Path, data_dir: str | None) -> dict:
    """Trains, stores and evaluates one reference run; returns its metrics."""
    places = ("--data_dir", data_dir) if data_dir else ()
    folder = trained(config, "reference", checkpoints, "--summary", "0", *places)
    place = reference.store(runs.load_run(folder))
    run = reference.load_reference(config.model_name, config.dataset_name)
    data = load_dataset(config.dataset_name, data_dir, seed=config.seed, split=config.split)
    metrics = evaluate(run.model, data.test, num_samples=NUM_SAMPLES, seed=config.seed)
    metrics = {"epochs": run.epochs_done} | metrics
    storage.write_json(place / "metrics.json", metrics)
    return metrics


def results() -> dict[str, dict]:
    """What is stored of each pair, as the table of thesis_runs.py has it."""
    folders = {pair: reference.folder_of(*pair.split("/")) for pair in PAIRS}
    return {
        pair: tables.result(folder, storage.read_json(folder / "metrics.json"))
        for pair, folder in folders.items()
        if (folder / "metrics.json").exists()
    }


def draw_readme_picture():
    """The picture of the README: model5's clusters on MNIST, in 256 colours to keep it small."""
    run = reference.load_reference("model5", "MNIST")
    clusters = range(run.config.num_clusters)
    samples = np.stack([run.model.sample(25, seed=run.config.seed, k=k) for k in clusters])
    png = io.BytesIO()
    plots.cluster_grids(samples).savefig(png, format="png")
    Image.open(png).convert("RGB").quantize(256).save(README_PICTURE, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PAIRS, action="append", help="train this pair only")
    parser.add_argument("--checkpoint_dir", type=Path, default=Path("saved_models"))
    parser.add_argument("--data_dir", help="folder of the official files")
    options = parser.parse_args()
    for pair in options.only or PAIRS:
        config = preset("reference", *pair.split("/"))
        if not is_stored(config):
            metrics = store(config, options.checkpoint_dir, options.data_dir)
            print(f"{pair}: ELBO {metrics['elbo']:.1f}, log p(x) {metrics['log_p_x']:.1f}")
    draw_readme_picture()
    with storage.locked(tables.README.parent):
        tables.write(tables.README, "reference runs", tables.of_runs(results()))
    size = sum(path.stat().st_size for path in reference.HERE.rglob("*") if path.is_file()) / 1e6
    print(f"the reference runs take {size:.1f} MB")
    if size > LIMIT:
        raise SystemExit(f"more than the {LIMIT} MB that the package may carry")


if __name__ == "__main__":
    main()
