"""A data set given as a file replaces the one before, whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile

OPTION = "--data"


class ConfigFile(ActionConfigFile):
    """Forgets the data set so far where the file names another one by its file; part of one is merged into it."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        if names_data_file(values):
            cfg.pop("data", None)
        super().__call__(parser, cfg, values, option_string)


def names_data_file(config: str) -> bool:
    """
    Args:
        config: A path, or the content of a config.
    """
    try:
        content = yaml.safe_load(Path(config).read_text() if is_file(config) else config)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return False  # what is wrong with it is said by the parser
    return isinstance(content, dict) and isinstance(content.get("data"), str)


def is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a name that is too long: content
        return False


def as_config(argv: list[str]) -> list[str]:
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
