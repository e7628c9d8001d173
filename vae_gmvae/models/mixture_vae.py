"""The VAE whose prior is a fixed mixture of Gaussians: model3."""

import math

import keras
import numpy as np
from keras import ops

from vae_gmvae import distributions as d
from vae_gmvae.models.vae import VAE

PRIOR_VAR = 0.5


def prior_means(num_clusters: int, z_dim: int) -> np.ndarray:
    """The fixed means 0, 1, -1, 2, -2, ... times the all-ones vector, [K, z_dim]."""
    k = np.arange(num_clusters)
    offsets = np.where(k % 2 == 1, (k + 1) // 2, -(k // 2))
    return np.repeat(offsets[:, None], z_dim, axis=1).astype("float64")


class MixturePriorVAE(VAE):
    """p(z) = 1/K sum_k N(z; mu_k, I/2) with fixed means; q(z|x) and p(x|z) as in the VAE.

    `z_prior` is a single-sample estimate of KL(q(z|x) || p(z)): no closed form exists, and one
    sample's value may be negative.
    """

    def __init__(self, config, image_shape, decoder, encoder_z):
        super().__init__(config, image_shape, decoder, encoder_z)
        self.prior_means = prior_means(config.num_clusters, config.z_dim)  # [K, z_dim]
        self.log_pi = -math.log(config.num_clusters)
        naive = config.mixture_density == "naive"
        self.log_density = d.log_mixture_naive if naive else d.log_mixture

    def z_prior(self, q_z: d.Gaussian, z):
        return d.log_normal(z, q_z) - self.log_p_z(z)

    def log_components(self, z):
        """log N(z; mu_k, I/2), [B, K]."""
        means = ops.convert_to_tensor(self.prior_means, z.dtype)  # [K, z_dim]
        logvars = ops.full_like(means, math.log(PRIOR_VAR))
        return d.log_normal(z[:, None, :], d.Gaussian(means, logvars))  # [B, K]

    def log_p_z(self, z):
        return self.log_density(self.log_pi, self.log_components(z))

    def responsibilities(self, x):
        """p(k|z) at the mean of q(z|x), [B, K]: by Bayes' rule, the components being equal."""
        return ops.softmax(self.log_components(self.encode_z(x).mean), axis=-1)

    def sample_z(self, num: int, seed=None, k: int | None = None):
        """`num` samples of p(z), or of its component k, [num, z_dim]."""
        generator = self._generator(seed)
        if k is None:
            k = keras.random.randint((num,), 0, self.config.num_clusters, seed=generator)
        else:
            k = ops.full((num,), self._component(k), dtype="int32")
        means = ops.take(ops.convert_to_tensor(self.prior_means, self.variable_dtype), k, axis=0)
        return means + math.sqrt(PRIOR_VAR) * self.sample_eps(num, generator).z
