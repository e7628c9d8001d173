"""Readers of the file formats: each returns checked arrays or raises ValueError naming the file."""

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np

FREY_SHAPE = (560, 1965)  # one column per frame of 28 rows x 20 columns
MIN_SIDE = 4  # the convolutional networks halve each side twice
REPLACE = "Replace it by the official file."

# A damaged, encrypted or oversized archive; ValueError is also NumPy's answer to a pickle.
NPZ_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_idx(path: Path, num_axes: int) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes, as uint8 with `num_axes` axes.

    The format (Y. LeCun's MNIST page): bytes 0, 0, type (8 = uint8), number of axes; the length
    of each axis as a big-endian uint32; the values, last axis fastest.
    """
    try:
        with gzip.open(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}. {REPLACE}") from error
    magic = bytes([0, 0, 8, num_axes])
    if raw[:4] != magic:
        raise ValueError(
            f"{path} starts with bytes {raw[:4].hex()}, not {magic.hex()}: it is not an IDX file "
            f"of unsigned bytes with {num_axes} axes. {REPLACE}"
        )
    start = 4 + 4 * num_axes
    lengths = np.frombuffer(raw[4:start].ljust(4 * num_axes, b"\0"), ">u4").tolist()
    num_values = int(np.prod(lengths, dtype=object))
    if len(raw) - start != num_values:
        raise ValueError(
            f"{path} announces {lengths} = {num_values} values, but holds "
            f"{max(len(raw) - start, 0)}. {REPLACE}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(lengths)


def read_frey(path: Path) -> np.ndarray:
    """The 1,965 frames of frey_rawface.mat in the order of the film, uint8 [1965, 28, 20]."""
    from scipy.io import loadmat

    try:
        contents = loadmat(path)
    except Exception as error:  # loadmat documents no exception types for damaged files
        raise ValueError(f"{path} is not a MATLAB file: {error}. {REPLACE}") from error
    if "ff" not in contents:
        keys = sorted(key for key in contents if not key.startswith("__"))
        raise ValueError(f"{path} has no array `ff`, only {keys}. {REPLACE}")
    frames = contents["ff"]
    if frames.shape != FREY_SHAPE or frames.dtype != np.uint8:
        raise ValueError(
            f"{path}: `ff` is {frames.dtype} {list(frames.shape)}, expected uint8 "
            f"{list(FREY_SHAPE)}. {REPLACE}"
        )
    return frames.T.reshape(-1, 28, 20)


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Own images: `x` [N, H, W] or [N, H, W, 1] and optional integer `labels` [N] of an .npz.

    Returns x [N, H, W, 1] float32 in [0, 1] (see `to_unit_interval`) and labels int64 or None.
    Arrays of Python objects are pickles, which could run code: they are refused, never loaded.
    """
    arrays = _npz_arrays(path)
    if "x" not in arrays:
        raise ValueError(
            f"{path} has no array `x`, only {sorted(arrays)}. Save the images with "
            "np.savez(path, x=images) or np.savez(path, x=images, labels=labels)."
        )
    x, labels = arrays["x"], arrays.get("labels")
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3:
        raise ValueError(
            f"{path}: `x` has shape {list(arrays['x'].shape)}; grey images are [N, H, W] or "
            "[N, H, W, 1]."
        )
    if labels is not None:
        labels = _checked_labels(labels, len(x), path)
    return to_unit_interval(x, f"{path}: x")[..., None], labels


def _npz_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays `x` and `labels` that the file has; other arrays are listed but not read."""
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one unnamed array")
            return {
                name: np.asarray(archive[name]) if name in ("x", "labels") else None
                for name in archive.files
            }
    except NPZ_ERRORS as error:
        raise ValueError(
            f"{path} cannot be read as an .npz of plain arrays: {error}. Arrays of Python objects "
            "are pickles and are never loaded; save numbers with np.savez(path, x=images)."
        ) from error


def _checked_labels(labels: np.ndarray, num_images: int, path: Path) -> np.ndarray:
    """labels [N] as int64."""
    if labels.dtype.kind not in "iu" or labels.shape != (num_images,):
        raise ValueError(
            f"{path}: `labels` is {labels.dtype} {list(labels.shape)}; expected one integer per "
            f"image, [{num_images}]."
        )
    if labels.min(initial=0) < 0:
        raise ValueError(
            f"{path}: labels[{labels.argmin()}] is {labels.min()}; labels count from 0. Leave "
            "images without a label out, or save the file without `labels`."
        )
    return labels.astype(np.int64)


def to_unit_interval(x: np.ndarray, place: str) -> np.ndarray:
    """Images of any numeric type as float32 in [0, 1]; one rule for the whole array.

    If no value is above 1 they are taken as they are, else as grey levels and divided by 255.
    Raises ValueError with the first value outside [0, 255] (or NaN) and its index, and for
    fractions that end just above 1, as resized images may.
    """
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{place} is of type {x.dtype}; grey levels are integers or floats.")
    valid = (x >= 0) & (x <= 255)  # false for NaN
    if not valid.all():
        index = tuple(np.argwhere(~valid)[0].tolist())
        raise ValueError(
            f"{place}[{', '.join(map(str, index))}] is {x[index]}: grey levels are numbers in "
            "[0, 1] or in [0, 255]. Repair or rescale the images before they are loaded."
        )
    top = x.max(initial=0)
    if x.dtype.kind == "f" and 1 < top < 2:
        raise ValueError(
            f"{place} goes up to {top}: is white 1 or 255? Clip the images to [0, 1], or multiply "
            "them by 255."
        )
    return x.astype(np.float32) if top <= 1 else grey_levels(x)


def grey_levels(x: np.ndarray) -> np.ndarray:
    """Grey levels 0..255 as float32 in [0, 1]; the same scale for every image."""
    return np.divide(x, 255, dtype=np.float32)


def read_png_folder(folder: Path) -> np.ndarray:
    """Own images: the *.png by order of name, as float32 [N, H, W, 1] in [0, 1]."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not paths:
        raise ValueError(f"{folder} holds no .png files; a folder of images needs some.")
    images = []
    for path in paths:
        images.append(_read_png(path))
        if images[-1].shape != images[0].shape:
            raise ValueError(
                f"{paths[0]} is {_size(images[0])} pixels but {path} is {_size(images[-1])}: all "
                "images must be of one size. Crop or resize them, or move the odd ones away."
            )
    return grey_levels(np.stack(images))[..., None]


def _read_png(path: Path) -> np.ndarray:
    """One 8-bit grey (or black and white) PNG, uint8 [H, W]."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as a PNG image: {error}. Replace it or move it away."
        ) from error
    if image.mode not in ("L", "1"):
        raise ValueError(
            f"{path} is not an 8-bit grey image (its Pillow mode is {image.mode}). Convert it, for "
            'example with PIL.Image.open(path).convert("L").save(path).'
        )
    return np.asarray(image.convert("L"))


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"
