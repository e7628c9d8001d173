"""Sphinx extension: the package's docstrings, which are plain text with `code` in backticks.

reStructuredText would read a bar or a star in them as markup: q(z|x) || p(z), 5 * tanh. Here code
becomes a literal and everything else is escaped; napoleon then lays out Args and Raises.
"""

import re
import sys

CODE = re.compile(r"(`+)(.+?)\1")
MARKUP = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")


def as_restructured_text(line: str) -> str:
    """One line of a docstring: code spans as literals, the rest escaped; doctests are kept."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts, end = [], 0
    for code in CODE.finditer(line):
        parts += [MARKUP.sub(r"\\\1", line[end : code.start()]), f"``{code[2]}``"]
        end = code.end()
    return "".join(parts) + MARKUP.sub(r"\\\1", line[end:])


def process_docstring(app, what, name, obj, options, lines):
    lines[:] = [as_restructured_text(line) for line in lines]


def setup(app):
    sys.path.insert(0, str(app.srcdir))  # the package is read from the checkout
    app.connect("autodoc-process-docstring", process_docstring, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
