"""Trainings whole and cut short: what is kept, what is restored, and what stops them."""

import contextlib
import io
import os
import shutil
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import toys
import trainings
from trainings import BATCH, EPOCHS, STEPS, TRAIN, compiling_once, dataset, train

from vae_gmvae import callbacks, load_dataset, preset, runs, storage, training
from vae_gmvae.data import Dataset, Split

pytestmark = pytest.mark.usefixtures(compiling_once.__name__)

# The wild learning rate makes epoch 2 the best one.
CONFIG = trainings.config(learning_rate=0.3, kl_weight=0.5, kl_warmup=3)
FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def whole(compiling_once, tmp_path_factory):
    """A run that nothing disturbed, what it showed and the folder of its logs."""
    folder = tmp_path_factory.mktemp("whole")
    with contextlib.redirect_stderr(io.StringIO()) as terminal:
        run = train(CONFIG, folder / "run", log_dir=folder / "logs", progress=True)
    terms = run.model.elbo_terms(dataset().test.x, toys.noise(run.model, 60))
    return types.SimpleNamespace(
        folder=run.folder, history=run.history, terms=terms, terminal=terminal.getvalue()
    )


def listing(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def kept(folder, epoch):
    return trainings.arrays(folder / f"weights-{epoch:06d}.npz")


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
    assert not np.array_equal(whole.terms.elbo, elbo_of(runs.load_run(whole.folder, "last")))
    np.testing.assert_array_equal(elbo_of(run), whole.terms.elbo)
    run.save_metrics({"elbo": -1.0})
    assert runs.load_run(whole.folder).metrics == {"elbo": -1.0}
    (whole.folder / "metrics.json").unlink()


def elbo_of(run):
    return run.model.elbo(dataset().test.x, toys.noise(run.model, 60))


def test_weights_kept_on_the_way_can_be_loaded(whole):
    best = int(np.argmax(whole.history["val_elbo"])) + 1
    run = runs.load_run(str(whole.folder), f"weights-{best:06d}")
    np.testing.assert_array_equal(elbo_of(run), whole.terms.elbo)
    with pytest.raises(FileNotFoundError, match="no weights at .*weights-000009.npz"):
        runs.load_run(whole.folder, "weights-000009")


@pytest.mark.parametrize("name", ["best", "last"])
def test_torn_weights_are_named_and_the_others_still_load(tmp_path, whole, name):
    folder = Path(shutil.copytree(whole.folder, tmp_path / "copy"))
    tear(folder / f"{name}.npz")
    with pytest.raises(ValueError, match=f"copy/{name}.npz is damaged .*: put back a copy of it"):
        runs.load_run(folder, name)
    runs.load_run(folder, {"best": "last", "last": "best"}[name])


def tear(path):
    path.write_bytes(path.read_bytes()[:-100])


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
    np.testing.assert_array_equal(elbo_of(run), whole.terms.elbo)
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


def orders(parts, epochs):
    """The row numbers of each epoch, [epochs, steps, batch_size]."""
    found = []
    for epoch in epochs:
        parts.on_epoch_begin(epoch)
        found.append(parts.order())
    return np.array(found)


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
    ],
    ids=["batch", "subset", "image"],
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
    short, places = (
        CONFIG.replace(epochs=1),
        dict(folder=tmp_path / "run", log_dir=tmp_path / "log"),
    )
    train(short, **places)
    before, curves = contents(tmp_path / "run"), contents(tmp_path / "log" / "train")
    said = []
    train(short, **places, say=said.append)
    assert listing(tmp_path) == {"run", "run~1", "log"}
    assert listing(tmp_path / "log") == {
        *("train", "valid", "embed"),
        *("train~1", "valid~1", "embed~1"),
    }
    assert contents(tmp_path / "run~1") == before
    assert contents(tmp_path / "log" / "train~1") == curves
    assert not curves.keys() & listing(tmp_path / "log" / "train")
    assert "kept as" in said[0] and str(tmp_path / "run~1") in said[0]


# --- cut short and restored


@pytest.fixture(scope="module")
def moments(whole, tmp_path_factory):
    """The run's folder as a kill would leave it just before each of its writes takes its place."""
    place, found, replace = tmp_path_factory.mktemp("moments"), [], os.replace

    def keep(source, target):
        found.append(place / f"{len(found):02d} {Path(target).name}")
        shutil.copytree(place / "run", found[-1])
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", keep)
        train(CONFIG, place / "run")
    trainings.assert_same_end(place / "run", whole.folder)
    return found


