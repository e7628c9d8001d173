"""Every option of the objective changes what it says it changes, and nothing else."""

import math

import keras
import numpy as np
import oracles
import pytest
import toys
from scipy import special

from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES, OPTIONS

X = toys.images(6)
every_gmvae = pytest.mark.parametrize("model_name", GMVAE_NAMES)
every_model = pytest.mark.parametrize("model_name", MODEL_NAMES)


def terms(model, training=False):
    return model.elbo_terms(X, toys.noise(model, len(X)), training=training)


def changed(model, **options):
    """The names of the terms that differ after a change of options, the weights being equal."""
    before, after = terms(model), terms(toys.copy(model, **options))
    return {name for name in before._fields if not np.allclose(*map(_of(name), (before, after)))}


def _of(name):
    return lambda named: getattr(named, name)


# --- which models an option belongs to

OF_SOME = {
    "w_dim": 3,
    "num_clusters": 4,
    "filters": 8,
    "bias_init": "zeros",
    "precision": "bfloat16",
    "y_posterior": "bayes",
    "y_prior": "reversed",
    "mixture_density": "naive",
}
OF_THE_LOSS = {"y_information_weight", "y_marginal_weight", "consistency", "elastic", "strokes"}


def test_every_option_that_is_of_some_models_is_known():
    some = {name for name, option in OPTIONS.items() if option.metadata["models"] != MODEL_NAMES}
    assert some == OF_SOME.keys() | OF_THE_LOSS  # those of the loss are refused elsewhere


@pytest.mark.parametrize("name", OF_SOME)
def test_an_option_is_used_by_the_models_that_are_named_and_by_no_other(name):
    """Compared bit by bit: all weights, and all terms with codes far from every mode of p(z)."""
    users = {
        model_name
        for model_name in MODEL_NAMES
        if not _equal(_all_of(model_name), _all_of(model_name, **{name: OF_SOME[name]}))
    }
    assert users == set(OPTIONS[name].metadata["models"])
    for model_name in MODEL_NAMES:
        unused = toys.tiny(model_name).unused(["z_dim", name])
        assert unused.keys() == (set() if model_name in users else {name})


def _all_of(model_name, **options):
    model = toys.shared(model_name, **options)
    model.encoder_z.mean.bias.assign([100.0, 100.0])
    return [weight.numpy() for weight in model.weights] + list(map(np.asarray, terms(model)))


def _equal(first, second):
    return len(first) == len(second) and all(map(np.array_equal, first, second))


# --- p(y|w,z)


@every_gmvae
def test_y_posterior_replaces_the_network_by_bayes_rule(model_name):
    model = toys.scrambled(toys.shared(model_name))
    assert changed(model, y_posterior="bayes") == {"conditional_prior", "y_prior"}
    bayes = toys.copy(model, y_posterior="bayes")
    assert any("classifier" in v.path for v in model.trainable_variables)
    assert not any("classifier" in v.path for v in bayes.trainable_variables)
    z, w = (part.mean for part in model.encode(X))
    log_p = oracles.log_normal(z.numpy()[:, None], *(part.numpy() for part in model.prior_z(w)))
    np.testing.assert_allclose(bayes.classify_y(z, w), log_p, rtol=1e-4)
    exact = special.softmax(log_p, axis=-1)
    np.testing.assert_allclose(bayes.responsibilities(X), exact, atol=1e-4)
    assert np.abs(model.responsibilities(X) - exact).max() > 0.1


def confident(num_clusters=10, others=1e-10):
    """Logits of one certain cluster: the others have the 2018 code's floor of 1e-10."""
    p = np.full(num_clusters, others)
    p[3] = 1 - others * (num_clusters - 1)
    return np.log(p)[None]


@pytest.mark.parametrize("direction, nats", [("forward", 2.30), ("reversed", 18.42)])
def test_y_prior_of_a_confident_assignment(direction, nats):
    with toys.float64():
        model = toys.shared("model4_bias", y_prior=direction, num_clusters=10)
        assert abs(model.y_prior(confident()).numpy()[0] - nats) < 0.005


