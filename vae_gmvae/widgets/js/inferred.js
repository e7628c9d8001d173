// What the InferenceExplorer shows of one image: each part is {el, set(what was found)}.
import { bars, colourOf, h, imageCanvas, number, subscript, textOn, toggle } from "./controls.js";
import { centreOfMass, FINE } from "./drawing.js";

export const panel = (title, ...children) =>
  h("section", { class: "vx-panel" }, h("h3", { class: "vx-title" }, title), children);
export const note = (...children) => h("p", { class: "vx-note" }, children);
export const captioned = (picture, text) =>
  h("figure", { class: "vx-picture" }, picture, h("figcaption", { class: "vx-note" }, text));

/** What stands beside a term: what it is at this sample. prior: the trait; proper: p(x|z) is a density. */
const formulas = ({ means, y_prior: direction }, proper) => ({
  reconstruction: proper ? "log p(x|z)" : "log p(x|z) of binary x",
  z_prior: means ? "log q(z|x) − log p(z)" : "KL(q(z|x) ‖ p(z))",
  conditional_prior: "log q(z|x) − E log p(z|w,y)",
  w_prior: "KL(q(w|x) ‖ p(w))",
  y_prior: direction === "reversed" ? "KL(p(y) ‖ p(y|w,z))" : "KL(p(y|w,z) ‖ p(y))",
  elbo: direction === "reversed" ? "no bound: y_prior is reversed" :
    proper ? "on average ≤ log p(x)" : "no bound: x is grey",
});

/** The terms of the ELBO as a sum: the likelihood minus `costs`. set(terms by name) */
export function sum(costs, prior, about) {
  const shown = {}, formula = formulas(prior, about.likelihood === "gaussian" || about.binarise === "sampled");
  const row = (sign, name) => h("tr", { class: sign === "=" && "vx-total" },
    h("td", {}, sign), h("th", { scope: "row" }, h("code", {}, name), h("span", { class: "vx-note" }, formula[name])),
    h("td", { class: "vx-value" }, (shown[name] = h("span", { "data-term": name }))));
  const rows = [row("", "reconstruction"), ...costs.map((name) => row("−", name)), row("=", "elbo")];
  const set = (terms) => Object.entries(terms).forEach(([name, value]) => {
    shown[name].textContent = number(value, 2);
    shown[name].dataset.value = value;
  });
  const el = panel("The ELBO of this image, in nats", h("table", { class: "vx-terms" }, h("tbody", {}, rows)));
  el.classList.add("vx-sum");
  return { el, set };
}

/** Rows of mean ± sd with the sample as a dot, on an axis that fits. set({mean, logvar}, sample) */
export function intervals(name, variable, dim) {
  const rows = Array.from({ length: dim }, (_, i) => {
    const parts = ["vx-sd", "vx-mean", "vx-sample"].map((part) => h("span", { class: part }));
    const value = h("span", { class: "vx-value" });
    const el = h("li", {}, h("span", { class: "vx-name" }, variable + subscript(i + 1)),
      h("span", { class: "vx-track vx-interval", "aria-hidden": "true" }, parts), value);
    return { parts, value, el };
  });
  const ends = h("span", { class: "vx-ends" });
  const axis = h("li", { "aria-hidden": "true" }, h("span"), ends, h("span"));
  const set = ({ mean, logvar }, sample) => {
    const sd = logvar.map((v) => Math.exp(v / 2));
    const far = Math.max(...mean.map((m, i) => Math.max(Math.abs(m) + sd[i], Math.abs(sample[i]))));
    const limit = [3, 5, 8, 12, 20, 50].find((l) => far <= l) ?? far;
    rows.forEach(({ parts, value }, i) => {
      const places = [mean[i] - sd[i], mean[i], sample[i]];
      parts.forEach((part, j) => { part.style.left = `${50 + (50 * places[j]) / limit}%`; });
      parts[0].style.width = `${(100 * sd[i]) / limit}%`;
      value.textContent = `${number(mean[i], 2)} ± ${sd[i].toFixed(2)}`;
    });
    ends.replaceChildren(...[-limit, 0, limit].map((v) => h("span", {}, number(v, 0))));
  };
  const list = h("ul", { class: "vx-bars vx-spreads", role: "list", "aria-label": `${name}, mean and standard deviation` },
    rows.map((row) => row.el), axis);
  const el = panel(`${name}: mean ± 1 sd, ● sample`, list);
  el.classList.add(`vx-of-${variable}`);
  return { el, set };
}