def resumed(moment, place, **options):
    """A copy of the folder in which the run was restored, or started where there was none yet."""
    folder, said = Path(shutil.copytree(moment, place / moment.name)), []
    restore = (folder / "config.json").exists()
    train(CONFIG, folder, restore=restore, say=said.append, **options)
    return folder, said


def test_a_run_cut_short_before_any_write_ends_as_the_whole_one(tmp_path, moments, whole):
    names = [moment.name[3:] for moment in moments]
    assert names[0] == "config.json" and names[-1] == "finished.json"
    assert names.count("best.npz") >= 2 and names.count("last.npz") == EPOCHS
    for moment in moments:
        assert any(moment.glob(".*.partial"))
        folder, _ = resumed(moment, tmp_path)
        trainings.assert_same_end(folder, whole.folder)


def test_a_restored_run_says_where_it_goes_on(tmp_path, moments):
    first, later = (
        next(moment for moment in moments if name in moment.name)
        for name in ("best.npz", "state-000003")
    )
    folder, said = resumed(first, tmp_path)
    assert said == [f"{folder} was cut short before its first checkpoint: starting from epoch 1"]
    with contextlib.redirect_stderr(io.StringIO()) as terminal:
        folder, said = resumed(later, tmp_path, progress=True)
    assert said == [f"restored epoch 2 of {folder}; training to epoch 4"]
    shown = terminal.getvalue()
    assert "epoch 3/4" in shown and "epoch 2/4" not in shown and "epoch 4/4 100%" in shown


def test_a_torn_newest_state_still_ends_as_the_whole_run(tmp_path, moments, whole):
    folder = Path(shutil.copytree(moments[-1], tmp_path / "torn"))
    tear(folder / "state-000004.npz")
    said = []
    train(CONFIG, folder, restore=True, say=said.append)
    assert "state-000004.npz is damaged: falling back" in said[0]
    assert "restored epoch 3" in said[1]
    trainings.assert_same_end(folder, whole.folder)


def test_when_all_states_are_torn_nothing_is_touched(tmp_path, whole):
    folder = Path(shutil.copytree(whole.folder, tmp_path / "torn"))
    for path in folder.glob("state-*"):
        tear(path)
    before = contents(folder)
    with pytest.raises(ValueError, match="every checkpoint in .*torn is damaged"):
        train(CONFIG, folder, restore=True)
    assert contents(folder) == before


@pytest.mark.parametrize("torn", [False, True])
def test_a_finished_run_trains_as_many_more_epochs(tmp_path, whole, torn):
    """Two and two make four, the same as four at once; a damaged state costs only time."""
    half = CONFIG.replace(epochs=2)
    train(half, tmp_path / "run")
    if torn:
        tear(tmp_path / "run" / "state-000002.npz")
    run = train(half, tmp_path / "run", restore=True)
    assert run.history["epoch"] == [1, 2, 3, 4]
    trainings.assert_same_end(tmp_path / "run", whole.folder)


def test_an_unfinished_end_is_not_trained_further(tmp_path, moments, whole):
    """With `finish=False` the run is called finished later, by `run.finish()`."""
    run = train(CONFIG.replace(epochs=2), tmp_path / "run", finish=False)
    before = contents(run.folder)
    again = train(CONFIG.replace(epochs=2), run.folder, restore=True, finish=False)
    assert contents(run.folder) == before and again.history == run.history
    again.finish()
    train(CONFIG.replace(epochs=2), run.folder, restore=True)
    trainings.assert_same_end(run.folder, whole.folder)


# --- early stopping


def test_early_stopping_stops_a_resumed_run_where_it_would_have_stopped(tmp_path, whole):
    best = int(np.argmax(whole.history["val_elbo"])) + 1
    patient = CONFIG.replace(patience=1, epochs=9)
    stopped = train(patient, tmp_path / "stopped")
    assert stopped.epochs_done == best + 1 < 9
    cut = Path(shutil.copytree(tmp_path / "stopped", tmp_path / "cut"))
    (cut / "finished.json").unlink()
    trained = train(patient, cut, restore=True)
    trainings.assert_same_end(trained.folder, stopped.folder)
    tear(trainings.newest_state(cut))
    (cut / "finished.json").unlink()
    trained = train(patient, cut, restore=True)
    trainings.assert_same_end(trained.folder, stopped.folder)


def test_a_stopped_run_can_be_trained_further(tmp_path, whole):
    best = int(np.argmax(whole.history["val_elbo"])) + 1
    patient = CONFIG.replace(patience=1)
    train(patient, tmp_path / "run")
    run = train(patient.replace(epochs=1), tmp_path / "run", restore=True)
    assert run.epochs_done == best + 2


# --- a loss that is not finite


