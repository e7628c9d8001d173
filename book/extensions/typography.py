"""Sphinx extension: an inline formula stays on one line with the punctuation around it.

To a browser a formula is a box of its own, and it would break the line between the box and the
comma that follows.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

OPENING, CLOSING = re.compile(r"[^\w\s]+$"), re.compile(r"^[^\w\s]+")


class Together(SphinxPostTransform):
    """Puts a formula and the punctuation that touches it into one `span.together`."""

    default_priority = 900  # after all that looks for formulas

    def run(self):
        for formula in list(self.document.findall(nodes.math)):
            parent, place = formula.parent, formula.parent.index(formula)
            before, after = _cut(parent, place - 1, OPENING), _cut(parent, place + 1, CLOSING)
            parts = [part for part in (before, formula.deepcopy(), after) if part is not None]
            if len(parts) > 1:
                parent[place] = nodes.inline("", "", *parts, classes=["together"])


def _cut(parent, place: int, pattern) -> nodes.Text | None:
    """Takes the punctuation off the text at this place, if there is one, and returns it.

    By its place: two texts of one sentence may be alike.
    """
    text = parent[place] if 0 <= place < len(parent) else None
    found = pattern.search(text) if isinstance(text, nodes.Text) else None
    if not found:
        return None
    parent[place] = nodes.Text(text[: found.start()] + text[found.end() :])
    return nodes.Text(found.group())


def setup(app):
    app.add_post_transform(Together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
