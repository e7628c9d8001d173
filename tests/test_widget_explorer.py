"""What all explorers share: array traits that sync, names that repeat, a static picture."""

import base64
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import toys
import traitlets
from PIL import Image

import vae_gmvae
from vae_gmvae import plots, widgets
from vae_gmvae.runs import Run
from vae_gmvae.widgets.explorer import Array, Explorer
from vae_gmvae.widgets.networks import networks_of

Z_DIM, W_DIM = 2, 2


class Toy(Explorer):
    _esm = "export default {};"
    z = Array("z_dim")
    x = Array("image_shape")
    several = Array(3, "z_dim")
    k = traitlets.Int().tag(sync=True)

    def picture(self):
        return plots.image_grid(np.zeros((4, 8, 8, 1)))


def run_of(model_name="model5"):
    model = toys.shared(model_name)
    return Run(model.config, model)


@pytest.fixture
def toy():
    explorer = Toy(run_of(), ["decoder_x"])
    yield explorer
    explorer.close()


@pytest.fixture
def sent(toy, monkeypatch):
    """The states that Python sends to the page, in order."""
    messages = []
    monkeypatch.setattr(toy, "_send", lambda message, buffers=None: messages.append(message))
    return messages


def updates(messages) -> list[dict]:
    return [message["state"] for message in messages if message["method"] == "update"]


def test_names_are_loaded_when_they_are_used():
    assert "widgets" in vae_gmvae.__all__ and vae_gmvae.widgets is widgets
    assert widgets.__all__ == [
        "LatentExplorer", "MixtureExplorer", "InferenceExplorer", "TrainingScrubber",
    ]  # fmt: skip
    assert set(widgets.__all__) <= set(dir(widgets))
    with pytest.raises(AttributeError, match="'Sharpener'"):
        widgets.Sharpener  # noqa: B018


def test_importing_widgets_is_light():
    tell = "import sys, vae_gmvae.widgets; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", tell], capture_output=True, text=True, check=True, env=os.environ
    )
    assert not {"anywidget", "keras", "tensorflow"} & set(done.stdout.split())


# --- array traits


def test_arrays_take_their_shapes_from_the_model(toy):
    assert toy.z.shape == (2,) and toy.x.shape == toys.SHAPE and toy.several.shape == (3, 2)
    toy.z = [0.1, 2]
    assert toy.z.dtype == np.float32
    np.testing.assert_array_equal(toy.z, np.float32([0.1, 2]))


@pytest.mark.parametrize(
    "value, told",
    [
        ([1, 2, 3], r"not of shape \(3,\)"),
        (1.0, r"not of shape \(\)"),
        ("ab", "not 'ab'"),
        (None, r"not of shape \(\)"),
        ([[1], [1, 2]], r"not \[\[1\], \[1, 2\]\]"),
        ([1, np.nan], "but not all of these are finite"),
        ([1e39, 0], "but not all of these are finite"),
    ],
)
def test_a_wrong_array_is_refused(toy, value, told):
    toy.z = [1, 2]
    with pytest.raises(traitlets.TraitError, match=rf"z of Toy .* of shape \(2,\).*{told}"):
        toy.z = value
    np.testing.assert_array_equal(toy.z, [1, 2])


