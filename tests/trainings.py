"""Tiny data and trainings, and what "the same end" of two runs means."""

import contextlib
import functools
import io
import json
import types
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


# The wild learning rate makes epoch 2 the best one.
CONFIG = config(learning_rate=0.3, kl_weight=0.5, kl_warmup=3)


def train(settings, folder=None, data=None, **options) -> runs.Run:
    options = dict(progress=False, say=lambda message: None) | options
    return training.train(settings, data or dataset(), folder, **options)


def orders(parts, epochs):
    """The row numbers of each epoch, [epochs, steps, batch_size]."""
    found = []
    for epoch in epochs:
        parts.on_epoch_begin(epoch)
        found.append(parts.order())
    return np.array(found)


# --- one compilation for many trainings

NOT_COMPILED = dict(epochs=1, patience=0, save_step=1, seed=0, learning_rate=1.0, kl_weight=1.0)
NOT_COMPILED |= dict(kl_warmup=0, cooldown=0, extra_name="", subset=0, batch_size=1)
compile_anew = training.compiled_model
compiled = {}


@pytest.fixture(scope="module")
def compiling_once():
    """Trainings of one module share their compiled models; an epoch takes two executions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "compiled_model", compiled_once)
        patch.setattr(training, "STEPS_PER_EXECUTION", 2)
        yield


def compiled_once(settings, image_shape, steps):
    """Stands in for `training.compiled_model`: a used model, made as new, is ready at once."""
    fresh = compile_anew(settings, image_shape, steps)
    model = compiled.setdefault((settings.replace(**NOT_COMPILED), image_shape), fresh)
    for variable, value in zip(everything(model), everything(fresh), strict=True):
        variable.assign(value)
    model.config = settings
    return model


def everything(model):
    return [*model.variables, *model.optimizer.variables]


@pytest.fixture(scope="module")
def whole(compiling_once, tmp_path_factory):
    """A run of CONFIG that nothing disturbed; what it showed, and terms of its best weights."""
    folder = tmp_path_factory.mktemp("whole")
    with contextlib.redirect_stderr(io.StringIO()) as terminal:
        run = train(CONFIG, folder / "run", log_dir=folder / "logs", progress=True)
    return types.SimpleNamespace(
        folder=run.folder, history=run.history, elbo=elbo_of(run), terminal=terminal.getvalue()
    )


def elbo_of(run) -> np.ndarray:
    """The ELBO of the test images at fixed noise, [60]."""
    return np.asarray(run.model.elbo(dataset().test.x, toys.noise(run.model, 60)))


# --- runs on disk


def listing(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tear(path):
    path.write_bytes(path.read_bytes()[:-100])


def arrays(path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, read without the package's help."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def kept(folder, epoch) -> dict[str, np.ndarray]:
    return arrays(folder / f"weights-{epoch:06d}.npz")


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
