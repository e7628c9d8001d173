/**
 * A trained Keras network, run in the browser: dense and convolutional layers, one image at a time.
 *
 * Arrays are flat, in the order of Keras: an image is [H, W, C] with the channels innermost. Sums
 * are taken in float64 and every layer's result is rounded to float32.
 *
 * @typedef {function((Float32Array|number[])): (Float32Array|{mean: Float32Array, logvar: Float32Array})} Network
 */

/**
 * The networks that an explorer's Python side handed over, by name.
 * @param model anywidget's model, with a trait `networks`: {name: "IPY_MODEL_<id>"}
 * @returns {Promise<Object<string, Network>>}
 */
export async function loadNetworks(model) {
  const load = async ([name, id]) => {
    const network = await model.widget_manager.get_model(id.replace("IPY_MODEL_", ""));
    return [name, await loadNetwork(network.get("spec"), network.get("data"))];
  };
  return Object.fromEntries(await Promise.all(Object.entries(model.get("networks")).map(load)));
}

/**
 * One network. A plain one returns its outputs; one with heads returns {mean, logvar}. What a call
 * returns is never written again.
 * @param spec layers and shapes, as vae_gmvae/widgets/networks.py writes them
 * @param {DataView|ArrayBuffer|Uint8Array} data compressed weights
 * @returns {Promise<Network>}
 */
export async function loadNetwork(spec, data) {
  const weights = await unpackWeights(data, spec.dtype);
  let used = 0;
  const take = (count) => weights.subarray(used, (used += count));
  const layers = [];
  let shape = spec.input;
  for (const layer of spec.layers) {
    layers.push(LAYERS[layer.kind](layer, shape, take));
    shape = layers.at(-1).shape;
  }
  const heads = spec.heads ? gaussianHeads(spec.heads, shape, take) : (x) => x;
  if (used !== weights.length) {
    throw new Error(`the network takes ${used} weights, but ${weights.length} were given`);
  }
  const inputs = sizeOf(spec.input);
  return (x) => {
    if (x.length !== inputs) throw new Error(`expected ${inputs} inputs, not ${x.length}`);
    return heads(layers.reduce((values, layer) => layer.run(values), Float32Array.from(x)));
  };
}

/** Probabilities of Bernoulli logits. @param {ArrayLike<number>} logits @returns {Float32Array} */
export function sigmoid(logits) {
  return Float32Array.from(logits, (value) => 1 / (1 + Math.exp(-value)));
}

// --- weights

/** Zlib data, split into planes of first bytes, second bytes, ... -> float32, [weights]. */
async function unpackWeights(data, dtype) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (dtype === "float16") return fromHalfPlanes(planes);
  if (dtype !== "float32") throw new Error(`weights in ${dtype}: expected float16 or float32`);
  const count = planes.length / 4;
  const bytes = new Uint8Array(planes.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = planes[(i % 4) * count + (i >> 2)];
  return new Float32Array(bytes.buffer);
}

/** Low bytes, then high bytes of float16 -> float32; browsers lack a Float16Array. */
function fromHalfPlanes(planes) {
  const count = planes.length / 2;
  const scales = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const high = planes[count + i];
    const exponent = (high >> 2) & 31;
    const fraction = ((high & 3) << 8) | planes[i];
    const size = (exponent ? 1024 + fraction : fraction) * scales[exponent];
    values[i] = high & 128 ? -size : size;
  }
  return values;
}

// --- layers: (description, input shape, take weights) -> {shape, run: Float32Array -> Float32Array}

const LAYERS = {
  dense: denseLayer,
  conv: (layer, shape, take) => convLayer(layer, shape, take, false),
  deconv: (layer, shape, take) => convLayer(layer, shape, take, true),
  reshape: ({ shape }) => ({ shape, run: (x) => x }),
  crop: cropLayer,
};

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

function denseLayer({ units, activation }, [inputs], take) {
  const kernel = take(inputs * units); // [inputs, units]
  const bias = take(units);
  const run = (x) => {
    const sums = Float64Array.from(bias);
    for (let i = 0; i < inputs; i++) {
      if (x[i] !== 0) addMultiple(sums, 0, x[i], kernel, i * units, units);
    }
    return activated(sums, activation);
  };
  return { shape: [units], run };
}

