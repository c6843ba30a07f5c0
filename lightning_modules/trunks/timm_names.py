"""Names of timm models, refused with the nearest right ones."""

from __future__ import annotations

from difflib import get_close_matches

import timm

from datamodules.runtime.errors import UserError


def check_activation(what: str, name: str) -> None:
    """Refuses CLIP's weights in a network of another activation, where they load without complaint.

    timm has most of those that were trained with QuickGELU under two names, of which the shorter is built with GELU.
    """
    net, pretrained = name.partition(".")[0], timm.models.get_pretrained_cfg(name)
    right = f"{net.replace('_clip_', '_clip_quickgelu_')}.{pretrained.tag if pretrained else ''}"
    if right.partition(".")[0] != net and right in timm.list_pretrained(right):
        raise UserError(
            f"{what} {name!r}: its weights were trained with QuickGELU, which this network lacks; use {right}"
        )


def check(what: str, name: str, among: str = "") -> None:
    """
    Args:
        what: The argument that the name was given for.
        among: Pattern of the names that are suggested.
    """
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(among), n=3, cutoff=0.5)
        hint = f", did you mean {' or '.join(close)}?" if close else ""
        raise UserError(f"{what} {name!r}: no such timm model{hint}")
