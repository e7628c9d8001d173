"""Who imports whom, read from the source: the direction of the package's rooms, kept by a test.

A room is a module or a folder directly inside the package. A new one must be named here, with the
rooms that it may import.
"""

import ast
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vae_gmvae"
NAME = PACKAGE.name

MAY_IMPORT = {
    "augmentation": {"devices"},
    "config": set(),
    "data": set(),
    "devices": set(),
    "distributions": set(),
    "networks": set(),
    "plots": set(),
    "logs": set(),
    "models": {"augmentation", "config", "devices", "distributions", "networks"},
    "storage": set(),
    "runs": {"config", "models", "storage"},
    "reference": {"config", "runs", "storage"},
    "speed": set(),
    "callbacks": {"config", "models", "runs", "storage"},
    "training": {"callbacks", "config", "devices", "logs", "models", "runs", "storage"},
    "evaluation": {"distributions"},
    "report": {"evaluation", "plots", "runs", "storage"},
    "widgets": {"config", "models", "networks", "plots", "runs"},
}
LIBRARY = set(MAY_IMPORT) - {"widgets"}
MAY_IMPORT |= {"cli": LIBRARY, "__init__": LIBRARY, "__main__": {"cli"}}

# Which rooms may import these at module level, where they cost everyone who imports the room.
AT_MODULE_LEVEL = {
    "matplotlib": {"plots"},
    "scipy": {"evaluation"},
    "sklearn": {"evaluation"},
}
# Which rooms may import these at all: elsewhere the code is Keras, whatever the backend.
ANYWHERE = {
    "tensorflow": {"devices", "training", "logs"},
    "tensorboard": {"logs"},
    "torch": set(),
    "jax": set(),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}


class Import(NamedTuple):
    name: str  # absolute: vae_gmvae.data.files, matplotlib.figure
    line: int
    at_module_level: bool


def imports_of(tree: ast.Module, package: str) -> list[Import]:
    """Every import of a module that lies in `package`, those inside functions included."""
    found = []

    def visit(node, at_module_level):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                names = _names(child, package)
            else:
                names = []
            found.extend(Import(name, child.lineno, at_module_level) for name in names)
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, at_module_level and not function)

    visit(tree, True)
    return found


def _names(node: ast.ImportFrom, package: str) -> list[str]:
    parents = package.split(".")
    base = parents[: len(parents) - node.level + 1] if node.level else []
    module = ".".join([*base, *filter(None, [node.module])])
    return [f"{module}.{alias.name}" for alias in node.names]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room_imported(name: str) -> str | None:
    """The room that an absolute name lies in; None outside the package."""
    parts = name.split(".")
    if parts[0] != NAME:
        return None
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "__init__"


MODULES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = {
    path: imports_of(
        ast.parse(path.read_text("utf-8")), ".".join(path.parent.relative_to(ROOT).parts)
    )
    for path in MODULES
}
EVERY_MODULE = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def test_imports_are_read_as_python_reads_them():
    source = """
    import matplotlib.figure
    from vae_gmvae import runs
    from . import files
    from ..config import Config
    if True:
        import scipy
    def f():
        from sklearn.manifold import TSNE
    """
    found = imports_of(ast.parse(textwrap.dedent(source)), "vae_gmvae.data")
    assert [(name, top) for name, _, top in found] == [
        ("matplotlib.figure", True),
        ("vae_gmvae.runs", True),
        ("vae_gmvae.data.files", True),
        ("vae_gmvae.config.Config", True),
        ("scipy", True),
        ("sklearn.manifold.TSNE", False),
    ]


@EVERY_MODULE
def test_direction(path):
    room = room_of(path)
    assert room in MAY_IMPORT, f"{room} is a new room: name it here, with what it may import"
    for name, line, _ in IMPORTS[path]:
        imported = room_imported(name)
        if imported is None or imported == room:
            continue
        version = name == f"{NAME}.__version__"
        assert version or imported in MAY_IMPORT[room], f"{path}:{line}: {room} <- {imported}"


@EVERY_MODULE
def test_heavy_libraries_stay_in_their_rooms(path):
    for name, line, at_module_level in IMPORTS[path]:
        library = name.split(".")[0]
        everywhere = ANYWHERE.get(library)
        assert everywhere is None or room_of(path) in everywhere, f"{path}:{line}: {name}"
        rooms = AT_MODULE_LEVEL.get(library)
        fine = rooms is None or not at_module_level or room_of(path) in rooms
        assert fine, f"{path}:{line}: {name} at module level"


@EVERY_MODULE
def test_figures_do_not_touch_pyplot(path):
    if room_of(path) == "plots":
        assert not [name for name, *_ in IMPORTS[path] if "pyplot" in name]


def test_every_library_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["offline"]
    lines += project["optional-dependencies"]["book"]
    declared = {line.split(">")[0].split("[")[0] for line in lines}
    used = {name.split(".")[0] for found in IMPORTS.values() for name, *_ in found}
    used -= {NAME, *sys.stdlib_module_names}
    assert {DISTRIBUTIONS.get(name, name) for name in used} <= declared


IMPORT_AND_TELL = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import vae_gmvae
dir(vae_gmvae)
print(*sorted({name.split(".")[0] for name in sys.modules}))
print(*[path for path in opened if not path.endswith((".py", ".pyc", ".so"))], sep=";")
"""


def test_importing_the_package_loads_parses_and_opens_nothing():
    """No heavy library, no look at the command line, no file but Python's own."""
    command = [sys.executable, "-c", IMPORT_AND_TELL, "--no_such_flag"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules, opened = done.stdout.splitlines()
    heavy = {"tensorflow", "keras", "jax", "torch", "scipy", "sklearn", "matplotlib", "argparse"}
    assert not heavy & set(modules.split())
    assert opened == ""
