"""How well the GMVAE clusters MNIST without labels: every experiment, every seed, one line each.

    python benchmarks/clustering.py --list
    python benchmarks/clustering.py --only ablation/recipe --seeds 0 1 2

Lines go to vae_gmvae/reference/clustering.jsonl, in the order of EXPERIMENTS; a line that is there
is computed again only --anew, a training that was cut short is completed. Labels score, nothing
else. An experiment with several starts trains each for a few epochs and goes on with the one whose
clusters say most about the validation images: the information I(x; y), for which no label is
needed. One that is trained again raises the learning rate of the finished run once more, and lets
it fall; one that has settled is asked for more consistency and less balance then, and may be shown
bent images. All are scored with their last weights: the best validation ELBO may by chance be that
of the end of the first leg.

Several processes may run at once, each with seeds of its own.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tables

from vae_gmvae import (
    Config,
    callbacks,
    evaluation,
    load_dataset,
    preset,
    reference,
    runs,
    storage,
    train,
)

SEEDS = 10
LOG_P_X_IMAGES, NUM_SAMPLES = 1000, 50
SCORES = ("accuracy_one_to_one", "accuracy_majority", "accuracy_surest", "nmi", "ari")

ELBO = dict(y_information_weight=1.0, y_marginal_weight=1.0, consistency=0.0, consistency_warmup=0)
CONSISTENT = dict(consistency=5.0, consistency_warmup=6)
MARGINAL = dict(y_information_weight=0.0, y_marginal_weight=10.0)
ABLATIONS = {  # what each of the two options does
    "elbo": ELBO,
    "consistency": ELBO | CONSISTENT,
    "marginal": ELBO | MARGINAL,
    "recipe": ELBO | MARGINAL | CONSISTENT,
}
WIDE = dict(z_dim=20, hidden_dim=256, epochs=100, cooldown=20)
STROKES = WIDE | dict(strokes=0.5, strokes_warmup=20, epochs=120)
STARTS = 5
AGAIN = dict(epochs=60, cooldown=40)
MORE_CONSISTENT = dict(consistency=10.0)  # what clusters bear that have settled
LESS_MARGINAL = dict(y_marginal_weight=2.0)
FEWER_STROKES = dict(strokes=0.1)
SETTLED = AGAIN | MORE_CONSISTENT | LESS_MARGINAL
UNEVEN = dict(y_marginal_weight=1.0)  # as in the ELBO: clusters of one size may not suit the data
CONV = STROKES | UNEVEN | dict(filters=8, strokes_warmup=10, epochs=26, cooldown=0)
CONV_AGAIN = FEWER_STROKES | UNEVEN | MORE_CONSISTENT | dict(epochs=32, cooldown=24)
CONV_STARTS = dict(starts=4, start_epochs=4)  # an epoch costs what four dense ones do
LONG = STROKES | UNEVEN | dict(epochs=30, cooldown=0)  # 32 filters: what seven dense ones do
LONG_AGAIN = AGAIN | FEWER_STROKES | UNEVEN | dict(consistency=20.0)
LARGE = dict(z_dim=40, hidden_dim=500, learning_rate=5e-4)  # as the densities have them
LARGE |= dict(strokes=0.5, strokes_warmup=15, epochs=60, cooldown=0)
BENT = LONG_AGAIN | dict(elastic=1.0, epochs=120, cooldown=60)
PICTURED, PICTURES = "thesis/", 6  # experiments whose clusters are kept as pictures, so many each


class Experiment(NamedTuple):
    """A configuration, how many starts each seed has and how long, and what follows the run."""

    config: Config
    starts: int = 1
    again: dict[str, float] = {}  # what changes then, if it is
    start_epochs: int = 10


def recipe(model_name: str = "model4_bias", **changes) -> Config:
    """The reference run's configuration, with changes."""
    return preset("reference", model_name, "MNIST", **changes)


