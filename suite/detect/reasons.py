"""Reasons for no verdict in one line of bounded length, however many faces there are."""

from __future__ import annotations

import re
from collections.abc import Sequence

FEW = 3  # alike reasons that are listed one by one
LONGEST = 1000  # characters
FACE = re.compile(r"^face \d+: ")


def count_alike(reasons: Sequence[str]) -> list[str]:
    """Those of many faces that differ in their numbers alone are one, with the number of faces."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        kind = FACE.sub("", reason).split(" (")[0] if FACE.match(reason) else reason
        alike.setdefault(kind, []).append(reason)
    found = []
    for kind, group in alike.items():
        found += group if len(group) <= FEW else [f"{len(group):,} faces: {kind}"]
    return found


def shorten_reason(reason: str) -> str:
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}..."


def join_reasons(reasons: Sequence[str]) -> str:
    return shorten_reason("; ".join(count_alike(reasons)))
