// Draw an image: q(z|x), q(w|x), p(y|w,z), the reconstruction and the ELBO's terms follow.
import {
  bars, button, colourOf, h, imageCanvas, live, number, onFrame, select, subscript, textOn, toggle,
} from "./controls.js";
import { asMnist, centreOfMass, FINE, paint, resize } from "./drawing.js";
import { infer } from "./elbo.js";
import { loadNetworks, sigmoid } from "./networks.js";
import { choice } from "./tiles.js";

const FORMULAS = {
  reconstruction: "log p(x|z)",
  z_prior: "KL(q(z|x) ‖ p(z))",
  conditional_prior: "log q(z|x) − E log p(z|w,y)",
  w_prior: "KL(q(w|x) ‖ p(w))",
  y_prior: "KL(p(y|w,z) ‖ p(y))",
  elbo: "≤ log p(x)",
};

async function render({ model, el }) {
  const networks = await loadNetworks(model);
  const about = model.get("about"), prior = model.get("prior"), noise = model.get("noise");
  const [H, W] = about.image_shape;
  const clusters = networks.prior_z || prior.means ? about.num_clusters : 0;
  const examples = readExamples(model, H * W);
  const isDigits = model.get("prepare") !== null;

  // --- what is on the pad: an image [H*W] or null, strokes over it, and what was there before
  let pad = { base: flat(model.get("x")), strokes: [] };
  let past = [], x = pad.base, painted = 0, found = null, drawing = false;

  const view = build();
  const repaint = onFrame(refresh);

  function change(next, remember = true) {
    if (remember) past.push(pad);
    pad = next;
    repaint();
  }

  /** The model's input, and the pictures of how it came about. */
  function prepare() {
    if (!pad.strokes.length) return { x: pad.base ?? new Float32Array(H * W), steps: null };
    const fine = paint(pad.base, pad.strokes, [H, W]), size = [H * FINE, W * FINE];
    const plain = resize(fine, size, [H, W]);
    const steps = isDigits ? asMnist(fine, size, [H, W]) : null;
    const chosen = steps && model.get("prepare") ? steps.centred : plain;
    return { x: chosen.map((level) => Math.round(255 * level) / 255), plain, steps }; // as files keep it
  }

  function refresh() {
    const prepared = prepare();
    x = prepared.x;
    const at = model.get("sample") - 1;
    const zeros = (dim) => new Array(dim ?? 0).fill(0);
    const eps = at < 0 ? { z: zeros(about.z_dim), w: zeros(about.w_dim) } : { z: noise.z[at], w: noise.w?.[at] };
    found = infer(networks, about, prior, x, eps, model.get("bayes"));
    show(prepared);
    if (!same(flat(model.get("x")), x)) model.set("x", nested(x, H, W));
    model.set("results", report(found, model.get("sample")));
    if (!drawing) model.save_changes();
    view.root.dataset.painted = ++painted;
    view.root.dataset.ready = "1";
  }

  function show({ plain, steps }) {
    view.pad.draw(paint(pad.base, pad.strokes, [H, W]));
    view.undo.disabled = !past.length;
    view.hint.hidden = Boolean(pad.base || pad.strokes.length);
    view.x.draw(x);
    view.mean.draw(found.x_mean);
    view.spreadZ.set(found.q.z, found.z);
    view.spreadW?.set(found.q.w, found.w);
    if (view.y) view.y.set(found.y_prob, Array.from(found.y_prob, (p) => p.toFixed(2)));
    if (view.excess) view.excess.textContent = excessText();
    view.terms.set(found.terms);
    view.steps?.set(plain, steps);
    view.sentence.textContent = sentence();
  }

  function excessText() {
    if (model.get("bayes")) return "The exact posterior: nothing else gives this image a higher ELBO.";
    const cost = number(found.excess, Math.abs(found.excess) < 0.1 ? 4 : 2);
    return `KL(network ‖ Bayes’ rule) = ${cost} nats: what the network’s answer costs the ELBO.`;
  }

  function sentence() {
    const best = found.y_prob?.indexOf(Math.max(...found.y_prob));
    const cluster = clusters ? `Cluster ${best} (p = ${found.y_prob[best].toFixed(2)}). ` : "";
    const n = model.get("sample");
    return `${cluster}ELBO ${number(found.terms.elbo)} nats ${n ? `at sample ${n}` : "at the means"}.`;
  }

  /** The end of a change by the reader: tell the kernel, and those who listen. */
  function settle() {
    repaint.cancel();
    refresh();
    view.aloud.say(sentence());
  }

  // --- the page

  function build() {
    const v = { aloud: live(), sentence: h("p", { class: "vx-sentence" }) };
    const left = [drawable(v), chooser(v), isDigits && steps(v)];
    const right = [seen(v), clusters > 0 && assignment(v)], below = [];
    const z = spread(v, "q(z|x)", "z", about.z_dim), terms = sum(v);
    if (networks.encoder_w) (isDigits ? right : left).push(spread(v, "q(w|x)", "w", about.w_dim));
    if (clusters) below.push([z], [terms]);
    else right.push(terms, z);
    const columns = (name, parts) => parts.length > 0 &&
      h("div", { class: name }, parts.map((part) => h("div", {}, part)));
    v.root = h("div", { class: "vx-explorer", "data-explorer": "inference" },
      h("div", { class: "vx-parts" }, columns("vx-draw", [left, right]), columns("vx-columns", below)),
      v.aloud.el);
    return v;
  }

  function drawable(v) {
    const label = "drawing pad; examples below can be chosen by keyboard";
    v.pad = imageCanvas({ width: W * FINE, height: H * FINE, scale: 264 / (H * FINE), label, "data-image": "pad" });
    v.pad.el.classList.add("vx-pad");
    v.hint = h("span", { class: "vx-pad-hint", hidden: true }, "draw here");
    v.undo = button("Undo", () => { change(past.pop(), false); mark(); settle(); });
    const clear = button("Clear", () => { change({ base: null, strokes: [] }); mark(); settle(); });
    v.onTop = toggle({ label: "draw over the image", value: !isDigits });
    v.ink = !isDigits && select({ label: "ink", value: "1", options: [{ value: "1", text: "light" }, { value: "0", text: "dark" }] });
    listen(v.pad.el, v);
    return h("section", { class: "vx-panel" },
      h("h4", { class: "vx-title" }, isDigits ? "Draw a digit" : "Choose an image, draw on it"),
      h("div", { class: "vx-pad-frame" }, v.pad.el, v.hint),
      h("div", { class: "vx-row" }, clear, v.undo, v.ink?.el, v.onTop.el));
  }

  function listen(canvas, v) {
    let stroke = null;
    const point = (event) => {
      const r = canvas.getBoundingClientRect();
      return [((event.clientX - r.left) / r.width) * W, ((event.clientY - r.top) / r.height) * H];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (stroke || event.button) return;
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
      stroke = { id: event.pointerId, points: [point(event)], ink: v.ink ? Number(v.ink.value) : 1 };
      drawing = true;
      const keep = v.onTop.value || pad.strokes.length;
      change({ base: keep ? pad.base : null, strokes: [...pad.strokes, stroke] });
      mark();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== stroke?.id) return;
      const all = event.getCoalescedEvents?.() ?? [];
      stroke.points.push(...(all.length ? all : [event]).map(point));
      repaint();
    });
    const end = (event) => {
      if (event.pointerId !== stroke?.id) return;
      stroke = null;
      drawing = false;
      settle();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  }

  function chooser(v) {
    const content = examples.map((pixels) => {
      const image = imageCanvas({ width: W, height: H, label: "", "aria-hidden": "true" });
      image.draw(pixels);
      return image.el;
    });
    v.choice = choice({
      label: "examples", names: model.get("example_names"), content,
      onchange: (i) => { change({ base: examples[i], strokes: [] }); settle(); },
    });
    v.choice.el.classList.add("vx-examples");
    queueMicrotask(mark);
    return h("section", { class: "vx-panel" },
      h("h4", { class: "vx-title" }, "or choose a test image"), v.choice.el);
  }

  /** Marks the example that is on the pad as it is, or none. */
  function mark() {
    const i = pad.strokes.length ? -1 : examples.findIndex((e) => same(e, pad.base));
    view.choice.el.querySelectorAll("input").forEach((input, j) => { input.checked = i === j; });
  }

  function seen(v) {
    const scale = H > 28 ? 140 / H : 5;
    v.x = imageCanvas({ width: W, height: H, scale, label: "the model's input x", "data-image": "x" });
    v.mean = imageCanvas({ width: W, height: H, scale, label: "reconstruction, the mean of p(x|z)", "data-image": "decoded" });
    const n = button("Next sample", () => {
      model.set("sample", (model.get("sample") % noise.z.length) + 1);
      v.still.value = false;
      settle();
    });
    v.still = toggle({ label: "at the mean (ε = 0)", value: !model.get("sample"), onchange: (on) => {
      model.set("sample", on ? 0 : 1);
      settle();
    } });
    return h("section", { class: "vx-panel" }, v.sentence,
      h("div", { class: "vx-beside" },
        figure(v.x.el, "x, as the model sees it"), figure(v.mean.el, "mean of p(x|z)")),
      h("div", { class: "vx-row" }, n, v.still.el),
      h("p", { class: "vx-note" }, "All values are of one sample of the noise ε, as in training."));
  }

  function assignment(v) {
    const labels = clusterMeans().map((pixels, k) => {
      const image = imageCanvas({ width: W, height: H, scale: 22 / H, label: `what cluster ${k} draws` });
      image.draw(pixels);
      const key = `background:${colourOf(k)};color:${textOn(colourOf(k))}`;
      return h("span", { class: "vx-cluster" }, h("span", { class: "vx-key", style: key }, String(k)), image.el);
    });
    v.y = bars({ labels, label: "p(y|w,z) by cluster", colours: labels.map((_, k) => colourOf(k)) });
    const own = Boolean(networks.classifier_y);
    if (own) {
      v.bayes = toggle({ label: "by Bayes’ rule", value: model.get("bayes"), onchange: (on) => {
        model.set("bayes", on);
        settle();
      } });
      v.excess = prior.y_prior === "forward" && h("p", { class: "vx-note" });
    }
    const title = networks.prior_z ? "p(y|w,z)" : "p(y|z)";
    return h("section", { class: "vx-panel" },
      h("div", { class: "vx-row vx-apart" },
        h("h4", { class: "vx-title" }, own ? title : `${title}, by Bayes’ rule`), v.bayes?.el),
      v.y.el, v.excess);
  }

  /** The means of p(x|z) at each cluster's mean (at w = 0), K images. */
  function clusterMeans() {
    const D = about.z_dim;
    const means = networks.prior_z ? networks.prior_z(new Float32Array(about.w_dim)).mean : prior.means.flat();
    return Array.from({ length: clusters }, (_, k) => sigmoid(networks.decoder_x(means.slice(k * D, (k + 1) * D))));
  }

  function sum(v) {
    v.terms = { rows: {}, set(values) {
      for (const [name, value] of Object.entries(values)) {
        const { output } = this.rows[name];
        output.textContent = number(value, 2);
        output.dataset.value = value;
      }
    } };
    const gmvae = networks.prior_z ? ["conditional_prior", "w_prior", "y_prior"] : ["z_prior"];
    const rows = ["reconstruction", ...gmvae, "elbo"].map((name, i, all) => {
      const output = h("output", { "data-term": name });
      v.terms.rows[name] = { output };
      const sign = i === 0 ? "" : i === all.length - 1 ? "=" : "−";
      return h("tr", { class: name === "elbo" && "vx-total" }, h("td", {}, sign),
        h("th", { scope: "row" }, h("code", {}, name)), h("td", { class: "vx-note" }, FORMULAS[name]),
        h("td", { class: "vx-value" }, output));
    });
    return h("section", { class: "vx-panel vx-sum" }, h("h4", { class: "vx-title" }, "The ELBO of this image, in nats"),
      h("table", { class: "vx-terms" }, h("tbody", {}, rows)));
  }

  function spread(v, name, variable, dim) {
    const list = (v[`spread${variable.toUpperCase()}`] = intervals(name, variable, dim));
    return h("section", { class: `vx-panel vx-of-${variable}` },
      h("h4", { class: "vx-title" }, `${name}: mean ± 1 sd, ● sample`), list.el);
  }

  function steps(v) {
    const names = ["your strokes", "fitted into 20×20", "centred by mass"];
    const parts = names.map((name, i) => {
      const image = imageCanvas({ width: W, height: H, scale: 3, label: name, "data-image": `step-${i + 1}` });
      const box = h("span", { class: "vx-box" }), mass = h("span", { class: "vx-mass" });
      return { image, box, mass, el: figure(h("div", { class: "vx-step" }, image.el, box, mass), name) };
    });
    const on = toggle({ label: "prepare strokes as MNIST’s", value: model.get("prepare"), onchange: (value) => {
      model.set("prepare", value);
      settle();
    } });
    const note = h("p", { class: "vx-note" });
    const place = (element, [top, left, height, width]) => Object.entries({ top: top / H, left: left / W, height: height / H, width: width / W })
      .forEach(([side, share]) => { element.style[side] = `${100 * share}%`; });
    v.prepare = on;
    v.steps = { set(plain, found) {
      const images = found ? [plain, found.fitted, found.centred] : [x, x, x];
      parts.forEach(({ image, box, mass, el }, i) => {
        image.draw(images[i]);
        el.classList.toggle("vx-off", i > 0 && !model.get("prepare"));
        box.hidden = mass.hidden = !found;
        if (!found) return;
        const [y, c] = centreOfMass(images[i], W), moved = i === 2 ? found : { down: 0, right: 0 };
        place(mass, [y + 0.5, c + 0.5, 0, 0]);
        const { top, left, rows, columns } = found.ink;
        const fine = [top, left, rows, columns].map((side) => side / FINE);
        place(box, i ? [(H - 20) / 2 + moved.down, (W - 20) / 2 + moved.right, 20, 20] : fine);
      });
      note.textContent = !found ? "MNIST’s authors prepared every image so: the model has seen no others." :
        model.get("prepare") ? "The cross is the centre of mass. The model sees the last picture." :
          "Switched off: the model sees the first picture.";
    } };
    return h("section", { class: "vx-panel vx-steps" }, h("h4", { class: "vx-title" }, "From strokes to x"),
      h("div", { class: "vx-row" }, parts.map((part) => part.el)), on.el, note);
  }

  // --- what Python changes

  const onX = () => {
    const given = flat(model.get("x"));
    if (same(given, x)) return;
    change({ base: given, strokes: [] });
    mark();
  };
  const onOption = () => {
    view.still.value = !model.get("sample");
    if (view.bayes) view.bayes.value = model.get("bayes");
    if (view.prepare) view.prepare.value = model.get("prepare");
    repaint();
  };
  model.on("change:x", onX);
  const options = ["sample", "bayes", "prepare"];
  options.forEach((name) => model.on(`change:${name}`, onOption));
  el.append(view.root);
  repaint();
  return () => {
    repaint.cancel();
    model.off("change:x", onX);
    options.forEach((name) => model.off(`change:${name}`, onOption));
  };
}

