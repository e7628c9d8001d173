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
            siblings = formula.parent.children
            place = siblings.index(formula)
            before, after = siblings[:place][-1:], siblings[place + 1 :][:1]
            parts = [_cut(before, OPENING), formula.deepcopy(), _cut(after, CLOSING)]
            parts = [part for part in parts if part is not None]
            if len(parts) > 1:
                formula.replace_self(nodes.inline("", "", *parts, classes=["together"]))


def _cut(neighbour: list, pattern) -> nodes.Text | None:
    """Takes the punctuation off a neighbouring text and returns it."""
    text = neighbour[0] if neighbour else None
    found = pattern.search(text) if isinstance(text, nodes.Text) else None
    if not found:
        return None
    text.parent.replace(text, nodes.Text(text[: found.start()] + text[found.end() :]))
    return nodes.Text(found.group())


def setup(app):
    app.add_post_transform(Together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
