"""Seconds per training epoch: this package on both backends, plain Keras `fit`, a PyTorch loop.

    python benchmarks/training_speed.py --data_dir DIR

Same networks, objective, batches and images, in one run. Every contender has a process of its own
and they train in turn, epoch by epoch, so that whatever else the machine does hits all of them.
Before anything is timed, each gets the same weights, images and noise and must return the same
loss and the same norm of its gradient. Then: the peak memory of training model5, and test ELBOs
with bfloat16 convolutions beside float32. Figures: benchmarks/results/training_speed.json.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import report
from contenders import (
    KerasFit,
    Package,
    PackageOnJax,
    PyTorchLoop,
    load,
    serve,
    train_and_measure,
)

from vae_gmvae.config import Config, preset

NETWORKS = {
    "dense": Config(model_name="model1", z_dim=10, hidden_dim=500, num_layers=3),
    "convolutional": Config(model_name="model2", z_dim=10, hidden_dim=64, num_layers=3),
}
MEMORY_LIMIT = 3.0  # GiB
ELBO_EPOCHS = 3
PROCESSES = multiprocessing.get_context("spawn")


class Contender(NamedTuple):
    """A way to train; `same` is how far, relatively, rounding may move its loss."""

    kind: type
    same: float = 1e-4
    precision: str = "float32"


OURS, ON_JAX, BFLOAT16 = "package", "package, JAX", "package, bfloat16"
CONTENDERS = {
    OURS: Contender(Package),
    ON_JAX: Contender(PackageOnJax),
    "Keras fit": Contender(KerasFit),
    "PyTorch eager": Contender(PyTorchLoop),
    BFLOAT16: Contender(Package, same=2e-2, precision="bfloat16"),
}
OTHERS = ("Keras fit", "PyTorch eager")
OPTIONAL = {ON_JAX: "jax", "PyTorch eager": "torch"}  # contender: the package it needs


def contenders_for(network: str) -> list[str]:
    """Who takes part: who is installed, and bfloat16 where there are convolutions."""
    absent = {name for name, package in OPTIONAL.items() if not report.version(package)}
    absent |= set() if NETWORKS[network].is_convolutional else {BFLOAT16}
    return [name for name in CONTENDERS if name not in absent]


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str, config: Config, source: dict):
        self.name, self.contender = name, CONTENDERS[name]
        self.pipe, theirs = PROCESSES.Pipe()
        config = config.replace(precision=self.contender.precision)
        arguments = (theirs, self.contender.kind, config, source)
        self.process = PROCESSES.Process(target=serve, args=arguments)
        self.process.start()
        theirs.close()

    def ask(self, method: str, *arguments):
        """What the contender's method returns."""
        self.pipe.send((method, arguments))
        try:
            return self.pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.name} failed: its message stands above") from None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send(None)
        self.process.join()


def check_same_objective(workers: list[Worker], config: Config, source: dict) -> dict:
    """{contender: (loss, norm of its gradient)} at the first one's weights and the same noise.

    Raises:
        ValueError: they differ by more than rounding.
    """
    images, weights = load(source).train.x[: config.batch_size], workers[0].ask("weights")
    eps = np.random.default_rng(0).standard_normal((len(images), config.z_dim), np.float32)
    found = {}
    for worker in workers:
        worker.ask("use", weights)
        found[worker.name] = worker.ask("loss", images, eps)
    for worker in workers:
        expected = found[workers[0].name]
        if not np.allclose(found[worker.name], expected, rtol=worker.contender.same, atol=0):
            raise ValueError(
                f"{worker.name} computes another objective: (loss, gradient norm) are {found}"
            )
    return found


def compare(config: Config, names: list[str], source: dict, epochs: int) -> dict:
    """Epoch times of the contenders in turn, after the check and one epoch to warm up."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, config, source)) for name in names]
        losses = check_same_objective(workers, config, source)
        threads = {worker.name: worker.ask("threads") for worker in workers}
        for worker in workers:
            worker.ask("train_epoch")
        seconds = {name: [] for name in names}
        for _ in range(epochs):
            for worker in workers:
                seconds[worker.name].append(round(worker.ask("train_epoch"), 3))
    median = {name: round(statistics.median(times), 3) for name, times in seconds.items()}
    best = min(median[name] for name in names if name in OTHERS)
    return {
        "seconds": seconds,
        "median": median,
        "times_faster_than_best_other": {name: round(best / median[name], 3) for name in names},
        "loss_and_gradient_norm": losses,
        "threads": threads,
        "load_average": os.getloadavg(),
    }


def measure(config: Config, source: dict) -> tuple[float, float]:
    """Test ELBO, nats, and peak memory, GiB, of a process that trains `config`."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=train_and_measure, args=(theirs, config, source))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError(f"training {config.model_name} failed: see above") from None
    finally:
        process.join()


def compare_elbos(source: dict, subset: int, seeds: list[int]) -> dict:
    """{precision: test ELBOs of model2, nats, one per seed}."""
    found = {}
    for precision in ("float32", "bfloat16"):
        changes = dict(epochs=ELBO_EPOCHS, precision=precision, subset=subset)
        configs = [preset("thesis", "model2", seed=seed, **changes) for seed in seeds]
        found[precision] = [round(measure(config, source)[0], 2) for config in configs]
    return found


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("--data_dir", help="folder of the official files; default VAE_GMVAE_DATA_DIR")
    add("--dataset_name", default="MNIST", help="as of vae-gmvae; sides divisible by 4")
    add("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    add("--batch_sizes", nargs="+", type=int, default=[64, 256])
    add("--epochs", type=int, default=5, help="timed epochs, after one to warm up")
    add("--images", type=int, default=0, help="train on this many images; 0 takes all")
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help="of the test ELBOs by precision")
    add("--output", type=Path, default=report.RESULTS)
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    source = {"dataset_name": options.dataset_name, "data_dir": options.data_dir}
    images = options.images or len(load(source).train)
    results = {"machine": report.machine(), "images": images, "comparisons": []}
    for name, package in OPTIONAL.items():
        if not results["machine"]["versions"][package]:
            print(f"{name!r} is left out: pip install {package}")
    for network in options.networks:
        for batch_size in options.batch_sizes:
            config = NETWORKS[network].replace(batch_size=batch_size, subset=options.images)
            found = compare(config, contenders_for(network), source, options.epochs)
            results["comparisons"].append({"network": network, "batch_size": batch_size, **found})
            print(f"{network}, batch {batch_size}: {found['median']}", flush=True)
    model5 = preset("thesis", "model5", epochs=2, subset=options.images)
    results["peak_memory_gib"] = round(measure(model5, source)[1], 3)
    results["elbo_epochs"] = ELBO_EPOCHS
    results["test_elbo"] = compare_elbos(source, options.images, options.seeds)
    report.write(results, options.output)
    print(report.table(results))
    if results["peak_memory_gib"] > MEMORY_LIMIT:
        raise SystemExit(f"training model5 takes more than {MEMORY_LIMIT:g} GiB")


if __name__ == "__main__":
    main()
