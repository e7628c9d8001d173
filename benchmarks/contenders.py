"""The contenders of training_speed.py: each trains the same VAE, an epoch at a time.

TensorFlow, JAX and PyTorch are imported by the contender that needs them, each in its own process.
"""

import math
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vae_gmvae import runs
from vae_gmvae.config import Config
from vae_gmvae.data import Dataset, load_dataset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class KerasFit:
    """Keras with default settings: `compile` with Adam, `fit` on the array."""

    backend = "tensorflow"  # of Keras

    def __init__(self, config, images):
        import keras

        from vae_gmvae.models import build_model

        self.config, self.images = config, images
        self.model = build_model(config, images.shape[1:])
        self.model.compile(optimizer=keras.optimizers.Adam(config.learning_rate))

    def train_epoch(self) -> float:
        """Trains an epoch and returns its seconds, without what `fit` does before and after it."""
        return self._fit(self.images, batch_size=self.config.batch_size)

    def _fit(self, data, callbacks=(), **options) -> float:
        clock = _epoch_clock()
        self.model.fit(data, callbacks=[*callbacks, clock], verbose=0, **options)
        return clock.seconds

    def weights(self) -> dict[str, np.ndarray]:
        return runs.get_weights(self.model)

    def use(self, weights):
        runs.set_weights(self.model, weights)

    def loss(self, images, eps) -> tuple[float, float]:
        """-mean(ELBO) of images [B, H, W, C] with noise [B, z_dim], and its gradient's norm."""
        import tensorflow as tf

        from vae_gmvae.models import Latents

        with tf.GradientTape() as tape:
            terms = self.model.elbo_terms(images, Latents(eps))
            loss = self.model.compute_loss(y_pred=terms, training=False)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        return float(loss), float(tf.linalg.global_norm(gradients))

    def threads(self) -> int:
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()


class Package(KerasFit):
    """What `train` runs, without validation and checkpoints."""

    def __init__(self, config, images):
        from vae_gmvae import training

        self.model = training.compiled_model(config, images.shape[1:])
        self.batches = training.ShuffledBatches(images, config)
        self.data, self.epoch = self.batches.dataset(), 0

    def train_epoch(self) -> float:
        span = dict(initial_epoch=self.epoch, epochs=self.epoch + 1)
        self.epoch += 1
        return self._fit(self.data, [self.batches], shuffle=False, **span)


def _epoch_clock():
    """A Keras callback whose `seconds` are those of the last epoch."""
    import keras

    class EpochClock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.started

    return EpochClock()


class PackageOnJax(Package):
    """The package where Keras runs on JAX."""

    backend = "jax"

    def loss(self, images, eps) -> tuple[float, float]:
        """As KerasFit.loss."""
        import jax
        import keras

        from vae_gmvae.models import Latents

        variables = self.model.trainable_variables

        def loss(values):
            with keras.StatelessScope(state_mapping=zip(variables, values)):
                terms = self.model.elbo_terms(images, Latents(eps))
                return self.model.compute_loss(y_pred=terms, training=False)

        found, gradients = jax.value_and_grad(loss)([one.value for one in variables])
        norm = math.sqrt(sum(float((part**2).sum()) for part in gradients))
        return float(found), norm

    def threads(self) -> int:
        return os.cpu_count()  # JAX has no option for it


class PyTorchLoop:
    """An eager loop: shuffle, slice a batch, loss, backward, Adam."""

    def __init__(self, config, images):
        import torch
        from torch_vae import TorchVAE

        self.batch_size, self.images = config.batch_size, _channels_first(images)
        self.model = TorchVAE(config, images.shape[1:])
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)

    def train_epoch(self) -> float:
        import torch

        started = time.perf_counter()
        for rows in torch.randperm(len(self.images)).split(self.batch_size):
            self.optimizer.zero_grad()
            loss = self.model.loss(self.images[rows])
            loss.backward()
            self.optimizer.step()
            loss.item()  # the loop looks at its loss, as the others do
        return time.perf_counter() - started

    def use(self, weights):
        self.model.copy_keras(weights)

    def loss(self, images, eps) -> tuple[float, float]:
        """As KerasFit.loss."""
        import torch

        loss = self.model.loss(_channels_first(images), torch.from_numpy(eps))
        gradients = torch.autograd.grad(loss, list(self.model.parameters()))
        norm = math.sqrt(sum(part.square().sum().item() for part in gradients))
        return loss.item(), norm

    def threads(self) -> int:
        import torch

        return torch.get_num_threads()


def _channels_first(images):
    """[B, H, W, C] -> a torch tensor [B, C, H, W]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def load(source: dict) -> Dataset:
    """The images that the command line asks for."""
    return load_dataset(source["dataset_name"], source["data_dir"])


def serve(pipe, contender: type, config: Config, source: dict):
    """Builds a contender and answers (method, arguments) with the result until None."""
    if issubclass(contender, KerasFit):  # Keras reads it when it is imported, which it is not yet
        os.environ["KERAS_BACKEND"] = contender.backend
    contender = contender(config, load(source).train.x[: config.subset or None])
    for method, arguments in iter(pipe.recv, None):
        pipe.send(getattr(contender, method)(*arguments))


def train_and_measure(pipe, config: Config, source: dict):
    """Trains `config` and sends its mean ELBO on the test images, nats, and its peak memory, GiB.

    The memory is the largest that the process ever held: data, TensorFlow and training.
    """
    from vae_gmvae.training import train

    data = load(source)
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, data, Path(folder) / config.run_name, progress=False)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    test = run.model.evaluate(data.test.x, batch_size=500, verbose=0, return_dict=True)
    pipe.send((float(test["elbo"]), memory))
