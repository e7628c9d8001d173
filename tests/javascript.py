"""Runs a package's ES modules under Node.js: arrays in, arrays out, one process for all cases."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

JS = Path(__file__).parents[1] / "vae_gmvae" / "widgets" / "js"
MODULES = sorted(path.stem for path in JS.glob("*.js"))


def node() -> str:
    """The path of Node.js; skips the test where there is none."""
    found = shutil.which("node")
    if not found:
        pytest.skip("no node on PATH: install Node.js 18 or newer (Debian: apt install nodejs)")
    return found


def run_script(script: str, folder: Path, *arguments: str) -> str:
    """What a script prints. It imports the package's modules as "./<name>.mjs"."""
    for name in MODULES:
        text = (JS / f"{name}.js").read_text("utf-8")
        (folder / f"{name}.mjs").write_text(text.replace('.js";', '.mjs";'), "utf-8")
    (folder / "script.mjs").write_text(script, "utf-8")
    done = subprocess.run(
        [node(), folder / "script.mjs", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


RUN_NETWORKS = """
import { readFileSync, writeFileSync } from "node:fs";
import { loadNetwork } from "./networks.mjs";

for (const { name, spec, inputs } of JSON.parse(readFileSync("cases.json"))) {
  const network = await loadNetwork(spec, readFileSync(`${name}.weights`));
  const size = spec.input.reduce((a, b) => a * b, 1);
  const x = new Float32Array(new Uint8Array(readFileSync(`${name}.inputs`)).buffer);
  const results = Array.from({ length: inputs }, (_, i) =>
    network(x.subarray(i * size, (i + 1) * size)));
  const flat = results.flatMap((y) => (y.mean ? [...y.mean, ...y.logvar] : [...y]));
  writeFileSync(`${name}.outputs`, Float32Array.from(flat));
}
"""


def run_networks(cases: dict, folder: Path) -> dict[str, np.ndarray]:
    """Outputs [inputs, outputs] of each case {name: (spec, weights, inputs [inputs, ...])}.

    The mean of a network with heads comes first, then its log variance.
    """
    told = []
    for name, (spec, weights, inputs) in cases.items():
        (folder / f"{name}.weights").write_bytes(weights)
        (folder / f"{name}.inputs").write_bytes(np.asarray(inputs, "<f4").tobytes())
        told.append({"name": name, "spec": spec, "inputs": len(inputs)})
    (folder / "cases.json").write_text(json.dumps(told))
    run_script(RUN_NETWORKS, folder)
    return {
        name: np.fromfile(folder / f"{name}.outputs", "<f4").reshape(len(inputs), -1)
        for name, (_, _, inputs) in cases.items()
    }


RUN_CALLS = """
import { readFileSync } from "node:fs";
const modules = {};
const told = [];
for (const [module, name, args] of JSON.parse(readFileSync("calls.json"))) {
  modules[module] ??= await import(`./${module}.mjs`);
  const result = modules[module][name](...args);
  told.push(typeof result === "number" ? result : [...result]);
}
console.log(JSON.stringify(told));
"""


def call(calls: list, folder: Path) -> list:
    """The results, numbers or lists, of each call (module, function, arguments)."""
    (folder / "calls.json").write_text(json.dumps(calls))
    return json.loads(run_script(RUN_CALLS, folder))
