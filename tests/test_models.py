"""The contract of the five models: shapes, terms, gradients, extremes."""

import math

import numpy as np
import oracles
import pytest
import toys

from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES
from vae_gmvae.models import GMVAE, VAE, MixturePriorVAE, build_model

SHAPES = [(28, 28, 1), (28, 20, 1), (30, 21, 1)]
TERMS = {
    "vae": ("reconstruction", "z_prior"),
    "gmvae": ("reconstruction", "conditional_prior", "w_prior", "y_prior"),
}
every_model = pytest.mark.parametrize("model_name", MODEL_NAMES)
every_gmvae = pytest.mark.parametrize("model_name", GMVAE_NAMES)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture
def in_float64():
    with toys.float64():
        yield


# --- shapes and classes


@pytest.mark.parametrize(
    "model_name, model_class",
    list(zip(MODEL_NAMES, [VAE, VAE, MixturePriorVAE, GMVAE, GMVAE])),
)
def test_three_classes_make_five_models(model_name, model_class):
    model = toys.shared(model_name)
    assert type(model) is model_class and model.name == model_name
    convolutions = any("conv" in weight.path for weight in model.weights)
    assert convolutions == (model_name in ("model2", "model5"))


@every_model
@every_shape
def test_shapes(model_name, shape):
    model = toys.shared(model_name, shape)
    x = toys.images(3, shape)
    terms = model.elbo_terms(x)
    assert terms._fields == TERMS["gmvae" if model_name in GMVAE_NAMES else "vae"]
    assert all(values.shape == (3,) for values in (*terms, terms.elbo, model.elbo(x)))
    assert all(part.shape == (3, 2) for part in model.encode_z(x))
    assert model.reconstruct(x).shape == model.sample(3).shape == (3, *shape)
    assert 0 <= np.min(model.sample(3)) and np.max(model.sample(3)) <= 1


@every_gmvae
def test_shapes_of_what_only_a_gmvae_has(model_name):
    model, x = toys.shared(model_name, w_dim=4, num_clusters=5), toys.images(3)
    w, z = np.zeros((3, 4)), np.zeros((3, 2))
    assert all(part.shape == (3, 4) for part in model.encode_w(x))
    assert all(part.shape == (3, 5, 2) for part in model.prior_z(w))
    assert model.classify_y(z, w).shape == model.y_posterior(z, w).shape == (3, 5)


@pytest.mark.parametrize("model_name", ["model3", *GMVAE_NAMES])
def test_responsibilities_are_probabilities(model_name):
    responsibilities = toys.shared(model_name).responsibilities(toys.images(6)).numpy()
    assert responsibilities.shape == (6, 3) and (responsibilities >= 0).all()
    np.testing.assert_allclose(responsibilities.sum(-1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 28, 1), (28, 3, 1), (28, 28)], ids=str)
def test_images_too_small_are_refused(shape):
    with pytest.raises(ValueError, match="image_shape is .*sides of 4 or more"):
        build_model(toys.tiny("model1"), shape)


@every_model
def test_every_weight_has_a_name_of_its_own(model_name):
    paths = [weight.path for weight in toys.shared(model_name, num_layers=3, dropout=0.1).weights]
    assert len(set(paths)) == len(paths)


@every_model
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_images_of_any_dtype_are_taken(model_name, dtype):
    model = toys.shared(model_name)
    x, eps = toys.images(2).round().astype(dtype), toys.noise(model, 2)
    exact = model.elbo_terms(x.astype("float32"), eps).elbo
    np.testing.assert_allclose(model.elbo_terms(x, eps).elbo, exact, rtol=1e-6)


# --- the terms


@every_model
def test_elbo_is_reconstruction_minus_the_costs(model_name):
    model = toys.shared(model_name)
    terms = model.elbo_terms(toys.images(), toys.noise(model, 4))
    first, *costs = terms
    np.testing.assert_allclose(terms.elbo, first - sum(costs), rtol=1e-6)
    np.testing.assert_allclose(model.elbo(toys.images(), toys.noise(model, 4)), terms.elbo)


@every_model
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_reconstruction_is_log_p_of_x_given_z(model_name, likelihood, in_float64):
    model = toys.scrambled(toys.shared(model_name, likelihood=likelihood, x_var=0.03))
    x, eps = toys.images(), toys.noise(model, 4)
    q = model.encode_z(x)
    z = q.mean + np.exp(q.logvar / 2) * eps.z
    flat, logits = (np.reshape(part, (4, -1)) for part in (x, model.decoder(z)))
    if likelihood == "bernoulli":
        expected = oracles.log_bernoulli(flat, logits)
    else:
        expected = oracles.log_normal(flat, 1 / (1 + np.exp(-logits)), math.log(0.03))
    np.testing.assert_allclose(model.elbo_terms(x, eps).reconstruction, expected, rtol=1e-10)


