"""How well clusters match labels, by the three protocols in use; active units; a 2-D view.

Arrays in, numbers out: [N, K] responsibilities, [N] labels, [N, D] codes. Labels only score.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits

IN_USE = 0.01  # share of the examples
ACTIVE = 0.01  # variance of a posterior mean over the data; Burda et al. 2016, section 5.2
SMALLEST_VARIANCE = 1e-12  # of a k-means fit; below it distances are rounding errors
TSNE_PERPLEXITY = 30


@dataclass(frozen=True, eq=False)
class ClusteringScores:
    """Agreement of clusters and labels; an example belongs to its most probable cluster.

    one_to_one: accuracy under the best matching of clusters and labels, one each (Kuhn 1955);
        None where there are not as many clusters as labels.
    majority: accuracy if each cluster takes its commonest label (purity). Grows with K.
    surest: accuracy if each cluster takes the label of the example that it is surest of
        (Makhzani et al. 2015; Dilokthanakul et al. 2016); the first of equals.
    nmi: mutual information of cluster and label over the mean of their entropies.
    ari: Rand index, adjusted for chance; 0 expected of a random clustering.
    clusters_in_use: clusters with at least 1 % of the examples.
    counts: examples per cluster and label, [K, L]; the L labels that occur, in sorted order.
    """

    one_to_one: float | None
    majority: float
    surest: float
    nmi: float
    ari: float
    clusters_in_use: int
    counts: np.ndarray


def clustering_scores(responsibilities: np.ndarray, labels: np.ndarray) -> ClusteringScores:
    """Scores of responsibilities [N, K] against labels [N].

    Raises:
        ValueError: not one label for each example, or no example.
    """
    if np.ndim(responsibilities) != 2 or np.shape(labels) != (len(responsibilities),):
        raise ValueError(
            f"responsibilities {np.shape(responsibilities)} and labels {np.shape(labels)} do not "
            "fit: they must be [N, K] and [N]"
        )
    if not len(labels):
        raise ValueError("there is no example to score")
    assigned = np.argmax(responsibilities, axis=1)  # [N]
    values, labels = np.unique(labels, return_inverse=True)  # [L], [N] in 0 to L - 1
    counts = np.zeros((np.shape(responsibilities)[1], len(values)), dtype=np.int64)  # [K, L]
    np.add.at(counts, (assigned, labels), 1)
    surest_label = labels[np.argmax(responsibilities, axis=0)]  # [K]
    return ClusteringScores(
        one_to_one=_one_to_one(counts),
        majority=float(np.sum(np.max(counts, axis=1)) / len(labels)),
        surest=float(np.mean(surest_label[assigned] == labels)),
        nmi=float(normalized_mutual_info_score(labels, assigned)),
        ari=float(adjusted_rand_score(labels, assigned)),
        clusters_in_use=clusters_in_use(responsibilities),
        counts=counts,
    )


def _one_to_one(counts: np.ndarray) -> float | None:
    num_clusters, num_labels = counts.shape
    if num_clusters != num_labels:
        return None
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / counts.sum())


def clusters_in_use(responsibilities: np.ndarray) -> int:
    """How many of the K clusters are the most probable one of at least 1 % of the examples."""
    num_examples, num_clusters = responsibilities.shape
    sizes = np.bincount(np.argmax(responsibilities, axis=1), minlength=num_clusters)  # [K]
    return int(np.sum(sizes >= IN_USE * num_examples))


class ClusterInformation(NamedTuple):
    """The two parts of the mean KL(p(y|w,z) || p(y)), in nats; no label is needed.

    information: I(x; y), how much its cluster says about an image; at most log K.
    imbalance: KL(mean of p(y|w,z) || p(y)), how unevenly the clusters are used.
    """

    information: float
    imbalance: float


def cluster_information(responsibilities: np.ndarray) -> ClusterInformation:
    """Information and imbalance of responsibilities [N, K]; together the mean y_prior.

    Hoffman and Johnson 2016 divide the KL of a code in this way.
    """
    num_clusters = responsibilities.shape[1]
    mean = np.mean(responsibilities, axis=0, dtype=np.float64)  # [K]
    imbalance = math.log(num_clusters) - entropy(mean)
    return ClusterInformation(
        information=float(entropy(mean) - np.mean(entropy(responsibilities, axis=1))),
        imbalance=float(imbalance),
    )


def kmeans_responsibilities(codes: np.ndarray, num_clusters: int = 10, seed: int = 0) -> np.ndarray:
    """Responsibilities [N, K] of a k-means fit to codes [N, D], for models without clusters.

    They are those of an even mixture of Gaussians at the centres that share one variance, the
    fit's own: the most probable cluster is the nearest centre.

    Raises:
        ValueError: fewer codes than clusters, or codes that are not finite (scikit-learn).
    """
    codes = np.asarray(codes, dtype=np.float64)
    with _one_thread():
        fit = KMeans(num_clusters, n_init=10, random_state=seed).fit(codes)
    variance = max(fit.inertia_ / codes.size, SMALLEST_VARIANCE)
    return softmax(-np.square(fit.transform(codes)) / (2 * variance), axis=1)


def _one_thread():
    """The same numbers on any number of cores; busy cores would only wait for each other."""
    return threadpool_limits(1)


class ActiveUnits(NamedTuple):
    """How many dimensions carry information, and each one's variance over the data."""

    count: int
    variances: np.ndarray  # [D]


def active_units(means: np.ndarray, threshold: float = ACTIVE) -> ActiveUnits:
    """Which dimensions of the posterior means [N, D] carry information about the data.

    A dimension is active if its mean varies over the data by more than `threshold`: Burda et al.
    2016, section 5.2. A collapsed one stays at its prior's mean whatever the image.
    """
    variances = np.var(means, axis=0, dtype=np.float64)  # [D]
    return ActiveUnits(int(np.sum(variances > threshold)), variances)


def embed_2d(codes: np.ndarray, *, seed: int = 0, limit: int | None = None) -> np.ndarray:
    """Codes [N, D] as points of a plane, [min(N, limit), 2]: the first `limit` of them.

    Two dimensions are shown as they are, one gets a second that is 0, and more go through t-SNE
    (van der Maaten and Hinton 2008), about ten seconds for 2,000 codes. Codes that are all the
    same, as of a collapsed encoder, become one point.

    Raises:
        ValueError: fewer than 4 codes for t-SNE.
    """
    codes = np.asarray(codes)[:limit]
    num_codes, dim = codes.shape
    if dim <= 2 or not np.any(codes != codes[0]):  # t-SNE divides by the spread
        return np.pad(codes[:, :2], ((0, 0), (0, max(0, 2 - dim))))
    if num_codes < 4:
        raise ValueError(f"{num_codes} codes are too few for t-SNE: it needs 4 or more")
    perplexity = min(TSNE_PERPLEXITY, (num_codes - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    with _one_thread():
        return tsne.fit_transform(codes)
