"""Dense and convolutional networks. They know shapes and nothing of probability.

Every layer has a name and an initialiser with a seed of its own, so that a configuration and a
seed decide the initial weights on any machine.
"""

import math
from collections.abc import Iterator

import keras
from keras import layers, ops

KERNEL = 4
CHANNELS = "channels_last"  # whatever keras.json says
WIDE_LOGVAR = 12.0


def wide_logvar(raw):
    """A log variance in (-12, 12), about `raw` near 0: no input can overflow."""
    return WIDE_LOGVAR * ops.tanh(raw / WIDE_LOGVAR)


def thesis_logvar(raw):
    """The log of softplus(5 tanh(raw)) + 0.1: a variance in (0.107, 5.107). Thesis, chapter 4."""
    return ops.log(ops.softplus(5 * ops.tanh(raw)) + 0.1)


LOGVAR_BOUNDS = {"wide": wide_logvar, "thesis": thesis_logvar}


def _dense(units: int, seeds: Iterator[int], name: str, **options) -> layers.Dense:
    initializer = keras.initializers.GlorotUniform(seed=next(seeds))
    return layers.Dense(units, kernel_initializer=initializer, name=name, **options)


def _hidden(hidden_dim, num_layers, dropout, seeds) -> list[layers.Layer]:
    """The num_layers - 1 hidden dense layers before a network's output layer."""
    stack = []
    for i in range(1, num_layers):
        stack.append(_dense(hidden_dim, seeds, f"dense_{i}", activation="relu"))
        if dropout:
            stack.append(layers.Dropout(dropout, seed=next(seeds), name=f"dropout_{i}"))
    return stack


def dense_trunk(input_shape, hidden_dim, num_layers, dropout, seeds, name) -> keras.Sequential:
    """[B, *input_shape] -> [B, hidden_dim]: everything before the output layer."""
    flat = [layers.Flatten(CHANNELS, name="flatten")]
    hidden = _hidden(hidden_dim, num_layers, dropout, seeds)
    return keras.Sequential([keras.Input(input_shape), *flat, *hidden], name=name)


def conv_trunk(
    image_shape, hidden_dim, num_layers, dropout, seeds, name, filters=32, precision="float32"
) -> keras.Sequential:
    """[B, H, W, C] -> [B, hidden_dim]: two convolutions of stride 2, then the dense layers.

    The first convolution has `filters` filters, the second twice as many.
    """
    convolutions = [
        layers.Conv2D(number, KERNEL, name=f"conv_{i}", **_conv_options(seeds, precision))
        for i, number in enumerate((filters, 2 * filters), start=1)
    ]
    flat = layers.Flatten(CHANNELS, name="flatten")
    hidden = _hidden(hidden_dim, num_layers, dropout, seeds)
    return keras.Sequential([keras.Input(image_shape), *convolutions, flat, *hidden], name=name)


def _conv_options(seeds, precision) -> dict:
    return dict(
        strides=2,
        padding="same",
        data_format=CHANNELS,
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        dtype="mixed_bfloat16" if precision == "bfloat16" else None,
    )


def dense_decoder(z_dim, image_shape, hidden_dim, num_layers, dropout, seeds) -> keras.Sequential:
    """[B, z_dim] -> logits [B, H, W, C]."""
    hidden = _hidden(hidden_dim, num_layers, dropout, seeds)
    output = _dense(math.prod(image_shape), seeds, "output")
    image = layers.Reshape(image_shape, name="image")
    return keras.Sequential([keras.Input((z_dim,)), *hidden, output, image], name="decoder_x")


def conv_decoder(
    z_dim, image_shape, hidden_dim, num_layers, dropout, seeds, filters=32, precision="float32"
) -> keras.Sequential:
    """[B, z_dim] -> logits [B, H, W, C]: the mirror image of conv_trunk.

    The image grows from ceil(H / 4) x ceil(W / 4) by two transposed convolutions of stride 2 and
    is cropped to H x W where 4 does not divide them.
    """
    height, width, channels = image_shape
    rows, columns = math.ceil(height / 4), math.ceil(width / 4)
    seed_image = (rows, columns, 2 * filters)
    cropping = ((0, 4 * rows - height), (0, 4 * columns - width))
    upsample = _conv_options(seeds, precision)
    output = _conv_options(seeds, "float32") | {"activation": None}
    return keras.Sequential(
        [
            keras.Input((z_dim,)),
            *_hidden(hidden_dim, num_layers, dropout, seeds),
            _dense(math.prod(seed_image), seeds, "grow", activation="relu"),
            layers.Reshape(seed_image, name="seed_image"),
            layers.Conv2DTranspose(filters, KERNEL, name="deconv_1", **upsample),
            layers.Conv2DTranspose(channels, KERNEL, name="output", **output),
            layers.Cropping2D(cropping, CHANNELS, name="image"),
        ],
        name="decoder_x",
    )


class GaussianHead(layers.Layer):
    """A trunk with two output layers: [B, *] -> (mean, logvar), each [B, dim] or [B, K, dim].

    Args:
        trunk: the network before the output layers.
        dim: dimension of the Gaussian.
        bound: name of the log variance's range, a key of LOGVAR_BOUNDS.
        seeds: where the initialisers' seeds come from.
        components: K, for one head per component; None for a single Gaussian.
        bias_init: initial biases of the mean, "zeros" or "truncated_normal" (std 1).
    """

    def __init__(self, trunk, dim, bound, seeds, name, components=None, bias_init="zeros"):
        super().__init__(name=name)
        self.trunk, self.bound_logvar = trunk, LOGVAR_BOUNDS[bound]
        units = dim * (components or 1)
        if bias_init == "truncated_normal":
            bias_init = keras.initializers.TruncatedNormal(stddev=1.0, seed=next(seeds))
        self.mean = _dense(units, seeds, f"{name}_mean", bias_initializer=bias_init)
        self.logvar = _dense(units, seeds, f"{name}_logvar")
        self.shape = (-1, components, dim) if components else (-1, dim)
        self.mean.build(trunk.output_shape)
        self.logvar.build(trunk.output_shape)

    def build(self, input_shape):
        """Nothing is left to build: the trunk knows its shapes."""

    def call(self, x, training=False):
        hidden = self.trunk(x, training=training)  # [B, hidden]
        mean = ops.reshape(self.mean(hidden), self.shape)
        return mean, self.bound_logvar(ops.reshape(self.logvar(hidden), self.shape))


def classifier(input_dim, classes, hidden_dim, num_layers, dropout, seeds, name):
    """[B, input_dim] -> logits [B, classes]."""
    hidden = _hidden(hidden_dim, num_layers, dropout, seeds)
    output = _dense(classes, seeds, "output")
    return keras.Sequential([keras.Input((input_dim,)), *hidden, output], name=name)
