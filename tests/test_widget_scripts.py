"""Each explorer's script is one module, small and whole, bundled from those it imports."""

import re
import subprocess

import javascript
import pytest

from vae_gmvae.widgets import scripts
from vae_gmvae.widgets.scripts import bundle

TOP_LEVEL = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.M)
SHARED = {"networks", "densities", "controls", "planes", "tiles"}
IMPORTED = re.compile(r'from "\./(\w+)\.js"')


def modules_of(name: str) -> set[str]:
    """The module itself and all that it imports."""
    found = IMPORTED.findall((javascript.JS / f"{name}.js").read_text("utf-8"))
    return {name}.union(*map(modules_of, found))


EXPLORERS = [name for name in javascript.MODULES if "export default" in bundle(name)]

SVG = "http://www.w3.org/2000/svg"  # a name, which nobody loads


@pytest.mark.parametrize("name", javascript.MODULES)
def test_a_bundle_is_a_module_of_its_own(name, tmp_path):
    """Node refuses what is no module, two declarations of one name among them."""
    text = bundle(name)
    assert not re.search(r"^import\b|\bimport\(|https?:", text.replace(SVG, ""), re.M)
    assert text.count("export default") == (name in EXPLORERS)
    path = tmp_path / f"{name}.mjs"
    path.write_text(text, "utf-8")
    done = subprocess.run([javascript.node(), "--check", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_script_is_small(name):
    """30 kB of its own, without what is there for all explorers."""
    own = [javascript.JS / f"{module}.js" for module in modules_of(name) - SHARED]
    assert own and sum(path.stat().st_size for path in own) <= 30_000
    assert len(bundle(name).encode()) <= 37_000


def test_no_two_shared_modules_declare_the_same_name():
    homes = {}
    for module in sorted(set(javascript.MODULES) - set(EXPLORERS)):
        for name in TOP_LEVEL.findall((javascript.JS / f"{module}.js").read_text("utf-8")):
            homes.setdefault(name, []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Writes modules that `bundle` then reads."""
    monkeypatch.setattr(scripts, "JS", tmp_path)

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.js").write_text(text)

    return write


def test_a_bundle_leaves_out_what_nothing_uses(sources):
    sources(
        main='import { a } from "./base.js";\nexport default { a };\n',
        base="export const a = [\n  b,\n];\nconst b = 1;\nexport function chain() {\n  link();\n}\n"
        'function link() {}\nconst registered = {};\nglobalThis.a = registered;\nlet c = "a";\n',
    )
    kept = bundle("main").splitlines()[1:]
    assert kept == [
        "const a = [",
        "  b,",
        "];",
        "const b = 1;",
        "const registered = {};",
        "globalThis.a = registered;",
        "export default { a };",
    ]


def test_a_bundle_has_each_module_once_and_no_comment(sources):
    sources(
        main='import {\n  b,\n  c,\n} from "./middle.js";\nimport { a } from "./base.js";\n'
        "/* one */ const x = [a, b, c]; // two\nexport default { x };\n",
        middle='import { a } from "./base.js";\nexport const b = a;\n\nexport class c {}\n',
        base="/**\n * Many\n * lines.\n */\n// and one\nexport async function a() {}\n",
    )
    first, *lines = bundle("main").splitlines()
    assert first.startswith("// ") and "main.js" in first
    assert lines == [
        "async function a() {}",
        "const b = a;",
        "class c {}",
        "/* one */ const x = [a, b, c]; // two",
        "export default { x };",
    ]


@pytest.mark.parametrize(
    "text", ['import * as all from "./base.js";', 'import { a as b } from "./base.js";',
             'import { a } from "elsewhere";', 'import { a } from "./main.js"; a();']
)  # fmt: skip
def test_an_import_that_cannot_be_bundled_is_refused(text, sources):
    sources(main=f"{text}\n", base="export { a };\n")
    with pytest.raises(ValueError, match=r"main\.js: write import \{ names \}"):
        bundle("main")


def test_an_export_that_cannot_be_bundled_is_refused(sources):
    sources(main='import { a } from "./base.js";\n', base="const a = 1;\nexport { a };\n")
    with pytest.raises(ValueError, match="main: an imported module exports declarations only"):
        bundle("main")
