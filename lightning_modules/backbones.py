"""Names of timm models, refused with the nearest right ones."""

from __future__ import annotations

from difflib import get_close_matches

import timm

from datamodules.errors import Refused


def check(what: str, name: str, among: str = "") -> None:
    """
    Args:
        what: The argument that the name was given for.
        among: Pattern of the names that are suggested.
    """
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(among), n=3, cutoff=0.5)
        hint = f", did you mean {' or '.join(close)}?" if close else ""
        raise Refused(f"{what} {name!r}: no such timm model{hint}")
