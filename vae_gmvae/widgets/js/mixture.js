/** MixtureExplorer: a cluster y, a style w, and where that puts z = mean(w,y) + sd(w,y) ε. */
import { loadNetworks, sigmoid } from "./networks.js";
import {
  around, button, colourOf, h, imageCanvas, ink, live, number, onFrame, onTheme, synced, textOn,
  tuple, vector,
} from "./controls.js";
import { axes, badge, dot, ellipse, plane, spread, target } from "./planes.js";
import { choice, inTurn } from "./tiles.js";

const SHOWN = 12; // samples of the cluster at a time
const WIDE = [-3, 3]; // standard deviations

async function render({ model, el }) {
  const root = h("div", { class: "vx-explorer", "data-explorer": "mixture" }, "Unpacking the networks …");
  el.append(root);
  const { decoder_x, prior_z } = await loadNetworks(model);
  const about = model.get("about");
  const view = {
    model, root, about,
    decode: (z) => sigmoid(decoder_x(Float32Array.from(z))),
    prior: (w) => prior_z ? prior_z(Float32Array.from(w)) : model.get("fixed_prior"),
    k: model.get("k"), w: model.get("w"), z: model.get("z"),
    listeners: [], stops: [],
  };
  let painted = 0;
  view.repaint = onFrame(() => {
    for (const listener of view.listeners) listener();
    root.dataset.painted = painted += 1;
    root.dataset.ready = "1";
  });
  Object.assign(view, gaussians(view), { tell: live() });
  root.replaceChildren(layout(view), view.tell.el);
  view.stops.push(onTheme(view.repaint), view.repaint.cancel);
  view.repaint();
  return () => view.stops.forEach((stop) => stop());
}

export default { render };

/** The state and all that changes it: the cluster, w, z, and ε = (z - mean) / sd. */
function gaussians(view) {
  const { about: { num_clusters: K, z_dim: D } } = view;
  let all = view.prior(view.w);
  const part = (values, k) => Array.from(values.slice(k * D, (k + 1) * D));
  const mean = (k) => part(all.mean, k);
  const sd = (k) => part(all.logvar, k).map((value) => Math.exp(0.5 * value));
  const at = (eps, k = view.k) => {
    const [means, sds] = [mean(k), sd(k)];
    return means.map((value, i) => value + sds[i] * eps[i]);
  };
  const within = (z) => {
    const [means, sds] = [mean(view.k), sd(view.k)];
    return z.map((value, i) => (value - means[i]) / sds[i]);
  };
  let eps = within(view.z);
  const traits = synced(view.model, {
    k: (k) => change({ k }, false), w: (w) => change({ w }, false), z: (z) => change({ z }, false),
  });
  /** Some of {k, w, eps, z}; the others stay, and z follows from k, w and ε. */
  const change = (what, push = true) => {
    if (what.k !== undefined) view.k = what.k;
    if (what.w) { view.w = what.w; all = view.prior(view.w); }
    if (what.z) eps = within(what.z);
    if (what.eps) eps = what.eps;
    view.z = what.z ?? at(eps);
    if (push) for (const name of ["k", "w"]) if (what[name] !== undefined) traits.push(name, what[name]);
    if (push || !what.z) traits.push("z", view.z);
    if (what.k !== undefined || what.w) view.renew?.();
    view.repaint();
  };
  view.stops.push(traits.stop);
  return { K, D, mean, sd, at, change, eps: () => eps };
}

function layout(view) {
  const text = h("p", { class: "vx-sentence" });
  view.listeners.push(() => { text.textContent = sentence(view); });
  const styled = view.w.length > 0;
  const { clusters, samples } = smallPictures(view);
  return h("div", {},
    panel(`The mean of each cluster${styled ? " for this w" : ""}, decoded: choose one`, clusters),
    h("div", { class: "vx-columns vx-mixed" },
      h("div", {}, h("div", { class: "vx-pair" }, styled ? stylePad(view) : noStyle(), decodedImage(view), text),
        styled && styleSliders(view), samples),
      h("div", {}, zPlane(view), within(view))));
}

const panel = (title, ...children) =>
  h("section", { class: "vx-panel" }, h("div", { class: "vx-title" }, title), children);
const note = (...texts) => h("p", { class: "vx-note" }, texts);

