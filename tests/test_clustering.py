"""Clustering scores, active units and the 2-D view, against brute force and hand examples."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from vae_gmvae.evaluation import (
    active_units,
    cluster_information,
    clustering_scores,
    clusters_in_use,
    embed_2d,
    kmeans_responsibilities,
)


def one_hot(assigned, num_clusters):
    return np.eye(num_clusters)[np.asarray(assigned)]


@st.composite
def clusterings(draw, square=False):
    """Responsibilities [N, K] and labels [N] in 0 to L - 1, every label present."""
    num_clusters = draw(st.integers(2, 5))
    num_labels = num_clusters if square else draw(st.integers(2, 5))
    num = draw(st.integers(num_labels, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    responsibilities = random.dirichlet(np.full(num_clusters, 0.3), size=num)
    labels = np.r_[np.arange(num_labels), random.integers(num_labels, size=num - num_labels)]
    return responsibilities, random.permutation(labels)


# --- the three protocols


@given(clusterings(square=True))
@settings(max_examples=60, deadline=None)
def test_one_to_one_is_the_best_of_all_permutations(clustering):
    responsibilities, labels = clustering
    assigned = responsibilities.argmax(axis=1)
    permutations = itertools.permutations(range(responsibilities.shape[1]))
    best = max(np.mean(np.array(naming)[assigned] == labels) for naming in permutations)
    assert clustering_scores(*clustering).one_to_one == pytest.approx(best, abs=1e-12)


@given(clusterings())
@settings(max_examples=60, deadline=None)
def test_majority_is_the_best_of_all_namings(clustering):
    responsibilities, labels = clustering
    assigned, num_labels = responsibilities.argmax(axis=1), labels.max() + 1
    namings = itertools.product(range(num_labels), repeat=responsibilities.shape[1])
    best = max(np.mean(np.array(naming)[assigned] == labels) for naming in namings)
    assert clustering_scores(*clustering).majority == pytest.approx(best, abs=1e-12)


@given(clusterings())
@settings(max_examples=60, deadline=None)
def test_surest_names_each_cluster_after_its_surest_example(clustering):
    responsibilities, labels = clustering
    right = 0
    for row, label in zip(responsibilities, labels):
        cluster = max(range(len(row)), key=lambda k: row[k])
        surest = max(range(len(labels)), key=lambda i: responsibilities[i, cluster])
        right += labels[surest] == label
    assert clustering_scores(*clustering).surest == pytest.approx(right / len(labels), abs=1e-12)


def test_the_protocols_differ():
    """Clusters 0 and 1 are both mostly label 0; cluster 2's surest member is its only label 1."""
    assigned = np.repeat([0, 1, 2], [4, 3, 3])
    labels = np.array([0, 0, 0, 1] + [0, 0, 1] + [2, 2, 1])
    responsibilities = 0.7 * one_hot(assigned, 3) + 0.1
    responsibilities[9] = [0.05, 0.05, 0.9]
    scores = clustering_scores(responsibilities, labels)
    assert scores.counts.tolist() == [[3, 1, 0], [2, 1, 0], [0, 1, 2]]
    assert scores.majority == pytest.approx((3 + 2 + 2) / 10)
    assert scores.one_to_one == pytest.approx((3 + 1 + 2) / 10)
    assert scores.surest == pytest.approx((3 + 2 + 1) / 10)


def test_surest_looks_at_all_examples_not_only_at_a_clusters_own():
    """Example 2 belongs to cluster 0 and is still the one that cluster 1 is surest of."""
    responsibilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4], [0.51, 0.49, 0.0]])
    labels = np.array([0, 1, 2])
    assert clustering_scores(responsibilities, labels).surest == pytest.approx(1 / 3)


@pytest.mark.parametrize("num_clusters", [2, 4])
def test_one_to_one_needs_as_many_clusters_as_labels(num_clusters):
    responsibilities = one_hot([0, 1, 0, 1, 0, 1], num_clusters)
    assert clustering_scores(responsibilities, np.array([0, 1, 2, 0, 1, 2])).one_to_one is None


