"""InferenceExplorer: draw an image and read what the model infers from it."""

import math

import numpy as np
import traitlets

from vae_gmvae import plots
from vae_gmvae.models import Latents
from vae_gmvae.models.mixture_vae import PRIOR_VAR
from vae_gmvae.widgets import embedded
from vae_gmvae.widgets.explorer import HERE, Array, Explorer, nested
from vae_gmvae.widgets.networks import network_names
from vae_gmvae.widgets.scripts import bundle

EXAMPLES = 20
SAMPLES = 32  # of the noise; then the button starts anew
HANDWRITING = ("MNIST", "MNIST5K")  # datasets whose images were prepared as LeCun describes


class InferenceExplorer(Explorer):
    """A pad to draw on, or test images to choose; the encoder runs at every stroke.

    Shown are q(z|x) and q(w|x), p(y|w,z), the reconstruction and the terms of the image's ELBO in
    nats, all at one sample of the noise.

    Args:
        run: the trained model.
        data: a Dataset whose test images are the examples; None takes samples of the model.
        seed: of the noise.
    Attributes:
        x: the model's input in [0, 1], after the preparation, [H, W, C]; set it, or read it.
        sample: which sample of the noise, from 1; 0 puts the latents at their means (eps = 0).
        bayes: p(y|w,z) by Bayes' rule instead of the network.
        prepare: whether strokes are prepared as MNIST's were; None where the images are others.
        results: what the page shows, by name: terms, z_mean, z_logvar, y_prob, ...; empty until
            then.
    Raises:
        ValueError: images of another shape than the model's.
    """

    _esm = bundle("inference")
    _css = Explorer._css + (HERE / "inference.css").read_text("utf-8")
    x = Array("image_shape")
    sample = traitlets.Int(1, min=0, max=SAMPLES).tag(sync=True)
    bayes = traitlets.Bool(False).tag(sync=True)
    prepare = traitlets.Bool(None, allow_none=True).tag(sync=True)
    results = traitlets.Dict().tag(sync=True)
    prior = traitlets.Dict().tag(sync=True)
    noise = traitlets.Dict().tag(sync=True)
    examples = traitlets.Bytes().tag(sync=True)
    example_names = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, run, data=None, seed=0):
        config = run.config
        images, names = _examples(run, data)
        handwriting = config.dataset_name.upper() in HANDWRITING
        prepared = handwriting and tuple(run.model.image_shape) == (28, 28, 1)
        super().__init__(
            run,
            network_names(run.model),
            x=images[0] / np.float32(255),
            prepare=True if prepared else None,
            prior=_prior(run),
            noise=_noise(config, seed),
            examples=images.tobytes(),
            example_names=names,
        )
        self.run = run

    def eps(self) -> Latents:
        """The noise of the terms on the page, [1, dim] each: what `model.elbo_terms` takes."""
        names = [name for name in ("z", "w") if name in self.noise]
        rows = {name: np.float32(self.noise[name][self.sample - 1])[None] for name in names}
        return Latents(**{k: row if self.sample else 0 * row for k, row in rows.items()})

    def picture(self):
        images = np.frombuffer(self.examples, np.uint8) / np.float32(255)
        images = images.reshape(-1, *self.about["image_shape"])[: EXAMPLES // 2]
        decoded = np.asarray(self.run.model.reconstruct(images))
        return plots.reconstructions(
            images, decoded, f"{self.about['title']}: x and mean of p(x|z)"
        )


def _examples(run, data) -> tuple[np.ndarray, list[str]]:
    """Images [N, H, W, C] as bytes, and what to call them."""
    if data is None:
        images = np.asarray(run.model.sample(EXAMPLES, seed=0))
        names = [f"sample {i + 1} of the model" for i in range(EXAMPLES)]
    else:
        embedded.images_for(run, data, 1)  # of the model's shape?
        rows = _rows(data.test)
        images = data.test.x[rows]
        known = data.test.labels
        names = [
            f"test image {row}" if known is None else f"test image {row}, a {known[row]}"
            for row in rows
        ]
    return np.round(255 * images).astype(np.uint8), names


def _rows(test) -> list[int]:
    """Which test images: each label in turn, or from first to last at even steps."""
    if test.labels is None:
        return np.linspace(0, len(test) - 1, min(EXAMPLES, len(test))).astype(int).tolist()
    of_label = [np.flatnonzero(test.labels == label) for label in np.unique(test.labels)]
    turns = range(math.ceil(EXAMPLES / len(of_label)))
    rows = [int(rows[turn]) for turn in turns for rows in of_label if turn < len(rows)]
    return rows[:EXAMPLES]


def _prior(run) -> dict:
    """What the terms need to know of the prior beyond the networks."""
    config, means = run.config, getattr(run.model, "prior_means", None)
    if means is None:
        return {"y_prior": config.y_prior}
    fixed = {"means": np.asarray(means).tolist(), "logvar": math.log(PRIOR_VAR)}
    return fixed | {"density": config.mixture_density}


def _noise(config, seed) -> dict:
    """Standard normals for z and, in a GMVAE, w: lists [SAMPLES][dim]."""
    random = np.random.default_rng(seed)
    dims = {"z": config.z_dim} | ({"w": config.w_dim} if config.is_gmvae else {})
    return {name: nested(random.standard_normal((SAMPLES, dim))) for name, dim in dims.items()}
