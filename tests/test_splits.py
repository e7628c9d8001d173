"""How images are divided, and how their pixels are drawn for static binarisation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from images import LEVELS, all_images, parts

from vae_gmvae.data import load_dataset
from vae_gmvae.data.splits import divide, pixels, split_indices, stratified_indices


@given(st.integers(10, 400), st.integers(0, 2**32), st.sampled_from(["random", "contiguous"]))
def test_splits_are_disjoint_exhaustive_and_repeatable(num, seed, split):
    indices = split_indices(num, seed, split)
    assert np.sort(np.concatenate(indices)).tolist() == list(range(num))
    assert len(indices.valid) == len(indices.test) == num // 10
    for part, again in zip(indices, split_indices(num, seed, split)):
        np.testing.assert_array_equal(part, again)


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
