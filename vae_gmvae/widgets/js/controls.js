/**
 * What the explorers are made of; planes to draw on and point at are in planes.js. Plain DOM.
 *
 *   const z1 = slider({ label: "z₁", oninput: (value) => ... });   root.append(z1.el);
 *   const image = imageCanvas({ width: 28, height: 28, scale: 6, label: "mean of p(x|z)" });
 *   image.draw(sigmoid(decoder(z)));
 *   const repaint = onFrame(() => { ... });   repaint(); repaint();   // painted once
 *
 * Setting a value from the program never calls oninput or onchange: no echo. `oninput` is every
 * move, `onchange` the end of one (then speak). Canvases take the colours of explorer.css from
 * `ink(element)` and paint anew `onTheme`.
 */

/** The colours of digits and clusters, those of vae_gmvae.plots. */
export const COLOURS = [
  "#2a2898", "#4471bd", "#52dbfa", "#00af82", "#006a0b",
  "#d6cb5c", "#e97200", "#b63a76", "#671e40", "#bd88fe",
];
export const colourOf = (k) => COLOURS[k % COLOURS.length];
/** The colour with so much of its own (explorer.css: less where the page is dark), the rest ink. */
export const inInk = (colour, { own = "var(--vx-own)", ink: rest = "var(--vx-ink)" } = {}) =>
  `color-mix(in srgb, ${colour} ${own}, ${rest})`;

/** Dark or white, whichever reads better on a colour "#rrggbb" (WCAG relative luminance). */
export function textOn(colour) {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const part = parseInt(colour.slice(i, i + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.19 ? "#ffffff" : "#1f2430";
}

// --- text

/** A number with a true minus sign: number(-1.25, 1) is "−1.3"; never "−0.0". */
export function number(value, digits = 1) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) ? `−${text}` : text;
}
/** (0.4, −1.2) */
export const tuple = (values, digits = 1) =>
  `(${Array.from(values, (value) => number(value, digits)).join(", ")})`;
/** Subscript digits: subscript(12) is "₁₂". */
export const subscript = (n) => String(n).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]);

// --- elements

/**
 * An element. Attributes: a function is a listener ({ onclick: f }), true an empty attribute;
 * false, null and undefined leave it out. Children: elements, text, or arrays of them.
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** JupyterLab's command mode would take these keys; the browser still moves the control. */
export function keepKeys(element, taken = /^(Arrow|Home|End|Page)/) {
  element.addEventListener("keydown", (event) => taken.test(event.key) && event.stopPropagation());
  return element;
}

/**
 * A range input with its label and value. `value` is exact, also between two steps and outside
 * the range (the thumb then stands at the nearest place).
 * @returns {{el: HTMLElement, input: HTMLInputElement, value: number}}
 */
export function slider({
  label, min = -3, max = 3, step = 0.1, value = 0, format = number, oninput, onchange,
}) {
  const input = keepKeys(h("input", { type: "range", min, max, step, "aria-label": label }));
  const shown = h("span", { class: "vx-value", "aria-hidden": "true" });
  let exact;
  const hold = (v) => {
    exact = v;
    shown.textContent = format(v);
    input.setAttribute("aria-valuetext", format(v));
  };
  const set = (v) => { input.value = v; hold(v); };
  set(value);
  input.addEventListener("input", () => { hold(Number(input.value)); oninput?.(exact); });
  input.addEventListener("change", () => onchange?.(exact));
  const el = h("label", { class: "vx-slider" }, h("span", { class: "vx-name" }, label), input, shown);
  return { el, input, get value() { return exact; }, set value(v) { set(v); } };
}

/**
 * Sliders for the entries of a vector, z₁ z₂ ... for the symbol "z". get() is the vector as it is
 * now, set(vector) is told a new one; follow() moves the sliders to get(). Returns {els, follow}.
 */
export function vector({ symbol, ranges, get, set, onchange }) {
  const all = ranges.map(([min, max], i) => slider({
    label: symbol + subscript(i + 1), min, max, onchange,
    oninput: (value) => set(Array.from(get(), (old, j) => (j === i ? value : old))),
  }));
  const follow = () => get().forEach((v, i) => { if (all[i].value !== v) all[i].value = v; });
  return { els: all.map(({ el }) => el), follow };
}

/** A walk around a list: each call gives the next entry, and after the last the first again. */
export function around(list) {
  let next = 0;
  return () => list[next++ % list.length];
}

/** @returns {HTMLButtonElement} */
export const button = (label, onclick, attributes = {}) =>
  h("button", { type: "button", class: "vx-button", onclick, ...attributes }, label);