@pytest.mark.parametrize("pixels, x_var, nats", [(784, 0.001, 1987.4), (560, 0.01, 774.8)])
def test_the_normaliser_is_kept(pixels, x_var, nats, in_float64):
    """The constant that the 2018 program dropped: a perfect reconstruction earns it."""
    model = toys.shared("model1", (28, pixels // 28, 1), x_var=x_var)
    z = np.zeros((1, 2))
    perfect = model.log_p_x(model.decode_x(z), z).numpy()[0]
    assert abs(perfect - pixels / 2 * math.log(1 / (2 * math.pi * x_var))) < 1e-9
    assert abs(perfect - nats) < 0.06


@every_gmvae
@pytest.mark.parametrize("y_posterior", ["network", "bayes"])
def test_y_prior_lies_between_zero_and_log_k(model_name, y_posterior):
    for scale in (0.01, 3.0):
        model = toys.scrambled(toys.shared(model_name, y_posterior=y_posterior), scale)
        y_prior = model.elbo_terms(toys.images(50), toys.noise(model, 50)).y_prior.numpy()
        assert (y_prior > -1e-6).all() and (y_prior < math.log(3) + 1e-6).all()
    assert y_prior.max() > math.log(3) - 0.01


# --- gradients


def assert_all_learn(model):
    """Output layers' biases element by element: no head and no component is left out."""
    x = toys.images(8, model.image_shape)
    found = toys.loss_gradients(model, x, toys.noise(model, 8))
    assert found and all(np.isfinite(gradient).all() for gradient in found.values())
    for path, gradient in found.items():
        assert np.abs(gradient).max() > 0, path
        if path.endswith(("mean/bias", "logvar/bias", "output/bias")):
            assert (gradient != 0).all(), path


@every_model
@every_shape
def test_every_parameter_receives_gradient(model_name, shape):
    assert_all_learn(toys.shared(model_name, shape, num_layers=3))


@pytest.mark.parametrize("options", [{"likelihood": "bernoulli"}, {"x_var": "auto"}], ids=str)
@every_model
def test_every_parameter_receives_gradient_whatever_the_likelihood(model_name, options):
    assert_all_learn(toys.shared(model_name, **options))


@every_gmvae
def test_every_parameter_receives_gradient_with_the_bayes_posterior(model_name):
    assert_all_learn(toys.shared(model_name, y_posterior="bayes"))


@pytest.mark.parametrize(
    "model_name, x_var", [*((name, 0.1) for name in MODEL_NAMES), ("model1", "auto")]
)
def test_gradients_equal_finite_differences(model_name, x_var, in_float64):
    """Along a random direction of every variable; training mode, as in a training step."""
    model = toys.scrambled(toys.shared(model_name, x_var=x_var, kl_weight=0.7))
    x, eps = toys.images(), toys.noise(model, 4)
    toys.assert_slopes(model, lambda: toys.loss(model, x, eps, training=True))


# --- extremes


EXTREME_IMAGES = np.stack(
    [np.zeros(toys.SHAPE), np.ones(toys.SHAPE), toys.images(1)[0], toys.images(1)[0].round()]
).astype("float32")


@every_model
@pytest.mark.parametrize("bound", ["wide", "thesis"])
@pytest.mark.parametrize("extreme", [-1e30, 1e30])
def test_no_weight_of_a_variance_overflows(model_name, bound, extreme):
    """Any log variance before its bound: terms and gradients stay finite for any image."""
    model = toys.shared(model_name, variance_bound=bound, y_posterior="bayes")
    for variable in model.trainable_variables:
        if "logvar" in variable.path:
            variable.assign(np.full(variable.shape, extreme))
    x, eps = EXTREME_IMAGES, toys.noise(model, len(EXTREME_IMAGES))
    assert np.isfinite(model.elbo_terms(x, eps)).all()
    found = toys.loss_gradients(model, x, eps)
    assert all(np.isfinite(gradient).all() for gradient in found.values())


@pytest.mark.parametrize("model_name", ["model2", "model3", "model4_bias"])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("scale", [0.0, 1e3])
def test_terms_are_finite_for_any_image_and_large_weights(model_name, likelihood, scale):
    model, rng = toys.shared(model_name, likelihood=likelihood), np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(scale * rng.standard_normal(variable.shape))
    x = EXTREME_IMAGES
    assert np.isfinite(model.elbo_terms(x, toys.noise(model, len(x)))).all()
