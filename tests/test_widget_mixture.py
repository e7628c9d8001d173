"""MixtureExplorer: its plane, its traits, and in a browser the same pictures as Keras decodes."""

import explorer_page
import numpy as np
import pytest
import toys
import trainings
import traitlets

from vae_gmvae import load_reference, runs
from vae_gmvae.widgets import MixtureExplorer
from vae_gmvae.widgets.mixture import Prior, plane_of

SETTLED = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (const root of document.querySelectorAll('.vx-explorer'))
    do { await frame(); await frame(); } while (root.dataset.waiting !== "0");
}"""


def run_of(model_name, shape=toys.SHAPE, **options):
    model = toys.shared(model_name, shape, **options)
    return runs.Run(model.config, model)


# --- the plane


def prior_of(styles=50, clusters=3, z_dim=5, seed=0):
    random = np.random.default_rng(seed)
    mean = 3 * random.standard_normal((1, clusters, z_dim))
    mean = mean + 0.5 * random.standard_normal((styles, clusters, z_dim))
    return Prior(mean, random.normal(-1, 0.3, mean.shape))


def test_the_plane_is_that_of_the_principal_components():
    from sklearn.decomposition import PCA

    prior = prior_of(styles=400)
    plane = plane_of(prior)
    noise = np.random.default_rng(5).standard_normal(prior.mean.shape)
    z = (prior.mean + np.exp(0.5 * prior.logvar) * noise).reshape(-1, 5)
    oracle = PCA(2).fit(z)
    assert np.abs(np.sum(oracle.components_ * plane.axes, axis=1)) == pytest.approx(1, abs=0.01)
    assert plane.share == pytest.approx(oracle.explained_variance_ratio_.sum(), abs=0.02)
    assert plane.axes @ plane.axes.T == pytest.approx(np.eye(2), abs=1e-12)
    assert plane.project(plane.origin) == pytest.approx([0, 0])


def test_two_dimensions_are_their_own_plane():
    plane = plane_of(prior_of(z_dim=2))
    assert plane.names == ["z₁", "z₂"]
    assert plane.project([1.5, -2]).tolist() == [1.5, -2]
    assert plane.share == 1


def test_the_range_holds_the_ellipses_in_a_square():
    prior = prior_of()
    plane = plane_of(prior)
    (left, right), (bottom, top) = plane.range
    assert right - left == pytest.approx(top - bottom, abs=0.02)
    x, y = plane.project(prior.mean).reshape(-1, 2).T
    assert left < x.min() < x.max() < right
    assert bottom < y.min() < y.max() < top


# --- the traits


@pytest.mark.parametrize("model_name", ["model3", "model4_bias", "model5"])
@pytest.mark.parametrize("data", [None, trainings.dataset()])
def test_models_with_a_mixture_prior(model_name, data):
    explorer = MixtureExplorer(run_of(model_name, z_dim=4, w_dim=3), data)
    assert explorer.w.shape == ((0,) if model_name == "model3" else (3,))
    assert len(explorer.z_codes) == (0 if data is None else 60)
    assert explorer.w_codes == []  # they would need a plane of their own
    assert (explorer.fixed_prior is None) == (model_name != "model3")
    assert explorer.picture().get_axes()


@pytest.mark.parametrize("model_name, z_dim", [("model1", 2), ("model2", 2), ("model4_bias", 1)])
def test_other_models_are_sent_to_the_other_explorer(model_name, z_dim):
    with pytest.raises(ValueError, match="LatentExplorer"):
        MixtureExplorer(run_of(model_name, z_dim=z_dim))


@pytest.mark.parametrize("model_name", ["model3", "model4_bias", "model5"])
def test_z_follows_the_cluster_and_the_style(model_name):
    explorer = MixtureExplorer(run_of(model_name))

    def within():
        mean, sd = explorer._cluster(explorer.k, explorer.w)
        return (explorer.z - mean) / sd

    mean, sd = explorer._cluster(0, explorer.w)
    explorer.z = mean + [1, -2] * sd
    explorer.k = 2
    assert within() == pytest.approx([1, -2], abs=1e-4)
    if model_name != "model3":
        explorer.w = [0.5, -1.5]
        assert within() == pytest.approx([1, -2], abs=1e-4)
    explorer.set_state({"k": 1, "z": [3.0, 4.0]})  # the page sends both
    assert (explorer.k, explorer.z.tolist()) == (1, [3, 4])


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("k", 3, "0 to 2"),
        ("k", -1, "0 to 2"),
        ("k", 1.5, "int"),
        ("w", [1.0], r"\(2,\)"),
        ("z", [[0.0, 0.0]], r"\(2,\)"),
    ],
)
def test_wrong_values_are_refused(name, wrong, told):
    explorer = MixtureExplorer(run_of("model4_bias"))
    with pytest.raises(traitlets.TraitError, match=told):
        setattr(explorer, name, wrong)


def test_without_w_nothing_can_be_set():
    explorer = MixtureExplorer(run_of("model3"))
    with pytest.raises(traitlets.TraitError, match=r"\(0,\)"):
        explorer.w = [0.0, 0.0]


def test_movement_tells_a_w_that_has_collapsed():
    prior = prior_of()
    still = Prior(prior.mean[:1].repeat(50, axis=0), prior.logvar)
    assert still.movement == pytest.approx(0)
    assert prior.movement == pytest.approx(0.5 / np.exp(-0.5), rel=0.15)


# --- in the browser


@pytest.fixture(scope="module")
def explorers():
    """Images that stand in for the Frey frames give the grey codes."""
    return {
        "model3": MixtureExplorer(load_reference("model3", "MNIST")),
        "model4_bias": MixtureExplorer(load_reference("model4_bias", "MNIST")),
        "model5": MixtureExplorer(load_reference("model5", "FREY"), trainings.dataset((28, 20, 1))),
    }


@pytest.fixture
def open_one(browser, explorers, tmp_path):
    with explorer_page.opening(browser, explorers, tmp_path / "page.html", SETTLED) as opened:
        yield opened


def traits(page, explorer):
    """k, w and z as the page's model has them."""
    state = page.evaluate(f"['k', 'w', 'z'].map(n => models['{explorer.model_id}'].get(n))")
    return state[0], np.array(state[1]), np.array(state[2])


