"""The InferenceExplorer: the terms of the ELBO, what Python sees, the page."""

import json

import chrome
import explorer_page
import javascript
import keras
import numpy as np
import pytest
import toys
import trainings
import traitlets
from scipy import ndimage

from vae_gmvae import load_reference, runs
from vae_gmvae.models import Latents
from vae_gmvae.widgets import InferenceExplorer
from vae_gmvae.widgets.inference import SAMPLES, _noise, _prior
from vae_gmvae.widgets.networks import network_names, networks_of

# Keras adds up the 784 pixels of a reconstruction in float32 and the page in float64: a float32
# sum of that many terms is off by about sqrt(784) * 6e-8, relative to the sum of their sizes.
# The networks agree within 1e-5 (test_widget_networks.py); a variance of 0.01 makes that 1e-3.
RELATIVE, ABSOLUTE = 1e-5, 1e-3


# --- the terms


SCRIPT = """
import { readFileSync } from "node:fs";
import { loadNetwork } from "./networks.mjs";
import { infer } from "./elbo.mjs";
const told = [];
for (const { name, specs, about, prior, cases } of JSON.parse(readFileSync("models.json"))) {
  const networks = {};
  for (const [part, spec] of Object.entries(specs))
    networks[part] = await loadNetwork(spec, readFileSync(`${name}.${part}`));
  told.push(cases.map(({ x, eps, bayes }) => {
    const found = infer(networks, about, prior, x, eps, bayes);
    const list = (a) => a && Array.from(a);
    const { terms, excess } = found;
    return { terms, excess, y_prob: list(found.y_prob), x_mean: list(found.x_mean) };
  }));
}
console.log(JSON.stringify(told));
"""

REFERENCES = ["model1_MNIST", "model3_MNIST", "model4_bias_MNIST", "model5_FREY", "model5_MNIST"]
TOYS = {
    "bayes": dict(model_name="model5", y_posterior="bayes"),
    "bernoulli": dict(model_name="model4_bias", likelihood="bernoulli"),
    "reversed": dict(model_name="model4_bias", y_prior="reversed"),
    "fixed": dict(model_name="model3", mixture_density="naive", z_dim=3, num_clusters=4),
}
CASES = [*REFERENCES, *TOYS]


def run_of(name) -> runs.Run:
    if name in TOYS:
        model = toys.scrambled(toys.toy(shape=(8, 9, 1), **TOYS[name]), scale=0.1)
        return runs.Run(model.config, model)
    return load_reference(*name.rsplit("_", 1))


def images_of(model):
    """Samples of the model and noise, as files keep them, [4, H, W, C]."""
    noise = np.random.default_rng(0).random((1, *model.image_shape))
    x = np.concatenate([np.asarray(model.sample(3, seed=1)), noise])
    return (np.round(255 * x) / 255).astype("float32")


def noises(config, count=4):
    told = _noise(config, seed=3)
    names = [name for name in ("z", "w") if name in told]
    eps = [{name: told[name][i] for name in names} for i in range(count)]
    eps[1] = {name: [0.0] * len(told[name][0]) for name in names}  # at the mean
    return eps


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """By model: the run, its images, the noise, and what the script says of both posteriors."""
    folder, told, kept = tmp_path_factory.mktemp("terms"), [], {}
    for name in CASES:
        run = run_of(name)
        explorer = InferenceExplorer(run)
        dtype = "float32" if name in TOYS else "float16"
        networks = networks_of(run, *network_names(run.model), dtype=dtype)
        for part, network in networks.items():
            (folder / f"{name}.{part}").write_bytes(network.data)
        x, eps = images_of(run.model), noises(run.config)
        cases = [
            {"x": image.ravel().tolist(), "eps": e, "bayes": bayes}
            for bayes in (False, True)
            for image, e in zip(x, eps)
        ]
        specs = {part: network.spec for part, network in networks.items()}
        told.append(
            dict(name=name, specs=specs, about=explorer.about, prior=_prior(run), cases=cases)
        )
        kept[name] = run, x, eps
    (folder / "models.json").write_text(json.dumps(told))
    found = json.loads(javascript.run_script(SCRIPT, folder))
    return {
        name: (*kept[name], {"own": said[:4], "bayes": said[4:]})
        for name, said in zip(CASES, found, strict=True)
    }


