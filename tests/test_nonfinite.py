"""A loss that stops being finite: the run ends, says where, and keeps its last good state."""

import contextlib
import io

import numpy as np
import pytest
import trainings
from trainings import CONFIG, dataset, kept, listing, orders, train

from vae_gmvae import training
from vae_gmvae.callbacks import NonFiniteLossError
from vae_gmvae.data import Dataset, Split

compiling_once, whole = trainings.compiling_once, trainings.whole
pytestmark = pytest.mark.usefixtures("compiling_once")


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
    with pytest.raises(NonFiniteLossError, match=message):
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
        with pytest.raises(NonFiniteLossError, match=message):
            train(CONFIG, tmp_path / str(step), data)
        assert listing(tmp_path / str(step)) == {"config.json"}


def test_a_loss_that_is_not_finite_at_validation_ends_the_run(tmp_path):
    message = "reconstruction and z_prior .* epoch 1, validation after training step 3: "
    with pytest.raises(NonFiniteLossError, match=message):
        train(CONFIG, tmp_path, poisoned("valid", 7))
    assert listing(tmp_path) == {"config.json"}


def test_the_progress_bar_is_closed_after_an_error(tmp_path):
    """The error, as long as it lives, keeps the bar from closing itself."""
    with contextlib.redirect_stderr(io.StringIO()) as terminal:
        with pytest.raises(NonFiniteLossError) as error:
            train(CONFIG, tmp_path, poisoned("valid", 7), progress=True)
        assert terminal.getvalue().endswith("\n"), error


def test_the_naive_mixture_density_underflows_and_is_named(tmp_path):
    """A hundred dimensions: log p(z) is below -104 nats, where float32 knows only log 0."""
    naive = trainings.config("model3", mixture_density="naive", z_dim=100)
    with pytest.raises(NonFiniteLossError, match="^z_prior .* epoch 1, training step 1:"):
        train(naive, tmp_path)
