"""The networks that run in the browser compute what Keras computes."""

import json
import math
import re

import javascript
import keras
import numpy as np
import oracles
import pytest
import toys
from scipy import special, stats

from vae_gmvae import load_reference, runs
from vae_gmvae.models import MixturePriorVAE
from vae_gmvae.reference import PAIRS
from vae_gmvae.widgets import networks

TOLERANCE = 1e-5
STORED_PIXEL = 2e-3  # of what the book publishes
ROUNDED_PIXEL = 8e-3  # how far rounding to float16 may move a pixel of any other run
NUM = 6  # inputs for each network

# Shapes that two halvings do not divide, colours, deep and shallow stacks, and every option that
# changes a network: options of the toy, shape of its images.
TOYS = {
    "dense-odd": (dict(model_name="model1", num_layers=1), (9, 7, 3)),
    "dense-thesis": (dict(model_name="model4_bias", variance_bound="thesis"), (28, 20, 1)),
    "conv-odd": (dict(model_name="model2", num_layers=3), (30, 21, 1)),
    "conv-colour": (dict(model_name="model5", variance_bound="thesis"), (13, 11, 3)),
    "conv-bayes": (dict(model_name="model5", y_posterior="bayes", num_layers=1), (4, 5, 1)),
    "dropout": (dict(model_name="model5", dropout=0.5, num_layers=4), (12, 8, 1)),
}


def model_of(name):
    if name in TOYS:
        options, shape = TOYS[name]
        return toys.scrambled(toys.toy(shape=shape, **options))
    return load_reference(*name.rsplit("_", 1)).model


RUNS = ["_".join(pair) for pair in PAIRS]
MODELS = [*RUNS, *TOYS]
EXPORTS = ["decoder_x", "encoder_z", "encoder_w", "prior_z", "classifier_y"]


def inputs_of(model, name, seed=0):
    """Inputs [NUM, ...] as a reader would give them, and some that nobody would."""
    rng = np.random.default_rng(seed)
    if name in ("encoder_z", "encoder_w"):
        z = keras.ops.convert_to_tensor(codes(model, rng)[:3])
        noise = rng.random((NUM - 5, *model.image_shape), "float32")
        plain = np.stack([np.zeros_like(noise[0]), np.ones_like(noise[0])])
        return np.concatenate([np.asarray(model.decode_x(z)), noise, plain])
    if name == "decoder_x":
        return codes(model, rng)
    w = rng.standard_normal((NUM, model.config.w_dim)) * np.linspace(0, 3, NUM)[:, None]
    parts = [codes(model, rng), w] if name == "classifier_y" else [w]
    return np.concatenate(parts, axis=1).astype("float32")


def codes(model, rng):
    """z [NUM, z_dim]: samples of the prior, the origin, and far away."""
    drawn = np.array(model.sample_z(NUM, seed=1))
    drawn[-2:] = np.stack(
        [np.zeros(model.config.z_dim), 5 * rng.standard_normal(model.config.z_dim)]
    )
    return drawn.astype("float32")


