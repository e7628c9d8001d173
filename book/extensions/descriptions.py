"""Sphinx extension: what a search engine or a message that links a page shows of it.

Title, and the beginning of the first paragraph without a formula.
"""

import textwrap
from html import escape

from docutils import nodes

LENGTH = 200
TAG = """<meta {key}="{name}" content="{content}">"""


def description(doctree) -> str:
    """Empty where no paragraph is plain text."""
    texts = (node.astext() for node in doctree.findall(nodes.paragraph))
    plain = (text for text in texts if "\\" not in text)
    return textwrap.shorten(next(plain, ""), LENGTH, placeholder=" \N{HORIZONTAL ELLIPSIS}")


def tags(title: str, text: str) -> str:
    found = [("property", "og:type", "article"), ("property", "og:title", title)]
    if text:
        found += [("name", "description", text), ("property", "og:description", text)]
    return "".join(TAG.format(key=k, name=n, content=escape(content)) for k, n, content in found)


def describe(app, pagename, templatename, context, doctree):
    if doctree is not None:
        title = app.env.titles[pagename].astext()
        context["metatags"] = context.get("metatags", "") + tags(title, description(doctree))


def setup(app):
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
