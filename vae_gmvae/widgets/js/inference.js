// Draw an image: q(z|x), q(w|x), p(y|w,z), the reconstruction and the ELBO's terms follow.
import { button, h, imageCanvas, live, number, onFrame, select, toggle } from "./controls.js";
import { asMnist, FINE, paint, resize } from "./drawing.js";
import { infer } from "./elbo.js";
import { assignment, captioned, intervals, note, panel, steps, sum } from "./inferred.js";
import { loadNetworks, sigmoid } from "./networks.js";
import { choice } from "./tiles.js";

async function render({ model, el }) {
  const networks = await loadNetworks(model);
  const about = model.get("about"), prior = model.get("prior"), noise = model.get("noise");
  const shape = about.image_shape.slice(0, 2), [H, W] = shape;
  const examples = readExamples(model, H * W);
  const isDigits = model.get("prepare") !== null;

  // What is on the pad, an image [H*W] (null: black) and strokes over it; and what was before.
  let pad = { base: flat(model.get("x")), strokes: [] }, past = [], stroke = null;
  let x = pad.base, found = null, painted = 0;
  const view = build();
  const repaint = onFrame(refresh);

  /** What the pad shows and the model's input; of strokes also how it came about. */
  function prepare() {
    const fine = paint(pad.base, pad.strokes, shape), size = [H * FINE, W * FINE];
    if (!pad.strokes.length) return { fine, x: pad.base ?? new Float32Array(H * W), made: null };
    const plain = resize(fine, size, shape);
    const made = isDigits ? asMnist(fine, size, shape) : null;
    const chosen = made && model.get("prepare") ? made.centred : plain;
    return { fine, x: chosen.map((level) => Math.round(255 * level) / 255), plain, made }; // as files keep it
  }

  /** The noise of the chosen sample; none at the means. */
  function eps() {
    const at = model.get("sample") - 1;
    return Object.fromEntries(Object.entries(noise).map(([name, samples]) =>
      [name, at < 0 ? samples[0].map(() => 0) : samples[at]]));
  }

  function refresh() {
    const prepared = prepare();
    x = prepared.x;
    found = infer(networks, about, prior, x, eps(), model.get("bayes"));
    show(prepared);
    if (!same(flat(model.get("x")), x)) model.set("x", nested(x, shape));
    model.set("results", report(found, model.get("sample")));
    if (!stroke) model.save_changes(); // not at every move of a pen
    view.root.dataset.painted = ++painted;
    view.root.dataset.ready = "1";
  }

  function show({ fine, plain, made }) {
    const { q, z, w, y_prob, x_mean, terms, excess } = found;
    view.pad.draw(fine);
    view.undo.disabled = !past.length;
    view.hint.hidden = Boolean(pad.base || pad.strokes.length);
    view.x.draw(x);
    view.mean.draw(x_mean);
    view.atMean.value = !model.get("sample");
    view.where.textContent = model.get("sample") ? "All values are of one sample of the noise ε, as in training." :
      "All values are at the means of the latents.";
    view.z.set(q.z, z);
    view.w?.set(q.w, w);
    view.y?.set(y_prob, excess, model.get("bayes"));
    view.sum.set(terms);
    view.steps?.set(x, plain, made, model.get("prepare"));
    view.sentence.textContent = sentence();
  }

  function sentence() {
    const { y_prob, terms } = found, n = model.get("sample");
    const best = y_prob?.indexOf(Math.max(...y_prob));
    const cluster = y_prob ? `Cluster ${best} (p = ${y_prob[best].toFixed(2)}). ` : "";
    return `${cluster}ELBO ${number(terms.elbo)} nats ${n ? `at sample ${n}` : "at the means"}.`;
  }

  /** Puts something else on the pad; what was there can be had back. */
  function put(base, strokes) {
    past.push(pad);
    pad = { base, strokes };
    mark();
    repaint();
  }

  /** Marks the example that is on the pad as it is, or none. */
  function mark() {
    const i = pad.strokes.length ? -1 : examples.findIndex((example) => same(example, pad.base));
    view.choice.el.querySelectorAll("input").forEach((input, j) => { input.checked = i === j; });
  }

  /** The end of what the reader does: shown at once, and spoken. */
  function settle() {
    repaint.cancel();
    refresh();
    view.aloud.say(sentence());
  }

  /** What a control does that sets a trait. */
  function set(name) {
    return (value) => { model.set(name, value); settle(); };
  }

  // --- drawing

  function begin(event) {
    if (stroke || event.button) return;
    event.preventDefault();
    view.pad.el.setPointerCapture(event.pointerId);
    stroke = { id: event.pointerId, points: [pointOf(event)], ink: Number(view.ink?.value ?? 1) };
    put(view.over.value || pad.strokes.length ? pad.base : null, [...pad.strokes, stroke]);
  }

  function move(event) {
    if (event.pointerId !== stroke?.id) return;
    const all = event.getCoalescedEvents?.() ?? [];
    stroke.points.push(...(all.length ? all : [event]).map(pointOf));
    repaint();
  }

  function end(event) {
    if (event.pointerId !== stroke?.id) return;
    stroke = null;
    settle();
  }

  /** [x, y] in pixels of the image. */
  function pointOf(event) {
    const { left, top, width, height } = view.pad.el.getBoundingClientRect();
    return [((event.clientX - left) / width) * W, ((event.clientY - top) / height) * H];
  }

  // --- the page

  function build() {
    const v = { aloud: live(), sentence: h("p", { class: "vx-sentence" }) };
    const left = [drawing(v), chooser(v)], right = [seen(v)], below = [];
    if (isDigits) left.push((v.steps = steps(shape, { value: true, onchange: set("prepare") })).el);
    const clusters = clusterMeans();
    if (clusters.length) right.push(clustered(v, clusters));
    if (networks.encoder_w) {
      v.w = intervals("q(w|x)", "w", about.w_dim);
      (isDigits ? right : left).push(v.w.el);
    }
    v.z = intervals("q(z|x)", "z", about.z_dim);
    v.sum = sum(networks.prior_z ? ["conditional_prior", "w_prior", "y_prior"] : ["z_prior"], prior, about);
    if (clusters.length) below.push(v.z.el, v.sum.el);
    else right.push(v.sum.el, v.z.el);
    v.root = h("div", { class: "vx-explorer", "data-explorer": "inference" }, h("div", { class: "vx-parts" },
      h("div", { class: "vx-draw" }, h("div", {}, left), h("div", {}, right)),
      below.length > 0 && h("div", { class: "vx-columns" }, below.map((part) => h("div", {}, part)))), v.aloud.el);
    return v;
  }

  function drawing(v) {
    v.pad = imageCanvas({ width: W * FINE, height: H * FINE, scale: 264 / (H * FINE), "data-image": "pad",
      label: "drawing pad; the examples below can be chosen by keyboard" });
    v.pad.el.classList.add("vx-pad");
    const listeners = { pointerdown: begin, pointermove: move, pointerup: end, pointercancel: end };
    Object.entries(listeners).forEach((pair) => v.pad.el.addEventListener(...pair));
    v.hint = h("span", { class: "vx-pad-hint", hidden: true }, "draw here");
    const clear = button("Clear", () => { v.hint.hidden && put(null, []); settle(); });
    v.undo = button("Undo", () => { pad = past.pop(); mark(); settle(); v.undo.disabled && clear.focus(); });
    v.over = toggle({ label: "draw over the image", value: !isDigits });
    const inks = [{ value: "1", text: "light" }, { value: "0", text: "dark" }];
    if (!isDigits) v.ink = select({ label: "ink", value: "1", options: inks });
    return panel(isDigits ? "Draw a digit" : "Draw on an image",
      h("div", { class: "vx-pad-frame" }, v.pad.el, v.hint),
      h("div", { class: "vx-row" }, clear, v.undo, v.ink?.el, v.over.el));
  }

  function chooser(v) {
    const content = examples.map((pixels) => {
      const image = imageCanvas({ width: W, height: H, label: "", "aria-hidden": "true" });
      image.draw(pixels);
      return image.el;
    });
    v.choice = choice({ label: "examples", names: model.get("example_names"), content,
      onchange: (i) => { put(examples[i], []); settle(); } });
    v.choice.el.classList.add("vx-examples");
    return panel("or choose an image", v.choice.el);
  }

  function seen(v) {
    const picture = (label, name) => imageCanvas({ width: W, height: H, scale: 140 / H, label, "data-image": name });
    v.x = picture("the model's input x", "x");
    v.mean = picture("reconstruction: the mean of p(x|z)", "decoded");
    const next = button("Next sample", () => set("sample")((model.get("sample") % noise.z.length) + 1));
    v.atMean = toggle({ label: "at the means (ε = 0)", onchange: (on) => set("sample")(on ? 0 : 1) });
    return h("section", { class: "vx-panel" }, v.sentence,
      h("div", { class: "vx-beside" }, captioned(v.x.el, "x, as the model sees it"), captioned(v.mean.el, "reconstruction")),
      h("div", { class: "vx-row" }, next, v.atMean.el),
      (v.where = note()));
  }

  function clustered(v, means) {
    const own = networks.classifier_y && { onchange: set("bayes"), hasCost: prior.y_prior === "forward" };
    const title = networks.prior_z ? "p(y|w,z)" : "p(y|z)";
    v.y = assignment(own ? title : `${title}, by Bayes’ rule`, means, shape, own);
    return v.y.el;
  }

  /** What is decoded at each cluster's mean (at w = 0), K images; none without clusters. */
  function clusterMeans() {
    const D = about.z_dim, w = new Float32Array(about.w_dim ?? 0);
    const means = networks.prior_z ? networks.prior_z(w).mean : prior.means?.flat() ?? [];
    return Array.from({ length: means.length / D }, (_, k) =>
      sigmoid(networks.decoder_x(means.slice(k * D, (k + 1) * D))));
  }

  // --- what Python sets

  function onX() {
    const given = flat(model.get("x"));
    if (!same(given, x)) put(given, []);
  }
  const heard = { "change:x": onX, "change:sample": repaint, "change:bayes": repaint, "change:prepare": repaint };
  Object.entries(heard).forEach((pair) => model.on(...pair));
  mark();
  el.append(view.root);
  repaint();
  return () => {
    repaint.cancel();
    Object.entries(heard).forEach((pair) => model.off(...pair));
  };
}

const flat = (image) => Float32Array.from(image.flat(2));
const same = (a, b) => Boolean(a && b) && a.every((level, i) => Math.abs(level - b[i]) < 1e-6);
const nested = (x, [H, W]) =>
  Array.from({ length: H }, (_, r) => Array.from({ length: W }, (_, c) => [x[r * W + c]]));

/** The stored images, [N] of Float32Array [H*W] in [0, 1]. */
function readExamples(model, size) {
  const { buffer, byteOffset, byteLength } = model.get("examples");
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return Array.from({ length: byteLength / size }, (_, i) =>
    Float32Array.from(bytes.subarray(i * size, (i + 1) * size), (level) => level / 255));
}

/** What Python may read: the numbers on the page. */
function report({ q, z, w, y_prob, terms }, sample) {
  const lists = { z, z_mean: q.z.mean, z_logvar: q.z.logvar, w, w_mean: q.w?.mean, w_logvar: q.w?.logvar, y_prob };
  const told = Object.entries(lists).map(([name, values]) => [name, values ? Array.from(values) : null]);
  return { sample, terms, ...Object.fromEntries(told) };
}

export default { render };
