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
 * onpoint(x, y, how): how is "hover", "drag" (pressed or moved while pressed), "drop" (released),
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
    if (how === "drag" || how === "drop" || how === "key") self.point = place;
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
    follow("drag")(event);
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
  context.fillStyle = colours.quiet;
  context.font = "11px system-ui, sans-serif";
  const each = (range, draw) => {
    const span = range[1] - range[0];
    const unit = [1, 2, 5, 10, 20].find((u) => span / u <= 7) ?? span / 5;
    for (let t = Math.ceil(range[0] / unit) * unit; t <= range[1]; t += unit) draw(t, number(t, 0));
  };
  context.textAlign = "center";
  if (ticks) each(xRange, (t, text) => {
    const [px] = self.toCanvas(t, 0);
    context.fillRect(px - 0.5, height - 5, 1, 5);
    if (px > 30 && px < width - 30) context.fillText(text, px, height - 8);
  });
  context.textAlign = "left";
  if (ticks) each(yRange, (t, text) => {
    const py = self.toCanvas(0, t)[1];
    context.fillRect(0, py - 0.5, 5, 1);
    if (py > 22 && py < height - 22) context.fillText(text, 8, py + 4);
  });
  context.fillStyle = colours.ink;
  context.font = "italic 15px Georgia, serif";
  context.fillText(names[1], 8, 17);
  context.textAlign = "right";
  context.fillText(names[0], width - 7, height - 9);
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
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth *= 1.5;
  context.stroke();
  context.globalAlpha = Number(filled);
  context.fill();
  context.restore();
}

/** A small square with its name on a colour, at canvas pixels: how a cluster is called. */
export function badge(context, [px, py], name, colour, side = 16) {
  context.save();
  context.fillStyle = colour;
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1.5;
  context.beginPath();
  context.rect(px - side / 2, py - side / 2, side, side);
  context.fill();
  context.stroke();
  context.fillStyle = textOn(colour);
  context.font = `bold ${Math.round(0.7 * side)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(name, px, py + 0.5);
  context.restore();
}
