"""Trains the five models on MNIST and Frey with the thesis's settings and tabulates the results.

    python benchmarks/thesis_runs.py                          all ten, hours on two cores
    python benchmarks/thesis_runs.py --only model1/FREY       one of them
    python benchmarks/thesis_runs.py --table                  only print the table

300 epochs each, fewer where the validation ELBO has not risen for 30; what it still gained in the
last tenth stands in the table's last column. It can be interrupted at any moment and started again:
finished runs are kept, a run that was cut short is completed. The figures stand in
benchmarks/results/thesis_runs.json; `update` puts their table into README.md, where a test compares
the two.
"""

import argparse
import json
from pathlib import Path

import tables
from pairs import PAIRS, trained
from tables import README

from vae_gmvae import preset, storage

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "thesis_runs.json"


def configuration(pair: str):
    model_name, dataset_name = pair.split("/")
    return preset("thesis", model_name, dataset_name)


def run(pair: str, checkpoints: Path, results: Path) -> dict:
    """The result of a pair, trained unless it is there already."""
    config = configuration(pair)
    report = ("--generate", "1", "--result_dir", str(results))
    folder = trained(config, "thesis", checkpoints, *report)
    return tables.result(folder, storage.read_json(folder / "metrics.json"))


def update(pair: str, result: dict):
    """Puts a pair's result into the results file, and the file's table into README.md."""
    with storage.locked(README.parent):
        results = stored() | {pair: result}
        storage.write_json(RESULTS, {name: results[name] for name in PAIRS if name in results})
        tables.write(README, "thesis runs", tables.of_runs(results))


def stored() -> dict[str, dict]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PAIRS, action="append", help="train this pair only")
    parser.add_argument("--checkpoint_dir", type=Path, default=Path("saved_models"))
    parser.add_argument("--result_dir", type=Path, default=Path("results"))
    parser.add_argument("--table", action="store_true", help="print the stored table and stop")
    options = parser.parse_args()
    if not options.table:
        for pair in options.only or PAIRS:
            update(pair, run(pair, options.checkpoint_dir, options.result_dir))
    print(tables.of_runs(stored()))


if __name__ == "__main__":
    main()
