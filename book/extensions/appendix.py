"""Sphinx extension: two pages of the appendix that write themselves.

    {solutions}   a list of the book's exercises, each linked to its solution
    {status}      versions, device and seconds of each notebook, from book/status.json

An exercise without solution, or a notebook without its time, is a warning and so an error.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
STATUS = Path("book", "status.json")


class solutions_list(nodes.General, nodes.Element):
    """Where the list of solutions goes, once all chapters are read."""


class Solutions(SphinxDirective):
    def run(self):
        return [solutions_list()]


def solved(registry: dict) -> dict[str, list[tuple]]:
    """(exercise, its solution or None) in their order, by page."""
    answers = {
        entry["node"]["target_label"]: entry["node"]
        for entry in registry.values()
        if entry["type"].startswith("solution")
    }
    pages = {}
    for label, entry in registry.items():
        if entry["type"].startswith("exercise"):
            pages.setdefault(entry["docname"], []).append((entry["node"], answers.get(label)))
    return pages


def link(app, here: str, page: str, anchor: str, text: str) -> nodes.reference:
    uri = app.builder.get_relative_uri(here, page)
    return nodes.reference("", text, internal=True, refuri=f"{uri}#{anchor}" if anchor else uri)


def title_of(exercise) -> str:
    """The exercise's own words: without what the extension puts before and around them."""
    return exercise[0].astext().removeprefix("Exercise").strip(" ()")


def number_of(app, page: str, label: str) -> str:
    numbers = app.env.toc_fignumbers.get(page, {}).get("exercise", {}).get(label, ())
    return ".".join(map(str, numbers))


def list_solutions(app, doctree, docname):
    places = list(doctree.findall(solutions_list))
    if not places:
        return
    pages = solved(getattr(app.env, "sphinx_exercise_registry", {}))
    order = [
        page for page in app.env.toctree_includes.get(app.config.root_doc, []) if page in pages
    ]
    content = []
    for page in [*order, *(page for page in pages if page not in order)]:
        content.append(
            nodes.rubric("", "", link(app, docname, page, "", app.env.titles[page].astext()))
        )
        items = [_item(app, docname, page, *pair) for pair in pages[page]]
        content.append(nodes.bullet_list("", *items))
    for place in places:
        place.replace_self(content)


def _item(app, here, page, exercise, solution):
    label = exercise["label"]
    name = f"Exercise {number_of(app, page, label)}".strip()
    text = nodes.paragraph(
        "", "", link(app, here, page, label, name), nodes.Text(f": {title_of(exercise)}")
    )
    if solution is None:
        LOGGER.warning("exercise %s has no solution", label, location=page)
    else:
        answer = link(app, here, page, solution["label"], "solution")
        text += [nodes.Text(" ("), answer, nodes.Text(")")]
    return nodes.list_item("", text)


class Status(SphinxDirective):
    """The stored status as lists and a table."""

    def run(self):
        path = Path(self.env.srcdir) / STATUS
        self.env.note_dependency(str(path))
        try:
            status = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            LOGGER.warning("%s: %s", STATUS.as_posix(), error, location=self.get_location())
            return []
        known = {Path(page).name for page in self.env.found_docs if page.startswith("notebooks/")}
        for name in sorted(known - status["seconds"].keys()):
            LOGGER.warning(
                "%s has no time for %s: run `make execute`", STATUS.as_posix(), name,
                location=self.get_location(),
            )  # fmt: skip
        return self.parse_text_to_nodes(markdown(status))


def markdown(status: dict) -> str:
    device, seconds = status["device"], status["seconds"]
    versions = ", ".join(f"{name} {number}" for name, number in status["packages"].items())
    lines = [
        f"- Processor: {device['processor']}, {device['cores']} cores",
        f"- Python {status['python']}",
        f"- {versions}",
        "",
        "| Notebook | Seconds at reference speed |",
        "|---|---:|",
        *(f"| {{doc}}`/notebooks/{name}` | {time:.0f} |" for name, time in seconds.items()),
        f"| all | {sum(seconds.values()):.0f} |",
    ]
    return "\n".join(lines)


def setup(app):
    app.add_node(solutions_list)
    app.add_directive("solutions", Solutions)
    app.add_directive("status", Status)
    app.connect("doctree-resolved", list_solutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
