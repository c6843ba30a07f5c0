"""A data set given as a file replaces the one before, whole."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, Namespace

OPTION = "--data"
SHOWS = (
    "synthesis",
    "true_fakes",
    "augment",
    "oracle",
    "pairs",
    "image_size",
    "frame_source",
    "clip",
    "every",
)  # of FaceData


class ConfigFile(ActionConfigFile):
    """Forgets the data set so far where the file names another one by its file; part of one is merged into it."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        before = cfg.pop("data", None) if names_data_file(values) else None
        super().__call__(parser, cfg, values, option_string)
        if before is not None:
            say_what_is_gone(before, cfg.get("data"))


def say_what_is_gone(before: Any, after: Any) -> None:
    """What a method was to be shown of the data set before: without it, it would be trained on something else."""
    from datamodules.face_data import FaceData  # dear, and imported already where there is a data set

    defaults = {name: one.default for name, one in inspect.signature(FaceData).parameters.items()}
    given, now = (one.get("init_args") or {} if isinstance(one, Namespace) else {} for one in (before, after))
    gone = [
        f"data.{name}"
        for name in SHOWS
        if given.get(name, defaults[name]) != defaults[name] and now.get(name, defaults[name]) == defaults[name]
    ]
    if gone:
        print(f"a data set given as a file replaces the one before: {', '.join(gone)} not kept", file=sys.stderr)


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
