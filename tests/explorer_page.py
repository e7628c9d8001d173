"""A page with explorers and the smallest host that can run them; a browser to open it in.

The page keeps what a kernel would hold: `models` by id, and per explorer `saved`, the traits that
its script sent. `assign(id, name, value)` does what a kernel does when Python sets a trait.
"""

import base64
import contextlib
import json

READY = """document.querySelector('.vx-explorer')
  && [...document.querySelectorAll('.vx-explorer')].every((e) => e.dataset.ready)"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
WIDTHS = 320, 360, 390, 640, 900  # of the page, pixels: from a small phone to a book's column
SPILL = """Math.max(...[...document.querySelectorAll('.vx-explorer')].flatMap((root) => {
  const padding = parseFloat(getComputedStyle(root).paddingRight);
  const end = root.getBoundingClientRect().right - padding;
  const inside = [...root.querySelectorAll('*')];
  return inside.filter((e) => !e.closest('.vx-interval, .vx-step'))
    .map((e) => e.getBoundingClientRect().right - end);
}))"""  # pixels of what is farthest beyond its explorer's column; two parts clip what they hold

PAGE = """<!doctype html><meta charset="utf-8"><title>explorers</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<style>{look}
{css}</style>
<main></main>
<script type="module">
const states = {states};
class Model {{
  saved = {{}};
  dirty = new Set();
  heard = {{}};
  constructor(state) {{ this.state = state; }}
  get(name) {{ return this.state[name]; }}
  set(name, value) {{
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    this.dirty.add(name);
    this.tell(name);
  }}
  tell(name) {{ for (const f of this.heard["change:" + name] ?? []) f(); }}
  save_changes() {{
    for (const name of this.dirty) this.saved[name] = this.state[name];
    this.dirty.clear();
  }}
  on(event, f) {{ (this.heard[event] ??= []).push(f); }}
  off(event, f) {{ this.heard[event] = (this.heard[event] ?? []).filter((g) => g !== f); }}
}}
window.models = {{}};
for (const [id, {{ state, buffers }}] of Object.entries(states)) {{
  for (const [name, text] of Object.entries(buffers))
    state[name] = new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  window.models[id] = new Model(state);
  window.models[id].widget_manager = {{ get_model: async (i) => window.models[i] }};
}}
window.assign = (id, name, value) => {{ models[id].state[name] = value; models[id].tell(name); }};
for (const [id, model] of Object.entries(models)) {{
  if (!("about" in model.state)) continue;
  const url = URL.createObjectURL(new Blob([model.get("_esm")], {{ type: "text/javascript" }}));
  const el = document.querySelector("main").appendChild(document.createElement("div"));
  (await import(url)).default.render({{ model, el }});
}}
</script>"""
# As the book's pages: the column's width, and colours from the theme's variables.
LOOK = """body { margin: 0; background: var(--pst-color-background); }
main { max-width: 760px; margin: 0 auto; padding: 0 8px; box-sizing: border-box; }
:root { --pst-color-background: #fff; --pst-color-text-base: #222832;
  --pst-color-text-muted: #48566b; --pst-color-border: #d1d5da; --pst-color-surface: #f3f4f5;
  --pst-color-primary: #0a7d91; }
@media (prefers-color-scheme: dark) { :root { --pst-color-background: #14181e;
  --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af; --pst-color-border: #48566b;
  --pst-color-surface: #222832; --pst-color-primary: #3fb1c5; } }"""


def write_page(path, *explorers):
    """The page of these explorers as one file."""
    states = {}
    for explorer in explorers:
        for widget in [*explorer.networks.values(), explorer]:
            states[widget.model_id] = _state(widget)
    css = "\n".join(dict.fromkeys(explorer._css for explorer in explorers))
    text = json.dumps(states).replace("</", "<\\/")
    path.write_text(PAGE.format(look=LOOK, css=css, states=text), "utf-8")
    return path


def _state(widget):
    state, buffers = {}, {}
    for name, value in widget.get_state().items():
        if isinstance(value, (bytes, memoryview)):
            buffers[name] = base64.b64encode(value).decode()
        elif name in ("_esm", "about") or not name.startswith(("_", "layout", "tab", "tooltip")):
            state[name] = value
    return {"state": state, "buffers": buffers}


def open_page(browser, path, width=900, scheme="light", **options):
    """The page once everything is painted; `page.complaints` is what its console said."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, **options
    )
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(f"{m.type}: {m.text}"))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(path.as_uri())
    while not page.evaluate(READY):
        assert not page.complaints, page.complaints
        page.wait_for_timeout(20)
    return page


def assert_fits(page):
    """Nothing leaves the page or its explorer's frame, on a screen of any of the WIDTHS."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0, width
        assert page.evaluate(SPILL) < 0.5, width  # of rounding


@contextlib.contextmanager
def opening(browser, explorers, path, settled):
    """opened(name, **options) -> page of the explorer of that name; at the end none has spoken."""
    pages = []

    def opened(name, **options):
        page = open_page(browser, write_page(path, explorers[name]), **options)
        page.evaluate(settled)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert page.complaints == []
        page.context.close()
