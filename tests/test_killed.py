"""kill -9 at any moment, then --restore 1: the same weights as a run that was never killed."""

import multiprocessing
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import trainings
from tqdm import tqdm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system"),
]

EPOCHS = 30
RANDOM = {"model1": 3, "model5": 2}  # kills at random moments
# Everything that has a state: dropout's generators, the shared variance, the weight of the KL.
OPTIONS = {
    "model1": {"kl_warmup": 20, "cooldown": 20},
    "model5": {"dropout": 0.2, "x_var": "auto", "w_dim": 3, "y_marginal_weight": 3.0},
}
OPTIONS["model5"] |= {"consistency": 2.0, "consistency_warmup": 20}
OPTIONS["model5"] |= {"strokes": 0.5, "strokes_warmup": 20}


def config(model_name):
    return trainings.config(model_name, epochs=EPOCHS, save_step=7, **OPTIONS[model_name])


def train(model_name, folder, fatal=None):
    """What a process does: start the run or restore it, and die just before `fatal` is written."""
    replace = os.replace

    def replace_or_die(source, target):
        if Path(target).name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = replace_or_die
    tqdm.set_lock(threading.RLock())  # its own is a semaphore that a killed process leaves behind
    trainings.train(config(model_name), folder, restore=(folder / "config.json").exists())


@pytest.fixture(scope="module")
def start():
    """Starts `train` in a process of its own; TensorFlow is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vae_gmvae.training"])
    processes = []

    def start(*arguments):
        processes.append(context.Process(target=train, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


def finish(process):
    process.join()
    assert process.exitcode == 0


def epochs_done(folder) -> int:
    """The newest epoch that a restore would go on from; 0 before the first."""
    return max((int(path.stem[6:]) for path in folder.glob("state-*.npz")), default=0)


def kill_at_random(process, folder, rng) -> int:
    """Kills it some epochs and part of an epoch after its first one; returns the epochs done."""
    epochs, start = rng.randint(1, 4), epochs_done(folder)
    while epochs_done(folder) < start + 1 and process.is_alive():
        time.sleep(0.002)
    began = time.monotonic()
    while epochs_done(folder) < start + epochs and process.is_alive():
        time.sleep(0.002)
    time.sleep(rng.random() * max(0.03, time.monotonic() - began) / epochs)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it could be killed"
    return epochs_done(folder)


def die(process):
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("model_name", RANDOM)
def test_a_killed_run_ends_as_one_that_was_never_killed(tmp_path, start, model_name):
    whole, folder, rng = tmp_path / "whole", tmp_path / "killed", random.Random(model_name)
    never_killed = start(model_name, whole)
    die(start(model_name, folder, "config.json"))  # a folder with a file half written
    if model_name == "model1":
        die(start(model_name, folder, "state-000001.npz"))  # best.npz is there, its state is not
        assert (folder / "best.npz").exists() and epochs_done(folder) == 0

    seen = [0]
    for _ in range(RANDOM[model_name]):
        seen.append(kill_at_random(start(model_name, folder), folder, rng))
        assert seen[-2] < seen[-1] < EPOCHS

    die(start(model_name, folder, "finished.json"))  # all is trained, and nobody knows
    assert epochs_done(folder) == EPOCHS and not (folder / "finished.json").exists()
    finish(start(model_name, folder))
    finish(never_killed)
    trainings.assert_same_end(folder, whole)
