"""Widgets without a kernel: the host in a real browser, and the extension that prepares pages."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from chrome import needs_browser
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NO_BOOK = "no tools of the book: pip install 'vae-gmvae[book]'"
BOOK = Path(__file__).parents[1] / "book"
HOST = BOOK / "assets" / "explorers" / "host.js"
SHEET = BOOK / "assets" / "styles" / "book.css"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
TOY = """
globalThis.imports = (globalThis.imports ?? 0) + 1;
export default {
  initialize({ model }) { model.set("made", (model.get("made") ?? 0) + 1); },
  async render({ model, el, signal }) {
    const network = await model.widget_manager.get_model(model.get("networks").a);
    const data = network.get("data");
    const bytes = [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
    const button = document.createElement("button");
    const show = () => {
      const z = model.get("z");
      button.textContent = `z ${z}, bytes ${bytes}, made ${model.get("made")}`;
    };
    const heard = (of, value) => { if (of === model) el.dataset.heard = value; };
    button.onclick = () => { model.set("z", model.get("z") + 1); model.save_changes(); };
    model.on("change:z", show);
    model.on("change:z", heard);
    show();
    el.append(button);
    model.set("z", model.get("z"));
    model.send({});
    return () => { globalThis.left = (globalThis.left ?? 0) + 1; };
  },
};
"""


def toy(z=1, network="net", **traits):
    state = {"_esm": TOY, "_css": ".toy { color: red }", "z": z, **traits}
    return {"state": state | {"networks": {"a": f"IPY_MODEL_{network}"}}}


def models(**others) -> dict:
    """What a notebook stores: an explorer, its network and others."""
    data = {"path": ["data"], "encoding": "base64", "data": base64.b64encode(b"\x01\xff").decode()}
    return {"toy": toy(), "net": {"state": {"data": None}, "buffers": [data]}} | others


def script(kind, contents):
    return f'<script type="{kind}">{json.dumps(contents)}</script>'


def place(model_id):
    view = script(VIEW, {"model_id": model_id})
    still = '<div class="explorer-still"><img alt="a picture" src="data:,"><p>Words.</p></div>'
    return f'<div class="explorer">{still}{view}</div>'


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a file with these models and these views; notes errors and requests."""
    page = browser.new_page()
    page.errors, page.requests = [], []
    page.on("console", lambda message: page.errors.append(message.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))

    def open_page(state, *bodies):
        host = f'<script defer src="{HOST.as_uri()}"></script>'
        head = f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">{host}'
        text = head + script(STATE, {"state": state}) + "".join(bodies)
        (tmp_path / "page.html").write_text(text, "utf-8")
        page.goto((tmp_path / "page.html").as_uri(), wait_until="networkidle")
        return page

    yield open_page
    page.close()


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


@pytest.mark.browser
class TestHost:
    pytestmark = needs_browser

    def test_an_explorer_takes_the_place_of_its_picture(self, opened):
        page = opened(models(), place("toy"))
        assert texts(page, ".explorer-live button") == ["z 1, bytes 1,255, made 1"]
        assert page.errors == []
        assert {url.split(":")[0] for url in page.requests} <= {"file", "blob", "data"}

    def test_views_of_one_model_move_together_and_other_models_do_not(self, opened):
        page = opened(models(other=toy(z=5)), *map(place, ("toy", "other", "toy")))
        page.locator("button").first.click()
        shown = ["z 2, bytes 1,255, made 1", "z 5, bytes 1,255, made 1", "z 2, bytes 1,255, made 1"]
        assert texts(page, "button") == shown
        heard = "[...document.querySelectorAll('.explorer-view')].map((e) => e.dataset.heard)"
        assert page.evaluate(heard) == ["2", None, "2"], "nothing is told of a value that stays"
        assert page.evaluate("globalThis.imports") == 1
        assert page.evaluate("document.querySelectorAll('style').length") == 1

    def test_several_states_and_a_bare_view(self, opened):
        more = script(STATE, {"state": {"second": toy(z=7)}})
        page = opened(models(), more, script(VIEW, {"model_id": "second"}))
        assert texts(page, ".explorer.explorer-live button") == ["z 7, bytes 1,255, made 1"]

    def test_a_stock_widget_gets_a_message(self, opened):
        slider = {"state": {"_model_name": "IntSliderModel", "value": 3}}
        page = opened(models(slider=slider), *map(place, ("slider", "toy")))
        (message,) = texts(page, ".explorer-stock .explorer-note")
        assert "IntSlider" in message and "Python" in message
        assert page.locator(".explorer-live").count() == 1 and page.errors == []

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("export default { render({ el }) { el.append('half'); throw Error('ill'); } }", "ill"),
            ("export default { initialize() { throw Error('ill'); }, render() {} }", "ill"),
            ("export default {", "could not start"),
            ("export default {}", "no render"),
        ],
    )
    def test_an_explorer_that_throws_leaves_its_picture(self, opened, script, words):
        page = opened(models(bad={"state": {"_esm": script}}), *map(place, ("bad", "toy")))
        (message,) = texts(page, ".explorer-failed .explorer-note")
        assert words in message
        assert page.locator(".explorer-failed img").count() == 1
        assert page.locator(".explorer-failed .explorer-view").count() == 0
        assert page.locator(".explorer-live").count() == 1 and len(page.errors) == 1

    def test_a_model_that_is_missing_is_named(self, opened):
        page = opened({"toy": toy(network="gone")}, place("toy"), place("nobody"))
        first, second = texts(page, ".explorer-note")
        assert "gone" in first and "nobody" in second

    def test_an_explorer_shows_itself_when_it_is_ready(self, opened):
        slow = """export default { async render({ el }) {
            el.innerHTML = "<button>early</button>";
            el.dataset.width = el.clientWidth;
            await new Promise((done) => { globalThis.ready = done; });
        } };"""
        sheet = f'<link rel="stylesheet" href="{SHEET.as_uri()}">'
        page = opened({"slow": {"state": {"_esm": slow}}}, sheet, place("slow"))
        still, view, button = map(page.locator, (".explorer-still", ".explorer-view", "button"))
        top = still.bounding_box()["y"]
        assert button.is_hidden() and still.is_visible()
        assert float(view.get_attribute("data-width")) == still.bounding_box()["width"]
        page.evaluate("ready()")
        page.wait_for_selector(".explorer-live")
        assert button.is_visible() and still.is_hidden()
        assert view.bounding_box()["y"] == top, "it moves nothing before, and itself never"

    def test_a_module_may_be_a_function_and_off_takes_listeners_away(self, opened):
        text = """export default async () => ({ render({ model, el }) {
          const heard = [], hear = (name) => () => heard.push(name);
          const one = hear("one"), two = hear("two");
          model.on("change:z change:k", one); model.on("change:z", two); model.on("change", two);
          model.set("z", 2); model.off("change:z", one); model.set({ z: 3, k: 1 });
          model.off("change:z"); model.off(null, two); model.set("z", 4); model.set("k", 2);
          model.off(); model.set("k", 3);
          model.set("l", [1, { a: 2 }]); model.on("change:l", one); model.set("l", [1, { a: 2 }]);
          el.append(heard.join(" "));
        } })"""
        page = opened({"m": {"state": {"_esm": text, "z": 1}}}, place("m"))
        assert texts(page, ".explorer-view") == ["one two two two one two one"]

    def test_the_host_adds_no_name_to_the_page(self, opened):
        page = opened({}, place("nobody"))
        names = "Object.getOwnPropertyNames(window)"
        page.add_init_script(f"globalThis.before = {names}")
        page.reload(wait_until="networkidle")
        assert page.locator(".explorer-note").count() == 1
        assert page.evaluate(f"{names}.filter((name) => !before.includes(name))") == ["before"]


