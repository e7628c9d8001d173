"""The benchmarks: they run, compare what they say, and their tables are those of their results."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trainings
from toys import images, noise, scrambled, tiny

from vae_gmvae import Config, reference

ROOT = Path(__file__).resolve().parents[1]
SHAPE = (8, 12, 1)


def run_benchmark(tmp_path, *flags):
    """The results of training_speed.py on 100 random images of SHAPE."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, *SHAPE[:2]), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", x=pixels)
    output = tmp_path / "speed.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "training_speed.py"), *flags]
    command += ["--dataset_name", str(tmp_path / "noise.npz"), "--output", str(output)]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(output.read_text()), printed.stdout


@pytest.mark.slow
def test_one_run_compares_the_contenders(tmp_path):
    flags = ["--networks", "dense", "--batch_sizes", "16", "--epochs", "3", "--seeds"]
    results, printed = run_benchmark(tmp_path, *flags)
    (comparison,) = results["comparisons"]
    seconds, median = comparison["seconds"], comparison["median"]
    installed = {"package, JAX"} if importlib.util.find_spec("jax") else set()
    assert {"package", "Keras fit"} | installed <= set(seconds)
    for name, times in seconds.items():
        assert len(times) == 3 and min(times) > 0
        assert median[name] == sorted(times)[1]
        assert f"| dense | 16 | {name} | {median[name]:.2f} |" in printed
    best = min(median[name] for name in ("Keras fit", "PyTorch eager") if name in median)
    ratio = comparison["times_faster_than_best_other"]["package"]
    assert ratio == pytest.approx(best / median["package"], abs=1e-3)
    assert 0.1 < results["peak_memory_gib"] < 3
    assert results["machine"]["versions"]["keras"]


