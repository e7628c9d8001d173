"""The book's two speeds: `reference`, what it publishes, and `smoke`, what its tests run."""

import os

VARIABLE = "VAE_GMVAE_SPEED"
SPEEDS = ("reference", "smoke")


def by_speed(*, reference, smoke):
    """`reference`, or `smoke` where the environment variable VAE_GMVAE_SPEED says so.

    Raises:
        ValueError: the variable holds another word.
    """
    speed = os.environ.get(VARIABLE) or "reference"
    if speed not in SPEEDS:
        raise ValueError(f"{VARIABLE} is {speed!r}: set it to {' or '.join(SPEEDS)}, or not at all")
    return {"reference": reference, "smoke": smoke}[speed]
