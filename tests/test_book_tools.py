"""What stands between notebooks and pages: execution, stored results, badges, lists."""

import base64
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from nbformat import read, write
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).parents[1]
EXECUTE = ROOT / "book" / "tools" / "execute.py"


@pytest.fixture(scope="module", autouse=True)
def importable():
    """The tools and extensions as modules; skips where the book's packages are missing."""
    pytest.importorskip("sphinx", reason="no Sphinx: pip install 'vae-gmvae[book]'")
    folders = [str(ROOT / "book" / name) for name in ("extensions", "tools")]
    sys.path[:0] = folders
    yield
    for folder in folders:
        sys.path.remove(folder)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


# --- executing notebooks


def test_what_tensorflow_logs_is_dropped_and_nothing_else():
    import execute

    logs = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1795349130.697337   19230 port.cc:153] oneDNN custom operations are on.\n"
        "2026-11-22 12:00:00.123456: I tensorflow/core/cpu_feature_guard.cc:210] optimized\n"
        "To enable the following instructions: AVX2 FMA, rebuild TensorFlow.\n"
    )
    assert execute.without_logs(logs + "UserWarning: look\n") == "UserWarning: look\n"


def test_what_tensorflow_warns_of_on_stdout_is_dropped():
    import execute

    told = stream("first\nWARNING:tensorflow:5 out of the last 13 calls\nlast\n")
    assert execute.clean_outputs([told]) == [stream("first\nlast\n")]
    assert execute.clean_outputs([stream("WARNING:tensorflow:5 out of 13 calls")]) == []


def test_pieces_of_a_stream_become_one():
    import execute

    logs = stream("I0000 00:00:1.2 3 a.cc:1] b\n", "stderr")
    found = execute.clean_outputs([stream("a\n"), logs, stream("b\n"), stream("c\n")])
    assert found == [stream("a\nb\nc\n")]


def as_png(pixels) -> str:
    """A picture as a notebook stores it, but larger than it need be."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


def picture_of(stored: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(stored)))


def drawing() -> np.ndarray:
    """Something like a figure: smooth greys, a smooth colour, black on white.  [60, 80, 3]"""
    pixels = np.full((60, 80, 3), 255, np.uint8)
    pixels[:20] = np.linspace(0, 255, 80).astype(np.uint8)[:, None]
    pixels[20:40, :, 1] = np.linspace(0, 255, 80).astype(np.uint8)
    pixels[50] = 0
    return pixels


def test_a_picture_gets_a_palette_that_changes_little():
    import execute

    stored = as_png(drawing())
    shown = new_output("display_data", data={execute.PNG: stored, "text/plain": "a picture"})
    (found,) = execute.clean_outputs([shown])
    smaller = found.data[execute.PNG]
    assert len(smaller) < len(stored) / 10 and found.data["text/plain"] == "a picture"
    picture = picture_of(smaller)
    assert picture.mode == "P"
    errors = np.abs(np.asarray(picture.convert("RGB"), int) - drawing())
    assert errors.max() <= execute.LEVEL / 2
    assert (errors[[45, 50]] == 0).all(), "black and white stay what they are"
    assert execute.smaller(smaller) == smaller


def test_a_picture_of_many_colours_keeps_its_own():
    """As near as 256 colours come; where that is not near, all of them."""
    import execute

    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    row, column = np.mgrid[:256:4, :256:4]
    smooth = np.dstack([row, column, (row + column) // 2]).astype(np.uint8)
    for pixels, mode in ((noise, "RGB"), (smooth, "P")):
        smaller = execute.smaller(as_png(pixels))
        picture = picture_of(smaller)
        assert picture.mode == mode
        assert execute.is_close(picture, Image.fromarray(pixels))
        assert execute.smaller(smaller) == smaller


@pytest.mark.parametrize(("opacity", "mode"), [(255, "P"), (128, "RGBA")])
def test_a_picture_loses_only_an_opacity_without_meaning(opacity, mode):
    import execute

    pixels = np.dstack([drawing(), np.full((60, 80), opacity, np.uint8)])
    smaller = execute.smaller(as_png(pixels))
    assert picture_of(smaller).mode == mode
    if mode == "RGBA":
        np.testing.assert_array_equal(np.asarray(picture_of(smaller)), pixels)
    assert execute.smaller(smaller) == smaller


def with_widgets(name: str):
    """A notebook that shows one widget, whose layout and network are widgets, and keeps another."""
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": name}}
    cell = new_code_cell("w", id="w", outputs=[new_output("display_data", data=view)])
    traits = {
        "layout": f"IPY_MODEL_{name}0",
        "networks": {"a": [f"IPY_MODEL_{name}1"]},
        "text": f"{name} and IPY_MODEL_nobody",
    }
    state = {name: {"state": traits}, f"{name}9": {"state": {}}}
    state |= {f"{name}{digit}": {"state": {"of": digit}} for digit in (1, 0)}
    stored = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    return new_notebook(cells=[cell], metadata={"widgets": stored})


def test_widgets_are_numbered_and_those_never_shown_are_dropped():
    import execute

    notebooks = [execute.normalised(with_widgets(name)) for name in ("a1b2", "or-stable")]
    first, second = [execute.stored_state(notebook) for notebook in notebooks]
    zero, one, two = [f"{number:032x}" for number in range(3)]
    assert list(first) == [zero, one, two] == list(second)
    assert first[zero]["state"]["layout"] == f"IPY_MODEL_{one}"
    assert first[zero]["state"]["networks"] == {"a": [f"IPY_MODEL_{two}"]}
    assert first[zero]["state"]["text"] == "a1b2 and IPY_MODEL_nobody"
    assert [first[name]["state"]["of"] for name in (one, two)] == [0, 1]
    (_, output), *others = execute.outputs_with_view(notebooks[0])
    assert output["data"][execute.VIEW] == {"model_id": zero} and not others
    assert execute.normalised(notebooks[0]) == notebooks[0]


def test_a_notebook_that_shows_no_widget_stores_none():
    import execute

    notebook = with_widgets("a1b2")
    notebook.cells[0].outputs = []
    assert set(execute.normalised(notebook).metadata) == {"kernelspec", "language_info"}


def run(path: Path, *options):
    command = [sys.executable, EXECUTE, path, *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of these cells."""

    def make(*sources):
        cells = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
        path = tmp_path / "page.ipynb"
        write(new_notebook(cells=cells), path)
        return path

    return make


