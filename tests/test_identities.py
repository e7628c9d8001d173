"""The identities that the book proves, on real models in float64.

Each holds at any weights, so the models' weights are moved at random first.
"""

import math

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
import toys
from scipy import integrate, special, stats

from vae_gmvae import distributions as d
from vae_gmvae.models import Latents

IMAGES = 5
every_gmvae = pytest.mark.parametrize("model_name", ["model4_bias", "model5"])
every_bound = pytest.mark.parametrize("bound", ["wide", "thesis"])


@pytest.fixture(autouse=True)
def in_float64():
    with toys.float64():
        yield


def exactly(value, expected, **options):
    """Equal to 1e-9 nats."""
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9, **options)


def gmvae(model_name="model4_bias", bound="wide", **options):
    model = toys.shared(model_name, variance_bound=bound, **options)
    assert model.elbo(toys.images(1)).dtype == "float64"
    return toys.scrambled(model)


def densities(model, x, eps):
    """NumPy: z, w, log q(z|x) [B] and log p(z|w,y_k) [B, K] at one sample, by scipy."""
    q = model.encode(x)
    z, w = (
        np.asarray(part.mean) + np.exp(np.asarray(part.logvar) / 2) * noise
        for part, noise in zip(q, eps)
    )
    log_q = oracles.log_normal(z, *map(np.asarray, q.z))
    log_p = oracles.log_normal(z[:, None], *map(np.asarray, model.prior_z(w)))
    return z, w, log_q, log_p


@pytest.fixture
def x():
    return toys.images(IMAGES)


@every_gmvae
@every_bound
def test_bayes_posterior_sums_y_out(model_name, bound, x):
    """conditional_prior + y_prior = log q(z|x) - log sum_k pi_k p(z|w,k), sample by sample."""
    model = gmvae(model_name, bound, y_posterior="bayes")
    eps = toys.noise(model, IMAGES)
    _, _, log_q, log_p = densities(model, x, eps)
    terms = model.elbo_terms(x, eps)
    exactly(
        terms.conditional_prior + terms.y_prior,
        log_q - special.logsumexp(log_p, axis=-1) + math.log(3),
    )


@every_gmvae
@every_bound
def test_excess_of_a_network_is_its_divergence_from_bayes(model_name, bound, x, monkeypatch):
    model = gmvae(model_name, bound)
    eps = toys.noise(model, IMAGES)
    z, w, _, log_p = densities(model, x, eps)
    divergence = oracles.kl_categorical(model.classify_y(z, w), log_p)
    assert (divergence > 1e-3).all()
    with_network = model.elbo_terms(x, eps)
    monkeypatch.setattr(model, "classifier", None)
    exactly(model.elbo_terms(x, eps).elbo - with_network.elbo, divergence)


def test_with_the_reversed_y_prior_the_excess_is_another_number(x):
    """Only the forward direction makes the objective a bound: the test above can tell."""
    model = gmvae(y_prior="reversed")
    eps = toys.noise(model, IMAGES)
    z, w, log_q, log_p = densities(model, x, eps)
    divergence = oracles.kl_categorical(model.classify_y(z, w), log_p)
    terms = model.elbo_terms(x, eps)
    bayes = log_q - special.logsumexp(log_p, axis=-1) + math.log(3)
    excess = terms.conditional_prior + terms.y_prior - bayes
    assert (np.abs(excess - divergence) > 1e-3).all()


@pytest.mark.parametrize("direction, is_optimal", [("forward", True), ("reversed", False)])
def test_the_optimum_of_the_y_network_is_bayes_rule(direction, is_optimal, x, monkeypatch):
    """The gradient with respect to the network's logits vanishes there."""
    model = gmvae(y_prior=direction)
    off = tf.Variable(np.zeros((IMAGES, 3)))
    bayes = model.y_posterior
    monkeypatch.setattr(model, "classify_y", lambda z, w, training=False: bayes(z, w) + off)
    with tf.GradientTape() as tape:
        terms = model.elbo_terms(x, toys.noise(model, IMAGES))
        cost = tf.reduce_sum(terms.conditional_prior + terms.y_prior)
    steepest = np.abs(tape.gradient(cost, off)).max()
    assert steepest < 1e-9 if is_optimal else steepest > 1e-2


@pytest.mark.parametrize("z_dim", [1, 2, 5])
def test_a_mixture_sums_over_dimensions_before_log_sum_exp(z_dim):
    """The other order is a product of one-dimensional mixtures: equal in one dimension only."""
    model = toys.shared("model3", z_dim=z_dim)
    z = np.random.default_rng(0).normal(size=(IMAGES, z_dim))
    per_dimension = stats.norm(model.prior_means, math.sqrt(0.5)).logpdf(z[:, None])  # [B, K, D]
    log_pi = -math.log(3)
    mixture = special.logsumexp(log_pi + per_dimension.sum(-1), axis=-1)
    product = special.logsumexp(log_pi + per_dimension, axis=1).sum(-1)
    exactly(model.log_p_z(z), mixture)
    assert np.allclose(mixture, product) == (z_dim == 1)


def test_the_mixture_is_that_of_multivariate_normals():
    model = toys.shared("model3", z_dim=3, num_clusters=5)
    z = np.random.default_rng(0).normal(size=(IMAGES, 3))
    offsets = [0, 1, -1, 2, -2]
    density = sum(
        stats.multivariate_normal([o] * 3, 0.5 * np.eye(3)).pdf(z) / len(offsets) for o in offsets
    )
    exactly(model.log_p_z(z), np.log(density))