def prior_at(explorer, w):
    """Means and standard deviations [K, z_dim], from Keras."""
    mean, logvar = explorer._model.prior_z(np.float32([w]))
    return np.asarray(mean)[0], np.exp(0.5 * np.asarray(logvar)[0])


def assert_decoded(page, explorer, z, name="decoded"):
    pixels = page.evaluate(f"Array.from(document.querySelector('[data-image={name}]').pixels)")
    expected = np.asarray(explorer._model.decode_x(np.float32([z]))).ravel()
    assert np.abs(np.array(pixels) - expected).max() < 1e-5


def press_on(page, label, right, down):
    box = page.get_by_role("application", name=label).bounding_box()
    page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"])
    page.mouse.down()


@pytest.mark.browser
@pytest.mark.parametrize("name", ["model3", "model4_bias", "model5"])
def test_the_first_view_shows_all_clusters(open_one, explorers, name):
    page, explorer = open_one(name), explorers[name]
    k, w, z = traits(page, explorer)
    if name == "model3":
        means, sds = explorer._model.prior_means, np.sqrt(0.5) * np.ones((10, 2))
        assert "no w" in page.locator(".vx-explorer").text_content()
    else:
        means, sds = prior_at(explorer, w)
    assert z == pytest.approx(means[0], abs=1e-5)
    assert_decoded(page, explorer, z)
    for cluster in range(10):
        assert_decoded(page, explorer, means[cluster], f"mean-{cluster}")
    assert_decoded(page, explorer, means[0] + sds[0] * explorer.noise[11], "sample-11")


@pytest.mark.browser
@pytest.mark.parametrize("name", ["model4_bias", "model5"])
def test_dragging_w_moves_the_clusters(open_one, explorers, name):
    page, explorer = open_one(name), explorers[name]
    page.get_by_role("radio", name="cluster 3").check(force=True)
    press_on(page, "w:", 0.5, 0.5)
    press_on(page, "w:", 0.75, 0.25)
    page.mouse.up()
    page.evaluate(SETTLED)
    k, w, z = traits(page, explorer)
    means, sds = prior_at(explorer, w)
    assert k == 3
    assert w == pytest.approx([1.5, 1.5], abs=0.05)
    assert z == pytest.approx(means[3], abs=1e-4)
    assert_decoded(page, explorer, means[3])
    assert_decoded(page, explorer, means[7], "mean-7")
    assert_decoded(page, explorer, means[3] + sds[3] * explorer.noise[5], "sample-5")
    assert "Cluster 3, w = (1.5, 1.5)" in page.locator(".vx-sentence").text_content()
    assert "Cluster 3" in page.locator("[aria-live]").text_content()
    saved = page.evaluate(f"models['{explorer.model_id}'].saved")
    assert (saved["k"], saved["w"], saved["z"]) == (3, w.tolist(), z.tolist())


