/** LatentExplorer: z by sliders, on a map, and along the line between two images. */
import { loadNetworks, sigmoid } from "./networks.js";
import {
  around, button, colourOf, h, imageCanvas, live, number, onFrame, onTheme, slider, synced, tuple, vector,
} from "./controls.js";
import { axes, badge, dot, ellipse, plane, spread, target } from "./planes.js";
import { choice, inTurn } from "./tiles.js";

// pictures along the line
const STEPS = 9;

async function render({ model, el }) {
  const root = h("div", { class: "vx-explorer", "data-explorer": "latent" }, "Unpacking the network …");
  el.append(root);
  const { decoder_x } = await loadNetworks(model);
  const view = {
    model, root,
    about: model.get("about"),
    decode: (z) => sigmoid(decoder_x(z)),
    // never changed in place
    z: model.get("z"),
    // what the pointer is over, while it hovers on the map
    shown: null,
    // how z came to be, in words
    origin: "",
    // what has to follow z
    listeners: [],
    stops: [],
  };
  const aloud = live();
  let painted = 0;
  const repaint = onFrame(() => {
    for (const listener of view.listeners) listener(view.shown ?? view.z);
    root.dataset.painted = painted += 1;
    root.dataset.ready = "1";
  });
  const traits = synced(model, { z: (z) => { view.move(z, "set in Python", false); } });
  view.repaint = repaint;
  view.move = (z, origin, push = true) => {
    Object.assign(view, { z, origin, shown: null });
    if (push) traits.push("z", z);
    repaint();
  };
  view.hover = (z) => { view.shown = z; repaint(); };
  view.speak = () => aloud.say(sentence(view));

  const flat = view.about.z_dim === 2;
  const picture = [decoded(view), starts(view)];
  const sliders = panel("z, a slider for each dimension", sliderList(view));
  root.replaceChildren(
    h("div", { class: "vx-columns" },
      flat ? h("div", {}, latentMap(view)) : h("div", {}, picture),
      h("div", {}, flat && picture, sliders)),
    line(view), aloud.el);
  view.stops.push(onTheme(repaint), traits.stop, repaint.cancel);
  repaint();
  return () => view.stops.forEach((stop) => stop());
}

export default { render };

const panel = (title, ...children) =>
  h("section", { class: "vx-panel" }, h("h3", { class: "vx-title" }, title), children);

// --- the picture

function pictureOf({ about }, scale, label, name) {
  const [height, width] = about.image_shape;
  return imageCanvas({ width, height, scale, label, "data-image": name });
}

function decoded(view) {
  const image = pictureOf(view, view.about.z_dim === 2 ? 9 : 10,
    "decoded image, the mean of p(x|z)", "decoded");
  const text = h("p", { class: "vx-sentence" });
  view.listeners.push((z) => {
    image.draw(view.decode(z));
    text.textContent = sentence(view);
  });
  return panel("The mean of p(x|z)", image.el, text);
}

function sentence({ z, shown, origin, about }) {
  const point = shown ?? z;
  const what = point.length <= 3 ? `z = ${tuple(point, 2)}` : `‖z‖ = ${number(Math.hypot(...point), 1)}`;
  const how = shown ? ": under the pointer, click to keep it" : origin && `: ${origin}`;
  const distance = `. Samples of p(z) have ‖z‖ near ${number(Math.sqrt(point.length), 1)}.`;
  const standard = ["model1", "model2"].includes(about.model_name) && point.length > 3;
  return `${what}${how}${standard ? distance : ""}`;
}

function starts(view) {
  const samples = view.model.get("samples");
  // the same walk at each visit
  const next = around([...samples.keys()]);
  const go = (z, origin) => { view.move(z, origin); view.speak(); };
  const sample = (i) => go(samples[i], `sample ${i + 1} of the prior`);
  return h("div", { class: "vx-row vx-starts" },
    button("Sample z from the prior", () => sample(next())),
    button("Reset: z = 0", () => go(view.z.map(() => 0), "")));
}

function sliderList(view) {
  let z = view.z;
  const sliders = vector({
    symbol: "z", ranges: view.model.get("ranges"), onchange: view.speak,
    get: () => z, set: (values) => view.move(values, ""),
  });
  view.listeners.push((shown) => { z = shown; sliders.follow(); });
  return sliders.els;
}

// --- the map

const ON_BLACK = { ink: "#ffffff", quiet: "#e5e7eb", line: "#6b7280", paper: "#000000" };

