"""The explorers' controls: colours and text as in the figures, sliders by keys, traits in step."""

import json
import re

import javascript
import numpy as np
import pytest

from vae_gmvae.plots import DIGIT_COLORS
from vae_gmvae.plots.style import text_on

SHEET = (javascript.JS.parent / "explorer.css").read_text("utf-8")


def told(script: str, folder):
    """What a script with the modules' names at hand passes to tell(...)."""
    head = 'import * as c from "./controls.mjs";\nimport * as p from "./planes.mjs";\n'
    head += "const tell = (value) => console.log(JSON.stringify(value));\n"
    return json.loads(javascript.run_script(head + script, folder))


def test_colours_are_those_of_the_figures(tmp_path):
    colours, text = told("tell([c.COLOURS, c.COLOURS.map(c.textOn)]);", tmp_path)
    assert tuple(colours) == DIGIT_COLORS
    assert text == [text_on(colour) for colour in DIGIT_COLORS]


def test_numbers_as_text(tmp_path):
    script = (
        'tell([c.number(-1.26), c.number(-0.04), c.number(2, 2), c.tuple([0.42, -1.2])].join("|"));'
    )
    assert told(script, tmp_path) == "−1.3|0.0|2.00|(0.4, −1.2)"
    script = "const next = c.around([3, 5]); tell([c.subscript(12), next(), next(), next()]);"
    assert told(script, tmp_path) == ["₁₂", 3, 5, 3]


def test_labels_part_from_each_other_and_from_a_fixed_place(tmp_path):
    script = "tell(p.spread([[50, 50], [50, 50], [52, 50], [90, 90]], 20, [50, 50]));"
    places = np.array(told(script, tmp_path))
    gaps = np.linalg.norm(places[:, None] - places, axis=-1)[~np.eye(4, dtype=bool)]
    assert gaps.min() > 19
    assert np.linalg.norm(places - [50, 50], axis=-1).min() > 19
    assert places[3].tolist() == pytest.approx([90, 90], abs=0.02)


def test_traits_in_step_do_not_echo(tmp_path):
    """What the page has set comes back rounded to float32, and is not heard; another value is."""
    script = """
    globalThis.requestAnimationFrame = (f) => setTimeout(f);
    globalThis.cancelAnimationFrame = clearTimeout;
    const heard = [], state = {}, listeners = {};
    let saves = 0;
    const change = (name, value) => { state[name] = value; listeners["change:" + name]?.(); };
    const model = { get: (n) => state[n], set: change, save_changes: () => { saves += 1; },
      on: (e, f) => { listeners[e] = f; }, off: (e) => { delete listeners[e]; } };
    const traits = c.synced(model, { z: (z) => heard.push(z), k: (k) => heard.push(k) });
    traits.push("z", [0.1, 0.2]);
    traits.push("k", 3);
    change("z", [0.10000000149011612, 0.20000000298023224]);
    change("z", [0.1, 0.5]);
    change("z", [0.1, 0.2]);
    change("k", 4);
    await new Promise((resolve) => setTimeout(resolve, 20));
    traits.stop();
    change("k", 5);
    tell({ heard, saves });
    """
    assert told(script, tmp_path) == {"heard": [[0.1, 0.5], [0.1, 0.2], 4], "saves": 1}


def test_the_style_sheet_styles_explorers_only():
    """Every selector names a class of ours, and every colour can follow the page."""
    rules = re.sub(r"/\*.*?\*/", "", SHEET, flags=re.S)
    selectors = [part.strip() for part in re.findall(r"([^{}]+)\{", rules)]
    assert [s for s in selectors if not s.startswith(("@", ".vx-"))] == []
    own = re.findall(r"--vx-\w+: var\(--pst-[\w-]+, var\(--jp-[\w-]+, #\w+\)\);", rules)
    assert len(own) == 6


@pytest.fixture(scope="module")
def page(browser):
    """A browser page with a slider, its value and its moves at window.one."""
    source = (javascript.JS / "controls.js").read_text("utf-8")
    script = """
    window.moves = [];
    window.above = [];
    document.addEventListener("keydown", (event) => above.push(event.key));
    window.one = slider({ label: "z₁", value: 0.25, oninput: (v) => moves.push(v) });
    const options = [{ value: "1", text: "light" }, { value: "0", text: "dark" }];
    const list = select({ label: "ink", options });
    window.picture = imageCanvas({ width: 256, height: 2, label: "greys" });
    document.body.append(one.el, list.el, picture.el);
    """
    page = browser.new_page()
    page.set_content(f"<body><script type=module>{source}{script}</script></body>")
    page.wait_for_function("window.one")
    yield page
    page.close()


@pytest.mark.browser
def test_a_slider_by_keys(page):
    slider = page.get_by_role("slider", name="z₁")
    assert page.evaluate("one.value") == 0.25  # between two steps: exact all the same
    assert slider.get_attribute("aria-valuetext") in ("0.3", "0.2")
    slider.press("ArrowRight")
    slider.press("End")
    assert page.evaluate("moves")[-1] == 3
    assert len(page.evaluate("moves")) == 2
    assert slider.get_attribute("aria-valuetext") == "3.0"
    slider.press("a")
    assert page.evaluate("above") == ["a"]  # JupyterLab would act on arrows that it sees
    page.evaluate("one.value = -4.5")
    assert page.evaluate("[one.value, one.input.value]") == [-4.5, "-3"]
    assert len(page.evaluate("moves")) == 2  # no echo


@pytest.mark.browser
def test_a_picture_has_the_nearest_grey(page):
    values = np.concatenate([np.arange(256) / 255, np.random.default_rng(0).random(256)])
    script = """(pixels) => {
      picture.draw(pixels);
      return Array.from(picture.el.getContext("2d").getImageData(0, 0, 256, 2).data);
    }"""
    shown = np.reshape(page.evaluate(script, values.tolist()), (512, 4))
    np.testing.assert_array_equal(shown[:, :3], np.round(255 * values)[:, None].repeat(3, axis=1))
    np.testing.assert_array_equal(shown[:, 3], 255)


@pytest.mark.browser
def test_letters_in_a_list_are_its_own(page):
    page.evaluate("above.length = 0")
    ink = page.get_by_role("combobox", name="ink")
    ink.press("d")
    assert ink.input_value() == "0"
    ink.press("ArrowUp")
    ink.press("Escape")
    assert page.evaluate("above") == ["Escape"]
