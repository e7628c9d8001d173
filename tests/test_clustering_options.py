"""What the loss may hold beyond the ELBO: the weights of y_prior's two parts, and consistency."""

import keras
import numpy as np
import pytest
import toys
from scipy import special

from vae_gmvae import distributions as d
from vae_gmvae.config import GMVAE_NAMES, Config

X = toys.images(6)
every_gmvae = pytest.mark.parametrize("model_name", GMVAE_NAMES)


def trained_on(model):
    """(loss, terms, p(y|w,z) [B, K]) of one training call, at the noise that it drew."""
    state = model.noise_seed.state.numpy()
    terms = model(X, training=True)
    loss = float(model.compute_loss(y_pred=terms, training=False))
    model.noise_seed.state.assign(state)
    q, eps = model.encode(X), model.sample_eps(len(X))
    z, w = d.reparameterise(q.z, eps.z), d.reparameterise(q.w, eps.w)
    return loss, terms, special.softmax(model.classify_y(z, w), axis=1)


def parts(y_prob):
    """The mutual information of image and cluster, and KL(mean || uniform), in nats."""
    mean = y_prob.mean(axis=0)
    information = special.rel_entr(y_prob, mean).sum(axis=1).mean()
    return information, special.rel_entr(mean, 1 / len(mean)).sum()


@every_gmvae
@pytest.mark.parametrize("y_posterior", ["network", "bayes"])
def test_the_mean_y_prior_is_information_plus_marginal(model_name, y_posterior):
    model = toys.scrambled(toys.shared(model_name, y_posterior=y_posterior))
    _, terms, y_prob = trained_on(model)
    information, marginal = parts(y_prob)
    assert min(information, marginal) > 1e-3
    np.testing.assert_allclose(np.mean(terms.y_prior), information + marginal, rtol=1e-4)


@every_gmvae
@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.0, 10.0), (2.0, 0.5), (1.0, 1.0)])
@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
def test_the_loss_weighs_the_two_parts_of_y_prior(model_name, weights, kl_weight):
    names = ("y_information_weight", "y_marginal_weight")
    options = dict(zip(names, weights), kl_weight=kl_weight)
    model = toys.scrambled(toys.shared(model_name, **options))
    loss, terms, y_prob = trained_on(model)
    costs = np.mean(terms.conditional_prior + terms.w_prior) + np.dot(weights, parts(y_prob))
    expected = kl_weight * costs - np.mean(terms.reconstruction)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@every_gmvae
def test_the_elbo_and_its_terms_do_not_know_of_the_weights(model_name):
    options = dict(y_information_weight=0.0, y_marginal_weight=10.0, consistency=5.0)
    model = toys.scrambled(toys.shared(model_name))
    eps = toys.noise(model, len(X))
    other = toys.copy(model, **options)
    for mine, its in zip(model.elbo_terms(X, eps), other.elbo_terms(X, eps)):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(model.elbo(X, eps), other.elbo(X, eps))


@every_gmvae
def test_consistency_adds_the_divergence_from_moved_images(model_name, monkeypatch):
    """Images that do not move, and latents without noise, give the divergence 0."""
    model = toys.scrambled(toys.shared(model_name, consistency=2.0))
    plain = toys.copy(model, consistency=0.0)
    plain.noise_seed.state.assign(model.noise_seed.state)
    moving = trained_on(model)[0] - trained_on(plain)[0]
    assert moving > 1e-3
    for encoder in (model.encoder_z, model.encoder_w):
        encoder.logvar.kernel.assign(np.zeros(encoder.logvar.kernel.shape))
        encoder.logvar.bias.assign(np.full(encoder.logvar.bias.shape, -1e3))
    monkeypatch.setattr("vae_gmvae.augmentation.move", lambda images, *_: images)
    model(X, training=True)
    np.testing.assert_allclose(model.beyond_terms.losses, [0.0], atol=1e-4)


@every_gmvae
def test_consistency_is_the_mean_kl_times_its_weight(model_name, monkeypatch):
    """Without noise in the latents it is a function of the images alone."""
    model = toys.scrambled(toys.shared(model_name, consistency=3.0))
    for encoder in (model.encoder_z, model.encoder_w):
        encoder.logvar.kernel.assign(np.zeros(encoder.logvar.kernel.shape))
        encoder.logvar.bias.assign(np.full(encoder.logvar.bias.shape, -1e3))
    others = toys.images(6, seed=9)
    monkeypatch.setattr("vae_gmvae.augmentation.move", lambda images, *_: others)
    model(X, training=True)
    here, there = (np.asarray(model.responsibilities(x), "float64") for x in (X, others))
    expected = 3.0 * special.rel_entr(here, there).sum(axis=1).mean()
    assert expected > 1e-3
    np.testing.assert_allclose(model.beyond_terms.losses, [expected], rtol=1e-2, atol=1e-4)


