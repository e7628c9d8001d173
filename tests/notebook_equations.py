"""Labelled equations of the book, and the cells that verify them."""

import re

from notebook_frame import asserts, code_cells, texts

DIRECTIVE = re.compile(
    r"^[ \t]*(?:`{3,}|:{3,})\{math\}.*\n(?:[ \t]*:(?!label)\w+:.*\n)*[ \t]*:label:[ \t]*(\S+)", re.M
)
DOLLARS = re.compile(r"\$\$[ \t]*\(([^()\s]+)\)[ \t]*$", re.M)
LATEX = re.compile(r"\\label\{([^}]+)\}")
SCHEME = re.compile(r"(def|eq)(-[a-z0-9]+)+")
VERIFIES = re.compile(r"^# verifies (.+)$", re.M)


def labels(text: str) -> list[str]:
    """The labels of the equations of a Markdown text."""
    return [label for kind in (DIRECTIVE, DOLLARS, LATEX) for label in kind.findall(text)]


def labels_of(notebook) -> list[str]:
    return [label for text in texts(notebook) for label in labels(text)]


def verified_by(notebook) -> dict[str, list[str]]:
    """The cells that say they verify an equation, by its label."""
    cells = {}
    for cell in code_cells(notebook):
        for line in VERIFIES.findall(cell.source):
            for label in re.split(r",\s*", line.strip()):
                cells.setdefault(label, []).append(cell.source)
    return cells


def check_labels(notebook, chapter):
    """A chapter's labels carry its number."""
    scheme = re.compile(rf"(def|eq)-{chapter}(-[a-z0-9]+)+")
    return [
        f"label {label} is not def-{chapter}-... or eq-{chapter}-..."
        for label in labels_of(notebook)
        if not scheme.fullmatch(label)
    ]


def check_verifications(notebook, chapter):
    """A cell that says it verifies something says so first, and asserts."""
    problems = []
    for label, cells in verified_by(notebook).items():
        for source in cells:
            if not source.startswith("# verifies "):
                problems.append(f"{label}: `# verifies` is not the first line of its cell")
            if not asserts(source):
                problems.append(f"{label}: the cell that verifies it asserts nothing")
    return problems


def check_book(labels_by_file: dict[str, list[str]], verified: set[str]) -> list[str]:
    """What is wrong with all labels of the book together."""
    places = {}
    for name, found in labels_by_file.items():
        for label in found:
            places.setdefault(label, []).append(name)
    problems = [f"{one}: neither def- nor eq-" for one in places if not SCHEME.fullmatch(one)]
    problems += [f"{one}: in {', '.join(at)}" for one, at in places.items() if len(at) > 1]
    identities = {label for label in places if label.startswith("eq-")}
    problems += [f"{label}: no cell verifies it" for label in sorted(identities - verified)]
    problems += [f"{label}: verified, but unknown" for label in sorted(verified - places.keys())]
    return problems


CHECKS = [check_labels, check_verifications]
