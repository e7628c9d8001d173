"""Gives stored explorers the package's scripts and styles of today: no notebook is run for that.

    python book/tools/explorer_scripts.py notebooks/*.ipynb

A notebook stores each explorer with its script, so that a page needs nothing else. Where only
scripts have changed, this is what an execution would change.
"""

import importlib
import sys
from pathlib import Path

import nbformat
from execute import write
from widget_states import stored_state

SHIPPED = ("_esm", "_css")


def renew(notebook) -> int:
    """How many of the notebook's widgets had another script or style; they have today's now."""
    changed = 0
    for model in stored_state(notebook).values():
        traits = model["state"]
        if not traits.get("_anywidget_id", "").startswith("vae_gmvae."):
            continue
        module, _, name = traits["_anywidget_id"].rpartition(".")
        shipped = getattr(importlib.import_module(module), name)
        today = {key: getattr(shipped, key) for key in SHIPPED if key in traits}
        changed += any(traits[key] != text for key, text in today.items())
        traits.update(today)
    return changed


def main(paths) -> int:
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        changed = renew(notebook)
        if changed:
            write(path, nbformat.writes(notebook).rstrip("\n") + "\n")
            print(f"{path}: {changed} renewed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
