"""The files around the package: one version, one address, equal pins, nothing that leaks."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def tracked() -> list[Path]:
    """The files that git knows; skips the test outside a checkout."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode or not done.stdout:  # nothing: this folder lies in another checkout
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    texts = {}
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            texts[path.relative_to(ROOT).as_posix()] = data.decode("utf-8")
    return texts


# --- versions and pins


def test_the_version_stands_in_one_place():
    version = re.search(r'^__version__ = "(.+)"$', read("vae_gmvae/__init__.py"), re.M)[1]
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "vae_gmvae/__init__.py"
    assert "version" not in yaml.safe_load(read("CITATION.cff"))
    elsewhere = re.compile(rf"(?i)(version[\W_]*|vae.gmvae\W+){re.escape(version)}\b")
    places = {name for name, text in tracked_texts().items() if elsewhere.search(text)}
    made_by = ("benchmarks/results/", "vae_gmvae/reference/", "book/status.json")  # with what
    recorded = {name for name in places if name.startswith(made_by)}
    recorded.add("benchmarks/README.md")  # a table made from the results
    assert places - recorded == {"vae_gmvae/__init__.py"}


def test_environment_has_the_pins_of_the_project():
    *conda, pip = yaml.safe_load(read("environment.yml"))["dependencies"]
    *pins, editable = pip["pip"]
    assert pins == PROJECT["dependencies"]
    assert editable == "--editable .[book]"
    python = next(line for line in conda if line.startswith("python="))
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert _numbers(python.removeprefix("python=")) >= _numbers(oldest)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_a_package_has_one_pin_wherever_it_is_named():
    pins = {}
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        pins.setdefault(re.match(r"[\w-]+", line)[0], set()).add(line)
    assert {name for name, lines in pins.items() if len(lines) > 1} == set()


def test_building_the_book_needs_no_tensorflow():
    names = {re.match(r"[\w-]+", line)[0] for line in EXTRAS["book"]}
    assert not names & {"tensorflow", "keras", "torch", "jax", "vae-gmvae"}


def test_pre_commit_runs_the_same_ruff():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    (ruff,) = (line for line in EXTRAS["test"] if line.startswith("ruff"))
    assert {pin for hook in hooks for pin in hook["additional_dependencies"]} == {ruff}


# --- licence, citation, address


def test_licence():
    licence = read("LICENSE")
    assert "Apache License" in licence and "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"


def test_citation_file():
    """The keys that the format 1.2.0 requires, here and in each reference."""
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["message"] and citation["title"] and citation["authors"]
    assert len(citation["references"]) == 3
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(reference)
        assert all("name" in who or "family-names" in who for who in reference["authors"])


def test_citation_and_bibliography_agree():
    bibliography = read("book/references.bib")
    for reference in yaml.safe_load(read("CITATION.cff"))["references"]:
        plain = re.sub(r"[{}]", "", bibliography)
        assert reference["title"] in plain
        assert reference.get("url", "") in plain


def test_the_address_stands_in_one_place():
    address = yaml.safe_load(read("_config.yml"))["repository"]["url"]
    host_and_name = address.removeprefix("https://")
    places = {name for name, text in tracked_texts().items() if host_and_name in text}
    assert places == {"_config.yml"}


# --- what must not be in the repository

MACHINE_PATHS = re.compile(
    r"(?<![\w.:/-])(/(?:root|home|Users|work|workspace)/[\w.-]|/tmp/[a-z]|[A-Z]:\\\\?Users)"
)
DATASETS = re.compile(r"(?i)(ubyte|frey_?raw|mnist.*\.(npz|pkl|csv|gz)|\.(mat|idx|gz|zip|tar)$)")


def test_no_file_names_a_path_of_one_machine():
    found = {
        f"{name}: {match[0]}"
        for name, text in tracked_texts().items()
        for match in MACHINE_PATHS.finditer(text)
    }
    assert found == set()


def test_no_dataset_is_tracked():
    assert [path.name for path in tracked() if DATASETS.search(path.name)] == []


@pytest.mark.parametrize(
    "name", [".venv", "_build", "saved_models", "results", "logdir", "frey_rawface.mat"]
)
def test_what_is_made_is_ignored(name):
    tracked()
    done = subprocess.run(["git", "check-ignore", "--quiet", f"{name}/x"], cwd=ROOT)
    assert done.returncode == 0


# --- what an installed package holds


def test_a_wheel_holds_the_whole_package(tmp_path):
    """Every tracked file of the package, data included, and nothing beside it."""
    expected = {path.relative_to(ROOT).as_posix() for path in tracked()}
    expected = {name for name in expected if name.startswith("vae_gmvae/")}
    command = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", command, tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("vae_gmvae/")}
        others = {name.split("/")[0] for name in archive.namelist()} - {"vae_gmvae"}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        described = archive.read(metadata).decode()
    assert expected <= names
    assert all(name.endswith(".dist-info") for name in others)
    assert "License-Expression: Apache-2.0" in described


def test_the_command_is_declared():
    assert PROJECT["scripts"] == {"vae-gmvae": "vae_gmvae.cli:main"}
