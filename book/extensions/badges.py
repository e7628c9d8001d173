"""Sphinx extension: below the title of each notebook, a way to run it in Colab and to keep it.

Both links derive from `repository` and `launch_buttons` of _config.yml, where alone the address
stands; the badges are text, so no page asks another host for a picture.
"""

from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from docutils import nodes

BADGES = """<p class="page-badges">{links}</p>"""
COLAB = """<a href="{url}" title="Run this page in Google Colab">Open in Colab</a>"""
DOWNLOAD = """<a href="{url}" download="{name}" title="{name}">Download</a>"""


def colab_url(options: dict, docname: str) -> str | None:
    """Where Colab opens the notebook; None if the repository is not on GitHub."""
    address = urlsplit(options.get("repository_url", ""))
    colab = options.get("launch_buttons", {}).get("colab_url", "").rstrip("/")
    if address.netloc != "github.com" or not colab:
        return None
    folder = options.get("path_to_docs", "").strip("/")
    path = f"{folder}/{docname}.ipynb".lstrip("/")
    branch = options.get("repository_branch") or "main"
    return f"{colab}/github{address.path.rstrip('/')}/blob/{quote(branch)}/{quote(path)}"


def download_url(docname: str) -> str:
    """The copy of the notebook in the built book, seen from its page."""
    return "../" * docname.count("/") + f"_sources/{quote(docname)}.ipynb"


def badges(options: dict, docname: str) -> str:
    """The line of links as HTML."""
    name = escape(f"{Path(docname).name}.ipynb")
    links = [DOWNLOAD.format(url=escape(download_url(docname)), name=name)]
    colab = colab_url(options, docname)
    if colab:
        links.insert(0, COLAB.format(url=escape(colab)))
    return BADGES.format(links="\n".join(links))


def has_code(doctree) -> bool:
    return any("cell_input" in node.get("classes", ()) for node in doctree.findall(nodes.container))


def add_badges(app, doctree):
    docname = app.env.docname
    title = next(doctree.findall(nodes.title), None)
    if title is None or not app.env.doc2path(docname).endswith(".ipynb") or not has_code(doctree):
        return
    line = nodes.raw("", badges(app.config.html_theme_options, docname), format="html")
    title.parent.insert(title.parent.index(title) + 1, line)


def setup(app):
    app.connect("doctree-read", add_badges)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
