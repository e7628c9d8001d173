"""The explorers in a real JupyterLab: what the reader chooses is in Python, and the other way.

A server in a folder of its own serves one notebook. The last cell is for trying things: a test
puts its code there, runs it and reads what it prints. Keys go to the page as a reader's do.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from chrome import needs_browser
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

HAS_LAB = importlib.util.find_spec("jupyterlab") is not None
pytestmark = [
    *needs_browser,
    pytest.mark.skipif(not HAS_LAB, reason="no JupyterLab: pip install 'jupyterlab>=4,<5'"),
]

SET_UP = """import json
import time
import numpy as np
import trainings
from vae_gmvae import load_reference, runs
from vae_gmvae.widgets import InferenceExplorer, LatentExplorer, MixtureExplorer, TrainingScrubber
vae, gmvae = load_reference("model1", "MNIST"), load_reference("model4_bias", "MNIST")
def decoded(run, z):
    return np.asarray(run.model.decode_x(z[None])).ravel().tolist()
def mean(k, w):
    return np.asarray(gmvae.model.prior_z(np.float32([w])).mean)[0, k]
def samples(epoch, k):
    model = runs.load_run("run", f"weights-{epoch:06d}").model
    return np.round(64 * model.sample(5, seed=0, k=k)).ravel() / 64
