"""Runs on disk: states that can be resumed, nothing overwritten, nothing mistaken."""

import dataclasses
import json
import re

import numpy as np
import pytest
import toys
import trainings

from vae_gmvae import runs, storage
from vae_gmvae.config import Config
from vae_gmvae.data import Split
from vae_gmvae.training import compiled_model

CONFIG = toys.tiny("model1")


def silent(message):
    pass


def listing(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(folder, config=CONFIG, say=silent):
    runs.create(folder, config, trainings.dataset(), {"keras": "3"}, say=say)


# --- weights and states of a model


@pytest.fixture(scope="module")
def model():
    return compiled_model(CONFIG, toys.SHAPE)


def test_weights_leave_out_the_generators_and_the_state_has_all(model):
    weights, state = runs.get_weights(model), runs.get_state(model)
    assert weights.keys() == {v.path for v in model.weights}
    assert not any("seed_generator" in path for path in weights)
    everything = {v.path for v in (*model.variables, *model.optimizer.variables)}
    assert any("noise" in path for path in everything)
    assert any("velocity" in path for path in everything)
    assert len(state) == len(everything) > len(weights)


@pytest.mark.parametrize("option", ["hidden_dim", "z_dim"])
def test_weights_of_another_configuration_are_refused(model, option):
    other = toys.toy("model1", **{option: 5})
    with pytest.raises(ValueError, match="kernel .*model1 is of shape .* another configuration"):
        runs.set_weights(model, runs.get_weights(other))


def test_a_weight_that_the_model_does_not_have_is_left_out():
    network = toys.scrambled(toys.toy("model4_bias"))
    exact = toys.toy("model4_bias", y_posterior="bayes")
    runs.set_weights(exact, runs.get_weights(network))
    given = runs.get_weights(network)
    assert given.keys() > runs.get_weights(exact).keys()
    for path, array in runs.get_weights(exact).items():
        np.testing.assert_array_equal(array, given[path])


def test_weights_of_another_model_are_refused(model):
    with pytest.raises(ValueError, match="of model4_bias is missing, expected"):
        runs.set_weights(toys.toy("model4_bias"), runs.get_weights(model))


def test_a_state_for_images_of_another_size_is_refused_whole(model):
    other = compiled_model(CONFIG, (8, 9, 1))
    before = runs.get_state(other)
    with pytest.raises(ValueError, match=r"does not fit model1 on images of shape \(8, 9, 1\)"):
        runs.set_state(other, runs.get_state(model))
    for name, array in runs.get_state(other).items():
        np.testing.assert_array_equal(array, before[name])


def leg(epochs: int, target=9) -> runs.Leg:
    return runs.Leg(0, target, {"epoch": [*range(1, epochs + 1)], "val_elbo": [0.1] * epochs})


def save_states(folder, model, *epochs):
    """Saves a state for each of the epochs; the noise's seed then tells them apart."""
    for epoch in epochs:
        model.noise_seed.state.assign([epoch, 0])
        runs.save_state(folder, model, leg(epoch))


def test_the_newest_two_states_are_kept(tmp_path, model):
    save_states(tmp_path, model, 8, 9, 10, 11)
    assert [path.name for path in runs.states(tmp_path)] == ["state-000011.npz", "state-000010.npz"]
    found = runs.load_state(tmp_path, model)
    assert found == leg(11)
    assert int(model.noise_seed.state[0]) == 11


def test_no_state_is_none(tmp_path, model):
    assert runs.load_state(tmp_path, model) is None


def tear(path, how):
    content = path.read_bytes()
    if isinstance(how, float):
        path.write_bytes(content[: int(how * len(content))])
    else:
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])


@pytest.mark.parametrize("how", [0.0, 0.01, 0.3, 0.7, 0.999, "bit"])
def test_a_torn_state_falls_back_to_the_one_before_and_says_so(tmp_path, model, how):
    save_states(tmp_path, model, 3, 4)
    tear(tmp_path / "state-000004.npz", how)
    said = []
    assert runs.load_state(tmp_path, model, said.append) == leg(3)
    assert int(model.noise_seed.state[0]) == 3
    assert said == [f"{tmp_path}/state-000004.npz is damaged: falling back to the one before"]


