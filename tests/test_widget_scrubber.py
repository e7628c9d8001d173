"""The TrainingScrubber: a frame is what the weights of its epoch give, and the page shows it."""

import zlib

import chrome
import explorer_page
import numpy as np
import pytest
import toys
import trainings
import traitlets

from vae_gmvae import runs
from vae_gmvae.widgets import TrainingScrubber, scrubber

EPOCHS = 4
MODELS = ["model5", "model3", "model1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By model: a run of four epochs that kept the weights of each."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"model5": dict(z_dim=3), "model3": dict(num_clusters=12), "model1": {}}
    return {
        name: trainings.train(trainings.config(name, **options[name]), folder / name)
        for name in MODELS
    }


@pytest.fixture(scope="module")
def scrubbers(trained):
    return {name: TrainingScrubber(run, trainings.dataset()) for name, run in trained.items()}


def frame_of(run, epoch):
    """The oracle: images [columns, n, ...] in [0, 1], codes, and shares of the test images."""
    model = runs.load_run(run.folder, f"weights-{epoch:06d}").model
    x, clusters = trainings.dataset().test.x, run.config.num_clusters
    codes = np.asarray(model.encode_z(x).mean)
    if run.config.model_name == "model1":
        return np.reshape(model.sample(40, seed=0), (8, 5, *toys.SHAPE)), codes, None
    images = np.stack([model.sample(5, seed=0, k=k) for k in range(clusters)])
    chosen = np.argmax(model.responsibilities(x), axis=1)
    return images, codes, [np.mean(chosen == k) for k in range(clusters)]


def test_a_run_must_have_kept_two_epochs(trained, tmp_path):
    data = trainings.dataset()
    one = trainings.train(trainings.config(save_step=4), tmp_path / "one")
    for run in (one, one.folder, str(one.folder)):
        with pytest.raises(ValueError, match="holds 1.*save_step"):
            TrainingScrubber(run, data)
    with pytest.raises(ValueError, match="not written to a folder.*save_step"):
        TrainingScrubber(runs.Run(one.config, one.model), data)
    with pytest.raises(ValueError, match="save_step"):
        TrainingScrubber(tmp_path / "nowhere", data)
    with pytest.raises(ValueError, match=r"\(8, 9, 1\).*\(8, 8, 1\)"):
        TrainingScrubber(trained["model1"], trainings.dataset((8, 9, 1)))


def test_the_run_itself_is_left_as_it_was(trained):
    run = trained["model1"]
    before = runs.get_weights(run.model)
    TrainingScrubber(run, trainings.dataset())
    after = runs.get_weights(run.model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_epoch_is_one_that_was_kept(scrubbers):
    explorer = scrubbers["model5"]
    assert explorer.epochs == [1, 2, 3, 4] and explorer.epoch == 4
    with pytest.raises(traitlets.TraitError, match=r"epoch is 9.*\[1, 2, 3, 4\]"):
        explorer.epoch = 9


def test_history_is_that_of_the_run(trained, scrubbers):
    history, run = scrubbers["model5"].history, trained["model5"]
    assert set(history) == {"epoch"} | {
        f"{part}{term}"
        for part in ("", "val_")
        for term in ("reconstruction", "conditional_prior", "w_prior", "y_prior", "elbo")
    }
    for name, values in history.items():
        np.testing.assert_allclose(values, run.history[name], atol=5e-4)


def test_history_may_be_infinite():
    found = scrubber._history(
        {"epoch": [1, 2, 3], "elbo": [-1.23456, np.nan, np.inf], "seconds": [1, 1, 1]}
    )
    assert found == {"epoch": [1, 2, 3], "elbo": [-1.235, None, None]}


def test_more_dimensions_become_two_principal_axes():
    """Of the last frame: there the two coordinates vary most, and not together."""
    rng = np.random.default_rng(0)
    codes = [rng.standard_normal((50, 4)) * scale for scale in ([1, 1, 1, 1], [5, 0.1, 3, 0.1])]
    points = scrubber._on_a_plane(codes)
    assert points.shape == (2, 50, 2)
    variances = np.linalg.eigvalsh(np.cov(codes[1].T))[::-1]
    np.testing.assert_allclose(np.cov(points[1].T), np.diag(variances[:2]), atol=1e-9)
    moved = codes[0] - codes[1].mean(axis=0)  # the first frame on the same axes
    assert np.corrcoef(points[0, :, 0], moved[:, 0])[0, 1] > 0.99
    np.testing.assert_array_equal(scrubber._on_a_plane([codes[0][:, :2]])[0], codes[0][:, :2])
    assert not scrubber._on_a_plane([codes[0][:, :1]])[..., 1].any()


def frames_of_noise(count):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 65, (10, 5, 28, 28, 1)).astype(np.uint8)
    return [scrubber.Frame(i, images, rng.standard_normal((300, 10)), None) for i in range(count)]


def test_no_page_grows_beyond_the_budget():
    """Frames are left out evenly; the first and the last stay."""
    chosen = scrubber._within_budget(frames_of_noise(40))
    packed, _ = scrubber._packed(chosen)
    assert 0.5 * scrubber.BUDGET < len(packed) <= scrubber.BUDGET
    epochs = [frame.epoch for frame in chosen]
    assert epochs[0] == 0 and epochs[-1] == 39
    assert np.diff(epochs).max() - np.diff(epochs).min() <= 1
    assert len(scrubber._within_budget(frames_of_noise(3))) == 3


def test_the_same_run_gives_the_same_bytes(trained, scrubbers):
    again = TrainingScrubber(trained["model5"].folder, trainings.dataset())
    assert again.frames == scrubbers["model5"].frames
    assert len(zlib.decompress(again.frames)) == 4 * (3 * 5 * 64 + 60 + 60 * 4)


