"""The training loop: `train(config, data) -> Run`, for the command line, notebooks and tests."""

import contextlib
import importlib.metadata
import itertools
import math
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from vae_gmvae import callbacks, devices, logs, runs, storage
from vae_gmvae.config import Config
from vae_gmvae.models import build_model

STEPS_PER_EXECUTION = 50  # steps that run before control returns to Python
VALIDATION_BATCH = 500
VALIDATION_PIXELS = 784 * VALIDATION_BATCH  # at a time: larger images are fewer
LEAST = 16  # but some for each device
WARMUPS = {  # weights that rise from 0, and the options that say over how many epochs
    "kl_weight": "kl_warmup",
    "consistency": "consistency_warmup",
    "strokes": "strokes_warmup",
}


def train(
    config: Config,
    data,
    folder=None,
    *,
    restore=False,
    distribute=False,
    log_dir=None,
    progress=True,
    finish=True,
    say=print,
) -> runs.Run:
    """Trains the model that `config` names and returns the run with its best weights.

    Args:
        config: what to train.
        data: a Dataset; its images are [N, H, W, C] in [0, 1].
        folder: where to keep the run; None keeps nothing on disk.
        restore: go on from the newest state in `folder`. A run that was cut short is completed,
            bit for bit as if it had not been; a finished one is trained for config.epochs more,
            with another cooldown, elastic or other weights of consistency, strokes and balance if
            `config` has them; then the best weights are the best of these epochs.
        distribute: share every batch among all GPUs of this machine (or its CPU devices). It is
            no part of `config`: the objective stays that of one device, and the noise too, but
            for dense models on TensorFlow, whose noise XLA makes on one device.
        log_dir: where TensorBoard's files go; None writes none.
        progress: show a progress bar.
        finish: call the run finished at the end; False leaves that to a later `run.finish()`.
        say: where messages go.

    Raises:
        ValueError: a batch larger than the data or one that the devices cannot share, images
            outside [0, 1], too small for the networks or binarised otherwise than `config` says,
            none to validate with, a state of another configuration or of other images, or a folder
            in which another process trains.
        FileNotFoundError: `restore` where there is no run.
        NonFiniteLossError: the loss stopped being finite; a folder keeps the last good state.
        OSError: the folder cannot be written or the disk is full.
    """
    if folder is None:
        if restore:
            raise ValueError("restore is True but folder is None: name the folder of the run")
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch) / config.run_name
            options = dict(log_dir=log_dir, progress=progress, say=say)
            run = train(config, data, scratch, distribute=distribute, **options)
        run.folder = None
        return run
    folder, x = Path(folder), data.train.x[: config.subset or None]
    _check_images(config, data, len(x))
    if restore:
        runs.check_same(config, folder)
        runs.check_data(data, folder, say)
    if distribute:
        devices.check(config.batch_size, config.dropout, len(data.valid))
        say(f"training on {', '.join(devices.names())}")
    batches = ShuffledBatches(x, config)
    with devices.scope(distribute):
        model = compiled_model(config, data.image_shape, batches.steps)
        if not restore:
            _create(config, data, folder, log_dir, say)
        with runs.alone(folder):
            leg = _resume(folder, model, config, say) if restore else runs.Leg(0, config.epochs, {})
            _fit(config, model, leg, batches, data, folder, log_dir, progress)
    if distribute:  # what is handed on lives on one device
        model = build_model(config, data.image_shape)
    runs.set_weights(model, storage.load_arrays(folder / "best.npz"))
    if log_dir:
        logs.write_projector(Path(log_dir) / "embed", model, data.test)
    run = runs.Run(config, model, leg.history, folder=folder, judged_from=leg.judged_from)
    if finish:
        run.finish()
    return run


def _check_images(config: Config, data, num: int):
    if not len(data.valid):
        raise ValueError(f"{data.name} has no validation images: training needs some")
    x = data.train.x
    if x.min() < 0 or x.max() > 1:
        raise ValueError(
            f"images of {data.name} have grey levels from {x.min()} to {x.max()}: scale them to "
            "[0, 1]"
        )
    if config.batch_size > num:
        raise ValueError(
            f"batch_size is {config.batch_size}, but the training set of {data.name} has "
            f"{num} images: choose a batch_size of at most {num}"
        )
    if config.binarise != data.binarise:
        raise ValueError(
            f"binarise is {config.binarise!r}, but the images of {data.name} were loaded with "
            f"{data.binarise!r}: load_dataset(..., binarise={config.binarise!r})"
        )


def compiled_model(config: Config, image_shape, steps=STEPS_PER_EXECUTION) -> keras.Model:
    """The model, ready for `fit`: Adam, and the fastest way to run an epoch's `steps` on a CPU.

    XLA fuses the dense models; its convolutions are slower than TensorFlow's own. A step that
    TensorFlow divides among devices can neither be fused nor run inside a loop of steps.
    """
    tensorflow = keras.backend.backend() == "tensorflow"
    model = build_model(config, image_shape)
    whole = devices.parts() == 1
    fused = whole and not config.is_convolutional
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        jit_compile=fused or not tensorflow,
        steps_per_execution=min(steps, STEPS_PER_EXECUTION) if whole else 1,
    )
    model.optimizer.build(model.trainable_variables)  # in `fit` it would cost a second compilation
    if fused and tensorflow:
        model.train_function = _fused_steps(model)
    return model


