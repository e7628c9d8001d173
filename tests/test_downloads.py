"""Finding and downloading: a small Frey file, and mirrors on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from images import sha256

from vae_gmvae.data import files, load_dataset


class Mirror:
    """A web server on this machine; `replies` maps a path to its bodies, the last one repeated.

    A body that is cut off has a Content-Length longer than itself, as a broken connection has.
    """

    def __init__(self):
        self.replies, self.requests = {}, []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                bodies = mirror.replies.get(self.path)
                if bodies is None:
                    return self.send_error(404)
                body, length = bodies.pop(0) if len(bodies) > 1 else bodies[0]
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def serve(self, path, *bodies):
        """`bodies` are bytes, or (bytes, Content-Length) for a connection that breaks."""
        self.replies[path] = [b if isinstance(b, tuple) else (b, len(b)) for b in bodies]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror():
    mirror = Mirror()
    yield mirror
    mirror.close()


@pytest.fixture
def place(monkeypatch, tmp_path, small_frey):
    """`place(urls)` makes the small Frey file the official one, with an empty cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("VAE_GMVAE_CACHE_DIR", str(cache))
    monkeypatch.delenv("VAE_GMVAE_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)

    def official(*urls):
        known = files.KnownFile("frey_rawface.mat", sha256(small_frey), urls)
        monkeypatch.setitem(files.KNOWN_FILES, "frey", known)
        return cache

    return official


def write(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "frey_rawface.mat").write_bytes(content)
    return folder


def test_file_in_data_dir_needs_no_network(place, tmp_path, small_frey, mirror):
    cache = place(f"{mirror.url}/frey")
    folder = write(tmp_path / "data", small_frey)
    frey = load_dataset("FREY", folder, split="contiguous")
    assert frey.source == str(folder)
    assert not mirror.requests and not cache.exists()
    np.testing.assert_allclose(frey.train.x[5, 2, 1, 0], (3 * 41 + 5) / 255, rtol=1e-6)


def test_environment_names_the_data_dir(place, tmp_path, small_frey, monkeypatch):
    place("http://127.0.0.1:9/never-asked")
    folder = write(tmp_path / "data", small_frey)
    monkeypatch.setenv("VAE_GMVAE_DATA_DIR", str(folder))
    assert load_dataset("FREY").source == str(folder)


def test_argument_goes_before_environment(place, tmp_path, small_frey, monkeypatch):
    place("http://127.0.0.1:9/never-asked")
    named, other = (write(tmp_path / name, small_frey) for name in ("named", "other"))
    monkeypatch.setenv("VAE_GMVAE_DATA_DIR", str(other))
    assert load_dataset("FREY", str(named)).source == str(named)


def test_altered_file_in_data_dir_is_refused_and_kept(place, tmp_path, small_frey, mirror):
    """Even where a mirror has the right one: the user's file is the user's."""
    place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    altered = bytes([small_frey[0] ^ 1]) + small_frey[1:]
    folder = write(tmp_path / "data", altered)
    with pytest.raises(ValueError, match="altered or truncated") as caught:
        load_dataset("FREY", folder)
    details = (folder / "frey_rawface.mat", sha256(altered), sha256(small_frey), mirror.url)
    for detail in details:
        assert str(detail) in str(caught.value)
    assert (folder / "frey_rawface.mat").read_bytes() == altered
    assert not mirror.requests


def test_download_fills_the_cache_once(place, tmp_path, small_frey, mirror, capsys):
    cache = place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    (tmp_path / "empty").mkdir()
    first = load_dataset("FREY", tmp_path / "empty")
    assert "100%" in capsys.readouterr().err  # the progress bar
    again = load_dataset("FREY")
    assert first.source == again.source == str(cache)
    assert mirror.requests == ["/frey"]
    assert [path.name for path in cache.iterdir()] == ["frey_rawface.mat"]
    np.testing.assert_array_equal(first.test.x, again.test.x)


def test_altered_file_in_the_cache_is_downloaded_again(place, small_frey, mirror):
    cache = place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    write(cache, small_frey[:-1])
    load_dataset("FREY")
    assert (cache / "frey_rawface.mat").read_bytes() == small_frey


def test_broken_connection_is_tried_again(place, small_frey, mirror):
    place(f"{mirror.url}/frey")
    half = small_frey[: len(small_frey) // 2]
    mirror.serve("/frey", (half, len(small_frey)), half, small_frey)
    assert len(load_dataset("FREY").train) == 1573
    assert mirror.requests == ["/frey"] * 3


def test_next_mirror_where_the_first_truncates(place, small_frey, mirror):
    cache = place(f"{mirror.url}/absent", f"{mirror.url}/truncated", f"{mirror.url}/good")
    mirror.serve("/truncated", small_frey[:-1])
    mirror.serve("/good", small_frey)
    load_dataset("FREY")
    assert list(dict.fromkeys(mirror.requests)) == ["/absent", "/truncated", "/good"]
    assert (cache / "frey_rawface.mat").read_bytes() == small_frey


def test_truncated_download_never_lands_in_the_cache(place, small_frey, mirror):
    cache = place(f"{mirror.url}/truncated", f"{mirror.url}/broken")
    mirror.serve("/truncated", small_frey[:-1])
    mirror.serve("/broken", (small_frey[:-1], len(small_frey)))
    with pytest.raises(FileNotFoundError, match="no mirror delivered it"):
        load_dataset("FREY")
    assert list(cache.iterdir()) == []


def test_without_network_the_error_names_both_ways_out(place, tmp_path, mirror):
    urls = [f"{mirror.url}/one", f"{mirror.url}/two"]
    mirror.server.server_close()  # connections are refused from here on
    cache = place(*urls)
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("FREY", tmp_path)
    known = files.KNOWN_FILES["frey"]
    ways_out = ("data_dir or VAE_GMVAE_DATA_DIR", f"downloads it from {urls[0]}")
    for detail in (known.name, known.sha256, f"{tmp_path},", cache, *urls, *ways_out):
        assert str(detail) in str(caught.value)


def test_cache_that_cannot_be_written(place, tmp_path, small_frey, mirror, monkeypatch):
    place(f"{mirror.url}/frey")
    mirror.serve("/frey", small_frey)
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAE_GMVAE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="Cannot write frey_rawface.mat.*VAE_GMVAE_CACHE_DIR"):
        load_dataset("FREY")


def test_official_files_are_pinned_and_mirrored():
    assert len(files.KNOWN_FILES) == 5
    for known in files.KNOWN_FILES.values():
        assert len(bytes.fromhex(known.sha256)) == 32
        assert len(known.urls) >= 2
        assert all(u.startswith("https://") and u.endswith(known.name) for u in known.urls)
