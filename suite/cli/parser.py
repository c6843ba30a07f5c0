"""Errors of the command line in one line, with the nearest right name."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, ArgumentParser

from suite.cli.config_file import ConfigFile, to_config_options
from suite.cli.suggest import suggest, suggest_file

CLASS = re.compile(r"Problem with given class_path '([\w.]+)'")
OPTION = re.compile(
    r"(?:Option|Key|Group key) '([\w.-]+)' is not (?:accepted|expected)|does not accept option '([\w.-]+)'"
)
FILE = re.compile(
    r"(?:File does not exist: '|Expected a path but |Unable to load config \")([^'\"]+?)(?:'|\"| either not accessible)"
)
ARGUMENT = re.compile(r"[Uu]nrecognized arguments: --([\w.-]+)")
KEY = re.compile(r'Parser key "([^"]+)"')


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


def explain(message: str, options: list[str]) -> str:
    """The one thing wrong in what jsonargparse prints."""
    key = KEY.search(message)
    where = f"{key[1]}: " if key else ""
    path, option, argument = CLASS.search(message), OPTION.search(message), ARGUMENT.search(message)
    file = FILE.search(message)
    if file:
        return f"{where}{file[1]}: no such file" + suggest_file(file[1])
    if path and option:
        return f"{where}{path[1]} has no argument {option[1]!r}" + suggest(option[1], arguments(path[1]))
    if path and ("has no attribute" in message or "No module named" in message):
        return f"{where}there is no class {path[1]!r}" + nearest_class(path[1])
    if argument or option:
        name = next(filter(None, (*(argument.groups() if argument else ()), *(option.groups() if option else ()))))
        return f"unknown key {name!r}" + suggest(name, options)
    # each with the reasons that are indented below it
    errors = [" ".join(error.split()) for error in re.findall(r"^ +- ((?:.|\n {6,})+)$", message, re.MULTILINE)]
    errors = [line for line in errors if "NoneType" not in line]
    if errors:
        return where + errors[0]
    return where + " ".join(line.strip() for line in KEY.sub("", message).splitlines()).lstrip(": ")


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def arguments(path: str) -> list[str]:
    """Names that the constructor of a class takes, those it passes on included."""
    names: list[str] = []
    for base in load(path).__mro__:
        if base.__module__.split(".")[0] in ("datamodules", "lightning_modules", "callbacks") or not names:
            names += [
                name for name in inspect.signature(base.__init__).parameters if name not in ("self", "args", "kwargs")
            ]
    return names


def nearest_class(path: str) -> str:
    module = path.rpartition(".")[0]
    try:
        found = import_module(module)
    except ImportError:
        package = module.split(".")[0]
        spec = find_spec(package) if package else None
        places = spec.submodule_search_locations if spec else None
        modules = [m.name for m in pkgutil.walk_packages(places, f"{package}.")] if places else []
        packages = ["lightning_modules", "datamodules", "callbacks"]
        return suggest(module, modules or packages)
    return suggest(path, [f"{module}.{n}" for n, value in vars(found).items() if inspect.isclass(value)])