EXPERIMENTS = {
    **{f"ablation/{k}": Experiment(recipe(epochs=15, **v)) for k, v in ABLATIONS.items()},
    **{f"recipe/dense/{k}": Experiment(recipe(num_clusters=k), STARTS) for k in (10, 16, 30)},
    **{
        f"recipe/{name}/{k}": Experiment(recipe(num_clusters=k, **changes), STARTS)
        for name, changes in {"wide": WIDE, "strokes": STROKES}.items()
        for k in (10, 16, 30)
    },
    "recipe/again/10": Experiment(recipe(**STROKES), STARTS, AGAIN),
    **{
        f"ablation/again/{name}": Experiment(recipe(**STROKES), STARTS, AGAIN | change)
        for name, change in {
            "consistency": MORE_CONSISTENT,
            "marginal": LESS_MARGINAL,
            "strokes": FEWER_STROKES,
        }.items()
    },
    "recipe/settled/10": Experiment(recipe(**STROKES), STARTS, SETTLED | FEWER_STROKES),
    "recipe/settled/16": Experiment(
        recipe(num_clusters=16, **STROKES | UNEVEN), STARTS, SETTLED | FEWER_STROKES | UNEVEN
    ),
    "recipe/settled/30": Experiment(recipe(num_clusters=30, **WIDE), STARTS, SETTLED),
    "recipe/elastic/10": Experiment(recipe(**LARGE), starts=3, again=BENT),
    **{
        f"recipe/conv/{k}": Experiment(
            recipe("model5", num_clusters=k, **CONV), again=CONV_AGAIN, **CONV_STARTS
        )
        for k in (10, 16, 30)
    },
    "recipe/conv_long/10": Experiment(recipe("model5", **LONG), STARTS, LONG_AGAIN),
    **{f"thesis/{k}": Experiment(preset("thesis", k)) for k in ("model4_bias", "model5")},
}


def trained(config: Config, data, folder: Path, epochs: int) -> runs.Run:
    """The run in `folder`, trained until it has `epochs` epochs or stops of itself.

    ValueError: a run of another configuration stands there.
    """
    done = runs.finished_epochs(folder)
    if done:
        run = runs.load_run(folder)
        if done >= epochs or callbacks.EarlyStopping(run.history, config.patience, 0).is_due():
            runs.check_same(config, folder, epochs=min(done, epochs))
            return run
    there = (folder / "config.json").exists()
    return train(config.replace(epochs=epochs - done), data, folder, restore=there)


def scores_of_starts(starts: list[Config], epochs: int, data, folder: Path) -> dict[str, dict]:
    """By the seed of each start: what decides, and the accuracy that it foretells or not."""
    kept = folder / "starts.json"  # the best one will have trained on
    if not kept.exists():
        short = [config.replace(cooldown=0) for config in starts]
        begun = [trained(c, data, folder / f"start-{c.seed}", epochs) for c in short]
        storage.write_json(kept, {str(run.config.seed): scores_of(run, data) for run in begun})
    return storage.read_json(kept)


def scores_of(run, data) -> dict[str, float]:
    """I(x; y) on the validation images, in nats, and majority accuracy on the test images."""
    valid, test = (
        evaluation.responsibilities(run.model, split.x) for split in (data.valid, data.test)
    )
    return {
        "information": evaluation.cluster_information(valid).information,
        "accuracy_majority": evaluation.clustering_scores(test, data.test.labels).majority,
    }


