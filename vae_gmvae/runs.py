"""A run on disk: config.json, weights, resumable states, history.csv, metrics.json.

    best.npz, last.npz      weights of the best validation ELBO, and of the last epoch
    weights-000010.npz      weights kept by --save_step
    state-000017.npz        all that training needs to go on from epoch 17, the newest two
    finished.json           after how many epochs the run was called finished

A finished run may be trained further, in another leg. config.json keeps the first one's
configuration; "later" in it says what each later leg changed, by the epochs before that leg.

Every file appears whole or not at all: it is written beside its place and then renamed.
"""

import contextlib
import dataclasses
import itertools
import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vae_gmvae import storage
from vae_gmvae.config import Config

STATES_KEPT = 2
EVALUATED = ("best", "weights")  # what metrics.json is of; a reference run has but one
FREE_TO_CHANGE = ("epochs", "patience", "save_step")  # when a run is continued
SPLITS = ("train", "valid", "test")
WEIGHTS = ("consistency", "strokes", "y_marginal_weight")  # free in a new leg, not to or from 0
FREE_IN_A_LEG = ("cooldown", "elastic")  # to and from 0 as well: no state depends on them


@dataclass
class Run:
    """A trained model with its configuration, history (one list per column) and metrics."""

    config: Config
    model: Any
    history: dict[str, list] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    judged_from: int = 0  # epochs up to it had another loss: none of them is the best

    @property
    def epochs_done(self) -> int:
        return len(self.history.get("epoch", []))

    def finish(self):
        """Marks the run as finished, if it has a folder: restoring it trains more epochs."""
        if self.folder is None:
            return
        storage.write_json(self.folder / "finished.json", {"epochs_done": self.epochs_done})


def load_run(folder, weights: str = "best") -> Run:
    """The run in `folder` with the weights of best.npz, last.npz or weights-<epoch>.npz.

    Its configuration is that of its first leg, its metrics are those of the best weights, if these
    are asked for.

    Raises:
        FileNotFoundError: no run there, or not those weights.
        ValueError: a damaged file.
    """
    from vae_gmvae.models import build_model

    folder = Path(folder)
    info = storage.read_json(folder / "config.json", "config", "image_shape")
    config = Config.from_dict(info["config"])
    model = build_model(config, info["image_shape"])
    set_weights(model, storage.load_arrays(folder / f"{weights}.npz"))
    metrics = folder / "metrics.json"
    evaluated = weights in EVALUATED and metrics.exists()
    return Run(
        config,
        model,
        storage.read_history(folder / "history.csv"),
        storage.read_json(metrics) if evaluated else {},
        folder,
        info.get("judged_from", 0),
    )


# --- a model's variables as named arrays


def get_weights(model) -> dict[str, np.ndarray]:
    """Every variable of the model but its random generators' state, by path."""
    return {v.path: np.asarray(v) for v in model.weights}


def set_weights(model, arrays: dict[str, np.ndarray]):
    """Puts the arrays into the model's variables.

    Weights that the model does not have are left out, such as those of the network of p(y|w,z)
    where Bayes' rule takes its place.

    Raises:
        ValueError: a weight is missing or of another shape.
    """
    for variable in model.weights:
        array = arrays.get(variable.path)
        if array is None or array.shape != tuple(variable.shape):
            found = "missing" if array is None else f"of shape {array.shape}"
            raise ValueError(
                f"weight {variable.path} of {model.name} is {found}, expected "
                f"{tuple(variable.shape)}: these weights belong to another configuration"
            )
        variable.assign(array)


def get_state(model) -> dict[str, np.ndarray]:
    """All that decides how training goes on: weights, random generators, optimizer."""
    return {f"{i:04d}": np.asarray(v) for i, v in enumerate(_state_variables(model))}


