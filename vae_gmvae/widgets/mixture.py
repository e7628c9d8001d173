"""MixtureExplorer: pick a cluster, drag w, and watch the prior p(z|w,y) and what it decodes to."""

import math
from typing import NamedTuple

import numpy as np
import traitlets

from vae_gmvae import plots
from vae_gmvae.models.mixture_vae import PRIOR_VAR
from vae_gmvae.widgets import embedded
from vae_gmvae.widgets.explorer import Array, Explorer
from vae_gmvae.widgets.scripts import bundle

SHOWN = 12  # samples of the chosen cluster at a time
STYLES = 200  # samples of w behind the plane


class Plane(NamedTuple):
    """Where z is drawn: z itself if it has two dimensions, else the first principal components.

    origin [z_dim], axes [2, z_dim] of unit length, names of both, range of both, and the share of
    the prior's variance that the plane shows.
    """

    origin: np.ndarray
    axes: np.ndarray
    names: list
    range: list
    share: float

    def project(self, z):
        """[..., z_dim] -> [..., 2]."""
        return (np.asarray(z) - self.origin) @ self.axes.T


class Prior(NamedTuple):
    """Means and log variances of p(z|w,y) over styles w, [W, K, z_dim]; W is 1 without a w."""

    mean: np.ndarray
    logvar: np.ndarray

    @property
    def movement(self) -> float:
        """How far w moves the means, in standard deviations of a cluster."""
        return float(np.sqrt(self.mean.var(axis=0).mean() / np.exp(self.logvar).mean()))


class _Style(Array):
    """w, of shape (0,) for a model without one."""

    def shape_in(self, obj):
        return (obj.about["w_dim"] or 0,)


class MixtureExplorer(Explorer):
    """The mixture prior of model3, model4_bias or model5: its clusters, and what w does to them.

    Args:
        run: a trained model with a mixture prior.
        data: Dataset whose test images' codes are drawn behind, or None for none.
    Attributes:
        k: the chosen cluster, from 0 to K - 1.
        w: the style, float32 [w_dim]; of shape (0,) for model3, which has none.
        z: the latent code that is decoded, float32 [z_dim]; k or w move it, and setting it sets
            its place within the cluster.
    Raises:
        ValueError: a model without a mixture prior or with z of one dimension, or images of another
            shape than the model's.
    """

    _esm = bundle("mixture")
    k = traitlets.Int().tag(sync=True)
    w = _Style()
    z = Array("z_dim")
    plane = traitlets.Dict().tag(sync=True)  # Plane as a dictionary
    fixed_prior = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    movement = traitlets.Float().tag(sync=True)  # of Prior
    noise = traitlets.List().tag(sync=True)  # [samples, z_dim] of N(0, I)
    styles = traitlets.List().tag(sync=True)  # [samples, w_dim] of p(w)
    z_codes = traitlets.List().tag(sync=True)  # [N, 2] in the plane
    w_codes = traitlets.List().tag(sync=True)  # [N, 2] where w_dim is 2

    def __init__(self, run, data=None):
        config = run.config
        if not config.is_mixture:
            raise ValueError(f"{config.model_name} has no mixture prior: take a LatentExplorer")
        if config.z_dim == 1:
            raise ValueError("z_dim is 1, and a line has no plane to draw: take a LatentExplorer")
        random = np.random.default_rng(0)
        w_dim = config.w_dim if config.is_gmvae else 0
        styles = random.standard_normal((STYLES, w_dim))
        prior, start = _prior(run.model, styles), _prior(run.model, np.zeros((1, w_dim)))
        plane = plane_of(prior)
        noise = random.standard_normal((5 * SHOWN, config.z_dim))
        networks = ["decoder_x", "prior_z"] if config.is_gmvae else ["decoder_x"]
        super().__init__(
            run,
            networks,
            z=start.mean[0, 0],
            plane=_as_state(plane),
            movement=round(prior.movement, 3),
            noise=embedded.rounded(noise, 2),
            styles=embedded.rounded(styles[:32], 2),
            fixed_prior=None if config.is_gmvae else _flat(prior),
            **({} if data is None else _codes(run, data, plane)),
        )
        self._model = run.model
        self._z_follows = True

    _z_follows = False  # k and w; not where the page sets them, which sends its own z with them

    def set_state(self, sync_data):
        self._z_follows = False
        try:
            super().set_state(sync_data)
        finally:
            self._z_follows = True

    def notify_change(self, change):
        """z goes to the page in one message with the k or w that moves it.

        Left to the page, z would come back while a cell runs, and undo what the cell sets next.
        """
        if not (self._z_follows and change.name in ("k", "w")):
            return super().notify_change(change)
        with self.hold_sync():
            before = {"k": self.k, "w": self.w, change.name: change.old}
            (mean, sd), (old_mean, old_sd) = self._cluster(self.k, self.w), self._cluster(**before)
            self.z = mean + sd * (self.z - old_mean) / old_sd
            super().notify_change(change)

    def _cluster(self, k, w):
        """Mean and standard deviation of p(z|w,y=k), [z_dim] each."""
        prior = _prior(self._model, w[None])
        return prior.mean[0, k], np.exp(0.5 * prior.logvar[0, k])

    @traitlets.validate("k")
    def _a_cluster(self, proposal):
        clusters = self.about["num_clusters"]
        if proposal.value not in range(clusters):
            raise traitlets.TraitError(
                f"k is {proposal.value!r}: clusters have the numbers 0 to {clusters - 1}"
            )
        return proposal.value

    def picture(self):
        """Samples of every cluster at w = 0."""
        prior = _prior(self._model, np.zeros((1, len(self.w))))
        noise = np.asarray(self.noise[:9])  # [9, z_dim]
        z = prior.mean[0][:, None] + np.exp(0.5 * prior.logvar[0])[:, None] * noise  # [K, 9, z_dim]
        clusters, count, z_dim = z.shape
        images = np.asarray(self._model.decode_x(z.reshape(-1, z_dim).astype(np.float32)))
        where = " at w = 0" if len(self.w) else ""
        title = f"{self.about['title']}: samples of each cluster{where}"
        return plots.cluster_grids(images.reshape(clusters, count, *images.shape[1:]), title=title)


