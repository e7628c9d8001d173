"""Re-executes notebooks and compares their outputs: `python book/tools/notebooks_test.py a.ipynb`.

nbval runs every code cell, in its lax way: cells tagged nbval-check-output must give the output
that is stored, the others must run. Notebooks that need MNIST or Frey are left out, and named,
where the files are neither in VAE_GMVAE_DATA_DIR nor in the download cache.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from vae_gmvae.data import files

FILES = {"MNIST": ("train-images", "train-labels", "test-images", "test-labels"), "FREY": ("frey",)}
NEEDS = re.compile(r"load_dataset\(\s*[\"']?(MNIST|FREY)\b", re.IGNORECASE)
CHECKED = "nbval-check-output"


def code_of(path: Path) -> list:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def datasets_of(path: Path) -> set[str]:
    """The official datasets that a notebook loads."""
    return {name.upper() for cell in code_of(path) for name in NEEDS.findall(cell.source)}


def missing_datasets() -> set[str]:
    """The official datasets whose files are not on this machine."""
    folders = [files.data_folder(None), files.cache_folder()]

    def found(key):
        name = files.KNOWN_FILES[key].name
        return any(folder is not None and (folder / name).is_file() for folder in folders)

    return {dataset for dataset, keys in FILES.items() if not all(map(found, keys))}


class Report:
    """A pytest plugin: what TensorFlow logs is no output; seconds for each notebook."""

    def __init__(self):
        self.seconds = Counter()

    def pytest_collection_modifyitems(self, items):
        for notebook in {item.parent for item in items}:
            notebook.skip_compare = (*notebook.skip_compare, "stderr")

    def pytest_runtest_logreport(self, report):
        self.seconds[Path(report.fspath).name] += report.duration


def main(arguments) -> int:
    missing, chosen = missing_datasets(), []
    for path in map(Path, arguments):
        lacking = sorted(datasets_of(path) & missing)
        if lacking:
            print(
                f"SKIPPED {path}: it needs {' and '.join(lacking)}, which is not on this machine "
                f"(set {files.DATA_DIR_VARIABLE} to the folder that holds the files)"
            )
        else:
            chosen.append(path)
    if not chosen:
        print("No notebook can run here.")
        return 1
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    report = Report()
    options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-q"]
    options += ["-o", "filterwarnings=", "-o", "addopts="]
    status = pytest.main([*options, *map(str, chosen)], plugins=[report])
    cells = [cell for path in chosen for cell in code_of(path)]
    compared = sum(CHECKED in cell.metadata.get("tags", ()) for cell in cells)
    for name, seconds in report.seconds.items():
        print(f"{seconds:6.0f} s  {name}")
    print(
        f"{len(chosen)} notebooks of {len(arguments)}, {len(cells)} code cells, "
        f"{compared} of them compared with their stored output"
    )
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
