/**
 * Planes: canvases with coordinates, to draw on and to point at.
 *
 *   const map = plane({ size: 320, xRange: [-3, 3], yRange: [-3, 3], label: "...", onpoint });
 *   map.clear(); ellipse(map, [0, 0], [1, 1], colourOf(0)); axes(map, ["z₁", "z₂"]);
 *   badge(map.context, map.toCanvas(0, 0), "0", colourOf(0));
 */
import { ink, keepKeys, number, textOn } from "./controls.js";

/**
 * A plane to draw on and to point at. size: CSS pixels, or [width, height].
 * onpoint(x, y, how): how is "hover", "press", "drag" (moved while pressed), "drop" (released),
 * "leave" (no longer hovering) or "key". Arrow keys move `plane.point` by `step`, Shift by five.
 * Without onpoint the plane is a picture. Draw in CSS pixels with `context`; begin with clear().
 */
export function plane({ size, xRange, yRange, label, onpoint, step = 0.1 }) {
  const [width, height] = Array.isArray(size) ? size : [size, size];
  const live = onpoint ? { tabindex: 0, role: "application" } : { role: "img" };
  const el = h("canvas", { class: "vx-plane", "aria-label": label, ...live,
    style: `width:${width}px;aspect-ratio:${width}/${height}` });
  const context = el.getContext("2d");
  const self = { el, context, width, height, xRange, yRange, point: [0, 0] };
  self.toCanvas = (x, y) => [
    (width * (x - self.xRange[0])) / (self.xRange[1] - self.xRange[0]),
    (height * (self.yRange[1] - y)) / (self.yRange[1] - self.yRange[0]),
  ];
  self.fromCanvas = (px, py) => [
    self.xRange[0] + (px / width) * (self.xRange[1] - self.xRange[0]),
    self.yRange[1] - (py / height) * (self.yRange[1] - self.yRange[0]),
  ];
  self.clear = () => {
    const density = window.devicePixelRatio || 1; // it changes when the page is zoomed
    if (el.width !== Math.round(width * density)) {
      el.width = Math.round(width * density);
      el.height = Math.round(height * density);
    }
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
  };
  if (onpoint) pointTo(self, onpoint, step);
  self.clear();
  return self;
}

function pointTo(self, onpoint, step) {
  const { el, width, height } = self;
  const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));
  const tell = (x, y, how) => {
    const place = [clamp(x, self.xRange), clamp(y, self.yRange)];
    if (how !== "hover") self.point = place;
    onpoint(...place, how);
  };
  const follow = (how) => (event) => {
    const box = el.getBoundingClientRect();
    const [px, py] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    tell(...self.fromCanvas(px * width, py * height), how);
  };
  let pressed = false;
  const press = (event) => {
    if (event.button) return; // the main one only
    pressed = true;
    el.setPointerCapture(event.pointerId);
    follow("press")(event);
  };
  const release = (event) => { if (pressed) { pressed = false; follow("drop")(event); } };
  el.addEventListener("pointerdown", press);
  el.addEventListener("pointermove", (event) => follow(pressed ? "drag" : "hover")(event));
  el.addEventListener("pointerup", release);
  el.addEventListener("pointercancel", release);
  el.addEventListener("pointerleave", () => pressed || onpoint(...self.point, "leave"));
  keepKeys(el).addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const far = event.shiftKey ? 5 * step : step;
    const round = (value) => Number((Math.round(value / step) * step).toFixed(6));
    tell(round(self.point[0] + far * move[0]), round(self.point[1] + far * move[1]), "key");
  });
}