# --- the extension


def notebook_with(*, state=None, png=True):
    data = {"text/plain": "Toy explorer", VIEW: {"model_id": "toy", "version_major": 2}}
    if png:
        data["image/png"] = base64.b64encode(DOT).decode()
    shown = new_output("display_data", data=data, metadata={"image/png": {"width": 640}})
    figure = {"mystnb": {"figure": {"name": "fig-toy", "caption": "A toy."}}}
    cells = [
        new_markdown_cell("# Notebook", id="title"),
        new_code_cell("toy", id="cell-1", outputs=[shown], metadata=figure),
        new_code_cell("1", id="cell-2"),
    ]
    stored = {STATE: {"state": models(unused=toy()) if state is None else state}}
    language = {"language_info": {"name": "python"}}
    return new_notebook(cells=cells, metadata={"widgets": stored, **language})


CONFIG = f"""
import sys
sys.path.insert(0, {str(BOOK / "extensions")!r})
extensions = ["myst_nb", "explorers"]
nb_execution_mode, nb_ipywidgets_js, html_theme = "off", {{}}, "basic"
"""


@pytest.fixture
def build(tmp_path):
    """Builds a book of a front page and a notebook; the pages' text by name, and what it warns."""
    pytest.importorskip("myst_nb", reason=NO_BOOK)

    def make(front, notebook, builder="html"):
        (tmp_path / "conf.py").write_text(CONFIG)
        (tmp_path / "index.md").write_text(
            f"# Front\n\n{front}\n\n```{{toctree}}\nnote\nplain\n```\n"
        )
        (tmp_path / "plain.md").write_text("# Plain\n")
        write(notebook, tmp_path / "note.ipynb")
        out = tmp_path / "_build" / builder
        command = [sys.executable, "-m", "sphinx", "-q", "-b", builder, tmp_path, out]
        done = subprocess.run(command, capture_output=True, text=True)
        paths = [*out.glob("*.html"), *out.glob("*.tex")]
        return {path.name: path.read_text("utf-8") for path in paths}, done.stderr

    return make