def computed_by_keras(model, name, x):
    """[NUM, outputs]; a head's mean first, then its log variance."""
    outputs = getattr(model, networks.PARTS[name])(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return np.concatenate([np.reshape(y, (len(x), -1)) for y in outputs], axis=1)


def case_of(model, name, dtype, x):
    spec, arrays = networks.export(getattr(model, networks.PARTS[name]), dtype)
    return spec, networks.pack(arrays), x


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """{(model, network): (JavaScript's outputs, from float16 weights, Keras's outputs)}."""
    javascript.node()
    cases, expected = {}, {}
    for model_name in MODELS:
        model = model_of(model_name)
        for name in networks.network_names(model):
            x = inputs_of(model, name)
            expected[model_name, name] = computed_by_keras(model, name, x)
            for dtype in networks.DTYPES:
                cases[f"{model_name}.{name}.{dtype}"] = case_of(model, name, dtype, x)
    found = javascript.run_networks(cases, tmp_path_factory.mktemp("golden"))
    return {
        key: (found["{}.{}.float32".format(*key)], found["{}.{}.float16".format(*key)], keras_says)
        for key, keras_says in expected.items()
    }


def error(found, expected) -> float:
    """The largest difference of an output vector, in units of its largest value but at least 1.

    So it is absolute for probabilities and for values of order one, and relative for logits and
    means of tens or hundreds, which float32 holds to seven digits.
    """
    scale = np.maximum(1, np.abs(expected).max(axis=1, keepdims=True))
    return np.max(np.abs(found - expected) / scale)


@pytest.mark.parametrize("model_name", MODELS)
def test_networks_compute_what_keras_computes(golden, model_name):
    keys = [key for key in golden if key[0] == model_name]
    assert keys
    for key in keys:
        found, _, expected = golden[key]
        assert found.shape == expected.shape
        assert error(found, expected) <= TOLERANCE, key


@pytest.mark.parametrize("model_name", MODELS)
def test_pixels_and_probabilities(golden, model_name):
    """What the reader sees, absolutely: p(x|z)'s means and p(y|w,z)."""
    found, _, expected = golden[model_name, "decoder_x"]
    assert np.abs(special.expit(found) - special.expit(expected)).max() <= TOLERANCE
    if (model_name, "classifier_y") in golden:
        found, _, expected = (special.softmax(y, -1) for y in golden[model_name, "classifier_y"])
        assert np.abs(found - expected).max() <= TOLERANCE


@pytest.mark.parametrize("run_name", RUNS)
def test_float16_loses_nothing_of_a_reference_run(golden, run_name):
    """Its weights are stored in float16 already."""
    for key in golden:
        if key[0] == run_name:
            found, from_float16, _ = golden[key]
            np.testing.assert_array_equal(found, from_float16)
    _, stored, expected = map(special.expit, golden[run_name, "decoder_x"])
    assert np.abs(stored - expected).max() <= STORED_PIXEL


def test_every_network_of_every_model_is_compared(golden):
    networks_in = {
        "model1": EXPORTS[:2], "model2": EXPORTS[:2], "model3": EXPORTS[:2],
        "model4_bias": EXPORTS, "model5": EXPORTS,
    }  # fmt: skip
    for model_name, dataset_name in PAIRS:
        compared = {name for run, name in golden if run == f"{model_name}_{dataset_name}"}
        assert compared == set(networks_in[model_name])


@pytest.fixture(scope="module")
def rounded(tmp_path_factory):
    """Pixels [NUM, outputs] of decoders whose weights float16 must round, and Keras's."""
    cases, expected = {}, []
    for run_name in ("model1_MNIST", "model5_MNIST", "model4_bias_FREY", "model2_FREY"):
        model = model_of(run_name)
        rng = np.random.default_rng(0)
        for weight in model.trainable_variables:  # anywhere between two neighbours in float16
            array = np.asarray(weight)
            weight.assign(array * (1 + rng.uniform(-(2**-11), 2**-11, array.shape)))
        x = inputs_of(model, "decoder_x")
        expected.append(special.expit(computed_by_keras(model, "decoder_x", x)))
        cases[run_name] = case_of(model, "decoder_x", "float16", x)
    found = javascript.run_networks(cases, tmp_path_factory.mktemp("rounded"))
    return [(special.expit(found[name]), y) for name, y in zip(cases, expected)]


def test_rounding_moves_pixels_little(rounded):
    for found, expected in rounded:
        off = np.abs(found - expected)
        assert 1e-5 < off.max() <= ROUNDED_PIXEL and off.mean() <= ROUNDED_PIXEL / 20


def test_a_bfloat16_network_is_computed_in_float32(tmp_path):
    """Keras's own values have bfloat16's three digits; the browser's are those of float32."""
    coarse = toys.scrambled(toys.toy("model5", (12, 8, 1), precision="bfloat16"))
    exact = toys.toy("model5", (12, 8, 1))
    runs.set_weights(exact, runs.get_weights(coarse))
    x = inputs_of(exact, "encoder_z")
    (found,) = javascript.run_networks(
        {"encoder": case_of(coarse, "encoder_z", "float32", x)}, tmp_path
    ).values()
    assert error(found, computed_by_keras(exact, "encoder_z", x)) <= TOLERANCE
    off = error(found, computed_by_keras(coarse, "encoder_z", x))
    assert TOLERANCE < off <= 2**-6


# --- p(y|w,z) as an explorer puts it together: networks, densities, concatenation

BAYES = """
import { readFileSync } from "node:fs";
import { loadNetwork, sigmoid } from "./networks.mjs";
import { logNormal, softmax } from "./densities.mjs";

const { prior, classifier, z, w } = JSON.parse(readFileSync("case.json"));
const { mean, logvar } = (await loadNetwork(prior, readFileSync("prior.weights")))(w);
const parts = (values) => Array.from({ length: values.length / z.length },
  (_, k) => values.subarray(k * z.length, (k + 1) * z.length));
const variances = parts(logvar);
const bayes = softmax(parts(mean).map((m, k) => logNormal(z, m, variances[k])));
const logits = (await loadNetwork(classifier, readFileSync("classifier.weights")))([...z, ...w]);
console.log(JSON.stringify([[...bayes], [...softmax(logits)], [...sigmoid([-800, 0, 800])]]));
"""


@pytest.mark.parametrize("model_name", ["model4_bias", "model5"])
def test_p_y_given_w_z(model_name, tmp_path):
    model = toys.scrambled(toys.toy(model_name))
    z, w = (np.random.default_rng(i).standard_normal((1, 2)).astype("float32") for i in (0, 1))
    case = {"z": z[0].tolist(), "w": w[0].tolist()}
    for name in ("prior", "classifier"):
        case[name], arrays = networks.export(getattr(model, name), "float32")
        (tmp_path / f"{name}.weights").write_bytes(networks.pack(arrays))
    (tmp_path / "case.json").write_text(json.dumps(case))
    bayes, network, ends = json.loads(javascript.run_script(BAYES, tmp_path))
    assert ends == [0, 0.5, 1]
    for found, logits in (bayes, model.y_posterior(z, w)), (network, model.classify_y(z, w)):
        np.testing.assert_allclose(found, special.softmax(logits[0]), rtol=0, atol=TOLERANCE)


# --- densities.js


def vectors(seed, count, size=7, scale=3.0):
    rng = np.random.default_rng(seed)
    return [scale * rng.standard_normal(size) for _ in range(count)]


def density_calls():
    """(function, arguments, expected) for each density, at ordinary and at extreme values."""
    x, mean, logvar = vectors(0, 3)
    wide = np.linspace(-12, 12, 7)
    grey, logits = np.linspace(0, 1, 7), vectors(1, 1, scale=20)[0]
    extreme = np.array([-800.0, 800, 0, 1e-9, -1e-9, 30, -30])
    uniform, far = np.zeros(7), 1e4 + np.arange(7.0)
    yield from (
        (("logNormal", [x, mean, v]), oracles.log_normal(x, mean, v)) for v in (logvar, wide)
    )
    yield ("logStandardNormal", [x]), oracles.log_standard_normal(x)
    for these in (logits, extreme):
        yield ("logBernoulli", [grey, these]), oracles.log_bernoulli(grey, these)
    for v in (logvar, wide, 0 * logvar):
        yield ("klStandardNormal", [mean, v]), oracles.kl_standard_normal(mean, v)
    for these in (x, extreme, far, -far, uniform):
        yield ("logSumExp", [these]), special.logsumexp(these)
        yield ("logSoftmax", [these]), special.log_softmax(these)
        yield ("softmax", [these]), special.softmax(these)
    for these in (x, uniform, far):
        yield ("klCategoricalUniform", [these]), oracles.kl_categorical(these, uniform)
    yield ("klCategoricalUniform", [extreme]), math.log(7)
    yield ("reparameterise", [mean, logvar, x]), mean + np.exp(logvar / 2) * x


def test_densities_equal_scipys(tmp_path):
    calls, expected = zip(*density_calls())
    plain = [("densities", name, [a.tolist() for a in arguments]) for name, arguments in calls]
    for (name, _), found, value in zip(calls, javascript.call(plain, tmp_path), expected):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_sure_pixel_keeps_its_digits(tmp_path):
    """log(1 + e) would lose a small e beside the 1."""
    (found,) = javascript.call([("densities", "logBernoulli", [[0], [-40]])], tmp_path)
    np.testing.assert_allclose(found, -math.exp(-40), rtol=1e-12)


def test_normals_are_normal_and_repeat(tmp_path):
    seeds = [0, 1, 2**32 - 1]
    calls = [("densities", "normals", [20_001, seed]) for seed in seeds]
    calls += [("densities", "normals", [n, 0]) for n in (20_001, 5, 0)]
    *samples, again, few, none = javascript.call(calls, tmp_path)
    assert again == samples[0] and few == samples[0][:5] and none == []
    for sample in samples:
        assert stats.kstest(sample, "norm").pvalue > 0.001
        neighbours = np.corrcoef(sample[:-1], sample[1:])[0, 1]
        assert abs(neighbours) < 5 / math.sqrt(len(sample))
    assert len({sample[0] for sample in samples}) == 3


# --- what goes out


def test_what_a_model_lacks_is_named():
    class Vae:
        model = toys.shared("model1")

    with pytest.raises(ValueError, match="model1 has no network 'prior_z': decoder_x, encoder_z"):
        networks.networks_of(Vae, "decoder_x", "prior_z")
    with pytest.raises(ValueError, match="'sharpener'.*decoder_x"):
        networks.networks_of(Vae, "sharpener")
    with pytest.raises(ValueError, match="float8.*float16, float32"):
        networks.networks_of(Vae, dtype="float8")
    assert list(networks.networks_of(Vae)) == ["decoder_x", "encoder_z"]


def test_bayes_rule_needs_no_network():
    model = toys.shared("model5", y_posterior="bayes")
    assert networks.network_names(model) == EXPORTS[:-1]
    assert not isinstance(model, MixturePriorVAE)


def test_a_weight_beyond_float16_is_refused():
    model = toys.toy("model1")
    kernel = model.decoder.layers[-2].kernel
    kernel.assign(np.asarray(kernel) + 1e5)
    with pytest.raises(ValueError, match="output/kernel.*not finite in float16"):
        networks.export(model.decoder)
    networks.export(model.decoder, "float32")


@pytest.mark.parametrize(
    "layer, message",
    [
        (keras.layers.Dense(3, activation="gelu"), "relu or no activation"),
        (keras.layers.Dense(3, use_bias=False), "without a bias"),
        (keras.layers.Conv2D(3, 2), "'same' only"),
        (keras.layers.Conv2D(3, 2, padding="same", dilation_rate=2), "'same' only"),
        (keras.layers.MaxPooling2D(name="pool"), "no layer like pool"),
    ],
)  # fmt: skip
def test_a_layer_unknown_to_the_script_is_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        networks.export(keras.Sequential([keras.Input((4, 4, 1)), layer]))


def test_wrong_inputs_are_refused_in_javascript(tmp_path):
    spec, arrays = networks.export(toys.shared("model1").decoder)
    script = """
    import { readFileSync } from "node:fs";
    import { loadNetwork } from "./networks.mjs";
    const spec = JSON.parse(readFileSync("spec.json"));
    const told = async (what) => { try { await what(); } catch (e) { console.log(e.message); } };
    await told(async () => (await loadNetwork(spec, readFileSync("weights")))([1, 2, 3]));
    await told(() => loadNetwork({ ...spec, dtype: "int8" }, readFileSync("weights")));
    spec.layers.pop();
    spec.layers.pop();
    await told(() => loadNetwork(spec, readFileSync("weights")));
    """
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    (tmp_path / "weights").write_bytes(networks.pack(arrays))
    inputs, dtype, weights = javascript.run_script(script, tmp_path).splitlines()
    assert inputs == "expected 2 inputs, not 3"
    assert dtype == "weights in int8: expected float16 or float32"
    assert re.fullmatch(r"the network takes 24 weights, but \d+ were given", weights)
