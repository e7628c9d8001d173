"""One training: what it keeps, what decides its result, which batches it takes."""

import dataclasses
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import toys
import trainings
from trainings import (
    BATCH,
    CONFIG,
    EPOCHS,
    STEPS,
    TRAIN,
    contents,
    dataset,
    kept,
    listing,
    orders,
    train,
)

from vae_gmvae import load_dataset, preset, runs, storage, training
from vae_gmvae.data import Dataset, Split

compiling_once, whole = trainings.compiling_once, trainings.whole
pytestmark = pytest.mark.usefixtures("compiling_once")

# --- what a run keeps


def test_history_has_a_row_per_epoch_and_is_kept_as_csv(whole):
    means = ["elbo", "loss", "reconstruction", "z_prior"]
    names = ["epoch", "seconds", *means, *(f"val_{name}" for name in means)]
    assert sorted(whole.history) == sorted(names)
    assert whole.history["epoch"] == [1, 2, 3, 4]
    assert {len(column) for column in whole.history.values()} == {EPOCHS}
    assert all(seconds > 0 for seconds in whole.history["seconds"])
    assert storage.read_history(whole.folder / "history.csv") == whole.history


def test_the_elbo_of_the_history_is_made_of_its_terms(whole):
    for prefix in ("", "val_"):
        elbo, reconstruction, z_prior = (
            np.array(whole.history[prefix + name]) for name in ("elbo", "reconstruction", "z_prior")
        )
        np.testing.assert_allclose(elbo, reconstruction - z_prior, rtol=1e-5)


def test_kl_weight_warms_up_and_is_what_the_loss_uses(whole):
    weights = [kept(whole.folder, epoch)["model1|kl_weight"] for epoch in (1, 2, 3, 4)]
    np.testing.assert_allclose(weights, [0, 0.5 / 3, 1 / 3, 0.5], rtol=1e-6)
    for prefix in ("", "val_"):
        loss, reconstruction, z_prior = (
            np.array(whole.history[prefix + name]) for name in ("loss", "reconstruction", "z_prior")
        )
        np.testing.assert_allclose(loss, weights * z_prior - reconstruction, rtol=1e-5)


