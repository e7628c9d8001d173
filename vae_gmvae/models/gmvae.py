"""The Gaussian-mixture VAE: model4_bias (dense) and model5 (convolutional)."""

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from vae_gmvae import augmentation, devices
from vae_gmvae import distributions as d
from vae_gmvae.models.base import Latents, LatentVariableModel


class GMVAETerms(NamedTuple):
    """Terms of the GMVAE's ELBO, [B] each, in nats.

    Thesis, chapter 4; compare 1611.02648, section 3.2.
    """

    reconstruction: Any  # log p(x|z)
    conditional_prior: Any  # sum_k p(y_k|w,z) log q(z|x) / p(z|w,y_k), at one sample
    w_prior: Any  # KL(q(w|x) || p(w))
    y_prior: Any  # KL(p(y|w,z) || p(y))

    @property
    def elbo(self):
        return self.reconstruction - self.conditional_prior - self.w_prior - self.y_prior


class GMVAE(LatentVariableModel):
    """p(w) = N(0, I), p(y) uniform, p(z|w,y) Gaussian, p(x|z); q(z|x), q(w|x) and p(y|w,z).

    Dilokthanakul et al. 2016, with the thesis's changes: p(y|w,z) is a network of its own and the
    conditional prior is a log ratio at one sample of z.

    Args:
        config, image_shape, decoder: see LatentVariableModel.
        encoder_z, encoder_w: networks x -> (mean, logvar) of q(z|x) and q(w|x).
        prior: network w -> (means, logvars) of p(z|w,y), [B, K, z_dim].
        classifier: network [z, w] -> logits [B, K]; None takes Bayes' rule instead.
    """

    Terms = GMVAETerms
    information_term = "y_prior"

    def __init__(self, config, image_shape, decoder, encoder_z, encoder_w, prior, classifier=None):
        super().__init__(config, image_shape, decoder)
        self.encoder_z, self.encoder_w = encoder_z, encoder_w
        self.prior, self.classifier = prior, classifier
        if config.consistency:
            self.consistency = self._state("consistency", config.consistency)
            self.movement_seed = keras.random.SeedGenerator(config.seed + 1, name="movement")
        if config.strokes:
            self.strokes = self._state("strokes", config.strokes)

    def encode(self, x, training=False) -> Latents:
        return Latents(self.encode_z(x, training=training), self.encode_w(x, training=training))

    def encode_w(self, x, training=False) -> d.Gaussian:
        """q(w|x): mean and log variance, [B, w_dim] each."""
        return d.Gaussian(*self.encoder_w(x, training=training))

    def prior_z(self, w, training=False) -> d.Gaussian:
        """p(z|w,y) for every y: means and log variances, [B, K, z_dim] each."""
        return d.Gaussian(*self.prior(w, training=training))

    def classify_y(self, z, w, training=False):
        """Logits of p(y|w,z), [B, K]: of the network, or by Bayes' rule where there is none."""
        if self.classifier is None:
            return self.y_posterior(z, w, training=training)
        return self.classifier(ops.concatenate([z, w], axis=-1), training=training)

    def y_posterior(self, z, w, training=False):
        """Logits of the exact p(y|w,z) by Bayes' rule, [B, K]. 1611.02648, section 3.2.

        The uniform prior cancels: the logits are log p(z|w,y_k).
        """
        return self.log_components(z, self.prior_z(w, training=training))

    def log_components(self, z, p_z: d.Gaussian):
        """log p(z|w,y_k), [B, K]."""
        return d.log_normal(z[:, None, :], p_z)

    def terms_given(self, x, q: Latents, eps: Latents, training=False) -> GMVAETerms:
        z, w = d.reparameterise(q.z, eps.z), d.reparameterise(q.w, eps.w)
        log_p_z = self.log_components(z, self.prior_z(w, training=training))  # [B, K]
        network = self.classifier is not None
        y_logits = self.classify_y(z, w, training=training) if network else log_p_z  # [B, K]
        self.beyond_terms.losses = self._regularisers(x, y_logits) if training else ()
        expected = ops.sum(ops.softmax(y_logits, axis=-1) * log_p_z, axis=-1)  # [B]
        return GMVAETerms(
            reconstruction=self.log_p_x(x, z, training=training),
            conditional_prior=d.log_normal(z, q.z) - expected,
            w_prior=d.kl_standard_normal(q.w),
            y_prior=self.y_prior(y_logits),
        )

    def _regularisers(self, x, y_logits) -> list:
        """What the loss holds beyond the ELBO's terms, scalars in nats.

        The mean y_prior is the mutual information of x and y plus KL(mean of p(y|w,z) || p(y)).
        `objective` has given both the weight of the information.
        """
        losses = []
        missing = self.config.y_marginal_weight - self.config.y_information_weight
        if missing:
            log_sum = ops.logsumexp(ops.log_softmax(y_logits, axis=-1), axis=0)  # [K]
            log_sum = ops.logsumexp(devices.gather(log_sum), axis=0)  # of the whole batch
            losses.append(self.kl_weight * missing * self.y_prior(log_sum))
        if self.config.consistency:
            losses.append(self.consistency * ops.mean(self._unrest(x, y_logits)))
        return losses

    def _unrest(self, x, y_logits):
        """KL(p(y|w,z) of x || p(y|w,z) of x moved a little), [B], in nats."""
        moved = augmentation.move(x, self.movement_seed, self.config.elastic)
        if self.config.strokes:
            moved = augmentation.add_strokes(moved, self.strokes, self.movement_seed)
        q = self.encode(moved, training=True)
        eps = self.sample_eps(ops.shape(x)[0])  # afresh: noise must not name the cluster
        z, w = d.reparameterise(q.z, eps.z), d.reparameterise(q.w, eps.w)
        return d.kl_categorical(y_logits, self.classify_y(z, w, training=True))

    def objective(self, terms):
        weighted = self.config.y_information_weight * terms.y_prior
        return super().objective(terms._replace(y_prior=weighted))

    def y_prior(self, y_logits):
        """KL(p(y|w,z) || p(y)), [B], in [0, log K]; reversed, as the 2018 code did, unbounded."""
        uniform = ops.zeros_like(y_logits)
        if self.config.y_prior == "reversed":
            return d.kl_categorical(uniform, y_logits)
        return d.kl_categorical(y_logits, uniform)

    def log_prior_ratio(self, z, q: Latents, eps: Latents):
        """log p(w) + log sum_k pi_k p(z|w,y_k) - log q(z|x) - log q(w|x), [B]: y summed out."""
        w = d.reparameterise(q.w, eps.w)
        log_pi = -math.log(self.config.num_clusters)
        log_p_z = d.log_mixture(log_pi, self.log_components(z, self.prior_z(w)))
        return d.log_standard_normal(w) + log_p_z - d.log_normal(z, q.z) - d.log_normal(w, q.w)

    def responsibilities(self, x):
        """p(y|w,z) at the means of q(w|x) and q(z|x), [B, K]."""
        q = self.encode(x)
        return ops.softmax(self.classify_y(q.z.mean, q.w.mean), axis=-1)

    def sample_eps(self, num: int, seed=None) -> Latents:
        generator = self._generator(seed)
        z = self._normal((num, self.config.z_dim), generator)
        return Latents(z, self._normal((num, self.config.w_dim), generator))

    def sample_z(self, num: int, seed=None, k: int | None = None, w=None):
        """`num` samples of p(z), or of p(z|y_k), [num, z_dim]; w [num, w_dim] is drawn if None."""
        generator = self._generator(seed)
        eps = self.sample_eps(num, generator)
        p_z = self.prior_z(eps.w if w is None else w)  # [num, K, z_dim]
        if k is None:
            y = keras.random.randint((num,), 0, self.config.num_clusters, seed=generator)
        else:
            y = ops.full((num,), self._component(k), dtype="int32")
        chosen = [ops.take_along_axis(part, y[:, None, None], axis=1)[:, 0] for part in p_z]
        return d.reparameterise(d.Gaussian(*chosen), eps.z)
