"""Estimates per image and the metrics of a run, against exactly solvable models."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import oracles
import pytest
import toys
from keras import ops
from scipy import special, stats

from vae_gmvae import distributions as d
from vae_gmvae import evaluation
from vae_gmvae.config import MODEL_NAMES, Config
from vae_gmvae.evaluation import estimates
from vae_gmvae.models import VAE

SHAPE = (4, 4, 1)
X_VAR = 0.3
LATENT_GRID = np.linspace(-9, 9, 361)  # steps of 0.05


class LinearGaussianVAE(VAE):
    """p(x|z) = N(A z + b, X_VAR I) with orthogonal columns in A, so log p(x) and p(z|x) are known.

    q(z|x) is the exact posterior, its mean moved by `shift` and its log variance by `widening`.
    """

    def __init__(self, shift=0.0, widening=0.0):
        config = Config(model_name="model1", z_dim=2, x_var=X_VAR)
        super().__init__(config, SHAPE, decoder=None, encoder_z=None)
        random = np.random.default_rng(0)
        directions, _ = np.linalg.qr(random.normal(size=(16, 2)))
        self.matrix = directions * [1.5, 0.6]  # [16, 2]
        self.offset = random.normal(size=16)
        self.shift, self.widening = shift, widening
        self.times_encoded = 0

    @property
    def posterior_var(self):
        """Variances of p(z|x), [2]."""
        return 1 / (1 + np.sum(self.matrix**2, axis=0) / X_VAR)

    def encode_z(self, x, training=False):
        self.times_encoded += 1
        centred = ops.reshape(x, (-1, 16)) - ops.cast(self.offset, x.dtype)
        gain = ops.cast(self.matrix * self.posterior_var / X_VAR, x.dtype)  # [16, 2]
        mean = ops.matmul(centred, gain) + self.shift
        logvar = ops.cast(np.log(self.posterior_var) + self.widening, x.dtype)
        return d.Gaussian(mean, ops.broadcast_to(logvar, ops.shape(mean)))

    def decode_x(self, z, training=False):
        x = ops.matmul(z, ops.cast(self.matrix.T, z.dtype)) + ops.cast(self.offset, z.dtype)
        return ops.reshape(x, (-1, *SHAPE))

    def draw_x(self, num):
        """Images of the model itself, [num, 4, 4, 1]."""
        random = np.random.default_rng(1)
        x = random.normal(size=(num, 2)) @ self.matrix.T + self.offset
        noise = random.normal(scale=np.sqrt(X_VAR), size=(num, 16))
        return (x + noise).reshape(-1, *SHAPE).astype("float32")

    def exact_log_p_x(self, x):
        covariance = self.matrix @ self.matrix.T + X_VAR * np.eye(16)
        return stats.multivariate_normal(self.offset, covariance).logpdf(x.reshape(-1, 16))

    def posterior_kl(self):
        """KL(q(z|x) || p(z|x)), the same for every x."""
        squared = 2 * np.exp(self.widening) + np.sum(self.shift**2 / self.posterior_var)
        return 0.5 * (squared - 2 - 2 * self.widening)


@pytest.fixture(scope="module")
def wrong():
    return LinearGaussianVAE(shift=0.2, widening=0.5)


@pytest.fixture(scope="module")
def images(wrong):
    return wrong.draw_x(1000)


def tiny(model_name, **options):
    return toys.toy(model_name, SHAPE, **dict(z_dim=1, w_dim=1, x_var=0.5) | options)


def random_images(num):
    return toys.images(num, SHAPE)


# --- log p(x), where it is known exactly


@pytest.mark.parametrize("num_samples", [1, 7])
def test_exact_posterior_gives_exact_log_p_x_from_any_number_of_samples(num_samples):
    model = LinearGaussianVAE()
    x = model.draw_x(50)
    found = evaluation.log_likelihood(model, x, num_samples=num_samples, batch_size=20)
    np.testing.assert_allclose(found.per_image, model.exact_log_p_x(x), atol=2e-4)
    assert found.mean == pytest.approx(found.per_image.mean())
    assert found.standard_error == pytest.approx(stats.sem(found.per_image))
    assert found.num_samples == num_samples
    terms = evaluation.elbo_terms(model, x)
    oracles.assert_mean(terms["elbo"] - model.exact_log_p_x(x), 0.0)


def test_gap_of_the_elbo_is_the_kl_to_the_posterior(wrong, images):
    terms = evaluation.elbo_terms(wrong, images, num_samples=20)
    assert wrong.posterior_kl() > 0.3
    oracles.assert_mean(wrong.exact_log_p_x(images) - terms["elbo"], wrong.posterior_kl())


def test_more_importance_samples_close_the_gap_from_below(wrong, images):
    exact = wrong.exact_log_p_x(images)
    gaps = [np.full(len(images), wrong.posterior_kl())]  # of the ELBO
    for num_samples in (4, 40):
        found = evaluation.log_likelihood(wrong, images, num_samples=num_samples)
        gaps.append(exact - found.per_image)
    for wider, narrower in zip(gaps, gaps[1:]):
        gain = wider - narrower
        assert np.mean(gain) > 4 * stats.sem(gain)
    assert np.mean(gaps[-1]) > -3 * stats.sem(gaps[-1])
    found = evaluation.log_likelihood(wrong, images[:100], num_samples=1000)
    np.testing.assert_allclose(found.per_image, exact[:100], atol=0.2)
    assert np.mean(np.abs(found.per_image - exact[:100])) < 0.03


def test_the_importance_weight_is_unbiased(wrong, images):
    x = np.repeat(images[:4], 2000, axis=0)
    found = evaluation.log_likelihood(wrong, x, num_samples=5, batch_size=8000)
    ratios = np.exp(found.per_image - wrong.exact_log_p_x(x)).reshape(4, 2000)
    oracles.assert_mean(ratios.T, 1.0)


def integral(log_integrand, *axes):
    """Log of the trapezoidal integral over the trailing axes, one for each latent variable."""
    step = LATENT_GRID[1] - LATENT_GRID[0]
    return special.logsumexp(log_integrand, axis=axes) + len(axes) * np.log(step)


def log_p_x_given(model, x):
    """log p(x|z) for every z of the grid, [B, Z], by scipy."""
    z = LATENT_GRID[:, None].astype("float32")
    means = np.asarray(model.decode_x(z), dtype="float64").reshape(1, -1, 16)
    pixels = x.reshape(-1, 1, 16)
    return stats.norm(means, np.sqrt(0.5)).logpdf(pixels).sum(axis=-1)


def log_p_z_of(model):
    """log p(z) for every z of the grid, [Z]; the GMVAE's integrates over w and adds over y."""
    if model.name == "model1":
        return stats.norm.logpdf(LATENT_GRID)
    if model.name == "model3":
        components = [stats.norm(m, np.sqrt(0.5)).pdf(LATENT_GRID) for m in (0, 1, -1)]
        return np.log(np.mean(components, axis=0))
    w = LATENT_GRID[:, None].astype("float32")
    mean, logvar = (np.asarray(part, dtype="float64")[..., 0].T for part in model.prior_z(w))
    p_z = stats.norm(mean[..., None], np.exp(logvar / 2)[..., None])  # [K, W, 1]
    log_p_z = special.logsumexp(p_z.logpdf(LATENT_GRID), axis=0) - np.log(3)  # [W, Z]
    return integral(log_p_z + stats.norm.logpdf(LATENT_GRID)[:, None], 0)


