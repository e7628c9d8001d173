"""The package's VAE (model1, model2) written in plain PyTorch, for the comparison of speed."""

import math

import numpy as np
import torch
from torch import nn

from vae_gmvae.networks import KERNEL, WIDE_LOGVAR

LOG_2PI = math.log(2 * math.pi)
STRIDE = dict(kernel_size=KERNEL, stride=2, padding=1)  # halves or doubles a side


class TorchVAE(nn.Module):
    """x [B, C, H, W], sides multiples of 4 -> (reconstruction, z_prior), [B] each, in nats.

    Gaussian p(x|z) with the variance config.x_var, standard normal p(z).
    """

    def __init__(self, config, image_shape):
        super().__init__()
        height, width, channels = image_shape
        hidden, pixels = config.hidden_dim, math.prod(image_shape)
        self.convolutional, self.x_var = config.is_convolutional, config.x_var
        self.seed_image = (2 * config.filters, height // 4, width // 4)  # channels first
        if self.convolutional:
            flat = math.prod(self.seed_image)
            before = _convolutions(channels, config.filters)
            after = [nn.Linear(hidden, flat), nn.ReLU(), nn.Unflatten(1, self.seed_image)]
            after += _transposed_convolutions(channels, config.filters)
        else:
            flat, before, after = pixels, [], [nn.Linear(hidden, pixels)]
        self.trunk = nn.Sequential(*before, nn.Flatten(), *_hidden(flat, config))
        self.mean = nn.Linear(hidden, config.z_dim)
        self.raw_logvar = nn.Linear(hidden, config.z_dim)
        self.decoder = nn.Sequential(*_hidden(config.z_dim, config), *after)

    def forward(self, x, eps=None):
        hidden = self.trunk(x)  # [B, hidden]
        mean = self.mean(hidden)  # [B, z_dim]
        logvar = WIDE_LOGVAR * torch.tanh(self.raw_logvar(hidden) / WIDE_LOGVAR)
        eps = torch.randn_like(mean) if eps is None else eps
        z = mean + torch.exp(0.5 * logvar) * eps
        x_mean = torch.sigmoid(self.decoder(z)).flatten(1)  # [B, D]
        squared = (x.flatten(1) - x_mean).square() / self.x_var
        reconstruction = -0.5 * (LOG_2PI + math.log(self.x_var) + squared).sum(1)
        z_prior = 0.5 * (logvar.exp() + mean.square() - 1 - logvar).sum(1)
        return reconstruction, z_prior

    def loss(self, x, eps=None):
        """-mean(ELBO), a scalar."""
        reconstruction, z_prior = self(x, eps)
        return (z_prior - reconstruction).mean()

    @torch.no_grad()
    def copy_keras(self, weights: dict[str, np.ndarray]):
        """Takes over the weights, by path, of the Keras model of the same configuration."""
        own = [layer for layer in self.modules() if hasattr(layer, "weight")]
        for layer, name in zip(own, _keras_layers(weights), strict=True):
            kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
            if kernel.ndim == 4:  # [rows, columns, in, out], transposed [rows, columns, out, in]
                kernel = kernel.transpose(3, 2, 0, 1)
            else:
                kernel, bias = self._channels_first(name, kernel, bias)
                kernel = kernel.T  # [out, in]
            layer.weight.copy_(torch.tensor(kernel))
            layer.bias.copy_(torch.tensor(bias))

    def _channels_first(self, name, kernel, bias):
        """The dense layers on either side of a flattened image, which Keras stores channels last.

        kernel is [in, out].
        """
        channels, rows, columns = self.seed_image
        order = np.arange(channels * rows * columns).reshape(rows, columns, channels)
        order = order.transpose(2, 0, 1).ravel()
        if name == "decoder_x/grow":
            return kernel[:, order], bias[order]
        if name == "trunk_z/dense_1" and self.convolutional:
            return kernel[order], bias
        return kernel, bias


def _hidden(inputs, config) -> list[nn.Module]:
    """The num_layers - 1 hidden dense layers of a network."""
    sizes = [inputs] + [config.hidden_dim] * (config.num_layers - 1)
    pairs = [(nn.Linear(*size), nn.ReLU()) for size in zip(sizes, sizes[1:])]
    return [layer for pair in pairs for layer in pair]


def _convolutions(channels, filters) -> list[nn.Module]:
    inner = nn.Conv2d(filters, 2 * filters, **STRIDE)
    return [nn.Conv2d(channels, filters, **STRIDE), nn.ReLU(), inner, nn.ReLU()]


def _transposed_convolutions(channels, filters) -> list[nn.Module]:
    inner = nn.ConvTranspose2d(2 * filters, filters, **STRIDE)
    return [inner, nn.ReLU(), nn.ConvTranspose2d(filters, channels, **STRIDE)]


def _keras_layers(weights) -> list[str]:
    """Paths of the layers with a kernel, in the order of TorchVAE's: the decoder comes last."""
    names = [path.removesuffix("/kernel") for path in weights if path.endswith("/kernel")]
    return sorted(names, key=lambda name: name.startswith("decoder_x/"))