function sentence(view) {
  const distance = Math.hypot(...view.eps());
  const where = distance < 0.05 ? "z at its mean" : `z at ‖ε‖ = ${number(distance, 1)}`;
  return `Cluster ${view.k}${view.w.length ? `, w = ${tuple(view.w)}` : ""}, ${where}`;
}

const speak = (view) => view.tell.say(sentence(view));

// --- pictures

function pictureOf({ about }, scale, label, name) {
  const [height, width] = about.image_shape;
  return imageCanvas({ width, height, scale, label, "data-image": name });
}

function decodedImage(view) {
  const image = pictureOf(view, 6, "decoded z, the mean of p(x|z)", "decoded");
  view.listeners.push(() => image.draw(view.decode(view.z)));
  return panel("The mean of p(x|z)", image.el);
}

/** The clusters' means and samples of the chosen one: painted in turn, after what answers first. */
function smallPictures(view) {
  const { K } = view;
  const many = (count, label, name) => Array.from({ length: count }, (_, i) =>
    pictureOf(view, 2, `${label} ${i}`, `${name}-${i}`));
  const [means, samples] = [many(K, "mean of cluster", "mean"), many(SHOWN, "sample", "sample")];
  const noise = view.model.get("noise");
  const batches = around(Array.from({ length: noise.length / SHOWN }, (_, i) => i * SHOWN));
  let first = batches();
  view.sample = (i) => view.at(noise[first + i]);
  view.renew = inTurn(K + SHOWN, (i) => {
    if (i < K) means[i].draw(view.decode(view.mean(i)));
    else samples[i - K].draw(view.decode(view.sample(i - K)));
  }, (left) => { view.root.dataset.waiting = left; });
  view.renew();
  view.stops.push(view.renew.cancel);
  const more = () => { first = batches(); view.renew(); view.repaint(); };
  const chosen = choice({
    label: "cluster", names: means.map((_, k) => `cluster ${k}`), value: view.k,
    content: means.map((image, k) => [image.el, key(k)]),
    onchange: (k) => { view.change({ k }); speak(view); },
  });
  const title = h("span");
  view.listeners.push(() => {
    chosen.value = view.k;
    title.replaceChildren("Samples of cluster ", key(view.k), ", decoded");
  });
  return {
    clusters: chosen.el,
    samples: h("div", { class: "vx-later" }, panel(title,
      h("div", { class: "vx-grid" }, samples.map((image) => image.el)),
      h("div", { class: "vx-row" }, button("Other samples", more)))),
  };
}

const key = (k) => h("span",
  { class: "vx-key", style: `background:${colourOf(k)};color:${textOn(colourOf(k))}` }, String(k));

// --- w

function stylePad(view) {
  if (view.w.length !== 2) return null;
  const pad = plane({
    size: 164, xRange: WIDE, yRange: WIDE, label: "w: arrow keys, or drag, choose the style",
    onpoint: (x, y, how) => {
      if (["press", "drag", "key"].includes(how)) view.change({ w: [x, y] });
      if (how === "drop" || how === "key") speak(view);
    },
  });
  view.listeners.push(() => {
    const colours = ink(view.root);
    pad.point = view.w;
    pad.clear();
    for (const code of view.model.get("w_codes")) dot(pad, code, colours.line, 1.5, null);
    for (const sds of [1, 2]) ellipse(pad, [0, 0], [1, 1], colours.quiet, 0, sds);
    axes(pad, ["w₁", "w₂"], colours, false);
    target(pad, view.w, colours);
  });
  return panel("w: drag it", pad.el);
}

function styleSliders(view) {
  const get = () => view.w;
  const go = (w) => { view.change({ w }); speak(view); };
  const sliders = vector({
    symbol: "w", ranges: view.w.map(() => WIDE), get, set: (w) => view.change({ w }), onchange: () => speak(view),
  });
  view.listeners.push(sliders.follow);
  const sample = around(view.model.get("styles"));
  const moved = view.model.get("movement");
  return h("section", { class: "vx-panel" }, sliders.els,
    h("div", { class: "vx-row" },
      button("Sample w", () => go(sample())), button("w = 0", () => go(view.w.map(() => 0)))),
    note(moved < 0.05 ? "In this run w hardly moves the clusters: it has collapsed."
      : `Over p(w) the clusters’ means move by ${number(moved, 1)} of their standard deviation.`,
    view.w.length === 2 && " Circles: one and two standard deviations of p(w).",
    view.model.get("w_codes").length > 0 && " Dots: w of test images."));
}