def test_a_perfect_clustering_scores_one_whatever_the_clusters_are_called():
    labels = np.array([3, 5, 9, 9, 3, 5, 3])  # labels need not count from 0
    scores = clustering_scores(one_hot([2, 0, 1, 1, 2, 0, 2], 3), labels)
    found = (scores.one_to_one, scores.majority, scores.surest, scores.nmi, scores.ari)
    assert found == pytest.approx((1, 1, 1, 1, 1), abs=1e-12)
    assert scores.counts.tolist() == [[0, 2, 0], [0, 0, 2], [3, 0, 0]]


@given(clusterings(square=True), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_renaming_clusters_changes_no_score(clustering, random):
    responsibilities, labels = clustering
    order = random.sample(range(responsibilities.shape[1]), responsibilities.shape[1])
    scores = clustering_scores(responsibilities, labels)
    renamed = clustering_scores(responsibilities[:, order], labels)
    for name in ("one_to_one", "majority", "surest", "nmi", "ari", "clusters_in_use"):
        assert getattr(renamed, name) == pytest.approx(getattr(scores, name), abs=1e-12), name
    assert np.array_equal(renamed.counts, scores.counts[order])


@given(clusterings(square=True))
@settings(max_examples=60, deadline=None)
def test_majority_is_at_least_the_two_other_protocols(clustering):
    scores = clustering_scores(*clustering)
    assert scores.majority >= max(scores.one_to_one, scores.surest) - 1e-12


# --- information and pairs, from their definitions


def entropy(counts):
    shares = counts[counts > 0] / counts.sum()
    return -np.sum(shares * np.log(shares))


@given(clusterings())
@settings(max_examples=60, deadline=None)
def test_nmi_is_mutual_information_over_the_mean_entropy(clustering):
    scores = clustering_scores(*clustering)
    h_cluster, h_label = entropy(scores.counts.sum(1)), entropy(scores.counts.sum(0))
    mutual = h_cluster + h_label - entropy(scores.counts.ravel())
    assert scores.nmi == pytest.approx(mutual / ((h_cluster + h_label) / 2), abs=1e-9)


@given(clusterings())
@settings(max_examples=60, deadline=None)
def test_ari_counts_pairs(clustering):
    responsibilities, labels = clustering
    assigned = responsibilities.argmax(axis=1)
    pairs = list(itertools.combinations(range(len(labels)), 2))
    same_cluster = np.array([assigned[i] == assigned[j] for i, j in pairs], dtype=bool)
    same_label = np.array([labels[i] == labels[j] for i, j in pairs], dtype=bool)
    found = np.sum(same_cluster & same_label)
    expected = same_cluster.sum() * same_label.sum() / len(pairs)
    most = (same_cluster.sum() + same_label.sum()) / 2
    ari = 1.0 if most == expected else (found - expected) / (most - expected)
    assert clustering_scores(*clustering).ari == pytest.approx(ari, abs=1e-9)


def test_a_cluster_is_in_use_from_one_percent_of_the_examples():
    assigned = np.repeat([0, 1, 2], [980, 10, 9])  # of 999: 10 is above 1 %, 9 below
    assert clusters_in_use(one_hot(assigned, 5)) == 2


def test_bad_input_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"responsibilities \(4, 2\) and labels \(3,\)"):
        clustering_scores(np.ones((4, 2)), np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="no example"):
        clustering_scores(np.ones((0, 2)), np.zeros(0, dtype=int))


# --- k-means


@pytest.fixture(scope="module")
def blobs():
    """Codes [300, 4] around 5 far centres, and which."""
    random = np.random.default_rng(0)
    labels = random.integers(5, size=300)
    return 8 * random.normal(size=(5, 4))[labels] + random.normal(size=(300, 4)), labels


def test_kmeans_finds_far_clusters_and_repeats(blobs):
    codes, labels = blobs
    found = kmeans_responsibilities(codes, 5, seed=1)
    assert clustering_scores(found, labels).one_to_one == 1
    assert np.array_equal(found, kmeans_responsibilities(codes, 5, seed=1))