def one_image(model, eps_z):
    """One image, repeated; one w, repeated; many samples of z."""
    num = len(eps_z)
    x = np.repeat(toys.images(1), num, axis=0)
    return x, Latents(eps_z, np.repeat(toys.noise(model, 1).w, num, axis=0))


@every_gmvae
def test_the_papers_conditional_prior_is_the_mean_of_the_thesis_ratio(model_name, monkeypatch):
    """Responsibilities held fixed: another number at one sample, the same in expectation."""
    model = gmvae(model_name)
    x, eps = one_image(model, np.random.default_rng(0).normal(size=(4000, 2)))
    z, w, _, _ = densities(model, x[:1], Latents(eps.z[:1], eps.w[:1]))
    held = model.classify_y(z, w)  # [1, K]
    monkeypatch.setattr(
        model, "classify_y", lambda z, w, training=False: keras.ops.tile(held, (len(z), 1))
    )
    thesis = model.elbo_terms(x, eps).conditional_prior
    q_mean, q_logvar = (np.asarray(part) for part in model.encode_z(x[:1]))  # [1, z_dim]
    prior_mean, prior_logvar = (np.asarray(part)[0] for part in model.prior_z(w))  # [K, z_dim]
    closed = oracles.kl_normal(q_mean, q_logvar, prior_mean, prior_logvar)  # [K]
    paper = special.softmax(held, axis=-1)[0] @ closed
    oracles.assert_mean(thesis, paper)
    assert np.abs(thesis - paper).mean() > 0.1


def test_model3_estimates_the_divergence_without_bias():
    """In one dimension KL(q || mixture) can be integrated numerically."""
    model = toys.scrambled(toys.shared("model3", z_dim=1))
    x = np.repeat(toys.images(1), 10_000, axis=0)
    eps = Latents(np.random.default_rng(0).normal(size=(10_000, 1)))
    mean, logvar = (part.numpy()[0, 0] for part in model.encode_z(x[:1]))
    q = stats.norm(mean, math.exp(logvar / 2))

    def integrand(z):
        components = stats.norm([0, 1, -1], math.sqrt(0.5)).pdf(z)
        return q.pdf(z) * (q.logpdf(z) - math.log(components.mean()))

    exact, _ = integrate.quad(integrand, mean - 8 * q.std(), mean + 8 * q.std())
    oracles.assert_mean(model.elbo_terms(x, eps).z_prior, exact)


@pytest.mark.parametrize("model_name", ["model1", "model2"])
def test_the_z_prior_of_the_vae_is_the_closed_form(model_name, x):
    model = toys.scrambled(toys.shared(model_name))
    mean, logvar = (part.numpy() for part in model.encode_z(x))
    terms = model.elbo_terms(x, toys.noise(model, IMAGES))
    exactly(terms.z_prior, oracles.kl_standard_normal(mean, logvar))


@every_gmvae
def test_the_w_prior_is_the_closed_form(model_name, x):
    model = gmvae(model_name)
    mean, logvar = (part.numpy() for part in model.encode_w(x))
    terms = model.elbo_terms(x, toys.noise(model, IMAGES))
    exactly(terms.w_prior, oracles.kl_standard_normal(mean, logvar))


@every_gmvae
@pytest.mark.parametrize("y_posterior", ["network", "bayes"])
def test_the_y_prior_is_the_divergence_from_uniform(model_name, y_posterior, x):
    model = gmvae(model_name, y_posterior=y_posterior)
    eps = toys.noise(model, IMAGES)
    z, w, _, log_p = densities(model, x, eps)
    logits = log_p if y_posterior == "bayes" else model.classify_y(z, w)
    expected = oracles.kl_categorical(logits, np.zeros((IMAGES, 3)))
    exactly(model.elbo_terms(x, eps).y_prior, expected)


@pytest.mark.parametrize("model_name", ["model1", "model3", "model4_bias"])
def test_the_mean_log_importance_weight_is_the_elbo(model_name):
    """With y summed out the GMVAE's ELBO is the Bayes posterior's."""
    options = {"y_posterior": "bayes"} if model_name == "model4_bias" else {}
    model = toys.scrambled(toys.shared(model_name, x_var=1.0, **options), scale=0.1)
    num = 4000
    x, eps = np.repeat(toys.images(1), num, axis=0), toys.noise(model, num)
    weights = model.log_importance_weight(x, model.encode(x), eps)
    oracles.assert_mean(weights - model.elbo_terms(x, eps).elbo, 0)
    assert np.std(weights) > 0.1


@every_gmvae
def test_log_importance_weight_is_the_joint_over_the_posterior(model_name, x):
    model = gmvae(model_name)
    eps = toys.noise(model, IMAGES)
    z, w, log_q_z, log_p = densities(model, x, eps)
    log_q_w = oracles.log_normal(w, *map(np.asarray, model.encode_w(x)))
    log_p_z = special.logsumexp(log_p, axis=-1) - math.log(3)
    log_p_x = model.elbo_terms(x, eps).reconstruction
    expected = log_p_x + oracles.log_standard_normal(w) + log_p_z - log_q_z - log_q_w
    exactly(model.log_importance_weight(x, model.encode(x), eps), expected)


def test_the_oracle_of_gaussian_divergences_agrees():
    """Two roads to one number: quadrature in oracles.py, algebra in the package."""
    q, p = np.random.default_rng(0).normal(size=(2, 2, 6, 4))
    exactly(d.kl_normal(d.Gaussian(*q), d.Gaussian(*p)), oracles.kl_normal(*q, *p))