def widened(model):
    """The model with q(z|x) and q(w|x) wider than the posterior: no weight is then very large."""
    for name in ("encoder_z", "encoder_w"):
        if hasattr(model, name):
            bias = getattr(model, name).logvar.bias
            bias.assign(ops.ones_like(bias))
    return model


@pytest.mark.parametrize("model_name", ["model1", "model3", "model4_bias"])
def test_importance_samples_agree_with_numeric_integration(model_name):
    model = widened(tiny(model_name))
    x = random_images(4)
    exact = integral(log_p_x_given(model, x) + log_p_z_of(model), 1)
    found = evaluation.log_likelihood(
        model, np.repeat(x, 1500, axis=0), num_samples=8, batch_size=6000
    )
    oracles.assert_mean(np.exp(found.per_image.reshape(4, 1500) - exact[:, None]).T, 1.0)
    elbo = evaluation.elbo_terms(model, x, num_samples=50)["elbo"]
    assert np.all(elbo < exact)


def test_weights_far_below_the_smallest_float_are_added_exactly():
    class Stub:
        """Log weights of -20,000 plus what the noise is."""

        name, image_shape, compute_dtype = "stub", SHAPE, "float32"

        def encode(self, x):
            return ops.zeros((len(x),))

        def sample_eps(self, num, noise):
            return keras.random.normal((num,), seed=noise)

        def log_importance_weight(self, x, q, eps):
            return q + eps - 20_000.0

    found = evaluation.log_likelihood(Stub(), random_images(100), num_samples=100, seed=5)
    noise = keras.random.SeedGenerator(5)
    eps = [np.asarray(keras.random.normal((100,), seed=noise)) for _ in range(100)]
    expected = special.logsumexp(np.asarray(eps, dtype="float64"), axis=0) - np.log(100) - 20_000
    np.testing.assert_allclose(found.per_image, expected, atol=2e-3)  # float32 at 20,000