/** A drop-down list of {value: string, text}. @returns {{el, input, value: string}} */
export function select({ label, options, value, onchange }) {
  // letters find an option
  const input = keepKeys(h("select", { "aria-label": label },
    options.map((option) => h("option", { value: option.value }, option.text))), /^(Arrow|Home|End|Page|.$)/);
  if (value !== undefined) input.value = value;
  input.addEventListener("change", () => onchange?.(input.value));
  const el = h("label", { class: "vx-select" }, h("span", { class: "vx-name" }, label), input);
  return { el, input, get value() { return input.value; }, set value(v) { input.value = v; } };
}

/** A check box. @returns {{el, input, value: boolean}} */
export function toggle({ label, value = false, onchange }) {
  const input = h("input", { type: "checkbox" });
  input.checked = value;
  input.addEventListener("change", () => onchange?.(input.checked));
  const el = h("label", { class: "vx-toggle" }, input, h("span", {}, label));
  return { el, input, get value() { return input.checked; }, set value(v) { input.checked = v; } };
}

/** A polite region for screen readers, not seen: say(text) on `change`, never on `input`. */
export function live() {
  const el = h("div", { class: "vx-aloud", "aria-live": "polite" });
  return { el, say(text) { if (el.textContent !== text) el.textContent = text; } };
}

/**
 * Horizontal bars with name and number, a list for those who cannot see them.
 * set(values [N], texts [N] or none): values from 0 to `max`.
 */
export function bars({ labels, max = 1, label, colours = [] }) {
  const rows = labels.map((name, i) => {
    const fill = h("span", { style: `background:${colours[i] ? inInk(colours[i]) : "var(--vx-accent)"}` });
    const value = h("span", { class: "vx-value" });
    const track = h("span", { class: "vx-track", "aria-hidden": "true" }, fill);
    return { fill, value, el: h("li", {}, h("span", { class: "vx-name" }, name), track, value) };
  });
  const el = h("ul", { class: "vx-bars", "aria-label": label, role: "list" }, rows.map((row) => row.el));
  const set = (values, texts) => rows.forEach(({ fill, value }, i) => {
    fill.style.width = `${100 * Math.min(1, Math.max(0, values[i] / max))}%`;
    value.textContent = texts ? texts[i] : number(values[i], 2);
    value.dataset.value = values[i];
  });
  return { el, set };
}

// --- pictures

/**
 * A grey picture of width x height pixels, each `scale` CSS pixels wide.
 * draw(pixels [height * width] in [0, 1]) keeps them at el.pixels.
 */
export function imageCanvas({ width, height, scale = 1, label, ...attributes }) {
  const style = `width:${width * scale}px`;
  const el = h("canvas", { class: "vx-image", width, height, style, role: "img", "aria-label": label,
    ...attributes });
  const context = el.getContext("2d");
  const picture = context.createImageData(width, height);
  const draw = (pixels) => {
    el.pixels = pixels;
    for (let i = 0; i < width * height; i++) {
      // clamped and rounded by the array
      picture.data.fill(255 * pixels[i], 4 * i, 4 * i + 3);
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  };
  return { el, draw };
}

// --- the page

/** The colours of explorer.css as they are now: {ink, quiet, line, paper, accent}, and `own`. */
export function ink(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(`--vx-${name}`).trim() || "#888888";
  const names = ["ink", "quiet", "line", "paper", "accent", "own"];
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}

/** Calls fn after the page has turned dark or light. Returns what stops it. */
export function onTheme(fn) {
  // data-theme in the book, data-jp-theme-light in JupyterLab, theme in Colab
  const watch = new MutationObserver(fn);
  for (const el of [document.documentElement, document.body]) watch.observe(el, { attributes: true });
  return () => watch.disconnect();
}

/** Runs fn once in the next frame, however often it is asked to; .cancel() when it is over. */
export function onFrame(fn) {
  let waiting = 0;
  const schedule = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; fn(); }); };
  schedule.cancel = () => { cancelAnimationFrame(waiting); waiting = 0; };
  return schedule;
}

/**
 * Keeps traits in step with the page. pull[name](value) runs when another view or Python has set
 * the trait; what push(name, value) set does not come back. Returns {push, stop}.
 */
export function synced(model, pull) {
  // float32 on the way
  const near = (a, b) => Math.abs(a - b) <= 1e-6 * (1 + Math.abs(b));
  const same = (a, b) => [a].flat().every((value, i) => near(value, [b].flat()[i]));
  const sent = {};
  const send = onFrame(() => model.save_changes());
  const stops = Object.keys(pull).map((name) => {
    const listener = () => {
      const value = model.get(name);
      if (same(value, sent[name])) return;
      delete sent[name];
      pull[name](value);
    };
    model.on(`change:${name}`, listener);
    return () => model.off(`change:${name}`, listener);
  });
  const push = (name, value) => {
    sent[name] = value;
    model.set(name, value);
    send();
  };
  return { push, stop: () => [send.cancel, ...stops].forEach((stop) => stop()) };
}
