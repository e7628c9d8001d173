"""The parts of the training loop, each by itself."""

import contextlib
import io
import re
import types
from unittest import mock

import keras
import numpy as np
import pytest
import toys

from vae_gmvae import callbacks, runs, storage

CONFIG = toys.tiny("model1")


def history(*val_elbo) -> dict[str, list]:
    return {"epoch": [*range(1, len(val_elbo) + 1)], "val_elbo": [float(v) for v in val_elbo]}


# --- early stopping


def stops_after(val_elbo, patience, first_epoch=0):
    """The epoch after which training stops, given all validation ELBOs; None if it never does."""
    for epoch in range(max(first_epoch, 1), len(val_elbo) + 1):
        seen = history(*val_elbo[:epoch])
        if callbacks.EarlyStopping(seen, patience, first_epoch).is_due():
            return epoch
    return None


FALLING = [-5, -3, -4, -4, -4, -4, -4, -4]


@pytest.mark.parametrize("patience, epoch", [(0, None), (1, 3), (2, 4), (5, 7), (7, None)])
def test_early_stopping_waits_for_as_long_as_it_was_told(patience, epoch):
    assert stops_after(FALLING, patience) == epoch


def test_only_a_better_epoch_starts_the_wait_anew():
    assert stops_after([-5, -3, -4, -3, -3], 2) == 4  # as good is not better
    assert stops_after([-5, -3, -4, -2, -3, -3], 2) == 6


def test_a_run_that_is_continued_is_given_its_patience_again():
    assert stops_after(FALLING, 2) == 4
    assert stops_after(FALLING, 2, first_epoch=4) == 6
    better = [-5, -3, -4, -4, -2, -4, -4, -4]
    assert stops_after(better, 2, first_epoch=4) == 7


def test_early_stopping_before_the_first_epoch_is_not_due():
    assert not callbacks.EarlyStopping({}, 1, 0).is_due()


def test_early_stopping_tells_the_model():
    model, seen = types.SimpleNamespace(stop_training=False), history(-1, -2)
    stopping = callbacks.EarlyStopping(seen, 2, 0)
    stopping.set_model(model)
    stopping.on_epoch_end(1)
    assert model.stop_training is False
    seen["epoch"].append(3), seen["val_elbo"].append(-2.0)
    stopping.on_epoch_end(2)
    assert model.stop_training is True


def test_the_best_epoch_is_the_first_of_equals():
    assert callbacks.best_epoch(history(-5, -3, -4, -3)) == 2
    assert callbacks.best_epoch(history(-1)) == 1
    continued = {"epoch": [4, 5, 6], "val_elbo": [-3.0, -1.0, -2.0]}
    assert callbacks.best_epoch(continued) == 5


# --- the weight of the KL terms


@pytest.mark.parametrize(
    "weight, epochs, expected",
    [(2.0, 0, [2, 2, 2, 2, 2, 2]), (2.0, 4, [0, 0.5, 1, 1.5, 2, 2]), (0.5, 1, [0, 0.5, 0.5])],
)
def test_kl_weight_rises_linearly_from_zero(weight, epochs, expected):
    model = toys.shared("model1")
    warmup = callbacks.Warmup("kl_weight", weight, epochs)
    warmup.set_model(model)
    for epoch, value in enumerate(expected):
        warmup.on_epoch_begin(epoch)
        assert float(model.kl_weight) == value


# --- cooldown


