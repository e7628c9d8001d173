"""The command line: every flag, the figures it writes, and what bad input gets."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from vae_gmvae import cli, runs
from vae_gmvae.config import MODEL_NAMES, Config
from vae_gmvae.data import load_dataset

# seed-facts: the thesis's flags and their defaults
THESIS_FLAGS = {
    "model_name": "model1",
    "dataset_name": "MNIST",
    "epochs": 20,
    "batch_size": 64,
    "sigma": 0.1,
    "learning_rate": 1e-3,
    "z_dim": 3,
    "w_dim": 3,
    "K_clusters": 10,
    "hidden_dim": 50,
    "num_layers": 2,
    "checkpoint_dir": "saved_models",
    "result_dir": "results",
    "log_dir": "logdir",
    "train": 1,
    "summary": 1,
    "restore": 0,
    "plot": 0,
    "generate": 0,
    "save_step": 10,
    "num_imgs": 50,
    "extra_name": "",
}
COMMON_FIGURES = {
    "graphical_model",
    "elbo_equation",
    "elbo_breakdown",
    "training_curves",
    "reconstructions_train",
    "reconstructions_test",
    "samples",
    "samples_5x5",
    "latent_z",
}
TINY = "--epochs 1 --batch_size 8 --hidden_dim 8 --K_clusters 3 --num_samples 3 --num_imgs 4"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with nothing but own images: 60 of 8 x 8, labels 0 to 2."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = np.uint8(rng.integers(0, 80, (60, 8, 8)) + 80 * labels[:, None, None])
    np.savez("own.npz", x=x, labels=labels)
    return tmp_path


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where `trained` keeps its run from test to test."""
    return tmp_path_factory.mktemp("kept") / "saved_models"


@pytest.fixture
def trained(folder, kept):
    """The working directory with a trained run, model1_own_1_01_3_8_2."""
    if not kept.exists():
        assert run("--summary 0") == 0
        shutil.copytree("saved_models", kept)
    else:
        shutil.copytree(kept, "saved_models")
    return folder


def run(text: str) -> int:
    return cli.main(["--dataset_name", "own.npz", *TINY.split(), *text.split()])


def parsed(text: str) -> dict:
    return vars(cli.build_parser().parse_args(text.split()))


def test_every_flag_of_the_thesis_has_its_default():
    options = parsed("")
    options["preset"] = None
    values = options | cli.read_config(options).to_dict()
    values |= {"sigma": values["x_var"], "K_clusters": values["num_clusters"]}
    assert {name: values[name] for name in THESIS_FLAGS} == THESIS_FLAGS
    assert parsed("--data_dir d")["data_dir"] == "d"


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_option_of_config_is_a_flag(field):
    other = {
        str: (field.metadata["choices"] or ("", "other"))[-1],
        int: (field.metadata["low"] or 0) + 3,
        float: 0.5,
    }[type(field.default)]
    flag = field.metadata["flag"] or field.name
    options = parsed(f"--{flag} {other}")
    assert options[field.name] == other
    assert type(options[field.name]) is type(field.default)


def test_flags_go_before_the_preset():
    options = parsed("--preset thesis --model_name model5 --z_dim 4")
    found = cli.read_config(options)
    assert (found.z_dim, found.w_dim, found.x_var, found.epochs) == (4, 2, 0.001, 300)


def test_sigma_auto():
    assert cli.read_config(parsed("--sigma auto")).x_var == "auto"


def test_help_groups_the_flags_and_names_units(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for name in (*THESIS_FLAGS, "preset", "seed", "data_dir"):
        assert f"--{name} " in text
    for title in ("training process", "neural networks", "directories", "enable", "nats"):
        assert title in text
    assert "VARIANCE" in text


@pytest.mark.parametrize("model_name", MODEL_NAMES)
def test_generate_writes_the_figures_of_the_thesis(folder, model_name):
    assert run(f"--model_name {model_name} --generate 1 --summary 0") == 0
    (result,) = (folder / "results").iterdir()
    figures = {path.stem for path in result.glob("*.png")}
    expected = set(COMMON_FIGURES)
    if model_name not in ("model1", "model2"):
        expected |= {"clusters", "cluster_0", "cluster_1", "cluster_2", "cluster_confusion"}
    if model_name in ("model4_bias", "model5"):
        expected |= {"latent_w"}
    assert figures == expected
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["images"] == 6 and metrics["log_p_x_num_samples"] == 3
    assert metrics["epochs"] == 1 and np.isfinite(metrics["elbo"])


def test_restore_without_training_gives_the_same_metrics(trained):
    assert run("--train 0 --restore 1 --generate 1") == 0
    (path,) = (trained / "results").glob("*/metrics.json")
    first = path.read_text()
    path.unlink()
    assert run("--train 0 --restore 1 --generate 1") == 0
    assert path.read_text() == first


def test_restore_trains_more_epochs_and_summary_writes_logs(trained):
    assert run("--restore 1") == 0
    (checkpoint,) = (trained / "saved_models").iterdir()
    history = (checkpoint / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in history] == ["epoch", "1", "2"]
    (logs,) = (trained / "logdir").iterdir()
    assert {path.name for path in logs.iterdir()} == {"train", "valid", "embed"}


def test_plot_without_a_display_says_where_the_figures_are(trained, capsys):
    assert run("--plot 1 --train 0 --restore 1") == 0
    assert "no display" in capsys.readouterr().out
    assert list((trained / "results").glob("*/samples.png"))


def test_the_estimate_of_log_p_x_shows_how_far_it_is(trained, capsys):
    assert run("--generate 1 --train 0 --restore 1") == 0
    last = capsys.readouterr().err.split("\r")[-1]
    assert last.startswith("log p(x) 100%")


def test_a_subset_is_told_from_the_whole(folder, capsys):
    assert run("--subset 16 --summary 0") == 0
    number = len(load_dataset("own.npz").train)
    assert number > 16 and f": 16 of {number} training images from" in capsys.readouterr().out


def test_flags_that_make_no_difference_are_named(folder, capsys):
    assert run("--summary 0 --likelihood bernoulli --sigma 0.2 --strokes_warmup 2 --z_dim 2") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "model1: --K_clusters makes no difference (an option of model3, model4_bias, model5)",
        "model1: --sigma makes no difference (likelihood is bernoulli, which has no variance)",
        "model1: --strokes_warmup makes no difference (strokes is 0)",
    ]
    assert not any("makes no difference" in line for line in said[3:])


