"""VAE-GMVAE: variational autoencoders and Gaussian-mixture VAEs, five models and one objective.

Importing the package is quick and reads nothing: TensorFlow is loaded on the first use of a name
that needs it.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "config": ["Config", "preset"],
    "data": ["Dataset", "Split", "load_dataset"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
