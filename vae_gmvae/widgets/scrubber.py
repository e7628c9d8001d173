"""TrainingScrubber: the epochs of a run that kept its weights, one frame for each."""

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import traitlets

from vae_gmvae import plots, runs
from vae_gmvae.widgets.explorer import HERE, Explorer
from vae_gmvae.widgets.scripts import bundle

BUDGET = 300_000  # bytes of the frames in a page
COLUMNS, PER_COLUMN = 8, 5  # samples of a prior without clusters; with them a column for each
MOST = 100  # samples in a frame, unless there are more clusters
CODES, COUNTED = 300, 1000  # test images on the map, and behind the shares of the clusters
GREYS = 64  # steps from black to white: a third less to load than 255
STEPS = 2**16 - 1  # of the map's coordinates from one end to the other


class Frame(NamedTuple):
    """What a model shows after one epoch."""

    epoch: int
    images: np.ndarray  # levels of grey [columns, n, H, W, C], from the same noise in all frames
    codes: np.ndarray  # [N, z_dim], means of q(z|x) of the same test images
    clusters: np.ndarray | None  # [N'] of the test images, where there are clusters


class TrainingScrubber(Explorer):
    """A slider over the epochs whose weights a run kept (`save_step`), played or by hand.

    Shown are samples of each cluster (of the prior, where there are none), always from the same
    noise; the codes of test images; the share of the test images in each cluster; the terms of
    the ELBO so far. No network runs in the page.

    Args:
        run: a Run that has a folder, or the path of that folder.
        data: Dataset whose first test images are encoded.
        seed: of the noise behind the samples.
    Attributes:
        epoch: the epoch that is shown, one of `epochs`; set it, or read what the reader chose.
    Raises:
        ValueError: fewer than two kept weights, as where no run is, or images of another shape
            than the model's.
    """

    _esm = bundle("scrubber")
    _css = Explorer._css + (HERE / "scrubber.css").read_text("utf-8")
    epoch = traitlets.Int().tag(sync=True)
    epochs = traitlets.List(traitlets.Int()).tag(sync=True)
    frames = traitlets.Bytes().tag(sync=True)  # by `_packed`
    sizes = traitlets.Dict().tag(sync=True)  # of what is in `frames`
    shares = traitlets.List().tag(sync=True)  # [frames][K] of the test images, or []
    colours = traitlets.List().tag(sync=True)  # [N] labels of the codes, or []
    history = traitlets.Dict().tag(sync=True)  # columns of history.csv, nats
    term_colours = traitlets.List().tag(sync=True)  # [[term, colour], ...] in their order

    def __init__(self, run, data, seed=0):
        folder = run.folder if isinstance(run, runs.Run) else Path(run)
        kept = _kept(folder)
        loaded = runs.load_run(folder, kept[-1].stem)
        x = _test_images(loaded, data)
        chosen = _within_budget([_frame(folder, path, x, seed) for path in kept])
        labels = data.test.labels
        frames, sizes = _packed(chosen)
        self._last = chosen[-1].images
        super().__init__(
            loaded,
            epochs=[frame.epoch for frame in chosen],
            epoch=chosen[-1].epoch,
            frames=frames,
            sizes=sizes,
            shares=[_shares(frame, loaded.config.num_clusters) for frame in chosen],
            colours=[] if labels is None else labels[: sizes["codes"]].tolist(),
            history=_history(loaded.history),
            term_colours=[[*pair] for pair in plots.TERM_COLORS.items()],
        )

    @traitlets.validate("epoch")
    def _is_kept(self, proposal):
        if self.epochs and proposal["value"] not in self.epochs:
            raise traitlets.TraitError(
                f"epoch is {proposal['value']}: weights were kept after {self.epochs}"
            )
        return proposal["value"]

    def picture(self):
        """The samples of the last frame, a column for each cluster."""
        rows = self._last.swapaxes(0, 1)  # [n, columns, H, W, C]
        images = rows.reshape(-1, *rows.shape[2:]) / GREYS
        title = f"{self.about['title']}: samples after epoch {self.epochs[-1]}"
        return plots.image_grid(images, rows=len(rows), title=title)


