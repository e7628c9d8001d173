// Ink on a pad, and what was done to handwriting to make MNIST. Images are row-major.

/** Pad pixels per side of an image's pixel: strokes are drawn finer than the network sees them. */
export const FINE = 5;
const RADIUS = 1.25; // of the brush, in image pixels: as thick as MNIST's strokes
const SOFT = 0.6; // width of its edge, in image pixels
const BOX = 20; // the side of the box that MNIST's digits fill

/** Mean grey levels of an image [h, w] over the pixels of another grid [H, W], by area. */
export function resize(image, [h, w], [H, W]) {
  const rows = new Float32Array(H * w), out = new Float32Array(H * W);
  for (const [i, a, share] of overlaps(h, H))
    for (let c = 0; c < w; c++) rows[i * w + c] += share * image[a * w + c];
  for (const [j, b, share] of overlaps(w, W))
    for (let r = 0; r < H; r++) out[r * W + j] += share * rows[r * w + b];
  return out;
}

/** [to, from, share of `to` that lies in `from`] for two even divisions of one length. */
function overlaps(from, to) {
  const list = [];
  for (let i = 0; i < to; i++) {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    for (let a = Math.floor(start); a < Math.min(Math.ceil(end - 1e-9), from); a++)
      list.push([i, a, (Math.min(end, a + 1) - Math.max(start, a)) / (end - start)]);
  }
  return list;
}

/**
 * The picture on the pad, [h * FINE, w * FINE]: strokes over an image [h, w] (or null: black).
 * A stroke is {points: [[x, y], ...] in image pixels, ink: grey level}; points may be added to it.
 */
export function paint(base, strokes, [h, w]) {
  const size = [h * FINE, w * FINE];
  const picture = base ? resize(base, [h, w], size) : new Float32Array(size[0] * size[1]);
  for (const stroke of strokes)
    coverOf(stroke, size).forEach((a, i) => { if (a) picture[i] += a * (stroke.ink - picture[i]); });
  return picture;
}

const covers = new WeakMap(); // by stroke: {cover, count} of the points that it had

/** How much of each pixel a stroke covers, [height * width]; only new points cost time. */
function coverOf(stroke, size) {
  const { cover, count } = covers.get(stroke) ?? { cover: new Float32Array(size[0] * size[1]), count: 0 };
  const { points } = stroke;
  for (let i = count; i < points.length; i++) brush(cover, size, points[Math.max(0, i - 1)], points[i]);
  covers.set(stroke, { cover, count: points.length });
  return cover;
}

/** Covers the pixels near the line between two points; overlapping parts do not add up. */
function brush(cover, [height, width], [x0, y0], [x1, y1]) {
  const reach = RADIUS + SOFT, [dx, dy] = [x1 - x0, y1 - y0], long = dx * dx + dy * dy;
  const first = (a, b) => Math.max(0, Math.floor((Math.min(a, b) - reach) * FINE));
  const last = (a, b, n) => Math.min(n - 1, Math.ceil((Math.max(a, b) + reach) * FINE));
  for (let r = first(y0, y1); r <= last(y0, y1, height); r++)
    for (let c = first(x0, x1); c <= last(x0, x1, width); c++) {
      const [x, y] = [(c + 0.5) / FINE, (r + 0.5) / FINE];
      const t = long ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / long)) : 0;
      const far = Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
      const a = Math.min(1, Math.max(0, (RADIUS - far) / SOFT + 0.5));
      cover[r * width + c] = Math.max(cover[r * width + c], a);
    }
}

/**
 * A picture made as MNIST's were (LeCun, Cortes, Burges, "The MNIST database"): sized to fit a box
 * of 20x20 pixels, aspect kept, then moved by whole pixels so that its centre of mass is the
 * middle of the image [h, w]. null where there is no ink.
 *
 * Returns {fitted, centred}, images [h, w]; {ink}, the box around the ink in the picture; and by how
 * many pixels the second step moved it, {down, right}.
 */
export function asMnist(picture, [height, width], [h, w]) {
  const found = inkBox(picture, [height, width]);
  if (!found) return null;
  const { top, left, rows, columns } = found;
  const cut = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++)
    cut.set(picture.subarray((top + r) * width + left).subarray(0, columns), r * columns);
  const scale = BOX / Math.max(rows, columns);
  const box = { rows: Math.max(1, Math.round(rows * scale)), columns: Math.max(1, Math.round(columns * scale)) };
  box.top = Math.floor((h - box.rows) / 2);
  box.left = Math.floor((w - box.columns) / 2);
  const small = resize(cut, [rows, columns], [box.rows, box.columns]);
  const [y, x] = centreOfMass(small, box.columns);
  const down = between(-box.top, Math.round(h / 2 - y - box.top), h - box.rows - box.top);
  const right = between(-box.left, Math.round(w / 2 - x - box.left), w - box.columns - box.left);
  const put = (top, left) => placed(small, box, [h, w], top, left);
  const centred = put(box.top + down, box.left + right);
  return { fitted: put(box.top, box.left), centred, ink: found, down, right };
}

const between = (low, value, high) => Math.min(Math.max(value, low), high);

/** The smallest box around all ink, {top, left, rows, columns}, or null. */
function inkBox(picture, [height, width]) {
  let [top, left, bottom, right] = [height, width, -1, -1];
  picture.forEach((level, i) => {
    if (level < 1 / 255) return;
    const [r, c] = [Math.floor(i / width), i % width];
    [top, left] = [Math.min(top, r), Math.min(left, c)];
    [bottom, right] = [Math.max(bottom, r), Math.max(right, c)];
  });
  return bottom < 0 ? null : { top, left, rows: bottom - top + 1, columns: right - left + 1 };
}

/** [row, column], pixel centres being whole numbers. */
export function centreOfMass(image, columns) {
  let [sum, y, x] = [0, 0, 0];
  image.forEach((level, i) => {
    sum += level;
    y += level * Math.floor(i / columns);
    x += level * (i % columns);
  });
  return [y / sum, x / sum];
}

function placed(small, { rows, columns }, [h, w], top, left) {
  const image = new Float32Array(h * w);
  for (let r = 0; r < rows; r++)
    image.set(small.subarray(r * columns, (r + 1) * columns), (top + r) * w + left);
  return image;
}