def test_a_page_keeps_picture_sentence_and_view(build):
    pages, warnings = build("", notebook_with())
    assert warnings == ""
    page = pages["note.html"]
    still, view = page.index("<img alt"), page.index(f'<script type="{VIEW}">')
    assert still < page.index("needs JavaScript") < view
    assert 'alt="Toy explorer"' in page and page.count(f'type="{STATE}"') == 1
    assert "host.js" in page and "host.js" not in pages["plain.html"] + pages["index.html"]


def test_a_widget_without_a_picture_says_what_it_needs(build):
    pages, warnings = build("", notebook_with(png=False))
    assert warnings == "" and "It needs Python" in pages["note.html"]


def test_latex_has_the_picture_and_the_sentence(build):
    pages, _ = build("", notebook_with(), "latex")
    (text,) = [text for name, text in pages.items() if name.endswith(".tex")]
    assert "sphinxincludegraphics" in text and "needs JavaScript" in text
    assert "model_id" not in text


@pytest.mark.parametrize("name", ["fig-toy", "cell-1"])
def test_the_directive_brings_what_the_view_reaches(build, name):
    pages, warnings = build(f"```{{explorer}} note.ipynb {name}\n```", notebook_with())
    assert warnings == ""
    page = pages["index.html"]
    stored = page.split(f'type="{STATE}">')[1].split("</script>")[0]
    state = json.loads(stored)["state"]
    assert list(state) == ["note-toy", "note-net"]
    assert state["note-toy"]["state"]["networks"] == {"a": "IPY_MODEL_note-net"}
    assert '"model_id": "note-toy"' in page and "host.js" in page
    assert 'alt="Toy explorer"' in page and "640px" in page and "needs JavaScript" in page


def test_what_the_directive_does_not_find_is_a_warning(build):
    wrong = {
        "gone.ipynb fig-toy": "no such notebook",
        "note.ipynb fig-gone": "'fig-gone'",
        "note.ipynb cell-2": "shows no widget",
    }
    front = "\n\n".join(f"```{{explorer}} {arguments}\n```" for arguments in wrong)
    _, warnings = build(front, notebook_with(state={}))
    for line, (arguments, words) in zip(warnings.splitlines(), wrong.items(), strict=True):
        assert f"WARNING: explorer {arguments}: " in line and words in line


@pytest.mark.parametrize("missing", ["toy", "net"])
def test_a_model_that_the_notebook_does_not_store_is_named(monkeypatch, missing):
    pytest.importorskip("myst_nb", reason=NO_BOOK)
    monkeypatch.syspath_prepend(BOOK / "extensions")
    import explorers

    state = {name: model for name, model in models().items() if name != missing}
    with pytest.raises(explorers.ExplorerError, match=f"the model {missing}"):
        explorers.state_of(notebook_with(state=state), "toy", "note")