def test_consistency_and_strokes_warm_up(tmp_path):
    weights = dict(consistency=2.0, consistency_warmup=3, strokes=0.8, strokes_warmup=2)
    train(trainings.config("model4_bias", **weights), tmp_path)
    for name, expected in {
        "consistency": [0, 2 / 3, 4 / 3, 2],
        "strokes": [0, 0.4, 0.8, 0.8],
    }.items():
        found = [kept(tmp_path, epoch)[f"model4_bias|{name}"] for epoch in (1, 2, 3, 4)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_best_and_last_weights_are_those_of_their_epochs(whole):
    best = int(np.argmax(whole.history["val_elbo"])) + 1
    assert 1 < best < EPOCHS  # else the next lines could not tell them apart
    trainings.assert_same_arrays(
        trainings.arrays(whole.folder / "best.npz"), kept(whole.folder, best)
    )
    trainings.assert_same_arrays(
        trainings.arrays(whole.folder / "last.npz"), kept(whole.folder, EPOCHS)
    )
    assert not np.array_equal(*(kept(whole.folder, e)["decoder_x|output|bias"] for e in (2, 4)))


def test_a_run_keeps_these_files_and_no_others(whole):
    states = {"state-000003.npz", "state-000004.npz"}
    weights = {"best.npz", "last.npz", *(f"weights-{epoch:06d}.npz" for epoch in (1, 2, 3, 4))}
    assert (
        listing(whole.folder) == {"config.json", "history.csv", "finished.json"} | states | weights
    )


def test_save_step_decides_which_weights_are_kept(tmp_path, whole):
    train(CONFIG.replace(save_step=3), tmp_path)
    assert {name for name in listing(tmp_path) if "weights" in name} == {"weights-000003.npz"}
    trainings.assert_same_arrays(kept(tmp_path, 3), kept(whole.folder, 3))


def test_a_loaded_run_is_the_run_that_was_trained(whole):
    run = runs.load_run(whole.folder)
    assert run.config == CONFIG and run.history == whole.history and run.metrics == {}
    assert run.folder == whole.folder and run.epochs_done == EPOCHS
    assert not np.array_equal(whole.elbo, trainings.elbo_of(runs.load_run(whole.folder, "last")))
    np.testing.assert_array_equal(trainings.elbo_of(run), whole.elbo)
    metrics = whole.folder / "metrics.json"
    metrics.write_text('{"elbo": -1.0}')
    assert runs.load_run(whole.folder).metrics == {"elbo": -1.0}
    metrics.unlink()


def test_weights_kept_on_the_way_can_be_loaded(whole):
    best = int(np.argmax(whole.history["val_elbo"])) + 1
    run = runs.load_run(str(whole.folder), f"weights-{best:06d}")
    np.testing.assert_array_equal(trainings.elbo_of(run), whole.elbo)
    with pytest.raises(FileNotFoundError, match="no weights at .*weights-000009.npz"):
        runs.load_run(whole.folder, "weights-000009")


@pytest.mark.parametrize("name", ["best", "last"])
def test_torn_weights_are_named_and_the_others_still_load(tmp_path, whole, name):
    folder = Path(shutil.copytree(whole.folder, tmp_path / "copy"))
    trainings.tear(folder / f"{name}.npz")
    with pytest.raises(ValueError, match=f"copy/{name}.npz is damaged .*: put back a copy of it"):
        runs.load_run(folder, name)
    runs.load_run(folder, {"best": "last", "last": "best"}[name])


def test_the_terminal_shows_epoch_terms_and_time_left(whole):
    lines = whole.terminal.replace("\r", "\n").strip().split("\n")
    assert f"epoch 1/{EPOCHS}" in whole.terminal and "left" in whole.terminal
    h = {name: column[-1] for name, column in whole.history.items()}
    assert lines[-1].startswith(f"epoch {EPOCHS}/{EPOCHS} 100%|") and lines[-1].endswith(
        f"00:00 left, elbo {h['elbo']:.1f}, reconstruction {h['reconstruction']:.1f}, "
        f"z_prior {h['z_prior']:.1f}, val_elbo {h['val_elbo']:.1f}"
    )


def test_a_run_without_a_folder_keeps_nothing(tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = train(CONFIG)
    assert run.folder is None and listing(tmp_path) == set()
    np.testing.assert_array_equal(trainings.elbo_of(run), whole.elbo)
    with pytest.raises(ValueError, match="restore is True but folder is None"):
        train(CONFIG, restore=True)


# --- what decides the result


def test_compiled_anew_the_same_run_has_the_same_weights(tmp_path, monkeypatch, whole):
    """Also without labels, logs and progress, and with another number of steps at a time."""
    monkeypatch.setattr(training, "compiled_model", trainings.compile_anew)
    monkeypatch.setattr(training, "STEPS_PER_EXECUTION", 50)
    labelled = dataset()
    parts = (Split(split.x) for split in (labelled.train, labelled.valid, labelled.test))
    train(CONFIG, tmp_path, Dataset("toy", *parts, "memory"))
    trainings.assert_same_end(tmp_path, whole.folder)


def test_another_seed_has_other_weights(tmp_path, whole):
    train(CONFIG.replace(seed=1, epochs=1), tmp_path)
    ours, theirs = (kept(folder, 1) for folder in (tmp_path, whole.folder))
    for name in ("decoder_x|output|kernel", "encoder_z_mean|kernel"):
        assert np.abs(ours[name] - theirs[name]).min() > 0


# --- batches


def batches(num=TRAIN, **options):
    x = np.arange(num, dtype="float32").reshape(num, 1, 1, 1)
    return training.ShuffledBatches(x, trainings.config(**options))


def test_an_epoch_takes_no_image_twice_and_leaves_out_the_last_few():
    found = orders(batches(), range(40)).reshape(40, STEPS * BATCH)
    assert all(len(set(rows)) == STEPS * BATCH for rows in found)
    assert found.min() == 0 and found.max() == TRAIN - 1
    left_out = np.array([np.isin(np.arange(TRAIN), rows, invert=True) for rows in found])
    assert (left_out.sum(axis=1) == TRAIN - STEPS * BATCH).all()
    assert left_out.any(axis=0).mean() > 0.9  # other ones each time


def test_seed_and_epoch_alone_decide_the_order():
    first = orders(batches(), range(5))
    np.testing.assert_array_equal(orders(batches(learning_rate=1.0), [3, 1]), first[[3, 1]])
    assert len({rows.tobytes() for rows in first}) == 5
    others = orders(batches(seed=1), range(5))
    assert not {rows.tobytes() for rows in others} & {rows.tobytes() for rows in first}


def test_a_full_last_batch_is_kept():
    assert sorted(orders(batches(num=96), [0]).ravel()) == list(range(96))
    assert sorted(orders(batches(num=BATCH), [7]).ravel()) == list(range(BATCH))


class Probe(keras.Model):
    """Remembers the batches that `fit` feeds it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def train_step(self, x):
        self.seen.append(np.ravel(x).astype(int))
        return {"loss": 0.0}


def test_fit_is_fed_these_batches():
    """From a later epoch on, as after a restore."""
    parts, probe = batches(), Probe()
    probe.compile(run_eagerly=True, steps_per_execution=2)
    epochs = dict(initial_epoch=2, epochs=6, shuffle=False, verbose=0)
    probe.fit(parts.dataset(), callbacks=[parts], **epochs)
    expected = orders(parts, range(2, 6)).reshape(-1, BATCH)
    np.testing.assert_array_equal(probe.seen, expected)


def test_every_step_of_every_epoch_is_taken(whole):
    assert STEPS % training.STEPS_PER_EXECUTION  # the last execution is a short one
    assert kept(whole.folder, EPOCHS)["model1|steps_seen"] == EPOCHS * STEPS


# --- bad input: nothing is written


@pytest.mark.parametrize(
    "settings, shape, message",
    [
        (CONFIG.replace(batch_size=111), toys.SHAPE, "batch_size is 111, but .*toy has 110 images"),
        (CONFIG.replace(batch_size=33, subset=32), toys.SHAPE, "batch_size is 33, .* has 32 image"),
        (CONFIG, (8, 3, 1), r"image_shape is \(8, 3, 1\)"),
        (CONFIG.replace(binarise="sampled"), toys.SHAPE, "'sampled', but .* toy .* with 'none'"),
    ],
    ids=["batch", "subset", "image", "binarise"],
)
def test_bad_values_are_refused_before_anything_is_written(tmp_path, settings, shape, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("an earlier run")
    with pytest.raises(ValueError, match=message):
        train(settings, tmp_path / "run", dataset(shape))
    assert listing(tmp_path) == {"run"}
    assert contents(tmp_path / "run") == {"config.json": b"an earlier run"}


def test_restoring_another_configuration_is_refused(tmp_path, whole):
    before = contents(whole.folder)
    with pytest.raises(ValueError, match="z_dim 2 there, 3 asked for.*hidden_dim 8 there, 9 asked"):
        train(CONFIG.replace(z_dim=3, hidden_dim=9), whole.folder, restore=True)
    with pytest.raises(ValueError, match=r"does not fit model1 on images of shape \(9, 8, 1\)"):
        train(CONFIG, whole.folder, dataset((9, 8, 1)), restore=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint to restore in .*/none"):
        train(CONFIG, tmp_path / "none", restore=True)
    assert contents(whole.folder) == before and listing(tmp_path) == set()


def test_a_run_of_the_same_name_and_its_logs_are_kept(tmp_path, whole):
    short = CONFIG.replace(epochs=1)
    places = dict(folder=tmp_path / "run", log_dir=tmp_path / "log")
    train(short, **places)
    before, curves = contents(tmp_path / "run"), contents(tmp_path / "log" / "train")
    said = []
    train(short, **places, say=said.append)
    assert listing(tmp_path) == {"run", "run~1", "log"}
    parts = {"train", "valid", "embed"}
    assert listing(tmp_path / "log") == parts | {f"{part}~1" for part in parts}
    assert contents(tmp_path / "run~1") == before
    assert contents(tmp_path / "log" / "train~1") == curves
    assert not curves.keys() & listing(tmp_path / "log" / "train")
    assert "kept as" in said[0] and str(tmp_path / "run~1") in said[0]


def test_what_lies_beside_the_logs_stays(tmp_path):
    for name in ("one", "two"):
        train(CONFIG.replace(epochs=1), tmp_path / name, log_dir=tmp_path)
    assert {"one", "two", "train", "train~1"} <= listing(tmp_path)


def test_a_training_cools_down(tmp_path):
    run = train(CONFIG.replace(cooldown=2, epochs=3), tmp_path)
    rate = float(run.model.optimizer.learning_rate)
    assert rate == pytest.approx(CONFIG.learning_rate / 3)


def test_patience_begins_when_the_warm_up_has_ended(tmp_path):
    """A model that cannot learn gets worse, if anything: its learning rate is tiny."""
    slow = CONFIG.replace(learning_rate=1e-12, patience=1, kl_warmup=4, epochs=9)
    run = train(slow, tmp_path)
    assert 4 < run.epochs_done < 9


def test_metrics_of_other_weights_do_not_stay(tmp_path):
    train(CONFIG.replace(epochs=1), tmp_path)
    (tmp_path / "metrics.json").write_text('{"elbo": 1.0}')
    assert runs.load_run(tmp_path).metrics == {"elbo": 1.0}
    assert runs.load_run(tmp_path, "last").metrics == {}  # they are of the best weights
    run = train(CONFIG.replace(epochs=1), tmp_path, restore=True)
    assert run.history["val_elbo"][1] > run.history["val_elbo"][0]
    assert runs.load_run(tmp_path).metrics == {}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            dict(valid=Split(np.zeros((0, 8, 8, 1), "float32"), None)),
            "toy has no validation images",
        ),
        (dict(train=Split(np.full((64, 8, 8, 1), 200, "uint8"), None)), "from 200 to 200"),
    ],
    ids=["none", "bytes"],
)
def test_a_dataset_that_cannot_be_trained_on_is_refused(tmp_path, change, message):
    data = dataclasses.replace(dataset((8, 8, 1)), **change)
    with pytest.raises(ValueError, match=message):
        train(CONFIG, tmp_path / "run", data)
    assert listing(tmp_path) == set()


# --- real data


@pytest.mark.data
def test_a_few_real_digits_are_learnt(data_dir):
    settings = preset("smoke", "model1", "MNIST")
    run = train(settings, data=load_dataset("MNIST", data_dir))
    assert int(run.model.steps_seen) == 2 * (640 // 64)
    assert run.history["val_elbo"][0] < run.history["val_elbo"][1]
