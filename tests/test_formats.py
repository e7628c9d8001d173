"""Formats: the official files and own images, and what every bad file or folder gets."""

import gzip
import os
import pickle
import zipfile

import numpy as np
import pytest
from images import LEVELS, all_images, idx, parts
from PIL import Image
from scipy.io import savemat

from vae_gmvae.data import formats, load_dataset

# Formats of the official files


def test_idx_reads_the_last_axis_fastest(tmp_path):
    values = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "x.gz").write_bytes(idx(values))
    np.testing.assert_array_equal(formats.read_idx(tmp_path / "x.gz", 3), values)


IDX = idx(np.zeros((2, 3, 4)))
BAD_IDX = {
    "truncated gzip": (IDX[:-9], "not a complete gzip file"),
    "altered gzip": (IDX[:-8] + b"\0" + IDX[-7:], "not a complete gzip file"),
    "not gzip": (b"<html>not found</html>", "not a complete gzip file"),
    "labels for images": (idx(np.zeros(24)), "starts with bytes 00000801, not 00000803"),
    "another type": (gzip.compress(b"\0\0\x0d\x03"), "starts with bytes 00000d03"),
    "empty": (gzip.compress(b""), "starts with bytes ,"),
    "header only": (gzip.compress(b"\0\0\x08\x03\0\0"), "holds 0"),
    "too short": (gzip.compress(gzip.decompress(IDX)[:-1]), r"\[2, 3, 4\] = 24 .* holds 23"),
    "too long": (gzip.compress(gzip.decompress(IDX) + b"\0"), r"\[2, 3, 4\] = 24 .* holds 25"),
    "huge": (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "holds 0"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx(case, tmp_path):
    content, message = BAD_IDX[case]
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.gz .*{message}.*Replace it"):
        formats.read_idx(tmp_path / "x.gz", 3)


BAD_MAT = {
    "no ff": ({"gg": np.zeros((560, 1965), np.uint8)}, r"has no array `ff`, only \['gg'\]"),
    "transposed": ({"ff": np.zeros((1965, 560), np.uint8)}, r"uint8 \[1965, 560\], expected"),
    "floats": ({"ff": np.zeros((560, 1965))}, "float64"),
}


@pytest.mark.parametrize("case", BAD_MAT)
def test_bad_mat(case, tmp_path):
    contents, message = BAD_MAT[case]
    savemat(tmp_path / "frey.mat", contents)
    with pytest.raises(ValueError, match=rf"frey\.mat.*{message}.*Replace it"):
        formats.read_frey(tmp_path / "frey.mat")


@pytest.mark.parametrize("length", [0, 4, 130, 1000])
def test_truncated_mat(length, tmp_path, small_frey):
    (tmp_path / "frey.mat").write_bytes(small_frey[:length])
    with pytest.raises(ValueError, match=r"frey\.mat is not a MATLAB file.*Replace it"):
        formats.read_frey(tmp_path / "frey.mat")


# Own images: .npz


OWN = {
    "uint8": (LEVELS.astype(np.uint8), 255),
    "int64": (LEVELS, 255),
    "one channel": (LEVELS[..., None], 255),
    "big endian": (LEVELS.astype(">i2"), 255),
    "floats to 255": (LEVELS.astype(np.float64), 255),
    "floats to 1": (LEVELS / 255, 1),
    "half precision": ((LEVELS / 256).astype(np.float16), 1),
    "black and white": (LEVELS % 2, 1),
    "booleans": (LEVELS % 2 == 1, 1),
    "Fortran order": (np.asfortranarray(LEVELS), 255),
}


@pytest.mark.parametrize("case", OWN)
def test_own_npz(case, save):
    x, scale = OWN[case]
    own = load_dataset(str(save(x=x, labels=np.arange(30, dtype=np.int16))), split="contiguous")
    assert (own.name, own.image_shape) == ("own", (8, 6, 1))
    assert [len(part) for part in parts(own)] == [24, 3, 3]
    images = all_images(own)
    assert images.dtype == np.float32
    expected = x.reshape(30, 8, 6, 1).astype(np.float64) / scale
    np.testing.assert_allclose(images, expected, rtol=1e-6)
    assert np.concatenate([part.labels for part in parts(own)]).tolist() == list(range(30))
    assert own.test.labels.dtype == np.int64


def test_own_npz_random_split_keeps_labels_aligned(save):
    x = np.broadcast_to(np.arange(200)[:, None, None], (200, 4, 4))
    own = load_dataset(save(x=x, labels=np.arange(200)), seed=5)
    for part in parts(own):
        assert np.rint(255 * part.x[:, 0, 0, 0]).astype(int).tolist() == part.labels.tolist()
    assert own.train.labels.tolist() != sorted(own.train.labels)


def test_own_npz_without_labels(save):
    assert load_dataset(save(x=LEVELS)).valid.labels is None


@pytest.mark.parametrize("value", [-1, 256, np.nan, np.inf, -np.inf])
def test_value_out_of_range_is_named_with_its_index(value, save):
    x = LEVELS.astype(np.float32)
    x[3, 7, 5] = value
    with pytest.raises(ValueError, match=rf"own\.npz: x\[3, 7, 5\] is {x[3, 7, 5]}: grey levels"):
        load_dataset(save(x=x))


@pytest.mark.parametrize("top", [1 + 1e-6, 1.5])
def test_fractions_that_overshoot_are_not_taken_for_grey_levels(top, save):
    x = np.linspace(0, top, 30 * 64).reshape(30, 8, 8)
    with pytest.raises(ValueError, match=rf"own\.npz.*up to {top}.*Clip the images to \[0, 1\]"):
        load_dataset(save(x=x))


BAD_NPZ = {
    "no x": ({"images": LEVELS}, r"has no array `x`, only \['images'\]"),
    "colour": ({"x": np.zeros((30, 8, 8, 3))}, r"`x` has shape \[30, 8, 8, 3\]"),
    "flat": ({"x": np.zeros((30, 64))}, r"`x` has shape \[30, 64\]"),
    "number": ({"x": 3}, r"`x` has shape \[\]"),
    "complex": ({"x": LEVELS * 1j}, "of type complex128"),
    "text": ({"x": LEVELS.astype(str)}, "of type <U"),
    "too few": ({"x": LEVELS[:9]}, "holds 9 images of 8x6 pixels; at least 10 images of 4x4"),
    "none": ({"x": LEVELS[:0]}, "holds 0 images"),
    "too narrow": ({"x": LEVELS[..., :3]}, "holds 30 images of 8x3 pixels"),
    "one label short": ({"x": LEVELS, "labels": np.arange(29)}, r"`labels` is int64 \[29\]"),
    "real labels": ({"x": LEVELS, "labels": np.ones(30)}, r"`labels` is float64 \[30\]"),
    "one-hot": ({"x": LEVELS, "labels": np.ones((30, 2), int)}, r"`labels` is int64 \[30, 2\]"),
    "negative": ({"x": LEVELS, "labels": np.arange(30) - 1}, r"labels\[0\] is -1"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz(case, save):
    arrays, message = BAD_NPZ[case]
    with pytest.raises(ValueError, match=rf"own\.npz.*{message}"):
        load_dataset(save(**arrays))


class Payload:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "executed"


def object_array(value):
    array = np.empty(30, object)
    array[:] = value
    return array


@pytest.mark.parametrize("name", ["x", "labels"])
def test_npz_with_pickles_is_never_unpickled(name, save, trace):
    path = save(**{"x": LEVELS, name: object_array(Payload(trace))})
    with pytest.raises(ValueError, match=r"own\.npz cannot be read.*pickles and are never loaded"):
        load_dataset(path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as archive:
        archive[name]
    assert trace.exists()  # so the payload was live


def test_pickle_under_another_name_is_never_unpickled(tmp_path, trace):
    pickled = pickle.dumps(Payload(trace))
    (tmp_path / "own.npz").write_bytes(pickled)
    with pytest.raises(ValueError, match="never loaded"):
        load_dataset(tmp_path / "own.npz")
    with zipfile.ZipFile(tmp_path / "member.npz", "w") as archive:
        archive.writestr("x.npy", pickled)
    with pytest.raises(ValueError, match="member.npz"):
        load_dataset(tmp_path / "member.npz")
    assert not trace.exists()


def test_array_that_is_not_read_may_hold_anything(save, trace):
    own = load_dataset(save(x=LEVELS, notes=object_array(Payload(trace))))
    assert len(own.train) == 24
    assert not trace.exists()


def test_damaged_npz(save):
    path = save(x=LEVELS)
    content = path.read_bytes()
    middle = len(content) // 2
    altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for damaged in (b"", b"PK\x03\x04", content[:-50], content[:middle], altered):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"own\.npz cannot be read as an \.npz"):
            load_dataset(path)


def test_single_array_called_npz(tmp_path):
    with open(tmp_path / "own.npz", "wb") as file:
        np.save(file, LEVELS)
    with pytest.raises(ValueError, match="own.npz.*one unnamed array"):
        load_dataset(tmp_path / "own.npz")


# Own images: a folder of PNGs


@pytest.fixture
def png_folder(tmp_path):
    """Twelve images of 6x5; image i is filled with i, except for its corner, which is 255."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(12):
        pixels = np.full((6, 5), i, np.uint8)
        pixels[0, 4] = 255
        Image.fromarray(pixels).save(folder / f"face{i:02d}.png")
    (folder / "README.txt").write_text("not an image")
    return folder


def test_own_pngs_in_the_order_of_their_names(png_folder):
    own = load_dataset(png_folder, split="contiguous")
    assert (own.name, own.source, own.image_shape) == ("faces", str(png_folder), (6, 5, 1))
    assert [len(part) for part in parts(own)] == [10, 1, 1]
    images = all_images(own)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[:, 3, 3, 0], np.arange(12) / 255, rtol=1e-6)
    np.testing.assert_array_equal(images[:, 0, 4, 0], 1)
    assert own.test.labels is None


def test_dark_pngs_are_still_divided_by_255(png_folder):
    """A PNG's levels are 0..255 by definition, whatever the brightest pixel is."""
    for path in png_folder.glob("*.png"):
        Image.fromarray(np.ones((6, 5), np.uint8)).save(path)
    np.testing.assert_allclose(all_images(load_dataset(png_folder)), 1 / 255, rtol=1e-6)


def test_black_and_white_png(png_folder):
    Image.fromarray(np.eye(6, 5) > 0).convert("1").save(png_folder / "face00.png")
    own = load_dataset(png_folder, split="contiguous")
    np.testing.assert_array_equal(own.train.x[0, ..., 0], np.eye(6, 5))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "I;16"])
def test_png_that_is_not_grey_is_named(png_folder, mode):
    Image.new(mode, (5, 6)).save(png_folder / "face07.png")
    with pytest.raises(ValueError, match=rf"face07\.png is not an 8-bit grey .*mode is {mode}"):
        load_dataset(png_folder)


def test_sizes_that_differ_name_both_files(png_folder):
    Image.new("L", (6, 5)).save(png_folder / "face07.png")
    expected = r"face00\.png is 6x5 pixels but .*face07\.png is 5x6"
    with pytest.raises(ValueError, match=expected):
        load_dataset(png_folder)


def test_damaged_png_is_named(png_folder):
    path = png_folder / "face07.png"
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(path)
    content = path.read_bytes()
    altered = content[:50] + bytes([content[50] ^ 1]) + content[51:]
    for damaged in (b"", b"GIF89a", content[:20], content[: len(content) // 2], altered):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"face07\.png cannot be read as a PNG"):
            load_dataset(png_folder)


def test_folder_without_pngs(tmp_path):
    with pytest.raises(ValueError, match="holds no .png files"):
        load_dataset(tmp_path)


def test_too_few_or_too_small_pngs(png_folder):
    for i in range(3):
        (png_folder / f"face{i:02d}.png").unlink()
    with pytest.raises(ValueError, match="faces holds 9 images of 6x5 pixels; at least 10"):
        load_dataset(png_folder)
