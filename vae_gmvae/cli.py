"""The command line: the thesis's flags -> Config -> train, restore, evaluate, generate."""

import argparse
import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

from vae_gmvae import __version__, config, runs

DESCRIPTION = "Train and evaluate the five models of VAE-GMVAE on MNIST, Frey Faces or own images."
EPILOG = """\
The variance of p(x|z) is --sigma, in squared grey levels with white as 1. Every term of the ELBO
is in nats per image. Data are looked for in --data_dir (or VAE_GMVAE_DATA_DIR), then in the
download cache, then at their public source.

exit codes: 0 done, 1 the loss stopped being finite, 2 bad input, 130 interrupted
"""
MEMORY = re.compile("ResourceExhausted|RESOURCE_EXHAUSTED")  # TensorFlow's, JAX's
ENGINES = {"tensorflow": "pip install vae-gmvae", "jax": 'pip install "vae-gmvae[jax]"'}
GROUPS = {
    config.TRAINING: "aspects of the training process",
    config.NETWORKS: "aspects of the neural networks",
    config.OBJECTIVE: "aspects of the objective",
}
DIRECTORIES = {
    "checkpoint_dir": ("saved_models", "directory name to save the checkpoints"),
    "result_dir": ("results", "directory name to save figures and metrics.json"),
    "log_dir": ("logdir", "directory name to save TensorBoard's logs"),
}
SWITCHES = {
    "train": (1, "train the model"),
    "summary": (1, "write TensorBoard's logs"),
    "restore": (0, "go on from the newest checkpoint"),
    "distribute": (0, "train on all GPUs of this machine, each taking its part of every batch"),
    "plot": (0, "show the figures (and write them)"),
    "generate": (0, "evaluate, write the figures and metrics.json"),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    parser = build_parser()
    options = vars(parser.parse_args(arguments))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return run_command(options)
    except KeyboardInterrupt:
        say("interrupted; --restore 1 goes on from the last whole epoch")
        return 130
    except Exception as error:
        code, message = _answer_to(error)
        if not code or os.environ.get("VAE_GMVAE_TRACEBACK"):
            raise
        print(f"vae-gmvae: error: {message}", file=sys.stderr)
        return code


def _answer_to(error: Exception) -> tuple[int, str]:
    """Exit code and message; code 0 for what is nobody's input but a mistake of the program."""
    if type(error).__name__ == "NonFiniteLossError":
        return 1, str(error)
    if isinstance(error, (ValueError, OSError, ModuleNotFoundError)):
        return 2, str(error)
    if isinstance(error, MemoryError) or MEMORY.search(f"{type(error).__name__} {error}"):
        return 2, "out of memory: try a smaller batch_size, hidden_dim or num_imgs"
    return 0, ""


def run_command(options: dict) -> int:
    """Trains, evaluates and plots as the options say; raises what `main` turns into a message."""
    settings = read_config(options)
    _check_engine(os.environ.get("KERAS_BACKEND", "tensorflow"))
    _say_what_is_unused(settings, options)
    for name in DIRECTORIES:
        options[name] = Path(options[name]).expanduser()
    folder, results, log_dir = (options[name] / settings.run_name for name in DIRECTORIES)
    if options["restore"]:
        runs.check_same(settings, folder)
    elif not options["train"]:
        raise ValueError("train is 0 and restore is 0: there is no model; use --restore 1")

    from vae_gmvae.data import load_dataset

    data = load_dataset(
        settings.dataset_name,
        options["data_dir"],
        seed=settings.seed,
        split=settings.split,
        binarise=settings.binarise,
    )
    _check_writable(options)
    of_all = f"{min(settings.subset, len(data.train))} of " if settings.subset else ""
    say(f"{settings.run_name}: {of_all}{len(data.train)} training images from {data.source}")
    run = _train_or_load(settings, data, folder, log_dir, options)
    if not options["restore"]:
        _set_aside_earlier(results, folder, log_dir)
    with runs.alone(folder) if options["train"] else contextlib.nullcontext():
        if options["generate"] or options["plot"]:
            _report(run, data, results, options)
        if options["train"]:
            run.finish()
    return 0


def _set_aside_earlier(results: Path, *own: Path):
    """What an earlier run of this name left, as its checkpoints are, unless it lies in `own`."""
    if results.exists() and results.resolve() not in [folder.resolve() for folder in own]:
        runs.set_aside(results, say)


def _say_what_is_unused(settings: config.Config, options: dict):
    for name, reason in settings.unused(_given(options)).items():
        flag = config.OPTIONS[name].metadata["flag"] or name
        say(f"{settings.model_name}: --{flag} makes no difference ({reason})")


def _check_engine(name: str):
    if name not in ENGINES:
        raise ValueError(f"KERAS_BACKEND is {name!r}: choose {' or '.join(ENGINES)}")
    if importlib.util.find_spec(name) is None:
        raise ValueError(f"KERAS_BACKEND is {name!r}, which is not installed: {ENGINES[name]}")


def _check_writable(options: dict):
    """Raises before any work is done where a folder that will be needed cannot be written."""
    needed = {
        "checkpoint_dir": options["train"],
        "log_dir": options["train"] and options["summary"],
        "result_dir": options["generate"] or options["plot"],
    }
    for name in (name for name in DIRECTORIES if needed[name]):
        folder = options[name]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(
                f"{name} is {str(folder)!r}, which cannot be written ({reason}): "
                f"choose another folder with --{name}"
            ) from error


def _train_or_load(settings, data, folder, log_dir, options) -> runs.Run:
    if not options["train"]:
        runs.check_data(data, folder, say)
        return runs.load_run(folder)
    from vae_gmvae.callbacks import best_epoch
    from vae_gmvae.training import train

    run = train(
        settings,
        data,
        folder,
        restore=bool(options["restore"]),
        distribute=bool(options["distribute"]),
        log_dir=log_dir if options["summary"] else None,
        finish=False,
        say=say,
    )
    epoch = best_epoch(run.history, run.judged_from)
    best = run.history["val_elbo"][run.history["epoch"].index(epoch)]
    say(f"{run.epochs_done} epochs done, best validation ELBO {best:.2f} nats; run in {folder}")
    return run


def _report(run, data, folder: Path, options):
    from vae_gmvae.report import report

    numbers = {"num_imgs": options["num_imgs"], "num_samples": options["num_samples"]}
    paths = report(run, data, folder, progress=True, say=say, **numbers)
    shown = ("elbo", "log_p_x", "accuracy_one_to_one")
    found = [f"{name} {run.metrics[name]:.4g}" for name in shown if run.metrics.get(name)]
    say(f"{', '.join(found)}; {len(paths)} figures and metrics.json in {folder}")
    if options["plot"]:
        _show(paths)


def _show(paths: list[Path]):
    """Opens a window for every figure, where there is a display."""
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() == "agg":
        say("no display: the figures are in the files named above")
        return
    for path in paths:
        axes = plt.figure(path.stem).add_axes((0, 0, 1, 1))
        axes.imshow(plt.imread(path))
        axes.set_axis_off()
    plt.show()


def say(message: str):
    print(message, flush=True)


# --- flags


def read_config(options: dict) -> config.Config:
    """The configuration that the parsed options describe: a preset's values give way to flags."""
    given = _given(options)
    if options["preset"] is None:
        return config.Config(**given)
    model_name = given.pop("model_name", "model1")
    dataset_name = given.pop("dataset_name", "MNIST")
    return config.preset(options["preset"], model_name, dataset_name, **given)


def _given(options: dict) -> dict:
    """The values of Config's fields that flags give."""
    return {name: options[name] for name in config.OPTIONS if name in options}


def build_parser() -> argparse.ArgumentParser:
    """The parser; its flags for numbers and choices come from the fields of Config."""
    parser = argparse.ArgumentParser(
        prog="vae-gmvae",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for group, title in GROUPS.items():
        _add_config_flags(parser.add_argument_group(title), group)
    folders = parser.add_argument_group("checkpoint, result, log and data directories")
    for name, (default, text) in DIRECTORIES.items():
        folders.add_argument(f"--{name}", default=default, help=f"{text} (default: {default})")
    folders.add_argument("--data_dir", help="directory that holds the input data")
    switches = parser.add_argument_group("enable (1) or disable (0)")
    for name, (default, text) in SWITCHES.items():
        text = f"{text} (default: {default})"
        switches.add_argument(f"--{name}", type=int, choices=(0, 1), default=default, help=text)
    _add_other_flags(parser.add_argument_group("other parameters"))
    return parser


def _add_other_flags(group):
    group.add_argument(
        "--preset", choices=config.PRESETS, help="start from these settings instead of the defaults"
    )
    _add_config_flags(group, config.FILES)
    group.add_argument(
        "--num_imgs", type=_positive, default=50, help="images to plot (default: 50)"
    )
    group.add_argument(
        "--num_samples",
        type=_positive,
        default=200,
        help="importance samples per image for log p(x) (default: 200)",
    )


def _add_config_flags(group, name: str):
    for field in config.OPTIONS.values():
        meta = field.metadata
        if meta["group"] != name:
            continue
        flag = meta["flag"] or field.name
        default = "empty" if field.default == "" else field.default
        text = f"{meta['help']} (default: {default})".replace("%", "%%")
        group.add_argument(
            f"--{flag}",
            dest=field.name,
            type=_reader(field),
            default=argparse.SUPPRESS,
            metavar=_metavar(field, flag),
            help=text,
        )


def _metavar(field, flag: str) -> str:
    choices = field.metadata["choices"]
    return "{" + ",".join(choices) + "}" if choices else flag.upper()


def _reader(field):
    """Text -> the field's type; what cannot be read goes on as text, for Config to refuse."""
    kind = type(field.default)

    def read(text: str):
        try:
            return kind(text)
        except ValueError:
            return text

    return read


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