/** Rows of mean ± sd with the sample as a diamond, on an axis that fits. */
function intervals(name, variable, dim) {
  const rows = Array.from({ length: dim }, (_, i) => {
    const [bar, mean, sample] = ["vx-sd", "vx-mean", "vx-sample"].map((c) => h("span", { class: c }));
    const value = h("span", { class: "vx-value" });
    const track = h("span", { class: "vx-track vx-interval", "aria-hidden": "true" }, bar, mean, sample);
    return { bar, mean, sample, value, el: h("li", {}, h("span", { class: "vx-name" }, variable + subscript(i + 1)), track, value) };
  });
  const axis = h("li", { class: "vx-axis", "aria-hidden": "true" });
  const list = h("ul", { class: "vx-bars vx-spreads", role: "list", "aria-label": `${name}, mean and standard deviation` },
    rows.map((row) => row.el), axis);
  const set = (q, values) => {
    const sd = q.logvar.map((v) => Math.exp(v / 2));
    const far = Math.max(...q.mean.map((m, i) => Math.max(Math.abs(m) + sd[i], Math.abs(values[i]))));
    const limit = [3, 5, 8, 12, 20, 50].find((l) => far <= l) ?? far;
    const at = (v) => `${50 + (50 * v) / limit}%`;
    rows.forEach(({ bar, mean, sample, value }, i) => {
      bar.style.left = at(q.mean[i] - sd[i]);
      bar.style.width = `${(100 * sd[i]) / limit}%`;
      mean.style.left = at(q.mean[i]);
      sample.style.left = at(values[i]);
      value.textContent = `${number(q.mean[i], 2)} ± ${sd[i].toFixed(2)}`;
      value.dataset.mean = q.mean[i];
      value.dataset.sd = sd[i];
    });
    axis.replaceChildren(h("span"), h("span", { class: "vx-ends" }, [-limit, 0, limit].map((v) => h("span", {}, number(v, 0)))), h("span"));
  };
  return { el: list, set };
}

const figure = (picture, caption) => h("figure", { class: "vx-picture" }, picture, h("figcaption", { class: "vx-note" }, caption));
const flat = (image) => Float32Array.from(image.flat(2));
const same = (a, b) => Boolean(a && b) && a.every((level, i) => Math.abs(level - b[i]) < 1e-6);
const nested = (x, H, W) => Array.from({ length: H }, (_, r) => Array.from({ length: W }, (_, c) => [x[r * W + c]]));

/** The stored images, [N] of Float32Array [H*W] in [0, 1]. */
function readExamples(model, size) {
  const data = model.get("examples");
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  return Array.from({ length: bytes.length / size }, (_, i) =>
    Float32Array.from(bytes.subarray(i * size, (i + 1) * size), (level) => level / 255));
}

/** What Python may read: the numbers on the page. */
function report({ q, z, w, y_prob, terms }, sample) {
  const list = (a) => a && Array.from(a);
  return { sample, terms, z: list(z), w: list(w) ?? null, y_prob: list(y_prob) ?? null,
    z_mean: list(q.z.mean), z_logvar: list(q.z.logvar), w_mean: list(q.w?.mean) ?? null, w_logvar: list(q.w?.logvar) ?? null };
}

export default { render };
