"""Defaults, run names and presets, as the 2018 program and the thesis have them."""

import pytest

from vae_gmvae.config import CONVOLUTIONAL_NAMES, GMVAE_NAMES, MODEL_NAMES, PRESETS, Config, preset

DEFAULTS = dict(
    model_name="model1", dataset_name="MNIST", epochs=20, batch_size=64, x_var=0.1,
    learning_rate=1e-3, z_dim=3, w_dim=3, num_clusters=10, hidden_dim=50, num_layers=2,
    save_step=10, extra_name="",
)  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_thesis(name):
    assert getattr(Config(), name) == DEFAULTS[name]


def test_corrected_behaviour_is_the_default():
    config = Config()
    assert (config.y_prior, config.mixture_density) == ("forward", "logsumexp")
    assert (config.kl_weight, config.min_information, config.split) == (1.0, 0.0, "random")


def test_kinds_of_models():
    kinds = {name: Config(model_name=name) for name in MODEL_NAMES}
    assert {n for n, c in kinds.items() if c.is_gmvae} == set(GMVAE_NAMES)
    assert {n for n, c in kinds.items() if c.is_convolutional} == set(CONVOLUTIONAL_NAMES)


RUN_NAMES = {
    "model1_MNIST_20_01_3_50_2": dict(),
    "model3_MNIST_20_01_3_50_2": dict(model_name="model3"),
    "model2_FREY_20_01_3_50_2_night": dict(
        model_name="model2", dataset_name="FREY", extra_name="night"
    ),
    "model4_bias_MNIST_20_01_3_7_50_2_10": dict(model_name="model4_bias", w_dim=7),
    "model5_FREY_300_0001_10_2_64_3_12_a.b-c": dict(
        model_name="model5", dataset_name="FREY", epochs=300, x_var=0.001, z_dim=10, w_dim=2,
        hidden_dim=64, num_layers=3, num_clusters=12, extra_name="a.b-c",
    ),
    "model1_MNIST_20_auto_3_50_2": dict(x_var="auto"),
    "model1_MNIST_20_000001_3_50_2": dict(x_var=1e-5),
    "model1_MNIST_20_15_3_50_2": dict(x_var=1.5),
    "model1_MNIST_20_150_3_50_2": dict(x_var=15),
    "model1_set_1_20_01_3_50_2": dict(dataset_name="folders/set.1"),
    "model1_my_digits_20_01_3_50_2": dict(dataset_name="some/folder/my digits.npz"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN_NAMES)
def test_run_names(name):
    assert Config(**RUN_NAMES[name]).run_name == name


THESIS = {  # z, w, hidden, layers, sigma, learning rate, K; w and K where the model has them
    "model1": (10, None, 64, 3, 0.001, 1e-3, None),
    "model2": (10, None, 64, 3, 0.001, 1e-3, None),
    "model3": (2, None, 128, 2, 0.01, 1e-4, 10),
    "model4_bias": (2, 2, 128, 2, 0.01, 1e-4, 10),
    "model5": (10, 2, 64, 3, 0.001, 1e-3, 10),
}
COLUMNS = ("z_dim", "w_dim", "hidden_dim", "num_layers", "x_var", "learning_rate", "num_clusters")


@pytest.mark.parametrize("dataset_name", ["MNIST", "FREY"])
@pytest.mark.parametrize("model_name", MODEL_NAMES)
def test_thesis_preset_is_the_thesis_table(model_name, dataset_name):
    config = preset("thesis", model_name, dataset_name)
    assert (config.model_name, config.dataset_name) == (model_name, dataset_name)
    assert config.epochs == 300
    for column, value in zip(COLUMNS, THESIS[model_name]):
        assert value is None or getattr(config, column) == value, column
    assert config.is_gmvae == (config.variance_bound == "thesis")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("model_name", MODEL_NAMES)
def test_presets_take_changes(name, model_name):
    config = preset(name, model_name, "FREY", epochs=7, hidden_dim=11, seed=3)
    assert (config.model_name, config.dataset_name) == (model_name, "FREY")
    assert (config.epochs, config.hidden_dim, config.seed) == (7, 11, 3)


def test_smoke_preset_is_small():
    config = preset("smoke", "model5")
    assert config.epochs <= 2 and 0 < config.subset <= 1000


@pytest.mark.parametrize(
    "wrong", [("thesys",), ("thesis", "model6"), ("thesis", "model1", "")], ids=str
)
def test_presets_refuse_unknown_names(wrong):
    with pytest.raises(ValueError, match="thesys|model6|dataset_name"):
        preset(*wrong)