def test_kmeans_responsibilities_are_those_of_a_shared_variance_mixture(blobs):
    codes, _ = blobs
    found = kmeans_responsibilities(codes, 5, seed=1)
    assigned = found.argmax(axis=1)
    centres = np.stack([codes[assigned == k].mean(axis=0) for k in range(5)])
    squared = cdist(codes, centres, "sqeuclidean")
    assert np.array_equal(squared.argmin(axis=1), assigned)
    variance = squared.min(axis=1).mean() / codes.shape[1]
    densities = np.exp(-squared / (2 * variance))
    expected = densities / densities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_kmeans_of_point_like_clusters_is_certain_and_finite():
    found = kmeans_responsibilities(np.repeat([[0.1], [0.7]], 5, axis=0), 2)
    assert sorted(found.max(axis=1)) == [1.0] * 10


# --- active units and the plane


def test_active_units_vary_with_the_data():
    random = np.random.default_rng(0)
    spread = np.array([1.0, 0.11, 0.09, 0.0])  # variances 1, 0.0121, 0.0081, 0
    means = (random.permutation(np.repeat([-1.0, 1.0], 500))[:, None] * spread + 7).astype("f4")
    found = active_units(means)
    np.testing.assert_allclose(found.variances, spread**2, atol=1e-6)
    assert found.count == 2
    assert active_units(means, threshold=0.005).count == 3


def test_two_dimensions_are_shown_as_they_are():
    codes = np.random.default_rng(0).normal(size=(20, 2))
    assert np.array_equal(embed_2d(codes), codes)
    assert np.array_equal(embed_2d(codes, limit=5), codes[:5])


def test_one_dimension_is_shown_on_a_line():
    codes = np.random.default_rng(0).normal(size=(20, 1))
    assert np.array_equal(embed_2d(codes), np.c_[codes, np.zeros(20)])


def test_more_dimensions_keep_neighbours_and_repeat(blobs):
    codes, labels = blobs
    points = embed_2d(codes, seed=3, limit=60)
    assert points.shape == (60, 2)
    assert np.array_equal(points, embed_2d(codes, seed=3, limit=60))
    distances = cdist(points, points) + np.diag(np.full(60, math.inf))
    assert np.mean(labels[distances.argmin(axis=1)] == labels[:60]) > 0.95


def test_few_codes_are_embedded_or_refused():
    codes = np.random.default_rng(0).normal(size=(4, 3))
    assert np.isfinite(embed_2d(codes)).all()
    with pytest.raises(ValueError, match="3 codes are too few"):
        embed_2d(codes[:3])


def test_codes_of_a_collapsed_encoder_become_one_point():
    assert np.array_equal(embed_2d(np.full((50, 3), 0.5)), np.full((50, 2), 0.5))


# --- information


@given(hnp.arrays(np.float64, (7, 4), elements=st.floats(-30, 30)))
def test_information_and_imbalance_add_up_to_the_mean_y_prior(logits):
    r = scipy.special.softmax(logits, axis=1)
    found = cluster_information(r)
    y_prior = np.mean(scipy.stats.entropy(r, np.full(r.shape, 0.25), axis=1))
    assert sum(found) == pytest.approx(y_prior, abs=1e-12)
    assert min(found) > -1e-12 and found.information < np.log(4) + 1e-12


@pytest.mark.parametrize(
    "responsibilities, information, imbalance",
    [
        (np.eye(10)[np.arange(100) % 5], np.log(5), np.log(2)),  # five of ten, each image sure
        (np.full((100, 10), 0.1), 0.0, 0.0),  # over-regularised
        (np.eye(10)[np.zeros(100, int)], 0.0, np.log(10)),  # collapsed
    ],
)
def test_each_illness_has_its_information(responsibilities, information, imbalance):
    found = cluster_information(responsibilities)
    assert found == pytest.approx((information, imbalance), abs=1e-12)
