"""Results as Markdown, and their places in the README files."""

import json
from pathlib import Path

import numpy as np
from pairs import PAIRS

from vae_gmvae import storage

README = Path(__file__).resolve().parents[1] / "README.md"


def write(page: Path, name: str, text: str):
    """Puts `text` between the marks <!-- name: begin --> and <!-- name: end --> of a page."""
    begin, end = marks(name)
    before, rest = page.read_text("utf-8").split(begin)
    with storage.atomic(page) as file:
        file.write((before + begin + text + end + rest.split(end)[1]).encode())


def printed(page: Path, name: str) -> str:
    """What stands between the marks."""
    begin, end = marks(name)
    return page.read_text("utf-8").split(begin)[1].split(end)[0]


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"


def add_line(path: Path, line: dict, experiments):
    """Puts a line into a file of JSON lines, in the order of the experiments and the seeds.

    It takes the place of one that has its experiment and seed. Its numbers keep seven digits.
    """
    place = (line["experiment"], line["seed"])
    order = {name: i for i, name in enumerate(experiments)}  # others that are there come last
    with storage.locked(path.parent):
        there = path.read_text("utf-8").splitlines() if path.exists() else []
        others = [
            one for one in map(json.loads, there) if (one["experiment"], one["seed"]) != place
        ]
        lines = [*others, storage.shortened(line)]
        lines.sort(key=lambda found: (order.get(found["experiment"], len(order)), found["seed"]))
        with storage.atomic(path) as file:
            for found in lines:
                file.write((json.dumps(found, separators=(",", ":")) + "\n").encode())


def result(folder: Path, metrics: dict) -> dict:
    """What is kept of a run: its configuration, versions, epochs, seconds and test metrics."""
    history = storage.read_history(folder / "history.csv")
    validation = history["val_elbo"]
    tenth = max(1, len(validation) // 10)
    return {
        **storage.read_json(folder / "config.json"),
        "best_epoch": history["epoch"][int(np.argmax(validation))],
        "seconds": seconds(history),
        "last_tenth_gain": max(validation) - max(validation[:-tenth]),
        "metrics": metrics,
    }


def seconds(history: dict[str, list]) -> int:
    """What the epochs took: their median times their number, so that a pause does not count."""
    return round(np.median(history["seconds"]) * len(history["seconds"]))


def of_runs(results: dict[str, dict]) -> str:
    """A row for each pair's run."""
    head = "| model | data | epochs | test ELBO | log p(x) | accuracy | clusters | minutes | gain |"
    lines = [head, "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    return (
        "\n".join(lines + [_row(pair, results[pair]) for pair in PAIRS if pair in results]) + "\n"
    )


def accuracy(metrics: dict) -> str:
    """The one-to-one accuracy in percent, and what clusters if the model does not; or nothing."""
    found = metrics.get("accuracy_one_to_one")
    judge = "" if _by_prior(metrics) else " (k-means)"
    return "" if found is None else f"{100 * found:.1f} %{judge}"


def _by_prior(metrics: dict) -> bool:
    return metrics.get("clustering_by") == "responsibilities"


def _row(pair: str, found: dict) -> str:
    metrics = found["metrics"]
    in_use, out_of = metrics.get("clusters_in_use"), metrics.get("num_clusters")
    by_prior = _by_prior(metrics)
    cells = [
        *pair.split("/"),
        metrics["epochs"],
        f"{metrics['elbo']:.1f} ± {metrics['elbo_standard_error']:.1f}",
        f"{metrics['log_p_x']:.1f} ± {metrics['log_p_x_standard_error']:.1f}",
        accuracy(metrics),
        f"{in_use} of {out_of}" if by_prior else "",
        f"{found['seconds'] / 60:.1f}",
        f"{found['last_tenth_gain']:.1f}",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
