/** MixtureExplorer: a cluster y, a style w, and where that puts z = mean(w,y) + sd(w,y) ε. */
import { loadNetworks, sigmoid } from "./networks.js";
import {
  around, button, colourOf, h, imageCanvas, inInk, ink, live, number, onFrame, onTheme, synced,
  textOn, tuple, vector,
} from "./controls.js";
import { axes, badge, dot, ellipse, plane, spread, target } from "./planes.js";
import { choice, inTurn } from "./tiles.js";

// samples of the cluster at a time
const SHOWN = 12;
// standard deviations
const WIDE = [-3, 3];

async function render({ model, el }) {
  const root = h("div", { class: "vx-explorer", "data-explorer": "mixture" }, "Unpacking the networks …");
  el.append(root);
  const { decoder_x, prior_z } = await loadNetworks(model);
  const view = {
    model, root, about: model.get("about"),
    decode: (z) => sigmoid(decoder_x(z)),
    prior: (w) => (prior_z ? prior_z(w) : model.get("fixed_prior")),
    // never changed in place
    k: model.get("k"), w: model.get("w"), z: model.get("z"),
    // what has to follow them
    listeners: [],
    stops: [],
  };
  const aloud = live();
  view.speak = () => aloud.say(sentence(view));
  let painted = 0;
  view.repaint = onFrame(() => {
    for (const listener of view.listeners) listener();
    root.dataset.painted = painted += 1;
    root.dataset.ready = "1";
  });
  gaussians(view);
  root.replaceChildren(layout(view), aloud.el);
  view.stops.push(onTheme(view.repaint), view.repaint.cancel);
  view.repaint();
  return () => view.stops.forEach((stop) => stop());
}

export default { render };

/** Gives the view the clusters' Gaussians, and change(), through which its state changes. */
function gaussians(view) {
  let all = view.prior(view.w);
  const size = view.z.length;
  const part = (name, k) => Array.from(all[name].slice(k * size, (k + 1) * size));
  view.mean = (k) => part("mean", k);
  view.sd = (k) => part("logvar", k).map((value) => Math.exp(0.5 * value));
  const combine = (values, f) => {
    const [means, sds] = [view.mean(view.k), view.sd(view.k)];
    return values.map((value, i) => f(value, means[i], sds[i]));
  };
  view.at = (eps) => combine(eps, (value, mean, sd) => mean + sd * value);
  const within = (z) => combine(z, (value, mean, sd) => (value - mean) / sd);
  view.eps = within(view.z);
  // from Python, which may set several at once
  let came = {};
  const pull = (name) => (value) => {
    if (!Object.keys(came).length) queueMicrotask(() => {
      const what = came;
      came = {};
      view.change(what, false);
    });
    came[name] = value;
  };
  const traits = synced(view.model, { k: pull("k"), w: pull("w"), z: pull("z") });
  /** Some of {k, w, eps, z}; the others stay, but for z, which follows. */
  view.change = (what, here = true) => {
    const { z, ...others } = what;
    Object.assign(view, others);
    if (what.w) all = view.prior(view.w);
    if (z) view.eps = within(z);
    view.z = z ?? view.at(view.eps);
    for (const name of ["k", "w"]) if (here && name in what) traits.push(name, what[name]);
    if (here || !z) traits.push("z", view.z);
    if (what.w || "k" in what) view.renew();
    view.repaint();
  };
  view.stops.push(traits.stop);
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
      h("div", {}, zPlane(view), noise(view))));
}

const panel = (title, ...children) =>
  h("section", { class: "vx-panel" }, h("h3", { class: "vx-title" }, title), children);
const row = (...buttons) => h("div", { class: "vx-row" }, buttons);
const note = (...texts) => h("p", { class: "vx-note" }, texts);

function sentence(view) {
  const distance = Math.hypot(...view.eps);
  const where = distance < 0.05 ? "z at its mean" : `z at ‖ε‖ = ${number(distance, 1)}`;
  return `Cluster ${view.k}${view.w.length ? `, w = ${tuple(view.w)}` : ""}, ${where}`;
}

// --- pictures

function pictureOf({ about }, scale, label, name) {
  const [height, width] = about.image_shape;
  return imageCanvas({ width, height, scale, label, "data-image": name });
}

function decodedImage(view) {
  const image = pictureOf(view, 6, "decoded z, the mean of p(x|z)", "decoded");
  view.listeners.push(() => image.draw(view.decode(view.z)));
  return panel("Mean of p(x|z)", image.el);
}

/** The clusters' means and samples of the chosen one: painted in turn, after what answers first. */
function smallPictures(view) {
  const K = view.about.num_clusters;
  const many = (count, name) => Array.from({ length: count }, (_, i) =>
    pictureOf(view, 2, `${name} ${i}`, `${name}-${i}`));
  const [means, samples] = [many(K, "mean"), many(SHOWN, "sample")];
  const all = [...means, ...samples];
  const eps = view.model.get("noise");
  let first = 0;
  view.sample = (i) => view.at(eps[first + i]);
  view.renew = inTurn(all.length,
    (i) => all[i].draw(view.decode(i < K ? view.mean(i) : view.sample(i - K))),
    (left) => { view.root.dataset.waiting = left; });
  view.renew();
  view.stops.push(view.renew.cancel);
  const more = () => { first = (first + SHOWN) % eps.length; view.renew(); view.repaint(); };
  const chosen = choice({
    label: "cluster", names: means.map((_, k) => `cluster ${k}`), value: view.k,
    content: means.map(({ el }, k) => [el, key(k)]),
    onchange: (k) => { view.change({ k }); view.speak(); },
  });
  const title = h("span");
  view.listeners.push(() => {
    chosen.value = view.k;
    title.textContent = `Samples of cluster ${view.k}, decoded`;
  });
  return {
    clusters: chosen.el,
    samples: h("div", { class: "vx-later" },
      panel(title, h("div", { class: "vx-grid" }, samples.map(({ el }) => el)), row(button("Other samples", more)))),
  };
}

