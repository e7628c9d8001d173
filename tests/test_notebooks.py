"""The book's notebooks, read and not run: the frame of each chapter, its equations, its cells.

What the checks find is tested in test_notebook_checks.py; `make notebooks-test` runs them.
"""

import re
from pathlib import Path

import nbformat
import notebook_cells
import notebook_equations
import notebook_frame
import pytest
import yaml

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
CHAPTERS = [name for name in NOTEBOOKS if name[:2].isdigit()]
PAGES = sorted((ROOT / "book").rglob("*.md"))
NUMBERS = [f"{number:02d}" for number in range(12)]


def read(name: str):
    return nbformat.read(NOTEBOOKS[name], as_version=4)


def number_of(name: str) -> str:
    """What the chapter's labels carry: 03 of 03_model1, errata of errata."""
    return name.split("_")[0]


def named(checks):
    return pytest.mark.parametrize("check", checks, ids=lambda check: check.__name__[6:])


def test_every_chapter_is_there():
    assert [name[:2] for name in NOTEBOOKS if name[0].isdigit()] == NUMBERS
    assert {"densities", "errata"} <= set(NOTEBOOKS)


@named(notebook_frame.CHECKS)
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_the_frame(name, check):
    assert check(read(name), number_of(name)) == []


@named([notebook_frame.check_title, notebook_frame.check_setup])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_has_a_title_and_the_set_up_cell(name, check):
    assert check(read(name), number_of(name)) == []


@named([*notebook_equations.CHECKS, *notebook_cells.CHECKS])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells(name, check):
    assert check(read(name), number_of(name)) == []


def test_every_identity_of_the_book_is_verified_by_a_cell():
    notebooks = {name: read(name) for name in NOTEBOOKS}
    places = {name: notebook_equations.labels_of(one) for name, one in notebooks.items()}
    places |= {path.stem: notebook_equations.labels(path.read_text("utf-8")) for path in PAGES}
    verified = {
        label for one in notebooks.values() for label in notebook_equations.verified_by(one)
    }
    assert notebook_equations.check_book(places, verified) == []


def test_exercises_have_different_labels():
    labels = [label for name in NOTEBOOKS for label in notebook_frame.exercises(read(name))]
    assert len(labels) == len(set(labels))


def test_figures_have_different_names():
    cells = [cell for name in NOTEBOOKS for cell in notebook_frame.code_cells(read(name))]
    names = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells]
    assert len(set(filter(None, names))) == len(list(filter(None, names)))


def test_the_tests_that_the_book_names_exist():
    texts = [text for name in NOTEBOOKS for text in notebook_frame.texts(read(name))]
    texts += [path.read_text("utf-8") for path in (*PAGES, *ROOT.glob("*.md"))]
    named = re.findall(r"\b(tests/\w+\.py)(?:::(\w+))?", "\n".join(texts))
    assert len(named) > 20
    for path, name in named:
        assert f"def {name}" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_stays_small(name):
    assert NOTEBOOKS[name].stat().st_size <= notebook_cells.MAX_BYTES


def test_an_explorer_is_stored_with_its_script_of_today(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "tools")
    import explorer_scripts

    notebooks = {name: read(name) for name in NOTEBOOKS}
    assert any(explorer_scripts.stored_state(notebook) for notebook in notebooks.values())
    old = [name for name, notebook in notebooks.items() if explorer_scripts.renew(notebook)]
    assert not old, "run `make explorer-scripts`"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_terms_have_their_colours(name):
    from vae_gmvae.plots import style

    terms = {color for term, color in style.TERM_COLORS.items() if term != "elbo"}
    used = re.findall(r"\\textcolor\{(.*?)\}", "\n".join(notebook_frame.texts(read(name))))
    assert set(used) <= terms


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_notebook_names_the_address(name):
    address = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]
    assert address.removeprefix("https://") not in NOTEBOOKS[name].read_text("utf-8")