@pytest.mark.parametrize(
    "epochs, expected",
    [
        (0, [0.5, 0.5, 0.5, 0.5, 0.5]),
        (1, [0.5, 0.5, 0.5, 0.5, 0.25]),
        (4, [0.5, 0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_learning_rate_falls_linearly_at_the_end(epochs, expected):
    model = toys.shared("model1")
    model.optimizer = keras.optimizers.Adam(0.1)
    cooldown = callbacks.Cooldown(0.5, epochs, target_epochs=5)
    cooldown.set_model(model)
    for epoch, value in enumerate(expected):
        cooldown.on_epoch_begin(epoch)
        assert float(model.optimizer.learning_rate) == pytest.approx(value)


# --- the loss must be finite


def guarded(model_name="model4_bias", steps_before=12):
    """A guard in epoch 3, and its model."""
    model = toys.shared(model_name)
    model.steps_seen.assign(steps_before)
    guard = callbacks.FinitenessGuard()
    guard.set_model(model)
    guard.on_epoch_begin(2)
    return guard, model


def test_finite_losses_pass():
    guard, _ = guarded()
    guard.on_train_batch_end(0, {"loss": -3e38})
    guard.on_epoch_end(2, {"loss": 1.0, "val_loss": 0.0})


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_epoch_step_and_terms_of_the_first_bad_value_are_named(loss):
    guard, model = guarded()
    model.steps_seen.assign(62)
    model.first_nonfinite.assign([17, 15, 0, 15])
    message = (
        "conditional_prior and y_prior stopped being finite in epoch 3, training step 3: .*"
        "keeps the epochs before it; try a smaller learning_rate"
    )
    with pytest.raises(callbacks.NonFiniteLossError, match=message):
        guard.on_train_batch_end(49, {"loss": loss})


def test_a_loss_whose_terms_are_finite_is_named_itself():
    guard, model = guarded()
    model.steps_seen.assign(62)
    with pytest.raises(ArithmeticError, match="^loss stopped .* epoch 3, training step 50:"):
        guard.on_train_batch_end(49, {"loss": np.inf})


def test_validation_is_watched_too():
    guard, model = guarded("model1")
    model.steps_seen.assign(18)
    logs = {"loss": 1.0, "val_loss": np.nan, "val_reconstruction": np.inf, "val_z_prior": 2.0}
    message = "^reconstruction stopped .* in epoch 3, validation after training step 6:"
    with pytest.raises(callbacks.NonFiniteLossError, match=message):
        guard.on_epoch_end(2, logs)


# --- history


def test_history_gets_a_row_for_every_epoch(monkeypatch):
    clock = iter([10.0, 10.25, 20.0, 21.5])
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(clock))
    columns = {}
    for epoch in (4, 5):
        part = callbacks.History(columns)
        part.on_epoch_begin(epoch)
        part.on_epoch_end(epoch, {"elbo": np.float32(-epoch), "val_elbo": -0.5})
    assert columns == {
        "epoch": [5, 6],
        "seconds": [0.25, 1.5],
        "elbo": [-4.0, -5.0],
        "val_elbo": [-0.5, -0.5],
    }
    assert {type(value) for name in ("seconds", "elbo") for value in columns[name]} == {float}


# --- checkpoints


def test_the_state_is_written_last_and_the_best_weights_when_they_are(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(storage, "atomic", lambda path: recorded(path, written))
    model, seen = toys.shared("model1", save_step=2), history()
    model.compile()
    model.optimizer.build(model.trainable_variables)
    part = callbacks.Checkpoints(tmp_path, runs.Leg(0, 4, seen))
    part.set_model(model)
    rows = []
    for epoch, value in enumerate([-3.0, -2.0, -2.0, -1.0]):
        seen["epoch"].append(epoch + 1), seen["val_elbo"].append(value)
        part.on_epoch_end(epoch)
        rows.append(" ".join(written))
        written.clear()
    assert rows == [
        "best.npz last.npz history.csv state-000001.npz",
        "best.npz weights-000002.npz last.npz history.csv state-000002.npz",
        "last.npz history.csv state-000003.npz",
        "best.npz weights-000004.npz last.npz history.csv state-000004.npz",
    ]


@contextlib.contextmanager
def recorded(path, written):
    written.append(path.name)
    yield io.BytesIO()


# --- the progress bar


def shown(epochs_done, target, steps=120, chunk=50, shown=True):
    """What a terminal is shown, one line per refresh, and the fraction after each epoch.

    A step takes 0.1 s by a clock of its own.
    """
    model, fractions = types.SimpleNamespace(Terms=toys.shared("model1").Terms), []
    now, terminal = [0.0], io.StringIO()
    with contextlib.redirect_stderr(terminal), mock.patch("tqdm.std.time", lambda: now[0]):
        bar = callbacks.Progress(steps, epochs_done, target, shown=shown)
        bar.bar.mininterval = 0
        bar.set_model(model)
        for epoch in range(epochs_done, target):
            bar.on_epoch_begin(epoch)
            for start in range(0, steps, chunk):
                now[0] += 0.1 * min(chunk, steps - start)
                bar.on_train_batch_end(start + chunk - 1)  # Keras announces whole executions
            numbers = dict(elbo=-epoch - 0.25, reconstruction=-7, z_prior=3.14159, val_elbo=-9.75)
            bar.on_epoch_end(epoch, numbers)
            fractions.append(bar.bar.n / (target * steps))
        bar.close()
    return re.split(r"[\r\n]+", terminal.getvalue()), fractions


def test_progress_shows_epoch_terms_and_time_left():
    lines, fractions = shown(0, 4)
    text = "\n".join(lines)
    assert fractions == [0.25, 0.5, 0.75, 1.0]
    for epoch in range(1, 5):
        assert re.search(rf"epoch {epoch}/4 .*\d\d:\d\d < \d\d:\d\d left", text)
    last = [line for line in lines if line.strip()][-1]
    assert last.startswith("epoch 4/4 100%|")
    assert "left, elbo -3.2, reconstruction -7.0, z_prior 3.1, val_elbo -9.8" in last


def test_progress_of_a_resumed_run_starts_where_it_stood():
    """After one epoch of 12 s in this process, one is left: the six before took no time."""
    lines, fractions = shown(6, 8)
    assert fractions == [7 / 8, 1.0]
    assert "epoch 6/8" not in "".join(lines)
    after_epoch_7 = [line for line in lines if "elbo -6.2" in line][0]
    assert re.search(r"epoch 7/8 +88%.* 00:12 < 00:12 left", after_epoch_7)


def test_no_progress_is_shown_where_none_is_wanted():
    lines, _ = shown(0, 2, shown=False)
    assert lines == [""]
