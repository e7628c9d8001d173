"""How soon an explorer answers: from an input event to the frame that shows it, in Chromium.

    python benchmarks/explorer_latency.py                       the default explorers and runs
    python benchmarks/explorer_latency.py Mixture:model5:FREY   explorer : model : dataset

The control that costs most is moved: a slider, or a stroke over the pad of an InferenceExplorer.
dragged   by a mouse that the browser moves: from the page hearing of it to the painted frame
painted   set at random moments between two frames (for inference, an example chosen): to the
          painted frame too, and so up to 16.7 ms of waiting for the screen are in it
work      what the explorer computes of that: its listener and its part of the frame
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import chrome  # noqa: E402
import explorer_page  # noqa: E402
import report  # noqa: E402
import tables  # noqa: E402

from vae_gmvae import load_reference, widgets  # noqa: E402
from vae_gmvae.storage import write_json  # noqa: E402

RESULTS = HERE / "results" / "explorer_latency.json"
EVENTS = 120
TIMES = ("work", "dragged", "painted")
CASES = (
    "Latent:model1:MNIST",
    "Latent:model2:MNIST",
    "Latent:model3:MNIST",
    "Mixture:model4_bias:MNIST",
    "Mixture:model5:MNIST",
    "Mixture:model5:FREY",
    "Inference:model4_bias:MNIST",
    "Inference:model5:MNIST",
)
# A frame is painted before the next task that follows its callbacks.
WAIT = """
const frame = () => new Promise((done) => requestAnimationFrame(done));
const task = () => new Promise((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(0);
});
const root = document.querySelector('.vx-explorer');
"""
# Half of the events wait for what the explorer paints in turn; those of a drag do not.
MEASURE = """async ([events, label]) => {
  const slider = [...document.querySelectorAll('input[type=range]')]
    .find((one) => one.getAttribute('aria-label') === label);
  const examples = [...document.querySelectorAll('.vx-examples input')];
  const move = (i) => {
    slider.value = Number(slider.value) + (i % 40 < 20 ? 0.1 : -0.1);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const choose = (i) => examples[(i + 1) % examples.length].click();
  const act = slider ? move : choose;
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  const found = { work: [], painted: [], missed: 0 };
  for (let i = 0; i < events; i++) {
    await later((i % 2 ? 200 : 0) + 16 * Math.random());
    const before = Number(root.dataset.painted);
    let began;
    requestAnimationFrame(() => { began = performance.now(); }); // runs before the explorer's
    const start = performance.now();
    act(i);
    const heard = performance.now();
    await frame();
    const computed = performance.now();
    await task();
    found.painted.push(performance.now() - start);
    found.work.push(heard - start + computed - began);
    if (Number(root.dataset.painted) <= before) found.missed += 1;
  }
  return found;
}"""
# One event at a time: those that come before its frame belong to that frame.
WATCH = """(type) => {
  const found = window.found = { dragged: [], missed: 0 };
  let busy = false;
  window.addEventListener(type, async () => {
    if (busy) return;
    busy = true;
    const start = performance.now(), before = Number(root.dataset.painted);
    await frame();
    await task();
    found.dragged.push(performance.now() - start);
    if (Number(root.dataset.painted) <= before) found.missed += 1;
    busy = false;
  }, true);
}"""


def drag(page, target, event: str, events: int) -> dict:
    """Moves the mouse to and fro over an element, its button down, a step in about two frames."""
    box = target.bounding_box()

    def move(i):
        share = 0.2 + 0.6 * abs((i % 50) - 25) / 25
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_timeout(30)

    move(0)
    page.mouse.down()
    page.evaluate(WATCH, event)
    for i in range(1, events + 1):
        move(i)
    page.mouse.up()
    return page.evaluate("window.found")


def measure(browser, case: str, events: int = EVENTS) -> dict:
    """Medians and 95th percentiles, in ms, of one explorer of one reference run."""
    kind, model_name, dataset_name = case.split(":")
    run = load_reference(model_name, dataset_name)
    explorer = getattr(widgets, f"{kind}Explorer")(run)
    style = "w₁" if run.config.is_gmvae else "ε₁"
    label = {"Latent": "z₁", "Mixture": style}.get(kind)  # Inference chooses images
    with tempfile.TemporaryDirectory() as folder:
        path = explorer_page.write_page(Path(folder) / "page.html", explorer)
        page = explorer_page.open_page(browser, path)
        page.add_script_tag(content=WAIT)
        page.evaluate(MEASURE, [20, label])  # the engine compiles what runs often
        found = page.evaluate(MEASURE, [events, label])
        if label:
            handle, event = page.get_by_role("slider", name=label, exact=True), "input"
        else:
            handle, event = page.locator(".vx-pad"), "pointermove"
        dragged = drag(page, handle, event, events)
        page.context.close()
    network = "convolutional" if run.config.is_convolutional else "dense"
    missed = found.pop("missed") + dragged.pop("missed")
    times = {name: _summary(values) for name, values in (found | dragged).items()}
    script = len(explorer._esm.encode())
    return {"network": network, "missed": missed, "script_bytes": script, **times}


def _summary(times) -> dict:
    cuts = statistics.quantiles(times, n=20)
    return {"median": round(statistics.median(times), 2), "p95": round(cuts[-1], 2)}


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = ["| explorer, median (95th percentile) in ms | network | work | dragged | painted |"]
    lines += ["|---|---|---|---|---|"]
    for case, one in results["cases"].items():
        times = (f"{one[n]['median']:.1f} ({one[n]['p95']:.1f})" for n in TIMES)
        lines.append(f"| {case.replace(':', ' ')} | {one['network']} | {' | '.join(times)} |")
    return "\n".join(lines) + "\n"


def main(arguments=None):
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=CASES, help="explorer:model:dataset")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]  # of other work on the machine
    results = {"machine": report.machine(), "load_before": round(load, 1), "cases": {}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chrome.CHROMIUM, args=chrome.FLAGS)
        results["chromium"] = browser.version
        for case in options.cases:
            results["cases"][case] = measure(browser, case, options.events)
            print(case, results["cases"][case], flush=True)
        browser.close()
    write_json(options.output, results)
    if options.output == RESULTS:
        tables.write(report.README, "explorer latency", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
