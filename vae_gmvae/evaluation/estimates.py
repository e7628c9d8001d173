"""Numbers per image: the ELBO's terms, log p(x) by importance sampling, codes, the y gap.

Images go through the model in batches. The noise comes from a generator made of `seed` alone, so
the same seed and batch size give the same numbers, and `elbo_terms` and `y_posterior_gap` see the
same samples of z and w.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from vae_gmvae import distributions as d

BATCH_SIZE = 1000  # images; fewer are slower, more are hardly faster
PIXELS = 784 * BATCH_SIZE  # at a time: larger images are fewer
BAR = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed} < {remaining} left"


class Estimate(NamedTuple):
    """A mean over images, in nats, with what it was made of."""

    mean: float
    standard_error: float  # of the mean, from the spread over images
    num_samples: int  # of the latents, for each image
    per_image: np.ndarray  # [N], float64


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of `values` [N]; NaN if there is only one."""
    if len(values) < 2:
        return math.nan
    with np.errstate(invalid="ignore"):  # an infinite value has no spread: NaN
        return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def elbo_terms(
    model, x, *, num_samples: int = 1, batch_size: int = BATCH_SIZE, seed: int = 0
) -> dict[str, np.ndarray]:
    """The ELBO's named terms and "elbo" itself of images x [N, H, W, C], float64 [N] each, nats.

    Each term is a mean over `num_samples` samples of the latents.

    Raises:
        ValueError: no images, images of another shape than the model's, fewer than one sample.
    """
    _check_positive("num_samples", num_samples)
    noise = keras.random.SeedGenerator(seed)
    parts = [_mean_terms(model, b, num_samples, noise) for b in _batches(model, x, batch_size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _mean_terms(model, x, num_samples, noise) -> dict[str, np.ndarray]:
    q = model.encode(x)
    samples = [
        [_float64(term) for term in model.terms_given(x, q, model.sample_eps(len(x), noise))]
        for _ in range(num_samples)
    ]
    mean = model.Terms(*np.mean(samples, axis=0))  # [B] each
    return {**mean._asdict(), "elbo": mean.elbo}


def log_likelihood(
    model,
    x,
    *,
    num_samples: int = 200,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> Estimate:
    """log p(x) of images x [N, H, W, C] by importance sampling from q, in nats.

    log 1/S sum_s p(x, latents_s) / q(latents_s|x): Burda et al. 2016, section 3. In expectation
    it is at least the ELBO and at most log p(x), which it approaches as S = `num_samples` grows.
    Weights are added up in float64 one sample at a time, so memory does not grow with S.
    `progress` shows a bar.

    Raises:
        ValueError: no images, images of another shape than the model's, fewer than one sample.
    """
    _check_positive("num_samples", num_samples)
    weight, parts = _LogImportanceWeight(model, seed), []
    total = len(x) * num_samples
    with tqdm(total=total, desc="log p(x)", bar_format=BAR, disable=not progress) as bar:
        for batch in _batches(model, x, batch_size):
            parts.append(_log_mean_weight(weight, batch, num_samples, bar))
    return _estimate(np.concatenate(parts), num_samples)


class _LogImportanceWeight(keras.Model):
    """(x, q) -> log p(x, latents) - log q(latents|x) at a fresh sample of q, [B].

    A keras.Model only so that `predict_on_batch` compiles it, whatever the backend: three times
    as fast for dense networks as calling the model's layers one by one.
    """

    def __init__(self, model, seed: int):
        super().__init__(name="log_importance_weight")
        self.model, self.noise = model, keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Nothing is left to build: the model has its weights."""

    def call(self, inputs):
        x, q = inputs
        eps = self.model.sample_eps(ops.shape(x)[0], self.noise)
        return self.model.log_importance_weight(x, q, eps)


def _log_mean_weight(weight: _LogImportanceWeight, x, num_samples, bar) -> np.ndarray:
    q = weight.model.encode(x)  # once: only the decoder runs again for every sample
    total = np.full(len(x), -np.inf)  # [B], log of the sum of the weights so far
    for _ in range(num_samples):
        total = np.logaddexp(total, weight.predict_on_batch((x, q)).astype("float64"))
        bar.update(len(x))
    return total - math.log(num_samples)


def y_posterior_gap(
    model, x, *, num_samples: int = 1, batch_size: int = BATCH_SIZE, seed: int = 0
) -> Estimate:
    """E_q[KL(p(y|w,z) || Bayes posterior)] of a GMVAE on images x, in nats, at least 0.

    What the ELBO loses because p(y|w,z) is a network of its own; 0 if it is Bayes' rule.

    Raises:
        ValueError: the model has no y; and as `elbo_terms`.
    """
    if not hasattr(model, "y_posterior"):
        raise ValueError(f"{model.name} has no p(y|w,z): the gap belongs to the GMVAE")
    _check_positive("num_samples", num_samples)
    noise = keras.random.SeedGenerator(seed)
    parts = [_mean_gap(model, b, num_samples, noise) for b in _batches(model, x, batch_size)]
    return _estimate(np.concatenate(parts), num_samples)


def _mean_gap(model, x, num_samples, noise) -> np.ndarray:
    q = model.encode(x)
    gaps = []
    for _ in range(num_samples):
        eps = model.sample_eps(len(x), noise)
        z, w = d.reparameterise(q.z, eps.z), d.reparameterise(q.w, eps.w)
        gap = d.kl_categorical(model.classify_y(z, w), model.y_posterior(z, w))  # [B]
        gaps.append(_float64(gap))
    return np.mean(gaps, axis=0)


def reconstruction_mse(model, x, *, batch_size: int = BATCH_SIZE) -> float:
    """Mean squared difference, per pixel, of x [N, H, W, C] and its decoded mean code."""
    squared = 0.0
    for batch in _batches(model, x, batch_size):
        squared += np.sum(np.square(_float64(batch) - _float64(model.reconstruct(batch))))
    return float(squared / np.size(x))


def codes(model, x, *, batch_size: int = BATCH_SIZE):
    """The means of q(z|x) and q(w|x) as Latents: z [N, z_dim]; w [N, w_dim], or None."""
    parts = [model.encode(batch) for batch in _batches(model, x, batch_size)]
    latents = zip(*parts)  # all of z, all of w
    return type(parts[0])(*map(_joined_means, latents))


def _joined_means(gaussians) -> np.ndarray | None:
    if gaussians[0] is None:
        return None
    return np.concatenate([ops.convert_to_numpy(q.mean) for q in gaussians])


def responsibilities(model, x, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Each cluster's probability given the means of q(z|x) and q(w|x), [N, K]; rows add up to 1.

    Raises:
        ValueError: the model has no clusters (model1, model2); no images; images of another shape.
    """
    if not hasattr(model, "responsibilities"):
        raise ValueError(
            f"{model.name} has no clusters of its own: use kmeans_responsibilities on its codes"
        )
    parts = [model.responsibilities(batch) for batch in _batches(model, x, batch_size)]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _batches(model, x, batch_size) -> Iterator:
    """Tensors [B, H, W, C] of at most `batch_size` images and, but for a single one, PIXELS."""
    _check_positive("batch_size", batch_size)
    if np.shape(x)[1:] != model.image_shape or not len(x):
        raise ValueError(
            f"images have the shape {np.shape(x)}: {model.name} evaluates [N, *{model.image_shape}]"
            " with N of at least 1"
        )
    batch_size = max(1, min(batch_size, PIXELS // math.prod(model.image_shape)))
    for start in range(0, len(x), batch_size):
        yield ops.convert_to_tensor(x[start : start + batch_size], dtype=model.compute_dtype)


def _estimate(per_image: np.ndarray, num_samples: int) -> Estimate:
    mean = float(np.mean(per_image))
    return Estimate(mean, standard_error(per_image), num_samples, per_image)


def _float64(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor).astype("float64")


def _check_positive(name: str, value: int):
    if value < 1:
        raise ValueError(f"{name} is {value}: it must be at least 1")
