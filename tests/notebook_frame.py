"""What the frame of a chapter asks for: each check takes a notebook and says what is wrong."""

import ast
import re

SETUP = """\
# Where vae_gmvae is missing, as in Colab, it is installed here.
import importlib.util

if importlib.util.find_spec("vae_gmvae") is None:
    %pip install --quiet vae-gmvae

import numpy as np

import vae_gmvae as vg"""
FENCE = r"^[ \t]*(?P<fence>`{3,}|:{3,})"
OBJECTIVES = re.compile(
    FENCE + r"\{admonition\} You will be able to\n(?P<body>.*?)\n[ \t]*(?P=fence)", re.M | re.S
)
EXERCISE = re.compile(FENCE + r"\{exercise\}(?P<title>.*)\n[ \t]*:label: (?P<label>\S+)", re.M)
SOLUTION_START = re.compile(FENCE + r"\{solution-start\} (?P<label>\S+)", re.M)
SOLUTION_END = re.compile(FENCE + r"\{solution-end\}", re.M)
BULLET = re.compile(r"^[-*] \S", re.M)
HEADING = re.compile(r"^(#+) (.+)$", re.M)
FENCED = re.compile(FENCE + r".*?^[ \t]*(?P=fence)[ \t]*$", re.M | re.S)


def texts(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def headings(notebook) -> list[tuple[int, str]]:
    """(level, text) of every heading; a `#` inside of a fence is a comment."""
    found = (HEADING.findall(FENCED.sub("", text)) for text in texts(notebook))
    return [(len(marks), text.strip()) for pairs in found for marks, text in pairs]


def tree_of(source: str) -> ast.Module:
    """The parsed source of a cell, without IPython's magics and shell lines."""
    return ast.parse(re.sub(r"^([ \t]*)[%!](?:.*\\\n)*.*", r"\1pass", source, flags=re.M))


def asserts(source: str) -> bool:
    """Whether the cell asserts: a statement, or a call of assert_something."""
    for node in ast.walk(tree_of(source)):
        called = node.func if isinstance(node, ast.Call) else None
        name = getattr(called, "attr", getattr(called, "id", ""))
        if isinstance(node, ast.Assert) or name.startswith("assert_"):
            return True
    return False


def check_title(notebook, chapter):
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        return ["the first cell does not begin with `# Title`"]
    titles = [text for level, text in headings(notebook) if level == 1]
    problems = [f"a second title: {title}" for title in titles[1:]]
    if re.match(r"(chapter\s*)?\d", titles[0], re.I):
        problems.append(f"the table of contents numbers chapters, not the title: {titles[0]}")
    if len(first.source.split("\n", 1)[-1].split()) < 20:
        problems.append("below the title stands no question that the chapter answers")
    return problems


def check_objectives(notebook, chapter):
    found = [match for text in texts(notebook) for match in OBJECTIVES.finditer(text)]
    if len(found) != 1:
        return [f"{len(found)} admonitions `You will be able to`"]
    bullets = len(BULLET.findall(found[0]["body"]))
    problems = [] if 3 <= bullets <= 6 else [f"You will be able to: {bullets} bullets, not 3 to 6"]
    if ":class: tip" not in found[0]["body"]:
        problems.append("You will be able to: `:class: tip` is missing")
    return problems


def check_setup(notebook, chapter):
    first = code_cells(notebook)[0].source.strip() if code_cells(notebook) else ""
    return [] if first == SETUP else ["the first code cell is not the set-up cell"]


def solutions(notebook) -> dict[str, list[str]]:
    """The code cells of each solution by the exercise's label; ValueError: a start has no end."""
    found, open_label = {}, None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if open_label:
                found[open_label].append(cell.source)
            continue
        start = SOLUTION_START.search(cell.source)
        if start:
            if open_label:
                raise ValueError(f"solution {open_label} does not end")
            open_label = start["label"]
            found[open_label] = []
        if SOLUTION_END.search(cell.source):
            open_label = None
    if open_label:
        raise ValueError(f"solution {open_label} does not end")
    return found


def exercises(notebook) -> dict[str, str]:
    """The exercises' titles by their labels."""
    found = (match for text in texts(notebook) for match in EXERCISE.finditer(text))
    return {match["label"]: match["title"].strip() for match in found}


def check_exercises(notebook, chapter):
    labels = list(exercises(notebook))
    try:
        solved = solutions(notebook)
    except ValueError as error:
        return [str(error)]
    problems = [] if len(labels) >= 3 else [f"{len(labels)} exercises, not 3 or more"]
    if (2, "Exercises") not in headings(notebook):
        problems.append("`## Exercises` is missing")
    problems += [f"{one} is not called ex-{chapter}-..." for one in labels
                 if not one.startswith(f"ex-{chapter}-")]  # fmt: skip
    problems += [f"exercise {label} has no solution" for label in labels if label not in solved]
    problems += [f"solution of an unknown exercise: {label}" for label in solved.keys() - labels]
    problems += [
        f"the solution of {label} asserts nothing"
        for label, cells in solved.items()
        if not any(map(asserts, cells))
    ]
    return problems


def check_summary(notebook, chapter):
    second = [text for level, text in headings(notebook) if level == 2]
    if not second or second[-1] != "Summary":
        return ["the last section is not `## Summary`"]
    text = "\n".join(texts(notebook)).rsplit("\n## Summary", 1)[-1]
    bullets = len(BULLET.findall(text))
    problems = [] if 3 <= bullets <= 6 else [f"Summary: {bullets} bullets, not 3 to 6"]
    if BULLET.match(text.strip().splitlines()[-1]):
        problems.append("Summary: no last line leads to the next chapter")
    return problems


CHECKS = [check_title, check_objectives, check_setup, check_exercises, check_summary]
