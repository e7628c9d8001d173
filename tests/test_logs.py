"""TensorBoard's logs, read back by TensorBoard itself."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
import toys
import trainings
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from tensorboard.util.tensor_util import make_ndarray
from trainings import dataset, train
from werkzeug.test import Client

from vae_gmvae import logs, runs
from vae_gmvae.data import Split

compiling_once = trainings.compiling_once
pytestmark = pytest.mark.usefixtures("compiling_once")
CONFIG = trainings.config(learning_rate=0.3)


@pytest.fixture(scope="module")
def trained(compiling_once, tmp_path_factory):
    """A run of two epochs restored for two more, with the folder of its logs."""
    folder = tmp_path_factory.mktemp("logged")
    places, half = dict(folder=folder / "run", log_dir=folder / "logs"), CONFIG.replace(epochs=2)
    train(half, **places)
    return train(half, **places, restore=True), folder / "logs"


def events(folder) -> dict[str, list[tuple[int, np.ndarray]]]:
    """(step, value) by tag."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto)) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


# --- scalars and histograms


@pytest.mark.parametrize("phase, prefix", [("train", ""), ("valid", "val_")])
def test_every_term_is_a_curve_of_every_epoch(trained, phase, prefix):
    run, folder = trained
    found = events(folder / phase)
    names = {"elbo", "loss", "reconstruction", "z_prior"}
    assert found.keys() - {"z"} == names
    for name in names:
        expected = enumerate(np.float32(run.history[prefix + name]), start=1)
        assert found[name] == [*expected], name


def test_histograms_hold_the_codes_of_the_first_600_images(tmp_path):
    model, x = toys.toy("model4_bias", w_dim=3), toys.images(700)
    log = logs.TensorBoardLog(tmp_path, x)
    log.set_model(model)
    log.on_epoch_end(4, {"val_elbo": 1.0})
    log.on_train_end()
    found, codes = events(tmp_path / "valid"), model.encode(x[:600])
    assert found.keys() == {"elbo", "z", "w"}
    for name, dim in (("z", 2), ("w", 3)):
        ((step, buckets),) = found[name]  # [bins, 3]: left, right, count
        values = getattr(codes, name).mean.numpy()
        assert step == 5 and buckets[:, 2].sum() == 600 * dim == values.size
        ends = buckets[[0, -1], [0, 1]]
        np.testing.assert_allclose(ends, [values.min(), values.max()], rtol=1e-5)
        edges = np.append(buckets[:, 0], buckets[-1, 1])
        counts, _ = np.histogram(values, edges)
        assert np.abs(np.cumsum(counts) - np.cumsum(buckets[:, 2])).max() <= 2  # rounded edges


def test_a_run_trained_with_logs_has_a_histogram_per_epoch(trained):
    assert [step for step, _ in events(trained[1] / "valid")["z"]] == [1, 2, 3, 4]


def test_curves_reach_the_disk_before_the_checkpoint(tmp_path, monkeypatch):
    """So that a run killed after it leaves no gap."""
    seen, save_state = [], runs.save_state

    def look(folder, model, leg):
        seen.append([step for step, _ in events(tmp_path / "logs" / "valid")["elbo"]])
        save_state(folder, model, leg)

    monkeypatch.setattr(runs, "save_state", look)
    train(CONFIG.replace(epochs=2), tmp_path / "run", log_dir=tmp_path / "logs")
    assert seen == [[1], [1, 2]]


# --- the embedding projector


class Projector:
    """TensorBoard's projector plugin on a folder of logs, as `tensorboard --logdir` starts it."""

    def __init__(self, folder):
        runs_found = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
        provider = MultiplexerDataProvider(runs_found, str(folder))
        plugin = ProjectorPlugin(TBContext(data_provider=provider, logdir=str(folder)))
        self.apps = plugin.get_plugin_apps()

    def get(self, route, **query) -> bytes:
        response = Client(self.apps[route]).get(query_string=query)
        assert response.status_code == 200, response.text
        return response.data

    def embeddings(self, run) -> dict[str, dict]:
        found = json.loads(self.get("/info", run=run))["embeddings"]
        return {embedding["tensorName"]: embedding for embedding in found}

    def tensor(self, run, name, shape) -> np.ndarray:
        return np.frombuffer(self.get("/tensor", run=run, name=name), "float32").reshape(shape)

    def sprite(self, run, name) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.get("/sprite_image", run=run, name=name))))


