// The kept epochs of a training run: samples, codes, cluster use and terms, epoch by epoch.
import {
  button, colourOf, h, imageCanvas, inInk, ink, live, number, onFrame, onTheme, slider, textOn,
} from "./controls.js";

const MAP = 280; // CSS pixels of the map's side
const BAR = 44; // and of the highest bar
const [STILL, MOVING] = [350, 450]; // ms per epoch while playing

async function render({ model, el }) {
  const epochs = model.get("epochs"), history = model.get("history"), shares = model.get("shares");
  const frames = await readFrames(model);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let at = indexOf(model.get("epoch")), playing = 0, painted = 0; // `at` lies between two frames
  const view = build();
  const repaint = onFrame(paintAll);

  function indexOf(epoch) {
    return Math.max(0, epochs.indexOf(epoch));
  }

  function paintAll() {
    const now = Math.round(at);
    view.samples.forEach((canvas, k) => canvas.draw(frames.column(at, k)));
    view.use.forEach((use, k) => use.set(shares[now][k]));
    drawMap(view.map, frames, at, model.get("colours"));
    view.curves.forEach((curve) => curve.set(epochs[now]));
    view.sentence.textContent = sentence(now);
    view.slider.value = now;
    view.root.dataset.painted = ++painted;
    view.root.dataset.ready = "1";
  }

  function sentence(now) {
    const elbo = (history.val_elbo ?? history.elbo)?.[history.epoch.indexOf(epochs[now])];
    const bound = elbo == null ? "" : `: ELBO ${number(elbo)} nats`;
    const used = (shares[now] ?? []).filter((share) => share >= 0.01).length;
    const use = frames.hasClusters ? `; ${used} of ${shares[now].length} clusters in use` : "";
    return `After epoch ${epochs[now]}${bound}${use}.`;
  }

  function show(position) {
    at = position;
    const epoch = epochs[Math.round(at)];
    if (epoch !== model.get("epoch")) {
      model.set("epoch", epoch);
      model.save_changes();
    }
    repaint();
  }

  // --- playing

  function play(on) {
    cancelAnimationFrame(playing);
    playing = 0;
    if (on && at >= epochs.length - 1) show(0);
    if (on) advance(performance.now(), Math.floor(at));
    view.play.textContent = on ? "Pause" : "Play";
  }

  /** Rests at frame i, then moves on to the next, or jumps where motion is unwelcome. */
  function advance(start, i) {
    playing = requestAnimationFrame((time) => {
      const moved = Math.max(0, time - start - STILL) / MOVING;
      if (moved < 1) {
        if (moved && !calm.matches) show(i + moved);
        return advance(start, i);
      }
      show(i + 1);
      if (i + 1 < epochs.length - 1) return advance(time, i + 1);
      play(false);
      view.aloud.say(sentence(i + 1));
    });
  }

  // --- the page

  function build() {
    const v = { aloud: live(), sentence: h("p", { class: "vx-sentence" }), use: [] };
    v.play = button("Play", () => {
      play(!playing);
      if (!playing) show(Math.round(at)); // a whole epoch, not what lies between two
    });
    v.slider = slider({
      label: "epoch", min: 0, max: epochs.length - 1, step: 1, value: at, format: (i) => `${epochs[Math.round(i)]}`,
      oninput: (i) => { play(false); show(i); },
      onchange: (i) => v.aloud.say(sentence(Math.round(i))),
    });
    v.map = h("canvas", { class: "vx-map", role: "img", "aria-label": "codes of test images", "data-image": "codes" });
    v.curves = curves(history, model.get("term_colours"));
    v.root = h("div", { class: "vx-explorer", "data-explorer": "scrubber" },
      h("div", { class: "vx-row vx-player" }, v.play, v.slider.el), v.sentence,
      h("div", { class: "vx-scenes" },
        h("section", { class: "vx-panel" },
          h("h3", { class: "vx-title" }, frames.hasClusters ? "Clusters: share of the test images, samples" : "Samples of the prior"),
          columns(v)),
        h("section", { class: "vx-panel" }, h("h3", { class: "vx-title" }, "Codes of test images"), v.map, key())),
      h("div", { class: "vx-curves" }, v.curves.map((curve) => curve.el)),
      h("p", { class: "vx-note" }, "Nats per image; thick lines: validation.",
        frames.hasClusters && " In use: a cluster with 1 % or more of the test images."), v.aloud.el);
    return v;
  }

  function about(name) {
    return model.get("about")[name];
  }

  function columns(v) {
    const [H, W] = about("image_shape"), { columns: count, each } = model.get("sizes");
    const most = Math.max(0.01, ...shares.flat());
    v.samples = [];
    const parts = Array.from({ length: count }, (_, k) => {
      const label = frames.hasClusters ? `samples of cluster ${k}` : `samples ${each * k + 1} to ${each * (k + 1)}`;
      const canvas = imageCanvas({ width: W, height: H * each, label, "data-image": "samples", "data-k": k });
      v.samples.push(canvas);
      if (frames.hasClusters) v.use.push(share(k, most));
      return h("li", {}, v.use[k]?.el, canvas.el);
    });
    const wide = Math.round((300 * W) / (each * H)); // pixels: no column higher than 300
    return h("ul", { class: "vx-ks", role: "list", style: `--vx-n:${Math.min(count, 10)};--vx-wide:${wide}px` }, parts);
  }

  /** The bar over a cluster's samples. */
  function share(k, most) {
    const bar = h("span", { style: `background:${inInk(colourOf(k))}` });
    const text = h("span", { class: "vx-value" });
    const set = (value) => {
      bar.style.height = `${(BAR * value) / most}px`;
      text.textContent = value && value < 0.005 ? "<1%" : `${number(100 * value, 0)}%`;
      text.dataset.value = value;
    };
    return { set, el: h("div", { class: "vx-use" }, text, h("span", { class: "vx-rise", "aria-hidden": "true" }, bar), badgeOf(k)) };
  }

  function key() {
    const labels = model.get("colours");
    const digits = [...new Set(labels)].sort((a, b) => a - b);
    const plain = frames.hasClusters ? "coloured by cluster" : "one dot for each";
    return h("p", { class: "vx-note" },
      about("z_dim") > 2 ? "Means of q(z|x) on two principal axes; " : "Means of q(z|x); ",
      digits.length ? ["digits: ", digits.map(digitBadge)] : plain);
  }

  function badgeOf(k) {
    return h("span", { class: "vx-key", style: `background:${colourOf(k)};color:${textOn(colourOf(k))}` }, String(k));
  }

  /** As its dots are: round, and nearer to ink where the page is dark. */
  function digitBadge(digit) {
    const style = `background:${inInk(colourOf(digit))};--vx-on:${textOn(colourOf(digit))}`;
    return h("span", { class: "vx-key vx-digit", style }, String(digit));
  }

  // --- what Python changes

  const onEpoch = () => {
    const i = indexOf(model.get("epoch"));
    if (i === Math.round(at)) return;
    play(false);
    at = i;
    repaint();
  };
  model.on("change:epoch", onEpoch);
  const unwatch = onTheme(repaint);
  el.append(view.root);
  repaint();
  return () => {
    play(false);
    repaint.cancel();
    unwatch();
    model.off("change:epoch", onEpoch);
  };
}

