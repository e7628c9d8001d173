"""Small models on small images, and the switch to float64, for the tests of the models."""

import contextlib
import functools
import math

import keras
import numpy as np
import tensorflow as tf

from vae_gmvae.config import Config
from vae_gmvae.models import Latents, build_model

SHAPE = (8, 8, 1)


def tiny(model_name: str, **options) -> Config:
    small = dict(z_dim=2, w_dim=2, num_clusters=3, hidden_dim=8)
    return Config(model_name=model_name, **{**small, **options})


def toy(model_name: str, shape=SHAPE, **options):
    """A new model of `tiny` size."""
    return build_model(tiny(model_name, **options), shape)


def shared(model_name: str, shape=SHAPE, **options):
    """The same model for the same arguments, made as new: building takes a while."""
    return _as_new(tiny(model_name, **options), shape, keras.config.floatx())


def _as_new(config, shape, floatx):
    model, start = _built(config, shape, floatx)
    for variable, value in zip(model.variables, start):
        variable.assign(value)
    return model


@functools.cache
def _built(config, shape, floatx):
    model = build_model(config, shape)
    return model, [variable.numpy() for variable in model.variables]


def scrambled(model, scale=0.3, seed=0):
    """The model with every trainable weight moved at random: what holds must hold anywhere."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + scale * rng.standard_normal(variable.shape))
    return model


def images(num=4, shape=SHAPE, seed=0):
    """Random grey images in [0, 1], [num, H, W, C]."""
    return np.random.default_rng(seed).random((num, *shape)).astype(keras.config.floatx())


def noise(model, num, seed=0):
    """Standard normal noise from NumPy for `num` images."""
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal((num, dim)) for dim in (model.config.z_dim, model.config.w_dim)]
    eps = Latents(*(array.astype(keras.config.floatx()) for array in drawn))
    return eps if model.config.is_gmvae else eps._replace(w=None)


def copy(model, **options):
    """A (shared) model with other options and the same weights, wherever both have them."""
    values = {weight.path: weight.numpy() for weight in model.trainable_variables}
    config = model.config.replace(**options)
    twin = _as_new(config, model.image_shape, keras.config.floatx())
    assert twin is not model
    for variable in twin.trainable_variables:
        variable.assign(values[variable.path])
    return twin


def gradients(model, value):
    """Gradients of the scalar `value()` with respect to each trainable variable, by its path."""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        scalar = value()
    found = tape.gradient(scalar, variables, unconnected_gradients="zero")
    return {v.path: g.numpy() for v, g in zip(variables, found)}


def assert_slopes(model, value):
    """The gradients of the scalar `value()` are its slopes along a random direction, in float64."""
    found, rng, step = gradients(model, value), np.random.default_rng(0), 1e-6
    for variable in model.trainable_variables:
        start, direction = variable.numpy(), rng.standard_normal(variable.shape)
        ends = []
        for sign in (1, -1):
            variable.assign(start + sign * step * direction)
            ends.append(float(value()))
        variable.assign(start)
        slope = (ends[0] - ends[1]) / (2 * step)
        expected = np.sum(found[variable.path] * direction)
        assert math.isclose(slope, expected, rel_tol=1e-5, abs_tol=1e-5), variable.path


def loss(model, x, eps, training=False):
    """The training loss of images x at fixed noise."""
    return model.compute_loss(y_pred=model.elbo_terms(x, eps, training=training), training=False)


def loss_gradients(model, x, eps, training=False):
    return gradients(model, lambda: loss(model, x, eps, training))


def train(model, x, steps, rate=0.01):
    """Adam steps on one batch."""
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(model, x, None, training=True)
        found = tape.gradient(value, model.trainable_variables)
        optimizer.apply(found, model.trainable_variables)

    for _ in range(steps):
        step()


@contextlib.contextmanager
def float64():
    """Inside, models are built and run in float64."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
