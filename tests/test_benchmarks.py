"""The comparison of speed: it runs, and what it compares is the same objective."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys import images, noise, scrambled, tiny

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
    assert {"package", "Keras fit"} <= set(seconds)
    for name, times in seconds.items():
        assert len(times) == 3 and min(times) > 0
        assert median[name] == sorted(times)[1]
        assert f"| dense | 16 | {name} | {median[name]:.2f} |" in printed
    best = min(median[name] for name in seconds if name != "package")
    ratio = comparison["times_faster_than_best_other"]["package"]
    assert ratio == pytest.approx(best / median["package"], abs=1e-3)
    assert 0.1 < results["peak_memory_gib"] < 3
    assert results["machine"]["versions"]["keras"]


@pytest.mark.parametrize("model_name", ["model1", "model2"])
def test_the_pytorch_model_is_the_same_model(model_name, monkeypatch):
    pytest.importorskip("torch")
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

    printed = report.README.read_text().split(report.BEGIN)[1].split(report.END)[0]
    results = report.stored()
    assert printed == (report.table(results) if results else "")
