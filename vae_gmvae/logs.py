"""TensorBoard: scalars per term, histograms of z and w, and the embedding projector."""

import contextlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.plugins import projector

PARTS = ("train", "valid", "embed")
PROJECTED = 600  # test images in the projector


class TensorBoardLog(keras.callbacks.Callback):
    """Writes scalars to train/ and valid/, and histograms to valid/, after every epoch.

    Args:
        folder: the run's log folder.
        x: validation images; the histograms show the codes of the first 600.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """

    def __init__(self, folder: Path, x):
        super().__init__()
        self.folder, self.x = folder, x[:PROJECTED]
        with _clear_errors(folder):
            self.writers = {phase: _writer(folder / phase) for phase in ("train", "valid")}

    def on_epoch_end(self, epoch, logs=None):
        with _clear_errors(self.folder):
            for name, value in logs.items():
                phase = "valid" if name.startswith("val_") else "train"
                with self.writers[phase].as_default(step=epoch + 1):  # on leaving, it is flushed
                    tf.summary.scalar(name.removeprefix("val_"), value)
            with self.writers["valid"].as_default(step=epoch + 1):
                for name, codes in _codes(self.model, self.x).items():
                    tf.summary.histogram(name, codes)

    def on_train_end(self, logs=None):
        for writer in self.writers.values():
            writer.close()


def _writer(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    return tf.summary.create_file_writer(str(folder))


@contextlib.contextmanager
def _clear_errors(folder: Path):
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        raise OSError(
            f"TensorBoard's logs could not be written to {folder} ({error}): make room or choose "
            "another folder, then go on with --restore 1"
        ) from error


def _codes(model, x) -> dict[str, np.ndarray]:
    """The posterior means of the latent variables that the model has, [N, dim] each."""
    q = model.encode(x)
    return {name: np.asarray(q_i.mean) for name, q_i in q._asdict().items() if q_i is not None}


def write_projector(folder: Path, model, split):
    """Codes, digit sprites and labels of the first 600 images, as TensorBoard's projector reads.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    with _clear_errors(folder):
        _writer(folder).close()  # TensorBoard looks only into folders with an event file
        _write_projector(folder, model, split)


def _write_projector(folder: Path, model, split):
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
    grey = 255 - 255 * rows.reshape(side * height, side * width)
    return Image.fromarray(np.uint8(np.rint(grey)))
