"""The same models on Keras's JAX backend: equal terms for equal noise, and training runs through.

Skipped where JAX is not installed: pip install "vae-gmvae[jax]".
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys

from vae_gmvae import runs
from vae_gmvae.config import GMVAE_NAMES, MODEL_NAMES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
)
ROOT = Path(__file__).parents[1]
CLUSTERING = dict(y_information_weight=0.0, y_marginal_weight=10.0)
CLUSTERING |= dict(consistency=5.0, elastic=1.0, strokes=0.5)

IN_JAX = """
import json, sys
import keras, numpy as np
import toys, trainings
from vae_gmvae import runs
from vae_gmvae.models import Latents

assert keras.backend.backend() == "jax"
for name in sys.argv[2:]:
    given = dict(np.load(f"{sys.argv[1]}/{name}.npz"))
    options = json.loads(str(given.pop("options")))
    x, z, w = (given.pop(key) for key in ("x", "z", "w"))
    model = toys.toy(name, **options)
    runs.set_weights(model, {key.replace("|", "/"): value for key, value in given.items()})
    eps = Latents(z, w if model.config.is_gmvae else None)
    np.save(f"{sys.argv[1]}/{name}_terms.npy", np.stack(model.elbo_terms(x, eps)))
    run = trainings.train(trainings.config(name, epochs=2, **options))
    assert run.history["epoch"] == [1, 2]
    assert np.isfinite(run.history["val_elbo"]).all(), run.history
"""


@pytest.mark.slow
def test_terms_are_equal_and_training_runs_through(tmp_path):
    expected = {}
    for name in MODEL_NAMES:
        options = CLUSTERING if name in GMVAE_NAMES else {}
        model = toys.scrambled(toys.shared(name, **options), scale=0.1)
        x, eps = toys.images(5), toys.noise(model, 5)
        expected[name] = np.stack(model.elbo_terms(x, eps))
        weights = {key.replace("/", "|"): v for key, v in runs.get_weights(model).items()}
        w = np.zeros((5, 2)) if eps.w is None else eps.w
        np.savez(
            tmp_path / f"{name}.npz", options=json.dumps(options), x=x, z=eps.z, w=w, **weights
        )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    command = [sys.executable, "-c", IN_JAX, str(tmp_path), *MODEL_NAMES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, terms in expected.items():
        found = np.load(tmp_path / f"{name}_terms.npy")
        np.testing.assert_allclose(found, terms, rtol=1e-5, atol=1e-5, err_msg=name)
