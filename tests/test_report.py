"""The report of a run: what lies in its files, also when a term is not finite."""

import json

import numpy as np
import pytest
from toys import SHAPE, images, toy

from vae_gmvae import plots
from vae_gmvae.data import Dataset, Split
from vae_gmvae.evaluation import codes, evaluate
from vae_gmvae.report import report
from vae_gmvae.runs import Run


@pytest.fixture
def data():
    labels = np.arange(12) % 3
    parts = (Split(images(12, SHAPE, seed), labels) for seed in range(3))
    return Dataset("toy", *parts, source="a test")


def one_epoch(model) -> Run:
    history = {"epoch": [1], "elbo": [-2.0], "val_elbo": [-3.0]}
    history |= {name: [1.0] for term in model.Terms._fields for name in (term, f"val_{term}")}
    return Run(model.config, model, history)


def read(path):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_the_same_run_gives_the_same_files(tmp_path, data):
    run = one_epoch(toy("model4_bias"))
    for name in ("first", "second"):
        report(run, data, tmp_path / name, num_imgs=4, num_samples=2, say=lambda text: None)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second
    assert read(tmp_path / "first" / "metrics.json") == run.metrics


def test_the_run_keeps_a_copy_of_its_metrics(tmp_path, data):
    run = one_epoch(toy("model1"))
    run.folder = tmp_path / "run"
    report(run, data, tmp_path / "result", num_imgs=4, num_samples=2, say=lambda text: None)
    assert read(tmp_path / "run" / "metrics.json") == read(tmp_path / "result" / "metrics.json")


def test_the_report_is_of_the_test_images_and_of_each_cluster(tmp_path, monkeypatch):
    drawn = {"reconstructions": [], "cluster_grids": [], "latent_scatter": []}
    for name, calls in drawn.items():
        draw = getattr(plots, name)

        def listen(*args, draw=draw, calls=calls, **options):
            calls.append(args)
            return draw(*args, **options)

        monkeypatch.setattr(plots, name, listen)
    splits = (Split(images(n, SHAPE, n), np.arange(n) % 3) for n in (14, 10, 12))
    data, run = Dataset("toy", *splits, source="a test"), one_epoch(toy("model4_bias", seed=3))
    report(run, data, tmp_path, num_imgs=4, num_samples=2, say=lambda text: None)
    metrics = {"epochs": 1} | evaluate(run.model, data.test, num_samples=2, seed=3)
    assert read(tmp_path / "metrics.json") == json.loads(json.dumps(metrics))
    train, test = (call[0] for call in drawn["reconstructions"])
    np.testing.assert_array_equal(train, data.train.x[:4])
    np.testing.assert_array_equal(test, data.test.x[:4])
    clusters = [np.asarray(run.model.sample(25, seed=3, k=k)) for k in range(3)]
    np.testing.assert_array_equal(drawn["cluster_grids"][0][0], clusters)
    for (points, labels), means in zip(drawn["latent_scatter"], codes(run.model, data.test.x)):
        np.testing.assert_array_equal(points, means)
        np.testing.assert_array_equal(labels, data.test.labels)


def test_a_term_that_is_not_finite_is_null_and_has_no_bar(tmp_path, data):
    model = toy("model3", mixture_density="naive")
    for head in ("mean/kernel", "mean/bias"):  # codes so far out that every density underflows
        (weight,) = [w for w in model.weights if w.path.endswith(f"encoder_z_{head}")]
        weight.assign(np.full(weight.shape, 1e3))
    (tmp_path / "elbo_breakdown.png").write_bytes(b"of an earlier epoch")
    paths = report(one_epoch(model), data, tmp_path, num_imgs=4, num_samples=2, say=print)
    metrics = read(tmp_path / "metrics.json")
    assert metrics["z_prior"] is None and np.isfinite(metrics["reconstruction"])
    names = {path.stem for path in paths}
    assert "elbo_breakdown" not in names and "training_curves" in names
    assert names == {path.stem for path in tmp_path.glob("*.png")}


def test_the_table_of_clusters_names_the_labels_that_there_are(tmp_path, data, monkeypatch):
    seen = []
    draw = plots.cluster_confusion
    monkeypatch.setattr(plots, "cluster_confusion", lambda *a, **k: seen.append(k) or draw(*a, **k))
    parts = [
        Split(part.x, np.array([2, 4, 7])[part.labels])
        for part in (data.train, data.valid, data.test)
    ]
    other = Dataset("toy", *parts, source="a test")
    report(one_epoch(toy("model4_bias")), other, tmp_path, num_imgs=4, num_samples=2, say=print)
    assert seen[0]["digits"].tolist() == [2, 4, 7]


def test_three_test_images_have_every_figure_but_the_maps_of_many_dimensions(tmp_path, data):
    few = Split(data.test.x[:3], data.test.labels[:3])
    little = Dataset("toy", data.train, data.valid, few, source="a test")
    run = one_epoch(toy("model4_bias", z_dim=4, w_dim=1))
    paths = report(run, little, tmp_path, num_imgs=4, num_samples=2, say=print)
    names = {path.stem for path in paths}
    assert "latent_z" not in names and {"latent_w", "reconstructions_test", "clusters"} <= names
