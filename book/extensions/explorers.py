"""Sphinx extension: a notebook's explorers on the book's pages, which have no kernel.

Where a cell shows a widget, HTML gets its picture, a sentence for where scripts are off and the
view, which assets/explorers/host.js brings to life; any other format gets picture and sentence.
Only pages with a view load the host.

    {explorer} notebooks/08_model5.ipynb fig-08-mixture

shows on another page what that cell shows: named by the cell's id or by its figure's name, and
brought with the models that its view reaches, alone. A notebook, cell, view or model that is
missing is a warning, and so an error of the build.
"""

import hashlib
import json
import os
import sys
from base64 import b64decode
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.append(str(TOOLS))
from widget_states import (  # noqa: E402
    STATE,
    VIEW,
    outputs_with_view,
    reachable,
    references,
    renamed_state,
    stored_state,
)

LOGGER = logging.getLogger(__name__)
HOST = Path(__file__).parents[1] / "assets" / "explorers"
PNG, TEXT = "image/png", "text/plain"
SENTENCE = (
    "This picture stands for an interactive explorer. It needs JavaScript: open this page in a "
    "browser with scripts switched on, or run it as a notebook."
)
NO_PICTURE = "Here stands an interactive control. It needs Python: run this page as a notebook."


class ExplorerError(ValueError):
    """The directive does not name a stored explorer."""


def script(kind: str, contents) -> str:
    """JSON for the page's scripts to read."""
    text = json.dumps(contents).replace("</", "<\\/")
    return f'<script type="{kind}">{text}</script>'


# --- a widget's output as nodes


def is_bundle(node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "mime_bundle"


def with_sentence(bundle, html: bool) -> nodes.container:
    """What a page shows of a widget: its picture, a sentence and, in HTML, its view."""
    parts = {part["mime_type"]: part.children for part in bundle.children}
    picture = parts.get(PNG, [])
    still = nodes.container("", *picture, classes=["explorer-still"])
    still += nodes.paragraph("", SENTENCE if picture else NO_PICTURE)
    for image in picture:
        image.setdefault("alt", "".join(part.astext() for part in parts.get(TEXT, ())))
    views = parts[VIEW] if html else []
    return nodes.container("", still, *views, classes=["explorer"], is_explorer=True)


class KeepPictures(SphinxPostTransform):
    """Before myst-nb selects one of a bundle's forms and drops the others."""

    default_priority = 3

    def run(self, **options):
        html = self.app.builder.format == "html"
        for bundle in list(self.document.findall(is_bundle)):
            if any(part["mime_type"] == VIEW for part in bundle.children):
                bundle.replace_self(with_sentence(bundle, html))


def is_explorer(node) -> bool:
    return isinstance(node, nodes.container) and "is_explorer" in node


def load_host(app, pagename, templatename, context, doctree):
    """The host and the directives' models, on pages that have something to show."""
    explorers = list(doctree.findall(is_explorer)) if doctree else []
    if not explorers:
        return
    app.add_js_file("host.js", loading_method="defer")
    state = {}
    for node in doctree.findall(nodes.raw):
        state |= node.get("widget_state", {})
    if state:
        contents = {"state": state, "version_major": 2, "version_minor": 0}
        body = json.dumps(contents).replace("</", "<\\/")
        app.add_js_file(None, body=body, type=STATE)


def put_state_last(app, pagename, templatename, context, doctree):
    """The widgets' models below the text: a page is read before a megabyte of weights is there."""
    files = context["script_files"]
    states = [file for file in files if getattr(file, "attributes", {}).get("type") == STATE]
    context["script_files"] = [file for file in files if file not in states]
    for file in states:
        context["body"] += f'<script type="{STATE}">{file.attributes["body"]}</script>'


# --- the directive


def shown_by(notebook, name: str) -> tuple[dict, dict]:
    """The cell `name` and its output that shows a widget. ExplorerError says what is missing."""
    cells = [cell for cell in notebook["cells"] if name in (cell.get("id"), figure_name(cell))]
    if not cells:
        raise ExplorerError(f"no cell has the id or the figure's name {name!r}")
    for cell, output in outputs_with_view(notebook):
        if cell is cells[0]:
            return cell, output
    raise ExplorerError(f"the cell {name!r} shows no widget")


def figure_name(cell) -> str | None:
    return cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")


def state_of(notebook, model_id: str, prefix: str) -> tuple[dict, str]:
    """The models that a view reaches, and its own id, with names that are the notebook's own.

    Stored ids are numbers that begin anew in each notebook, and a page may show several.
    """
    state = reachable(stored_state(notebook), [model_id])
    named = [model_id, *(name for model in state.values() for name in references(model["state"]))]
    missing = [name for name in named if name not in state]
    if missing:
        raise ExplorerError(f"the notebook does not store the model {missing[0]}")
    names = {name: f"{prefix}-{name}" for name in state}
    return renamed_state(state, names), names[model_id]


class Explorer(SphinxDirective):
    """{explorer} notebook.ipynb cell"""

    required_arguments = 2
    option_spec = {"alt": str}

    def run(self):
        path = Path(self.env.srcdir) / self.arguments[0]
        self.env.note_dependency(str(path))
        try:
            return [self.bundle(path, self.arguments[1])]
        except (ExplorerError, nbformat.ValidationError, nbformat.reader.NotJSONError) as error:
            LOGGER.warning(
                "explorer %s: %s", " ".join(self.arguments), error, location=self.get_location()
            )
            return []

    def bundle(self, path: Path, name: str) -> nodes.container:
        """What myst-nb makes of the same output."""
        if not path.is_file():
            raise ExplorerError("there is no such notebook")
        notebook = nbformat.read(path, as_version=4)
        cell, output = shown_by(notebook, name)
        view = output["data"][VIEW]
        state, model_id = state_of(notebook, view["model_id"], path.stem)
        text = script(VIEW, {**view, "model_id": model_id})
        raw = nodes.raw("", text, format="html", widget_state=state)
        parts = [nodes.container("", raw, mime_type=VIEW)]
        if PNG in output["data"]:
            parts.append(nodes.container("", self.image(cell, output), mime_type=PNG))
        return nodes.container("", *parts, nb_element="mime_bundle")

    def image(self, cell, output) -> nodes.image:
        """The picture, stored where and as myst-nb stores a notebook's."""
        contents = b64decode(output["data"][PNG])
        folder = Path(self.env.mystnb_config.output_folder)
        path = folder / f"{hashlib.sha256(contents).hexdigest()}.png"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        image = nodes.image(uri="/" + os.path.relpath(path, self.env.srcdir))
        words = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
        image["alt"] = self.options.get("alt") or words or output["data"].get(TEXT, "")
        size = output.get("metadata", {}).get(PNG, {})
        image.attributes |= {side: f"{size[side]}" for side in ("width", "height") if side in size}
        return image


def publish_host(app, config):
    config.html_static_path.append(str(HOST))


def setup(app):
    app.connect("config-inited", publish_host)
    app.connect("html-page-context", load_host)
    app.connect("html-page-context", put_state_last, priority=950)  # myst-nb's, too
    app.add_post_transform(KeepPictures)
    app.add_directive("explorer", Explorer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