def test_a_static_picture(scrubbers):
    assert scrubbers["model5"].picture().get_figwidth() > 6


# --- the page


@pytest.fixture
def visit(browser, scrubbers, tmp_path):
    """visit(model, width=...) -> page; in the end no console may have spoken."""
    pages = []

    def open_(name, **options):
        path = explorer_page.write_page(tmp_path / f"{name}.html", scrubbers[name])
        pages.append(explorer_page.open_page(browser, path, **options))
        return pages[-1]

    yield open_
    for page in pages:
        page.context.close()
        assert page.complaints == []


def settle(page):
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def check(page, explorer, run, epoch):
    """The page shows what the weights of this epoch give."""
    images, codes, shares = frame_of(run, epoch)
    canvases = "[...document.querySelectorAll('[data-image=samples]')]"
    shown = page.evaluate(f"{canvases}.map((c) => Array.from(c.pixels))")
    np.testing.assert_allclose(np.reshape(shown, images.shape), images, atol=0.5 / 64 + 1e-4)
    points = np.array(page.evaluate("document.querySelector('[data-image=codes]').points"))
    all_codes = [frame_of(run, each)[1] for each in explorer.epochs]
    expected = scrubber._on_a_plane(all_codes)
    np.testing.assert_allclose(points, expected[explorer.epochs.index(epoch)], atol=2e-3)
    told = page.evaluate(
        "[...document.querySelectorAll('.vx-use [data-value]')].map((e) => +e.dataset.value)"
    )
    np.testing.assert_allclose(told, shares or [], atol=1e-4)
    for name, values in run.history.items():
        outputs = page.locator(f"[data-term={name}]")
        if outputs.count():
            assert float(outputs.get_attribute("data-value")) == pytest.approx(
                values[epoch - 1], abs=5e-4
            )
    assert f"After epoch {epoch}:" in page.locator(".vx-sentence").inner_text()


@pytest.mark.parametrize("name", MODELS)
class TestPage:
    pytestmark = chrome.needs_browser

    def test_scrubbed_by_keyboard(self, visit, scrubbers, trained, name):
        page, explorer = visit(name), scrubbers[name]
        check(page, explorer, trained[name], 4)
        page.get_by_role("slider").focus()
        for key, epoch in (("Home", 1), ("ArrowRight", 2), ("End", 4), ("ArrowLeft", 3)):
            page.keyboard.press(key)
            settle(page)
            check(page, explorer, trained[name], epoch)
            assert page.evaluate("id => models[id].saved.epoch", explorer.model_id) == epoch
        assert page.get_by_role("slider").get_attribute("aria-valuetext") == "3"

    def test_python_sets_the_epoch(self, visit, scrubbers, trained, name):
        page, explorer = visit(name), scrubbers[name]
        page.evaluate("id => assign(id, 'epoch', 2)", explorer.model_id)
        settle(page)
        check(page, explorer, trained[name], 2)
        assert page.get_by_role("slider").input_value() == "1"
        assert page.evaluate("id => models[id].saved.epoch", explorer.model_id) is None  # no echo

    def test_on_screens_of_all_widths(self, visit, name):
        page = visit(name)
        explorer_page.assert_fits(page)
        page.set_viewport_size({"width": 390, "height": 900})
        boxes = [box.bounding_box() for box in page.locator(".vx-use .vx-value").all()]
        for left, right in zip(boxes, boxes[1:]):
            assert left["x"] + left["width"] <= right["x"] or left["y"] < right["y"]

    def test_only_what_is_said_is_live(self, visit, name):
        page = visit(name)
        assert page.locator("output, [role=status]").count() == 0
        assert page.locator("[aria-live]").count() == 1


class TestPlaying:
    pytestmark = chrome.needs_browser

    def frames_while_playing(self, page):
        """Whether the samples of the first cluster were ever between two frames."""
        page.get_by_role("button", name="Play").press("Enter")
        watch = """() => new Promise((done) => {
          const canvas = document.querySelector('[data-image=samples]'), seen = new Set();
          let last = 2;
          const watch = () => {
            seen.add(canvas.pixels.join());
            if (document.querySelector('.vx-button').textContent === 'Pause') last = 2;
            if (last--) requestAnimationFrame(watch); // the last frame is painted after that
            else done(seen.size);
          };
          watch();
        })"""
        return page.evaluate(watch)

    def test_it_plays_from_the_start_to_the_end(self, visit, scrubbers, trained):
        page, explorer = visit("model5"), scrubbers["model5"]
        assert self.frames_while_playing(page) > EPOCHS
        check(page, explorer, trained["model5"], 4)
        assert page.evaluate("id => models[id].saved.epoch", explorer.model_id) == 4

    def test_who_wants_no_motion_gets_steps(self, visit):
        page = visit("model5", reduced_motion="reduce")
        assert self.frames_while_playing(page) == EPOCHS

    def test_it_stops_when_asked_or_when_the_slider_moves(self, visit, scrubbers, trained):
        page, explorer = visit("model5"), scrubbers["model5"]
        play = page.locator(".vx-button").first
        play.click()
        assert play.inner_text() == "Pause"
        page.wait_for_timeout(600)  # on its way from the first epoch to the second
        play.click()
        assert play.inner_text() == "Play"
        settle(page)
        epoch = page.evaluate("id => models[id].get('epoch')", explorer.model_id)
        check(page, explorer, trained["model5"], epoch)  # of an epoch, not between two
        page.wait_for_timeout(1200)
        assert page.evaluate("id => models[id].get('epoch')", explorer.model_id) == epoch
        play.click()
        page.get_by_role("slider").press("End")
        assert play.inner_text() == "Play"