def test_the_encoder_runs_once_for_each_batch(images):
    model = LinearGaussianVAE()
    evaluation.log_likelihood(model, images[:50], num_samples=9, batch_size=20)
    assert model.times_encoded == 3


# --- the ELBO's terms


def test_terms_are_means_over_samples_in_float64(wrong, images):
    found = evaluation.elbo_terms(wrong, images[:30], num_samples=3, seed=4)
    noise = keras.random.SeedGenerator(4)
    samples = [wrong.elbo_terms(images[:30], wrong.sample_eps(30, noise)) for _ in range(3)]
    for name in ("reconstruction", "z_prior", "elbo"):
        expected = np.mean([np.asarray(getattr(s, name), "float64") for s in samples], axis=0)
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-5)
        assert found[name].dtype == np.float64
    np.testing.assert_array_equal(found["elbo"], found["reconstruction"] - found["z_prior"])


def test_batches_change_nothing_but_the_noise(wrong, images):
    whole = evaluation.elbo_terms(wrong, images[:50])
    parts = evaluation.elbo_terms(wrong, images[:50], batch_size=20)
    np.testing.assert_allclose(parts["z_prior"], whole["z_prior"], rtol=1e-5)
    assert not np.array_equal(parts["reconstruction"], whole["reconstruction"])