def test_a_second_run_of_a_name_keeps_the_first(trained, capsys):
    assert run("--summary 0") == 0
    names = sorted(path.name for path in (trained / "saved_models").iterdir())
    assert names == ["model1_own_1_01_3_8_2", "model1_own_1_01_3_8_2~1"]
    assert "kept as" in capsys.readouterr().out


BAD = {
    "--model_name model9": "model_name is 'model9': choose one of model1",
    "--model_name model4": "did you mean model4_bias",
    "--epochs 0": "epochs is 0",
    "--epochs two": "epochs is 'two': it must be a whole number",
    "--sigma -0.1": "x_var is -0.1: it must be a number greater than 0",
    "--sigma nan": "x_var is nan",
    "--K_clusters 1": "num_clusters is 1",
    "--z_dim 0": "z_dim is 0",
    "--batch_size 1000": "batch_size is 1000, but the training set of own has 48 images",
    "--dropout 1": "dropout is 1.0",
    "--y_prior sideways": "y_prior is 'sideways'",
    "--preset best": "invalid choice: 'best'",
    "--train 2": "argument --train: invalid choice: 2",
    "--num_imgs 0": "'0' is not a whole number of at least 1",
    "--train 0": "there is no model; use --restore 1",
    "--restore 1": "no checkpoint to restore",
    "--data_dir nowhere --dataset_name MNIST": "nowhere",
    "--dataset_name nothing.npz": "nothing.npz",
    "--dataset_name MNST": "MNST",
    "--extra_name a/b": "extra_name 'a/b'",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_gets_one_message_and_exit_code_2(folder, capsys, arguments):
    try:
        code = run(arguments)
    except SystemExit as stop:  # argparse's own refusals
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert BAD[arguments] in error
    assert "Traceback" not in error
    assert not list(folder.glob("*/*")), "no run and no result was begun"


def test_restore_with_another_configuration_names_what_differs(trained, capsys):
    (checkpoint,) = (trained / "saved_models").iterdir()
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    assert run("--restore 1 --seed 3") == 2
    assert "seed 0 there, 3 asked for" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def test_binarised_images_are_what_is_trained_on_and_part_of_the_run(folder, capsys, monkeypatch):
    loaded = []

    def kept(*arguments, **options):
        loaded.append(load_dataset(*arguments, **options))
        return loaded[-1]

    monkeypatch.setattr("vae_gmvae.data.load_dataset", kept)
    assert run("--binarise sampled --likelihood bernoulli --summary 0") == 0
    assert loaded[0].binarise == "sampled" and set(np.unique(loaded[0].test.x)) == {0.0, 1.0}
    assert run("--likelihood bernoulli --summary 0 --restore 1") == 2
    assert "binarise 'sampled' there, 'none' asked for" in capsys.readouterr().err
    assert run("--binarise sampled --summary 0 --extra_name gaussian") == 0


def test_restore_of_another_number_of_epochs_names_the_runs_that_exist(trained, capsys):
    assert run("--restore 1 --epochs 7") == 2
    assert "model1_own_1_01_3_8_2" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["checkpoint_dir", "log_dir", "result_dir"])
def test_an_unwritable_folder_is_named(folder, capsys, name):
    (folder / "file").write_text("not a folder")
    assert run(f"--generate 1 --{name} file/inside") == 2
    error = capsys.readouterr().err
    assert f"{name} is 'file/inside', which cannot be written (Not a directory)" in error
    assert f"--{name}" in error
    assert not list(folder.glob("*/*/*.npz")), "it is found out before anything is trained"


def test_a_loss_that_is_not_finite_has_its_own_exit_code(folder, capsys):
    text = "--model_name model3 --mixture_density naive --learning_rate 10 --epochs 30 --z_dim 50"
    assert run(f"{text} --summary 0") == 1
    error = capsys.readouterr().err
    assert re.search(r"(z_prior|reconstruction).*epoch \d+, training step \d+", error)