def show(**values):
    print(json.dumps({k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}))"""
CELLS = [
    SET_UP,
    "latent = LatentExplorer(vae)\nlatent",
    "mixture = MixtureExplorer(gmvae)\nmixture",
    "inference = InferenceExplorer(gmvae)\ninference",
    "run = trainings.train(trainings.config('model3'), 'run')\n"
    "scrubber = TrainingScrubber(run, trainings.dataset())\nscrubber",
    "show(z=latent.z)",
]
LATENT, MIXTURE, INFERENCE, SCRUBBER, LAST = 1, 2, 3, 4, 5
START, REPLY = 60, 30  # seconds that a server or a kernel, and anything else, may take

# These folders keep the settings of whoever runs the test out.
OPTIONS = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
OPTIONS += ["--LabApp.expose_app_in_browser=True"]  # as window.jupyterapp
FOLDERS = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
FOLDERS += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
NEWS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}  # from other hosts, over the page


@contextlib.contextmanager
def lab_server(folder):
    """The address of the notebook in a JupyterLab that serves `folder`/files."""
    kernel = {"name": "python3", "display_name": "Python 3"}  # else it would ask for one
    cells = [new_code_cell(source) for source in CELLS]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    (folder / "files").mkdir()
    write(notebook, folder / "files" / "live.ipynb")
    places = {name: str(folder / name) for name in FOLDERS}
    places["PYTHONPATH"] = str(Path(__file__).parent)  # for trainings.py
    news = folder / "JUPYTERLAB_SETTINGS_DIR" / NEWS
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps(NO_NEWS), "utf-8")
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *OPTIONS, f"--ServerApp.root_dir={folder}/files"],
            env=os.environ | places,
            stdout=log,
            stderr=log,
        )
        try:
            yield _address(server, folder)
        finally:
            server.terminate()
            server.wait(REPLY)


def _address(server, folder) -> str:
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError, URLError, ValueError):
            (described,) = (folder / "JUPYTER_RUNTIME_DIR").glob("jpserver-*.json")
            told = json.loads(described.read_text("utf-8"))
            urlopen(f"{told['url']}api", timeout=REPLY).close()
            return f"{told['url']}lab/tree/live.ipynb?token={told['token']}"
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start: {(folder / 'log').read_text()[-2000:]}")


# --- the page

NOTEBOOK = "jupyterapp.shell.currentWidget"
CELLS_HELD = "window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length"
IDLE = f"{NOTEBOOK}.sessionContext.session?.kernel?.status == 'idle'"
RUN = f"""async (index) => {{
  const notebook = {NOTEBOOK}.content;
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  await jupyterapp.commands.execute("notebook:run-cell");
  return notebook.widgets[index].model.outputs.toJSON();
}}"""
WRITE = f"([index, code]) => {NOTEBOOK}.content.widgets[index].model.sharedModel.setSource(code)"
PAINTED = """([root, count]) => root.querySelectorAll('.vx-explorer').length == count
  && [...root.querySelectorAll('.vx-explorer')].every((e) => e.dataset.ready)"""
SHOWS = """([canvas, pixels]) => canvas.pixels?.length == pixels.length
  && pixels.every((p, i) => Math.abs(p - canvas.pixels[i]) < 1e-5)"""
VALUES = "all => all.map((e) => e.getAttribute('aria-valuetext').replace('−', '-'))"


class Lab:
    """The notebook in JupyterLab, all its cells run; `complaints` is what the console said."""

    def __init__(self, page, address):
        self.page, self.complaints = page, []
        page.set_default_timeout(1000 * REPLY)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.open(lambda: page.goto(address))
        self.run_all()

    def _note(self, message):
        if message.type == "error":
            self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def open(self, go):
        """The notebook and its kernel, after go()."""
        go()
        for condition in (CELLS_HELD, IDLE):
            self.page.wait_for_function(condition, timeout=1000 * START)

    def cell(self, index):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def run_all(self):
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells').then(String)")
        for index in (LATENT, MIXTURE, INFERENCE, SCRUBBER):
            self.explorer(index)

    def run(self, index) -> list[dict]:
        """Runs a cell and gives its outputs."""
        outputs = self.page.evaluate(RUN, index)
        assert [o for o in outputs if o["output_type"] == "error"] == []
        return outputs

    def python(self, code="", **values) -> dict:
        """Runs code in the last cell, which then shows these expressions' values."""
        shown = ", ".join(f"{name}={expression}" for name, expression in values.items())
        self.page.evaluate(WRITE, [LAST, f"{code}\nshow({shown})"])
        texts = [output["text"] for output in self.run(LAST) if output.get("name") == "stdout"]
        return json.loads("".join(texts))

    def eventually(self, expected, **value):
        """What the page sends reaches Python with the next messages, not at once."""
        end = time.monotonic() + REPLY
        while not near(*(found := self.python(**value)).values(), expected):
            assert time.monotonic() < end, (found, expected)

    def explorer(self, index, count=1):
        """The explorer below a cell, painted; or the cell, where it shows several."""
        cell = self.cell(index)
        cell.scroll_into_view_if_needed()  # JupyterLab may not draw what is far away
        self.page.wait_for_function(PAINTED, arg=[cell.element_handle(), count])
        return cell.locator(".vx-explorer") if count == 1 else cell

    def shows(self, explorer, pixels, picture="[data-image=decoded]"):
        """Waits until a picture of the explorer is this one."""
        canvas = explorer.locator(picture).element_handle()
        self.page.wait_for_function(SHOWS, arg=[canvas, pixels])

    def selection(self):
        return self.page.evaluate(
            f"[{NOTEBOOK}.content.activeCellIndex, {NOTEBOOK}.content.mode,"
            f" {NOTEBOOK}.content.widgets.length]"
        )


def near(found, expected) -> bool:
    return np.shape(found) == np.shape(expected) and np.allclose(found, expected, atol=1e-5)


def slider(explorer, name):
    return explorer.get_by_role("slider", name=name, exact=True)


def values(explorer, symbol="z") -> list[float]:
    """What the sliders of a vector say."""
    texts = explorer.locator(f"input[type=range][aria-label^={symbol}]").evaluate_all(VALUES)
    return [float(text) for text in texts]


@pytest.fixture(scope="module")
def started(tmp_path_factory, browser):
    with lab_server(tmp_path_factory.mktemp("lab")) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
        yield Lab(page, address)


@pytest.fixture
def lab(started):
    yield started
    assert started.complaints == []


# --- from the page to Python


def test_the_next_cell_has_what_a_slider_chose(lab):
    explorer = lab.explorer(LATENT)
    before = lab.python(z="latent.z")["z"]
    slider(explorer, "z₂").press("Home")
    slider(explorer, "z₂").press("ArrowRight")
    lab.eventually([before[0], -2.9, *before[2:]], z="latent.z")
    lab.shows(explorer, lab.python(pixels="decoded(vae, latent.z)")["pixels"])


