"""The networks: shapes, depth, bounds of the variances, dropout, initial biases, precision."""

import itertools
import math

import keras
import numpy as np
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from vae_gmvae import networks

SHAPES = [(28, 28, 1), (28, 20, 1), (30, 21, 1), (5, 4, 1), (6, 9, 3)]
TRUNKS = {"dense": networks.dense_trunk, "conv": networks.conv_trunk}
DECODERS = {"dense": networks.dense_decoder, "conv": networks.conv_decoder}
EXTREMES = [-1e30, -1e4, -50.0, 50.0, 1e4, 1e30]

every_kind = pytest.mark.parametrize("kind", ["dense", "conv"])


def build(builder, first, hidden_dim=6, num_layers=2, dropout=0.0, **options):
    """A network with seeds 0, 1, 2, ..."""
    return builder(first, **options, **depth(hidden_dim, num_layers, dropout))


def depth(hidden_dim=6, num_layers=2, dropout=0.0):
    return dict(
        hidden_dim=hidden_dim, num_layers=num_layers, dropout=dropout, seeds=itertools.count()
    )


def trunk(kind="dense", shape=(8, 8, 1), **options):
    return build(TRUNKS[kind], shape, name="trunk", **options)


def decoder(kind="dense", shape=(8, 8, 1), z_dim=3, **options):
    return build(DECODERS[kind], z_dim, image_shape=shape, **options)


def head(dim=2, bound="wide", **options):
    return networks.GaussianHead(trunk(), dim, bound, itertools.count(100), "head", **options)


