"""Sphinx extension: the package's docstrings, which are plain text with `code` in backticks.

reStructuredText would read a bar or a star in them as markup: q(z|x) || p(z), 5 * tanh. Here code
becomes a literal, a paragraph of names and their meanings becomes a list, an indented one keeps its
columns, and everything else is escaped; napoleon then lays out Args and Raises.
"""

import re
import sys
import textwrap
from itertools import groupby

from sphinx.util.inspect import signature, stringify_signature

CODE = re.compile(r"(`+)(.+?)\1")
MARKUP = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")
SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes|Examples?):")
NAMED = re.compile(r"(\w+)(?:: +|  +)(\S.*)")  # "name: meaning" or "name   meaning"
LABELLED = re.compile(r"(.+?): +(\S.*)")  # anything before the colon


def escaped(line: str) -> str:
    """One line: code spans as literals, the rest without markup; doctests are kept."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts, end = [], 0
    for code in CODE.finditer(line):
        parts += [MARKUP.sub(r"\\\1", line[end : code.start()]), f"``{code[2]}``"]
        end = code.end()
    return "".join(parts) + MARKUP.sub(r"\\\1", line[end:])


def entries(lines: list[str]) -> list[str]:
    """The lines, each joined with the indented ones that follow it."""
    joined = []
    for line in lines:
        if joined and line.startswith(" "):
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    return joined


def as_list(lines: list[str], entry: re.Pattern) -> list[str] | None:
    """A bullet for each entry; None if one of them does not look like an `entry`."""
    found = [entry.fullmatch(line) for line in entries(lines)]
    if not all(found):
        return None
    pairs = [match.groups() for match in found]
    names = [f"``{name}``" if name.isidentifier() else escaped(name) for name, _ in pairs]
    return [f"- {name}: {escaped(text)}" for name, (_, text) in zip(names, pairs, strict=True)]


def paragraph_as_text(lines: list[str]) -> list[str]:
    """A paragraph of a docstring; one that is followed by indented entries becomes two."""
    plain = list(map(escaped, lines))
    if SECTION.fullmatch(lines[0]) or lines[0].startswith(" "):
        return plain  # napoleon's
    named = as_list(lines, NAMED)
    if named:
        return named
    flush = [line for line in lines if not line.startswith(" ")]
    body = textwrap.dedent("\n".join(lines[len(flush) :])).splitlines()
    if not body or lines[: len(flush)] != flush:
        return plain
    bullets = as_list(body, LABELLED)
    return [*map(escaped, flush), "", *(bullets or map(escaped, entries(body)))]


def as_restructured_text(docstring: list[str]) -> list[str]:
    """A docstring, its common indentation already removed, as reStructuredText."""
    text, in_section = [], False
    for blank, group in groupby(docstring, key=lambda line: not line.strip()):
        lines = list(group)
        in_section = in_section or bool(SECTION.fullmatch(lines[0]))
        if blank:
            text += lines
        elif not text:  # the summary is a sentence, whatever it looks like
            text += map(escaped, lines)
        elif all(line.startswith(" ") for line in lines) and not in_section:
            text += [".. code-block:: text", "", *lines]
        else:
            text += paragraph_as_text(lines)
    return text


def process_docstring(app, what, name, obj, options, lines):
    if lines[0].startswith("Alias for field number"):  # what Python says of every tuple's field
        lines.clear()
    lines[:] = as_restructured_text(lines)


def process_signature(app, what, name, obj, options, text, returned):
    """The signature of a class whose base is mocked is that of its own `__init__`.

    Sphinx cannot read the default that Python shows for a dataclass's field with a factory.
    """
    if what == "class" and getattr(obj, "__sphinx_mock__", False):
        text = stringify_signature(signature(obj.__init__, bound_method=True))
    return text and text.replace("<factory>", "..."), returned


def setup(app):
    sys.path.insert(0, str(app.srcdir))  # the package is read from the checkout
    app.connect("autodoc-process-docstring", process_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", process_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
