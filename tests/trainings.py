"""Tiny data and trainings, and what "the same end" of two runs means."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import toys

from vae_gmvae import runs, training
from vae_gmvae.config import Config
from vae_gmvae.data import Dataset, Split

EPOCHS, BATCH, TRAIN = 4, 32, 110
STEPS = TRAIN // BATCH  # an epoch leaves out 14 of the 110 images


@functools.cache
def dataset(shape=toys.SHAPE, test=60) -> Dataset:
    """Noisy versions of three prototypes; the labels say which."""
    rng = np.random.default_rng(0)
    prototypes = rng.random((3, *shape))

    def split(num):
        labels = rng.integers(0, 3, num)
        noisy = prototypes[labels] + 0.2 * rng.standard_normal((num, *shape))
        return Split(noisy.clip(0, 1).astype("float32"), labels)

    return Dataset("toy", split(TRAIN), split(40), split(test), "memory")


def config(model_name="model1", **options) -> Config:
    small = dict(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.01, patience=0, save_step=1)
    return toys.tiny(model_name, **{**small, **options})


def train(settings, folder=None, data=None, **options) -> runs.Run:
    options = dict(progress=False, say=lambda message: None) | options
    return training.train(settings, data or dataset(), folder, **options)


# --- one compilation for many trainings

NOT_COMPILED = dict(epochs=1, patience=0, save_step=1, seed=0, learning_rate=1.0, kl_weight=1.0)
NOT_COMPILED |= dict(kl_warmup=0, extra_name="", subset=0, batch_size=1)
compile_anew = training.compiled_model
compiled = {}


@pytest.fixture(scope="module")
def compiling_once():
    """Trainings of one module share their compiled models; an epoch takes two executions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "compiled_model", compiled_once)
        patch.setattr(training, "STEPS_PER_EXECUTION", 2)
        yield


def compiled_once(settings, image_shape):
    """Stands in for `training.compiled_model`: a used model, made as new, is ready at once."""
    fresh = compile_anew(settings, image_shape)
    model = compiled.setdefault((settings.replace(**NOT_COMPILED), image_shape), fresh)
    for variable, value in zip(everything(model), everything(fresh), strict=True):
        variable.assign(value)
    model.config = settings
    return model


def everything(model):
    return [*model.variables, *model.optimizer.variables]


# --- comparing runs on disk


def arrays(path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, read without the package's help."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def newest_state(folder) -> Path:
    return max(Path(folder).glob("state-*.npz"))


def history_of(folder) -> dict[str, list]:
    """The history in the newest state, without the one column that a clock decides."""
    history = json.loads(str(arrays(newest_state(folder))["leg"]))["history"]
    return {name: column for name, column in history.items() if name != "seconds"}


def assert_same_arrays(found: dict, expected: dict):
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"leg"}:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def assert_same_end(folder, expected):
    """Weights, optimizer, seeds, history and kept files of two runs are equal bit for bit."""
    names = {path.name for path in Path(expected).iterdir()}
    assert {path.name for path in Path(folder).iterdir()} == names
    assert history_of(folder) == history_of(expected)
    for name in sorted(names):
        if name.endswith(".npz"):
            assert_same_arrays(arrays(Path(folder) / name), arrays(Path(expected) / name))
