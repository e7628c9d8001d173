"""Keras callbacks of the training loop: progress, finiteness, checkpoints, early stopping, logs."""

import math
import time
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from vae_gmvae import runs, storage


class NonFiniteLossError(ArithmeticError):
    """The loss stopped being finite; the message names the epoch, the step and the term."""


class FinitenessGuard(keras.callbacks.Callback):
    """Ends training as soon as the loss is not finite, before such weights are saved.

    Raises:
        NonFiniteLossError: epoch, step and term of the first value that is NaN or infinite.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.steps_before = self._steps()

    def _steps(self) -> int:
        return int(np.asarray(self.model.steps_seen))

    def on_train_batch_end(self, batch, logs=None):
        if math.isfinite(logs["loss"]):
            return
        first = dict(zip(self.model.Terms._fields, np.asarray(self.model.first_nonfinite)))
        steps = {name: int(step) for name, step in first.items() if step}
        step = min(steps.values(), default=self._steps())
        terms = [name for name, at in steps.items() if at == step]
        self._stop(terms, f"training step {step - self.steps_before}")

    def on_epoch_end(self, epoch, logs=None):
        if math.isfinite(logs["val_loss"]):
            return
        names = self.model.Terms._fields
        terms = [name for name in names if not math.isfinite(logs[f"val_{name}"])]
        step = self._steps() - self.steps_before
        self._stop(terms, f"validation after training step {step}")

    def _stop(self, terms, place):
        raise NonFiniteLossError(
            f"{' and '.join(terms) or 'loss'} stopped being finite in epoch {self.epoch}, {place}: "
            "the run's folder, if it has one, keeps the epochs before it; try a smaller "
            "learning_rate, a larger sigma, or mixture_density logsumexp"
        )


class History(keras.callbacks.Callback):
    """Appends each epoch's means to `columns`: epoch, seconds, terms, val_terms, in nats."""

    def __init__(self, columns: dict[str, list]):
        super().__init__()
        self.columns = columns

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(time.monotonic() - self.started, 3)}
        for name, value in (row | logs).items():
            self.columns.setdefault(name, []).append(value if name == "epoch" else float(value))


class Checkpoints(keras.callbacks.Callback):
    """After every epoch: best and last weights, history.csv and the resumable state.

    The state comes last: a run that is killed in between repeats the epoch.
    """

    def __init__(self, folder: Path, leg: runs.Leg):
        super().__init__()
        self.folder, self.leg = folder, leg

    def on_epoch_end(self, epoch, logs=None):
        weights = runs.get_weights(self.model)
        if best_epoch(self.leg.history, self.leg.judged_from) == epoch + 1:
            (self.folder / "metrics.json").unlink(missing_ok=True)  # they are of other weights
            storage.save_arrays(self.folder / "best.npz", weights)
        if (epoch + 1) % self.model.config.save_step == 0:
            storage.save_arrays(self.folder / f"weights-{epoch + 1:06d}.npz", weights)
        storage.save_arrays(self.folder / "last.npz", weights)
        storage.write_history(self.folder / "history.csv", self.leg.history)
        runs.save_state(self.folder, self.model, self.leg)


def best_epoch(history: dict[str, list], judged_from: int = 0) -> int:
    """The first epoch after `judged_from`, counted from 1, with the highest validation ELBO."""
    judged = [i for i, epoch in enumerate(history["epoch"]) if epoch > judged_from]
    values = [history["val_elbo"][i] for i in judged]
    return history["epoch"][judged[int(np.argmax(values))]] if judged else judged_from


class EarlyStopping(keras.callbacks.Callback):
    """Stops after `patience` epochs without a better validation ELBO; 0 never stops.

    It decides from the history alone, so that a resumed run stops where it would have stopped.
    Epochs up to `judged_from` had another loss, and none of them is the best.
    """

    def __init__(self, history: dict[str, list], patience: int, first_epoch=0, judged_from=0):
        super().__init__()
        self.history, self.patience = history, patience
        self.first_epoch, self.judged_from = first_epoch, judged_from

    def is_due(self) -> bool:
        if not (self.patience and self.history.get("epoch")):
            return False
        done = self.history["epoch"][-1]
        best = best_epoch(self.history, self.judged_from)
        return done - max(best, self.first_epoch) >= self.patience

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = self.is_due()


class Warmup(keras.callbacks.Callback):
    """Lets a weight in the model's loss rise linearly from 0 over the first `epochs` epochs.

    Args:
        name: the model's variable, "kl_weight", "consistency" or "strokes".
        weight: its value from then on.
    """

    def __init__(self, name: str, weight: float, epochs: int):
        super().__init__()
        self.name, self.weight, self.epochs = name, weight, epochs

    def on_epoch_begin(self, epoch, logs=None):
        share = min(1.0, epoch / self.epochs) if self.epochs else 1.0
        getattr(self.model, self.name).assign(self.weight * share)


class Cooldown(keras.callbacks.Callback):
    """Lets the learning rate fall linearly over the last `epochs` epochs before `target_epochs`.

    The fall ends one step above 0: the last epoch has rate / (epochs + 1).
    """

    def __init__(self, rate: float, epochs: int, target_epochs: int):
        super().__init__()
        self.rate, self.epochs, self.target_epochs = rate, epochs, target_epochs

    def on_epoch_begin(self, epoch, logs=None):
        share = min(1.0, (self.target_epochs - epoch) / (self.epochs + 1))
        self.model.optimizer.learning_rate.assign(self.rate * share)


class Progress(keras.callbacks.Callback):
    """One bar for the whole run: epoch, terms in nats, time left."""

    def __init__(self, steps: int, epochs_done: int, target_epochs: int, shown: bool = True):
        super().__init__()
        self.steps, self.target_epochs = steps, target_epochs
        self.bar = tqdm(
            total=target_epochs * steps,
            initial=epochs_done * steps,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {elapsed} < {remaining} left{postfix}",
            mininterval=0.5,
            disable=not shown,
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.bar.set_description_str(f"epoch {epoch + 1}/{self.target_epochs}", refresh=False)
        self.epoch_start = epoch * self.steps

    def on_train_batch_end(self, batch, logs=None):
        done = min(batch + 1, self.steps)  # an execution announces steps beyond the epoch's end
        self.bar.update(self.epoch_start + done - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        shown = ("elbo", *self.model.Terms._fields, "val_elbo")
        self.bar.set_postfix_str(", ".join(f"{name} {logs[name]:.1f}" for name in shown))

    def close(self):
        self.bar.close()
