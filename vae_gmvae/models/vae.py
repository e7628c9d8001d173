"""The variational autoencoder: model1 (dense) and model2 (convolutional)."""

from typing import Any, NamedTuple

from vae_gmvae import distributions as d
from vae_gmvae.models.base import Latents, LatentVariableModel


class VAETerms(NamedTuple):
    """Terms of the VAE's ELBO, [B] each, in nats. Doersch 2016, equation 5."""

    reconstruction: Any  # log p(x|z)
    z_prior: Any  # KL(q(z|x) || p(z))

    @property
    def elbo(self):
        return self.reconstruction - self.z_prior


class VAE(LatentVariableModel):
    """p(z) = N(0, I), p(x|z), q(z|x) Gaussian. Kingma and Welling 2013; Doersch 2016.

    Args:
        config, image_shape, decoder: see LatentVariableModel.
        encoder_z: network x -> (mean, logvar) of q(z|x).
    """

    Terms = VAETerms
    information_term = "z_prior"

    def __init__(self, config, image_shape, decoder, encoder_z):
        super().__init__(config, image_shape, decoder)
        self.encoder_z = encoder_z

    def encode(self, x, training=False) -> Latents:
        return Latents(self.encode_z(x, training=training))

    def terms_given(self, x, q: Latents, eps: Latents, training=False) -> VAETerms:
        z = d.reparameterise(q.z, eps.z)
        return VAETerms(
            reconstruction=self.log_p_x(x, z, training=training),
            z_prior=self.z_prior(q.z, z),
        )

    def z_prior(self, q_z: d.Gaussian, z):
        """KL(q(z|x) || p(z)), [B], in closed form."""
        return d.kl_standard_normal(q_z)

    def log_p_z(self, z):
        """log p(z), [B]."""
        return d.log_standard_normal(z)

    def log_prior_ratio(self, z, q: Latents, eps: Latents):
        return self.log_p_z(z) - d.log_normal(z, q.z)

    def sample_z(self, num: int, seed=None):
        """`num` samples of p(z), [num, z_dim]."""
        return self.sample_eps(num, seed).z
