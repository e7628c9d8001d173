"""Train, valid and test: seeded, disjoint, exhaustive, labels moved together with their images."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SPLITS = ("random", "contiguous")
BINARISE = ("none", "sampled")
BINARISE_SEED = 0  # of the one draw, the same in every run


@dataclass(frozen=True, eq=False)
class Split:
    """x [N, H, W, 1] float32 in [0, 1]; labels [N] int64, or None where nothing is labelled."""

    x: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of one set of images.

    `source` says where they were read from; `binarise` what their pixels are: grey levels
    ("none"), or 0 and 1 drawn with the grey levels as probabilities ("sampled").
    """

    name: str
    train: Split
    valid: Split
    test: Split
    source: str
    binarise: str = "none"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.train.x.shape[1:]


class Indices(NamedTuple):
    """Which images, by position, go to which split."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def split_indices(num: int, seed: int, split: str) -> Indices:
    """80/10/10 of `num` images: seeded at random, or consecutive parts in the order of the film.

    Valid and test get num // 10 images each, train the rest.
    """
    order = np.arange(num)
    if split == "random":
        order = np.random.default_rng(seed).permutation(num)
    tenth = num // 10
    return Indices(*np.split(order, [num - 2 * tenth, num - tenth]))


def stratified_indices(labels: np.ndarray, seed: int) -> Indices:
    """80/10/10 at random, within each label, so that every split has the labels' proportions."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        tenth = len(members) // 10
        parts.append(np.split(members, [len(members) - 2 * tenth, len(members) - tenth]))
    return Indices(*(rng.permutation(np.concatenate(part)) for part in zip(*parts)))


def pixels(x: np.ndarray, binarise: str, file: int = 0) -> np.ndarray:
    """Grey levels x [N, H, W, 1] as they are or, "sampled", drawn as 0 or 1: each is the
    probability of its 1.

    The draw depends on BINARISE_SEED and `file`, the number of the file that x was read from; an
    image's part in it on its place in that file, not on the split that it goes to.
    """
    if binarise == "none":
        return x
    draws = np.random.default_rng([BINARISE_SEED, file]).random(x.shape, dtype=np.float32)
    return (draws < x).astype(np.float32)  # draws are in [0, 1): black stays 0, white stays 1


def divide(
    name: str,
    x: np.ndarray,
    labels: np.ndarray | None,
    indices: Indices,
    source: str,
    binarise: str = "none",
) -> Dataset:
    """The Dataset whose splits are the images, with their labels, at `indices`."""
    x = pixels(x, binarise)
    train, valid, test = (
        Split(x[part], None if labels is None else labels[part]) for part in indices
    )
    return Dataset(name, train, valid, test, source, binarise)
