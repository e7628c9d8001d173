"""README.md is true: its table is that of the results file, its flags and names exist."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

import vae_gmvae
from vae_gmvae import cli
from vae_gmvae.config import MODEL_NAMES, Config, preset

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^(?:vae-gmvae) .*$", README, re.M)


@pytest.fixture(scope="module")
def benchmarks():
    """The modules of benchmarks/, imported as its scripts import each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module


@pytest.fixture(scope="module")
def thesis_runs(benchmarks):
    return benchmarks("thesis_runs")


def test_the_tables_are_those_of_the_results(benchmarks, thesis_runs):
    tables, references = benchmarks("tables"), benchmarks("reference_runs").results()
    assert list(references) == thesis_runs.PAIRS
    for name, results in {
        "thesis runs": thesis_runs.stored(),
        "reference runs": references,
    }.items():
        assert tables.printed(tables.README, name) == tables.of_runs(results)
    clustering = benchmarks("clustering")
    summary = clustering.summary(clustering.reference.clustering_results())
    assert tables.printed(tables.README, "clustering") == clustering.table(summary)


@pytest.mark.parametrize("model_name", MODEL_NAMES)
@pytest.mark.parametrize("dataset", ["MNIST", "FREY"])
def test_a_reference_run_has_the_configuration_of_its_preset(benchmarks, model_name, dataset):
    config = preset("reference", model_name, dataset)
    assert benchmarks("reference_runs").is_stored(config)


def test_the_results_are_those_of_the_configurations_that_the_benchmark_trains(thesis_runs):
    stored = thesis_runs.stored()
    assert list(stored) == thesis_runs.PAIRS
    for pair, found in stored.items():
        assert Config.from_dict(found["config"]) == thesis_runs.configuration(pair)
        assert found["metrics"]["epochs"] <= found["config"]["epochs"]


@pytest.mark.parametrize("name", ["thesis", "reference"])
@pytest.mark.parametrize("pair", ["model1/FREY", "model5/MNIST"])
def test_a_pair_is_trained_by_one_command_of_the_command_line(benchmarks, name, pair):
    config = preset(name, *pair.split("/"), epochs=7)
    arguments = benchmarks("pairs").command(config, name)[3:]
    options = vars(cli.build_parser().parse_args(arguments))
    assert cli.read_config(options) == config
    assert options["train"] == 1


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
