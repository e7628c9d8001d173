"""Files on disk: whole or absent, the old ones kept, damage found."""

import errno
import os
import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_gmvae import storage

ARRAYS = {
    "encoder_z/mean/kernel": np.arange(2, dtype="float32").reshape(2, 1),
    "seed": np.array(3, "uint32"),
}
FULL = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
WRITERS = {
    "weights.npz": lambda path, n: storage.save_arrays(path, {"a": np.full(10_000, n)}),
    "info.json": lambda path, n: storage.write_json(path, {"a": n}),
    "history.csv": lambda path, n: storage.write_history(path, {"epoch": [n]}),
}
every_writer = pytest.mark.parametrize("name", WRITERS)


def listing(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- writing


def partial(path) -> Path:
    """The file beside `path` that this process would write first."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@every_writer
def test_a_file_is_written_beside_its_place_and_then_renamed(tmp_path, monkeypatch, name):
    path, seen = tmp_path / name, []
    WRITERS[name](path, 1)
    old, replace = path.read_bytes(), os.replace

    def watch(source, target):
        assert (Path(source), Path(target)) == (partial(path), path)
        assert path.read_bytes() == old
        seen.append(Path(source).read_bytes())
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    WRITERS[name](path, 2)
    assert seen == [path.read_bytes()] and seen != [old]
    assert listing(tmp_path) == [name]


@needs_full_disk
@every_writer
def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, 1)
    old = path.read_bytes()
    partial(path).symlink_to(FULL)
    with pytest.raises(OSError, match=f"{name}.*No space left on device.*make room") as caught:
        WRITERS[name](path, 2)
    assert str(path) in str(caught.value) and type(caught.value) is OSError
    assert path.read_bytes() == old
    assert listing(tmp_path) == [name]


def test_an_error_or_an_interruption_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    storage.write_json(path, {"a": 1})
    with pytest.raises(KeyboardInterrupt), storage.atomic(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert storage.read_json(path) == {"a": 1}
    assert listing(tmp_path) == ["a.json"]


@every_writer
def test_a_file_in_place_of_the_folder_is_named(tmp_path, name):
    (tmp_path / "taken").write_text("not a folder")
    for path in (tmp_path / "taken" / name, tmp_path / "taken" / "below" / name):
        with pytest.raises(OSError, match="could not be written.*choose another folder") as caught:
            WRITERS[name](path, 1)
        assert str(path) in str(caught.value)
    assert (tmp_path / "taken").read_text() == "not a folder"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no read-only /proc on this system")
def test_an_unwritable_folder_is_named():
    with pytest.raises(OSError, match="/proc/runs/here/config.json could not be written"):
        storage.write_json(Path("/proc/runs/here/config.json"), {})


# --- arrays


def test_arrays_come_back_as_they_were(tmp_path):
    storage.save_arrays(tmp_path / "a.npz", ARRAYS)
    found = storage.load_arrays(tmp_path / "a.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def equal(found) -> bool:
    return all(
        found[name].dtype == ARRAYS[name].dtype and np.array_equal(found[name], ARRAYS[name])
        for name in found
    )


def test_every_flipped_bit_is_found_or_harmless(tmp_path):
    """What is loaded is right; a cut directory may drop the last arrays, never the first."""
    storage.save_arrays(tmp_path / "a.npz", ARRAYS)
    whole, path, refused = (tmp_path / "a.npz").read_bytes(), tmp_path / "b.npz", 0
    for bit in range(8 * len(whole)):
        torn = bytearray(whole)
        torn[bit // 8] ^= 1 << bit % 8
        path.write_bytes(torn)
        try:
            found = storage.load_arrays(path)
        except ValueError as error:
            assert str(path) in str(error) and "damaged" in str(error)
            refused += 1
        else:
            assert equal(found) and list(found) == list(ARRAYS)[: len(found)], bit
    assert refused > 4 * len(whole)


def test_every_truncation_is_found(tmp_path):
    storage.save_arrays(tmp_path / "a.npz", ARRAYS)
    whole, path = (tmp_path / "a.npz").read_bytes(), tmp_path / "b.npz"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="b.npz is damaged .*: put back a copy"):
            storage.load_arrays(path)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_pickled_objects_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("trap.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="trap.npz"):
        storage.load_arrays(Path("trap.npz"))
    assert listing(tmp_path) == ["trap.npz"]


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights at .*best.npz: train the run first"):
        storage.load_arrays(tmp_path / "best.npz")


# --- json and csv


columns = st.lists(st.floats(allow_nan=False), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=columns)
def test_history_comes_back_to_the_last_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    history = {"epoch": [*range(1, len(values) + 1)], "elbo": values}
    storage.write_history(path, history)
    found = storage.read_history(path)
    assert found == history and list(found) == list(history)
    assert all(type(epoch) is int for epoch in found["epoch"])
    assert all(type(value) is float for value in found["elbo"])


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(value=numbers)
def test_shortened_numbers_have_seven_digits(value):
    values = {"a": [value, 7, None, "text", {"b": value}]}
    number, *others = storage.shortened(values)["a"]
    assert others == [7, None, "text", {"b": number}]
    assert len(Decimal(repr(number)).normalize().as_tuple().digits) <= 7
    assert number == pytest.approx(value, rel=5e-7, abs=0)


def test_a_run_without_history_has_none(tmp_path):
    assert storage.read_history(tmp_path / "history.csv") == {}
    storage.write_history(tmp_path / "history.csv", {})
    assert storage.read_history(tmp_path / "history.csv") == {}


@pytest.mark.parametrize("content", [b"", b"epoch,elbo\n1,-2\n2", b"epoch\none", b"\xff"], ids=str)
def test_a_damaged_history_is_named(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(ValueError, match="history.csv is damaged"):
        storage.read_history(tmp_path / "history.csv")


# --- locks

needs_locks = pytest.mark.skipif(storage.fcntl is None, reason="this system cannot lock folders")


@needs_locks
def test_a_locked_folder_is_waited_for_or_refused(tmp_path):
    done = []

    def work():
        with storage.locked(tmp_path):
            done.append("second")

    second = threading.Thread(target=work)
    with storage.locked(tmp_path):
        with pytest.raises(BlockingIOError), storage.locked(tmp_path, wait=False):
            pass
        second.start()
        second.join(0.3)
        assert second.is_alive() and done == []
    second.join(60)
    assert done == ["second"]
    with storage.locked(tmp_path, wait=False):  # it is free again
        assert listing(tmp_path) == []


@needs_locks
def test_a_file_system_without_locks_stops_nobody(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(storage.fcntl, "flock", flock)
    with storage.locked(tmp_path), storage.locked(tmp_path, wait=False):
        pass


def test_a_system_without_locks_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "fcntl", None)
    with storage.locked(tmp_path), storage.locked(tmp_path, wait=False):
        pass