def test_an_array_cannot_change_unnoticed(toy):
    given = np.ones(2, np.float32)
    toy.z = given
    given[0] = 5
    assert toy.z[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        toy.z[0] = 5


def test_python_tells_the_page(toy, sent):
    toy.z = np.float32([0.1, -2.5])
    toy.several = np.arange(6).reshape(3, 2)
    assert updates(sent) == [{"z": [0.1, -2.5]}, {"several": [[0, 1], [2, 3], [4, 5]]}]
    json.dumps(sent)


def test_an_equal_array_is_no_change(toy, sent):
    toy.z = [0.1, 2]
    heard = []
    toy.observe(heard.append, "z")
    toy.z = np.float32([0.1, 2])
    assert len(updates(sent)) == 1 and heard == []


@pytest.mark.parametrize("number", [0.1, 0.10000000149011612, 1 / 3])
def test_the_page_tells_python_and_hears_no_echo(toy, sent, number):
    """Whether its script rounds to float32 or not."""
    heard = []
    toy.observe(heard.append, "z")
    toy.set_state({"z": [number, 2], "k": 3})
    np.testing.assert_array_equal(toy.z, np.float32([number, 2]))
    assert toy.k == 3 and len(heard) == 1
    assert updates(sent) == []


@pytest.mark.parametrize("value", [[1], "ab", None, [[1], [2, 3]], {}])
def test_nonsense_from_the_page_is_refused(toy, value):
    with pytest.raises(traitlets.TraitError, match="z of Toy"):
        toy.set_state({"z": value})
    np.testing.assert_array_equal(toy.z, [0, 0])


def test_numbers_in_json_give_the_float32_back(toy):
    toy.x = toys.images(1)[0]
    told = json.loads(json.dumps(toy.get_state("x")["x"]))
    np.testing.assert_array_equal(np.float32(told), toy.x)
    assert len(json.dumps(told)) < 14 * toy.x.size


# --- the model behind it


def test_about():
    about = Toy(run_of("model5")).about
    assert about == {
        "title": "model5 on MNIST", "model_name": "model5", "dataset_name": "MNIST",
        "image_shape": [8, 8, 1], "z_dim": 2, "w_dim": 2, "num_clusters": 3,
        "likelihood": "gaussian", "binarise": "none", "x_logvar": pytest.approx(np.log(0.1)),
        "y_posterior": "network",
    }  # fmt: skip
    json.dumps(about)
    plain = Toy(run_of("model2")).about
    assert [plain[key] for key in ("w_dim", "num_clusters", "y_posterior")] == [None] * 3
    mixture = Toy(run_of("model3")).about
    assert [mixture[key] for key in ("w_dim", "num_clusters")] == [None, 3]


def test_networks_are_stored_once():
    run = run_of()
    one, other = Toy(run, ["decoder_x"]), Toy(run, ["decoder_x", "encoder_z"])
    assert one.networks["decoder_x"] is other.networks["decoder_x"]
    name = one.networks["decoder_x"].model_id
    assert one.get_state("networks") == {"networks": {"decoder_x": f"IPY_MODEL_{name}"}}
    (decoder,) = networks_of(run_of(), "decoder_x").values()
    assert decoder is one.networks["decoder_x"]  # another run with the same weights


def test_other_weights_are_another_network():
    run = Run(toys.tiny("model1"), toys.toy("model1"))
    (before,) = networks_of(run, "decoder_x").values()
    toys.scrambled(run.model)
    (after,) = networks_of(run, "decoder_x").values()
    assert before is not after and before.data != after.data


def test_a_closed_network_is_made_again():
    run = Run(toys.tiny("model1"), toys.toy("model1"))
    (closed,) = networks_of(run, "decoder_x").values()
    closed.close()
    (new,) = networks_of(run, "decoder_x").values()
    assert new.comm is not None and new.data == closed.data


NAMES = """
import vae_gmvae
from vae_gmvae.widgets.explorer import Explorer
run = vae_gmvae.load_reference("model1")
class Toy(Explorer):
    _esm = "export default {};"
for _ in range(2):
    toy = Toy(run, ["decoder_x"])
    print(toy.model_id, toy.layout.model_id, toy.networks["decoder_x"].model_id, repr(toy))
"""


def test_names_repeat_from_run_to_run():
    """Two fresh Pythons make equal widgets, and two widgets in one Python differ."""
    command = [sys.executable, "-c", NAMES]
    one, other = (subprocess.run(command, capture_output=True, text=True).stdout for _ in range(2))
    assert one == other
    first, second = one.splitlines()
    assert first.startswith("Toy-model1-MNIST-1 Toy-model1-MNIST-1-layout decoder_x-")
    assert second.startswith("Toy-model1-MNIST-2 ")
    assert first.endswith("Toy of model1 on MNIST")


def test_a_path_as_a_dataset_gives_a_plain_name():
    config = toys.tiny("model1", dataset_name="my own/images")
    assert Toy(Run(config, toys.shared("model1"))).model_id.startswith("Toy-model1-my-own-images-")


# --- on display


def test_a_view_a_picture_and_a_text(toy):
    data, metadata = toy._repr_mimebundle_()
    assert data["text/plain"] == repr(toy) == "Toy of model5 on MNIST"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == toy.model_id
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width >= metadata["image/png"]["width"]
    json.dumps([data, metadata])