@every_gmvae
def test_strokes_are_drawn_into_the_moved_images_alone(model_name, monkeypatch):
    model = toys.scrambled(toys.shared(model_name, consistency=2.0, strokes=0.25))
    seen = []
    monkeypatch.setattr("vae_gmvae.augmentation.move", lambda images, *_: 0 * images)
    monkeypatch.setattr(
        "vae_gmvae.augmentation.add_strokes",
        lambda images, share, seed: seen.append((np.max(images), float(share))) or images,
    )
    model(X, training=True)
    assert seen == [(0.0, 0.25)]


@every_gmvae
def test_elastic_is_how_far_the_moved_images_are_bent(model_name, monkeypatch):
    bent = []
    monkeypatch.setattr(
        "vae_gmvae.augmentation.move", lambda images, seed, elastic: bent.append(elastic) or images
    )
    for elastic in (0.0, 1.5):
        toys.shared(model_name, consistency=2.0, elastic=elastic)(X, training=True)
    assert bent == [0.0, 1.5]


@every_gmvae
def test_evaluation_neither_moves_images_nor_adds_to_the_loss(model_name):
    model = toys.shared(model_name, consistency=3.0, y_marginal_weight=4.0)
    state = model.movement_seed.state.numpy()
    terms = model(X, training=False)
    np.testing.assert_allclose(
        model.compute_loss(y_pred=terms, training=False), -np.mean(terms.elbo), rtol=1e-6
    )
    np.testing.assert_array_equal(model.movement_seed.state, state)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(model_name="model1", consistency=1.0), "model1 has no p"),
        (dict(model_name="model3", y_marginal_weight=2.0), "model3 has no p"),
        (dict(y_information_weight=0.0, y_prior="reversed"), "forward"),
        (dict(y_marginal_weight=3.0, min_information=1.0), "min_information 0"),
        (dict(consistency=-1.0), "consistency is -1.0"),
        (dict(consistency=1.0, strokes=1.5), "strokes is 1.5"),
        (dict(strokes=0.5), "strokes is 0.5, but consistency is 0"),
        (dict(elastic=1.0), "elastic is 1.0, but consistency is 0"),
        (dict(consistency=1.0, elastic=-1.0), "elastic is -1.0"),
        (dict(y_information_weight=-0.5), "y_information_weight is -0.5"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Config(**{"model_name": "model5", **options})


# --- what the loss makes of the options, step by step


@every_gmvae
def test_the_loss_uses_what_the_warm_ups_have_reached(model_name, monkeypatch):
    options = dict(consistency=3.0, strokes=0.5, y_marginal_weight=4.0, kl_weight=0.5)
    model, shares = toys.scrambled(toys.shared(model_name, **options)), []
    monkeypatch.setattr(
        "vae_gmvae.augmentation.add_strokes",
        lambda images, share, seed: shares.append(float(share)) or images,
    )
    for weight in (model.consistency, model.strokes, model.kl_weight):
        weight.assign(0.0)
    loss, terms, _ = trained_on(model)
    np.testing.assert_allclose(loss, -np.mean(terms.reconstruction), rtol=1e-6)
    assert shares == [0.0]


def test_consistency_is_not_weighed_by_the_weight_of_the_kl_terms():
    found = []
    for kl_weight in (1.0, 0.5):
        options = dict(consistency=3.0, kl_weight=kl_weight)
        model = toys.scrambled(toys.shared("model4_bias", **options))
        model(X, training=True)
        found.append(float(model.beyond_terms.losses[-1]))
    assert found[0] > 1e-3 and found[0] == pytest.approx(found[1], rel=1e-5)


def test_gradients_equal_finite_differences():
    """Through both assignments, the image's own and that of its moved copy."""
    with toys.float64():
        options = dict(consistency=2.0, y_information_weight=0.0, y_marginal_weight=3.0)
        options |= dict(elastic=0.5, strokes=0.5)
        model = toys.scrambled(toys.shared("model4_bias", **options))
        x, eps = toys.images(), toys.noise(model, 4)
        seeds = [(g.state, g.state.numpy()) for g in (model.noise_seed, model.movement_seed)]

        def loss():
            for state, value in seeds:
                state.assign(value)
            return toys.loss(model, x, eps, training=True)

        toys.assert_slopes(model, loss)


def test_the_copy_has_noise_of_its_own_and_dropout_too(monkeypatch):
    """An image that is not moved would otherwise agree with itself, whatever the networks do."""
    monkeypatch.setattr("vae_gmvae.augmentation.move", lambda images, *_: images)
    told, call = [], keras.layers.Dropout.call

    def listen(layer, inputs, training=False):
        told.append(training)
        return call(layer, inputs, training=training)

    monkeypatch.setattr(keras.layers.Dropout, "call", listen)
    model = toys.scrambled(toys.shared("model4_bias", consistency=2.0))
    model(X, training=True)
    assert model.beyond_terms.losses[0] > 1e-3 and not told
    toys.shared("model4_bias", dropout=0.5, consistency=1.0)(X, training=True)
    assert len(told) == 8 and all(told)  # five networks, three of them twice