/**
 * p(y|w,z) as bars, each beside what its cluster draws. set(y_prob, excess, bayes)
 * @param drawn the clusters' images, [K] of [H*W]
 * @param bySwitch {onchange, hasCost} of the switch to Bayes' rule; null where there is no choice.
 *   hasCost: the ELBO loses KL(network || Bayes' rule), as with every y_prior but the reversed.
 */
export function assignment(title, drawn, [height, width], bySwitch) {
  const labels = drawn.map((pixels, k) => {
    const image = imageCanvas({ width, height, scale: 22 / height, label: `what cluster ${k} draws` });
    image.draw(pixels);
    const style = `background:${colourOf(k)};color:${textOn(colourOf(k))}`;
    return h("span", { class: "vx-cluster" }, h("span", { class: "vx-key", style }, String(k)), image.el);
  });
  const list = bars({ labels, label: `${title} by cluster`, colours: labels.map((_, k) => colourOf(k)) });
  const bayes = bySwitch && toggle({ label: "by Bayes’ rule", ...bySwitch });
  const cost = note();
  const el = panel(title, list.el, bySwitch?.hasCost && cost);
  if (bayes) el.prepend(h("div", { class: "vx-row vx-apart" }, el.firstChild, bayes.el));
  const set = (y, excess, byBayes) => {
    list.set(y, Array.from(y, (p) => p.toFixed(2)));
    if (bayes) bayes.value = byBayes;
    const nats = excess < 5e-5 ? "< 0.0001" : `= ${number(excess, excess < 0.1 ? 4 : 2)}`;
    cost.textContent = byBayes ? "The exact posterior: nothing else gives this image a higher ELBO." :
      `KL(network ‖ Bayes’ rule) ${nats} nats: what the network’s answer costs the ELBO.`;
  };
  return { el, set };
}

/** How strokes become MNIST's. set(x, strokes as drawn, what asMnist found or null, whether on) */
export function steps([H, W], { value, onchange }) {
  const parts = ["your strokes", "fitted into 20×20", "centred by mass"].map((name, i) => {
    const image = imageCanvas({ width: W, height: H, scale: 3, label: name, "data-image": `step-${i + 1}` });
    const box = h("span", { class: "vx-box" }), mass = h("span", { class: "vx-mass" });
    return { image, box, mass, el: captioned(h("div", { class: "vx-step" }, image.el, box, mass), name) };
  });
  const on = toggle({ label: "prepare strokes as MNIST’s", value, onchange });
  const text = note();
  const place = ({ style }, [top, left, rows, columns]) => {
    const shares = { top: top / H, left: left / W, height: rows / H, width: columns / W };
    for (const [side, share] of Object.entries(shares)) style[side] = `${100 * share}%`;
  };
  const set = (x, plain, found, isOn) => {
    on.value = isOn;
    const images = found ? [plain, found.fitted, found.centred] : [x, x, x];
    parts.forEach(({ image, box, mass, el }, i) => {
      image.draw(images[i]);
      el.classList.toggle("vx-off", i > 0 && !isOn);
      box.hidden = mass.hidden = !found;
      if (!found) return;
      place(mass, [...centreOfMass(images[i], W).map((at) => at + 0.5), 0, 0]);
      const { top, left, rows, columns } = found.ink, moved = i === 2 ? [found.down, found.right] : [0, 0];
      place(box, i ? [(H - 20) / 2 + moved[0], (W - 20) / 2 + moved[1], 20, 20] :
        [top, left, rows, columns].map((side) => side / FINE));
    });
    text.textContent = !found ? "MNIST’s authors prepared every image so." :
      isOn ? "The cross is the centre of mass. The model sees the last picture." :
        "Switched off: the model sees the first picture.";
  };
  const el = panel("From strokes to x", h("div", { class: "vx-row" }, parts.map((part) => part.el)), on.el, text);
  el.classList.add("vx-steps");
  return { el, set };
}
