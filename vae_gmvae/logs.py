"""TensorBoard: scalars per term, histograms of z and w, and the embedding projector."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.plugins import projector

PROJECTED = 600  # test images in the projector


class TensorBoardLog(keras.callbacks.Callback):
    """Writes train/ and valid/ (scalars, histograms) every epoch and embed/ at the end.

    Args:
        folder: the run's log folder.
        data: a Dataset; histograms come from its validation images, the projector shows its
            first 600 test images.
    """

    def __init__(self, folder: Path, data):
        super().__init__()
        self.folder, self.data = folder, data

    def on_train_begin(self, logs=None):
        self.writers = {
            phase: tf.summary.create_file_writer(str(self.folder / phase))
            for phase in ("train", "valid")
        }

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            phase = "valid" if name.startswith("val_") else "train"
            with self.writers[phase].as_default(step=epoch + 1):
                tf.summary.scalar(name.removeprefix("val_"), value)
        with self.writers["valid"].as_default(step=epoch + 1):
            for name, codes in _codes(self.model, self.data.valid.x[:PROJECTED]).items():
                tf.summary.histogram(name, codes)

    def on_train_end(self, logs=None):
        for writer in self.writers.values():
            writer.close()
        write_projector(self.folder / "embed", self.model, self.data.test)


def _codes(model, x) -> dict[str, np.ndarray]:
    """The posterior means of the latent variables that the model has, [N, dim] each."""
    q = model.encode(x)
    return {name: np.asarray(q_i.mean) for name, q_i in q._asdict().items() if q_i is not None}


def write_projector(folder: Path, model, split):
    """Codes, digit sprites and labels of the first 600 images, as TensorBoard's projector reads."""
    folder.mkdir(parents=True, exist_ok=True)
    x = split.x[:PROJECTED]
    config = projector.ProjectorConfig()
    _sprite(x).save(folder / "sprite.png")
    for name, codes in _codes(model, x).items():
        np.savetxt(folder / f"{name}.tsv", codes, delimiter="\t", fmt="%.6g")
        embedding = config.embeddings.add(tensor_name=name, tensor_path=f"{name}.tsv")
        embedding.sprite.image_path = "sprite.png"
        embedding.sprite.single_image_dim.extend([x.shape[2], x.shape[1]])
        if split.labels is not None:
            embedding.metadata_path = "labels.tsv"
    if split.labels is not None:
        np.savetxt(folder / "labels.tsv", split.labels[:PROJECTED], fmt="%d")
    projector.visualize_embeddings(str(folder), config)


def _sprite(x) -> Image.Image:
    """The images [N, H, W, 1] row by row on one square sheet, dark on light."""
    side = int(np.ceil(np.sqrt(len(x))))
    count, height, width = x.shape[:3]
    sheet = np.zeros((side * side, height, width))
    sheet[:count] = x[..., 0]
    rows = sheet.reshape(side, side, height, width).swapaxes(1, 2)
    return Image.fromarray(np.uint8(255 - 255 * rows.reshape(side * height, side * width)))
