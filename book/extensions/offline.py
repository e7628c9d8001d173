"""Sphinx extension: no page of the book asks another host for anything.

MathJax comes from the package sphinx-mathjax-offline, of which the one file that a page loads is
published; the script of sphinx-thebe, which theme and extension both add though it is switched
off, is dropped.
"""

from importlib.util import find_spec
from pathlib import Path

MATHJAX = "tex-svg-full.js"  # one file, no fonts to fetch: works from file:// too


def mathjax_file() -> Path:
    """Where sphinx-mathjax-offline keeps MathJax. FileNotFoundError if it is not installed."""
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise FileNotFoundError(
            "sphinx-mathjax-offline is not installed, and without it the book would load MathJax "
            "from another host: pip install sphinx-mathjax-offline"
        )
    return Path(package.submodule_search_locations[0]) / "static" / "mathjax" / MATHJAX


def use_local_mathjax(app, config):
    config.html_static_path.append(str(mathjax_file()))
    config.mathjax_path = MATHJAX


def drop_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        script
        for script in context["script_files"]
        if is_data(script) or "thebe" not in _text(script).lower()
    ]


def is_data(script) -> bool:
    """Whether it holds widgets, whose weights may spell any word."""
    return getattr(script, "attributes", {}).get("type", "").endswith("+json")


def _text(script) -> str:
    """A script's file name, or its body where it stands in the page."""
    return f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', {})}"


def setup(app):
    app.connect("config-inited", use_local_mathjax)
    app.connect("html-page-context", drop_thebe, priority=900)  # after those who add scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}
