"""Sphinx extension: the package's docstrings, which are plain text with `code` in backticks.

reStructuredText would read a bar or a star in them as markup: q(z|x) || p(z), 5 * tanh. Here code
becomes a literal, a paragraph of names and their meanings becomes a list, and everything else is
escaped; napoleon then lays out Args and Raises.
"""

import re
import sys
from itertools import groupby

from sphinx.util.inspect import signature, stringify_signature

CODE = re.compile(r"(`+)(.+?)\1")
MARKUP = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")
ENTRY = re.compile(r"(\w+)(?:: +|  +)(\S.*)")  # "name: meaning" or "name   meaning"


def escaped(line: str) -> str:
    """One line: code spans as literals, the rest without markup; doctests are kept."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts, end = [], 0
    for code in CODE.finditer(line):
        parts += [MARKUP.sub(r"\\\1", line[end : code.start()]), f"``{code[2]}``"]
        end = code.end()
    return "".join(parts) + MARKUP.sub(r"\\\1", line[end:])


def is_list(paragraph: list[str]) -> bool:
    """Whether every line either begins an entry or, being indented, goes on with one."""
    heads = [line for line in paragraph if not line.startswith(" ")]
    return not paragraph[0].startswith(" ") and all(ENTRY.match(line) for line in heads)


def as_list(paragraph: list[str]) -> list[str]:
    """The entries as a bullet list, each on one line."""
    entries = []
    for line in paragraph:
        if line.startswith(" "):
            entries[-1] += " " + escaped(line.strip())
        else:
            name, meaning = ENTRY.match(line).groups()
            entries.append(f"- ``{name}``: {escaped(meaning)}")
    return entries


def as_restructured_text(lines: list[str]) -> list[str]:
    """A docstring, its common indentation already removed, as reStructuredText."""
    text = []
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank:
            text += paragraph
        elif is_list(paragraph):
            text += as_list(paragraph)
        else:
            text += map(escaped, paragraph)
    return text


def process_docstring(app, what, name, obj, options, lines):
    if lines[0].startswith("Alias for field number"):  # what Python says of every tuple's field
        lines.clear()
    lines[:] = as_restructured_text(lines)


def process_signature(app, what, name, obj, options, text, returned):
    """The signature of a class whose base is mocked is that of its own `__init__`."""
    if what == "class" and getattr(obj, "__sphinx_mock__", False):
        text = stringify_signature(signature(obj.__init__, bound_method=True))
    return text, returned


def setup(app):
    sys.path.insert(0, str(app.srcdir))  # the package is read from the checkout
    app.connect("autodoc-process-docstring", process_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", process_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