def _kept(folder: Path | None) -> list[Path]:
    """The weights that training kept, in the order of their epochs."""
    kept = sorted(folder.glob("weights-*.npz")) if folder else []
    if len(kept) < 2:
        where = f"{folder} holds {len(kept)}" if folder else "this run was not written to a folder"
        raise ValueError(
            f"a TrainingScrubber needs the weights of two epochs or more, but {where}: train in a "
            "folder, with a save_step of at most half the epochs"
        )
    return kept


def _test_images(run, data) -> np.ndarray:
    x, shape = data.test.x[:COUNTED], tuple(run.model.image_shape)
    if x.shape[1:] != shape:
        raise ValueError(f"images of {data.name} are {x.shape[1:]}, the model's {shape}")
    return x


def _frame(folder, path, x, seed) -> Frame:
    model = runs.load_run(folder, path.stem).model
    clusters = None
    if hasattr(model, "responsibilities"):
        count = model.config.num_clusters
        each = max(1, min(PER_COLUMN, MOST // count))
        images = np.stack([model.sample(each, seed=seed, k=k) for k in range(count)])
        clusters = np.argmax(model.responsibilities(x), axis=1)
    else:
        images = np.asarray(model.sample(COLUMNS * PER_COLUMN, seed=seed))
        images = images.reshape(COLUMNS, PER_COLUMN, *images.shape[1:])
    grey = np.round(GREYS * images).astype(np.uint8)
    codes = np.asarray(model.encode_z(x[:CODES]).mean)
    return Frame(int(path.stem.split("-")[1]), grey, codes, clusters)


def _shares(frame: Frame, num_clusters: int) -> list:
    if frame.clusters is None:
        return []
    counts = np.bincount(frame.clusters, minlength=num_clusters)  # [K]
    return np.round(counts / len(frame.clusters), 4).tolist()


def _within_budget(frames: list[Frame]) -> list[Frame]:
    """All frames or, evenly spread from the first to the last, as many as the page may hold."""

    def spread(count):
        return [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]

    def fits(count):
        return len(_packed(spread(count))[0]) <= BUDGET

    if fits(len(frames)):
        return frames
    low, high = 2, len(frames)  # high does not fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return spread(low)


def _packed(frames: list[Frame]) -> tuple[bytes, dict]:
    """The frames' images, codes and clusters as bytes, by zlib, and their sizes.

    First the images [F, columns, n, H, W, C]; then the colours of the codes' clusters [F, N], if
    any; then the codes on the map [F, N, 2] in STEPS from `low` to `high`, all high bytes before
    the low.
    """
    points = _on_a_plane([frame.codes for frame in frames])  # [F, N, 2]
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    steps = np.round(STEPS * (points - low) / np.maximum(high - low, 1e-9)).astype(np.uint16)
    num_codes = points.shape[1]
    parts = [frame.images.tobytes() for frame in frames]
    if frames[0].clusters is not None:
        colours = [frame.clusters[:num_codes] % len(plots.DIGIT_COLORS) for frame in frames]
        parts += [colour.astype(np.uint8).tobytes() for colour in colours]
    parts += [(steps >> 8).astype(np.uint8).tobytes(), (steps & 255).astype(np.uint8).tobytes()]
    columns, each = frames[0].images.shape[:2]
    sizes = {"columns": columns, "each": each, "codes": num_codes}
    sizes |= {"low": np.round(low, 3).tolist(), "high": np.round(high, 3).tolist()}
    return zlib.compress(b"".join(parts), 9), sizes


def _on_a_plane(codes: list[np.ndarray]) -> np.ndarray:
    """Two dimensions as they are; more on the first two principal axes of the last frame."""
    codes = np.stack(codes).astype(np.float64)  # [F, N, z_dim]
    if codes.shape[2] <= 2:
        return np.pad(codes, ((0, 0), (0, 0), (0, 2 - codes.shape[2])))
    centre = codes[-1].mean(axis=0)
    axes = np.linalg.svd(codes[-1] - centre, full_matrices=False)[2][:2]  # [2, z_dim]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return (codes - centre) @ (axes * np.sign(largest)).T


def _history(history: dict) -> dict:
    """The columns of the terms, training and validation; None where a value was not finite."""
    names = [f"{part}{term}" for term in plots.TERM_COLORS for part in ("", "val_")]
    held = {name: history[name] for name in ["epoch", *names] if name in history}
    return {
        name: [round(value, 3) if np.isfinite(value) else None for value in values]
        for name, values in held.items()
    }