def by_keras(model, x, eps):
    """The terms, each [B], of Keras."""
    latents = Latents(*(np.float32([e[name] for e in eps]) for name in eps[0]))
    terms = model.terms_given(keras.ops.convert_to_tensor(x), model.encode(x), latents)
    return {
        name: np.asarray(value) for name, value in (terms._asdict() | {"elbo": terms.elbo}).items()
    }


def assert_same_terms(found: list[dict], expected: dict):
    assert list(found[0]["terms"]) == list(expected)  # the names of notation.md, in their order
    for name, values in expected.items():
        mine = [case["terms"][name] for case in found]
        whole = expected.values() if name == "elbo" else [values]
        margin = ABSOLUTE + RELATIVE * np.sum(np.abs(list(whole)), axis=0)
        assert (np.abs(mine - values) <= margin).all(), f"{name}: {mine} is not {values}"


@pytest.mark.parametrize("name", CASES)
def test_terms_are_those_of_keras(computed, name):
    run, x, eps, found = computed[name]
    assert_same_terms(found["own"], by_keras(run.model, x, eps))


@pytest.mark.parametrize("name", ["model4_bias_MNIST", "model5_FREY", "bernoulli"])
def test_terms_by_bayes_rule(computed, name):
    """Those of the model without its y network; the network costs exactly the KL to Bayes' rule."""
    run, x, eps, found = computed[name]
    twin = toys.copy(run.model, y_posterior="bayes")
    twin.x_logvar.assign(run.model.x_logvar)
    assert_same_terms(found["bayes"], by_keras(twin, x, eps))
    for own, bayes in zip(found["own"], found["bayes"]):
        cost = bayes["terms"]["elbo"] - own["terms"]["elbo"]
        assert own["excess"] == pytest.approx(cost, abs=1e-6) and own["excess"] > 0
        assert bayes["excess"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_mean_and_the_clusters_are_those_of_keras(computed, name):
    run, x, eps, found = computed[name]
    at_mean = found["own"][1]  # the second case has no noise
    decoded = np.asarray(run.model.reconstruct(x[1:2])).ravel()
    np.testing.assert_allclose(at_mean["x_mean"], decoded, atol=1e-4)
    if run.config.is_gmvae or run.config.model_name == "model3":
        expected = np.asarray(run.model.responsibilities(x[1:2]))[0]
        np.testing.assert_allclose(at_mean["y_prob"], expected, atol=1e-4)
    else:
        assert "y_prob" not in at_mean


# --- from Python


@pytest.fixture
def explorer():
    run = run_of("bernoulli")
    return InferenceExplorer(run, trainings.dataset((8, 9, 1)))


def test_it_starts_with_a_test_image(explorer):
    data = trainings.dataset((8, 9, 1))
    assert explorer.x.shape == (8, 9, 1) and len(explorer.example_names) == 20
    distance = np.abs(data.test.x - explorer.x).max(axis=(1, 2, 3))
    row = int(distance.argmin())
    assert distance[row] <= 0.5 / 255 + 1e-6
    assert explorer.example_names[0] == f"test image {row}, a {data.test.labels[row]}"
    labels = [int(name[-1]) for name in explorer.example_names]
    assert labels[:6] == [0, 1, 2, 0, 1, 2]
    assert explorer.prepare is None  # these are no handwritten digits


def test_eps_is_what_the_model_takes(explorer):
    eps = explorer.eps()
    assert eps.z.shape == (1, 2) and eps.w.shape == (1, 2) and np.any(eps.z)
    explorer.sample = 2
    assert np.any(explorer.eps().z != eps.z)
    explorer.sample = 0
    assert not np.any(explorer.eps().z) and not np.any(explorer.eps().w)


def test_wrong_values_are_refused(explorer):
    with pytest.raises(traitlets.TraitError, match=r"shape \(8, 9, 1\)"):
        explorer.x = np.zeros((28, 28, 1))
    with pytest.raises(traitlets.TraitError, match=str(SAMPLES)):
        explorer.sample = SAMPLES + 1


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*\(8, 9, 1\)"):
        InferenceExplorer(run_of("bernoulli"), trainings.dataset((8, 8, 1)))


def test_without_data_the_examples_are_samples_of_the_model():
    explorer = InferenceExplorer(run_of("fixed"))
    assert explorer.example_names[0] == "sample 1 of the model"
    assert len(explorer.examples) == 20 * 8 * 9


def test_a_static_picture(explorer):
    assert explorer.picture().get_figwidth() > 6


# --- the page

MIXTURE = ["conditional_prior", "w_prior", "y_prior"]
FIELDS = {"model1": ["z_prior"], "model3": ["z_prior"], "model4_bias": MIXTURE, "model5": MIXTURE}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By model: the explorer and its page."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for name in ("model4_bias_MNIST", "model5_FREY", "model1_MNIST", "model3_MNIST"):
        explorer = InferenceExplorer(run_of(name))
        found[name] = explorer, explorer_page.write_page(folder / f"{name}.html", explorer)
    return found


@pytest.fixture
def visit(browser, made):
    """visit(model, width=...) -> Visit; in the end no console may have spoken."""
    visits = []

    def open_(name, **options):
        explorer, path = made[name]
        visits.append(Visit(explorer, explorer_page.open_page(browser, path, **options)))
        return visits[-1]

    yield open_
    for one in visits:
        one.page.context.close()
        assert one.page.complaints == []


class Visit:
    """An explorer in a page, and the explorer that made it brought to the page's state."""

    def __init__(self, explorer, page):
        self.explorer, self.page = explorer, page

    def trait(self, name):
        return self.page.evaluate(
            "([id, name]) => models[id].saved[name]", [self.explorer.model_id, name]
        )

    def assign(self, name, value):
        self.page.evaluate("(all) => assign(...all)", [self.explorer.model_id, name, value])
        self.settle()

    def settle(self):
        self.page.evaluate(
            "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )

    def pixels(self, image):
        shape = self.explorer.about["image_shape"]
        found = self.page.evaluate(
            f"Array.from(document.querySelector('[data-image={image}]').pixels)"
        )
        return np.float32(found).reshape(shape)

    def values(self, selector):
        """data-value of the elements, in their order."""
        script = f"[...document.querySelectorAll('{selector}')].map((e) => Number(e.dataset.value))"
        return self.page.evaluate(script)

    def terms(self):
        names = ["reconstruction", *FIELDS[self.explorer.about["model_name"]], "elbo"]
        return dict(zip(names, self.values("[data-term]"), strict=True))

    def bars(self):
        return self.values(".vx-bars [data-value]")

    def draw(self, *points):
        box = self.page.locator("[data-image=pad]").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()
        self.settle()

    def check(self, bayes=False):
        """What the page shows is what Keras gives for the x and at the noise that it shows."""
        state = {
            name: self.page.evaluate(
                "([id, n]) => models[id].get(n)", [self.explorer.model_id, name]
            )
            for name in ("x", "sample")
        }
        self.explorer.set_state(state)
        model, x, eps = self.explorer.run.model, self.explorer.x[None], self.explorer.eps()
        np.testing.assert_allclose(self.pixels("x"), x[0], atol=1e-7)
        if bayes:
            model = toys.copy(model, y_posterior="bayes")
            model.x_logvar.assign(self.explorer.run.model.x_logvar)
        told = {name: eps_[0].tolist() for name, eps_ in eps._asdict().items() if eps_ is not None}
        assert_same_terms([{"terms": self.terms()}], by_keras(model, x, [told]))
        q = model.encode(x)
        z = q.z.mean + np.exp(0.5 * q.z.logvar) * eps.z
        np.testing.assert_allclose(
            self.pixels("decoded"), np.asarray(model.decode_x(z))[0], atol=1e-4
        )
        inside = "(e) => e.scrollWidth <= e.clientWidth"
        assert self.page.locator(".vx-explorer").evaluate(inside)  # nothing sticks out of the frame
        results = self.trait("results")
        np.testing.assert_allclose(results["z_mean"], np.asarray(q.z.mean)[0], atol=1e-4)
        if model.config.is_gmvae:
            w = q.w.mean + np.exp(0.5 * q.w.logvar) * eps.w
            y = np.asarray(keras.ops.softmax(model.classify_y(z, w)))[0]
            np.testing.assert_allclose(self.bars(), y, atol=1e-4)
            np.testing.assert_allclose(results["y_prob"], y, atol=1e-4)


STROKE = [(0.2, 0.15), (0.45, 0.1), (0.5, 0.3), (0.35, 0.45), (0.55, 0.6), (0.2, 0.7)]


@pytest.mark.parametrize(
    "name", ["model4_bias_MNIST", "model5_FREY", "model1_MNIST", "model3_MNIST"]
)
class TestPage:
    pytestmark = chrome.needs_browser

    def test_a_stroke_is_inferred(self, visit, name):
        page = visit(name)
        page.check()
        before = page.terms(), page.pixels("decoded"), page.pixels("x")
        page.draw(*STROKE)
        page.check()
        assert page.terms()["elbo"] != before[0]["elbo"]
        assert np.abs(page.pixels("decoded") - before[1]).max() > 0.1
        assert np.abs(np.float32(page.trait("x")) - page.pixels("x")).max() < 1e-7  # Python has it

    def test_examples_by_keyboard(self, visit, name):
        page = visit(name)
        page.page.locator(".vx-examples input").first.focus()
        page.page.keyboard.press("ArrowRight")
        page.page.keyboard.press("ArrowRight")
        page.settle()
        images = np.frombuffer(page.explorer.examples, np.uint8).reshape(
            20, *page.pixels("x").shape
        )
        np.testing.assert_allclose(page.pixels("x"), images[2] / 255, atol=1e-6)
        page.check()

    def test_noise(self, visit, name):
        page = visit(name)
        first = page.terms()["elbo"]
        page.page.get_by_role("button", name="Next sample").press("Enter")
        page.settle()
        assert page.trait("sample") == 2 and page.terms()["elbo"] != first
        page.check()
        page.page.get_by_label("at the mean").press("Space")
        page.settle()
        assert page.trait("sample") == 0
        page.check()

    def test_python_sets_x(self, visit, name):
        page = visit(name)
        x = np.random.default_rng(0).random(page.pixels("x").shape).astype("float32")
        page.assign("x", x.tolist())
        np.testing.assert_array_equal(page.pixels("x"), x)
        assert page.page.locator(".vx-examples input:checked").count() == 0
        page.check()
        page.assign("sample", 0)
        assert page.page.get_by_label("at the mean").is_checked()
        page.check()

    def test_clear_and_undo(self, visit, name):
        page = visit(name)
        start = page.pixels("x")
        page.page.get_by_role("button", name="Clear").click()
        page.settle()
        assert not page.pixels("x").any()
        page.check()
        page.draw(*STROKE)
        page.page.get_by_role("button", name="Undo").click()
        page.settle()
        assert not page.pixels("x").any()
        page.page.get_by_role("button", name="Clear").click()  # what is clear stays, and counts not
        page.page.get_by_role("button", name="Undo").press("Enter")
        page.settle()
        np.testing.assert_array_equal(page.pixels("x"), start)
        assert page.page.get_by_role("button", name="Undo").is_disabled()
        focused = page.page.evaluate("document.activeElement.textContent")
        assert focused == "Clear"  # not lost with the button that went grey
        page.check()

    def test_on_a_phone(self, visit, name):
        page = visit(name, width=390, has_touch=True)
        before = page.terms()["elbo"]
        page.page.locator("[data-image=pad]").tap()
        page.settle()
        assert page.terms()["elbo"] != before
        page.check()
        tops = [page.page.locator(f"[data-image={i}]").bounding_box()["y"] for i in ("pad", "x")]
        assert tops[0] < tops[1]

    def test_each_term_says_what_it_is(self, visit, name):
        """Of the fixed mixture there is no divergence in closed form, only a sample of it."""
        said = visit(name).page.locator(".vx-terms").inner_text()
        sampled, closed = "log q(z|x) − log p(z)\n", "KL(q(z|x) ‖ p(z))"
        assert (sampled in said, closed in said) == (name == "model3_MNIST", name == "model1_MNIST")
        grey = name == "model4_bias_MNIST"  # a Bernoulli, which knows black and white alone
        assert ("no bound: x is grey" if grey else "on average ≤ log p(x)") in said

    def test_on_screens_of_all_widths(self, visit, name):
        page = visit(name)
        noise = np.random.default_rng(0).random(page.pixels("x").shape)
        page.assign("x", noise.astype("float32").tolist())  # terms of many digits
        explorer_page.assert_fits(page.page)
        pictures = [page.page.locator(f"[data-image={i}]").bounding_box() for i in ("x", "decoded")]
        assert pictures[0]["width"] == pictures[1]["width"]

    def test_only_what_is_said_is_live(self, visit, name):
        page = visit(name).page
        assert page.locator("output, [role=status]").count() == 0
        assert page.locator("[aria-live]").count() == 1


class TestDigits:
    pytestmark = chrome.needs_browser

    def test_network_or_bayes(self, visit):
        page = visit("model4_bias_MNIST")
        page.draw(*STROKE)
        page.page.get_by_label("by Bayes").press("Space")
        page.settle()
        assert page.trait("bayes") is True
        page.check(bayes=True)
        page.assign("bayes", False)
        page.check()

    @pytest.mark.parametrize("name", ["model1_MNIST", "model3_MNIST"])
    def test_no_switch_without_a_network(self, visit, name):
        page = visit(name)
        assert page.page.get_by_role("checkbox", name="by Bayes").count() == 0
        assert bool(page.bars()) == (name == "model3_MNIST")

    def test_the_preparation_is_shown_and_can_be_left_out(self, visit):
        page = visit("model4_bias_MNIST")
        page.draw(*STROKE)
        prepared = page.pixels("x")
        np.testing.assert_allclose(prepared, page.pixels("step-3"), atol=0.5 / 255 + 1e-6)
        mass = ndimage.center_of_mass(prepared[..., 0])
        assert np.abs(np.subtract(mass, 14)).max() <= 0.51
        page.page.get_by_label("prepare strokes").press("Space")
        page.settle()
        assert page.trait("prepare") is False
        plain = page.pixels("x")
        np.testing.assert_allclose(plain, page.pixels("step-1"), atol=0.5 / 255 + 1e-6)
        assert np.subtract(ndimage.center_of_mass(plain[..., 0]), 14).max() < -1  # drawn top left
        page.check()

    def test_a_first_stroke_takes_the_place_of_a_digit(self, visit):
        page = visit("model4_bias_MNIST")
        page.draw((0.05, 0.05), (0.1, 0.05))
        assert page.pixels("step-1").any() and not page.pixels("step-1")[14:, 10:].any()
        page.draw((0.9, 0.9), (0.95, 0.9))
        assert page.pixels("step-1")[1, 1] and page.pixels("step-1")[25, 25]  # both are there

    def test_strokes_lie_over_a_face_unless_told_otherwise(self, visit):
        page = visit("model5_FREY")
        start = page.pixels("x")
        page.draw((0.05, 0.05), (0.1, 0.05))
        np.testing.assert_allclose(page.pixels("x")[14:], start[14:], atol=1e-6)
        page.page.get_by_role("button", name="Undo").click()
        page.page.get_by_label("draw over").press("Space")
        page.draw((0.05, 0.05), (0.1, 0.05))
        assert not page.pixels("x")[14:].any()

    def test_dark_ink_on_a_face(self, visit):
        page = visit("model5_FREY")
        page.page.get_by_label("ink").select_option("0")
        page.draw((0.5, 0.5), (0.6, 0.5))
        assert page.pixels("x")[14, 11, 0] == 0
        page.check()

    def test_two_on_one_page_do_not_interfere(self, browser, made, tmp_path):
        explorers = [made[name][0] for name in ("model4_bias_MNIST", "model1_MNIST")]
        path = explorer_page.write_page(tmp_path / "two.html", *explorers)
        page = explorer_page.open_page(browser, path)
        page.locator(".vx-explorer").nth(1).locator(".vx-examples input").nth(3).check()
        page.wait_for_timeout(100)
        second = page.locator(".vx-explorer").nth(1).locator("[data-term=elbo]")
        before = second.get_attribute("data-value")
        page.locator(".vx-explorer").first.locator(".vx-examples input").first.check()
        page.locator(".vx-explorer").first.locator("[data-image=pad]").click()
        page.wait_for_timeout(100)
        assert second.get_attribute("data-value") == before
        assert page.locator(".vx-examples input:checked").count() == 1  # of the second
        assert page.complaints == []
        page.context.close()