def set_state(model, arrays: dict[str, np.ndarray]):
    """Puts the arrays of `get_state` back.

    Raises:
        ValueError: they are not those of this model, which stays as it was.
    """
    variables = {f"{i:04d}": v for i, v in enumerate(_state_variables(model))}
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise ValueError(
            f"the checkpoint does not fit {model.name} on images of shape {model.image_shape}: "
            "restore with the images, and the version of this package, that it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _state_variables(model):
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


# --- resumable states


@dataclass
class Leg:
    """A stretch of training: `first_epoch` is done before it, `target_epochs` after it.

    Epochs up to `judged_from` had another loss: they do not count for the best weights.
    """

    first_epoch: int
    target_epochs: int
    history: dict[str, list]
    judged_from: int = 0

    @property
    def epochs_done(self) -> int:
        return len(self.history.get("epoch", []))


def create(folder: Path, config: Config, data, versions: dict, say=print):
    """Starts a run's folder; a run that stood there is kept as `<folder>~1`, `~2`, ...

    Raises:
        ValueError: the folder holds something that is not a run, or a run that is being trained.
    """
    if folder.is_dir():
        with alone(folder):
            storage.drop_partials(folder)
            if any(folder.iterdir()):
                if not (folder / "config.json").exists():
                    raise ValueError(f"{folder} is not empty and not a run: choose another folder")
                set_aside(folder, say)
    info = {"config": config.to_dict(), "image_shape": list(data.image_shape)}
    info |= {"images": fingerprint(data), "versions": versions}
    storage.write_json(folder / "config.json", info)


@contextlib.contextmanager
def alone(folder: Path):
    """While it lasts no other process trains in `folder`, where the system can lock folders.

    Raises:
        ValueError: another process does so already.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(storage.locked(folder, wait=False))
        except BlockingIOError:
            raise ValueError(
                f"another process trains in {folder}: wait for its end, or give the new run a name "
                "of its own with --extra_name"
            ) from None
        yield


def fingerprint(data) -> dict[str, int]:
    """By it a run knows its images again: how many each split has, and a checksum of them all."""
    splits = {name: getattr(data, name).x for name in SPLITS}
    checksum = 0
    for x in splits.values():
        checksum = zlib.crc32(np.ascontiguousarray(x), checksum)
    return {name: len(x) for name, x in splits.items()} | {"checksum": checksum}


def check_data(data, folder: Path, say=print):
    """Raises where the images were divided otherwise than when the run in `folder` was trained.

    Where as many images are there as then, but not the same ones, it only says so: an image may
    have been mended. A run from before this was noted passes.

    Raises:
        ValueError: a split has another number of images; the message names both numbers.
    """
    then = storage.read_json(folder / "config.json", "config").get("images")
    now = fingerprint(data)
    if then in (None, now):
        return
    others = [name for name in SPLITS if then[name] != now[name]]
    differ = [f"{name} {then[name]} then, {now[name]} now" for name in others]
    if differ:
        raise ValueError(
            f"the run in {folder} was trained on other images ({', '.join(differ)}): divided anew, "
            "some that it has learnt from may be test images now; put the images back, or train "
            "anew with --restore 0"
        )
    say(f"the images of {data.name} are not quite those that the run in {folder} was trained on")


def check_same(config: Config, folder: Path, epochs: int | None = None):
    """Raises where `folder` has no run to continue, or one of another configuration.

    Args:
        config: what is asked for.
        folder: the run's folder.
        epochs: given, the leg that led to so many epochs is compared, and none of its weights is
            free; else the newest leg, which another may follow with other weights.

    Raises:
        FileNotFoundError: no run there; the message names those that are.
        ValueError: another configuration; the message names the values that differ.
    """
    known = [path.parent.name for path in sorted(folder.parent.glob("*/config.json"))]
    if not (folder / "config.json").exists():
        there = f"the runs there are {', '.join(known)}" if known else "there is no run at all"
        raise FileNotFoundError(
            f"no checkpoint to restore in {folder}: {there}; train first with --restore 0"
        )
    old, new = _newest_config(folder, before=epochs or math.inf), config.to_dict()
    trained, finished = max(map(_epochs_of, states(folder)), default=0), finished_epochs(folder)
    may_follow = epochs is None and 0 < finished >= trained
    weights = [*FREE_IN_A_LEG, *(k for k in WEIGHTS if old[k] and new[k])] if may_follow else []
    free = {*FREE_TO_CHANGE, *weights}
    if Config.from_dict(old).data_name == config.data_name:
        free.add("dataset_name")  # own images, under another path; check_data compares them
    differ = [k for k in new if k not in free and old[k] != new[k]]
    if differ:
        changes = ", ".join(f"{k} {old[k]!r} there, {new[k]!r} asked for" for k in differ)
        raise ValueError(
            f"the checkpoint in {folder} has another configuration ({changes}): use its values, "
            "or give the new run a name of its own with --extra_name"
        )


def next_leg(folder: Path, config: Config, last: Leg, epochs_done: int) -> Leg:
    """The leg that trains a run finished after `epochs_done` further; notes what it changes."""
    old, new = _newest_config(folder, before=epochs_done), config.to_dict()
    other_loss = any(old[k] != new[k] for k in (*WEIGHTS, "elastic"))
    info = storage.read_json(folder / "config.json", "config")
    first = Config.from_dict(info["config"]).to_dict()
    changes = {k: v for k, v in new.items() if v != first[k]}
    judged_from = epochs_done if other_loss else last.judged_from
    if changes or "later" in info:
        info["later"] = info.get("later", {}) | {str(epochs_done): changes}
        info["judged_from"] = judged_from
        storage.write_json(folder / "config.json", info)
    return Leg(epochs_done, epochs_done + config.epochs, last.history, judged_from)


def _newest_config(folder: Path, before: float = math.inf) -> dict:
    """The values of the newest leg's configuration, of those that began before an epoch."""
    info = storage.read_json(folder / "config.json", "config")
    first = Config.from_dict(info["config"]).to_dict()  # with options younger than the run
    later = {int(begun): changes for begun, changes in info.get("later", {}).items()}
    newest = max((begun for begun in later if begun < before), default=None)
    return first | later.get(newest, {})


def set_aside(folder: Path, say=print):
    """Renames `folder` to `<folder>~1`, or `~2`, ..., the first name that is free."""
    names = (folder.with_name(f"{folder.name}~{number}") for number in itertools.count(1))
    kept = next(name for name in names if not name.exists())
    folder.rename(kept)
    say(f"{folder} was there: it is kept as {kept}")


def finished_epochs(folder: Path) -> int:
    """The number of epochs at which the run was called finished; 0 if it never was."""
    marker = folder / "finished.json"
    if not marker.exists():
        return 0
    found = storage.read_json(marker, "epochs_done")["epochs_done"]
    if not isinstance(found, int):
        raise ValueError(
            f"{marker} is damaged (epochs_done is {found!r}): delete it, and --restore 1 completes "
            "the run"
        )
    return found


def save_state(folder: Path, model, leg: Leg):
    """Writes state-<epoch>.npz and drops all but the newest two."""
    text = np.array(json.dumps(dataclasses.asdict(leg)))
    storage.save_arrays(
        folder / f"state-{leg.epochs_done:06d}.npz", get_state(model) | {"leg": text}
    )
    for old in states(folder)[STATES_KEPT:]:
        old.unlink()


def _epochs_of(state: Path) -> int:
    return int(state.stem.rpartition("-")[2])


def states(folder: Path) -> list[Path]:
    """The resumable states, newest first."""
    return sorted(folder.glob("state-*.npz"), reverse=True)


def load_state(folder: Path, model, say=print) -> Leg | None:
    """Restores the newest whole state; None where there is none.

    Raises:
        ValueError: states exist, but every one is damaged.
    """
    storage.drop_partials(folder)
    found = states(folder)
    for path in found:
        try:
            arrays = storage.load_arrays(path)
            leg = Leg(**json.loads(str(arrays.pop("leg"))))
        except (ValueError, KeyError):  # a cut directory of the archive lacks its last, "leg"
            say(f"{path} is damaged: falling back to the one before")
            continue
        set_state(model, arrays)
        return leg
    if found:
        raise ValueError(
            f"every checkpoint in {folder} is damaged: train anew with --restore 0, "
            "or use its best weights with --train 0 --restore 1"
        )
    return None
