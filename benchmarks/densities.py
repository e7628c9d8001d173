"""log p(x) of binarised MNIST by the VAE and the GMVAE, one line per experiment and seed.

    python benchmarks/densities.py --list
    python benchmarks/densities.py --only vae --seeds 0

Static binarisation: every pixel of every image is drawn once, with its grey level as the
probability of a 1 (`load_dataset("MNIST", binarise="sampled")`). The weights are those of the best
ELBO of the 5,000 validation images; log p(x) is estimated on all 10,000 test images with
NUM_SAMPLES importance samples each. Lines go to vae_gmvae/reference/densities.jsonl; a line that is
there is computed again only --anew, a training that was cut short is completed.
"""

import argparse
import itertools
from pathlib import Path

import tables

from vae_gmvae import Config, evaluation, load_dataset, reference, runs, storage, train

NUM_SAMPLES = 200

BINARY = dict(dataset_name="MNIST", binarise="sampled", likelihood="bernoulli", patience=40)
NETWORKS = dict(z_dim=40, hidden_dim=500, num_layers=3)
STEPS = dict(batch_size=100, learning_rate=5e-4, kl_warmup=20, cooldown=50)
VAE = Config(model_name="model1", epochs=150, **BINARY, **NETWORKS, **STEPS)
GMVAE = VAE.replace(model_name="model4_bias", w_dim=10, y_posterior="bayes")
# The clustering options of the reference preset on top of the same networks: what they cost.
CLUSTERING = dict(y_posterior="network", y_information_weight=0.0, y_marginal_weight=10.0)
CLUSTERING |= dict(consistency=5.0, consistency_warmup=6)
EXPERIMENTS = {"vae": VAE, "gmvae": GMVAE, "gmvae/clustering": GMVAE.replace(**CLUSTERING)}

PYTHAE = "[Pythae](https://github.com/clementchadebec/benchmark_VAE)"
PUBLISHED = (  # on Larochelle's draw: method, importance samples, log p(x)
    ("VAE, 400 hidden units, z 40", 200, -89.78),
    ("IWAE, trained with 50 samples", 5000, -86.82),
    ("VAE with a VampPrior of 500", 5000, -85.79),
)


def result(name: str, config: Config, data, checkpoints: Path) -> dict:
    """The line of one experiment and seed, trained unless its run is finished."""
    folder = checkpoints / name.replace("/", "-") / f"seed-{config.seed}"
    if (folder / "finished.json").exists():
        runs.check_same(config, folder)
        run = runs.load_run(folder)
    else:
        run = train(config, data, folder, restore=(folder / "config.json").exists())
    validation = run.history["val_elbo"]
    return {
        "experiment": name,
        "seed": config.seed,
        "config": config.to_dict(),
        "versions": storage.read_json(folder / "config.json", "versions")["versions"],
        "epochs": run.epochs_done,
        "best_epoch": run.history["epoch"][validation.index(max(validation))],
        "seconds": tables.seconds(run.history),
        "metrics": evaluation.evaluate(
            run.model, data.test, num_samples=NUM_SAMPLES, seed=config.seed
        ),
    }


def table(lines: list[dict]) -> str:
    """Every line as a row of Markdown, the published numbers below."""
    head = "| model | hidden | z | seed | epochs | minutes | ELBO | samples | log p(x) | accuracy |"
    rows = [head, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    rows += [f"| {' | '.join(_cells(line))} |" for line in lines]
    for method, samples, nats in PUBLISHED:
        rows.append(f"| {method} ({PYTHAE}) | | | | | | | {samples} | {nats} | |")
    return "\n".join(rows) + "\n"


def _cells(line: dict) -> list[str]:
    config, metrics = line["config"], line["metrics"]
    hidden = " + ".join([str(config["hidden_dim"])] * (config["num_layers"] - 1))
    numbers = (config["z_dim"], line["seed"], line["epochs"], round(line["seconds"] / 60))
    elbo, log_p_x = (
        f"{metrics[name]:.2f} ± {metrics[f'{name}_standard_error']:.2f}"
        for name in ("elbo", "log_p_x")
    )
    samples = metrics["log_p_x_num_samples"]
    scores = (elbo, str(samples), log_p_x, tables.accuracy(metrics))
    return [line["experiment"], hidden, *map(str, numbers), *scores]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    add_option("--only", choices=EXPERIMENTS, action="append", help="this experiment only")
    add_option("--seeds", type=int, nargs="+", default=[0])
    add_option("--checkpoint_dir", type=Path, default=Path("saved_models/densities"))
    add_option("--data_dir", help="folder of the official files")
    add_option("--anew", action="store_true", help="compute and replace lines that are there too")
    add_option("--list", action="store_true", help="say what there is, and stop")
    options = parser.parse_args()
    if options.list:
        print(table(reference.density_results()), *EXPERIMENTS, sep="\n")
        return
    data = load_dataset("MNIST", options.data_dir, binarise="sampled")
    there = {(line["experiment"], line["seed"]) for line in reference.density_results()}
    for seed, name in itertools.product(options.seeds, options.only or EXPERIMENTS):
        if options.anew or (name, seed) not in there:
            line = result(name, EXPERIMENTS[name].replace(seed=seed), data, options.checkpoint_dir)
            tables.add_line(reference.DENSITIES, line, EXPERIMENTS)
            with storage.locked(tables.README.parent):
                tables.write(tables.README, "densities", table(reference.density_results()))
    print(table(reference.density_results()))


if __name__ == "__main__":
    main()
