"""LatentExplorer: a slider for every dimension of z, and what the decoder makes of it."""

import numpy as np
import traitlets

from vae_gmvae import plots
from vae_gmvae.models.mixture_vae import PRIOR_VAR
from vae_gmvae.widgets import embedded
from vae_gmvae.widgets.explorer import Array, Explorer
from vae_gmvae.widgets.scripts import bundle

SLIDER = 3.0  # standard deviations of a standard normal prior


class LatentExplorer(Explorer):
    """The latent space of any of the five models, by hand.

    A slider for each dimension of z beside the decoded image; the line between two test images;
    where z has two dimensions a map of the test images' codes over what is decoded there.

    Args:
        run: a trained model.
        data: Dataset whose test images give the map and the ends of the line. None: no map's
            codes, and the line goes between samples of the prior.
    Attributes:
        z: the latent code that is shown, float32 [z_dim]; set it, or read what was chosen.
        samples: what "sample the prior" walks along, [64, z_dim], seeded.
    Raises:
        ValueError: images of another shape than the model's.
    """

    _esm = bundle("latent")
    z = Array("z_dim")
    ranges = traitlets.List().tag(sync=True)  # [z_dim, 2], of the sliders and of the map
    samples = traitlets.List().tag(sync=True)
    codes = traitlets.List().tag(sync=True)  # [N, 2], only where z_dim is 2
    labels = traitlets.List().tag(sync=True)  # [N], or empty
    components = traitlets.List().tag(sync=True)  # [[mean 1, mean 2, variance], ...] of p(z)
    ends = traitlets.List().tag(sync=True)  # [{name, z}] that the line may join
    end_images = traitlets.Bytes().tag(sync=True)  # [ends, H, W] grey levels, or nothing

    def __init__(self, run, data=None):
        model, flat = run.model, run.config.z_dim == 2
        samples = embedded.prior_samples(model, embedded.SAMPLES, seed=0)
        traits = {"samples": embedded.rounded(samples), "components": _components(model)}
        clouds = [embedded.prior_samples(model, 2000, seed=1)]
        if data is None:
            traits |= _ends(samples, [f"sample {i}" for i in range(1, 11)])
        else:
            images, labels = embedded.images_for(run, data)
            codes = np.asarray(model.encode_z(images).mean)
            chosen, names = embedded.examples_of(images, labels)
            traits |= _ends(np.asarray(model.encode_z(chosen).mean), names)
            traits["end_images"] = embedded.grey_bytes(chosen)
            if flat:
                clouds.append(codes)
                traits |= {"codes": embedded.rounded(codes), "labels": labels}
        traits["ranges"] = _ranges(run.config, clouds)
        super().__init__(run, ["decoder_x"], z=traits["ends"][0]["z"], **traits)
        self._model = model

    def picture(self):
        """The map where z has two dimensions and there are codes; else samples of the prior."""
        title = f"{self.about['title']}: "
        if self.codes:
            return plots.latent_scatter(self.codes, self.labels or None, title=f"{title}test codes")
        z = np.asarray(self.samples[:40], np.float32)
        images = np.asarray(self._model.decode_x(z))
        return plots.image_grid(images[..., :1], cols=10, title=f"{title}samples of the prior")


def _ends(codes, names) -> dict:
    pairs = zip(names, embedded.rounded(codes), strict=False)
    return {"ends": [{"name": name, "z": z} for name, z in pairs]}


def _ranges(config, clouds) -> list:
    """Of a VAE's sliders; a map is a square; other priors need what their samples need."""
    if config.model_name in ("model1", "model2"):
        return [[-SLIDER, SLIDER]] * config.z_dim
    ranges = np.array(embedded.ranges_of(*clouds))
    if config.z_dim == 2:
        ranges[:] = ranges[:, 0].min(), ranges[:, 1].max()
    return ranges.tolist()


def _components(model) -> list:
    """The prior's Gaussians in the plane, where they are fixed: [mean 1, mean 2, variance]."""
    if model.config.z_dim != 2 or model.config.is_gmvae:
        return []
    if model.config.model_name == "model3":
        return [[*mean, PRIOR_VAR] for mean in model.prior_means.tolist()]
    return [[0.0, 0.0, 1.0]]