/** A convolution, or its transpose, with padding "same": each input adds its share to the outputs. */
function convLayer({ filters, kernel, strides, activation }, [rows, columns, channels], take, transposed) {
  const resized = (side, stride) => (transposed ? side * stride : Math.ceil(side / stride));
  const shape = [resized(rows, strides[0]), resized(columns, strides[1]), filters];
  const down = axisTaps(rows, shape[0], kernel[0], strides[0], transposed);
  const across = axisTaps(columns, shape[1], kernel[1], strides[1], transposed);
  const stored = take(kernel[0] * kernel[1] * channels * filters);
  const weights = transposed ? swapLastAxes(stored, filters, channels) : stored; // [., ., in, out]
  const bias = take(filters);
  const run = (x) => {
    const sums = new Float64Array(sizeOf(shape));
    for (let i = 0; i < sums.length; i++) sums[i] = bias[i % filters];
    for (let pixel = 0; pixel < rows * columns; pixel++) {
      const active = nonzero(x, pixel * channels, channels);
      if (active.length === 0) continue;
      for (const { tap: tapDown, out: y } of down[Math.floor(pixel / columns)]) {
        for (const { tap, out } of across[pixel % columns]) {
          const to = (y * shape[1] + out) * filters;
          const from = (tapDown * kernel[1] + tap) * channels * filters;
          for (const c of active) {
            addMultiple(sums, to, x[pixel * channels + c], weights, from + c * filters, filters);
          }
        }
      }
    }
    return activated(sums, activation);
  };
  return { shape, run };
}

/** Which of `count` values from `start` are not zero: few, after a ReLU. */
function nonzero(x, start, count) {
  const found = [];
  for (let i = 0; i < count; i++) if (x[start + i] !== 0) found.push(i);
  return found;
}

/** For each input position along one axis: the kernel's taps and the outputs that they reach. */
function axisTaps(inputs, outputs, kernel, stride, transposed) {
  const [small, large] = transposed ? [inputs, outputs] : [outputs, inputs];
  const before = Math.floor(Math.max((small - 1) * stride + kernel - large, 0) / 2);
  const taps = Array.from({ length: inputs }, () => []);
  for (let position = 0; position < small; position++) {
    for (let tap = 0; tap < kernel; tap++) {
      const other = position * stride + tap - before; // on the larger side
      if (other < 0 || other >= large) continue;
      if (transposed) taps[position].push({ tap, out: other });
      else taps[other].push({ tap, out: position });
    }
  }
  return taps;
}

/** [..., a, b] -> [..., b, a] */
function swapLastAxes(values, a, b) {
  const swapped = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += a * b) {
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) swapped[start + j * a + i] = values[start + i * b + j];
    }
  }
  return swapped;
}

/** The top left corner of an image. */
function cropLayer({ shape }, [, columns, channels]) {
  const width = shape[1] * channels;
  const run = (x) => {
    const cropped = new Float32Array(sizeOf(shape));
    for (let y = 0; y < shape[0]; y++) {
      cropped.set(x.subarray(y * columns * channels, y * columns * channels + width), y * width);
    }
    return cropped;
  };
  return { shape, run };
}

function addMultiple(sums, to, factor, values, from, count) {
  for (let i = 0; i < count; i++) sums[to + i] += factor * values[from + i];
}

function activated(sums, activation) {
  if (activation === "relu") {
    for (let i = 0; i < sums.length; i++) if (sums[i] < 0) sums[i] = 0;
  }
  return new Float32Array(sums);
}

// --- heads: the mean and the bounded log variance of Gaussians

const LOGVAR_BOUNDS = {
  wide: (raw) => 12 * Math.tanh(raw / 12),
  thesis: (raw) => Math.log(Math.log1p(Math.exp(5 * Math.tanh(raw))) + 0.1),
};

function gaussianHeads({ shape, bound }, inputs, take) {
  const output = { units: sizeOf(shape) };
  const mean = denseLayer(output, inputs, take);
  const raw = denseLayer(output, inputs, take);
  return (x) => ({ mean: mean.run(x), logvar: raw.run(x).map(LOGVAR_BOUNDS[bound]) });
}
