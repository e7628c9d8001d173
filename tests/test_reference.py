"""The runs that come with the package, and the book's two speeds."""

import numpy as np
import pytest
import toys
import trainings

from vae_gmvae import reference, runs, speed

LIMIT = 8_000_000  # bytes, of everything that is stored
every_pair = pytest.mark.parametrize("pair", reference.PAIRS, ids="/".join)


@every_pair
def test_a_stored_run_is_whole(pair):
    run = reference.load_reference(*pair)
    assert (run.config.model_name, run.config.dataset_name) == pair
    assert run.epochs_done == run.metrics["epochs"] == run.config.epochs
    terms = [run.metrics[name] for name in run.model.Terms._fields]
    elbo = 2 * terms[0] - sum(terms)  # the first is the reconstruction, the others are costs
    np.testing.assert_allclose(run.metrics["elbo"], elbo, rtol=1e-6)
    assert run.metrics["elbo"] < run.metrics["log_p_x"]


@every_pair
def test_a_stored_model_draws_images(pair):
    run = reference.load_reference(*pair)
    images = np.asarray(run.model.sample(3, seed=0))
    assert images.shape == (3, *run.model.image_shape)
    assert 0 <= images.min() < images.max() <= 1


def test_all_of_it_is_small():
    files = [path for path in reference.HERE.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    assert len(files) >= 4 * len(reference.PAIRS)
    assert sum(path.stat().st_size for path in files) < LIMIT


@pytest.mark.data
@every_pair
def test_the_stored_metrics_are_those_of_the_stored_weights(pair, data_dir):
    """Those that draw nothing at random."""
    from vae_gmvae import evaluation, load_dataset

    run = reference.load_reference(*pair)
    test = load_dataset(pair[1], data_dir, seed=run.config.seed, split=run.config.split).test
    found = evaluation.reconstruction_mse(run.model, test.x)
    np.testing.assert_allclose(found, run.metrics["reconstruction_mse"], rtol=1e-4)
    active = evaluation.active_units(evaluation.codes(run.model, test.x).z).count
    assert active == run.metrics["active_units_z"]
    if run.config.is_mixture:
        responsibilities = evaluation.responsibilities(run.model, test.x)
        in_use = evaluation.clusters_in_use(responsibilities)
        assert in_use == run.metrics["clusters_in_use"]
    if run.config.is_mixture and test.labels is not None:
        scores = evaluation.clustering_scores(responsibilities, test.labels)
        assert scores.one_to_one == pytest.approx(run.metrics["accuracy_one_to_one"], abs=5e-4)


def test_a_published_run_has_no_folder_that_a_report_could_write_to():
    assert reference.load_reference("model1", "FREY").folder is None


def test_a_dataset_may_be_named_in_lower_case():
    assert reference.load_reference("model1", "frey").config.dataset_name == "FREY"


def test_an_unknown_pair_is_refused_by_name():
    with pytest.raises(ValueError, match="'model6' on 'MNIST'.*model4_bias.*MNIST or FREY"):
        reference.load_reference("model6", "MNIST")
    with pytest.raises(ValueError, match="'model1' on 'CIFAR'"):
        reference.load_reference("model1", "CIFAR")


def test_a_run_is_stored_rounded_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "HERE", tmp_path / "reference")
    (tmp_path / "reference").mkdir()
    run = trainings.train(trainings.config("model1", epochs=1), tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        reference.load_reference("model1", "MNIST")
    folder = reference.store(run)
    back = reference.load_reference("model1", "MNIST")
    assert (back.config, back.metrics) == (run.config, {})
    for name, column in run.history.items():
        np.testing.assert_allclose(back.history[name], column, rtol=5e-7)
    x = toys.images(5)
    np.testing.assert_allclose(back.model.reconstruct(x), run.model.reconstruct(x), atol=2e-3)
    rounded = runs.get_weights(back.model)["decoder_x/output/kernel"]
    exact = runs.get_weights(run.model)["decoder_x/output/kernel"]
    np.testing.assert_array_equal(rounded, exact.astype("float16"))
    (folder / "metrics.json").write_text("{}")
    reference.store(run)
    assert not (folder / "metrics.json").exists()  # they were another run's


@pytest.mark.parametrize(
    "value, expected", [(None, "slow"), ("", "slow"), ("reference", "slow"), ("smoke", "fast")]
)
def test_the_environment_chooses_the_speed(monkeypatch, value, expected):
    if value is None:
        monkeypatch.delenv(speed.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(speed.VARIABLE, value)
    assert speed.by_speed(reference="slow", smoke="fast") == expected


def test_another_word_is_refused(monkeypatch):
    monkeypatch.setenv(speed.VARIABLE, "warp")
    with pytest.raises(ValueError, match="'warp'.*reference or smoke"):
        speed.by_speed(reference=1, smoke=2)