/** The frames that scrubber.py packed; `at` between two of them gives what lies between. */
async function readFrames(model) {
  const inflate = new Blob([model.get("frames")]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(inflate).arrayBuffer());
  const { columns, each, codes, low, high } = model.get("sizes");
  const count = model.get("epochs").length, hasClusters = model.get("shares")[0].length > 0;
  const [H, W, C] = model.get("about").image_shape, column = each * H * W * C;
  const clusters = count * columns * column, places = clusters + (hasClusters ? count * codes : 0);
  const between = (at, value) => {
    const [a, b] = [Math.floor(at), Math.ceil(at)];
    return a === b ? value(a) : value(a) + (at - a) * (value(b) - value(a));
  };
  const place = (frame, i, axis) => {
    const index = places + 2 * (frame * codes + i) + axis;
    const share = (256 * bytes[index] + bytes[index + 2 * count * codes]) / 65535;
    return low[axis] + share * (high[axis] - low[axis]);
  };
  return {
    codes, low, high, hasClusters,
    /** Grey levels of the samples in column k, [each * H * W]. */
    column: (at, k) => Float32Array.from({ length: column }, (_, i) =>
      between(at, (frame) => bytes[(frame * columns + k) * column + i]) / 64),
    point: (at, i) => [0, 1].map((axis) => between(at, (frame) => place(frame, i, axis))),
    cluster: (at, i) => bytes[clusters + Math.round(at) * codes + i],
  };
}

