"""Configs that begin from others, and data sets that are given as a file."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, Namespace

from suite.cli.suggest import suggest_file

OPTION = "--data"
# of FaceData: what is of the data set itself, which another one replaces, and the seed, which is given elsewhere
OWN = ("prepared", "root", "index", "compression", "methods", "split", "audio_fakes", "sets", "seed")


class ConfigFile(ActionConfigFile):
    """A config may begin from others: ``base`` names files beside it, ``base`` below ``data`` that of a data set.

    A data set that is named by its file replaces the one before; part of one is merged into it.
    """

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        before, is_replaced = cfg.get("data"), False
        for part in expand(values):
            if names_data_file(part):
                is_replaced = cfg.pop("data", None) is not None or is_replaced
            super().__call__(parser, cfg, part, option_string)
        if is_replaced and before is not None:
            say_what_is_gone(before, cfg.get("data"))


def expand(config: str, within: tuple[Path, ...] = ()) -> list[str]:
    """What a config says, in the order in which it applies: its bases, the file of its data set, then the rest.

    Args:
        config: A path, or the content of a config.
        within: Configs that begin from this one.
    """
    content, folder = read(config), Path(config).parent if is_file(config) else Path()
    data = content.get("data")
    if "base" not in content and not (isinstance(data, dict) and "base" in data):
        return [config]
    path = Path(config).resolve() if is_file(config) else Path("the config")
    if path in within:
        raise TypeError(f"{path}: base: begins from itself")
    bases = content.pop("base", [])
    parts: list[str] = []
    for base in bases if isinstance(bases, list) else [bases]:
        parts += expand(find_base(folder, base, path), (*within, path))
    if isinstance(data, dict) and "base" in data:
        parts.append(json.dumps({"data": find_base(folder, data.pop("base"), path)}))
    elif isinstance(data, str):
        content["data"] = find_base(folder, data, path)
    return [*parts, json.dumps(content)]


def list_files(config: Path) -> list[Path]:
    """A config, those that it begins from, and the file of its data set; ``expand`` refuses what is not there."""
    found = [config]
    for file in found:  # which grows
        content = read(str(file))
        bases, data = content.get("base", []), content.get("data")
        named = bases if isinstance(bases, list) else [bases]
        named = [*named, data.get("base", "") if isinstance(data, dict) else data]
        there = ((file.parent / str(name)).resolve() for name in named if name)
        found += [one for one in there if one.is_file() and one not in found]
    return found


def find_base(folder: Path, base: Any, path: Path) -> str:
    """
    Args:
        folder: Folder of the config, which the name is relative to.
        base: What the config gives.
        path: The config.
    """
    found = folder / str(base)
    if not found.is_file():
        raise TypeError(f"{path}: base {base}: no such file" + suggest_file(str(found)))
    return str(found.absolute())


def say_what_is_gone(before: Any, after: Any) -> None:
    """What was to be done with the data set before: a method would be trained on something else, or otherwise."""
    from datamodules.face_data import FaceData  # dear, and imported already where there is a data set

    defaults = {name: one.default for name, one in inspect.signature(FaceData).parameters.items()}
    given, now = (one if isinstance(one, Namespace) else Namespace() for one in (before, after))
    gone = [
        f"data.{name}"
        for name in defaults
        if name not in OWN
        and given.get(name, defaults[name]) != defaults[name]
        and now.get(name, defaults[name]) == defaults[name]
    ]
    if gone:
        print(f"a data set given as a file replaces the one before: {', '.join(gone)} not kept", file=sys.stderr)


def names_data_file(config: str) -> bool:
    """
    Args:
        config: A path, or the content of a config.
    """
    return isinstance(read(config).get("data"), str)


def read(config: str) -> dict[str, Any]:
    """Content of a config; nothing where it cannot be read, which the parser says.

    Args:
        config: A path, or the content of a config.
    """
    try:
        content = yaml.safe_load(Path(config).read_text() if is_file(config) else config)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a name that is too long: content
        return False


def to_config_options(argv: list[str]) -> list[str]:
    """A data set given on the command line is what a config with nothing but it says."""
    out: list[str] = []
    for word in argv:
        name, sign, value = word.partition("=")
        if out and out[-1] == OPTION and is_file(word):
            out[-1:] = ["--config", json.dumps({"data": word})]
        elif name == OPTION and sign and is_file(value):
            out += ["--config", json.dumps({"data": value})]
        else:
            out.append(word)
    return out