@pytest.mark.parametrize("engine, words", [("numpy", "choose tensorflow or jax"), ("jax", "[jax]")])
def test_an_engine_that_cannot_train_is_named(folder, capsys, monkeypatch, engine, words):
    monkeypatch.setenv("KERAS_BACKEND", engine)
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    assert run("") == 2
    error = capsys.readouterr().err
    assert f"KERAS_BACKEND is {engine!r}" in error and words in error
    assert not list(folder.glob("*/*"))


def test_out_of_memory_says_what_to_make_smaller(trained, capsys):
    assert run("--train 0 --restore 1 --generate 1 --num_imgs 100000000000000") == 2
    assert "error: out of memory: try a smaller batch_size" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), KeyError("mine")], ids=repr)
def test_a_mistake_of_the_program_is_no_bad_input(folder, monkeypatch, error):
    def wrong(options):
        raise error

    monkeypatch.setattr(cli, "run_command", wrong)
    with pytest.raises(type(error)):
        run("")


def test_images_that_changed_are_refused(trained, capsys):
    with np.load(trained / "own.npz") as own:
        x, labels = own["x"], own["labels"]
    np.savez(trained / "own.npz", x=x[:-1], labels=labels[:-1])
    for train in (0, 1):
        assert run(f"--train {train} --restore 1") == 2
        assert "was trained on other images (" in capsys.readouterr().err


def test_results_of_an_earlier_run_are_kept(folder, capsys):
    """A picture of its third cluster would pass for one of the new run's."""
    for clusters in (3, 2):
        text = f"--model_name model3 --summary 0 --generate 1 --K_clusters {clusters}"
        assert run(text) == 0
    new, old = sorted((folder / "results").iterdir())
    assert f"it is kept as results/{old.name}" in capsys.readouterr().out
    assert (old / "cluster_2.png").exists() and not (new / "cluster_2.png").exists()


def test_the_validation_elbo_that_is_named_is_that_of_the_best_weights(folder, capsys):
    text = "--model_name model4_bias --summary 0 --learning_rate 0.01 --epochs 3 --consistency "
    assert run(f"{text}1") == 0
    assert run(f"{text}1000 --restore 1") == 0
    said = re.findall(r"best validation ELBO (\S+) nats", capsys.readouterr().out)[-1]
    (history,) = folder.glob("saved_models/*/history.csv")
    names, *rows = [line.split(",") for line in history.read_text().splitlines()]
    of_leg = max(float(row[names.index("val_elbo")]) for row in rows[3:])
    assert said == f"{of_leg:.2f}"


def test_the_home_folder_is_meant_by_its_sign(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert run("--summary 0 --checkpoint_dir ~/kept") == 0
    assert list(folder.glob("home/kept/*/best.npz")) and not (folder / "~").exists()


def test_traceback_on_request(folder, monkeypatch):
    monkeypatch.setenv("VAE_GMVAE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="epochs is 0"):
        run("--epochs 0")


def test_module_and_version():
    command = [sys.executable, "-m", "vae_gmvae", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"vae-gmvae \d+\.\d+\.\d+\n", done.stdout)
    assert done.stderr == ""


def test_what_was_told_is_handed_on(folder, monkeypatch):
    told, load = {}, load_dataset

    def load_and_tell(*arguments, **options):
        told.update(options)
        return load(*arguments, **options)

    def train(*arguments, **options):
        told.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("vae_gmvae.data.load_dataset", load_and_tell)
    monkeypatch.setattr("vae_gmvae.training.train", train)
    assert run("--seed 5 --split contiguous --distribute 1 --summary 0") == 130
    assert (told["seed"], told["split"], told["distribute"]) == (5, "contiguous", True)
    assert told["log_dir"] is None


def test_without_training_the_best_weights_are_evaluated(trained, monkeypatch):
    loaded, load = [], runs.load_run

    def load_and_tell(folder, weights="best"):
        loaded.append(weights)
        return load(folder, weights)

    monkeypatch.setattr(runs, "load_run", load_and_tell)
    assert run("--train 0 --restore 1 --generate 1") == 0
    assert loaded == ["best"]


@pytest.mark.parametrize("name", ["checkpoint_dir", "log_dir"])
def test_results_may_lie_where_other_things_of_the_run_lie(folder, name):
    text = f"--generate 1 --{name} one --result_dir one"
    assert run(text) == 0
    (place,) = (folder / "one").iterdir()
    assert (place / "metrics.json").exists()
    assert (place / ("best.npz" if name == "checkpoint_dir" else "train")).exists()
    assert run(f"{text} --train 0 --restore 1") == 0


def test_results_of_an_earlier_run_are_kept_though_none_are_asked_for(folder):
    for clusters, generate in ((3, 1), (2, 0)):
        text = f"--model_name model3 --summary 0 --K_clusters {clusters} --generate {generate}"
        assert run(text) == 0
    (kept,) = (folder / "results").iterdir()
    assert kept.name.endswith("~1") and (kept / "cluster_2.png").exists()
