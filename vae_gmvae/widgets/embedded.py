"""What explorers carry besides networks: a few test images, their codes, and seeded samples.

Numbers are rounded, so that they are short in a page and the same wherever they were computed.
"""

import numpy as np

DIGITS = 3  # of latent codes, after the point
CODES, EXAMPLES, SAMPLES = 400, 10, 64


def rounded(array, digits: int = DIGITS) -> list:
    """Numbers as nested lists with at most `digits` digits after the point."""
    return np.round(np.asarray(array, dtype=float), digits).tolist()


def spread_over(count: int, total: int) -> np.ndarray:
    """Up to `count` indices below `total`, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))


def images_for(run, data, count: int = CODES) -> tuple[np.ndarray, list[int]]:
    """Test images [N, H, W, C] spread over the test set, and their labels, [] where unlabelled.

    Raises:
        ValueError: images of another shape than the model's.
    """
    shape = tuple(run.model.image_shape)
    if data.test.x.shape[1:] != shape:
        raise ValueError(f"images of {data.name} are {data.test.x.shape[1:]}, the model's {shape}")
    chosen = spread_over(count, len(data.test.x))
    labels = data.test.labels
    return data.test.x[chosen], [] if labels is None else labels[chosen].tolist()


def examples_of(images, labels) -> tuple[np.ndarray, list[str]]:
    """Up to ten of the images, one of each label where there are labels, and their names."""
    if labels:
        classes, chosen = np.unique(labels, return_index=True)
        return images[chosen[:EXAMPLES]], [f"the {label}" for label in classes[:EXAMPLES]]
    chosen = spread_over(EXAMPLES, len(images))
    return images[chosen], [f"test image {i}" for i in range(1, len(chosen) + 1)]


def grey_bytes(images) -> bytes:
    """Images in [0, 1], one byte for each pixel."""
    return np.round(255 * np.clip(images, 0, 1)).astype(np.uint8).tobytes()


def prior_samples(model, count: int, seed: int) -> np.ndarray:
    """Seeded samples of p(z), [count, z_dim]."""
    return np.asarray(model.sample_z(count, seed=seed))


def ranges_of(*clouds) -> list[list[float]]:
    """For each dimension the half units that hold 0 and 99 % of every cloud [N, z_dim]."""
    low = np.min([np.quantile(cloud, 0.005, axis=0) for cloud in clouds], axis=0)
    high = np.max([np.quantile(cloud, 0.995, axis=0) for cloud in clouds], axis=0)
    low = np.minimum(np.floor(2 * low) / 2, 0.0)
    high = np.maximum(np.ceil(2 * high) / 2, 0.0)
    return np.stack([low, high], axis=1).tolist()
