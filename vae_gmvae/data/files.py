"""Where the official files come from: a data folder, the download cache, then public mirrors."""

import os
from pathlib import Path
from typing import NamedTuple

DATA_DIR_VARIABLE = "VAE_GMVAE_DATA_DIR"
CACHE_DIR_VARIABLE = "VAE_GMVAE_CACHE_DIR"

RETRIES = 2  # per mirror, after the first attempt
TIMEOUT = (10, 30)  # seconds to connect, seconds without a byte


class KnownFile(NamedTuple):
    """An official file, known byte for byte, and where the public can get it."""

    name: str
    sha256: str
    urls: tuple[str, ...]


def _mnist(name: str, sha256: str) -> KnownFile:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    )
    return KnownFile(name, sha256, tuple(mirror + name for mirror in mirrors))


KNOWN_FILES = {
    "train-images": _mnist(
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels": _mnist(
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "test-images": _mnist(
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "test-labels": _mnist(
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "frey": KnownFile(
        "frey_rawface.mat",
        "265a83a23adb081755cd3de375509828e690324d1d60f076b8ecebc840d59c64",
        (
            "https://cs.nyu.edu/~roweis/data/frey_rawface.mat",
            "https://raw.githubusercontent.com/psanch21/VAE-GMVAE/HEAD/data/frey_rawface.mat",
        ),
    ),
}


def data_folder(data_dir: str | os.PathLike | None) -> Path | None:
    """The folder to look in first: the argument, else VAE_GMVAE_DATA_DIR, else none.

    Raises FileNotFoundError if the argument is not an existing folder. The variable may name a
    folder that does not exist (yet): it is a default for every run, not a request of this one.
    """
    if data_dir is None:
        variable = os.environ.get(DATA_DIR_VARIABLE)
        return Path(variable).expanduser() if variable else None
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"data_dir {str(folder)!r} is not an existing folder. Name the folder that holds the "
            f"data files, or leave data_dir out to use {DATA_DIR_VARIABLE}, the download cache "
            "and the public mirrors."
        )
    return folder


def cache_folder() -> Path:
    """The download cache: VAE_GMVAE_CACHE_DIR, else the user's cache folder of this system."""
    import pooch

    variable = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(variable).expanduser() if variable else pooch.os_cache("vae-gmvae")


def find_file(key: str, folder: Path | None) -> Path:
    """The path of KNOWN_FILES[key], its checksum verified; downloads it if it is nowhere here.

    A file in `folder` counts even if it is wrong: then ValueError, and the file is left as it is.
    Raises FileNotFoundError if no mirror delivers, OSError if the cache cannot be written.
    """
    known = KNOWN_FILES[key]
    if folder is not None and (folder / known.name).is_file():
        return _verified(folder / known.name, known)
    return _fetch(known, folder)


def _verified(path: Path, known: KnownFile) -> Path:
    import pooch

    found = pooch.file_hash(str(path))
    if found != known.sha256:
        raise ValueError(
            f"{path} is altered or truncated: its sha256 is {found}, expected {known.sha256}. It "
            f"was left as it is. Replace it by the official file ({known.urls[0]}), or move it "
            "away and the package downloads its own copy."
        )
    return path


def _fetch(known: KnownFile, folder: Path | None) -> Path:
    """From the cache if it is there unaltered, else from the first mirror that delivers it."""
    import pooch
    import requests

    cache = cache_folder()
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    failures = []
    for url in known.urls:
        mirror = pooch.create(
            path=cache,
            base_url="",
            registry={known.name: f"sha256:{known.sha256}"},
            urls={known.name: url},
            retry_if_failed=RETRIES,
        )
        try:
            return Path(mirror.fetch(known.name, downloader=downloader))
        except (requests.RequestException, ValueError) as error:  # no answer, or a wrong checksum
            offline = isinstance(error, (requests.ConnectionError, requests.Timeout))
            failures.append(f"{url} ({'no connection' if offline else error})")
        except OSError as error:  # the disk, not the network
            raise OSError(
                f"Cannot write {known.name} to the download cache {cache}: {error}. Free some "
                f"space there, or name a writable folder in {CACHE_DIR_VARIABLE}."
            ) from error
    raise FileNotFoundError(_not_found(known, folder, cache, failures))


def _not_found(known: KnownFile, folder: Path | None, cache: Path, failures: list[str]) -> str:
    places = f"the data folder {folder}, the cache {cache}" if folder else f"the cache {cache}"
    return (
        f"{known.name} (sha256 {known.sha256}) is not in {places}, and no mirror delivered it: "
        f"{'; '.join(failures)}. Two ways out: put the file into a folder and name that folder by "
        f"data_dir or {DATA_DIR_VARIABLE}; or connect to the network and run again, which "
        f"downloads it from {known.urls[0]}."
    )
