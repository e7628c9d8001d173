"""Cut short and restored: the same end, on the same way, with nothing lost."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import trainings
from trainings import CONFIG, EPOCHS, contents, tear, train

from vae_gmvae import callbacks, runs, storage
from vae_gmvae.config import Config

compiling_once, whole = trainings.compiling_once, trainings.whole
FULL = Path("/dev/full")


# --- a kill at every write


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


FIRST = trainings.config("model4_bias", epochs=2, consistency=2.0, strokes=0.5)
LATER = FIRST.replace(epochs=1, consistency=4.0, strokes=0.25, cooldown=1)


def test_a_later_leg_may_weigh_consistency_and_strokes_anew(tmp_path):
    """The folder says from when on; what is not finished, or begins from 0, is refused.

    Only to bend images may begin later: no state depends on it.
    """
    first, later = FIRST, LATER.replace(elastic=1.0)
    run = train(first, tmp_path / "run", finish=False)
    with pytest.raises(ValueError, match="consistency 2.0 there, 4.0 asked for, elastic 0.0"):
        train(later, run.folder, restore=True)
    run.finish()
    with pytest.raises(ValueError, match="strokes 0.5 there, 0.0 asked for"):
        train(later.replace(strokes=0.0), run.folder, restore=True)
    further = train(later, run.folder, restore=True)
    assert further.history["epoch"] == [1, 2, 3]
    assert (float(further.model.consistency), float(further.model.strokes)) == (4.0, 0.25)
    info = storage.read_json(run.folder / "config.json")
    assert Config.from_dict(info["config"]) == first
    changes = dict(epochs=1, consistency=4.0, elastic=1.0, strokes=0.25, cooldown=1)
    assert info["later"] == {"2": changes}
    train(first, run.folder, restore=True)  # back to where it began
    assert storage.read_json(run.folder / "config.json")["later"] == {"2": changes, "3": {}}


def test_a_later_leg_that_was_cut_short_goes_on_with_its_own_weights(tmp_path, monkeypatch):
    later = LATER.replace(epochs=3, cooldown=0)
    train(FIRST, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    on_epoch_end = callbacks.Checkpoints.on_epoch_end

    def killed_in_epoch_4(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt
        on_epoch_end(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Checkpoints, "on_epoch_end", killed_in_epoch_4)
        with pytest.raises(KeyboardInterrupt):
            train(later, tmp_path / "run", restore=True)
    with pytest.raises(ValueError, match="consistency 4.0 there, 2.0 asked for"):
        train(FIRST, tmp_path / "run", restore=True)
    train(later, tmp_path / "run", restore=True)
    whole = train(later, tmp_path / "whole", restore=True)
    trainings.assert_same_end(tmp_path / "run", whole.folder)


def test_where_the_loss_changes_the_best_epoch_is_one_of_the_new_leg(tmp_path):
    """A first leg that ends well must not hide what the second one trained."""
    first = FIRST.replace(epochs=40)
    later = first.replace(epochs=2, consistency=1e6)
    train(first, tmp_path / "run")
    run = train(later.replace(patience=1), tmp_path / "run", restore=True)
    values = run.history["val_elbo"]
    assert max(values[40:]) < max(values[:40])  # or there would be nothing to hide
    best = runs.load_run(run.folder, f"weights-{callbacks.best_epoch(run.history, 40):06d}")
    trainings.assert_same_arrays(runs.get_weights(run.model), runs.get_weights(best.model))


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


def waited_from(whole) -> int:
    """The best epoch, or the end of the warm-up."""
    return max(int(np.argmax(whole.history["val_elbo"])) + 1, CONFIG.kl_warmup)


def test_early_stopping_stops_a_resumed_run_where_it_would_have_stopped(tmp_path, whole):
    patient = CONFIG.replace(patience=1, epochs=9)
    stopped = train(patient, tmp_path / "stopped")
    assert stopped.epochs_done == waited_from(whole) + 1 < 9
    cut = Path(shutil.copytree(tmp_path / "stopped", tmp_path / "cut"))
    (cut / "finished.json").unlink()
    trained = train(patient, cut, restore=True)
    trainings.assert_same_end(trained.folder, stopped.folder)
    tear(trainings.newest_state(cut))
    (cut / "finished.json").unlink()
    trained = train(patient, cut, restore=True)
    trainings.assert_same_end(trained.folder, stopped.folder)


def test_a_stopped_run_can_be_trained_further(tmp_path, whole):
    patient = CONFIG.replace(patience=1, epochs=9)
    train(patient, tmp_path / "run")
    run = train(patient.replace(epochs=1), tmp_path / "run", restore=True)
    assert run.epochs_done == waited_from(whole) + 2 < 9


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
