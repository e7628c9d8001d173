"""Three classes make five models: this is the only place that knows which."""

import numpy as np

from vae_gmvae import networks
from vae_gmvae.config import Config
from vae_gmvae.models.base import Latents, LatentVariableModel
from vae_gmvae.models.gmvae import GMVAE, GMVAETerms
from vae_gmvae.models.mixture_vae import MixturePriorVAE
from vae_gmvae.models.vae import VAE, VAETerms

__all__ = [
    "GMVAE",
    "VAE",
    "GMVAETerms",
    "LatentVariableModel",
    "Latents",
    "MixturePriorVAE",
    "VAETerms",
    "build_model",
]


def build_model(config: Config, image_shape=(28, 28, 1)) -> LatentVariableModel:
    """The model that `config` names, with weights initialised from `config.seed`.

    Args:
        config: which model, and its options.
        image_shape: (H, W, C) of the images, sides of at least 4.

    Raises:
        ValueError: an image too small for the networks.
    """
    if len(image_shape) != 3 or min(image_shape[:2]) < 4:
        raise ValueError(f"image_shape is {tuple(image_shape)}: (H, W, C) with sides of 4 or more")
    build = _Builder(config, tuple(image_shape))
    if config.is_gmvae:
        model = build.gmvae()
    elif config.model_name == "model3":
        model = build.vae(MixturePriorVAE)
    else:
        model = build.vae(VAE)
    model.build((None, *image_shape))
    return model


class _Builder:
    """Assembles the networks of one model; each layer takes the next seed."""

    def __init__(self, config: Config, image_shape):
        self.config, self.image_shape = config, image_shape
        random = np.random.default_rng(config.seed)
        self.seeds = iter(lambda: int(random.integers(2**31)), None)  # endless
        self.depth = dict(
            hidden_dim=config.hidden_dim,
            num_layers=config.num_layers,
            dropout=config.dropout,
            seeds=self.seeds,
        )
        self.conv = {}
        if config.is_convolutional:
            self.conv = dict(filters=config.filters, precision=config.precision)

    def vae(self, model_class):
        return model_class(self.config, self.image_shape, self.decoder(), self.encoder("z"))

    def gmvae(self):
        config = self.config
        return GMVAE(
            config,
            self.image_shape,
            decoder=self.decoder(),
            encoder_z=self.encoder("z", bias_init=config.bias_init),
            encoder_w=self.encoder("w"),
            prior=self.prior(),
            classifier=self.classifier() if config.y_posterior == "network" else None,
        )

    def decoder(self):
        build = networks.conv_decoder if self.conv else networks.dense_decoder
        return build(self.config.z_dim, self.image_shape, **self.depth, **self.conv)

    def encoder(self, latent, bias_init="zeros"):
        build = networks.conv_trunk if self.conv else networks.dense_trunk
        trunk = build(self.image_shape, **self.depth, **self.conv, name=f"trunk_{latent}")
        dim = getattr(self.config, f"{latent}_dim")
        return self.head(trunk, dim, f"encoder_{latent}", bias_init=bias_init)

    def prior(self):
        trunk = networks.dense_trunk((self.config.w_dim,), **self.depth, name="trunk_prior")
        clusters, bias_init = self.config.num_clusters, self.config.bias_init
        return self.head(
            trunk, self.config.z_dim, "prior_z", components=clusters, bias_init=bias_init
        )

    def head(self, trunk, dim, name, **options):
        bound = self.config.variance_bound
        return networks.GaussianHead(trunk, dim, bound, self.seeds, name=name, **options)

    def classifier(self):
        config = self.config
        inputs = config.z_dim + config.w_dim
        return networks.classifier(inputs, config.num_clusters, **self.depth, name="classifier_y")