def test_the_next_cell_has_the_cluster_and_the_style(lab):
    explorer = lab.explorer(MIXTURE)
    lab.python("mixture.k, mixture.w = 0, [0, 0]")
    explorer.get_by_role("radio", name="cluster 0").press("ArrowRight")
    slider(explorer, "w₁").press("End")
    lab.eventually([1, 3, 0], kw="np.r_[mixture.k, mixture.w]")
    lab.eventually(lab.python(mean="mean(1, [3, 0])")["mean"], z="mixture.z")


def test_the_next_cell_has_the_image_and_what_was_inferred_from_it(lab):
    explorer = lab.explorer(INFERENCE)
    explorer.get_by_role("radio", name="sample 3 of the model").check(force=True)
    examples = "np.frombuffer(inference.examples, np.uint8).reshape(-1, 28, 28, 1) / 255"
    lab.eventually(lab.python(x=f"({examples})[2]")["x"], x="inference.x")
    terms = "gmvae.model.elbo_terms(inference.x[None], eps=inference.eps())"
    told = lab.python(told="inference.results['terms']['reconstruction']")["told"]
    shown = explorer.locator("[data-term=reconstruction]").first.get_attribute("data-value")
    assert float(shown) == pytest.approx(told)
    assert told == pytest.approx(lab.python(t=f"float({terms}.reconstruction[0])")["t"], abs=0.01)


def test_the_next_cell_has_the_epoch(lab):
    explorer = lab.explorer(SCRUBBER)
    lab.python("scrubber.epoch = 1")
    slider(explorer, "epoch").press("ArrowRight")
    lab.eventually(2, epoch="scrubber.epoch")


# --- from Python to the page


def test_python_moves_the_sliders_and_the_picture(lab):
    explorer, z = lab.explorer(LATENT), [0.5, -1.2, *[0.0] * 7, 4.5]
    told = lab.python(f"latent.z = {z}", z="latent.z", pixels="decoded(vae, latent.z)")
    lab.shows(explorer, told["pixels"])
    assert values(explorer) == z == pytest.approx(told["z"])
    assert slider(explorer, "z₁₀").input_value() == "3"  # its end


def test_python_chooses_the_cluster_and_the_style(lab):
    explorer = lab.explorer(MIXTURE)
    told = lab.python(
        "mixture.k, mixture.w = 4, [1, -0.5]", pixels="decoded(gmvae, mean(4, [1, -0.5]))"
    )
    lab.shows(explorer, told["pixels"])
    assert explorer.get_by_role("radio", name="cluster 4").is_checked()
    assert values(explorer, "w") == [1, -0.5]
    lab.eventually(lab.python(mean="mean(4, [1, -0.5])")["mean"], z="mixture.z")  # it follows
    told = lab.python("mixture.z = mean(7, [0, 0])", pixels="decoded(gmvae, mixture.z)")
    lab.shows(explorer, told["pixels"])
    assert lab.python(k="mixture.k")["k"] == 4


def test_what_python_sets_last_stays(lab):
    """Also where the page has answered the first assignment while the cell was still busy."""
    explorer = lab.explorer(MIXTURE)
    lab.python("mixture.k = 2\nfor k in (5, 6):\n    mixture.k = k\n    time.sleep(0.2)")
    told = lab.python("mixture.z = np.ones(10)", pixels="decoded(gmvae, mixture.z)")
    lab.shows(explorer, told["pixels"])
    told = lab.python("mixture.k = 7\ntime.sleep(0.3)\nmixture.z = np.zeros(10)", z="mixture.z")
    assert told["z"] == [0] * 10
    assert lab.python(z="mixture.z")["z"] == [0] * 10
    lab.shows(explorer, lab.python(pixels="decoded(gmvae, mixture.z)")["pixels"])


def test_python_puts_an_image_on_the_pad(lab):
    explorer = lab.explorer(INFERENCE)
    told = lab.python("inference.x = gmvae.model.sample(1, seed=5)[0]", x="inference.x.ravel()")
    lab.shows(explorer, told["x"], "[data-image=x]")


def test_python_chooses_the_epoch(lab):
    explorer = lab.explorer(SCRUBBER)
    for epoch in (3, 1):
        told = lab.python(f"scrubber.epoch = {epoch}", pixels=f"samples({epoch}, 1)")
        lab.shows(explorer, told["pixels"], "[data-image=samples][data-k='1']")
        assert slider(explorer, "epoch").get_attribute("aria-valuetext") == str(epoch)


