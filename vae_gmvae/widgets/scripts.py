"""The JavaScript modules of an explorer as the one script that a page carries."""

import re
from pathlib import Path

JS = Path(__file__).parent / "js"
# Lines that are nothing but a comment, and empty lines.
COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/).)*\*/[ \t]*|//[^\n]*|)\n", re.M | re.S)
IMPORT = re.compile(r'^import \{\s*\w+(?:,\s*\w+)*,?\s*\} from "\./([\w-]+)\.js";\n', re.M)
DECLARATION = r"(?:async )?(?:function\*?|const|let|class) (\w+)"
EXPORT = re.compile(rf"^export (?={DECLARATION})", re.M)


def bundle(name: str) -> str:
    """js/<name>.js as one ES module: the modules that it imports come first, each once.

    Lines of comments, and what this explorer does not use, stay in the sources.

    Raises:
        ValueError: an import or an export in a form that cannot be written into one file.
    """
    found = {}  # module -> text, dependencies first
    _collect(name, found)
    main = found.pop(name)
    shared = "".join(EXPORT.sub("", text) for text in found.values())
    if re.search(r"^export\b", shared, re.M):
        raise ValueError(f"bundling {name}: an imported module exports declarations only")
    used = _without_unused(shared + main)
    return f"// Its readable source is {name}.js in vae_gmvae/widgets/js\n{used}"


def _collect(name: str, found: dict):
    text = COMMENT.sub("", (JS / f"{name}.js").read_text("utf-8"))
    for imported in IMPORT.findall(text):
        if imported not in found:
            _collect(imported, found)
    found[name] = IMPORT.sub("", text)
    if re.search(r"^import\b", found[name], re.M):
        raise ValueError(f'{name}.js: write import {{ names }} from "./module.js";')


def _without_unused(text: str) -> str:
    """The script without top-level declarations that nothing else names."""
    parts = re.split(rf"^(?={DECLARATION}|export )", text, flags=re.M)[::2]
    kept = [part for part in parts if not _is_unused(part, parts)]
    return text if len(kept) == len(parts) else _without_unused("".join(kept))


def _is_unused(part: str, parts: list[str]) -> bool:
    name = re.match(DECLARATION, part)
    statement_after = re.search(r"\n[^\s)}\]]", part)
    if not name or statement_after:
        return False
    return not any(re.search(rf"\b{name[1]}\b", other) for other in parts if other is not part)