def first_seen_in(epoch) -> tuple[int, int]:
    """An image that no batch holds before that epoch (from 0), and its step there (from 1)."""
    parts = training.ShuffledBatches(dataset().train.x, CONFIG)
    *before, last = orders(parts, range(epoch + 1))
    (step, column), *_ = np.argwhere(np.isin(last, np.array(before), invert=True))
    return last[step, column], step + 1


def poisoned(part, image) -> Dataset:
    """The data with one pixel of one image missing."""
    splits = {name: getattr(dataset(), name) for name in ("train", "valid", "test")}
    x = splits[part].x.copy()
    x[image, 3, 4] = np.nan
    return Dataset("toy", **splits | {part: Split(x)}, source="memory")


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_state(tmp_path, whole):
    image, step = first_seen_in(epoch=2)
    message = f"reconstruction and z_prior stopped being finite in epoch 3, training step {step}: "
    with pytest.raises(callbacks.NonFiniteLossError, match=message):
        train(CONFIG, tmp_path, poisoned("train", image))
    assert {"best.npz", "state-000001.npz", "state-000002.npz"} < listing(tmp_path)
    assert not {"state-000003.npz", "weights-000003.npz", "finished.json"} & listing(tmp_path)
    trainings.assert_same_arrays(trainings.arrays(tmp_path / "last.npz"), kept(whole.folder, 2))
    train(CONFIG, tmp_path, restore=True)  # the image being mended
    trainings.assert_same_end(tmp_path, whole.folder)


def test_the_step_is_right_in_every_execution_of_an_epoch(tmp_path):
    """Three steps are two executions: the loss is looked at after steps 2 and 3."""
    rows = orders(training.ShuffledBatches(dataset().train.x, CONFIG), [0])[0]
    for step in (1, 2, 3):
        data, message = poisoned("train", rows[step - 1, 5]), f"epoch 1, training step {step}:"
        with pytest.raises(callbacks.NonFiniteLossError, match=message):
            train(CONFIG, tmp_path / str(step), data)
        assert listing(tmp_path / str(step)) == {"config.json"}


def test_a_loss_that_is_not_finite_at_validation_ends_the_run(tmp_path):
    message = "reconstruction and z_prior .* epoch 1, validation after training step 3: "
    with pytest.raises(callbacks.NonFiniteLossError, match=message):
        train(CONFIG, tmp_path, poisoned("valid", 7))
    assert listing(tmp_path) == {"config.json"}


def test_the_progress_bar_is_closed_after_an_error(tmp_path):
    with contextlib.redirect_stderr(io.StringIO()) as terminal:
        with pytest.raises(callbacks.NonFiniteLossError):
            train(CONFIG, tmp_path, poisoned("valid", 7), progress=True)
        assert terminal.getvalue().endswith("\n")


def test_the_naive_mixture_density_underflows_and_is_named(tmp_path):
    """A hundred dimensions: log p(z) is below -104 nats, where float32 knows only log 0."""
    naive = trainings.config("model3", mixture_density="naive", z_dim=100)
    with pytest.raises(callbacks.NonFiniteLossError, match="^z_prior .* epoch 1, training step 1:"):
        train(naive, tmp_path)


# --- a disk that is full


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("name", ["best.npz", "last.npz", "history.csv", "state-000002.npz"])
def test_a_full_disk_ends_the_run_and_the_old_files_stay(tmp_path, monkeypatch, whole, name):
    on_epoch_end, folder = callbacks.Checkpoints.on_epoch_end, tmp_path / "run"

    def fill_in_epoch_2(self, epoch, logs=None):
        if epoch == 1:
            before.update(contents(folder))
            (folder / f".{name}.{os.getpid()}.partial").symlink_to(FULL)
        on_epoch_end(self, epoch, logs)

    before = {}
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Checkpoints, "on_epoch_end", fill_in_epoch_2)
        with pytest.raises(OSError, match=f"{name} could not be written .No space left on device"):
            train(CONFIG, folder)
    after = contents(folder)
    assert after["state-000001.npz"] == before["state-000001.npz"]
    assert after.get(name) == before.get(name)
    assert not [path for path in after if "partial" in path]
    assert runs.load_run(folder).epochs_done in (1, 2)
    train(CONFIG, folder, restore=True)
    trainings.assert_same_end(folder, whole.folder)


# --- real data


@pytest.mark.data
def test_a_few_real_digits_are_learnt(data_dir):
    settings = preset("smoke", "model1", "MNIST")
    run = train(settings, data=load_dataset("MNIST", data_dir))
    assert int(run.model.steps_seen) == 2 * (640 // 64)
    assert run.history["val_elbo"][0] < run.history["val_elbo"][1]
