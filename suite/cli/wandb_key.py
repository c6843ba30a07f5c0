"""Whether this machine may talk to Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path


def has_key() -> bool:
    netrc = Path.home() / ".netrc"
    return "WANDB_API_KEY" in os.environ or (netrc.is_file() and "wandb" in netrc.read_text())