def test_executing_twice_gives_the_same_file(notebook, tmp_path):
    path = notebook(f"import os\nprint(os.getcwd() == {str(tmp_path)!r})", "1 + 1")
    assert run(path, "--status", tmp_path / "status.json").returncode == 0
    first = path.read_bytes()
    assert [cell.execution_count for cell in read(path, 4).cells] == [1, 2]
    assert read(path, 4).cells[0].outputs == [stream("True\n")]
    assert b"version" not in first.replace(b"nbformat", b"")
    assert run(path).returncode == 0
    assert path.read_bytes() == first
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["seconds"]["page"] > 0 and status["packages"]["numpy"][0].isdigit()


def test_a_failing_cell_leaves_the_file_alone(notebook):
    path = notebook("print(1)", "1 / 0")
    before = path.read_bytes()
    done = run(path)
    assert done.returncode == 1
    assert "1 / 0" in done.stdout and "ZeroDivisionError" in done.stdout
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_warning_of_a_cell_fails(notebook):
    done = run(notebook("import warnings\nwarnings.warn('look')"))
    assert done.returncode == 1 and "look" in done.stdout


def test_only_what_the_book_shows_is_noted(tmp_path, monkeypatch):
    import execute

    page = ROOT / "notebooks" / "00_how_to_read.ipynb"
    monkeypatch.delenv("VAE_GMVAE_SPEED", raising=False)
    assert execute.is_published(page) and not execute.is_published(tmp_path / page.name)
    monkeypatch.setenv("VAE_GMVAE_SPEED", "smoke")
    assert not execute.is_published(page)


def test_notebooks_are_left_out_where_their_data_is_missing(notebook, tmp_path, monkeypatch):
    import notebooks_test

    path = notebook('vg.load_dataset("MNIST"), vg.load_dataset(name)')
    assert notebooks_test.datasets_of(path) == {"MNIST"}
    monkeypatch.setenv("VAE_GMVAE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VAE_GMVAE_CACHE_DIR", str(tmp_path))
    assert notebooks_test.missing_datasets() == {"MNIST", "FREY"}
    assert notebooks_test.main([str(path)]) == 1
    (tmp_path / "frey_rawface.mat").touch()
    assert notebooks_test.missing_datasets() == {"MNIST"}


# --- stored results in the text