/** The codes as dots; the canvas keeps them at `points`, [codes][2]. */
function drawMap(canvas, frames, at, labels) {
  const { low, high } = frames, [wide, tall] = [high[0] - low[0], high[1] - low[1]], edge = 8;
  const scale = (MAP - 2 * edge) / (Math.max(wide, tall) || 1); // one for both axes
  const size = [MAP, Math.max(MAP / 2, tall * scale + 2 * edge)];
  const place = (value, axis) => size[axis] / 2 + (value - (low[axis] + high[axis]) / 2) * scale;
  const ratio = window.devicePixelRatio || 1, colours = ink(canvas);
  const pixels = size.map((side) => Math.round(side * ratio));
  if (canvas.width !== pixels[0]) [canvas.width, canvas.height] = pixels;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, ...size);
  canvas.points = Array.from({ length: frames.codes }, (_, i) => frames.point(at, i));
  context.strokeStyle = colours.paper;
  context.lineWidth = 0.75;
  canvas.points.forEach(([x, y], i) => {
    const plain = frames.hasClusters ? inInk(colourOf(frames.cluster(at, i)), colours) : colours.accent;
    context.fillStyle = labels.length ? inInk(colourOf(labels[i]), colours) : plain;
    context.beginPath();
    context.arc(place(x, 0), size[1] - place(y, 1), 3.4, 0, 7);
    context.fill();
    context.stroke();
  });
}

/** A small plot for each term: what was, and fainter what is to come. */
function curves(history, colours) {
  const [terms, elbo] = [true, false].map((term) => colours.filter(([name]) => (name !== "elbo") === term));
  return [...elbo, ...terms].filter(([name]) => history[name])
    .map(([name, colour]) => curve(history, name, colour));
}

const [WIDE, HIGH] = [120, 56];

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach((pair) => element.setAttribute(...pair));
  return element;
}

function curve(history, name, colour) {
  const epoch = history.epoch, keys = [name, `val_${name}`].filter((key) => history[key]);
  const start = epoch.length < 20 ? 0 : Math.floor(epoch.length / 10); // the first fall would flatten the rest
  const shown = keys.flatMap((key) => history[key].slice(start)).filter((value) => value != null);
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const x = (e) => 3 + ((WIDE - 6) * (e - epoch[0])) / (epoch.at(-1) - epoch[0] || 1);
  const y = (value) => HIGH - 4 - ((HIGH - 8) * (value - low)) / (high - low || 1);
  const line = (key, until) => epoch.flatMap((e, i) =>
    e > until || history[key][i] == null ? [] : [`${x(e).toFixed(1)},${y(history[key][i]).toFixed(1)}`]).join(" ");
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true", style: `--vx-term:${colour}` });
  const cursor = svg("line", { class: "vx-cursor", y1: 0, y2: HIGH });
  const past = keys.map((key) => {
    const look = key === name ? "vx-training" : "vx-validation";
    picture.append(svg("polyline", { class: `${look} vx-faint`, points: line(key, Infinity) }));
    return svg("polyline", { class: look });
  });
  picture.append(cursor, ...past);
  const values = keys.map((key) => h("span", { class: "vx-now", "data-term": key }));
  const set = (now) => {
    const i = epoch.indexOf(now);
    cursor.setAttribute("x1", x(now));
    cursor.setAttribute("x2", x(now));
    keys.forEach((key, j) => {
      past[j].setAttribute("points", line(key, now));
      const value = history[key][i];
      values[j].textContent = value == null ? "not finite" : number(value, Math.abs(value) < 100 ? 2 : 1);
      values[j].dataset.value = value;
    });
  };
  const names = ["training ", "validation "];
  return { set, el: h("section", { class: "vx-curve" }, h("code", {}, name), picture,
    values.map((value, j) => h("span", { class: "vx-note" }, names[j], value))) };
}

export default { render };