const key = (k) => h("span",
  { class: "vx-key", style: `background:${colourOf(k)};color:${textOn(colourOf(k))}` }, String(k));

// --- w

function stylePad(view) {
  if (view.w.length !== 2) return null;
  const pad = plane({
    size: 164, xRange: WIDE, yRange: WIDE, label: "w: arrow keys, or drag, choose the style",
    onpoint: (x, y) => view.change({ w: [x, y] }), onend: view.speak,
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

/** Sliders for the vector view[name], and buttons that put it at a sample or at 0. */
function handles(view, symbol, name, samples) {
  const get = () => view[name];
  const set = (value) => view.change({ [name]: value });
  const go = (value) => { set(value); view.speak(); };
  const sliders = vector({ symbol, ranges: get().map(() => WIDE), get, set, onchange: view.speak });
  view.listeners.push(sliders.follow);
  const next = around(view.model.get(samples));
  return [sliders.els, row(button(`Sample ${symbol}`, () => go(next())),
    button(`${symbol} = 0`, () => go(get().map(() => 0))))];
}

function styleSliders(view) {
  const moved = view.model.get("movement");
  return h("section", { class: "vx-panel" }, handles(view, "w", "w", "styles"),
    note(moved < 0.05 ? "In this run w hardly moves the clusters: it has collapsed."
      : `Over p(w) the means move by ${number(moved, 1)} of a cluster’s standard deviation.`,
    view.w.length === 2 && " Circles: p(w), one and two standard deviations",
    view.model.get("w_codes").length > 0 && "; dots: test images", view.w.length === 2 && "."));
}

const noStyle = () => panel("No w", note("This model has no w: its prior is K fixed Gaussians, N(μₖ, I/2)."));

// --- z

function zPlane(view) {
  const { axes: lines, centre, range, names, share } = view.model.get("plane");
  const product = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const project = (z) => lines.map((line, i) => product(line, z) - centre[i]);
  const spreads = (k) => [[0, 0], [1, 1], [0, 1]].map(([i, j]) =>
    product(view.sd(k).map((sd) => sd * sd), lines[i].map((value, d) => value * lines[j][d])));
  // of the clusters' numbers, in pixels
  let [places, picking] = [[], false];
  const numberAt = ([px, py]) => places.findIndex(([x, y]) => Math.hypot(x - px, y - py) < 12);
  // within the plane: what is across it stays
  const move = (...to) => {
    const [right, up] = project(view.z).map((from, i) => to[i] - from);
    view.change({ z: view.z.map((value, d) => value + right * lines[0][d] + up * lines[1][d]) });
  };
  const map = plane({
    size: 344, xRange: range[0], yRange: range[1], label: "z: arrow keys, or drag, move z",
    onpoint: (x, y, first) => {
      const k = first ? numberAt(map.toCanvas(x, y)) : -1;
      if (first) picking = k >= 0;
      if (k >= 0) view.change({ k, eps: view.z.map(() => 0) });
      else if (!picking) move(x, y);
    },
    onend: () => { picking = false; view.speak(); },
  });
  const codes = view.model.get("z_codes");
  const all = Array.from({ length: view.about.num_clusters }, (_, k) => k);
  view.listeners.push(() => {
    const colours = ink(view.root);
    const middles = all.map((k) => project(view.mean(k)));
    const front = [...all.filter((k) => k !== view.k), view.k];
    map.point = project(view.z);
    map.clear();
    for (const code of codes) dot(map, code, colours.line, 1.5, null);
    for (const k of front) {
      map.context.lineWidth = k === view.k ? 3 : 1.5;
      // seen on dark and light
      const line = inInk(colourOf(k), { own: "65%", ink: colours.ink });
      ellipse(map, middles[k], spreads(k), line, k === view.k ? 0.25 : 0.05);
    }
    for (let i = 0; i < SHOWN; i++) dot(map, project(view.sample(i)), colourOf(view.k));
    places = spread(middles.map((middle) => map.toCanvas(...middle)), 20, map.toCanvas(...map.point));
    for (const k of front) badge(map.context, places[k], k, colourOf(k), k === view.k ? 19 : 15);
    axes(map, names, colours);
    target(map, map.point, colours);
  });
  return panel(`p(z|${view.w.length ? "w,y" : "y"}) of every cluster y`, map.el,
    note("Drag to move z; press a number to choose its cluster. Ellipses: two standard deviations; ",
      "dots: the samples", codes.length > 0 && ", grey: codes of test images",
      share < 1 && `. The principal components show ${number(100 * share, 0)}\u00a0% of the prior’s variance`, "."));
}

const noise = (view) => h("div", { class: "vx-later" },
  panel("Within the cluster: z = mean + sd × ε", handles(view, "ε", "eps", "noise")));
