"""What all explorers share: array traits, stable names, a static picture."""

import base64
import collections
import re
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets

from vae_gmvae.widgets.networks import Network, networks_of

__all__ = ["HERE", "Array", "Explorer", "nested"]

HERE = Path(__file__).parent


class Array(traitlets.TraitType):
    """A finite float32 array of a fixed shape, read-only so that no change goes unnoticed.

    In JSON it is nested lists, each number in the fewest digits that give the float32 back.

    shape: sizes, or keys of the explorer's `about` that hold one: Array("z_dim").
    """

    def __init__(self, *shape, **options):
        super().__init__(**options)
        self.dimensions = shape
        self.tag(sync=True, to_json=lambda value, _: nested(value))

    def shape_in(self, obj) -> tuple[int, ...]:
        sizes = [obj.about[size] if isinstance(size, str) else size for size in self.dimensions]
        return tuple(int(size) for entry in sizes for size in np.atleast_1d(entry))

    def default(self, obj=None):
        return None if obj is None else _frozen(np.zeros(self.shape_in(obj), np.float32))

    def validate(self, obj, value):
        shape = self.shape_in(obj)
        array = _float32(value)
        if array is None:
            raise self._wrong(obj, f"not {value!r:.60}")
        if array.shape != shape:
            raise self._wrong(obj, f"not of shape {array.shape}")
        if not np.isfinite(array).all():
            raise self._wrong(obj, "but not all of these are finite")
        return _frozen(array)

    def _wrong(self, obj, found) -> traitlets.TraitError:
        name, shape = f"{self.name} of {type(obj).__name__}", self.shape_in(obj)
        return traitlets.TraitError(
            f"{name} is an array of finite numbers of shape {shape}, {found}"
        )

    def set(self, obj, value):
        """As any trait; an equal array is no change."""
        new, old = self._validate(obj, value), obj._trait_values.get(self.name)
        if old is None or not np.array_equal(old, new):
            super().set(obj, new)


def nested(array) -> list:
    """A float32 array as nested lists of short numbers."""
    array = np.asarray(array, np.float32)
    short = [float(str(value)) for value in array.ravel()]
    return np.reshape(short, array.shape).tolist()


def _float32(value) -> np.ndarray | None:
    """A copy as a float32 array; None of what is no array of numbers."""
    try:
        with np.errstate(over="ignore"):  # infinite then, and refused
            return np.array(value, np.float32)
    except (TypeError, ValueError):
        return None


def _frozen(array):
    array.setflags(write=False)
    return array


class Explorer(anywidget.AnyWidget):
    """A widget about one trained model. A subclass gives `_esm = bundle(...)` and `picture`.

    Args:
        run: the trained model.
        networks: names of the networks that the script runs, of `networks.PARTS`.
        traits: initial values of the subclass's traits.
    """

    _css = (HERE / "explorer.css").read_text("utf-8")
    networks = traitlets.Dict(value_trait=traitlets.Instance(Network)).tag(
        sync=True, **ipywidgets.widget_serialization
    )
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, run, networks=(), **traits):
        model_id = self._next_id(run.config)
        super().__init__(
            about=about_of(run),  # first: it decides the arrays' shapes
            networks=networks_of(run, *networks) if networks else {},
            model_id=model_id,
            layout=ipywidgets.Layout(model_id=f"{model_id}-layout"),
            **traits,
        )

    def picture(self):
        """A BookFigure of the first view, for where scripts are off: PDF, print, GitHub."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__} of {self.about['title']}"

    def _repr_mimebundle_(self, **kwargs):
        """The live view, the static picture and a line of text: readers show what they can."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        png, size = self.picture()._repr_png_()
        data["image/png"] = base64.b64encode(png).decode("ascii")
        return data, metadata | {"image/png": size}

    def set_state(self, sync_data):
        """Takes the front end's values, rounded to float32 so that they are not sent back to it."""
        arrays = {key: _float32(sync_data[key]) for key in sync_data if self._is_array(key)}
        rounded = {key: nested(array) for key, array in arrays.items() if array is not None}
        super().set_state(sync_data | rounded)

    def _is_array(self, key) -> bool:
        return isinstance(self.traits().get(key), Array)

    # Numbered names, not random ones: a notebook run again from the start stores the same outputs,
    # and a cell run again does not take the identity of the explorer that it made before.
    _made = collections.Counter()

    def _next_id(self, config) -> str:
        name = f"{type(self).__name__}-{config.model_name}-{config.dataset_name}"
        name = re.sub(r"[^\w-]+", "-", name)
        self._made[name] += 1
        return f"{name}-{self._made[name]}"


def about_of(run) -> dict:
    """What an explorer's script must know of the model; None where the model has no such thing."""
    config = run.config
    return {
        "title": f"{config.model_name} on {config.dataset_name}",
        "model_name": config.model_name,
        "dataset_name": config.dataset_name,
        "image_shape": list(run.model.image_shape),
        "z_dim": config.z_dim,
        "w_dim": config.w_dim if config.is_gmvae else None,
        "num_clusters": config.num_clusters if config.is_mixture else None,
        "likelihood": config.likelihood,
        "binarise": config.binarise,
        "x_logvar": float(run.model.x_logvar),
        "y_posterior": config.y_posterior if config.is_gmvae else None,
    }
