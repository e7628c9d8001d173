/**
 * Planes: canvases with coordinates, to draw on and to point at.
 *
 *   const map = plane({ size: 320, xRange: [-3, 3], yRange: [-3, 3], label: "...", onpoint });
 *   map.clear(); ellipse(map, [0, 0], [1, 1], colourOf(0)); axes(map, ["z₁", "z₂"]);
 *   badge(map.context, map.toCanvas(0, 0), "0", colourOf(0));
 */
import { ink, keepKeys, number, textOn } from "./controls.js";

/**
 * A plane to draw on and to point at. size: CSS pixels of its side. Draw in CSS pixels with
 * `context`; begin with clear().
 * onpoint(x, y, first): pressed there (first), dragged there, or brought there by an arrow key,
 * which moves `plane.point` by a tenth, with Shift by a half. onend(): released, or a key was hit.
 * onhover(x, y): over it, not pressed; onhover() when it leaves. Without onpoint it is a picture.
 */
export function plane({ size, xRange, yRange, label, ...listeners }) {
  const live = listeners.onpoint ? { tabindex: 0, role: "application" } : { role: "img" };
  const el = h("canvas", { class: "vx-plane", "aria-label": label, style: `width:${size}px`, ...live });
  const context = el.getContext("2d");
  const self = { el, context, size, xRange, yRange, point: [0, 0] };
  // pixels of a unit
  const scale = ([low, high]) => size / (high - low);
  self.toCanvas = (x, y) => [(x - xRange[0]) * scale(xRange), (yRange[1] - y) * scale(yRange)];
  self.fromCanvas = (px, py) => [xRange[0] + px / scale(xRange), yRange[1] - py / scale(yRange)];
  self.clear = () => {
    // it changes when the page is zoomed
    const density = window.devicePixelRatio || 1;
    const pixels = Math.round(size * density);
    if (el.width !== pixels) el.width = el.height = pixels;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, size, size);
  };
  if (listeners.onpoint) pointTo(self, listeners);
  self.clear();
  return self;
}

function pointTo(self, { onpoint, onend, onhover }) {
  const { el, size, xRange, yRange } = self;
  const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));
  const move = (x, y, first) => {
    self.point = [clamp(x, xRange), clamp(y, yRange)];
    onpoint(...self.point, first);
  };
  const placeOf = (event) => {
    // smaller than `size` on a narrow page
    const box = el.getBoundingClientRect();
    const part = size / box.width;
    return self.fromCanvas((event.clientX - box.left) * part, (event.clientY - box.top) * part);
  };
  // the id of the finger or mouse that drags; a second one has no say
  let holds = null;
  el.addEventListener("pointerdown", (event) => {
    // the main button only
    if (event.button || holds !== null) return;
    holds = event.pointerId;
    el.setPointerCapture(holds);
    move(...placeOf(event), true);
  });
  el.addEventListener("pointermove", (event) => {
    if (event.pointerId === holds) move(...placeOf(event), false);
    else if (holds === null) onhover?.(...placeOf(event));
  });
  const release = (event) => {
    if (event.pointerId !== holds) return;
    holds = null;
    onend?.();
  };
  for (const end of ["pointerup", "pointercancel"]) el.addEventListener(end, release);
  el.addEventListener("pointerleave", () => holds === null && onhover?.());
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  keepKeys(el).addEventListener("keydown", (event) => {
    const step = keys[event.key];
    if (!step) return;
    // of scrolling
    event.preventDefault();
    const far = event.shiftKey ? 5 : 1;
    move(...self.point.map((value, i) => (Math.round(10 * value) + far * step[i]) / 10), false);
    onend?.();
  });
}