@pytest.mark.parametrize("model_name", ["model1", "model2"])
def test_the_pytorch_model_is_the_same_model(model_name, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from contenders import KerasFit, PyTorchLoop

    config = tiny(model_name, num_layers=3)
    ours, theirs = KerasFit(config, images(shape=SHAPE)), PyTorchLoop(config, images(shape=SHAPE))
    scrambled(ours.model)
    eps = noise(ours.model, 4).z
    assert theirs.loss(images(shape=SHAPE), eps) != pytest.approx(
        ours.loss(images(shape=SHAPE), eps), rel=1e-3
    )
    theirs.use(ours.weights())
    expected = ours.loss(images(shape=SHAPE), eps)
    assert theirs.loss(images(shape=SHAPE), eps) == pytest.approx(expected, rel=1e-5)


class Answers:
    """Stands for a contender that returns one loss and gradient norm."""

    def __init__(self, name, contender, *values):
        self.name, self.contender, self.values = name, contender, values

    def ask(self, method, *arguments):
        return self.values if method == "loss" else {}


@pytest.mark.parametrize("values", [(100.1, 7.0), (100.0, 7.01)])
def test_another_objective_is_refused(tmp_path, monkeypatch, values):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_speed as speed

    np.savez(tmp_path / "x.npz", x=np.zeros((20, 8, 8), np.uint8))
    source = {"dataset_name": str(tmp_path / "x.npz"), "data_dir": None}
    config, exact = tiny("model1", batch_size=4), speed.CONTENDERS[speed.OURS]
    first, close = Answers("a", exact, 100.0, 7.0), Answers("b", exact, 100.005, 7.0)
    assert speed.check_same_objective([first, close], config, source)["b"] == close.values
    with pytest.raises(ValueError, match="c computes another objective"):
        speed.check_same_objective([first, close, Answers("c", exact, *values)], config, source)


def test_the_table_is_that_of_the_results_file(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import report
    import tables

    results = report.stored()
    assert tables.printed(report.README, "training speed") == (
        report.table(results) if results else ""
    )


def test_the_latencies_are_those_of_their_file(monkeypatch):
    pytest.importorskip("playwright", reason="no playwright: pip install playwright")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import explorer_latency
    import report
    import tables

    results = json.loads(explorer_latency.RESULTS.read_text())
    assert tables.printed(report.README, "explorer latency") == explorer_latency.table(results)


def test_a_pause_does_not_count_as_time_of_training(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import tables

    assert tables.seconds({"seconds": [10.0, 12.5, 3600.0, 11.5]}) == 48


# --- clustering


@pytest.fixture
def clustering(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import clustering

    return clustering


def test_every_line_is_a_run_of_its_experiment(clustering):
    lines = reference.clustering_results()
    assert len({(line["experiment"], line["seed"]) for line in lines}) == len(lines)
    for line in lines:
        config, starts, again, _ = clustering.EXPERIMENTS[line["experiment"]]
        assert line.get("again", {}) == again
        assert line["epochs"] <= config.epochs + again.get("epochs", 0)
        seeds = range(starts * line["seed"], starts * (line["seed"] + 1))
        assert Config.from_dict(line["config"]) == config.replace(seed=line["config"]["seed"])
        assert line["config"]["seed"] in seeds
        if starts > 1:
            information = {int(one): line["starts"][one]["information"] for one in line["starts"]}
            assert list(information) == list(seeds)
            assert information[line["config"]["seed"]] == max(information.values())
        digits = np.array(line["digits"])
        assert digits.shape == (config.num_clusters, 10)
        assert digits.sum() == line["metrics"]["images"] == 10_000
        majority = digits.max(axis=1).sum() / digits.sum()
        assert majority == pytest.approx(line["metrics"]["accuracy_majority"], abs=1e-12)


def test_the_start_with_the_most_information_goes_on(clustering, monkeypatch, tmp_path):
    config = trainings.config("model4_bias", epochs=3)
    name, data = "recipe/dense/10", trainings.dataset()
    experiment = clustering.Experiment(config, starts=2, start_epochs=1)
    monkeypatch.setitem(clustering.EXPERIMENTS, name, experiment)
    line = clustering.result(name, 4, data, tmp_path)
    assert set(line["starts"]) == {"8", "9"}
    best = int(max(line["starts"], key=lambda one: line["starts"][one]["information"]))
    assert line["config"] == config.replace(seed=best).to_dict() and line["epochs"] == 3
    loser = tmp_path / "recipe-dense-10" / "seed-4" / f"start-{17 - best}"
    assert clustering.runs.load_run(loser).epochs_done == 1
    monkeypatch.setattr(clustering, "train", None)  # nothing is left to train
    assert clustering.result(name, 4, data, tmp_path) == line


def test_a_finished_run_is_trained_again(clustering, monkeypatch, tmp_path):
    config, data = trainings.config("model4_bias", epochs=2, consistency=2.0), trainings.dataset()
    name = "recipe/again/10"
    again = dict(epochs=3, cooldown=2, consistency=4.0, y_marginal_weight=3.0)
    experiment = clustering.Experiment(config, again=again)
    monkeypatch.setitem(clustering.EXPERIMENTS, name, experiment)
    line = clustering.result(name, 1, data, tmp_path / "benchmark")
    assert line["again"] == again and line["epochs"] == 5
    config = config.replace(seed=1)
    clustering.train(config, data, tmp_path / "by_hand")
    by_hand = clustering.train(config.replace(**again), data, tmp_path / "by_hand", restore=True)
    run = clustering.runs.load_run(tmp_path / "benchmark" / "recipe-again-10" / "seed-1")
    assert run.history["elbo"] == by_hand.history["elbo"]
    last = clustering.runs.load_run(run.folder, weights="last")
    sizes = dict(num_samples=clustering.NUM_SAMPLES, log_p_x_images=clustering.LOG_P_X_IMAGES)
    assert line["metrics"] == clustering.evaluation.evaluate(last.model, data.test, **sizes, seed=1)
    monkeypatch.setattr(clustering, "train", None)  # nothing is left to train
    assert clustering.result(name, 1, data, tmp_path / "benchmark") == line
    edited = experiment._replace(again=again | dict(consistency=9.0))
    monkeypatch.setitem(clustering.EXPERIMENTS, name, edited)
    with pytest.raises(ValueError, match="consistency 4.0 there, 9.0 asked for"):
        clustering.result(name, 1, data, tmp_path / "benchmark")


def test_a_finished_run_of_other_weights_is_refused(clustering, tmp_path):
    config, data = trainings.config("model4_bias", epochs=1, consistency=2.0), trainings.dataset()
    clustering.trained(config, data, tmp_path, 1)
    clustering.trained(config.replace(epochs=2, consistency=3.0), data, tmp_path, 2)
    clustering.trained(config, data, tmp_path, 1)
    with pytest.raises(ValueError, match="consistency 2.0 there, 3.0 asked for"):
        clustering.trained(config.replace(consistency=3.0), data, tmp_path, 1)


def test_a_run_that_stopped_early_is_not_trained_on(clustering, monkeypatch, tmp_path):
    config = trainings.config("model4_bias", epochs=40, patience=1, learning_rate=1e-9)
    run = clustering.trained(config, trainings.dataset(), tmp_path, config.epochs)
    assert run.epochs_done < 40
    monkeypatch.setattr(clustering, "train", None)  # nothing is left to train
    again = clustering.trained(config, trainings.dataset(), tmp_path, config.epochs)
    assert again.epochs_done == run.epochs_done


def test_a_pictured_run_leaves_samples_of_every_cluster(clustering, monkeypatch, tmp_path):
    config = trainings.config("model4_bias", epochs=1)
    monkeypatch.setitem(clustering.EXPERIMENTS, "thesis/model4_bias", clustering.Experiment(config))
    monkeypatch.setattr(reference, "SAMPLES", tmp_path / "samples.npz")
    for seed in (3, 4):
        clustering.result("thesis/model4_bias", seed, trainings.dataset(), tmp_path)
    kept = reference.clustering_samples()
    assert list(kept) == ["thesis/model4_bias/3", "thesis/model4_bias/4"]
    run = clustering.runs.load_run(tmp_path / "thesis-model4_bias" / "seed-3")
    drawn = np.stack(
        [run.model.sample(clustering.PICTURES, seed=3, k=k) for k in range(config.num_clusters)]
    )
    np.testing.assert_allclose(kept["thesis/model4_bias/3"], drawn, atol=0.5 / 255 + 1e-6)
    assert np.abs(kept["thesis/model4_bias/4"] - drawn).max() > 0.01


def test_every_pictured_line_has_its_samples(clustering):
    lines = reference.clustering_results()
    pictured = [line for line in lines if line["experiment"].startswith(clustering.PICTURED)]
    kept = reference.clustering_samples()
    assert {f"{line['experiment']}/{line['seed']}" for line in pictured} == set(kept)
    for drawn in kept.values():
        assert drawn.shape == (10, clustering.PICTURES, 28, 28, 1)
        assert 0 <= drawn.min() < drawn.max() <= 1


def test_lines_stand_in_the_order_of_experiments_and_seeds(clustering, monkeypatch, tmp_path):
    path = tmp_path / "clustering.jsonl"
    monkeypatch.setattr(clustering.reference, "CLUSTERING", path)
    first, last = list(clustering.EXPERIMENTS)[:: len(clustering.EXPERIMENTS) - 1]
    keys = [(last, 0), (first, 2), (first, 0)]
    for name, seed in keys:
        clustering.add({"experiment": name, "seed": seed})
    lines = list(map(json.loads, path.read_text().splitlines()))
    assert [(line["experiment"], line["seed"]) for line in lines] == [keys[2], keys[1], keys[0]]


@pytest.mark.parametrize("options, computed", [([], [1]), (["--anew"], [0, 1])])
def test_a_line_that_is_there_is_computed_anew_only_where_asked_for(
    options, computed, clustering, monkeypatch, tmp_path
):
    there = next(line for line in reference.clustering_results() if line["seed"] == 0)
    name, path, readme = there["experiment"], tmp_path / "clustering.jsonl", tmp_path / "README.md"
    path.write_text(json.dumps(there) + "\n")
    readme.write_text("\n".join(clustering.tables.marks("clustering")))
    monkeypatch.setattr(clustering.reference, "CLUSTERING", path)
    monkeypatch.setattr(clustering.tables, "README", readme)
    monkeypatch.setattr(clustering, "load_dataset", lambda *names: None)
    monkeypatch.setattr(
        clustering, "result", lambda name, seed, *_: there | {"seed": seed, "new": 1}
    )
    monkeypatch.setattr(sys, "argv", ["clustering", "--only", name, "--seeds", "0", "1", *options])
    clustering.main()
    lines = list(map(json.loads, path.read_text().splitlines()))
    assert [line["seed"] for line in lines] == [0, 1]
    assert [line["seed"] for line in lines if "new" in line] == computed


def test_a_pair_that_another_process_stored_meanwhile_stays(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import thesis_runs

    stored = thesis_runs.stored()
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(thesis_runs.tables.marks("thesis runs")))
    monkeypatch.setattr(thesis_runs, "README", readme)
    monkeypatch.setattr(thesis_runs, "RESULTS", tmp_path / "thesis_runs.json")
    for pair in thesis_runs.PAIRS[:2]:
        thesis_runs.update(pair, stored[pair])
    assert list(thesis_runs.stored()) == thesis_runs.PAIRS[:2]
    table = thesis_runs.tables.printed(readme, "thesis runs")
    assert table == thesis_runs.tables.of_runs(thesis_runs.stored())


def test_no_line_is_lost_where_several_processes_write(tmp_path):
    program = (
        "import pathlib, sys, tables\n"
        "path, first = pathlib.Path(sys.argv[1]), int(sys.argv[2])\n"
        "for seed in range(first, first + 20):\n"
        "    tables.add_line(path, {'experiment': 'a', 'seed': seed}, ['a'])\n"
    )
    path, environment = tmp_path / "lines.jsonl", os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(path)]
    writers = [
        subprocess.Popen([*command, str(first)], cwd=ROOT / "benchmarks", env=environment)
        for first in (0, 20, 40)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = map(json.loads, path.read_text().splitlines())
    assert [line["seed"] for line in lines] == list(range(60))


def test_the_summary_is_mean_median_spread_best_and_worst(clustering):
    name = next(iter(clustering.EXPERIMENTS))
    scores = dict.fromkeys(("nmi", "ari", "elbo", "log_p_x", "clusters_in_use"), 1.0)
    scores |= dict(accuracy_one_to_one=None, accuracy_surest=0.5)
    lines = [
        {"experiment": name, "metrics": scores | {"accuracy_majority": value}}
        for value in (0.5, 0.6, 1.0)
    ]
    found = clustering.summary(lines)[name]
    assert found["seeds"] == 3 and "accuracy_one_to_one" not in found
    expected = dict(mean=0.7, median=0.6, sd=np.std([0.5, 0.6, 1.0], ddof=1), best=1.0, worst=0.5)
    assert found["accuracy_majority"] == pytest.approx(expected)
    row = clustering.table({name: found}).splitlines()[-1]
    assert row.endswith("| 3 |  | 70.0 ± 26.5 (50.0 to 100.0) | 50.0 ± 0.0 (50.0 to 50.0) | 1.0 |")
    row = clustering.table(clustering.summary(lines[:1])).splitlines()[-1]
    assert row.endswith("| 1 |  | 50.0 | 50.0 | 1.0 |")  # one seed has no spread


# --- densities


@pytest.fixture
def densities(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import densities

    return densities


def test_every_density_is_of_its_experiment_and_of_the_stated_protocol(densities):
    lines = reference.density_results()
    assert len({(line["experiment"], line["seed"]) for line in lines}) == len(lines)
    for line in lines:
        expected = densities.EXPERIMENTS[line["experiment"]].replace(seed=line["seed"])
        assert Config.from_dict(line["config"]) == expected
        assert line["best_epoch"] <= line["epochs"] <= expected.epochs
        metrics = line["metrics"]
        assert metrics["images"] == metrics["log_p_x_images"] == 10_000
        assert metrics["log_p_x_num_samples"] == densities.NUM_SAMPLES == 200
        assert metrics["elbo"] < metrics["log_p_x"] < 0


def test_every_density_is_of_binary_images_under_a_bernoulli_likelihood(densities):
    for config in densities.EXPERIMENTS.values():
        assert (config.binarise, config.likelihood) == ("sampled", "bernoulli")
        assert (config.kl_weight, config.min_information) == (1.0, 0.0)


def test_the_densities_of_the_readme_are_those_of_the_results(densities):
    import tables

    lines = reference.density_results()
    assert tables.printed(tables.README, "densities") == densities.table(lines)


def test_a_density_is_computed_once_and_a_cut_training_completed(densities, monkeypatch, tmp_path):
    monkeypatch.setattr(densities, "NUM_SAMPLES", 3)
    data, config = trainings.dataset(), trainings.config("model4_bias", epochs=2, seed=3)
    folder = tmp_path / "a-b" / "seed-3"
    trainings.train(config, folder, finish=False)
    line = densities.result("a/b", config, data, tmp_path)
    assert line == json.loads(json.dumps(line))
    assert (line["experiment"], line["seed"], line["epochs"]) == ("a/b", 3, 2)
    assert Config.from_dict(line["config"]) == config
    assert line["metrics"]["images"] == 60 and line["metrics"]["log_p_x_num_samples"] == 3
    assert line["best_epoch"] in (1, 2)
    monkeypatch.setattr(densities, "train", None)  # nothing is left to train
    assert densities.result("a/b", config, data, tmp_path) == line


def test_the_table_names_size_samples_and_errors(densities):
    metrics = {"elbo": -95.123, "log_p_x": -90.456, "log_p_x_num_samples": 200}
    metrics |= {"elbo_standard_error": 0.25, "log_p_x_standard_error": 0.24}
    metrics |= {"accuracy_one_to_one": 0.6744, "clustering_by": "kmeans"}
    config = tiny("model1", z_dim=40, hidden_dim=500, num_layers=3).to_dict()
    line = {"experiment": "vae", "seed": 1, "epochs": 7, "seconds": 150, "config": config}
    ours, *published = densities.table([line | {"metrics": metrics}]).splitlines()[2:]
    expected = "| vae | 500 + 500 | 40 | 1 | 7 | 2 | -95.12 ± 0.25 | 200 | -90.46 ± 0.24 "
    assert ours == expected + "| 67.4 % (k-means) |"
    assert len(published) == len(densities.PUBLISHED)
    assert all(row.count("|") == ours.count("|") for row in published)
