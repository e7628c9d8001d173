"""Executes notebooks in place: `python book/tools/execute.py notebooks/01_*.ipynb`.

Each runs in its own folder with a fresh kernel of this Python. The file is written, at once and
whole, only if every cell ran; where nothing changed, it is the same to the byte. What TensorFlow
logs is dropped; anything else on stderr is reported and makes the command fail. At reference speed
book/status.json notes versions, device and how long the book's notebooks took.
"""

import argparse
import base64
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image
from widget_states import STATE, VIEW, outputs_with_view, reachable, renamed_state, stored_state

PNG = "image/png"
LEVEL = 17  # of 255: 16 levels, black and white among them
MEAN_ERROR, ERROR = 4, 24  # of 255: what a palette may change, and what 99.9% of pixels may
LOG_LINE = re.compile(
    r"""WARNING:\ All\ log\ messages\ before\ absl::InitializeLog
      | [IWE]\d{4}\ \d\d:\d\d:\d+\.\d+                         # absl
      | \d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d\.\d+:\ [IWE]\         # TensorFlow
      | To\ enable\ the\ following\ instructions:             # its second line
      | WARNING:tensorflow:""",
    re.VERBOSE,
)
ROOT = Path(__file__).resolve().parents[2]
STATUS = ROOT / "book" / "status.json"
WARNING_LINE = re.compile(r"^WARNING:tensorflow:.*\n?", re.MULTILINE)  # on stdout in a notebook
COLOURS = re.compile(r"\x1b\[[\d;]*m")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PACKAGES = ("vae-gmvae", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "matplotlib")


def without_logs(text: str) -> str:
    """What is left of stderr without the lines that TensorFlow logs."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.strip() and not LOG_LINE.match(line))


def without_warnings(text: str) -> str:
    """What is left of stdout without what TensorFlow's Python side warns of there."""
    return WARNING_LINE.sub("", text)


def smaller(png: str) -> str:
    """A picture in fewer bytes, base64: with a palette, unless that changes it visibly.

    An opacity that says nothing goes first; a picture with another one keeps its pixels, and one
    that has a palette is left alone. 200 pixels to the inch and 16 steps from black to white are
    more than a page shows of each, while a chapter's pictures weigh a third.
    """
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png
    if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
        picture = picture.convert("RGB")
    if picture.mode in ("L", "RGB"):
        palette = with_palette(picture.convert("RGB"))
        picture = palette if is_close(palette, picture) else picture
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def with_palette(picture: Image.Image) -> Image.Image:
    """The RGB picture in at most 256 colours; exactly rounded where that leaves no more."""
    rounded = picture.point([round(value / LEVEL) * LEVEL for value in range(256)] * 3)
    if rounded.getcolors(256):
        return rounded.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)


def is_close(palette: Image.Image, picture: Image.Image) -> bool:
    """Whether the two differ by less than the eye sees, over all and almost everywhere."""
    pair = [np.asarray(image.convert("RGB"), np.int16) for image in (palette, picture)]
    errors = np.abs(pair[0] - pair[1])  # [H, W, 3], of 255
    mean, almost_all = errors.mean(), np.quantile(errors.max(axis=-1), 0.999)
    return mean <= MEAN_ERROR and almost_all <= ERROR


def clean_outputs(outputs: list) -> list:
    """The outputs without logs; pieces of one stream, which come as they please, in one piece."""
    cleaned = []
    for output in outputs:
        if output["output_type"] == "stream":
            clean = without_logs if output["name"] == "stderr" else without_warnings
            output["text"] = clean(output["text"])
            last = cleaned[-1] if cleaned else {}
            if last.get("output_type") == "stream" and last["name"] == output["name"]:
                last["text"] += output["text"]
                continue
            if not output["text"]:
                continue
        if PNG in output.get("data", {}):
            output["data"][PNG] = smaller(output["data"][PNG])
        cleaned.append(output)
    return cleaned


def with_stable_widgets(notebook):
    """The notebook with the widgets that it shows, numbered in place of random identifiers.

    Those that no view reaches stay out: a kernel stores every widget that was ever made.
    """
    state = stored_state(notebook)
    notebook.metadata.pop("widgets", None)
    views = [output["data"][VIEW] for _, output in outputs_with_view(notebook)]
    shown = [view["model_id"] for view in views]
    state = reachable(state, shown)
    names = {name: f"{number:032x}" for number, name in enumerate(dict.fromkeys([*shown, *state]))}
    for view in views:
        view["model_id"] = names[view["model_id"]]
    if state:
        contents = {"state": renamed_state(state, names), "version_major": 2, "version_minor": 0}
        notebook.metadata["widgets"] = nbformat.from_dict({STATE: contents})
    return notebook


def normalised(notebook):
    """The notebook without what differs from run to run or from machine to machine."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = nbformat.from_dict(METADATA)
    if widgets:
        notebook.metadata["widgets"] = widgets
    notebook = with_stable_widgets(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell.outputs)
    return notebook


def complaints(notebook) -> list[str]:
    """What stands on stderr, cell by cell."""
    return [
        f"cell {cell.id} writes to stderr: {output['text'].strip()}"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


def write(path: Path, text: str):
    """Replaces the file in one step."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
    ) as file:
        file.write(text)
    os.chmod(file.name, path.stat().st_mode if path.exists() else 0o644)
    os.replace(file.name, path)


def execute(path: Path, timeout: int) -> list[str]:
    """Executes the notebook in place; what it wrote to stderr.

    Raises:
        CellExecutionError, CellTimeoutError, DeadKernelError: the file is left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(stderr=subprocess.DEVNULL)  # the kernel's own; the cells' is in the notebook
    notebook = normalised(notebook)
    nbformat.validate(notebook)
    write(path, nbformat.writes(notebook).rstrip("\n") + "\n")
    return complaints(notebook)


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def record(status: Path, path: Path, seconds: float):
    """Notes how long the notebook took, and where, in the file that the book's page shows."""
    known = json.loads(status.read_text("utf-8")) if status.exists() else {}
    known["python"] = platform.python_version()
    known["packages"] = {name: installed(name) for name in PACKAGES}
    known["device"] = {"processor": processor(), "cores": os.cpu_count()}
    known.setdefault("seconds", {})[path.stem] = round(seconds, 1)
    known["seconds"] = dict(sorted(known["seconds"].items()))
    write(status, json.dumps(known, indent=2, ensure_ascii=False) + "\n")


def is_published(path: Path) -> bool:
    """Whether the notebook was executed as the book shows it."""
    speed = os.environ.get("VAE_GMVAE_SPEED") or "reference"
    return path.resolve().parent == ROOT / "notebooks" and speed == "reference"


def set_environment():
    """For the kernels: no chatter, nothing of the user's own settings, steady hashes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")
    folder = Path(sys.executable).parent
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")])


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--timeout", type=int, default=1800, help="seconds for one cell")
    parser.add_argument("--status", type=Path, help="a JSON file that notes the times, always")
    options = parser.parse_args(arguments)
    set_environment()
    failed = 0
    for path in options.notebooks:
        print(f"{path} ... ", end="", flush=True)
        start = time.perf_counter()
        try:
            noise = execute(path.resolve(), options.timeout)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"failed, and is left as it was\n{COLOURS.sub('', str(error))}")
            failed = 1
            continue
        seconds = time.perf_counter() - start
        print(f"{seconds:.0f} s", *noise, sep="\n  ")
        failed = failed or bool(noise)
        if options.status or is_published(path):
            record(options.status or STATUS, path, seconds)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
