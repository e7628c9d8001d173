// Inference for one image, and the terms of its ELBO in nats: vae_gmvae/models, in JavaScript.
import { klCategoricalUniform, klStandardNormal, logNormal, logSoftmax, logSumExp, logBernoulli, reparameterise, softmax } from "./densities.js";
import { sigmoid } from "./networks.js";

/**
 * What a model says of one image x [H*W*C] at the noise eps {z, w}.
 *
 * @param networks by name, of loadNetworks.
 * @param about the explorer's trait: likelihood, x_logvar, z_dim, num_clusters.
 * @param prior {y_prior, density} and, of a fixed mixture, {means [K][z_dim], logvar}.
 * @param bayes take p(y|w,z) by Bayes' rule even where there is a network for it.
 * @returns {q: {z, w}, z, w, x_mean, y_prob, excess, terms}; terms by their names in notation.md.
 *   excess is KL(p(y|w,z) || Bayes' rule), nats.
 */
export function infer(networks, about, prior, x, eps, bayes) {
  const q = { z: networks.encoder_z(x) };
  const z = reparameterise(q.z.mean, q.z.logvar, eps.z);
  const logits = networks.decoder_x(z);
  const found = { q, z, x_mean: sigmoid(logits) };
  const terms = { reconstruction: logLikelihood(about, x, logits, found.x_mean) };
  if (networks.prior_z) addMixture(found, terms, networks, about, prior, x, eps, bayes);
  else if (prior.means) addFixedMixture(found, terms, prior);
  else terms.z_prior = klStandardNormal(q.z.mean, q.z.logvar);
  const costs = Object.values(terms).slice(1);
  terms.elbo = costs.reduce((sum, cost) => sum - cost, terms.reconstruction);
  return { ...found, terms };
}

function logLikelihood({ likelihood, x_logvar }, x, logits, mean) {
  if (likelihood === "bernoulli") return logBernoulli(x, logits);
  return logNormal(x, mean, new Float64Array(mean.length).fill(x_logvar));
}

/** log N(z; mean_k, exp(logvar_k)), [K]; means and logvars [K * z_dim]. */
function logComponents(z, { mean, logvar }) {
  const D = z.length, row = (a, k) => a.subarray(k * D, (k + 1) * D);
  return Float64Array.from({ length: mean.length / D }, (_, k) => logNormal(z, row(mean, k), row(logvar, k)));
}

function addMixture(found, terms, networks, { y_posterior }, prior, x, eps, bayes) {
  const { q, z } = found;
  q.w = networks.encoder_w(x);
  const w = (found.w = reparameterise(q.w.mean, q.w.logvar, eps.w));
  const logPz = logComponents(z, networks.prior_z(w));
  const own = y_posterior === "network" && !bayes;
  const logits = own ? networks.classifier_y([...z, ...w]) : logPz;
  const logY = logSoftmax(logits), logBayes = logSoftmax(logPz);
  const y = (found.y_prob = softmax(logits));
  const mean = (f) => y.reduce((sum, p, k) => sum + (p ? p * f(k) : 0), 0);
  found.excess = mean((k) => logY[k] - logBayes[k]);
  terms.conditional_prior = logNormal(z, q.z.mean, q.z.logvar) - mean((k) => logPz[k]);
  terms.w_prior = klStandardNormal(q.w.mean, q.w.logvar);
  const reversed = () => -logY.reduce((sum, v) => sum + v, 0) / y.length - Math.log(y.length);
  terms.y_prior = prior.y_prior === "reversed" ? reversed() : klCategoricalUniform(logits);
}

function addFixedMixture(found, terms, { means, logvar, density }) {
  const { q, z } = found;
  const mean = Float64Array.from(means.flat());
  const logPz = logComponents(z, { mean, logvar: new Float64Array(mean.length).fill(logvar) });
  found.y_prob = softmax(logPz);
  const joint = logPz.map((v) => v - Math.log(logPz.length));
  const naive = () => Math.log(joint.reduce((sum, v) => sum + Math.fround(Math.exp(v)), 0));
  terms.z_prior = logNormal(z, q.z.mean, q.z.logvar) - (density === "naive" ? naive() : logSumExp(joint));
}
