"""Two devices train as one does: equal terms for the same batch, equal weights after some steps.

The two are logical devices of the CPU, which only a process of its own can have.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings

from vae_gmvae import devices
from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES

ROOT = Path(__file__).parents[1]
EVERYTHING = dict(x_var="auto", min_information=0.5)  # all that is of the batch, not of an image
CLUSTERING = dict(x_var="auto", y_information_weight=0.0, y_marginal_weight=10.0)
CLUSTERING |= dict(consistency=5.0, elastic=1.0, strokes=0.5)
ENGINES = [
    "tensorflow",
    pytest.param(
        "jax",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
        ),
    ),
]

TWO_DEVICES = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import toys, trainings
from vae_gmvae import devices, training
from vae_gmvae.models import build_model

def uncompiled(config, image_shape, steps):  # XLA makes other normal numbers of the same seed
    model = trainings.compile_anew(config, image_shape, steps)
    model.jit_compile, model.train_function = sys.argv[3] == "jax", None
    return model

training.compiled_model = uncompiled
assert devices.names() == ["cpu:0", "cpu:1"]
folder, said = sys.argv[1], []
for name, options in json.loads(sys.argv[2]).items():
    config = trainings.config(name, epochs=2, learning_rate=1e-3, **options)
    for distribute in (False, True):
        place = f"{folder}/{name}-{1 + distribute}"
        with devices.scope(distribute):
            model = build_model(config, toys.SHAPE)
            model.compile()
            terms = model.predict(toys.images(10), batch_size=6, verbose=0)
        np.save(f"{place}.npy", np.stack(terms))
        trainings.train(config, place, distribute=distribute, say=said.append)
assert said == ["training on cpu:0, cpu:1"] * (len(said) or 1), said
# a state of two devices goes on on one
run = trainings.train(config.replace(epochs=1), f"{folder}/{name}-2", restore=True)
assert run.history["epoch"] == [1, 2, 3]
"""


def run_on(devices, engine, script, *arguments):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    flags = {"KERAS_BACKEND": engine}
    flags["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = os.environ | flags | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_two_devices_end_where_one_does(engine, tmp_path):
    """Terms of every image, the history, and at the end weights, optimizer and generators."""
    options = {name: CLUSTERING if name in GMVAE_NAMES else EVERYTHING for name in MODEL_NAMES}
    run_on(2, engine, TWO_DEVICES, tmp_path, json.dumps(options), engine)
    for name in MODEL_NAMES:
        assert_same_terms(tmp_path, name)
        one, two = (trainings.arrays(tmp_path / f"{name}-{n}" / "state-000002.npz") for n in "12")
        assert one.keys() == two.keys()
        for key in one.keys() - {"leg"}:
            np.testing.assert_allclose(two[key], one[key], rtol=1e-4, atol=1e-5, err_msg=name)


def assert_same_terms(folder, name):
    one, two = (np.load(folder / f"{name}-{n}.npy") for n in "12")
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-5, err_msg=name)


NONFINITE = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import toys
from vae_gmvae import devices

x = toys.images(4)
x[3] = np.nan  # in the part of the second device
with devices.scope(True):
    model = toys.toy("model1")
    model.compile()
model.fit(x, batch_size=4, shuffle=False, verbose=0)
assert np.asarray(model.first_nonfinite)[0] == 1, model.first_nonfinite
"""


@pytest.mark.slow
def test_what_is_not_finite_on_the_second_device_is_noticed():
    run_on(2, "tensorflow", NONFINITE)


THREE_DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
import trainings
from vae_gmvae import training

training.VALIDATION_BATCH = 20  # of 40 images: neither is a multiple of 3
config = trainings.config(epochs=1, batch_size=33)
run = trainings.train(config, sys.argv[1], distribute=True)
assert run.epochs_done == 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_devices_that_cannot_share_the_validation_images_evenly_leave_some_out(engine, tmp_path):
    run_on(3, engine, THREE_DEVICES, tmp_path / "run")


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(devices, "names", lambda: ["gpu:0", "gpu:1", "gpu:2"])


@pytest.mark.parametrize(
    "batch_size, near", [(64, 63), (2, 3)], ids=["too many", "fewer than devices"]
)
def test_a_batch_that_the_devices_cannot_share_is_refused(three, tmp_path, batch_size, near):
    words = rf"batch_size is {batch_size}, which the 3 devices \(gpu:0, .*such as {near}"
    with pytest.raises(ValueError, match=words):
        trainings.train(trainings.config(batch_size=batch_size), tmp_path, distribute=True)
    assert trainings.listing(tmp_path) == set()


def test_dropout_is_refused_where_every_device_would_drop_the_same(three, monkeypatch):
    with pytest.raises(ValueError, match="dropout is 0.3, but on TensorFlow the 3 devices"):
        devices.check(batch_size=63, dropout=0.3, num_valid=9)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    devices.check(batch_size=63, dropout=0.3, num_valid=9)


def test_fewer_validation_images_than_devices_are_refused(three):
    with pytest.raises(ValueError, match="there are 2 validation images for 3 devices"):
        devices.check(batch_size=63, dropout=0.0, num_valid=2)


def test_one_device_is_told_and_trains_as_ever(tmp_path):
    """Without one more device to share with, dropout and any batch are welcome."""
    config, said = trainings.config(epochs=1, batch_size=31, dropout=0.2), []
    trainings.train(config, tmp_path / "with", distribute=True, say=said.append)
    trainings.train(config, tmp_path / "without")
    assert said == ["training on cpu:0"]
    trainings.assert_same_end(tmp_path / "with", tmp_path / "without")


def test_outside_a_step_a_part_is_the_batch():
    np.testing.assert_array_equal(devices.gather(np.arange(3.0)), [[0.0, 1.0, 2.0]])
    assert devices.own_rows(lambda rows: rows, 5) == 5
    assert devices.parts() == 1 and devices.even(7) == 7
