"""Log densities and divergences against scipy in float64, quadrature and Monte Carlo."""

import math
from typing import NamedTuple

import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

from vae_gmvae import distributions as d

RANGES = {"real": (-3, 3), "logvar": (-3, 3), "grey": (0, 1), "logits": (-20, 20)}


class Case(NamedTuple):
    """One function of the module with its oracle and the kinds of its arguments, all [..., D]."""

    ours: object
    oracle: object
    kinds: tuple


CASES = {
    "log_normal": Case(
        lambda x, mean, logvar: d.log_normal(x, d.Gaussian(mean, logvar)),
        oracles.log_normal,
        ("real", "real", "logvar"),
    ),
    "log_standard_normal": Case(d.log_standard_normal, oracles.log_standard_normal, ("real",)),
    "log_bernoulli": Case(d.log_bernoulli, oracles.log_bernoulli, ("grey", "logits")),
    "log_mixture": Case(d.log_mixture, oracles.log_mixture, ("real", "logits")),
    "log_mixture_naive": Case(d.log_mixture_naive, oracles.log_mixture, ("real", "logits")),
    "kl_normal": Case(
        lambda a, b, m, v: d.kl_normal(d.Gaussian(a, b), d.Gaussian(m, v)),
        oracles.kl_normal,
        ("real", "logvar", "real", "logvar"),
    ),
    "kl_standard_normal": Case(
        lambda mean, logvar: d.kl_standard_normal(d.Gaussian(mean, logvar)),
        oracles.kl_standard_normal,
        ("real", "logvar"),
    ),
    "kl_categorical": Case(
        d.kl_categorical,
        lambda q, p: stats.entropy(
            special.softmax(q, axis=-1), special.softmax(p, axis=-1), axis=-1
        ),
        ("real", "real"),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
thorough = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def arguments(draw, kinds):
    """Arrays of one shape [..., D], one for each kind of argument."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    bounded = [st.floats(*RANGES[kind], allow_subnormal=False) for kind in kinds]
    return [draw(hnp.arrays("float64", shape, elements=elements)) for elements in bounded]


def taped(function, args):
    """function(*args) and its gradients with respect to every argument, as NumPy."""
    args = [tf.constant(a) for a in args]
    with tf.GradientTape() as tape:
        tape.watch(args)
        value = function(*args)
    return value.numpy(), [g.numpy() for g in tape.gradient(value, args)]


@every_case
@thorough
@given(data=st.data())
def test_values_and_gradients_equal_scipy(case, data):
    args = data.draw(arguments(case.kinds))
    value, gradients = taped(case.ours, args)
    np.testing.assert_allclose(value, case.oracle(*args), rtol=1e-10, atol=1e-10)
    for ours, oracle in zip(gradients, oracles.row_gradients(case.oracle, args)):
        np.testing.assert_allclose(ours, oracle, rtol=1e-5, atol=1e-5)


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(case, dtype):
    args = [np.full((2, 3), 0.5, dtype) for _ in case.kinds]
    assert case.ours(*args).dtype == dtype


@pytest.mark.parametrize("mixture", [d.log_mixture, d.log_mixture_naive])
def test_log_weights_may_be_a_number(mixture):
    components = np.log([[0.1, 0.2, 0.6]])
    value = mixture(-math.log(3), components)
    np.testing.assert_allclose(value, math.log(0.3), rtol=1e-12)


@pytest.mark.parametrize("lead", [(), (5,)], ids=["shared", "per image"])
def test_log_normal_broadcasts_components(lead):
    """z [B, 1, D] against components [K, D] or [B, K, D] gives [B, K]."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 1, 3))
    mean, logvar = rng.normal(size=(2, *lead, 4, 3))
    value = d.log_normal(z, d.Gaussian(mean, logvar))
    assert value.shape == (5, 4)
    np.testing.assert_allclose(value, oracles.log_normal(z, mean, logvar), rtol=1e-12)


def test_reparameterise_is_the_sample_and_its_gradient():
    rng = np.random.default_rng(0)
    mean, logvar, eps = rng.normal(size=(3, 7, 2))
    sample, (of_mean, of_logvar, _) = taped(
        lambda m, v, e: d.reparameterise(d.Gaussian(m, v), e), [mean, logvar, eps]
    )
    np.testing.assert_allclose(sample, mean + np.exp(logvar / 2) * eps, rtol=1e-12)
    np.testing.assert_allclose(of_mean, np.ones_like(mean))
    np.testing.assert_allclose(of_logvar, (sample - mean) / 2, rtol=1e-9)


# --- Monte Carlo: a mean over samples, judged by its standard error

SAMPLES = 20_000
Q = (np.array([0.3, -1.0]), np.array([-0.7, 0.5]))  # mean, logvar
P = (np.array([-0.4, 0.2]), np.array([0.6, 0.1]))
WEIGHTS = np.array([0.2, 0.5, 0.3])
MEANS = np.array([[0.0, 0.0], [1.5, -1.0], [-2.0, 2.0]])  # [K, D]


def log_mixture_density(x):
    components = d.log_normal(x[:, None, :], d.Gaussian(MEANS, np.full_like(MEANS, -0.5)))
    return d.log_mixture(np.log(WEIGHTS), components)


DENSITIES = {
    "normal": lambda x: d.log_normal(x, d.Gaussian(*P)),
    "standard normal": d.log_standard_normal,
    "mixture": log_mixture_density,
}


def normal_samples(mean, logvar, num=SAMPLES, seed=0):
    return stats.norm(mean, np.exp(logvar / 2)).rvs((num, len(mean)), random_state=seed)


@pytest.mark.parametrize("log_density", DENSITIES.values(), ids=DENSITIES.keys())
def test_densities_integrate_to_one(log_density):
    """E_r[p/r] = 1 for a wider r: the normaliser is there."""
    x = normal_samples(np.zeros(2), np.full(2, math.log(9.0)))
    log_r = stats.norm(0, 3).logpdf(x).sum(-1)
    oracles.assert_mean(np.exp(log_density(x) - log_r), 1)


def test_bernoulli_sums_to_one():
    every_image = np.array(list(np.ndindex(2, 2, 2)), "float64")  # [8, 3]
    logits = np.array([-1.0, 0.3, 4.0])
    assert math.isclose(np.exp(d.log_bernoulli(every_image, logits)).sum(), 1, rel_tol=1e-12)


def tiled(rows, num=SAMPLES):
    """One copy of a parameter per sample, so that gradients come out per sample."""
    return np.tile(rows, (num, 1))


def test_scores_of_a_normal_have_mean_zero_and_fisher_variance():
    x = normal_samples(*Q)
    _, (_, of_mean, of_logvar) = taped(CASES["log_normal"].ours, [x, *map(tiled, Q)])
    oracles.assert_mean(of_mean, 0)
    oracles.assert_mean(of_logvar, 0)
    oracles.assert_mean(of_mean**2, np.exp(-Q[1]))
    oracles.assert_mean(of_logvar**2, 0.5)


def test_scores_of_a_bernoulli_have_mean_zero_and_fisher_variance():
    logits = np.array([-2.0, 0.5])
    p = special.expit(logits)
    x = stats.bernoulli(p).rvs((SAMPLES, 2), random_state=0).astype("float64")
    _, (_, score) = taped(d.log_bernoulli, [x, tiled(logits)])
    oracles.assert_mean(score, 0)
    oracles.assert_mean(score**2, p * (1 - p))


def test_expected_responsibilities_are_the_mixture_weights():
    """d log p / d log pi_k is the responsibility of k, and its mean under p is pi_k."""
    rng = np.random.default_rng(0)
    k = rng.choice(3, SAMPLES, p=WEIGHTS)
    x = MEANS[k] + math.exp(-0.25) * rng.normal(size=(SAMPLES, 2))
    components = oracles.log_normal(x[:, None], MEANS, np.full_like(MEANS, -0.5))
    _, (responsibilities, _) = taped(d.log_mixture, [tiled(np.log(WEIGHTS)), components])
    oracles.assert_mean(responsibilities, WEIGHTS)


@pytest.mark.parametrize("p", [P, None], ids=["general", "standard"])
def test_kl_normal_is_the_mean_log_ratio(p):
    """Value and gradients: the reparameterised estimator is unbiased for both."""
    target = (np.zeros(2), np.zeros(2)) if p is None else p
    eps = np.random.default_rng(1).normal(size=(SAMPLES, 2))

    def log_ratio(mean, logvar, p_mean, p_logvar):
        z = d.reparameterise(d.Gaussian(mean, logvar), eps)
        log_q = d.log_normal(z, d.Gaussian(mean, logvar))
        return log_q - d.log_normal(z, d.Gaussian(p_mean, p_logvar))

    samples, sampled = taped(log_ratio, [tiled(row) for row in (*Q, *target)])
    case = CASES["kl_standard_normal" if p is None else "kl_normal"]
    value, exact = taped(case.ours, [*Q, *(p or ())])
    oracles.assert_mean(samples, value)
    for per_sample, gradient in zip(sampled, exact):
        oracles.assert_mean(per_sample, gradient)


def test_kl_categorical_is_the_mean_log_ratio():
    """Value and gradients, the latter by the score-function estimator written out in NumPy."""
    q_logits, p_logits = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, -0.5])
    q, p = special.softmax(q_logits), special.softmax(p_logits)
    y = np.random.default_rng(2).choice(3, SAMPLES, p=q)
    one_hot, log_ratio = np.eye(3)[y], np.log(q / p)[y]
    value, (of_q, of_p) = taped(d.kl_categorical, [q_logits, p_logits])
    oracles.assert_mean(log_ratio, value)
    oracles.assert_mean(log_ratio[:, None] * (one_hot - q), of_q)
    oracles.assert_mean(p - one_hot, of_p)