/** Frame, ticks and the names of the axes of a plane, inside it. names: ["z₁", "z₂"]. */
export function axes(self, names, colours = ink(self.el), ticks = true) {
  const { context, size } = self;
  const write = (text, x, y, textAlign, [font, fillStyle]) => {
    Object.assign(context, { textAlign, font, fillStyle });
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  };
  // of the axes' names
  const room = names[0].length > 2 ? 56 : 28;
  const each = ([low, high], draw) => {
    const unit = [1, 2, 5, 10, 20, 50].find((u) => (high - low) / u <= 8) ?? (high - low) / 5;
    for (let t = Math.ceil(low / unit) * unit; ticks && t <= high; t += unit) {
      const place = (size * (t - low)) / (high - low);
      if (place > 24 && place < size - room) draw(place, number(t, 0));
    }
  };
  const tick = ["11px system-ui, sans-serif", colours.quiet];
  const name = ["italic 15px Georgia, serif", colours.ink];
  context.save();
  Object.assign(context, { strokeStyle: colours.line, lineWidth: 1 });
  context.strokeRect(0.5, 0.5, size - 1, size - 1);
  // a rim keeps the text legible on what is drawn
  Object.assign(context, { strokeStyle: colours.paper, lineWidth: 3, lineJoin: "round" });
  each(self.xRange, (px, text) => write(text, px, size - 6, "center", tick));
  each(self.yRange, (py, text) => write(text, 6, size - py + 4, "left", tick));
  write(names[1], 6, 17, "left", name);
  write(names[0], size - 6, size - 7, "right", name);
  context.restore();
}

/**
 * The ellipse within two standard deviations of a Gaussian: mean2 [2], var2 the two variances,
 * or [var, var, covariance] for axes that are not the plane's. filled: opacity from 0 to 1.
 */
export function ellipse({ context, toCanvas }, mean2, var2, colour, filled = 0.15, sds = 2) {
  // pixels of a unit
  const [[x0, y0], [x1, y1]] = [toCanvas(0, 0), toCanvas(1, 1)];
  // the covariance's Cholesky factor
  const across = (x1 - x0) * Math.sqrt(var2[0]);
  const along = ((y1 - y0) * (var2[2] ?? 0)) / Math.sqrt(var2[0]);
  const down = Math.sqrt(Math.max((y1 - y0) ** 2 * var2[1] - along ** 2, 0));
  context.save();
  context.translate(...toCanvas(...mean2));
  context.transform(across, along, 0, down, 0, 0);
  context.beginPath();
  context.arc(0, 0, sds, 0, 2 * Math.PI);
  context.restore();
  context.save();
  context.fillStyle = context.strokeStyle = colour;
  context.stroke();
  context.globalAlpha = filled;
  context.fill();
  context.restore();
}

/** A name on a colour, at canvas pixels: a square for a cluster, a disc for a digit. */
export function badge(context, [px, py], name, colour, side = 16, round = false) {
  const half = side / 2;
  context.save();
  Object.assign(context, { fillStyle: colour, strokeStyle: "#ffffff", lineWidth: 1.5 });
  context.beginPath();
  context.roundRect(px - half, py - half, side, side, round ? half : 0);
  context.fill();
  context.stroke();
  const font = `bold ${Math.round(0.7 * side)}px system-ui, sans-serif`;
  Object.assign(context, { font, fillStyle: textOn(colour), textAlign: "center", textBaseline: "middle" });
  context.fillText(name, px, py + 0.5);
  context.restore();
}

/** A dot at a point of the plane; with a rim the larger ones stand off from each other. */
export function dot({ context, toCanvas }, point, colour, radius = 3, rim = "#ffffff") {
  context.beginPath();
  context.arc(...toCanvas(...point), radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  if (!rim) return;
  context.strokeStyle = rim;
  context.lineWidth = 0.75;
  context.stroke();
}

/** A ring with a cross: here it is. */
export function target({ context, toCanvas }, point, { ink: front, paper }, alpha = 1) {
  context.save();
  context.translate(...toCanvas(...point));
  const ring = new Path2D("M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M-11 0h7m8 0h7M0-11v7m0 8v7");
  for (const [strokeStyle, lineWidth] of [[paper, 5], [front, 2]]) {
    Object.assign(context, { strokeStyle, lineWidth, globalAlpha: alpha });
    context.stroke(ring);
  }
  context.restore();
}

/** Places of labels in pixels, moved apart from each other and from `fixed` to `distance`. */
export function spread(places, distance, fixed) {
  const apart = places.map(([x, y], i) => [x + Math.cos(2.4 * i) / 99, y + Math.sin(2.4 * i) / 99]);
  const push = (a, b, share) => {
    const [dx, dy] = [a[0] - b[0], a[1] - b[1]];
    const gap = Math.sqrt(dx * dx + dy * dy) || 1;
    const part = (share * Math.max(0, distance - gap)) / gap;
    a[0] += part * dx;
    a[1] += part * dy;
  };
  for (let round = 0; round < 50; round++) {
    for (const a of apart) {
      for (const b of apart) if (a !== b) push(a, b, 0.5);
      if (fixed) push(a, fixed, 1);
    }
  }
  return apart;
}