@pytest.fixture
def results(tmp_path):
    reference = tmp_path / "vae_gmvae" / "reference" / "model1_MNIST" / "metrics.json"
    other = tmp_path / "benchmarks" / "results" / "runs.json"
    for path, values in (
        (reference, {"elbo": -3835.27, "accuracy": 0.695, "by": "kmeans", "nothing": None}),
        (other, {"model1/MNIST": {"metrics": {"elbo": 1234.5}, "list": [1, 2]}}),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    return tmp_path


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("model1/MNIST:elbo:.1f", "−3835.3"),
        ("model1/MNIST:elbo", "−3835.27"),
        ("model1/MNIST:accuracy:.1%", "69.5%"),
        ("model1/MNIST:by", "kmeans"),
        ("runs.json:model1/MNIST/metrics/elbo:,.0f", "1,234"),
        ("runs.json:model1/MNIST/list/1", "2"),
    ],
)
def test_a_result_is_read(results, role, text):
    import results as extension

    assert extension.text_of(results, role) == text


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("model2/MNIST:elbo:.1f", "no file vae_gmvae/reference/model2_MNIST/metrics.json"),
        ("model1/MNIST:elbow:.1f", "no 'elbow'"),
        ("model1/MNIST:elbo:.1q", "format '.1q'"),
        ("model1/MNIST:by:.1f", "format '.1f'"),
        ("model1/MNIST:nothing", "no number"),
        ("model1/MNIST", "a file and a key"),
        ("runs.json:model1/MNIST/metrics/mse", "no 'mse'"),
        ("runs.json:model1/MNIST/metrics", "no number"),
        ("runs.json:model1/MNIST/list/2", "no '2'"),
    ],
)
def test_a_result_that_is_missing_is_named(results, role, words):
    import results as extension

    with pytest.raises(extension.ResultError, match=words.replace("[", r"\[")):
        extension.text_of(results, role)


# --- badges and the appendix


def test_badges():
    import badges

    options = {
        "repository_url": "https://github.com/someone/something/",
        "repository_branch": "main",
        "launch_buttons": {"colab_url": "https://colab.example"},
    }
    url = "https://colab.example/github/someone/something/blob/main/notebooks/a.ipynb"
    assert badges.colab_url(options, "notebooks/a") == url
    assert f'href="{url}"' in badges.badges(options, "notebooks/a")
    below = badges.colab_url(options | {"path_to_docs": "docs/"}, "a")
    assert below.endswith("/blob/main/docs/a.ipynb")
    elsewhere = options | {"repository_url": "https://example.org/a"}
    assert badges.colab_url(elsewhere, "a") is None
    assert "olab" not in badges.badges(elsewhere, "a")
    assert badges.download_url("notebooks/a") == "../_sources/notebooks/a.ipynb"
    assert badges.download_url("a") == "_sources/a.ipynb"


def test_exercises_are_listed_with_their_solutions():
    import appendix

    def entry(kind, docname, **node):
        return {"type": kind, "docname": docname, "node": node}

    registry = {
        "ex-a": entry("exercise", "one", label="ex-a"),
        "s": entry("solution-start", "one", label="s", target_label="ex-a"),
        "ex-b": entry("exercise", "two", label="ex-b"),
    }
    pages = appendix.solved(registry)
    assert [answer and answer["label"] for _, answer in pages["one"]] == ["s"]
    assert pages["two"] == [({"label": "ex-b"}, None)]


@pytest.mark.parametrize(
    "text, together",
    [
        ("for (|x|), that", ["(x),"]),
        ("|a|, |b| and |c|.", ["a,", "c."]),
        ("|K|-means with |z|", ["K-"]),
        ("from |a| to |b|,|c|", ["b,"]),
        (", |a|, |b|, ", ["a,", "b,"]),
    ],
)
def test_formulas_stay_with_their_punctuation(text, together):
    import typography
    from docutils import frontend, nodes, utils

    document = utils.new_document("page", frontend.get_default_settings())
    kinds = itertools.cycle((nodes.Text, lambda formula: nodes.math("", formula)))
    document += nodes.paragraph("", "", *(kind(part) for kind, part in zip(kinds, text.split("|"))))
    typography.Together(document).run()
    assert document.astext() == text.replace("|", "")
    assert [found.astext() for found in document.findall(nodes.inline)] == together
    assert len(list(document.findall(nodes.math))) == text.count("|") // 2


@pytest.mark.parametrize("title", ["Exercise Half", "Exercise (Half)", "ExerciseHalf"])
def test_the_title_of_an_exercise(title):
    import appendix

    assert appendix.title_of([SimpleNamespace(astext=lambda: title)]) == "Half"


def test_the_status_as_text():
    import appendix

    device = {"processor": "Some CPU", "cores": 2}
    status = {"python": "3.12.1", "packages": {"keras": "3"}, "device": device}
    text = appendix.markdown(status | {"seconds": {"01_a": 1.6, "02_b": 2.6}})
    assert "Some CPU, 2 cores" in text and "keras 3" in text
    assert "| {doc}`/notebooks/01_a` | 2 |" in text and "| all | 4 |" in text
