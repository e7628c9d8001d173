"""Sphinx extension: of the theme's 2,000 icons the pages carry those that they show.

The theme brings Font Awesome twice: as web fonts with a style sheet, and as a script of 1.5 MB
that draws the same icons again. After the build the script is emptied, and fonts and style sheet
are cut to the icons whose names or characters stand in the built pages, scripts and style sheets.
An icon that no font has is a warning, and so an error of the build.
"""

import re
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
SCRIPT = Path("scripts", "fontawesome.js")
STYLE = Path("styles", "pydata-sphinx-theme.css")
FONTS = Path("vendor", "fontawesome", "webfonts")
# .fa-bars:before,.fa-navicon:before{content:"\f0c9"}
RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"(?:\\([\da-f]+)|(.))"\}')
NAME = re.compile(r"\bfa-([\w-]+)")
ESCAPE = re.compile(r"\\([ef][\da-f]{3})\b")
PRIVATE = re.compile("[\ue000-\uf8ff]")


def named_icons(style: str) -> dict[str, int]:
    """Icon's name -> its character, as the style sheet has them."""
    icons = {}
    for names, escape, character in RULE.findall(style):
        code = int(escape, 16) if escape else ord(character)
        icons |= dict.fromkeys(NAME.findall(names), code)
    return icons


def names_in(texts) -> set[str]:
    return {name for text in texts for name in NAME.findall(text)}


def characters_in(texts) -> set[int]:
    """The private characters that texts hold, as such or escaped as style sheets do it."""
    texts = list(texts)
    plain = {ord(found) for text in texts for found in PRIVATE.findall(text)}
    return plain | {int(found, 16) for text in texts for found in ESCAPE.findall(text)}


def shorter_style(style: str, names: set[str]) -> str:
    """The style sheet without the rules of icons that have none of these names."""

    def kept(rule) -> str:
        return rule[0] if names.intersection(NAME.findall(rule[1])) else ""

    return RULE.sub(kept, style)


def cut(path: Path, characters: set[int]) -> set[int]:
    """Leaves of a font the glyphs of these characters; those that it has."""
    font = TTFont(path, recalcTimestamp=False)
    options = Options(flavor="woff2", notdef_outline=True, layout_features=[])
    cutter = Subsetter(options)
    found = characters & set(font.getBestCmap())
    cutter.populate(unicodes=found)
    cutter.subset(font)
    font.flavor = "woff2"
    font.save(path)
    return found


def texts_of(static: Path, kind: str) -> list[str]:
    """The contents of the published files of a kind, without the script of all icons."""
    paths = sorted(static.rglob(kind))
    return [path.read_text("utf-8") for path in paths if path != static / SCRIPT]


def keep_used_icons(app, exception):
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    style = (static / STYLE).read_text("utf-8")
    pages = (path.read_text("utf-8") for path in sorted(Path(app.outdir).rglob("*.html")))
    names = names_in([*pages, *texts_of(static, "*.js")])
    shorter = shorter_style(style, names)
    (static / STYLE).write_text(shorter, "utf-8")
    (static / SCRIPT).write_text("/* The icons come from fonts. */\n", "utf-8")
    wanted = characters_in([*texts_of(static, "*.css"), *texts_of(static, "*.js")])
    have = [cut(path, wanted) for path in sorted((static / FONTS).glob("*.woff2"))]
    for code in sorted(wanted - set().union(*have)):
        LOGGER.warning("no font has the icon U+%04X: build anew after `make clean`", code)


def setup(app):
    app.connect("build-finished", keep_used_icons, priority=900)  # when every file is there
    return {"parallel_read_safe": True, "parallel_write_safe": True}
