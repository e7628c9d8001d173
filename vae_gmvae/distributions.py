"""Log densities and divergences in nats, written in keras.ops. Sums run over the last axis.

Every function keeps its normaliser, broadcasts over leading axes and keeps the dtype it is given.
A Gaussian is a pair (mean, logvar) with diagonal covariance; a categorical is a row of logits.
"""

import math
from typing import Any, NamedTuple

from keras import ops

LOG_2PI = math.log(2 * math.pi)


class Gaussian(NamedTuple):
    """A Gaussian with diagonal covariance: `mean` and `logvar`, both [..., D]."""

    mean: Any
    logvar: Any


def reparameterise(q: Gaussian, eps):
    """A sample of q as a differentiable function of noise eps ~ N(0, I), [..., D].

    Kingma and Welling 2013, section 2.4.
    """
    return q.mean + ops.exp(0.5 * q.logvar) * eps


def log_normal(x, p: Gaussian):
    """log N(x; mean, diag(exp(logvar))), [...]."""
    squared = ops.square(x - p.mean) * ops.exp(-p.logvar)
    return -0.5 * ops.sum(LOG_2PI + p.logvar + squared, axis=-1)


def log_standard_normal(x):
    """log N(x; 0, I), [...]."""
    return -0.5 * ops.sum(LOG_2PI + ops.square(x), axis=-1)


def log_bernoulli(x, logits):
    """log p(x) of independent Bernoullis, [...]; x may be any grey level in [0, 1]."""
    return ops.sum(x * logits - ops.softplus(logits), axis=-1)


def log_mixture(log_weights, log_components):
    """log sum_k exp(log_weights_k + log_components_k) over the last axis, by log-sum-exp.

    A component's log density [..., K] is summed over dimensions BEFORE this; the other order
    would be a product of one-dimensional mixtures.
    """
    return ops.logsumexp(log_weights + log_components, axis=-1)


def log_mixture_naive(log_weights, log_components):
    """The same number by adding probabilities: -inf as soon as all of them underflow."""
    return ops.log(ops.sum(ops.exp(log_weights + log_components), axis=-1))


def kl_normal(q: Gaussian, p: Gaussian):
    """KL(q || p) of two diagonal Gaussians, [...]."""
    ratio = ops.exp(q.logvar - p.logvar) + ops.square(q.mean - p.mean) * ops.exp(-p.logvar)
    return 0.5 * ops.sum(ratio - 1 + p.logvar - q.logvar, axis=-1)


def kl_standard_normal(q: Gaussian):
    """KL(q || N(0, I)), [...]. Kingma and Welling 2013, appendix B."""
    return 0.5 * ops.sum(ops.exp(q.logvar) + ops.square(q.mean) - 1 - q.logvar, axis=-1)


def kl_categorical(q_logits, p_logits):
    """KL(softmax(q_logits) || softmax(p_logits)) over the last axis, [...]."""
    log_q, log_p = ops.log_softmax(q_logits, axis=-1), ops.log_softmax(p_logits, axis=-1)
    return ops.sum(ops.exp(log_q) * (log_q - log_p), axis=-1)
