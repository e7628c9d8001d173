"""Independent numbers to compare with: scipy densities, finite differences, standard errors."""

import numpy as np
from scipy import special, stats

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(8)  # exact for polynomials of degree 15
SIGMAS = 5  # standard errors that a Monte Carlo mean may be away


def log_normal(x, mean, logvar):
    return stats.norm(mean, np.exp(logvar / 2)).logpdf(x).sum(-1)


def log_standard_normal(x):
    return stats.norm.logpdf(x).sum(-1)


def log_bernoulli(x, logits):
    """Also for grey levels x, by linearity."""
    return (x * special.log_expit(logits) + (1 - x) * special.log_expit(-logits)).sum(-1)


def log_mixture(log_weights, log_components):
    return special.logsumexp(log_weights + log_components, axis=-1)


def kl_normal(q_mean, q_logvar, p_mean, p_logvar):
    """E_q[log q - log p] by Gauss-Hermite quadrature: exact, as the integrand is quadratic."""
    q_mean, q_logvar, p_mean, p_logvar = (
        array[..., None] for array in np.broadcast_arrays(q_mean, q_logvar, p_mean, p_logvar)
    )
    z = q_mean + np.exp(q_logvar / 2) * NODES  # [..., D, nodes]
    log_q = stats.norm(q_mean, np.exp(q_logvar / 2)).logpdf(z)
    log_p = stats.norm(p_mean, np.exp(p_logvar / 2)).logpdf(z)
    return ((log_q - log_p) @ WEIGHTS / WEIGHTS.sum()).sum(-1)


def kl_standard_normal(mean, logvar):
    return kl_normal(mean, logvar, np.zeros_like(mean), np.zeros_like(logvar))


def kl_categorical(q_logits, p_logits):
    log_q, log_p = (special.log_softmax(logits, axis=-1) for logits in (q_logits, p_logits))
    return (np.exp(log_q) * (log_q - log_p)).sum(-1)


def row_gradients(function, arguments, step=1e-5):
    """d function / d argument by central differences, one array per argument.

    function: rows [..., D] -> [...], so that all rows are differentiated at once.
    """
    return [_row_gradient(function, arguments, i, step) for i in range(len(arguments))]


def _row_gradient(function, arguments, i, step):
    columns = []
    for j in range(arguments[i].shape[-1]):
        high, low = ([a.copy() for a in arguments] for _ in range(2))
        high[i][..., j] += step
        low[i][..., j] -= step
        columns.append((function(*high) - function(*low)) / (2 * step))
    return np.stack(columns, axis=-1)


def assert_mean(samples, expected):
    """The mean over the first axis equals `expected` within SIGMAS standard errors."""
    samples = np.asarray(samples, "float64")
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(samples.mean(axis=0) - expected)
    assert np.all(off <= SIGMAS * error + 1e-12), (samples.mean(axis=0), expected, error)