def of_type(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


# --- shapes


@every_kind
@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_trunks_and_decoders_keep_the_shapes(kind, shape, num_layers):
    x = np.random.default_rng(0).random((2, *shape))
    hidden = trunk(kind, shape, num_layers=num_layers)(x)
    assert len(hidden.shape) == 2 and hidden.shape[0] == 2
    assert num_layers == 1 or hidden.shape[1] == 6
    assert decoder(kind, shape, num_layers=num_layers)(np.zeros((2, 3))).shape == (2, *shape)


@every_kind
@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_the_output_layer_is_one_of_num_layers(kind, num_layers):
    assert len(of_type(trunk(kind, num_layers=num_layers), layers.Dense)) == num_layers - 1
    assert len(of_type(decoder(kind, num_layers=num_layers), layers.Dense)) == num_layers
    classify = networks.classifier(4, 5, **depth(num_layers=num_layers), name="classifier")
    assert len(of_type(classify, layers.Dense)) == num_layers
    assert classify(np.zeros((2, 4))).shape == (2, 5)


def test_every_convolution_of_the_trunk_is_used():
    """The 2018 program fed the image to the second convolution and forgot the first."""
    network, x = trunk("conv"), np.random.default_rng(0).random((2, 8, 8, 1))
    before = network(x).numpy()
    for convolution in of_type(network, layers.Conv2D):
        kernel = convolution.kernel.numpy()
        convolution.kernel.assign(-kernel)
        assert np.abs(network(x).numpy() - before).max() > 1e-6, convolution.name
        convolution.kernel.assign(kernel)


def test_the_convolutional_decoder_grows_the_image_in_place():
    """Cropping removes the overhang at the lower right: a larger image begins with the smaller."""
    z = np.random.default_rng(0).normal(size=(2, 3))
    whole, cut = decoder("conv", (8, 8, 1))(z), decoder("conv", (7, 6, 1))(z)
    np.testing.assert_allclose(cut, whole[:, :7, :6], atol=1e-6)


@pytest.mark.parametrize("components, shape", [(None, (5, 2)), (3, (5, 3, 2))])
def test_heads_give_mean_and_logvar(components, shape):
    x = np.random.default_rng(0).random((5, 8, 8, 1))
    mean, logvar = head(components=components)(x)
    assert mean.shape == logvar.shape == shape


def test_each_component_has_a_head_of_its_own():
    """Changing component 1's share of the kernel changes that component alone."""
    network, x = head(components=3), np.random.default_rng(0).random((5, 8, 8, 1))
    before = [part.numpy() for part in network(x)]
    for layer in (network.mean, network.logvar):
        kernel = layer.kernel.numpy()
        kernel[:, 2:4] += 1.0
        layer.kernel.assign(kernel)
    for was, now in zip(before, network(x)):
        changed = np.abs(now.numpy() - was).max(axis=(0, 2))
        assert changed[1] > 1e-3 and (changed[[0, 2]] == 0).all()


# --- bounded variances


@settings(max_examples=200, deadline=None, derandomize=True)
@given(raw=st.floats(width=32, allow_nan=False) | st.sampled_from(EXTREMES))
def test_no_input_overflows_a_variance(raw):
    raw = np.float32(raw)
    assert -12 <= float(networks.wide_logvar(raw)) <= 12
    assert 0.1067 < math.exp(float(networks.thesis_logvar(raw))) < 5.1068


def test_wide_bound_is_the_identity_near_zero():
    raw = np.linspace(-1, 1, 101)
    bounded = networks.wide_logvar(raw).numpy()
    np.testing.assert_allclose(bounded, raw, atol=1 / (3 * 12**2))  # tanh's next Taylor term
    assert (np.diff(bounded) > 0).all()


def test_thesis_bound_is_the_thesis_formula():
    raw = np.linspace(-6, 6, 101)
    variance = np.log1p(np.exp(5 * np.tanh(raw))) + 0.1
    np.testing.assert_allclose(np.exp(networks.thesis_logvar(raw)), variance, rtol=1e-12)
    assert variance.min() > 0.1067 and variance.max() > 5.1066  # the range that the help text says


@pytest.mark.parametrize("bound, low, high", [("wide", -12, 12), ("thesis", -2.2378, 1.6306)])
def test_heads_apply_their_bound(bound, low, high):
    network, x = head(bound=bound), np.ones((4, 8, 8, 1))
    for extreme, limit in ((-1e30, low), (1e30, high)):
        network.logvar.bias.assign([extreme] * 2)
        np.testing.assert_allclose(network(x)[1], limit, rtol=1e-4)


# --- dropout, biases, seeds, precision


@pytest.mark.parametrize(
    "network, width",
    [(trunk, (8, 8, 1)), (decoder, (3,)), (lambda **o: trunk("conv", **o), (8, 8, 1))],
    ids=["trunk", "decoder", "conv trunk"],
)
def test_dropout_masks_in_training_only(network, width):
    built = network(dropout=0.5, num_layers=3, hidden_dim=20)
    x = np.random.default_rng(0).random((4, *width))
    np.testing.assert_array_equal(built(x), built(x))
    first, second = built(x, training=True).numpy(), built(x, training=True).numpy()
    assert (first != second).any() and (first != built(x).numpy()).any()


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_dropout_drops_its_share_of_hidden_units(share):
    built = trunk(dropout=share, hidden_dim=4000)
    kept = built(np.ones((1, 8, 8, 1)), training=False).numpy() > 0  # what ReLU leaves
    dropped = (built(np.ones((1, 8, 8, 1)), training=True).numpy() == 0)[kept]
    error = math.sqrt(share * (1 - share) / dropped.size)
    assert abs(dropped.mean() - share) < 5 * error


def test_no_dropout_no_layer():
    assert not of_type(trunk(num_layers=4), layers.Dropout)


def test_truncated_normal_biases_start_the_components_apart():
    """Standard normal cut at 2: within (-2, 2), standard deviation 0.88; the rest starts at 0."""
    network = head(dim=50, components=20, bias_init="truncated_normal")
    biases = network.mean.bias.numpy()
    assert np.abs(biases).max() < 2
    assert abs(biases.mean()) < 5 * 0.88 / math.sqrt(1000)
    np.testing.assert_allclose(biases.std(), 0.88, atol=0.1)
    assert (network.logvar.bias.numpy() == 0).all()
    assert (head(components=20).mean.bias.numpy() == 0).all()


@every_kind
def test_layers_of_equal_shape_start_with_different_weights(kind):
    kernels = [layer.kernel.numpy() for layer in of_type(trunk(kind, num_layers=4), layers.Dense)]
    assert (kernels[1] != kernels[2]).any()


@pytest.mark.parametrize("network", [trunk, decoder])
def test_bfloat16_stays_inside_the_convolutions(network):
    built = network("conv", precision="bfloat16")
    for layer in built.layers:
        convolution = layer.name.startswith(("conv_", "deconv_"))
        assert layer.compute_dtype == ("bfloat16" if convolution else "float32"), layer.name
        assert all(keras.backend.standardize_dtype(w.dtype) == "float32" for w in layer.weights)


@pytest.mark.parametrize("network, width", [(trunk, (8, 8, 1)), (decoder, (3,))])
def test_bfloat16_is_close_to_float32_and_not_equal(network, width):
    x = np.random.default_rng(0).random((4, *width)).astype("float32")
    exact, rough = (network("conv", precision=p)(x) for p in ("float32", "bfloat16"))
    assert rough.dtype == "float32"
    off = np.abs(exact - rough).max()
    assert 0 < off < 0.02 * np.abs(exact).max()


def test_every_hidden_layer_is_a_relu_and_no_output_is():
    depth = dict(hidden_dim=6, num_layers=3, dropout=0.0)
    for network in (
        networks.dense_trunk((8, 8, 1), **depth, seeds=itertools.count(), name="trunk"),
        networks.conv_trunk((8, 8, 1), **depth, seeds=itertools.count(), name="trunk"),
        networks.dense_decoder(3, (8, 8, 1), **depth, seeds=itertools.count()),
        networks.conv_decoder(3, (8, 8, 1), **depth, seeds=itertools.count()),
        networks.classifier(4, 3, **depth, seeds=itertools.count(), name="classifier"),
    ):
        found = {one.name: one.activation.__name__ for one in network.layers if one.weights}
        expected = {name: "linear" if name == "output" else "relu" for name in found}
        assert found == expected and len(found) > 1


def test_channels_come_last_whatever_keras_is_told():
    keras.config.set_image_data_format("channels_first")
    try:
        model = toys.toy("model2", (12, 8, 1))
        assert model.decode_x(np.zeros((2, 2), "float32")).shape == (2, 12, 8, 1)
        dense = toys.toy("model1", (5, 4, 2)).encoder_z.trunk.get_layer("flatten")
    finally:
        keras.config.set_image_data_format("channels_last")
    x = np.arange(40.0).reshape(1, 5, 4, 2)
    np.testing.assert_array_equal(dense(x), x.reshape(1, -1))