def _fused_steps(model):
    """What `fit` calls for each execution: its steps as one loop inside XLA.

    Keras runs the loop outside and hands XLA every weight and moment anew at each step, which for
    small networks takes longer than the arithmetic.
    """

    @tf.function(jit_compile=True)
    def run(batches, num):
        def step(i):
            model.train_step(keras.tree.map_structure(lambda part: part[i], batches))
            return i + 1

        tf.while_loop(lambda i: i < num, step, [0])
        return model.get_metrics_result()

    def train_function(iterator):
        logs = None
        batches = itertools.islice(iterator, model.steps_per_execution)
        for _, alike in itertools.groupby(batches, key=_shapes):  # a last batch may be smaller
            alike = list(alike)
            num = len(alike)
            alike += alike[:1] * (model.steps_per_execution - num)  # one length, one compilation
            stacked = keras.tree.map_structure(lambda *parts: tf.stack(parts), *alike)
            logs = run(stacked, tf.constant(num))
        if logs is None:
            raise StopIteration
        return logs

    return train_function


def _shapes(batch):
    return [part.shape for part in keras.tree.flatten(batch)]


class ShuffledBatches(keras.callbacks.Callback):
    """The training images in an order that seed and epoch alone decide.

    Each epoch leaves out the images that do not fill a last batch: other ones each time.
    """

    def __init__(self, x: np.ndarray, config: Config):
        super().__init__()
        self.x, self.batch_size, self.seed = x, config.batch_size, config.seed
        self.steps = len(x) // config.batch_size
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def order(self):
        """Row numbers [steps, batch_size] of this epoch's batches."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.x))
        return order[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)

    def dataset(self) -> tf.data.Dataset:
        images = tf.constant(self.x)
        return _untuned(
            tf.data.Dataset.range(1)
            .flat_map(lambda _: tf.data.Dataset.from_tensor_slices(self._order()))
            .apply(tf.data.experimental.assert_cardinality(self.steps))
            .map(lambda batch: tf.gather(images, batch))
            .prefetch(2)
        )

    def _order(self):
        """`order` as TensorFlow's; `Dataset.from_generator` would slow the whole process down.

        It makes malloc return every larger block to the system at once, and XLA asks for such
        blocks at each step.
        """
        order = tf.numpy_function(self.order, [], tf.int64)
        return tf.ensure_shape(order, (self.steps, self.batch_size))


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without the thread that tunes its stages: there is nothing to tune.

    That thread sleeps twice as long each time, up to a minute, and `fit` would wait for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _fit(config, model, leg, batches, data, folder, log_dir, progress):
    """Trains to the end of the leg, or not at all where it had already come to its end."""
    warm = [getattr(config, epochs) for name, epochs in WARMUPS.items() if getattr(config, name)]
    patient_from = max(leg.first_epoch, *warm, 0)  # until then the loss itself changes
    stopping = callbacks.EarlyStopping(leg.history, config.patience, patient_from, leg.judged_from)
    if leg.epochs_done >= leg.target_epochs or stopping.is_due():
        return
    bar = callbacks.Progress(batches.steps, leg.epochs_done, leg.target_epochs, shown=progress)
    parts = [
        batches,
        *(
            callbacks.Warmup(name, getattr(config, name), getattr(config, epochs))
            for name, epochs in WARMUPS.items()
            if getattr(config, name)
        ),
        callbacks.Cooldown(config.learning_rate, config.cooldown, leg.target_epochs),
        callbacks.FinitenessGuard(),
        callbacks.History(leg.history),
        stopping,
        *([logs.TensorBoardLog(Path(log_dir), data.valid.x)] if log_dir else []),
        callbacks.Checkpoints(folder, leg),
        bar,
    ]
    valid = data.valid.x[: devices.even(len(data.valid))]
    at_a_time = max(LEAST, VALIDATION_PIXELS // math.prod(data.image_shape))
    at_a_time = devices.even(min(VALIDATION_BATCH, at_a_time))
    valid = tf.data.Dataset.from_tensor_slices(valid).batch(at_a_time)
    with contextlib.closing(bar):
        model.fit(
            batches.dataset(),
            validation_data=_untuned(valid),
            initial_epoch=leg.epochs_done,
            epochs=leg.target_epochs,
            callbacks=parts,
            shuffle=False,  # ShuffledBatches has done that
            verbose=0,
        )


def _create(config, data, folder: Path, log_dir, say):
    """Starts the run's folder; its files and logs of an earlier run of this name are kept."""
    runs.create(folder, config, data, versions(), say=say)
    for part in logs.PARTS if log_dir else ():
        if (Path(log_dir) / part).exists():  # the folder itself may hold more than logs
            runs.set_aside(Path(log_dir) / part, say)


def _resume(folder: Path, model, config: Config, say) -> runs.Leg:
    leg = runs.load_state(folder, model, say)
    if leg is None:
        say(f"{folder} was cut short before its first checkpoint: starting from epoch 1")
        return runs.Leg(0, config.epochs, {})
    finished = runs.finished_epochs(folder)
    if finished >= leg.epochs_done:  # greater where the newest state was damaged
        leg = runs.next_leg(folder, config, leg, finished)
    say(f"restored epoch {leg.epochs_done} of {folder}; training to epoch {leg.target_epochs}")
    return leg


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, for config.json."""
    names = ("vae-gmvae", "tensorflow", "keras", "numpy")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"backend": keras.backend.backend()}