def test_tensorboard_shows_the_best_codes_of_a_training(trained):
    run, folder = trained
    assert json.loads(Projector(folder.parent).get("/runs")) == ["logs/embed"]
    served = Projector(folder)
    assert json.loads(served.get("/runs")) == ["embed"]
    x = dataset().test.x
    best, last = (
        runs.load_run(run.folder, name).model.encode_z(x).mean.numpy() for name in ("best", "last")
    )
    found = served.tensor("embed", "z", (60, 2))
    np.testing.assert_allclose(found, best, rtol=1e-5, atol=1e-6)
    assert np.abs(best - last).max() > 0.01


@pytest.mark.parametrize(
    "model_name, shape, num, labelled",
    [
        ("model5", (28, 28, 1), 700, True),
        ("model2", (28, 20, 1), 700, False),
        ("model1", (8, 8, 1), 6, True),
    ],
    ids=["mnist", "frey", "few"],
)
def test_projector_serves_codes_labels_and_sprites(tmp_path, model_name, shape, num, labelled):
    model = toys.toy(model_name, shape, w_dim=3)
    x = np.round(255 * toys.images(num, shape)) / np.float32(255)
    labels = np.random.default_rng(0).integers(0, 10, num) if labelled else None
    logs.write_projector(tmp_path / "embed", model, Split(x, labels))
    shown, served = min(num, 600), Projector(tmp_path)
    dims = {"z": 2, "w": 3} if model_name == "model5" else {"z": 2}
    found = served.embeddings("embed")
    assert found.keys() == dims.keys()
    for name, dim in dims.items():
        assert found[name]["tensorShape"] == [shown, dim]
        codes = getattr(model.encode(x[:shown]), name).mean
        np.testing.assert_allclose(
            served.tensor("embed", name, (shown, dim)), codes, rtol=1e-5, atol=1e-6
        )
        assert found[name]["sprite"]["singleImageDim"] == [shape[1], shape[0]]  # width first
        sheet = served.sprite("embed", name)
        np.testing.assert_array_equal(sprites(sheet, shape, shown), x[:shown])
        assert ("metadataPath" in found[name]) == labelled
        if labelled:
            lines = served.get("/metadata", run="embed", name=name).decode().split()
            assert lines == [str(label) for label in labels[:shown]]


def sprites(sheet, shape, num) -> np.ndarray:
    """The images on a sheet of dark digits on white, read row by row, [num, H, W, 1]."""
    rows, columns = sheet.shape[0] // shape[0], sheet.shape[1] // shape[1]
    tiles = sheet.reshape(rows, shape[0], columns, shape[1]).swapaxes(1, 2)
    return (255 - tiles.reshape(-1, *shape)[:num]) / np.float32(255)


# --- folders that cannot be written


def test_a_file_in_place_of_the_log_folder_is_named(tmp_path):
    (tmp_path / "logs").write_text("not a folder")
    message = f"logs could not be written to {tmp_path}/logs.*choose another folder"
    with pytest.raises(OSError, match=message):
        train(CONFIG, tmp_path / "run", log_dir=tmp_path / "logs")
    with pytest.raises(OSError, match=message):
        logs.write_projector(tmp_path / "logs", toys.shared("model1"), dataset().test)


def test_a_full_disk_is_an_oserror(tmp_path, monkeypatch):
    """TensorFlow has errors of its own for it."""
    log = logs.TensorBoardLog(tmp_path, dataset().valid.x)
    log.set_model(toys.shared("model1"))
    full = tf.errors.ResourceExhaustedError(None, None, "No space left on device")
    monkeypatch.setattr(log.writers["train"], "flush", lambda: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="No space left on device.*make room"):
        log.on_epoch_end(0, {"elbo": 1.0})
