"""Explorers: a trained model to play with, in JupyterLab, in Colab and in the static book.

Each is an anywidget whose JavaScript runs the real networks in the browser: `LatentExplorer(run)`.
A name is loaded when it is first used.
"""

import importlib

_HOMES = {
    "LatentExplorer": "latent",
    "MixtureExplorer": "mixture",
    "InferenceExplorer": "inference",
    "TrainingScrubber": "scrubber",
}
__all__ = [*_HOMES]  # noqa: PLE0604, they are strings


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
