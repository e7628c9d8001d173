"""What the five models share: the contract of `elbo_terms`, the loss and the metrics made from it.

Everything is in nats per image. `reconstruction` is a log-likelihood, the other terms are costs.
"""

import math
import numbers
import threading
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from vae_gmvae import devices
from vae_gmvae import distributions as d
from vae_gmvae.config import SMALLEST, Config

X_VAR_MOMENTUM = 0.95  # the shared variance averages over about 20 batches


class Latents(NamedTuple):
    """One entry per latent variable: noise, samples [B, dim], or Gaussians. `w` only in a GMVAE."""

    z: Any
    w: Any = None


class Beyond(threading.local):
    """What the loss of the step in progress holds beyond the ELBO's terms, in nats.

    Several devices' parts of one step are traced by turns, in a thread each: Keras's `add_loss`
    would mix them up.
    """

    losses = ()


class LatentVariableModel(keras.Model):
    """A model of images x through latent variables, trained on its evidence lower bound.

    Called on x [B, H, W, C] it returns the ELBO's named terms, so `model.predict(x)` gives each
    image's terms. A subclass defines `Terms`, `encode`, `terms_given`, `log_prior_ratio` and
    `sample_z`.

    Args:
        config: the options.
        image_shape: (H, W, C).
        decoder: network z -> logits [B, H, W, C].
    """

    Terms: type  # the NamedTuple that elbo_terms returns, with a property `elbo`
    information_term: str  # the term that `min_information` leaves unpunished up to lambda nats

    def __init__(self, config: Config, image_shape, decoder):
        super().__init__(name=config.model_name)
        self.config, self.image_shape, self.decoder = config, tuple(image_shape), decoder
        self.noise_seed = keras.random.SeedGenerator(config.seed, name="noise")
        start = 0.1 if config.x_var == "auto" else config.x_var
        self.x_logvar = self._state("x_logvar", math.log(start))
        self.kl_weight = self._state("kl_weight", config.kl_weight)
        self.steps_seen = self._state("steps_seen", 0, dtype="int32")
        self.first_nonfinite = self._state(
            "first_nonfinite", [0] * len(self.Terms._fields), "int32"
        )
        self.beyond_terms = Beyond()
        self.term_means = [keras.metrics.Mean(name) for name in (*self.Terms._fields, "elbo")]

    def _state(self, name, value, dtype=None):
        """A variable that training changes without a gradient."""
        dtype = dtype or self.variable_dtype
        return self.add_weight(
            name=name,
            shape=np.shape(value),
            initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype),
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",  # every part of a batch assigns the same
        )

    def build(self, input_shape):
        """Nothing is left to build: every network was given its shapes."""

    # --- the objective

    def elbo_terms(self, x, eps: Latents | None = None, training: bool = False):
        """The named terms [B] of the ELBO of images x [B, H, W, C], in nats.

        eps: the noise behind the samples of z and w; drawn from the model's generator if None.
        training: as Keras's call; what the loss then holds beyond these terms waits in
            `beyond_terms` for `compute_loss`.
        """
        q = self.encode(x, training=training)
        eps = self.sample_eps(ops.shape(x)[0]) if eps is None else eps
        return self.terms_given(x, q, eps, training=training)

    def elbo(self, x, eps: Latents | None = None):
        """The evidence lower bound of log p(x), [B], in nats: one sample of the latents."""
        return self.elbo_terms(x, eps).elbo

    def call(self, x, training=False):
        return self.elbo_terms(x, training=training)

    def objective(self, terms):
        """What training maximises, [B]: the ELBO with weighted KL terms and free information."""
        free = getattr(terms, self.information_term)
        if self.config.min_information:
            free = ops.maximum(free, self.config.min_information)
        bounded = terms._replace(**{self.information_term: free})
        costs = terms.reconstruction - bounded.elbo  # [B], the sum of the KL terms
        return terms.reconstruction - self.kl_weight * costs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training:
            self.steps_seen.assign_add(1)
        self._watch_finiteness(y_pred)
        loss = sum(self.beyond_terms.losses, -ops.mean(self.objective(y_pred)))
        return loss / devices.parts()  # the parts' losses and gradients are added

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for mean, values in zip(self.term_means, (*y_pred, y_pred.elbo), strict=True):
            mean.update_state(values)
        return self.get_metrics_result()

    def _watch_finiteness(self, terms):
        """Remembers, per term, the training step (from 1) that first was not finite; 0 is none.

        Validation has no steps of its own: what it finds is put down to the step before it.
        """
        finite = [ops.cast(ops.all(ops.isfinite(values)), "float32") for values in terms]
        finite = ops.all(devices.gather(ops.stack(finite)), axis=0)  # [terms]
        first, now = map(ops.convert_to_tensor, (self.first_nonfinite, self.steps_seen))
        fresh = ops.logical_and(ops.logical_not(finite), ops.equal(first, 0))
        self.first_nonfinite.assign(ops.where(fresh, now, first))

    # --- p(x|z)

    def decode_x(self, z, training=False):
        """The mean of p(x|z), [B, H, W, C] in [0, 1]."""
        return ops.sigmoid(self.decoder(z, training=training))

    def log_p_x(self, x, z, training=False):
        """log p(x|z), [B]; with `x_var` "auto" training moves the shared variance along.

        The optimal shared variance is the mean squared error: Rybkin et al. 2021, optimal
        sigma-VAE.
        """
        x = ops.convert_to_tensor(x, self.compute_dtype)
        if self.config.likelihood == "bernoulli":
            logits = self.decoder(z, training=training)
            return d.log_bernoulli(_flat(x), _flat(logits))
        x, x_mean = _flat(x), _flat(self.decode_x(z, training=training))  # [B, D]
        x_logvar = ops.cast(self.x_logvar, x_mean.dtype)
        if training and self.config.x_var == "auto":
            x_logvar = self._follow_x_var(ops.mean(ops.square(x - x_mean)))
        return d.log_normal(x, d.Gaussian(x_mean, x_logvar))

    def _follow_x_var(self, batch_error):
        batch_error = ops.mean(devices.gather(batch_error))
        batch_error = ops.maximum(batch_error, SMALLEST)  # blank images can be met exactly
        mean = X_VAR_MOMENTUM * ops.exp(self.x_logvar) + (1 - X_VAR_MOMENTUM) * batch_error
        self.x_logvar.assign(ops.log(ops.stop_gradient(mean)))
        return ops.log(batch_error)

    # --- inference and generation

    def sample_eps(self, num: int, seed=None) -> Latents:
        """Standard normal noise for `num` images; seed is an int or a SeedGenerator."""
        return Latents(self._normal((num, self.config.z_dim), seed))

    def _normal(self, shape, seed=None):
        num, *rest = shape
        seed, dtype = self._generator(seed), self.variable_dtype
        return devices.own_rows(
            lambda rows: keras.random.normal((rows, *rest), seed=seed, dtype=dtype), num
        )

    def _generator(self, seed):
        if isinstance(seed, numbers.Integral):
            return keras.random.SeedGenerator(int(seed))
        return self.noise_seed if seed is None else seed

    def encode_z(self, x, training=False) -> d.Gaussian:
        """q(z|x): mean and log variance, [B, z_dim] each."""
        return d.Gaussian(*self.encoder_z(x, training=training))

    def reconstruct(self, x):
        """The decoded mean of q(z|x), [B, H, W, C]."""
        return self.decode_x(self.encode_z(x).mean)

    def sample(self, num: int, seed=None, **which):
        """`num` images from the prior: means of p(x|z), [num, H, W, C].

        which: what `sample_z` of the model takes: the cluster `k` (model3, GMVAE), `w` (GMVAE).
        """
        return self.decode_x(self.sample_z(num, seed=seed, **which))

    def log_importance_weight(self, x, q: Latents, eps: Latents):
        """log p(x, latents) - log q(latents|x) at a sample of q = encode(x), [B].

        Its log-mean-exp over samples estimates log p(x): Burda et al. 2016, section 3.
        """
        z = d.reparameterise(q.z, eps.z)
        return self.log_p_x(x, z) + self.log_prior_ratio(z, q, eps)

    def _component(self, k: int) -> int:
        clusters = self.config.num_clusters
        if k not in range(clusters):
            raise ValueError(f"cluster k is {k!r}: it must be a whole number, 0 to {clusters - 1}")
        return k


def _flat(images):
    """[B, H, W, C] -> [B, D]."""
    return ops.reshape(images, (-1, math.prod(images.shape[1:])))
