"""Notebooks run from an installed wheel, outside the checkout, as they do in Colab."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ["01_latent_variables", "03_model1"]

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python that has the wheel and, from this environment, everything but the checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    # A path file adds a folder; path files in it, an editable install's among them, do not count.
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(done.stdout.strip(), "others.pth").write_text("\n".join(sorted(others)))
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", wheel], check=True)
    return python


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_the_wheel(name, python, data_dir, tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    inside = f"from pathlib import Path\nPath(vg.__file__).relative_to({str(python.parents[1])!r})"
    notebook.cells.append(nbformat.v4.new_code_cell(inside))
    copy = tmp_path / f"{name}.ipynb"
    nbformat.write(notebook, copy)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"VAE_GMVAE_SPEED": "smoke", "VAE_GMVAE_DATA_DIR": str(data_dir)}
    environment |= {"JUPYTER_DATA_DIR": str(tmp_path / "jupyter")}
    execute = [python, ROOT / "book" / "tools" / "execute.py", copy]
    done = subprocess.run(
        execute, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
