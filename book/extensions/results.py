"""Sphinx extension: numbers in prose come from stored results.

    {result}`model1/MNIST:elbo:.1f`     vae_gmvae/reference/model1_MNIST/metrics.json
    {result}`thesis_runs.json:model1/MNIST/metrics/elbo:.1f`     benchmarks/results/

File, key, format ("g" if left out). A slash in the key leads deeper, or belongs to a name.
What is missing is a warning, and so an error of the build. A page follows the files it reads.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

LOGGER = logging.getLogger(__name__)


class ResultError(ValueError):
    """The role does not name a stored result."""


def path_of(source: str) -> Path:
    """The file, below the repository's root, that the role's first part names."""
    if source.endswith(".json"):
        return Path("benchmarks", "results", source)
    model, _, dataset = source.partition("/")
    return Path("vae_gmvae", "reference", f"{model}_{dataset}", "metrics.json")


def value_at(results, key: str):
    """The value under `key`; ResultError names the part that is missing."""
    names = key.split("/")
    while names:
        for length in range(len(names), 0, -1):  # "model1/MNIST" may itself be a name
            name = "/".join(names[:length])
            if isinstance(results, list) and name.isdigit() and int(name) < len(results):
                results, names = results[int(name)], names[length:]
                break
            if isinstance(results, dict) and name in results:
                results, names = results[name], names[length:]
                break
        else:
            known = ", ".join(map(str, results)) if isinstance(results, dict) else "no names"
            raise ResultError(f"no {'/'.join(names)!r} in it; there are {known}")
    return results


def formatted(value, specification: str) -> str:
    """The value as text, with a true minus sign."""
    if isinstance(value, (dict, list)) or value is None:
        raise ResultError("no number or word stands there")
    if isinstance(value, (str, bool)) and not specification:
        return str(value)
    try:
        return format(value, specification or "g").replace("-", "\N{MINUS SIGN}")
    except ValueError as error:
        raise ResultError(f"format {specification!r}: {error}") from None


def text_of(root: Path, role: str) -> str:
    """What the role stands for. ResultError says what is wrong."""
    source, _, rest = role.partition(":")
    key, _, specification = rest.partition(":")
    if not key:
        raise ResultError("it needs a file and a key: `model1/MNIST:elbo:.1f`")
    path = path_of(source)
    try:
        results = json.loads((root / path).read_text("utf-8"))
    except OSError:
        raise ResultError(f"there is no file {path.as_posix()}") from None
    except ValueError as error:
        raise ResultError(f"{path.as_posix()} is no JSON: {error}") from None
    try:
        return formatted(value_at(results, key), specification)
    except ResultError as error:
        raise ResultError(f"{path.as_posix()}: {error}") from None


class Result(SphinxRole):
    def run(self):
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / path_of(self.text.partition(":")[0])))
        try:
            text = text_of(root, self.text)
        except ResultError as error:
            LOGGER.warning("result %r: %s", self.text, error, location=self.get_location())
            text = "?"
        return [nodes.inline(self.rawtext, text, classes=["result"])], []


def setup(app):
    app.add_role("result", Result())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