function latentMap(view) {
  const [range] = view.model.get("ranges");
  const [codes, labels] = [view.model.get("codes"), view.model.get("labels")];
  const map = plane({
    size: 344, xRange: range, yRange: range, label: "map of z: arrow keys, or drag, choose z",
    onpoint: (x, y) => view.move([x, y], "chosen on the map"), onend: view.speak,
    onhover: (...point) => view.hover(point.length ? point : null),
  });
  const behind = decodedGrid(view, map);
  const names = digitNames(codes, labels);
  view.listeners.push((z) => {
    const { context, size } = map;
    map.point = view.z;
    map.clear();
    context.fillStyle = "#000000";
    context.fillRect(0, 0, size, size);
    context.globalAlpha = codes.length ? 0.5 : 0.9;
    context.drawImage(behind, 0, 0, size, size);
    context.globalAlpha = 1;
    codes.forEach((code, i) => dot(map, code, labels.length ? colourOf(labels[i]) : "#e97200"));
    context.setLineDash([3, 4]);
    for (const [x, y, variance] of view.model.get("components")) {
      context.lineWidth = 0.8;
      ellipse(map, [x, y], [variance, variance], "#ffffff", 0);
    }
    context.setLineDash([]);
    const places = spread(names.map(({ middle }) => map.toCanvas(...middle)), 19);
    names.forEach(({ label }, i) => badge(context, places[i], label, colourOf(label), 17, true));
    axes(map, ["z₁", "z₂"], ON_BLACK);
    target(map, view.z, ON_BLACK);
    if (view.shown) target(map, z, ON_BLACK, 0.6);
  });
  return panel("Map of z: drag, or hover to look", map.el, h("p", { class: "vx-note" },
    "Behind: what is decoded there.",
    codes.length > 0 && ` Dots: codes of ${codes.length} test images${labels.length ? ", the digits’ names at their medians" : ""}.`,
    " Dashed: two standard deviations of the prior."));
}

/** The digits and the medians of their codes, [{label, middle}]. */
function digitNames(codes, labels) {
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  return [...new Set(labels)].sort((a, b) => a - b).map((label) => {
    const own = codes.filter((_, i) => labels[i] === label);
    return { label: String(label), middle: [0, 1].map((i) => median(own.map((code) => code[i]))) };
  });
}

/** A canvas with what is decoded over the plane, filled little by little. */
function decodedGrid(view, map, rows = 14) {
  const [height, width] = view.about.image_shape;
  const columns = Math.round((rows * height) / width);
  const canvas = h("canvas", { width: columns * width, height: rows * height });
  const image = pictureOf(view, 1, "");
  const context = canvas.getContext("2d");
  const fill = inTurn(rows * columns, (cell) => {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const place = [((column + 0.5) * map.size) / columns, ((row + 0.5) * map.size) / rows];
    image.draw(view.decode(map.fromCanvas(...place)));
    context.drawImage(image.el, column * width, row * height);
  }, view.repaint);
  fill();
  view.stops.push(fill.cancel);
  return canvas;
}

// --- the line

function line(view) {
  const ends = view.model.get("ends");
  const state = { from: 0, to: ends.length >> 1 };
  const at = (t) => ends[state.from].z.map((a, i) => (1 - t) * a + t * ends[state.to].z[i]);
  const places = Array.from({ length: STEPS }, (_, i) => i / (STEPS - 1));
  const strip = places.map((t) => pictureOf(view, 3, `decoded at t = ${number(t, 2)}`, "line"));
  const fill = inTurn(STEPS, (i) => strip[i].draw(view.decode(at(places[i]))));
  const name = (end) => `${view.model.get("end_images").byteLength ? "the code of " : ""}${ends[state[end]].name}`;
  const origin = (t) => (t === 0 ? name("from") : t === 1 ? name("to") : `on the line, t = ${number(t, 2)}`);
  // z as it was put on the line; another z is not on it
  let on = null;
  const go = (t) => view.move(on = at(t), origin(t));
  const t = slider({ label: "t", min: 0, max: 1, step: 0.02, format: (v) => number(v, 2), oninput: go, onchange: view.speak });
  const choose = (end) => h("div", { class: "vx-end" }, h("span", { class: "vx-name" }, end), choice({
    label: `${end} which image`, names: ends.map((one) => one.name), value: state[end], content: thumbnails(view, ends),
    onchange: (i) => { state[end] = i; fill(); go(t.value); view.speak(); },
  }).el);
  fill();
  view.stops.push(fill.cancel);
  if (view.z.every((value, i) => Math.abs(value - ends[0].z[i]) < 1e-3)) { on = view.z; view.origin = origin(0); }
  view.listeners.push(() => strip.forEach(({ el }, i) => {
    el.classList.toggle("vx-here", view.z === on && Math.round(t.value * (STEPS - 1)) === i);
  }));
  return panel("A straight line in z: (1 − t) × from + t × to", choose("from"), choose("to"),
    h("div", { class: "vx-strip" }, strip.map((image) => image.el)), t.el);
}

/** The images themselves, or where there are none what their codes decode to. */
function thumbnails(view, ends) {
  const [height, width] = view.about.image_shape;
  const stored = view.model.get("end_images");
  const bytes = new Uint8Array(stored.buffer ?? stored, stored.byteOffset, stored.byteLength);
  const images = ends.map(({ name }) => pictureOf(view, 1, name));
  const fill = inTurn(ends.length, (i) => images[i].draw(bytes.length
    ? Float32Array.from(bytes.subarray(i * height * width, (i + 1) * height * width), (byte) => byte / 255)
    : view.decode(ends[i].z)));
  fill();
  view.stops.push(fill.cancel);
  return images.map((image) => image.el);
}
