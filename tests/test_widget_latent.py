"""LatentExplorer: what it carries, and in a browser the same pictures as Keras decodes."""

from types import SimpleNamespace

import explorer_page
import numpy as np
import pytest
import toys
import trainings
import traitlets

from vae_gmvae import load_reference, runs
from vae_gmvae.data import Split
from vae_gmvae.widgets import LatentExplorer, MixtureExplorer, embedded

MODELS = ("model1", "model2", "model3", "model4_bias", "model5")
# Two frames, and what is painted in turn after them.
SETTLED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
  setTimeout(done, 30))))"""


def run_of(model_name, shape=toys.SHAPE, **options):
    model = toys.shared(model_name, shape, **options)
    return runs.Run(model.config, model)


@pytest.mark.parametrize("model_name", MODELS)
def test_every_model_without_data(model_name):
    """The line goes between samples of the prior; nothing is loaded."""
    explorer = LatentExplorer(run_of(model_name, z_dim=3))
    assert np.shape(explorer.samples) == (embedded.SAMPLES, 3)
    assert [end["z"] for end in explorer.ends] == explorer.samples[: embedded.EXAMPLES]
    assert explorer.end_images == b""
    assert explorer.z == pytest.approx(explorer.ends[0]["z"])
    assert explorer.codes == explorer.labels == explorer.components == []


def test_the_map_carries_the_test_codes():
    run, data = run_of("model3"), trainings.dataset()
    explorer = LatentExplorer(run, data)
    expected = run.model.encode_z(data.test.x).mean
    assert np.asarray(explorer.codes) == pytest.approx(np.asarray(expected), abs=1e-3)
    assert explorer.labels == data.test.labels.tolist()
    assert [end["name"] for end in explorer.ends] == ["the 0", "the 1", "the 2"]
    assert len(explorer.end_images) == 3 * 64
    assert [x for x, _, _ in explorer.components] == [0, 1, -1]
    low, high = explorer.ranges[0]
    assert explorer.ranges == [[low, high]] * 2  # a square
    assert low <= np.quantile(expected, 0.01)
    assert high >= 2


def test_labels_belong_to_the_images_that_are_shown():
    x = np.random.default_rng(0).random((1000, *toys.SHAPE), dtype="float32")
    large = SimpleNamespace(name="large", test=Split(x, np.arange(1000)))
    run = SimpleNamespace(model=SimpleNamespace(image_shape=toys.SHAPE))
    images, labels = embedded.images_for(run, large)
    np.testing.assert_array_equal(images, x[labels])


def test_the_ends_of_the_line_are_the_codes_of_their_images():
    run = run_of("model1")
    explorer = LatentExplorer(run, trainings.dataset())
    images = np.frombuffer(explorer.end_images, np.uint8).reshape(-1, *toys.SHAPE)
    expected = run.model.encode_z(images / np.float32(255)).mean
    np.testing.assert_allclose([end["z"] for end in explorer.ends], expected, atol=0.02)


def test_images_of_another_shape():
    with pytest.raises(ValueError, match="the model's"):
        LatentExplorer(run_of("model1"), trainings.dataset((12, 8, 1)))


@pytest.mark.parametrize("wrong", [[1.0], [[1.0, 2.0]], [1.0, float("nan")], "z", None])
def test_a_wrong_z_is_refused(wrong):
    explorer = LatentExplorer(run_of("model1"))
    before = explorer.z
    with pytest.raises(traitlets.TraitError, match=r"z of LatentExplorer .* \(2,\)"):
        explorer.z = wrong
    assert explorer.z is before


def test_the_state_is_the_same_each_time():
    states = [LatentExplorer(run_of("model4_bias"), trainings.dataset()) for _ in range(2)]
    first, second = ({name: state.get_state()[name] for name in state.keys} for state in states)
    differ = [name for name in first if first[name] != second[name] and name != "layout"]
    assert differ == []


def test_pictures():
    for explorer in (
        LatentExplorer(run_of("model3"), trainings.dataset()),
        LatentExplorer(run_of("model1")),
    ):
        assert explorer.picture().get_axes()


# --- in the browser


@pytest.fixture(scope="module")
def explorers():
    """model1 without data; model3, two-dimensional, with images that stand in for MNIST's."""
    images = trainings.dataset((28, 28, 1))
    return {
        "model1": LatentExplorer(load_reference("model1", "MNIST")),
        "model3": LatentExplorer(load_reference("model3", "MNIST"), images),
    }


@pytest.fixture
def open_one(browser, explorers, tmp_path):
    with explorer_page.opening(browser, explorers, tmp_path / "page.html", SETTLED) as opened:
        yield opened


def trait(page, explorer, name="z"):
    return np.array(page.evaluate(f"models['{explorer.model_id}'].get('{name}')"))


def assert_decoded(page, explorer, z):
    """The picture is what Keras decodes from z. The stored weights are float16 on both sides."""
    pixels = page.evaluate("Array.from(document.querySelector('[data-image=decoded]').pixels)")
    expected = np.asarray(explorer._model.decode_x(np.float32([z]))).ravel()
    assert np.abs(np.array(pixels) - expected).max() < 1e-5


