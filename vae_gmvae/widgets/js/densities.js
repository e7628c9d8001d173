/**
 * Log densities and divergences in nats: vae_gmvae/distributions.py once more, for one image.
 *
 * Vectors are arrays of numbers [D]; a Gaussian is a mean [D] and a log variance [D] with diagonal
 * covariance; a categorical is its logits [K]. Every sum is over the whole vector, in float64. All
 * numbers given are finite.
 */

const LOG_2PI = Math.log(2 * Math.PI);

/** sum_i term(i) for i = 0 .. count - 1. */
function total(count, term) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += term(i);
  return sum;
}

/** log N(x; mean, diag(exp(logvar))). A mean longer than x is cut: pass subarrays for one of K. */
export function logNormal(x, mean, logvar) {
  const term = (i) => LOG_2PI + logvar[i] + (x[i] - mean[i]) ** 2 * Math.exp(-logvar[i]);
  return -0.5 * total(x.length, term);
}

/** log N(x; 0, I). */
export function logStandardNormal(x) {
  return -0.5 * total(x.length, (i) => LOG_2PI + x[i] ** 2);
}

/** log p(x) of independent Bernoullis; x may be any grey level in [0, 1]. */
export function logBernoulli(x, logits) {
  return total(x.length, (i) => x[i] * logits[i] - softplus(logits[i]));
}

/** log(1 + exp(value)), for values of any size. */
function softplus(value) {
  return Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
}

/** KL(N(mean, diag(exp(logvar))) || N(0, I)). */
export function klStandardNormal(mean, logvar) {
  const term = (i) => Math.expm1(logvar[i]) - logvar[i] + mean[i] ** 2;
  return 0.5 * total(mean.length, term);
}

/** log sum_i exp(a_i), without overflow. */
export function logSumExp(a) {
  const largest = a.reduce((one, other) => Math.max(one, other), -Infinity);
  return largest + Math.log(total(a.length, (i) => Math.exp(a[i] - largest)));
}

/** Log probabilities of a categorical, Float64Array [K]. */
export function logSoftmax(logits) {
  const normaliser = logSumExp(logits);
  return Float64Array.from(logits, (logit) => logit - normaliser);
}

/** Probabilities of a categorical, Float64Array [K]. */
export function softmax(logits) {
  return logSoftmax(logits).map(Math.exp);
}

/** KL(softmax(logits) || uniform), from 0 to log K. */
export function klCategoricalUniform(logits) {
  const logs = logSoftmax(logits);
  return Math.log(logs.length) + total(logs.length, (i) => Math.exp(logs[i]) * logs[i]);
}

/** mean + exp(logvar / 2) * eps: a sample of the Gaussian from noise eps, Float64Array [D]. */
export function reparameterise(mean, logvar, eps) {
  return Float64Array.from(mean, (value, i) => value + Math.exp(0.5 * logvar[i]) * eps[i]);
}

/** Standard normals by Box and Muller, the same for the same seed, Float64Array [n]. */
export function normals(n, seed) {
  const uniform = uniforms(seed);
  const pair = () => [Math.sqrt(-2 * Math.log(1 - uniform())), 2 * Math.PI * uniform()];
  const values = new Float64Array(n);
  for (let i = 0; i < n; i += 2) {
    const [radius, angle] = pair();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < n) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** A generator of numbers in [0, 1): mulberry32, a small one of 32 bits. */
function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