def plane_of(prior: Prior) -> Plane:
    """The plane of two principal components of the prior's samples over w, fixed once for all."""
    z_dim = prior.mean.shape[-1]
    noise = np.random.default_rng(1).standard_normal(prior.mean.shape)
    z = (prior.mean + np.exp(0.5 * prior.logvar) * noise).reshape(-1, z_dim)
    if z_dim == 2:
        origin, axes, names, share = np.zeros(2), np.eye(2), ["z₁", "z₂"], 1.0
    else:
        origin, names = z.mean(axis=0), ["PC 1", "PC 2"]
        variances, vectors = np.linalg.eigh(np.cov(z.T))
        axes, share = vectors[:, ::-1][:, :2].T, variances[-2:].sum() / variances.sum()
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        axes = axes * np.sign(largest)  # an eigenvector has no sign of its own
    return Plane(origin, axes, names, _range(prior, origin, axes), share)


def _range(prior: Prior, origin, axes) -> list:
    """A square, [[low, high], [low, high]], around two standard deviations of the Gaussians."""
    means = (prior.mean - origin) @ axes.T  # [W, K, 2]
    reach = 2.2 * np.sqrt(np.exp(prior.logvar) @ np.square(axes.T))
    low = np.quantile((means - reach).reshape(-1, 2), 0.01, axis=0)
    high = np.quantile((means + reach).reshape(-1, 2), 0.99, axis=0)
    middle, half = (low + high) / 2, (high - low).max() / 2
    return embedded.rounded(np.stack([middle - half, middle + half], axis=1), 2)


def _prior(model, w) -> Prior:
    """p(z|w,y) at styles w [W, w_dim], or the fixed prior of model3."""
    if model.config.is_gmvae:
        return Prior(*(np.asarray(part) for part in model.prior_z(w.astype(np.float32))))
    mean = np.asarray(model.prior_means)[None]
    return Prior(mean, np.full_like(mean, math.log(PRIOR_VAR)))


def _as_state(plane: Plane) -> dict:
    """A point z lies at axes @ z - centre in the plane."""
    return {
        "axes": embedded.rounded(plane.axes, 6),
        "centre": embedded.rounded(plane.axes @ plane.origin, 5),
        "names": plane.names,
        "range": plane.range,
        "share": round(float(plane.share), 3),
    }


def _flat(prior: Prior) -> dict:
    """mean and logvar, [K * z_dim], as the prior's network gives them in the browser."""
    return {name: part.ravel().tolist() for name, part in prior._asdict().items()}


def _codes(run, data, plane: Plane) -> dict:
    images, _ = embedded.images_for(run, data)
    z = np.asarray(run.model.encode_z(images).mean)
    codes = {"z_codes": embedded.rounded(plane.project(z), 2)}
    if run.config.is_gmvae and run.config.w_dim == 2:
        codes["w_codes"] = embedded.rounded(run.model.encode_w(images).mean, 2)
    return codes
