"""Training: `model.fit` against a hand-written loop, metrics, the NaN watch, overfitting."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys

from vae_gmvae import training
from vae_gmvae.config import MODEL_NAMES

RATE = 0.01


def compiled(model_name, rate=RATE, **options):
    model = toys.toy(model_name, **options)
    model.compile(keras.optimizers.Adam(rate))
    return model


def by_hand(model, x, batch_size):
    """One epoch of the training loop, written out; the terms of every image and each loss."""
    optimizer, seen, losses = keras.optimizers.Adam(RATE), [], []
    for start in range(0, len(x), batch_size):
        with tf.GradientTape() as tape:
            terms = model.elbo_terms(x[start : start + batch_size], training=True)
            loss = -tf.reduce_mean(terms.elbo)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        seen.append(np.stack(terms))
        losses.append(float(loss))
    return np.concatenate(seen, axis=1), losses  # [terms, N]


@pytest.mark.parametrize(
    "model_name, options",
    [
        ("model1", {}),
        ("model2", {"x_var": "auto"}),
        ("model4_bias", {"dropout": 0.3}),
    ],
    ids=str,
)
def test_fit_equals_the_loop_written_by_hand(model_name, options):
    """Same seed, same noise, same masks: weights, loss and metrics; the last batch is smaller."""
    x = toys.images(12)
    model, hand = compiled(model_name, **options), toys.toy(model_name, **options)
    history = model.fit(x, batch_size=5, shuffle=False, verbose=0).history
    terms, losses = by_hand(hand, x, batch_size=5)
    np.testing.assert_allclose(history["loss"], np.average(losses, weights=[5, 5, 2]), rtol=1e-5)
    for name, values in zip(hand.Terms._fields, terms, strict=True):
        np.testing.assert_allclose(history[name], values.mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history["elbo"], hand.Terms(*terms).elbo.mean(), rtol=1e-5)
    assert int(model.steps_seen) == 3 and not model.first_nonfinite.numpy().any()
    for mine, theirs in zip(model.weights, hand.weights):
        if "steps_seen" not in mine.path:  # the loop does not count
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5, err_msg=mine.path)


@pytest.mark.parametrize(
    "model_name, num", [("model1", 13), ("model4_bias", 12)], ids=["a smaller last batch", "even"]
)
def test_steps_fused_into_one_loop_are_those_that_keras_takes(model_name, num):
    x, found = toys.images(num), []
    for fused in (True, False):
        model = training.compiled_model(toys.tiny(model_name, x_var="auto"), toys.SHAPE)
        assert model.train_function, "dense models are fused"
        if not fused:
            model.train_function = None  # Keras makes its own
        logs = model.fit(x, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        found.append([logs, [np.asarray(v) for v in model.variables + model.optimizer.variables]])
    (ours, mine), (theirs, keras_s) = found
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)
    for one, other in zip(mine, keras_s, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_no_more_steps_are_stacked_than_an_epoch_has():
    for steps, stacked in ((3, 3), (550, training.STEPS_PER_EXECUTION)):
        model = training.compiled_model(toys.tiny("model1"), toys.SHAPE, steps)
        assert model.steps_per_execution == stacked


def test_predict_returns_the_named_terms_of_every_image():
    x, model, twin = toys.images(7), toys.toy("model4_bias"), toys.toy("model4_bias")
    terms = model.predict(x, batch_size=7, verbose=0)
    assert isinstance(terms, model.Terms)
    assert all(type(values) is np.ndarray and values.shape == (7,) for values in terms)
    np.testing.assert_allclose(terms, twin.elbo_terms(x), rtol=1e-5, atol=1e-5)


def test_evaluate_means_the_terms_and_changes_nothing():
    x, model, twin = toys.images(7), compiled("model3", x_var="auto"), toys.toy("model3")
    before = [w.numpy() for w in model.trainable_variables]
    found = model.evaluate(x, batch_size=7, verbose=0, return_dict=True)
    terms = twin.elbo_terms(x)
    expected = {name: np.mean(getattr(terms, name)) for name in (*terms._fields, "elbo")}
    assert found.keys() == expected.keys() | {"loss"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    np.testing.assert_allclose(found["loss"], -found["elbo"], rtol=1e-6)
    for was, now in zip(before, model.trainable_variables):
        np.testing.assert_array_equal(was, now)
    assert int(model.steps_seen) == 0
    np.testing.assert_allclose(np.exp(model.x_logvar), 0.1, rtol=1e-6)


def poison(variable, step):
    """A callback that makes a weight NaN after so many training steps."""
    steps = iter(range(1, 1000))

    def on_end(batch, logs):
        if next(steps) == step:
            variable.assign(variable.numpy() * np.nan)

    return keras.callbacks.LambdaCallback(on_train_batch_end=on_end)


def test_the_first_step_that_is_not_finite_is_remembered_per_term():
    """Poisoned after step 5: the image's term at step 6, and by way of the gradients the others.

    The two validation batches between the epochs of four steps are not counted.
    """
    model, x = compiled("model4_bias"), toys.images(8)
    callbacks = [poison(model.decoder.get_layer("output").bias, step=5)]
    model.fit(x, batch_size=2, epochs=2, verbose=0, callbacks=callbacks, validation_data=(x[:4],))
    first = dict(zip(model.Terms._fields, model.first_nonfinite.numpy()))
    assert first["reconstruction"] == 6  # at its end encoder_z is NaN
    assert first["conditional_prior"] == 7  # at its end the prior is, and encoder_w behind it
    assert first["w_prior"] == 8
    assert first["y_prior"] in (7, 8)  # whether ReLU passes NaN on is the platform's affair
    assert int(model.steps_seen) == 8


def test_what_validation_finds_is_put_down_to_the_step_before_it():
    model, x = compiled("model1"), toys.images(6)
    callbacks = [poison(model.decoder.get_layer("output").bias, step=3)]
    fit = dict(batch_size=2, epochs=2, verbose=0, validation_data=(x[:4],))
    model.fit(x, callbacks=callbacks, **fit)
    assert dict(zip(model.Terms._fields, model.first_nonfinite.numpy())) == {
        "reconstruction": 3,
        "z_prior": 5,
    }


@pytest.mark.parametrize("model_name", MODEL_NAMES)
def test_one_batch_can_be_overfitted(model_name):
    model = toys.toy(model_name, x_var=0.01, hidden_dim=32, z_dim=4)
    x = np.repeat(toys.images(4).round(), 2, axis=0)
    eps = toys.noise(model, len(x))
    start = float(toys.loss(model, x, eps))
    toys.train(model, x, steps=200)
    end, error = float(toys.loss(model, x, eps)), np.square(model.reconstruct(x) - x).mean()
    assert end < 0.2 * start and error < 0.05, (start, end, error)
