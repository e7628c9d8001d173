"""The results of training_speed.py: their machine, their table, and its copy in README.md."""

import contextlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import tables

from vae_gmvae import __version__

HERE = Path(__file__).resolve().parent
RESULTS, README = HERE / "results" / "training_speed.json", HERE / "README.md"


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = [_machine_line(**results["machine"]), f"An epoch is {results['images']} images.", ""]
    lines += ["| network | batch | contender | s per epoch | min to max | times faster |"]
    lines += ["|---|---|---|---|---|---|"]
    for one in results["comparisons"]:
        for name, times in one["seconds"].items():
            spread = f"{min(times):.2f} to {max(times):.2f}"
            faster = f"{one['times_faster_than_best_other'][name]:.2f}"
            figures = f"{one['median'][name]:.2f} | {spread} | {faster}"
            lines.append(f"| {one['network']} | {one['batch_size']} | {name} | {figures} |")
    lines += ["", f"Peak memory of training model5: {results['peak_memory_gib']:.2f} GiB."]
    epochs = results["elbo_epochs"]
    lines += ["", f"Test ELBO of model2 after {epochs} epochs, nats, one per seed:", ""]
    for precision, elbos in results["test_elbo"].items():
        lines.append(f"- {precision}: {', '.join(f'{elbo:.1f}' for elbo in elbos)}")
    return "\n".join(lines) + "\n"


def _machine_line(processor, cores, versions, **others) -> str:
    named = [f"{name} {number}" for name, number in versions.items() if number]
    return f"{processor}, {cores} cores; {', '.join(named)}."


def machine() -> dict:
    """Processor, cores and versions: what the figures depend on."""
    packages = ("tensorflow", "jax", "keras", "torch", "numpy")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {"vae-gmvae": __version__, **{name: version(name) for name in packages}},
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return platform.processor()


def version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def stored() -> dict | None:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else None


def write(results: dict, output: Path):
    """Writes the results; where they go to their usual place, also their table into README.md."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    if output == RESULTS:
        tables.write(README, "training speed", table(results))
