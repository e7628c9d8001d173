"""VAE-GMVAE: variational autoencoders and Gaussian-mixture VAEs, five models and one objective.

Importing the package is quick and reads nothing: TensorFlow is loaded on the first use of a name
that needs it.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "Config": "config",
    "preset": "config",
    "Dataset": "data",
    "Split": "data",
    "load_dataset": "data",
    "Gaussian": "distributions",
    "GMVAE": "models",
    "VAE": "models",
    "Latents": "models",
    "MixturePriorVAE": "models",
    "build_model": "models",
    "NonFiniteLossError": "callbacks",
    "train": "training",
    "Run": "runs",
    "load_run": "runs",
    "load_reference": "reference",
    "evaluate": "evaluation",
    "by_speed": "speed",
}
_MODULES = ("augmentation", "callbacks", "config", "data", "distributions", "evaluation", "models")
_MODULES += ("networks", "plots", "reference", "report", "runs", "speed", "training", "widgets")

__all__ = [*_HOMES, *_MODULES]  # noqa: PLE0604, they are strings


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