# --- beside each other, and beside JupyterLab


def test_keys_in_an_explorer_are_not_those_of_the_notebook(lab):
    explorer = lab.explorer(LATENT)
    slider(explorer, "z₃").focus()
    before = lab.selection()
    assert before[:2] == [LATENT, "command"]
    for key in ("Home", "PageUp", "ArrowUp", "ArrowDown", "ArrowRight"):
        slider(explorer, "z₃").press(key)
    assert slider(explorer, "z₃").get_attribute("aria-valuetext") == "−2.3"
    assert lab.selection() == before
    explorer.get_by_role("button", name="Reset").press("Enter")
    lab.eventually([0] * 10, z="latent.z")
    other = lab.explorer(MIXTURE)
    pad = other.get_by_role("application", name="w:")
    pad.focus()
    before = lab.selection()
    for element in (pad, other.get_by_role("radio", name="cluster 4")):
        for key in ("ArrowDown", "ArrowUp"):
            element.press(key)
    assert lab.selection() == before


def test_a_second_view_follows_the_first(lab):
    lab.python("from IPython.display import display\ndisplay(latent)")
    cell = lab.explorer(LAST)
    slider(cell, "z₄").press("End")
    lab.page.wait_for_function(
        "e => e.getAttribute('aria-valuetext') == '3.0'",
        arg=slider(lab.explorer(LATENT), "z₄").element_handle(),
    )
    lab.eventually(3, z="latent.z[3]")


def test_a_cell_run_again_leaves_the_others_as_they_are(lab):
    lab.python("mixture.k, old = 3, latent\nold.z = np.ones(10)")
    lab.run(LATENT)
    explorer, other = lab.explorer(LATENT), lab.explorer(MIXTURE)
    told = lab.python(old="old.z", z="latent.z", first="latent.ends[0]['z']")
    assert told["old"] == [1] * 10
    assert told["z"] == pytest.approx(told["first"])
    slider(explorer, "z₁").press("Home")
    lab.eventually(-3, z="latent.z[0]")
    other.get_by_role("radio", name="cluster 3").press("ArrowRight")
    lab.eventually(4, k="mixture.k")
    lab.python("mixture.k, mixture.z, latent.z = 6, np.zeros(10), np.zeros(10)")
    lab.shows(explorer, lab.python(pixels="decoded(vae, latent.z)")["pixels"])
    lab.shows(other, lab.python(pixels="decoded(gmvae, mixture.z)")["pixels"])
    assert other.get_by_role("radio", name="cluster 6").is_checked()


def test_a_page_loaded_again_shows_what_python_has(lab):
    lab.python(f"latent.z, mixture.k = {[-2.5] * 10}, 8")
    lab.page.evaluate("jupyterapp.commands.execute('docmanager:save').then(String)")
    lab.open(lab.page.reload)
    explorer = lab.explorer(LATENT)
    assert values(explorer) == [-2.5] * 10
    assert lab.explorer(MIXTURE).get_by_role("radio", name="cluster 8").is_checked()
    slider(explorer, "z₁").press("End")
    lab.eventually([3, *[-2.5] * 9], z="latent.z")


def test_a_kernel_started_again(lab):
    """Its explorers have the names of those before it."""
    lab.python(f"latent.z = {[-2.5] * 10}")
    lab.page.evaluate(WRITE, [LAST, ""])
    lab.page.evaluate(f"{NOTEBOOK}.sessionContext.session.kernel.restart()")
    lab.run_all()
    explorer, told = lab.explorer(LATENT), lab.python(z="latent.z", first="latent.ends[0]['z']")
    assert told["z"] == pytest.approx(told["first"])
    lab.shows(explorer, lab.python(pixels="decoded(vae, latent.z)")["pixels"])
    slider(explorer, "z₁").press("Home")
    lab.eventually([-3, *told["first"][1:]], z="latent.z")
    lab.shows(explorer, lab.python("latent.z = np.ones(10)", p="decoded(vae, latent.z)")["p"])