@pytest.mark.browser
def test_a_slider_by_keys_decodes_as_keras_does(open_one, explorers):
    page, explorer = open_one("model1"), explorers["model1"]
    assert_decoded(page, explorer, trait(page, explorer))  # never a blank state
    before = trait(page, explorer)
    slider = page.get_by_role("slider", name="z₂", exact=True)
    slider.press("Home")
    slider.press("ArrowRight")
    page.evaluate(SETTLED)
    after = trait(page, explorer)
    assert after == pytest.approx(np.r_[before[0], -2.9, before[2:]])
    assert_decoded(page, explorer, after)
    assert page.evaluate(f"models['{explorer.model_id}'].saved.z") == after.tolist()
    assert "‖z‖ = " in page.locator(".vx-sentence").text_content()


@pytest.mark.browser
def test_z_set_in_python_moves_the_sliders(open_one, explorers):
    page, explorer = open_one("model1"), explorers["model1"]
    z = [0.5, -1.25, *[0.0] * 7, 4.5]
    page.evaluate(f"assign('{explorer.model_id}', 'z', {z})")
    page.evaluate(SETTLED)
    texts = page.locator("input[type=range][aria-label^=z]").evaluate_all(
        "all => all.map(e => e.getAttribute('aria-valuetext'))"
    )
    assert [texts[0], texts[9]] == ["0.5", "4.5"]  # the last one beyond the slider's end
    assert_decoded(page, explorer, z)
    assert page.evaluate(f"models['{explorer.model_id}'].saved") == {}  # no echo


@pytest.mark.browser
def test_buttons_and_the_line(open_one, explorers):
    page, explorer = open_one("model1"), explorers["model1"]
    samples = np.array(explorer.samples)
    for i in (0, 1):
        page.get_by_role("button", name="Sample z").click()
        assert trait(page, explorer) == pytest.approx(samples[i])
    page.get_by_role("button", name="Reset").click()
    assert trait(page, explorer).tolist() == [0] * 10
    page.get_by_role("radio", name="sample 3").nth(1).press("ArrowRight")  # to sample 4
    page.get_by_role("slider", name="t", exact=True).press("End")
    page.get_by_role("slider", name="t", exact=True).press("PageDown")
    t = float(page.get_by_role("slider", name="t", exact=True).input_value())
    assert 0 < t < 1
    expected = (1 - t) * samples[0] + t * samples[3]
    assert trait(page, explorer) == pytest.approx(expected)
    page.evaluate(SETTLED)
    assert_decoded(page, explorer, expected)
    assert page.locator(".vx-strip .vx-here").count() == 1


@pytest.mark.browser
def test_the_map_decodes_where_it_is_dragged_and_hovered(open_one, explorers):
    page, explorer = open_one("model3"), explorers["model3"]
    box = page.locator(".vx-plane").bounding_box()
    low, high = explorer.ranges[0]

    def at(right, down):
        return box["x"] + right * box["width"], box["y"] + down * box["height"]

    page.mouse.move(*at(0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*at(0.25, 0.25))
    page.mouse.up()
    kept = trait(page, explorer)
    assert kept == pytest.approx([low + 0.25 * (high - low), low + 0.75 * (high - low)], abs=0.02)
    page.evaluate(SETTLED)
    assert_decoded(page, explorer, kept)
    page.mouse.move(*at(0.75, 0.5))
    page.evaluate(SETTLED)
    assert trait(page, explorer) == pytest.approx(kept)  # hovering only shows
    assert_decoded(page, explorer, [low + 0.75 * (high - low), low + 0.5 * (high - low)])
    page.mouse.move(2, 2)
    page.evaluate(SETTLED)
    assert_decoded(page, explorer, kept)
    page.locator(".vx-plane").press("ArrowUp")
    assert trait(page, explorer) - kept == pytest.approx([0, 0.1], abs=0.06)


@pytest.mark.browser
def test_a_second_finger_on_the_map_has_no_say(open_one, explorers):
    page, explorer = open_one("model3", has_touch=True), explorers["model3"]
    page.locator(".vx-plane").scroll_into_view_if_needed()
    box = page.locator(".vx-plane").bounding_box()
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [
            {"x": box["x"] + right * box["width"], "y": box["y"] + down * box["height"], "id": id_}
            for id_, right, down in places
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.evaluate(SETTLED)
        return trait(page, explorer)

    first = fingers("touchStart", (0, 0.25, 0.25))
    assert fingers("touchStart", (0, 0.25, 0.25), (1, 0.75, 0.75)) == pytest.approx(first)
    assert fingers("touchMove", (0, 0.25, 0.25), (1, 0.7, 0.6)) == pytest.approx(first)
    dragged = fingers("touchMove", (0, 0.5, 0.3), (1, 0.7, 0.6))
    assert abs(dragged - first).max() > 0.5
    fingers("touchEnd", (1, 0.7, 0.6))  # the first has left
    assert fingers("touchMove", (1, 0.9, 0.9)) == pytest.approx(dragged)
    fingers("touchEnd")
    assert abs(fingers("touchStart", (2, 0.75, 0.75)) - dragged).max() > 0.5


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screens_of_all_widths(open_one, scheme):
    page = open_one("model3", scheme=scheme)
    explorer_page.assert_fits(page)


@pytest.mark.browser
def test_two_explorers_on_one_page(browser, explorers, tmp_path):
    other = MixtureExplorer(load_reference("model3", "MNIST"))
    path = explorer_page.write_page(tmp_path / "page.html", *explorers.values(), other)
    page = explorer_page.open_page(browser, path)
    page.get_by_role("button", name="Reset").first.click()
    page.evaluate(SETTLED)
    assert trait(page, explorers["model1"]).tolist() == [0] * 10
    assert trait(page, explorers["model3"]) == pytest.approx(explorers["model3"].ends[0]["z"])
    assert page.complaints == []
    page.context.close()
