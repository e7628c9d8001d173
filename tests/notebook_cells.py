"""What every code cell and its stored outputs must be: checks that say what is wrong."""

import ast
import inspect
import pkgutil
import re
import shlex
import sys
from functools import cache
from importlib import import_module

from notebook_frame import code_cells, texts, tree_of

import vae_gmvae
from vae_gmvae import cli
from vae_gmvae.config import MODEL_NAMES

LIBRARIES = {"numpy", "keras", "scipy", "sklearn", "matplotlib"}
ONCE = {"03": {"tensorflow"}}  # the loop written by hand: Keras has no gradients of its own
MAX_LINES = 15
MAX_BYTES = 4_000_000  # what Colab and GitHub open without a pause
MACHINE = re.compile(
    r"(?<![\w.:/-])(/(?:root|home|Users|work|workspace|tmp)/[\w.-]|[A-Z]:\\\\?Users)"
)
ADDRESS_OF_AN_OBJECT = re.compile(r"\bat 0x[0-9a-f]{6,}")
UNFINISHED = re.compile(r"<!-- look|\b(TODO|FIXME|XXX)\b")
COMMAND = re.compile(r"^\s*(?:[!$] ?)?vae-gmvae(?= )((?:.*\\\n)*.*)", re.M)
LIVE = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/svg+xml", "image/jpeg")
MARKDOWN_PICTURE = re.compile(r"!\[(.*?)\]\(")
FIGURE = re.compile(r"(`{3,}|:{3,})\{(?:figure|image)\}.*?\n(.*?)\1", re.S)


def outputs(notebook):
    """(cell, output) of every stored output."""
    return [(cell, output) for cell in code_cells(notebook) for output in cell.outputs]


def text_of(output) -> str:
    """Everything of an output that is text."""
    data = output.get("data", {})
    kinds = [value for kind, value in data.items() if kind.startswith("text/")]
    return "\n".join([output.get("text", ""), *output.get("traceback", ()), *map(str, kinds)])


def has_picture(output) -> bool:
    return any(kind in output.get("data", {}) for kind in PICTURES)


# --- the code


def check_imports(notebook, chapter):
    problems = []
    for cell in code_cells(notebook):
        for node in ast.walk(tree_of(cell.source)):
            names = [alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            elif not isinstance(node, ast.Import):
                names = []
            problems += [f"import of {name}" for name in names if not _allowed(name, chapter)]
    return problems


def _allowed(module: str, chapter: str) -> bool:
    """The package is imported whole, as vg; others by name."""
    top = module.split(".")[0]
    known = LIBRARIES | ONCE.get(chapter, set())
    return module == "vae_gmvae" or top in known or top in sys.stdlib_module_names


def check_public_names(notebook, chapter):
    found = set()
    for cell in code_cells(notebook):
        for node in ast.walk(tree_of(cell.source)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "vg":
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom) and node.module == "vae_gmvae":
                found.update(alias.name for alias in node.names)
    unknown = {name for name in found - set(vae_gmvae.__all__) if not name.startswith("__")}
    return [f"vg.{name} is not public" for name in sorted(unknown)]


@cache
def defined_by_the_package() -> frozenset[str]:
    """Public names of the package's classes and functions."""
    names = set(vae_gmvae.__all__)
    for module in pkgutil.walk_packages(vae_gmvae.__path__, "vae_gmvae."):
        if module.name.rsplit(".", 1)[-1].startswith("_"):
            continue
        for name, value in vars(import_module(module.name)).items():
            known = inspect.isclass(value) or inspect.isfunction(value)
            if known and value.__module__.startswith("vae_gmvae") and name[0] != "_":
                names.add(name)
    return frozenset(names)


def check_definitions(notebook, chapter):
    kinds = (ast.FunctionDef, ast.ClassDef)
    defined = {
        node.name
        for cell in code_cells(notebook)
        for node in tree_of(cell.source).body
        if isinstance(node, kinds)
    }
    again = sorted(defined & defined_by_the_package())
    return [f"{name} is defined again; the package has it" for name in again]


def check_length(notebook, chapter):
    lengths = {
        cell.id: sum(bool(line.strip()) for line in cell.source.splitlines())
        for cell in code_cells(notebook)
    }
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > MAX_LINES]


