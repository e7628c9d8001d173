"""README.md is true: its table is that of the results file, its flags and names exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import vae_gmvae
from vae_gmvae import cli
from vae_gmvae.config import MODEL_NAMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^(?:vae-gmvae) .*$", README, re.M)


@pytest.fixture(scope="module")
def thesis_runs():
    path = ROOT / "benchmarks" / "thesis_runs.py"
    spec = importlib.util.spec_from_file_location("thesis_runs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_results_file(thesis_runs):
    printed = README.split(thesis_runs.BEGIN)[1].split(thesis_runs.END)[0]
    assert printed == thesis_runs.table(thesis_runs.stored())


def test_the_results_are_those_of_the_configurations_that_the_benchmark_trains(thesis_runs):
    stored = thesis_runs.stored()
    assert list(stored) == thesis_runs.PAIRS
    for pair, found in stored.items():
        assert found["config"] == thesis_runs.configuration(pair).to_dict()
        assert found["metrics"]["epochs"] <= found["config"]["epochs"]


@pytest.mark.parametrize("pair", ["model1/FREY", "model5/MNIST"])
def test_the_benchmark_trains_a_pair_by_one_command_of_the_command_line(thesis_runs, pair):
    arguments = thesis_runs.command(pair, restore=False)[3:]
    options = vars(cli.build_parser().parse_args(arguments))
    assert cli.read_config(options) == thesis_runs.configuration(pair)
    assert options["generate"] == options["train"] == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_the_command_line_takes(command):
    options = vars(cli.build_parser().parse_args(shlex.split(command)[1:]))
    assert cli.read_config(options).model_name in MODEL_NAMES


def test_there_are_commands():
    assert len(COMMANDS) >= 5


def test_every_flag_exists_and_every_flag_is_named():
    flags = set(re.findall(r"--([a-zA-Z_]+)", cli.build_parser().format_help()))
    named = set(re.findall(r"--([a-zA-Z_]+)", README)) - {"logdir"}  # TensorBoard's
    assert named == flags - {"version"}


def test_every_name_imported_exists():
    for names in re.findall(r"^from vae_gmvae import (.*)$", README, re.M):
        assert set(names.split(", ")) <= set(vae_gmvae.__all__)


def test_every_relative_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
