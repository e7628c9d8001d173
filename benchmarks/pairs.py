"""The ten pairs of model and dataset, each trained by one command of the package."""

import subprocess
import sys
from pathlib import Path

from vae_gmvae import Config, reference, runs

PAIRS = ["/".join(pair) for pair in reference.PAIRS]


def trained(config: Config, preset: str, checkpoints: Path, *flags: str) -> Path:
    """The folder of a finished run of `config`, `preset` with its own number of epochs.

    What is finished is kept; a run that was cut short is completed. ValueError: a run of another
    configuration stands there.
    """
    folder = checkpoints / config.run_name
    if (folder / "finished.json").exists():
        runs.check_same(config, folder)
    else:
        started = (folder / "config.json").exists()
        places = ("--checkpoint_dir", str(checkpoints), *flags)
        subprocess.run([*command(config, preset, started), *places], check=True)
    return folder


def command(config: Config, preset: str, restore: bool = False) -> list[str]:
    """The one command that trains `config`."""
    flags = dict(
        preset=preset,
        model_name=config.model_name,
        dataset_name=config.dataset_name,
        epochs=config.epochs,
    )
    flags |= {"restore": 1} if restore else {}
    text = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "vae_gmvae", *text]