const noStyle = () => panel("No w", note("This model has no w: its prior is fixed. ",
  "K Gaussians N(μₖ, I/2), their means 0, 1, −1, 2, −2 … in every dimension."));

// --- z

function zPlane(view) {
  const { axes: [first, second], origin, range, names, share } = view.model.get("plane");
  const sum = (values, term) => values.reduce((total, value, i) => total + term(value, i), 0);
  const project = (z) => [first, second].map((axis) => sum(axis, (a, i) => a * (z[i] - origin[i])));
  const spreads = (k) => [[first, first], [second, second], [first, second]]
    .map(([a, b]) => sum(view.sd(k), (sd, i) => sd * sd * a[i] * b[i]));
  let [places, picking] = [[], false]; // of the clusters' numbers, in pixels
  const at = (x, y) => {
    const [px, py] = map.toCanvas(x, y);
    return places.findIndex(([bx, by]) => Math.max(Math.abs(bx - px), Math.abs(by - py)) < 11);
  };
  const move = (x, y) => {
    const here = project(view.z);
    const [dx, dy] = [x - here[0], y - here[1]];
    view.change({ z: view.z.map((value, i) => value + dx * first[i] + dy * second[i]) });
  };
  const map = plane({
    size: 344, xRange: range[0], yRange: range[1], label: "z: arrow keys, or drag, move z",
    onpoint: (x, y, how) => {
      const hit = how === "press" ? at(x, y) : -1;
      if (how === "press" || how === "key") picking = hit >= 0;
      if (hit >= 0) view.change({ k: hit, eps: view.z.map(() => 0) });
      else if (["press", "drag", "key"].includes(how) && !picking) move(x, y);
      if (how === "drop" || how === "key") speak(view);
    },
  });
  const all = Array.from({ length: view.K }, (_, k) => k);
  view.listeners.push(() => {
    const colours = ink(view.root);
    const middles = all.map((k) => project(view.mean(k)));
    const point = project(view.z);
    map.point = point;
    map.clear();
    for (const code of view.model.get("z_codes")) dot(map, code, colours.line, 1.5, null);
    const front = [...all.filter((k) => k !== view.k), view.k];
    for (const k of front) {
      map.context.lineWidth = k === view.k ? 3 : 1.5;
      const line = `color-mix(in srgb, ${colourOf(k)} 65%, ${colours.ink})`; // seen on dark and light
      ellipse(map, middles[k], spreads(k), line, k === view.k ? 0.25 : 0.05);
    }
    for (let i = 0; i < SHOWN; i++) dot(map, project(view.sample(i)), colourOf(view.k));
    places = spread(middles.map((middle) => map.toCanvas(...middle)), 20, map.toCanvas(...point));
    for (const k of front) badge(map.context, places[k], String(k), colourOf(k), k === view.k ? 19 : 15);
    axes(map, names, colours);
    target(map, point, colours);
  });
  return panel(view.w.length ? "p(z|w,y) of every cluster y" : "p(z|y) of every cluster y", map.el,
    note("Ellipses: two standard deviations. Drag to move z; press a number to choose its cluster. ",
      share < 1 && `The plane of the prior’s two principal components shows ${number(100 * share, 0)} % of its variance. `,
      "Dots: the samples", view.model.get("z_codes").length > 0 && ", grey: codes of test images", "."));
}

function within(view) {
  const speaking = () => speak(view);
  const go = (eps) => { view.change({ eps }); speaking(); };
  const sliders = vector({
    symbol: "ε", ranges: view.z.map(() => WIDE), get: view.eps, set: (eps) => view.change({ eps }), onchange: speaking,
  });
  view.listeners.push(sliders.follow);
  const sample = around(view.model.get("noise"));
  return h("div", { class: "vx-later" }, panel("Within the cluster: z = mean + sd × ε", sliders.els,
    h("div", { class: "vx-row" },
      button("Sample ε", () => go(sample())), button("ε = 0, the mean", () => go(view.z.map(() => 0))))));
}