def test_only_the_reversed_y_prior_grows_without_bound():
    forward = toys.shared("model4_bias", num_clusters=10)
    backward = toys.shared("model4_bias", num_clusters=10, y_prior="reversed")
    for gap in (1e2, 1e4, 1e6):
        logits = np.float32(gap * np.eye(10)[:1])
        np.testing.assert_allclose(forward.y_prior(logits), math.log(10), rtol=1e-6)
        np.testing.assert_allclose(backward.y_prior(logits), 0.9 * gap - math.log(10), rtol=1e-5)


@every_gmvae
def test_y_prior_changes_its_direction_alone(model_name):
    model = toys.scrambled(toys.shared(model_name))
    assert changed(model, y_prior="reversed") == {"y_prior"}
    eps = toys.noise(model, len(X))
    z, w = (q.mean + np.exp(q.logvar / 2) * e for q, e in zip(model.encode(X), eps))
    logits = model.classify_y(z, w).numpy().astype("float64")
    uniform = np.zeros_like(logits)
    forward, backward = terms(model), terms(toys.copy(model, y_prior="reversed"))
    for named, pair in ((forward, (logits, uniform)), (backward, (uniform, logits))):
        np.testing.assert_allclose(
            named.y_prior, oracles.kl_categorical(*pair), rtol=1e-4, atol=1e-5
        )


# --- p(z) of model3


def test_naive_density_underflows_far_out_and_is_equal_nearby():
    model = toys.shared("model3")
    assert changed(model, mixture_density="naive") == set()
    model.encoder_z.mean.bias.assign([100.0, 100.0])
    naive = toys.copy(model, mixture_density="naive")
    assert np.isfinite(terms(model).z_prior).all()
    assert np.all(terms(naive).z_prior.numpy() == np.inf)


# --- p(x|z)


@every_model
@pytest.mark.parametrize("change", [{"likelihood": "bernoulli"}, {"x_var": 0.7}], ids=str)
def test_the_likelihood_concerns_the_reconstruction_alone(model_name, change):
    assert changed(toys.shared(model_name), **change) == {"reconstruction"}


def mean_squared_error(model):
    z = model.encode_z(X).mean + np.exp(model.encode_z(X).logvar / 2) * toys.noise(model, 6).z
    return float(np.square(model.decode_x(z) - X).mean())


def test_auto_x_var_is_the_optimal_shared_variance():
    model = toys.shared("model1", x_var="auto")
    mse = mean_squared_error(model)
    best = float(np.mean(terms(model, training=True).reconstruction))
    np.testing.assert_allclose(best, -X[0].size / 2 * (math.log(2 * math.pi * mse) + 1), rtol=1e-5)
    for factor in (0.9, 1.1):
        other = toys.copy(model, x_var=factor * mse)
        assert np.mean(terms(other, training=True).reconstruction) < best - 0.05


@every_model
def test_auto_x_var_follows_the_error_in_training_only(model_name):
    model = toys.shared(model_name, x_var="auto")
    mse = mean_squared_error(model)
    for _ in range(10):
        terms(model, training=True)
    stored = float(np.exp(model.x_logvar))
    np.testing.assert_allclose(stored, 0.95**10 * 0.1 + (1 - 0.95**10) * mse, rtol=1e-5)
    evaluated = terms(model)
    assert float(np.exp(model.x_logvar)) == stored
    fixed = terms(toys.copy(model, x_var=stored))
    np.testing.assert_allclose(evaluated, fixed, rtol=1e-5)


def test_a_fixed_x_var_stays():
    model = toys.shared("model1", x_var=0.3)
    terms(model, training=True)
    np.testing.assert_allclose(np.exp(model.x_logvar), 0.3, rtol=1e-6)