/** Frame, ticks and the names of the axes of a plane, inside it. names: ["z₁", "z₂"]. */
export function axes(self, names, colours = ink(self.el), ticks = true) {
  const { context, width, height, xRange, yRange } = self;
  context.save();
  context.strokeStyle = colours.line;
  context.strokeRect(0.5, 0.5, width - 1, height - 1);
  context.strokeStyle = colours.paper; // a rim that keeps text legible on what is drawn
  context.lineWidth = 3;
  context.lineJoin = "round";
  const write = (text, x, y, colour) => {
    context.strokeText(text, x, y);
    context.fillStyle = colour;
    context.fillText(text, x, y);
  };
  const each = ([low, high], length, draw) => {
    const unit = [1, 2, 5, 10, 20, 50].find((u) => (high - low) / u <= 8) ?? (high - low) / 5;
    for (let t = Math.ceil(low / unit) * unit; ticks && t <= high; t += unit) {
      const place = (length * (t - low)) / (high - low);
      if (place > 24 && place < length - 28) draw(place, number(t, 0));
    }
  };
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  each(xRange, width, (px, text) => write(text, px, height - 6, colours.quiet));
  context.textAlign = "left";
  each(yRange, height, (py, text) => write(text, 6, height - py + 4, colours.quiet));
  context.font = "italic 15px Georgia, serif";
  write(names[1], 6, 17, colours.ink);
  context.textAlign = "right";
  write(names[0], width - 6, height - 7, colours.ink);
  context.restore();
}

/**
 * The ellipse within two standard deviations of a Gaussian: mean2 [2], var2 the two variances,
 * or [var, var, covariance] for axes that are not the plane's. filled: opacity from 0 to 1.
 */
export function ellipse(self, mean2, var2, colour, filled = 0.15, sds = 2) {
  const { context } = self;
  const [x0, y0] = self.toCanvas(0, 0);
  const [x1, y1] = self.toCanvas(1, 1);
  const [sx, sy] = [x1 - x0, y1 - y0];
  const [a, b, c] = [sx * sx * var2[0], sy * sy * var2[1], sx * sy * (var2[2] ?? 0)];
  const [middle, half] = [(a + b) / 2, Math.hypot((a - b) / 2, c)];
  const radii = [middle + half, middle - half].map((v) => sds * Math.sqrt(Math.max(v, 0)));
  context.save();
  context.beginPath();
  context.ellipse(...self.toCanvas(...mean2), ...radii, 0.5 * Math.atan2(2 * c, a - b), 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.stroke();
  context.fillStyle = colour;
  context.globalAlpha = filled;
  context.fill();
  context.restore();
}

/** A name on a colour, at canvas pixels: a square for a cluster, a disc for a digit. */
export function badge(context, [px, py], name, colour, side = 16, round = false) {
  context.save();
  context.fillStyle = colour;
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1.5;
  context.beginPath();
  if (round) context.arc(px, py, side / 2, 0, 2 * Math.PI);
  else context.rect(px - side / 2, py - side / 2, side, side);
  context.fill();
  context.stroke();
  context.fillStyle = textOn(colour);
  context.font = `bold ${Math.round(0.7 * side)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
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
export function target({ context, toCanvas }, point, colours, alpha = 1) {
  const [x, y] = toCanvas(...point);
  context.save();
  context.globalAlpha = alpha;
  for (const [colour, width] of [[colours.paper, 5], [colours.ink, 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 11 * dx, y + 11 * dy);
    }
    context.stroke();
  }
  context.restore();
}

/** Places of labels in pixels, moved apart from each other and from `fixed` to `distance`. */
export function spread(places, distance, fixed) {
  const apart = places.map(([x, y], i) => [x + 0.01 * Math.cos(2.4 * i), y + 0.01 * Math.sin(2.4 * i)]);
  for (let round = 0; round < 40; round++) {
    for (const a of apart) {
      for (const b of fixed ? [...apart, fixed] : apart) {
        const [dx, dy] = [a[0] - b[0], a[1] - b[1]];
        const gap = Math.hypot(dx, dy);
        if (a === b || gap >= distance) continue;
        const push = (distance - gap) / (gap + 0.001) / (b === fixed ? 1 : 2);
        a[0] += push * dx;
        a[1] += push * dy;
        if (b !== fixed) b[0] -= push * dx, (b[1] -= push * dy);
      }
    }
  }
  return apart;
}
