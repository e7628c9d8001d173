"""The book's sources: its table of contents, its colours, and the extension for docstrings."""

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "book").rglob("*.md"))


def test_every_page_is_in_the_table_of_contents():
    text = (ROOT / "_toc.yml").read_text("utf-8")
    listed = set(re.findall(r"(?:root|file): (\S+)", text))
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    found = {path.relative_to(ROOT).with_suffix("").as_posix() for path in [*PAGES, *notebooks]}
    assert listed == found


def test_every_module_has_its_place_in_the_api_pages():
    text = "".join(path.read_text("utf-8") for path in PAGES)
    documented = set(re.findall(r"automodule:: vae_gmvae\.(\w+)", text))
    package = ROOT / "vae_gmvae"
    modules = {path.stem for path in package.glob("[!_]*.py")}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert documented == modules


def test_nothing_is_executed_or_loaded_from_elsewhere_by_configuration():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["launch_buttons"]["thebe"] is False


def test_terms_have_the_colours_of_the_figures():
    from vae_gmvae.plots import style

    equations = "".join(path.read_text("utf-8") for path in PAGES)
    used = set(re.findall(r"\\textcolor\{(#\w{6})\}", equations))
    styles = (ROOT / "book" / "assets" / "styles" / "book.css").read_text("utf-8")
    lighter = set(re.findall(r'\[fill="(#\w{6})"\]', styles))
    terms = {color for term, color in style.TERM_COLORS.items() if term != "elbo"}
    assert used and used <= terms
    assert lighter == terms


@pytest.fixture(scope="module")
def docstrings():
    pytest.importorskip("sphinx", reason="no Sphinx: pip install 'vae-gmvae[book]'")
    sys.path.insert(0, str(ROOT / "book" / "extensions"))
    try:
        import docstrings
    finally:
        sys.path.pop(0)
    return docstrings


def read_by_docutils(lines) -> str:
    """The text that a reader sees; any warning is an error."""
    from docutils.core import publish_doctree

    quiet = {"report_level": 2, "halt_level": 2, "warning_stream": False}
    return publish_doctree("\n".join(lines), settings_overrides=quiet).astext()


@pytest.mark.parametrize(
    "line",
    [
        "KL(q(z|x) || p(z)) of |x| and 5 * tanh, [B, *input_shape]",
        "log_p_ and log_q_, E_y [log q(z|x)], a_ b",
        r"backslashes \alpha and **changes, *args",
        "1 * 2 * 3 *not emphasis*",
    ],
)
def test_a_line_is_shown_as_it_is_written(docstrings, line):
    assert read_by_docutils(docstrings.as_restructured_text([line])) == line


def test_code_loses_its_backticks_only(docstrings):
    text = docstrings.as_restructured_text(["`a*b|c_` and `_d`, not * this"])
    assert read_by_docutils(text) == "a*b|c_ and _d, not * this"


def test_names_and_meanings_become_a_list(docstrings):
    lines = [
        "Summary: not a list.",
        "",
        "one    the first,",
        "       on two lines",
        "two    the second*",
        "",
        "Keys, in nats:",
        "    elbo*: a bound",
        "        on log p(x)",
        "    mse: an error",
    ]
    text = read_by_docutils(docstrings.as_restructured_text(lines))
    shown = [line for line in text.splitlines() if line]
    assert shown == [
        "Summary: not a list.",
        "one: the first, on two lines",
        "two: the second*",
        "Keys, in nats:",
        "elbo*: a bound on log p(x)",
        "mse: an error",
    ]


def test_an_indented_paragraph_keeps_its_columns(docstrings):
    columns = ["a.npz, b.npz    of *both*,", "                --kept"]
    lines = ["Summary.", "", *(f"    {line}" for line in columns), "", "Text."]
    text = read_by_docutils(docstrings.as_restructured_text(lines))
    assert text == "\n\n".join(["Summary.", "\n".join(columns), "Text."])


def test_a_factory_does_not_hide_the_types_of_a_signature(docstrings):
    text = "(a: dict[str, list] = <factory>, b: int = 0)"
    shown = docstrings.process_signature(None, "class", "Run", dict, None, text, None)
    assert shown == ("(a: dict[str, list] = ..., b: int = 0)", None)


def test_sections_are_left_to_napoleon(docstrings):
    lines = ["Summary.", "", "Raises:", "    ValueError: a bad value."]
    assert docstrings.as_restructured_text(lines) == lines