def test_a_state_without_its_leg_is_damaged(tmp_path, model):
    save_states(tmp_path, model, 3, 4)
    arrays = storage.load_arrays(tmp_path / "state-000004.npz")
    assert list(arrays)[-1] == "leg"  # so that a directory cut short misses it
    del arrays["leg"]
    storage.save_arrays(tmp_path / "state-000004.npz", arrays)
    assert runs.load_state(tmp_path, model, silent) == leg(3)


def test_when_every_state_is_torn_the_ways_out_are_named(tmp_path, model):
    save_states(tmp_path, model, 3, 4)
    for path in runs.states(tmp_path):
        tear(path, 0.5)
    with pytest.raises(ValueError, match=f"every checkpoint in {tmp_path} is damaged: .*--restore"):
        runs.load_state(tmp_path, model, silent)
    assert len(runs.states(tmp_path)) == 2


# --- a run's folder


def test_a_new_run_is_described(tmp_path):
    start(tmp_path / "below" / "run")
    info = json.loads((tmp_path / "below" / "run" / "config.json").read_text())
    assert Config.from_dict(info["config"]) == CONFIG
    assert info["image_shape"] == [8, 8, 1] and info["versions"] == {"keras": "3"}


def test_a_run_of_the_same_name_is_kept_whole(tmp_path):
    """Also beside names that only look like numbers."""
    for name in ("run~old", "run~", "run~2"):
        (tmp_path / name).mkdir()
    said = []
    for text in ("first", "second", "third"):
        start(tmp_path / "run", say=said.append)
        (tmp_path / "run" / "best.npz").write_text(text)
    assert listing(tmp_path) == ["run", "run~", "run~1", "run~2", "run~3", "run~old"]
    kept = {name: (tmp_path / name / "best.npz").read_text() for name in ("run~1", "run~3", "run")}
    assert kept == {"run~1": "first", "run~3": "second", "run": "third"}
    assert len(said) == 2 and f"kept as {tmp_path}/run~1" in said[0]


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=f"{tmp_path} is not empty and not a run: choose another"):
        start(tmp_path)
    assert listing(tmp_path) == ["notes.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    start(tmp_path)
    assert listing(tmp_path) == ["config.json"]


def test_what_a_killed_process_left_half_written_is_swept_away(tmp_path, model):
    for sweep in (start, lambda folder: runs.load_state(folder, model)):
        (tmp_path / ".config.json.123.partial").write_bytes(b"{")
        sweep(tmp_path)
        assert listing(tmp_path) == ["config.json"]


@pytest.mark.parametrize("content", [b"", b'{"config":', b"\xff", b"[1]", b"3", b"{}"], ids=str)
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    for read in (runs.load_run, lambda folder: runs.check_same(CONFIG, folder)):
        with pytest.raises(ValueError, match=re.escape(f"{tmp_path}/config.json is damaged")):
            read(tmp_path)


def test_restoring_where_no_run_is_names_those_that_are(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/one: there is no run at all; train"):
        runs.check_same(CONFIG, tmp_path / "one")
    start(tmp_path / "two")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/one: the runs there are two; train"):
        runs.check_same(CONFIG, tmp_path / "one")


def test_a_folder_belongs_to_one_training_at_a_time(tmp_path):
    start(tmp_path / "run")
    said = []
    with runs.alone(tmp_path / "run"):
        for restore in (False, True):
            with pytest.raises(ValueError, match=f"another process trains in {tmp_path}/run: wait"):
                trainings.train(CONFIG, tmp_path / "run", restore=restore)
        assert listing(tmp_path) == ["run"] and listing(tmp_path / "run") == ["config.json"]
    start(tmp_path / "run", say=said.append)  # it is free again
    assert listing(tmp_path) == ["run", "run~1"]


def test_another_number_of_images_is_named(tmp_path):
    start(tmp_path)
    data, said = trainings.dataset(), []
    runs.check_data(data, tmp_path, said.append)
    fewer = dataclasses.replace(data, valid=Split(data.valid.x[:-1], data.valid.labels[:-1]))
    with pytest.raises(ValueError, match=r"on other images \(valid 40 then, 39 now\): divided"):
        runs.check_data(fewer, tmp_path)
    assert said == []
    info = json.loads((tmp_path / "config.json").read_text())
    del info["images"]  # as runs had it before
    (tmp_path / "config.json").write_text(json.dumps(info))
    runs.check_data(fewer, tmp_path)


def test_other_images_of_the_same_number_are_noticed(tmp_path):
    start(tmp_path)
    data, said = trainings.dataset(), []
    turned = dataclasses.replace(data, test=Split(data.test.x[::-1], data.test.labels[::-1]))
    runs.check_data(turned, tmp_path, said.append)
    assert said == [
        f"the images of toy are not quite those that the run in {tmp_path} was trained on"
    ]


def test_what_differs_between_configurations_is_named(tmp_path):
    start(tmp_path)
    runs.check_same(CONFIG, tmp_path)
    runs.check_same(CONFIG.replace(epochs=3, patience=1, save_step=2), tmp_path)
    fields = {"z_dim": 7, "seed": 3, "x_var": "auto", "learning_rate": 0.5, "dropout": 0.1}
    with pytest.raises(ValueError) as caught:
        runs.check_same(CONFIG.replace(**fields), tmp_path)
    for name, value in fields.items():
        assert f"{name} {getattr(CONFIG, name)!r} there, {value!r} asked for" in str(caught.value)
    assert str(tmp_path) in str(caught.value) and "batch_size" not in str(caught.value)


def test_a_third_leg_of_the_same_weights_is_judged_as_the_second(tmp_path):
    first = trainings.config("model4_bias", consistency=2.0)
    start(tmp_path, first)
    later = first.replace(consistency=4.0)
    second = runs.next_leg(tmp_path, later, runs.Leg(0, 4, {}), 4)
    third = runs.next_leg(tmp_path, later, second, 8)
    assert (second.judged_from, third.judged_from) == (4, 4)
    assert json.loads((tmp_path / "config.json").read_text())["judged_from"] == 4


def test_a_run_that_was_cut_short_keeps_its_cooldown(tmp_path):
    start(tmp_path)
    with pytest.raises(ValueError, match="cooldown 0 there, 1 asked for"):
        runs.check_same(CONFIG.replace(cooldown=1), tmp_path)


def test_own_images_may_be_named_by_another_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    own = CONFIG.replace(dataset_name="digits")
    start(tmp_path / "run", own)
    for name in ("digits/", str(tmp_path / "digits"), "digits/."):
        runs.check_same(own.replace(dataset_name=name), tmp_path / "run")
        assert own.replace(dataset_name=name).run_name == own.run_name
    monkeypatch.chdir(tmp_path / "digits")
    assert own.replace(dataset_name=".").run_name == own.run_name
    with pytest.raises(ValueError, match="dataset_name 'digits' there, 'letters' asked for"):
        runs.check_same(own.replace(dataset_name="letters"), tmp_path / "run")


def test_the_end_of_a_run_is_kept(tmp_path):
    run = runs.Run(CONFIG, None, {"epoch": [1, 2]}, folder=tmp_path)
    assert runs.finished_epochs(tmp_path) == 0
    run.finish()
    assert runs.finished_epochs(tmp_path) == run.epochs_done == 2
    (tmp_path / "finished.json").write_text('{"epochs_done": "2"}')
    with pytest.raises(ValueError, match="finished.json is damaged .*'2'.*: delete it"):
        runs.finished_epochs(tmp_path)
