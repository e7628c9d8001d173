"""A model's networks as data for js/networks.js: their layers described, their weights packed.

Dropout is the identity after training and is left out. Convolutions that Keras computes in
bfloat16 (`precision`) are computed in float32 there: the values differ by bfloat16's rounding.
"""

import hashlib
import json
import zlib

import anywidget
import ipywidgets
import keras
import numpy as np
import traitlets
from keras import layers

from vae_gmvae.networks import LOGVAR_BOUNDS

PARTS = {  # the exported name of each network, and the model's attribute
    "decoder_x": "decoder",
    "encoder_z": "encoder_z",
    "encoder_w": "encoder_w",
    "prior_z": "prior",
    "classifier_y": "classifier",
}
DTYPES = ("float16", "float32")


class Network(anywidget.AnyWidget):
    """One network without a view: explorers on the same page refer to it, so it is stored once.

    spec: {"input": shape, "dtype", "layers": [{"kind", ...}], "heads": {"shape", "bound"} or None}.
    data: the weights that `pack` made.
    """

    _esm = "export default {};"
    spec = traitlets.Dict().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)

    def __repr__(self):
        return f"Network({self.model_id})"


_networks: dict[str, Network] = {}


def networks_of(run, *names: str, dtype: str = "float16") -> dict[str, Network]:
    """The named networks of a run's model, all that it has where none is named.

    The same weights give the same Network, however often they are asked for.

    Raises:
        ValueError: the model has no such network, `dtype` is not one of DTYPES, or a weight is too
            large for it.
    """
    there = network_names(run.model)
    for name in names:
        if name not in there:
            raise ValueError(f"{run.model.name} has no network {name!r}: {', '.join(there)}")
    return {name: _network(run.model, name, dtype) for name in names or there}


def network_names(model) -> list[str]:
    """What the model has of decoder_x, encoder_z, encoder_w, prior_z and classifier_y."""
    return [name for name, part in PARTS.items() if getattr(model, part, None) is not None]


def _network(model, name: str, dtype: str) -> Network:
    spec, arrays = export(getattr(model, PARTS[name]), dtype)
    content = json.dumps(spec).encode() + b"".join(array.tobytes() for array in arrays)
    model_id = f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    known = _networks.get(model_id)
    if known is None or known.comm is None:  # closed: its page has forgotten it
        layout = ipywidgets.Layout(model_id=f"{model_id}-layout")
        known = Network(spec=spec, data=pack(arrays), model_id=model_id, layout=layout)
        _networks[model_id] = known
    return known


def export(network, dtype: str = "float16") -> tuple[dict, list[np.ndarray]]:
    """The description of a Sequential or a GaussianHead, and its weights in the layers' order.

    Raises:
        ValueError: an unknown dtype, a weight that it cannot hold, or a layer unknown here.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}: choose one of {', '.join(DTYPES)}")
    trunk = getattr(network, "trunk", network)
    spec = {"input": list(trunk.input_shape[1:]), "dtype": dtype}
    spec["layers"] = [described for described in map(_describe, trunk.layers) if described]
    spec["heads"] = None if trunk is network else _heads(network)
    outputs = [] if trunk is network else [network.mean, network.logvar]
    weighted = [layer for layer in [*trunk.layers, *outputs] if layer.weights]
    return spec, [_cast(v, dtype) for layer in weighted for v in (layer.kernel, layer.bias)]


def pack(arrays) -> bytes:
    """The arrays one after another, as planes of first bytes, second bytes, ..., by zlib."""
    flat = np.concatenate([array.ravel() for array in arrays])
    flat = flat.astype(flat.dtype.newbyteorder("<"))
    planes = flat.view(np.uint8).reshape(-1, flat.itemsize).T  # [itemsize, weights]
    return zlib.compress(planes.tobytes(), 9)


def _cast(variable, dtype) -> np.ndarray:
    array = np.asarray(variable)
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if not np.isfinite(cast).all():
        raise ValueError(f"{variable.path} has values that are not finite in {dtype}")
    return cast


def _heads(head) -> dict:
    (bound,) = (name for name, f in LOGVAR_BOUNDS.items() if f is head.bound_logvar)
    return {"shape": list(head.shape[1:]), "bound": bound}


def _describe(layer) -> dict | None:
    """One entry of spec["layers"]; None for a layer that only matters while training."""
    if not getattr(layer, "use_bias", True):
        raise ValueError(f"{layer.name} is without a bias: js/networks.js adds one")
    if isinstance(layer, layers.Dense):
        return {"kind": "dense", "units": layer.units, "activation": _activation(layer)}
    if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)):
        return _convolution(layer)
    if isinstance(layer, (layers.Flatten, layers.Reshape)):
        return {"kind": "reshape", "shape": list(layer.output.shape[1:])}
    if isinstance(layer, layers.Cropping2D):
        return {"kind": "crop", "shape": list(layer.output.shape[1:])}
    if isinstance(layer, layers.Dropout):
        return None
    raise ValueError(f"js/networks.js has no layer like {layer.name}, a {type(layer).__name__}")


def _convolution(layer) -> dict:
    if layer.padding != "same" or set(layer.dilation_rate) != {1}:
        raise ValueError(f"{layer.name}: js/networks.js pads convolutions with 'same' only")
    transposed = isinstance(layer, layers.Conv2DTranspose)
    return {
        "kind": "deconv" if transposed else "conv",
        "filters": layer.filters,
        "kernel": list(layer.kernel_size),
        "strides": list(layer.strides),
        "activation": _activation(layer),
    }


def _activation(layer) -> str | None:
    names = {keras.activations.relu: "relu", keras.activations.linear: None}
    if layer.activation not in names:
        raise ValueError(f"{layer.name}: js/networks.js knows relu or no activation")
    return names[layer.activation]
