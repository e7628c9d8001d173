"""What all tests share: quiet TensorFlow, the real data when it is there, small configurations."""

import io
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import chrome
import hypothesis
import numpy as np
import pytest
from scipy.io import savemat

from vae_gmvae.data import files

BESIDE_CHECKOUT = Path(__file__).resolve().parents[1].parent / "shared" / "data"

# No database: the checkout may be read-only. No deadline: the machine may have other work.
hypothesis.settings.register_profile("anywhere", database=None, deadline=None)
hypothesis.settings.load_profile("anywhere")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the official MNIST and Frey files; skips the test where there is none."""
    folder = Path(os.environ.get("VAE_GMVAE_DATA_DIR") or BESIDE_CHECKOUT).expanduser()
    missing = [
        file.name for file in files.KNOWN_FILES.values() if not (folder / file.name).exists()
    ]
    if missing:
        pytest.skip(f"{folder} lacks {', '.join(missing)}: set VAE_GMVAE_DATA_DIR to their folder")
    return folder


@pytest.fixture(scope="module")
def browser():
    with chrome.chromium() as found:
        yield found


@pytest.fixture(scope="session")
def small_frey():
    """The bytes of a .mat of Frey's shape; frame j has pixel i equal to (3 i + j) mod 256."""
    pixel, frame = np.ogrid[:560, :1965]
    file = io.BytesIO()
    savemat(file, {"ff": ((3 * pixel + frame) % 256).astype(np.uint8)}, do_compression=True)
    return file.getvalue()


@pytest.fixture
def save(tmp_path):
    """`save(**arrays)` writes own.npz and returns its path."""

    def savez(**arrays):
        np.savez(tmp_path / "own.npz", **arrays)
        return tmp_path / "own.npz"

    return savez