def test_a_seed_decides_every_number_and_the_model_keeps_its_noise():
    model, x = tiny("model4_bias"), random_images(20)
    before = model.noise_seed.state.numpy()
    for estimate in (evaluation.log_likelihood, evaluation.y_posterior_gap):
        first, again, other = (
            estimate(model, x, num_samples=2, seed=seed).per_image for seed in (0, 0, 1)
        )
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
    first, again, other = (evaluation.elbo_terms(model, x, seed=s)["elbo"] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(before, model.noise_seed.state.numpy())


# --- the network's p(y|w,z) against Bayes' rule


def test_no_gap_where_p_y_is_bayes_rule():
    model = tiny("model4_bias", y_posterior="bayes")
    found = evaluation.y_posterior_gap(model, random_images(20))
    assert np.array_equal(found.per_image, np.zeros(20))


def test_the_gap_is_the_kl_from_network_to_bayes():
    model, x = tiny("model4_bias"), random_images(20)
    q, eps = model.encode(x), model.sample_eps(20, keras.random.SeedGenerator(3))
    z, w = (
        np.asarray(gaussian.mean) + np.exp(np.asarray(gaussian.logvar) / 2) * np.asarray(noise)
        for gaussian, noise in zip(q, eps)
    )
    mean, logvar = (np.asarray(part, "float64") for part in model.prior_z(w))  # [20, 3, 1]
    densities = stats.norm(mean, np.exp(logvar / 2)).pdf(z[:, None, :])[..., 0]  # [20, 3]
    bayes = densities / densities.sum(axis=1, keepdims=True)
    network = special.softmax(np.asarray(model.classify_y(z, w), "float64"), axis=1)
    found = evaluation.y_posterior_gap(model, x, seed=3)
    expected = special.rel_entr(network, bayes).sum(axis=1)
    np.testing.assert_allclose(found.per_image, expected, atol=1e-5)
    assert found.mean == pytest.approx(expected.mean(), abs=1e-5)
    assert found.standard_error == pytest.approx(stats.sem(expected), abs=1e-5)


def test_the_gap_is_what_the_network_costs_the_elbo():
    """conditional_prior + y_prior exceeds its value under Bayes' rule by the gap, per sample."""
    network, bayes = tiny("model4_bias"), tiny("model4_bias", y_posterior="bayes")
    for name in ("decoder", "encoder_z", "encoder_w", "prior"):
        getattr(bayes, name).set_weights(getattr(network, name).get_weights())
    x, options = random_images(20), dict(num_samples=3, seed=1)
    loss = evaluation.elbo_terms(bayes, x, **options)["elbo"]
    loss = loss - evaluation.elbo_terms(network, x, **options)["elbo"]
    gap = evaluation.y_posterior_gap(network, x, **options).per_image
    np.testing.assert_allclose(loss, gap, atol=2e-5)


# --- codes, responsibilities, reconstructions


def test_codes_are_the_posterior_means_in_order(wrong, images):
    found = evaluation.codes(wrong, images[:50], batch_size=20)
    np.testing.assert_allclose(found.z, wrong.encode_z(images[:50]).mean, atol=1e-6)
    assert found.w is None
    model, x = tiny("model4_bias", z_dim=2, w_dim=3), random_images(7)
    found = evaluation.codes(model, x, batch_size=4)
    np.testing.assert_allclose(found.z, model.encode_z(x).mean, atol=1e-6)
    np.testing.assert_allclose(found.w, model.encode_w(x).mean, atol=1e-6)


@pytest.mark.parametrize("model_name", ["model3", "model4_bias"])
def test_responsibilities_are_the_models_in_order(model_name):
    model, x = tiny(model_name), random_images(7)
    found = evaluation.responsibilities(model, x, batch_size=4)
    np.testing.assert_allclose(found, model.responsibilities(x), atol=1e-6)
    assert found.shape == (7, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_reconstruction_mse_is_per_pixel(wrong, images):
    x = images[:50].astype("float64").reshape(50, 16)
    gain = wrong.matrix * wrong.posterior_var / X_VAR
    z = (x - wrong.offset) @ gain + wrong.shift
    expected = np.mean((x - z @ wrong.matrix.T - wrong.offset) ** 2)
    found = evaluation.reconstruction_mse(wrong, images[:50], batch_size=20)
    assert found == pytest.approx(expected, rel=1e-5)


# --- the metrics of a run

BOUND = {"elbo", "reconstruction", "log_p_x"}
ALWAYS = {"images", "log_p_x_num_samples", "log_p_x_images", "reconstruction_mse"} | BOUND
CLUSTERS = {"clustering_by", "num_clusters", "clusters_in_use"}
AGREEMENT = {"accuracy_one_to_one", "accuracy_majority", "accuracy_surest", "nmi", "ari"}


@pytest.mark.parametrize(
    ("model_name", "labelled"),
    [(name, True) for name in MODEL_NAMES] + [("model1", False), ("model4_bias", False)],
)
def test_metrics_of_every_model(model_name, labelled):
    model = tiny(model_name, z_dim=2, hidden_dim=4)
    gmvae = model_name in ("model4_bias", "model5")
    split = SimpleNamespace(x=random_images(20), labels=np.arange(20) % 3 if labelled else None)
    metrics = evaluation.evaluate(model, split, num_samples=2, log_p_x_images=12, batch_size=8)
    terms = {"conditional_prior", "w_prior", "y_prior"} if gmvae else {"z_prior"}
    with_error = terms | BOUND | ({"y_posterior_gap"} if gmvae else set())
    expected = ALWAYS | with_error | {f"{name}_standard_error" for name in with_error}
    expected |= {"active_units_z"} | ({"active_units_w"} if gmvae else set())
    if labelled or model_name not in ("model1", "model2"):
        expected |= CLUSTERS
        by = "kmeans" if model_name in ("model1", "model2") else "responsibilities"
        assert (metrics["clustering_by"], metrics["num_clusters"]) == (by, 3)
    assert set(metrics) == (expected | AGREEMENT if labelled else expected)
    assert json.loads(json.dumps(metrics)) == metrics
    counts = [metrics[k] for k in ("images", "log_p_x_images", "log_p_x_num_samples")]
    assert counts == [20, 12, 2]


def test_metrics_are_those_of_the_functions():
    model = tiny("model4_bias", num_clusters=4)
    x, labels = random_images(30), np.arange(30) % 3
    options = dict(seed=6, batch_size=16)
    metrics = evaluation.evaluate(
        model, SimpleNamespace(x=x, labels=labels), num_samples=3, **options
    )
    terms = evaluation.elbo_terms(model, x, **options)
    scores = evaluation.clustering_scores(evaluation.responsibilities(model, x), labels)
    assert metrics["y_prior"] == terms["y_prior"].mean()
    assert metrics["y_prior_standard_error"] == pytest.approx(stats.sem(terms["y_prior"]))
    assert metrics["elbo"] == pytest.approx(
        metrics["reconstruction"]
        - metrics["conditional_prior"]
        - metrics["w_prior"]
        - metrics["y_prior"]
    )
    likelihood = evaluation.log_likelihood(model, x, num_samples=3, **options)
    assert metrics["log_p_x"] == likelihood.mean
    assert metrics["accuracy_one_to_one"] is None  # 4 clusters, 3 labels
    assert metrics["accuracy_majority"] == scores.majority
    assert metrics["accuracy_surest"] == scores.surest
    assert (metrics["nmi"], metrics["ari"]) == (scores.nmi, scores.ari)


def test_no_standard_error_of_infinite_or_single_values():
    values = np.array([1.0, -np.inf, 2.0])
    assert np.isnan(evaluation.standard_error(values))
    assert np.isnan(evaluation.standard_error(values[:1]))


# --- bad input


@pytest.mark.parametrize(
    "function", ["elbo_terms", "log_likelihood", "reconstruction_mse", "codes"]
)
def test_images_that_do_not_fit_are_refused(wrong, function):
    with pytest.raises(ValueError, match=r"\(2, 5, 4, 1\): model1 evaluates"):
        getattr(evaluation, function)(wrong, np.zeros((2, 5, 4, 1), "float32"))
    with pytest.raises(ValueError, match="N of at least 1"):
        getattr(evaluation, function)(wrong, np.zeros((0, *SHAPE), "float32"))
    with pytest.raises(ValueError, match="batch_size is 0"):
        getattr(evaluation, function)(wrong, np.zeros((2, *SHAPE), "float32"), batch_size=0)


def test_numbers_of_samples_below_one_are_refused(wrong, images):
    for function in (evaluation.elbo_terms, evaluation.log_likelihood):
        with pytest.raises(ValueError, match="num_samples is 0"):
            function(wrong, images, num_samples=0)
    with pytest.raises(ValueError, match="num_samples is -1"):
        evaluation.y_posterior_gap(tiny("model4_bias"), random_images(2), num_samples=-1)


def test_a_model_without_clusters_says_what_to_use_instead(wrong, images):
    with pytest.raises(ValueError, match="kmeans_responsibilities"):
        evaluation.responsibilities(wrong, images)
    with pytest.raises(ValueError, match="model1 has no p"):
        evaluation.y_posterior_gap(wrong, images)


@pytest.mark.parametrize("shape, sizes", [((28, 28, 1), [3]), ((900, 900, 1), [1, 1, 1])], ids=str)
def test_large_images_are_evaluated_few_at_a_time(shape, sizes):
    """A thousand of them would fill the memory."""
    model = SimpleNamespace(image_shape=shape, compute_dtype="float32", name="large")
    batches = estimates._batches(model, np.zeros((3, *shape), "float32"), estimates.BATCH_SIZE)
    assert [len(batch) for batch in batches] == sizes
