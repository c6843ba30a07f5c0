"""Parts of configs that are passed on to other commands as they are written."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from jsonargparse.typing import register_type

Config = dict[str, Any]  # of any shape: what a file of a command's settings has


class Overrides(Mapping[str, Any]):
    """Of a plain dictionary jsonargparse would build each class_path that is in it."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.values_by_key = dict(values or {})

    def __getitem__(self, key: str) -> Any:
        return self.values_by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)

    def __repr__(self) -> str:
        return repr(self.values_by_key)


def read(given: Any) -> Overrides:
    found = yaml.safe_load(given) if isinstance(given, str) else given
    if not isinstance(found, Mapping):
        raise ValueError(f"{given!r}: must be settings by their names")
    return Overrides(found)


register_type(Overrides, serializer=dict, deserializer=read)


def merge(*settings: Mapping[str, Any]) -> Config:
    """Later ones win, key by key."""
    out: Config = {}
    for one in settings:
        for key, value in one.items():
            if isinstance(value, Mapping):
                before = out.get(key)
                out[key] = merge(before, value) if isinstance(before, Mapping) else merge(value)
            else:
                out[key] = copy.deepcopy(value)
    return out
