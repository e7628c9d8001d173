"""`python -m vae_gmvae`: the command line."""

import sys

from vae_gmvae.cli import main

sys.exit(main())