def check_commands(notebook, chapter):
    problems = []
    sources = [*texts(notebook), *(cell.source for cell in code_cells(notebook))]
    for command in (match[1] for source in sources for match in COMMAND.finditer(source)):
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        try:
            options = vars(cli.build_parser().parse_args(words))
            known = cli.read_config(options).model_name in MODEL_NAMES
        except (SystemExit, ValueError) as error:
            known = getattr(error, "code", None) == 0  # --help, --version
        if not known:
            problems.append(f"the command line refuses: vae-gmvae{command}")
    return problems


# --- what is stored


def check_executed(notebook, chapter):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"not executed in order from a fresh start: {counts}"]
    return []


def check_outputs(notebook, chapter):
    problems = []
    for cell, output in outputs(notebook):
        text = text_of(output)
        if output.output_type == "error":
            problems.append(f"{cell.id}: an error")
        if output.get("name") == "stderr":
            problems.append(f"{cell.id}: something on stderr")
        for kind in (MACHINE, ADDRESS_OF_AN_OBJECT):
            problems += [f"{cell.id}: {match[0]}" for match in kind.finditer(text)]
    return problems


def check_sources(notebook, chapter):
    return [
        f"{cell.id}: {match[0]}"
        for cell in notebook.cells
        for kind in (MACHINE, UNFINISHED)
        for match in kind.finditer(cell.source)
    ]


def check_compared(notebook, chapter):
    """A third of the cells whose output is text alone have it compared by nbval."""
    printing = {
        cell.id
        for cell, output in outputs(notebook)
        if not has_picture(output) and text_of(output).strip()
    }
    tagged = {
        cell.id
        for cell in code_cells(notebook)
        if "nbval-check-output" in cell.metadata.get("tags", ())
    }
    silent = tagged - {cell.id for cell, output in outputs(notebook)}
    problems = [f"{name}: nbval-check-output without output" for name in sorted(silent)]
    if 3 * len(printing & tagged) < len(printing):
        problems.append(f"{len(printing & tagged)} of {len(printing)} printing cells are compared")
    return problems


def check_pictures(notebook, chapter):
    drawn = {cell.id: cell for cell, output in outputs(notebook) if has_picture(output)}
    explorers = {cell.id for cell, output in outputs(notebook) if LIVE in output.get("data", {})}
    problems = [
        f"{cell.id}: a caption without picture"
        for cell in code_cells(notebook)
        if "figure" in cell.metadata.get("mystnb", {}) and cell.id not in drawn
    ]
    for cell in drawn.values():
        shown = cell.metadata.get("mystnb", {})
        figure, alt = shown.get("figure", {}), shown.get("image", {}).get("alt", "")
        if len(alt.split()) < 3:
            problems.append(f"{cell.id}: a picture without alternative text")
        if cell.id in explorers:  # it names itself
            continue
        if len(figure.get("caption", "").split()) < 4:
            problems.append(f"{cell.id}: a picture without caption")
        if not figure.get("name", "").startswith(f"fig-{chapter}-"):
            problems.append(f"{cell.id}: its figure is not called fig-{chapter}-...")
    for text in texts(notebook):
        problems += ["![]() without alternative text" for alt in MARKDOWN_PICTURE.findall(text)
                     if not alt.strip()]  # fmt: skip
        problems += ["{figure} without :alt:" for _, body in FIGURE.findall(text)
                     if ":alt: " not in body]  # fmt: skip
    return problems


CHECKS = [check_imports, check_public_names, check_definitions, check_length, check_commands]
CHECKS += [check_executed, check_outputs, check_sources, check_compared, check_pictures]