# --- what happens far out


@thorough
@given(args=arguments(("real", "logits")))
def test_naive_mixture_equals_log_sum_exp_where_nothing_underflows(args):
    np.testing.assert_allclose(d.log_mixture_naive(*args), d.log_mixture(*args), atol=1e-12)


@pytest.mark.parametrize("dtype, far", [("float32", -200), ("float64", -2000)])
def test_naive_mixture_underflows_and_log_sum_exp_does_not(dtype, far):
    components = np.array([[far, far - 1, far - 2]], dtype)
    assert d.log_mixture_naive(-math.log(3), components).numpy() == -np.inf
    exact = oracles.log_mixture(-math.log(3), components.astype("float64"))
    np.testing.assert_allclose(d.log_mixture(-math.log(3), components), exact, rtol=1e-6)


@pytest.mark.parametrize("logit", [1e4, 1e30])
@pytest.mark.parametrize("x, loses", [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0)])
def test_bernoulli_of_a_saturated_logit_is_finite(logit, x, loses):
    """log p(x) = x l - softplus(l) -> (x - 1) l for large l, and by symmetry for large -l."""
    for sign, grey in ((1, x), (-1, 1 - x)):
        value, gradients = taped(
            d.log_bernoulli, [np.float32([[grey]]), np.float32([[sign * logit]])]
        )
        np.testing.assert_allclose(value, [-loses * logit], rtol=1e-6)
        assert np.isfinite(gradients).all()


@pytest.mark.parametrize("gap", [1e3, 1e30])
def test_kl_categorical_of_a_certain_assignment_is_log_k(gap):
    certain = np.zeros((1, 10), "float32")
    certain[0, 3] = gap
    value, gradients = taped(d.kl_categorical, [certain, np.zeros_like(certain)])
    np.testing.assert_allclose(value, math.log(10), rtol=1e-6)
    assert np.isfinite(gradients).all()


def test_divergences_vanish_at_equality_and_are_positive_elsewhere():
    mean, logvar, logits = np.random.default_rng(0).normal(size=(3, 6, 4))
    q, other = d.Gaussian(mean, logvar), d.Gaussian(logvar, mean)
    np.testing.assert_allclose(d.kl_normal(q, q), 0, atol=1e-14)
    np.testing.assert_allclose(d.kl_categorical(logits, logits), 0, atol=1e-14)
    np.testing.assert_allclose(d.kl_categorical(logits, logits + 7.0), 0, atol=1e-14)
    assert (d.kl_normal(q, other).numpy() > 0).all()
    assert (d.kl_categorical(logits, mean).numpy() > 0).all()
