"""The nearest right name; only the standard library, so that a refusal is instant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def suggest(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, sorted(set(names)), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""


def suggest_file(path: str) -> str:
    folder = Path(path).parent
    return suggest(path, [str(folder / p.name) for p in folder.iterdir()] if folder.is_dir() else [])
