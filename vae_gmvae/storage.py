"""Files that are whole or absent: arrays, JSON and tables, written aside and then renamed."""

import contextlib
import csv
import io
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# what reading a damaged archive raises; RuntimeError is the answer to a flipped flag
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError, RuntimeError)
WAY_OUT = "put back a copy of it, or train anew with --restore 0"


@contextlib.contextmanager
def atomic(path: Path):
    """Yields a binary file that takes `path`'s place once it is whole and on the disk.

    Raises:
        OSError: the folder cannot be written or the disk is full; what `path` held stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"{path} could not be written ({reason}); what was there before is kept: make room or "
            "choose another folder, then go on with --restore 1"
        ) from error


def drop_partials(folder: Path):
    """Removes what a killed process left half written."""
    for partial in folder.glob(".*.partial"):
        partial.unlink()


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True):
    """While it lasts no other process has `folder` locked, where the system can lock folders.

    Raises:
        BlockingIOError: another has, and `wait` is False.
    """
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(lock)


def save_arrays(path: Path, arrays: dict[str, np.ndarray], compress=False):
    save = np.savez_compressed if compress else np.savez
    with atomic(path) as file:
        save(file, **{name.replace("/", "|"): array for name, array in arrays.items()})


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, its checksums verified; pickled objects are refused.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"no weights at {path}: train the run first")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name.replace("|", "/"): archive[name] for name in archive.files}
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error}): {WAY_OUT}") from error


def write_json(path: Path, values: dict):
    with atomic(path) as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())


def read_json(path: Path, *required: str) -> dict:
    """The values of a .json file, those of `required` among them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"no run at {path.parent}: {path.name} is missing")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not values.keys() >= set(required):
            raise ValueError(f"expected {', '.join(required)} in it")
    except ValueError as error:  # not JSON, not even text, or not ours
        raise ValueError(f"{path} is damaged ({error}): {WAY_OUT}") from error
    return values


def shortened(values):
    """The same lists and dicts, every float in them with the seven digits that a float32 holds."""
    if isinstance(values, dict):
        return {name: shortened(value) for name, value in values.items()}
    if isinstance(values, list):
        return [shortened(value) for value in values]
    return float(f"{values:.7g}") if isinstance(values, float) else values


def write_history(path: Path, history: dict[str, list]):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(history)
    writer.writerows(zip(*history.values(), strict=True))
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def read_history(path: Path) -> dict[str, list]:
    if not path.exists():
        return {}
    try:
        names, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        columns = zip(*(map(_number, row) for row in rows), strict=True)
        return dict(zip(names, map(list, columns), strict=True))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {WAY_OUT}") from error


def _number(text: str):
    return int(text) if text.isdigit() else float(text)
