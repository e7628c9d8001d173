"""Every option of the networks, in whole models: dropout, bounds, biases, precision, sizes."""

import math

import keras
import numpy as np
import pytest
import toys

from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES

X = toys.images(6)
every_gmvae = pytest.mark.parametrize("model_name", GMVAE_NAMES)
every_model = pytest.mark.parametrize("model_name", MODEL_NAMES)


def terms(model, training=False):
    return model.elbo_terms(X, toys.noise(model, len(X)), training=training)


@every_model
@pytest.mark.parametrize("training", [True, False])
def test_every_dropout_layer_is_told_whether_it_trains(model_name, training, monkeypatch):
    """Defect 5 of the 2018 program: its dropout never ran, the flag was not passed on."""
    model, told = toys.shared(model_name, dropout=0.5), {}
    call = keras.layers.Dropout.call

    def listen(layer, inputs, training=False):
        told.setdefault(id(layer), set()).add(training)
        return call(layer, inputs, training=training)

    monkeypatch.setattr(keras.layers.Dropout, "call", listen)
    terms(model, training)
    assert len(told) == (5 if model_name in GMVAE_NAMES else 2)  # one for each network
    assert all(flags == {training} for flags in told.values())


@every_model
def test_dropout_changes_the_terms_in_training_only(model_name):
    model = toys.shared(model_name, dropout=0.5, hidden_dim=20)
    assert _equal(terms(model), terms(model))
    assert not _equal(terms(model, training=True), terms(model, training=True))


def _equal(first, second):
    return np.array_equal(np.asarray(first), np.asarray(second))


@every_model
@pytest.mark.parametrize(
    "bound, low, high", [("thesis", 0.1067, 5.1067), ("wide", 6.14e-6, 1.63e5)]
)
def test_variance_bound_holds_for_every_latent(model_name, bound, low, high):
    """Driven to both ends, every variance stops at the bound."""
    model = toys.shared(model_name, variance_bound=bound)
    for variable in model.trainable_variables:
        if variable.path.endswith("logvar/bias"):
            variable.assign(np.resize([-1e3, 1e3], variable.shape))
    gaussians = [model.encode_z(X)]
    if model.config.is_gmvae:
        gaussians += [model.encode_w(X), model.prior_z(np.zeros((6, 2)))]
    for gaussian in gaussians:
        ends = np.exp(gaussian.logvar).reshape(-1, 2)  # driven down, driven up
        np.testing.assert_allclose(ends, np.tile([low, high], (len(ends), 1)), rtol=2e-3)


@every_gmvae
def test_bias_init_starts_the_z_means_apart(model_name):
    for init in ("truncated_normal", "zeros"):
        model = toys.shared(model_name, bias_init=init)
        biases = {v.path: v.numpy() for v in model.trainable_variables if "bias" in v.path}
        random = {path for path, bias in biases.items() if np.any(bias)}
        assert len(random) == (2 if init == "truncated_normal" else 0)
        assert all("encoder_z_mean" in path or "prior_z_mean" in path for path in random)


@pytest.mark.parametrize("model_name", ["model1", "model2", "model3"])
def test_bias_init_does_not_concern_a_model_without_y(model_name):
    assert not any(
        np.any(v) for v in toys.shared(model_name).trainable_variables if "bias" in v.path
    )


@every_model
def test_precision_concerns_the_convolutions(model_name):
    model = toys.shared(model_name)
    rough = toys.copy(model, precision="bfloat16")
    exact, rounded = terms(model).elbo.numpy(), terms(rough).elbo.numpy()
    assert rounded.dtype == "float32"
    assert (exact != rounded).any() == model.config.is_convolutional
    np.testing.assert_allclose(rounded, exact, rtol=0.05)
    found = toys.loss_gradients(rough, X, toys.noise(rough, len(X)))
    assert all(g.dtype == "float32" and np.isfinite(g).all() for g in found.values())


def stack(inputs, hidden_dim, num_layers, *outputs):
    """Parameters of a dense network with several output layers, biases included."""
    sizes = [inputs] + [hidden_dim] * (num_layers - 1)
    hidden = sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))
    return hidden + sum((sizes[-1] + 1) * output for output in outputs)


@pytest.mark.parametrize("hidden_dim, num_layers, z_dim", [(50, 2, 3), (8, 1, 2), (7, 4, 5)])
def test_sizes_of_the_dense_models(hidden_dim, num_layers, z_dim):
    size = dict(hidden_dim=hidden_dim, num_layers=num_layers, z_dim=z_dim)
    pixels, depth = 64, (hidden_dim, num_layers)
    vae = stack(pixels, *depth, z_dim, z_dim) + stack(z_dim, *depth, pixels)
    w_dim, clusters = 4, 6
    gmvae = vae + stack(pixels, *depth, w_dim, w_dim) + stack(z_dim + w_dim, *depth, clusters)
    gmvae += stack(w_dim, *depth, clusters * z_dim, clusters * z_dim)
    for model_name, expected in (("model1", vae), ("model3", vae), ("model4_bias", gmvae)):
        model = toys.shared(model_name, w_dim=w_dim, num_clusters=clusters, **size)
        assert sum(math.prod(v.shape) for v in model.trainable_variables) == expected


@pytest.mark.parametrize("filters, shape", [(32, (28, 28, 1)), (3, (28, 20, 1)), (5, (9, 6, 2))])
def test_sizes_of_the_convolutional_vae(filters, shape):
    """`filters` in the first convolution, twice as many in the second, and backwards."""
    hidden_dim, num_layers, z_dim = 8, 3, 5
    rows, columns = (math.ceil(side / 4) for side in shape[:2])
    channels, flat = shape[2], rows * columns * 2 * filters
    inner = 16 * filters * 2 * filters  # 4 x 4 kernels
    convolutions = 16 * channels * filters + filters + inner + 2 * filters
    transposed = inner + filters + 16 * filters * channels + channels
    expected = convolutions + stack(flat, hidden_dim, num_layers, z_dim, z_dim)
    expected += stack(z_dim, hidden_dim, num_layers, flat) + transposed
    options = dict(hidden_dim=hidden_dim, num_layers=num_layers, z_dim=z_dim, filters=filters)
    model = toys.toy("model2", shape, **options)
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == expected