@every_model
def test_the_gradient_of_auto_is_that_of_the_detached_variance(model_name):
    """Envelope theorem: at the optimum the variance's own gradient vanishes."""
    model = toys.shared(model_name, x_var="auto")
    fixed = toys.copy(model, x_var=mean_squared_error(model))
    eps = toys.noise(model, len(X))
    following, detached = (toys.loss_gradients(m, X, eps, training=True) for m in (model, fixed))
    for path, gradient in detached.items():
        np.testing.assert_allclose(following[path], gradient, rtol=1e-3, atol=1e-4, err_msg=path)


def test_auto_survives_images_that_are_met_exactly():
    model = toys.shared("model1", x_var="auto")
    model.decoder.get_layer("output").bias.assign(np.full(64, -1e4))
    black, eps = np.zeros((2, *toys.SHAPE), "float32"), toys.noise(model, 2)
    found = toys.loss_gradients(model, black, eps, training=True)
    assert np.isfinite(toys.loss(model, black, eps, training=True))
    assert all(np.isfinite(gradient).all() for gradient in found.values())


# --- the weight of the KL terms


@every_model
@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_kl_weight_weighs_the_costs_in_the_loss_alone(model_name, kl_weight):
    model = toys.shared(model_name)
    weighted = toys.copy(model, kl_weight=kl_weight)
    assert changed(model, kl_weight=kl_weight) == set()
    reconstruction, *costs = terms(model)
    expected = np.mean(kl_weight * sum(costs) - reconstruction)
    loss = toys.loss(weighted, X, toys.noise(model, len(X)))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@every_gmvae
def test_without_kl_terms_only_the_path_to_the_image_learns(model_name):
    model = toys.shared(model_name, kl_weight=0.0)
    found = toys.loss_gradients(model, X, toys.noise(model, len(X)))
    learns = {path for path, gradient in found.items() if np.any(gradient)}
    path_to_image = ("trunk_z", "encoder_z", "decoder_x")
    assert learns == {path for path in found if any(part in path for part in path_to_image)}


# --- minimum information

INFORMATION = {"model1": "z_prior", "model3": "z_prior", "model4_bias": "y_prior"}
every_information = pytest.mark.parametrize("model_name, term", list(INFORMATION.items()))


@every_information
@pytest.mark.parametrize("quantile", [0.5, 1.0])
def test_min_information_is_a_floor_of_one_cost(model_name, term, quantile):
    """The loss counts max(term, lambda), image by image; the terms themselves stay."""
    model = toys.scrambled(toys.shared(model_name))
    named = terms(model)
    level = max(float(np.quantile(getattr(named, term), quantile)), 1e-3)
    bounded = toys.copy(model, min_information=level)
    assert changed(model, min_information=level) == set()
    extra = np.maximum(level - getattr(named, term), 0).mean()
    loss = toys.loss(bounded, X, toys.noise(model, len(X)))
    np.testing.assert_allclose(loss, -np.mean(named.elbo) + extra, rtol=1e-5)


@every_information
@pytest.mark.parametrize("quantile, counted", [(1.0, False), (0.0, True)], ids=["below", "above"])
def test_min_information_does_not_punish_below_lambda(model_name, term, quantile, counted):
    """Below lambda the term has no gradient; above it has the gradient that it always had."""
    model = toys.scrambled(toys.shared(model_name))
    if term == "z_prior":
        model.encoder_z.mean.bias.assign([4.0, 4.0])  # one sample of model3's may be negative
    eps = toys.noise(model, len(X))
    level = float(np.quantile(getattr(terms(model), term), quantile))
    assert level > 0
    bounded = toys.copy(model, min_information=level * (0.999 if counted else 1.001))

    def plain():
        named = terms(model)
        paid = named.elbo if counted else named.elbo + getattr(named, term)
        return -keras.ops.mean(paid)

    expected = toys.gradients(model, plain)
    found = toys.loss_gradients(bounded, X, eps)
    for path, gradient in expected.items():
        np.testing.assert_allclose(found[path], gradient, rtol=1e-3, atol=1e-4, err_msg=path)
