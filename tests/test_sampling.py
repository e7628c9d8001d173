"""Seeds, noise and samples of the prior of the five models."""

import keras
import numpy as np
import oracles
import pytest
import toys
from scipy import stats

from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES
from vae_gmvae.models.mixture_vae import prior_means

every_model = pytest.mark.parametrize("model_name", MODEL_NAMES)
every_gmvae = pytest.mark.parametrize("model_name", GMVAE_NAMES)

# --- seeds and noise


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


@every_model
def test_a_seed_decides_weights_and_noise(model_name):
    first, second, other = (toys.toy(model_name, seed=seed) for seed in (1, 1, 2))
    x = toys.images()
    for mine, same in zip(weights(first), weights(second)):
        np.testing.assert_array_equal(mine, same)
    np.testing.assert_array_equal(first.elbo(x), second.elbo(x))
    np.testing.assert_array_equal(first.sample(3), second.sample(3))
    kernels = [(a, b) for a, b in zip(weights(first), weights(other)) if a.ndim > 1]
    assert all((mine != theirs).any() for mine, theirs in kernels)


@every_model
def test_injected_noise_makes_the_terms_deterministic(model_name):
    model, x = toys.shared(model_name), toys.images()
    first, second = (model.elbo_terms(x, toys.noise(model, 4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first.elbo, model.elbo(x, toys.noise(model, 4)))
    assert (model.elbo_terms(x, toys.noise(model, 4, seed=1)).elbo != first.elbo).numpy().all()
    assert (model.elbo(x) != model.elbo(x)).numpy().any()


@every_model
def test_samplers_follow_their_seed(model_name):
    model = toys.shared(model_name)
    for same in (5, np.int64(5)):
        np.testing.assert_array_equal(model.sample(3, seed=5), model.sample(3, seed=same))
    assert (model.sample(3, seed=5) != model.sample(3, seed=6)).numpy().any()
    assert (model.sample(3) != model.sample(3)).numpy().any()
    generators = [keras.random.SeedGenerator(5) for _ in range(2)]
    first, second = (model.sample_eps(3, generator) for generator in generators)
    np.testing.assert_array_equal(first.z, second.z)


@every_model
def test_noise_is_standard_normal(model_name):
    model = toys.shared(model_name)
    for eps in filter(lambda part: part is not None, model.sample_eps(5000)):
        oracles.assert_mean(eps, 0)
        oracles.assert_mean(np.square(eps), 1)
    if model_name in GMVAE_NAMES:
        z, w = model.sample_eps(5000)
        oracles.assert_mean(z * w, 0)


# --- samples of the prior

NUM = 4000


@pytest.mark.parametrize("num_clusters, offsets", [(2, [0, 1]), (6, [0, 1, -1, 2, -2, 3])])
def test_fixed_means_alternate_about_zero(num_clusters, offsets):
    np.testing.assert_array_equal(prior_means(num_clusters, 2), [[o, o] for o in offsets])


@pytest.mark.parametrize("model_name", ["model1", "model2"])
def test_the_vae_samples_a_standard_normal(model_name):
    z = toys.shared(model_name).sample_z(NUM)
    oracles.assert_mean(z, 0)
    oracles.assert_mean(np.square(z), 1)


@pytest.mark.parametrize("k, offset", [(0, 0), (1, 1), (2, -1)])
def test_model3_samples_the_component_asked_for(k, offset):
    z = toys.shared("model3").sample_z(NUM, seed=0, k=k)
    oracles.assert_mean(z, offset)
    oracles.assert_mean(np.square(z - offset), 0.5)


@every_gmvae
@pytest.mark.parametrize("k", range(3))
def test_the_gmvae_samples_the_component_asked_for(model_name, k):
    model = toys.scrambled(toys.shared(model_name))
    w = np.repeat(toys.noise(model, 1).w, NUM, axis=0)
    mean, logvar = (part.numpy()[0] for part in model.prior_z(w[:1]))  # [K, z_dim]
    z = model.sample_z(NUM, seed=0, k=k, w=w)
    oracles.assert_mean(z, mean[k])
    oracles.assert_mean(np.square(z - mean[k]), np.exp(logvar[k]))
    assert np.abs(mean - mean[k]).max() > 0.1


@every_gmvae
def test_the_gmvae_draws_w_where_none_is_given(model_name):
    """The variance of z is then that within components plus that of their means over w."""
    model = toys.scrambled(toys.shared(model_name), 0.5)
    p_z = model.prior_z(np.random.default_rng(0).normal(size=(NUM, 2)))
    mean, logvar = (part.numpy()[:, 1] for part in p_z)  # of component 1, at many w
    z = model.sample_z(NUM, seed=0, k=1).numpy()
    drawn = mean + np.exp(logvar / 2) * np.random.default_rng(1).normal(size=mean.shape)
    assert stats.ks_2samp(z[:, 0], drawn[:, 0]).pvalue > 1e-3
    assert mean.std() > 0.05


@pytest.mark.parametrize("model_name", ["model3", *GMVAE_NAMES])
def test_without_k_every_component_is_equally_likely(model_name):
    """Components far apart: each sample tells where it came from."""
    model = toys.shared(model_name, z_dim=60, variance_bound="thesis")
    centres = prior_means(3, 60)
    if model_name in GMVAE_NAMES:
        centres *= 10
        model.prior.mean.kernel.assign(np.zeros(model.prior.mean.kernel.shape))
        model.prior.mean.bias.assign(centres.flatten())
    z = model.sample_z(NUM, seed=0).numpy()
    nearest = np.square(z[:, None] - centres).sum(-1).argmin(-1)
    assert stats.chisquare(np.bincount(nearest, minlength=3)).pvalue > 1e-3


@pytest.mark.parametrize("model_name", ["model3", *GMVAE_NAMES])
@pytest.mark.parametrize("k", [-1, 3, 1.5, "a"])
def test_a_cluster_that_does_not_exist_is_refused(model_name, k):
    with pytest.raises(ValueError, match=f"cluster k is {k!r}: .* 0 to 2"):
        toys.shared(model_name).sample(1, k=k)


@pytest.mark.parametrize("model_name", ["model3", *GMVAE_NAMES])
def test_sample_decodes_the_same_component(model_name):
    model = toys.shared(model_name)
    z = model.sample_z(5, seed=0, k=2)
    np.testing.assert_allclose(model.sample(5, seed=0, k=2), model.decode_x(z), atol=1e-6)


def test_a_seed_decides_the_noise_and_the_movements():
    one, other = (toys.toy("model4_bias", seed=seed, consistency=1.0) for seed in (1, 2))
    assert np.all(np.asarray(one.sample_eps(3).z) != np.asarray(other.sample_eps(3).z))
    assert np.any(np.asarray(one.movement_seed.state) != np.asarray(other.movement_seed.state))
