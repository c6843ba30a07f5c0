"""Errors of the command line in one line, with the nearest right name."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, ArgumentParser

from suite.cli.config_file import ConfigFile, to_config_options
from suite.cli.explain import explain


class Parser(ArgumentParser):
    """Says what is wrong, without the usage text in front of it, which is some fifty lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # abbreviations would let a mistyped key through
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("action") is ActionConfigFile:
            kwargs["action"] = ConfigFile
        return super().add_argument(*args, **kwargs)

    def parse_args(self, args: Any = None, *others: Any, **kwargs: Any) -> Any:
        if any(isinstance(action, ActionConfigFile) for action in self._actions):  # not that of a class
            args = to_config_options(sys.argv[1:] if args is None else list(args))
        return super().parse_args(args, *others, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        subcommand = getattr(ex, "subcommand_parser", None) or self
        sys.stderr.write(f"suite: {explain(message, list_options(subcommand))}\n")
        sys.exit(2)


def expand_flag(argv: list[str], name: str) -> list[str]:
    """An option for yes or no may stand alone, which jsonargparse does not know."""
    for i in [i for i, word in enumerate(argv) if word == name][::-1]:
        if i + 1 == len(argv) or argv[i + 1].startswith("-"):
            argv = [*argv[: i + 1], "true", *argv[i + 1 :]]
    return argv


def list_options(parser: ArgumentParser) -> list[str]:
    names = [option[2:] for action in parser._actions for option in action.option_strings if option.startswith("--")]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            names += [
                name for sub in action.choices.values() if isinstance(sub, ArgumentParser) for name in list_options(sub)
            ]
    return names