@pytest.mark.browser
def test_the_cluster_and_the_noise_by_keys(open_one, explorers):
    page, explorer = open_one("model4_bias"), explorers["model4_bias"]
    page.get_by_role("radio", name="cluster 0").press("ArrowRight")
    page.get_by_role("slider", name="ε₂", exact=True).press("Home")
    page.get_by_role("application", name="w:").press("ArrowLeft")
    page.evaluate(SETTLED)
    k, w, z = traits(page, explorer)
    means, sds = prior_at(explorer, [-0.1, 0])
    assert (k, w.tolist()) == (1, [-0.1, 0])
    assert z == pytest.approx(means[1] + sds[1] * np.eye(10)[1] * -3, abs=1e-4)
    page.get_by_role("button", name="Sample ε").click()
    assert traits(page, explorer)[2] == pytest.approx(
        means[1] + sds[1] * explorer.noise[0], abs=1e-4
    )
    page.get_by_role("button", name="ε = 0").click()
    page.get_by_role("button", name="w = 0").click()
    page.get_by_role("button", name="Other samples").click()
    page.evaluate(SETTLED)
    means, sds = prior_at(explorer, [0, 0])
    assert_decoded(page, explorer, means[1])
    assert_decoded(page, explorer, means[1] + sds[1] * explorer.noise[12], "sample-0")
    page.get_by_role("button", name="Sample w").click()
    assert traits(page, explorer)[1] == pytest.approx(explorer.styles[0])


@pytest.mark.browser
def test_the_plane_moves_z_and_numbers_choose(open_one, explorers):
    page, explorer = open_one("model3"), explorers["model3"]
    (left, right), _ = explorer.plane["range"]
    press_on(page, "z:", 0.1, 0.2)
    page.mouse.up()
    z = [left + 0.1 * (right - left), left + 0.8 * (right - left)]
    assert traits(page, explorer)[2] == pytest.approx(z, abs=0.03)
    page.evaluate(SETTLED)
    assert_decoded(page, explorer, traits(page, explorer)[2])
    share = (5 - left) / (right - left)  # the mean of the last component
    press_on(page, "z:", share, 1 - share)
    page.mouse.up()
    k, _, z = traits(page, explorer)
    assert (k, z.tolist()) == (9, [5, 5])


@pytest.mark.browser
def test_in_a_plane_of_more_dimensions_what_is_across_it_stays(open_one, explorers):
    page, explorer = open_one("model4_bias"), explorers["model4_bias"]
    before = traits(page, explorer)[2]
    press_on(page, "z:", 0.9, 0.1)
    page.mouse.up()
    moved = traits(page, explorer)[2] - before
    axes = np.array(explorer.plane["axes"])
    assert np.linalg.norm(moved) > 1
    assert moved == pytest.approx(axes.T @ (axes @ moved), abs=1e-3)


@pytest.mark.browser
def test_python_sets_several_at_once(open_one, explorers):
    page, explorer = open_one("model4_bias"), explorers["model4_bias"]
    name = explorer.model_id
    page.evaluate(f"""() => {{ Object.assign(models['{name}'].state, {{ k: 4, w: [1, -0.5] }});
      models['{name}'].tell("k"); models['{name}'].tell("w"); }}""")
    page.evaluate(SETTLED)
    k, w, z = traits(page, explorer)
    means, _ = prior_at(explorer, [1, -0.5])
    assert (k, w.tolist()) == (4, [1, -0.5])
    assert z == pytest.approx(means[4], abs=1e-4)
    assert page.get_by_role("radio", name="cluster 4").is_checked()
    assert page.get_by_role("slider", name="w₂", exact=True).input_value() == "-0.5"
    z = (means[4] + 1).tolist()
    page.evaluate(f"assign('{name}', 'z', {z})")
    page.evaluate(SETTLED)
    assert_decoded(page, explorer, z)
    assert page.evaluate(f"Object.keys(models['{name}'].saved)") == ["z"]  # what followed k and w


@pytest.mark.browser
@pytest.mark.parametrize("name", ["model3", "model5"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screens_of_all_widths(open_one, name, scheme):
    explorer_page.assert_fits(open_one(name, scheme=scheme))
