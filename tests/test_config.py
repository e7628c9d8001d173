"""The configuration: ranges, messages, round trips."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_gmvae.config import GMVAE_NAMES, SMALLEST, Config, preset

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
CHOICES = {name: f for name, f in FIELDS.items() if f.metadata["choices"]}
WHOLE = {name: f for name, f in FIELDS.items() if isinstance(f.default, int)}
REAL = {name: f for name, f in FIELDS.items() if isinstance(f.default, float)}
WEIGHTS = ("y_information_weight", "y_marginal_weight")
TEXTS = FIELDS.keys() - CHOICES.keys() - WHOLE.keys() - REAL.keys()


def with_option(name, value):
    """A configuration of model5, which takes every option."""
    return Config(**{"model_name": "model5", "consistency": 1.0, name: value})


def rejected(name, value):
    """The message of Config(name=value), which must name the field and the value."""
    with pytest.raises(ValueError) as caught:
        Config(**{name: value})
    message = str(caught.value)
    assert name in message and repr(value) in message, message
    return message


def test_every_field_is_of_one_kind():
    assert TEXTS == {"dataset_name", "extra_name"}
    assert all(field.metadata["help"] and field.metadata["group"] for field in FIELDS.values())


@pytest.mark.parametrize("name", [*WHOLE, *REAL])
def test_ends_of_the_range_are_accepted_and_nothing_beyond(name):
    meta = FIELDS[name].metadata
    beyond = 1 if name in WHOLE else 1e-9
    assert getattr(with_option(name, meta["low"]), name) == meta["low"]
    wording = "greater than 0" if meta["low"] == SMALLEST else f"at least {meta['low']}"
    assert wording in rejected(name, meta["low"] - beyond)
    if meta["high"] is not None:
        assert getattr(with_option(name, meta["high"]), name) == meta["high"]
        rejected(name, meta["high"] + (1 if name in WHOLE else 1e-3))


@pytest.mark.parametrize("name", [n for n, f in REAL.items() if f.metadata["low"] == SMALLEST])
@pytest.mark.parametrize("value", [0, 0.0, -1.0])
def test_what_must_be_positive_is_not_zero(name, value):
    assert "greater than 0" in rejected(name, value)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [2.0, "2", None, True, math.nan, [2]], ids=repr)
def test_whole_numbers_take_nothing_else(name, value):
    assert "whole number" in rejected(name, value)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("value", ["1", None, True, math.nan, math.inf, -math.inf], ids=repr)
def test_numbers_take_nothing_else(name, value):
    assert "number" in rejected(name, value)


@pytest.mark.parametrize("name", REAL)
def test_whole_values_of_a_number_become_floats(name):
    value = 1 if FIELDS[name].metadata["high"] >= 1 else 0
    assert type(getattr(with_option(name, value), name)) is float


OF_KL = ("kl_warmup", "min_information", "y_information_weight", "y_marginal_weight")
ONE_LAYER = "num_layers is 1: there is no hidden layer"
UNUSED = {  # beside mixture_density, by what is changed in a configuration that uses the others
    "": {},
    "likelihood=bernoulli": {"x_var": "likelihood is bernoulli, which has no variance"},
    "dataset_name=MNIST": {"split": "MNIST comes with its test images"},
    "kl_weight=0": dict.fromkeys(OF_KL, "kl_weight is 0"),
    "num_layers=1": dict.fromkeys(["hidden_dim", "dropout"], ONE_LAYER),
    "strokes=0": {"strokes_warmup": "strokes is 0"},
    "strokes=0 consistency=0": {
        "consistency_warmup": "consistency is 0",
        "strokes_warmup": "strokes is 0",
    },
}


@pytest.mark.parametrize("change", UNUSED)
def test_what_makes_no_difference_has_its_reason(change):
    changes = dict(word.split("=") for word in change.split())
    changes = {name: int(v) if v.isdigit() else v for name, v in changes.items()}
    uses = dict(model_name="model5", dataset_name="FREY", consistency=1, strokes=0.5)
    unused = Config(**uses | changes).unused(FIELDS)
    assert unused == {"mixture_density": "an option of model3"} | UNUSED[change]


def test_numbers_of_numpy_become_plain_ones():
    config = Config(z_dim=np.int64(4), x_var=np.float32(0.5))
    assert (type(config.z_dim), type(config.x_var)) == (int, float)
    assert (config.z_dim, config.x_var) == (4, 0.5)


@pytest.mark.parametrize("flag, name", [("sigma", "x_var"), ("K_clusters", "num_clusters")])
def test_a_flag_as_an_option_is_told_its_name(flag, name):
    with pytest.raises(ValueError, match=f"unknown option '{flag}': did you mean '{name}'"):
        preset("thesis", **{flag: 2})


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_accepted_and_nothing_else(name):
    choices = FIELDS[name].metadata["choices"]
    for choice in choices:
        assert getattr(Config(**{name: choice}), name) == choice
    for wrong in ("", "nothing like it", None, 1, choices[0].upper() + "!", [choices[0]]):
        message = rejected(name, wrong)
        assert all(choice in message for choice in choices)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [None, 3, b"MNIST", ["MNIST"]], ids=repr)
def test_texts_take_nothing_else(name, value):
    assert "string" in rejected(name, value)


def test_near_misses_get_a_suggestion():
    assert "did you mean model4_bias?" in rejected("model_name", "model4")
    assert "did you mean bayes?" in rejected("y_posterior", "bayse")


def test_auto_belongs_to_x_var_alone():
    assert Config(x_var="auto").x_var == "auto"
    assert "or auto" in rejected("x_var", "automatic")
    for name in REAL.keys() - {"x_var"}:
        rejected(name, "auto")


@pytest.mark.parametrize("value", ["a/b", "../up", "two words", "new\nline", "semi;colon"])
def test_extra_name_must_suit_a_folder(value):
    assert "folder" in rejected("extra_name", value)


@pytest.mark.parametrize("name", ["frey", "Mnist5k"])
def test_the_name_of_a_dataset_may_be_written_small(name):
    assert Config(dataset_name=name).dataset_name == name.upper()
    assert preset("reference", "model5", name) == preset("reference", "model5", name.upper())


def test_dataset_name_must_not_be_empty():
    with pytest.raises(ValueError, match="dataset_name is empty"):
        Config(dataset_name="")


@pytest.mark.parametrize(
    "clash",
    [
        dict(model_name="model5", y_prior="reversed", min_information=1.0),
        dict(likelihood="bernoulli", x_var="auto"),
    ],
    ids=str,
)
def test_options_that_exclude_each_other(clash):
    with pytest.raises(ValueError, match=r"min_information|x_var auto"):
        Config(**clash)
    for name in clash.keys() - {"model_name"}:
        Config(**{key: value for key, value in clash.items() if key != name})


def test_reversed_y_prior_does_not_concern_a_model_without_y():
    assert Config(model_name="model1", y_prior="reversed", min_information=1.0)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().z_dim = 4


UNKNOWN = {
    "from_dict": Config.from_dict,
    "replace": lambda values: Config().replace(**values),
    "preset": lambda values: preset("thesis", **values),
}


@pytest.mark.parametrize("build", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_unknown_names_are_refused_with_a_suggestion(build):
    with pytest.raises(ValueError, match=r"'zdim'.*did you mean 'z_dim'\?"):
        build({"zdim": 3})
    with pytest.raises(ValueError, match=r"'qqqq'.*the options are .*'z_dim'"):
        build({"qqqq": 3})


# --- any valid configuration


def valid(field):
    """A strategy for the valid values of one field."""
    meta = field.metadata
    if meta["choices"]:
        return st.sampled_from(meta["choices"])
    if field.name == "extra_name":
        return st.from_regex(r"[\w.\-]*", fullmatch=True)
    if field.name == "dataset_name":
        return st.sampled_from(["MNIST", "FREY", "MNIST5K"]) | st.text(min_size=1)
    if isinstance(field.default, int):
        return st.integers(meta["low"], meta["high"])
    return st.floats(meta["low"], meta["high"]) | st.sampled_from([field.default, *meta["words"]])


def compatible(values):
    gmvae = values["model_name"] in GMVAE_NAMES
    if gmvae and values["y_prior"] == "reversed":
        values["min_information"] = 0.0
    if not gmvae or values["y_prior"] == "reversed" or values["min_information"]:
        values |= dict.fromkeys(WEIGHTS, 1.0)
    if not gmvae:
        values["consistency"] = 0.0
    if not values["consistency"]:
        values |= dict(strokes=0.0, elastic=0.0)
    if values["likelihood"] == "bernoulli" and values["x_var"] == "auto":
        values["x_var"] = 0.1
    return values


any_config = st.fixed_dictionaries({n: valid(f) for n, f in FIELDS.items()}).map(compatible)
thorough = settings(max_examples=100, deadline=None, derandomize=True)


@thorough
@given(values=any_config)
def test_configurations_survive_json(values):
    config = Config(**values)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.replace() == config


@thorough
@given(values=any_config)
def test_run_names_are_one_plain_folder_name(values):
    name = Config(**values).run_name
    assert re.fullmatch(r"[\w.\-]+", name)
    assert name.startswith(values["model_name"] + "_") and name.endswith(values["extra_name"])
