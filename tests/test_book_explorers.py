"""The explorers where readers meet them: in the built pages, moved by hand, against Keras."""

import nbformat
import numpy as np
import pytest
from explorer_page import OVERFLOW
from test_pages import BOOK, Visit, address, pytestmark, started  # noqa: F401

from vae_gmvae import load_reference, widgets

NOTEBOOKS = BOOK.parents[1] / "notebooks"
STATE = "application/vnd.jupyter.widget-state+json"
SETTLED = "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"


class Explorer:
    """The first explorer of a kind on a page of the book."""

    def __init__(self, visit, kind: str):
        self.page = visit.page
        self.root = visit.page.locator(f"[data-explorer={kind}]").first

    def settle(self):
        self.page.evaluate(SETTLED)

    def pixels(self, image="decoded"):
        canvas = self.root.locator(f"[data-image={image}]").first
        return np.array(canvas.evaluate("(e) => Array.from(e.pixels)"))

    def press(self, name: str, *keys: str, role="slider"):
        control = self.root.get_by_role(role, name=name, exact=True).first
        for key in keys:
            control.press(key)
        self.settle()

    def drag(self, locator: str, *places):
        surface = self.root.locator(locator)
        surface.scroll_into_view_if_needed()
        box = surface.bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()
        self.settle()

    def values(self, locator: str):
        return [float(text) for text in self.root.locator(locator).evaluate_all(
            "(all) => all.map((e) => e.dataset.value)"
        )]  # fmt: skip


@pytest.fixture(params=["http", "file"])
def opened(request, browser, address):  # noqa: F811
    """Opens a page over http, or from its file; what it complains of or asks others for fails."""
    place = address if request.param == "http" else BOOK.as_uri() + "/"
    visits = []

    def open_one(path: str, kind: str) -> Explorer:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visits.append(Visit(context, place + path))
        assert started(visits[-1])
        return Explorer(visits[-1], kind)

    yield open_one
    for visit in visits:
        assert visit.complaints == [] and visit.foreign(place) == []
        assert visit.page.evaluate(OVERFLOW) <= 0
        visit.page.context.close()


def decoded(model, z):
    return np.asarray(model.decode_x(np.float32([z]))).ravel()


def state_of(notebook: str, kind: str) -> dict:
    """The stored traits of the first explorer of a kind."""
    stored = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4).metadata.widgets[STATE]
    states = (model["state"] for model in stored["state"].values())
    return next(one for one in states if one.get("_anywidget_id", "").endswith(f".{kind}"))


def test_a_slider_of_z_decodes_as_keras_does(opened):
    explorer, model = opened("notebooks/03_model1.html", "latent"), load_reference("model1").model
    explorer.root.get_by_role("button", name="Reset").click()
    explorer.settle()
    assert explorer.pixels() == pytest.approx(decoded(model, np.zeros(10)), abs=1e-5)
    explorer.press("z₂", "Home")
    z = np.eye(10)[1] * -3
    assert explorer.pixels() == pytest.approx(decoded(model, z), abs=1e-5)


def test_the_map_decodes_where_it_is_dragged(opened):
    explorer = opened("notebooks/05_model3.html", "latent")
    low, high = np.transpose(state_of("05_model3", "LatentExplorer")["ranges"])
    before = explorer.pixels()
    explorer.drag(".vx-plane", (0.5, 0.5), (0.3, 0.4))
    expected = decoded(load_reference("model3").model, low + np.array([0.3, 0.6]) * (high - low))
    assert np.abs(explorer.pixels() - before).max() > 0.1
    assert explorer.pixels() == pytest.approx(expected, abs=0.02)  # a screen has whole pixels


@pytest.mark.parametrize("page", ["book/index.html", "notebooks/explore_model4_bias.html"])
def test_w_moves_the_chosen_cluster(opened, page):
    explorer, model = opened(page, "mixture"), load_reference("model4_bias").model
    explorer.root.get_by_role("radio", name="cluster 4", exact=True).check(force=True)
    explorer.press("w₁", "End")
    w = float(explorer.root.get_by_role("slider", name="w₁", exact=True).get_attribute("max"))
    mean = np.asarray(model.prior_z(np.float32([[w, 0]])).mean)[0, 4]
    assert explorer.pixels() == pytest.approx(decoded(model, mean), abs=1e-5)


@pytest.mark.parametrize(
    "page, model_name, dataset_name",
    [("explore_model4_bias", "model4_bias", "MNIST"), ("explore_faces", "model5", "FREY")],
)
def test_a_stroke_has_the_terms_that_keras_gives_it(opened, page, model_name, dataset_name):
    explorer = opened(f"notebooks/{page}.html", "inference")
    before = explorer.values("[data-term]")
    explorer.drag("[data-image=pad]", (0.3, 0.2), (0.6, 0.25), (0.4, 0.5), (0.6, 0.75))
    run = load_reference(model_name, dataset_name)
    eps = widgets.InferenceExplorer(run).eps()  # of the same seed, as on the page
    x = np.float32(explorer.pixels("x")).reshape(1, *run.model.image_shape)
    terms = run.model.terms_given(x, run.model.encode(x), eps)
    expected = [float(values[0]) for values in (*terms, terms.elbo)]
    found = explorer.values("[data-term]")
    assert found != before
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-2)


def test_an_epoch_by_keys_shows_its_numbers(opened):
    explorer = opened("notebooks/09_when_it_fails.html", "scrubber")
    history = state_of("09_when_it_fails", "TrainingScrubber")["history"]
    explorer.press("epoch", "Home", "ArrowRight", "ArrowRight")
    shown = explorer.values("[data-value]")
    assert "epoch 3" in explorer.root.locator(".vx-sentence").text_content()
    assert history["val_elbo"][2] in [pytest.approx(value) for value in shown]
    samples = explorer.pixels("samples")
    explorer.press("epoch", "End")
    assert np.abs(explorer.pixels("samples") - samples).max() > 0.2