def result(name: str, seed: int, data, checkpoints: Path) -> dict:
    """The line of one experiment and seed; what is trained already is not trained again.

    What a pictured experiment draws from its clusters goes into a file of its own.
    """
    config, starts, again, start_epochs = EXPERIMENTS[name]
    folder = checkpoints / name.replace("/", "-") / f"seed-{seed}"
    found = {}
    if starts == 1:
        config = config.replace(seed=seed)
    else:
        candidates = [config.replace(seed=starts * seed + start) for start in range(starts)]
        found = scores_of_starts(candidates, start_epochs, data, folder)
        config = config.replace(seed=int(max(found, key=lambda one: found[one]["information"])))
        folder = folder / f"start-{config.seed}"
    run = trained(config, data, folder, config.epochs)
    if again:
        trained(config.replace(**again), data, folder, config.epochs + again["epochs"])
        run = runs.load_run(folder, weights="last")
    if name.startswith(PICTURED):
        images = [run.model.sample(PICTURES, seed=seed, k=k) for k in range(config.num_clusters)]
        with storage.locked(reference.SAMPLES.parent):
            reference.add_clustering_samples(f"{name}/{seed}", images)
    metrics = evaluation.evaluate(
        run.model,
        data.test,
        num_samples=NUM_SAMPLES,
        log_p_x_images=LOG_P_X_IMAGES,
        seed=seed,
    )
    responsibilities = evaluation.responsibilities(run.model, data.test.x)
    digits = evaluation.clustering_scores(responsibilities, data.test.labels).counts  # [K, 10]
    return {
        "experiment": name,
        "seed": seed,
        "config": config.to_dict(),
        "versions": storage.read_json(folder / "config.json", "versions")["versions"],
        **({"again": again} if again else {}),
        "epochs": run.epochs_done,
        "seconds": tables.seconds(run.history),
        "digits": digits.tolist(),
        **({"starts": found} if found else {}),
        "metrics": metrics,
    }


def add(line: dict):
    """Puts a line into the results file, in its place."""
    tables.add_line(reference.CLUSTERING, line, EXPERIMENTS)


def summary(lines: list[dict]) -> dict[str, dict]:
    """Per experiment: how many seeds, and of each score mean, median, spread, best and worst."""
    found = {}
    for name in EXPERIMENTS:
        metrics = [line["metrics"] for line in lines if line["experiment"] == name]
        if metrics:
            found[name] = {"seeds": len(metrics)} | {
                score: _spread([each[score] for each in metrics])
                for score in (*SCORES, "elbo", "log_p_x", "clusters_in_use")
                if metrics[0][score] is not None
            }
    return found


def _spread(values: list[float]) -> dict[str, float]:
    found = dict(mean=float(np.mean(values)), median=float(np.median(values)))
    if len(values) > 1:  # a single seed has no spread
        found |= dict(sd=float(np.std(values, ddof=1)), best=max(values), worst=min(values))
    return found


def table(found: dict[str, dict]) -> str:
    """The summary as Markdown: mean ± standard deviation (worst to best), in percent; ELBO in nats.

    Of the ELBOs the median: a single image far from all others can cost a run's mean a thousand.
    """
    lines = ["| experiment | seeds | one-to-one | majority | surest example | median ELBO |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, scores in found.items():
        cells = [_percent(scores.get(score)) for score in SCORES[:3]]
        elbo = f"{scores['elbo']['median']:.1f}"
        lines.append(f"| {' | '.join([name, str(scores['seeds']), *cells, elbo])} |")
    return "\n".join(lines) + "\n"


def _percent(spread: dict | None) -> str:
    if spread is None:
        return ""
    scores = {name: f"{100 * value:.1f}" for name, value in spread.items()}
    if "sd" not in scores:
        return scores["mean"]
    return "{mean} ± {sd} ({worst} to {best})".format(**scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    add_option("--only", choices=EXPERIMENTS, action="append", help="this experiment only")
    add_option("--seeds", type=int, nargs="+", default=range(SEEDS))
    add_option("--checkpoint_dir", type=Path, default=Path("saved_models/clustering"))
    add_option("--data_dir", help="folder of the official files")
    add_option("--anew", action="store_true", help="compute and replace lines that are there too")
    add_option("--list", action="store_true", help="say what there is, and stop")
    options = parser.parse_args()
    if options.list:
        print(table(summary(reference.clustering_results())), *EXPERIMENTS, sep="\n")
        return
    data = load_dataset("MNIST", options.data_dir)
    there = {(line["experiment"], line["seed"]) for line in reference.clustering_results()}
    for name in options.only or EXPERIMENTS:
        for seed in options.seeds:
            if options.anew or (name, seed) not in there:
                add(result(name, seed, data, options.checkpoint_dir))
    with storage.locked(tables.README.parent):
        found = table(summary(reference.clustering_results()))
        tables.write(tables.README, "clustering", found)
    print(found)


if __name__ == "__main__":
    main()
