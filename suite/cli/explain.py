"""The one thing wrong in what jsonargparse prints, with the nearest right name."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suite.cli.suggest import suggest, suggest_file

CLASS = re.compile(r"Problem with given class_path '([\w.]+)'")
OPTION = re.compile(
    r"(?:Option|Key|Group key) '([\w.-]+)' is not (?:accepted|expected)|does not accept option '([\w.-]+)'"
)
FILE = re.compile(
    r"(?:File does not exist: '|Expected a path but |Unable to load config \")([^'\"]+?)(?:'|\"| either not accessible)"
)
ARGUMENT = re.compile(r"[Uu]nrecognized arguments: --([\w.-]+)")
REQUIRED = re.compile(r"arguments are required: (?:[\w]+\.)?([\w.-]+)")
KEY = re.compile(r'Parser key "([^"]+)"')
CHOICES = re.compile(r"typing\.Literal(\[[^\]]*\])")
VALUE = re.compile(r"(?:Given value|Got value): (.*?)(?:\. Got value|$)", re.MULTILINE)
TYPE = re.compile(r"Expected a <class '(int|float|bool|list|dict)'>")
ABSTRACT = re.compile(r"instantiatable class, but ([\w.]+) is abstract")
NESTED = re.compile(r"NestedArg\(key='([\w.]+)'")
WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "dict": "settings by their names"}
MISSING = re.compile(r"has no attribute|No module named|Expected a dot import path string: ")
FUNCTION = re.compile(r"expects a function or a callable class: (?:module|No module)")
PACKAGES = ("lightning_modules", "datamodules", "callbacks")  # of what a class path names
# what other programs call it
SYNONYMS = {
    "out": ("data.prepared", "run"),
    "output": ("out", "data.prepared", "run"),
    "videos": ("data.root",),
    "input": ("data.root",),
    "epochs": ("trainer.max_epochs",),
    "gpus": ("trainer.devices",),
    "checkpoint": ("ckpt_path",),
    "ckpt": ("checkpoint", "ckpt_path"),
}


def explain(message: str, options: list[str]) -> str:
    """
    Args:
        message: What jsonargparse says.
        options: Names of the command's options.
    """
    keys = KEY.findall(message)
    where = f"{keys[0]}: " if keys else ""
    path, option, argument = CLASS.search(message), OPTION.search(message), ARGUMENT.search(message)
    file, required = FILE.search(message), REQUIRED.search(message)
    if required:
        return explain_required(required[1], options)
    if file and not CLASS.search(message) and "dot import path" not in message:
        return f"{where}{file[1]}: no such file" + suggest_file(file[1])
    if path and option:
        return f"{where}{path[1]} has no argument {option[1]!r}" + suggest(option[1], arguments(path[1]))
    if argument or option:
        name = next(filter(None, (*(argument.groups() if argument else ()), *(option.groups() if option else ()))))
        return f"unknown key {name!r}" + suggest_option(name, options)
    return explain_value(message, keys) or explain_class(message, where) or first_error(message, where)


def explain_required(name: str, options: list[str]) -> str:
    if name == "model":
        return "give --config, for instance --config configs/classifier.yaml"
    return f"give --{name}" + ("" if name in options else suggest_option(name, options))


def suggest_option(name: str, options: list[str]) -> str:
    known = [other for other in SYNONYMS.get(name, ()) if other in options]
    return f", did you mean {known[0]!r}?" if known else suggest(name, options)


def explain_value(message: str, keys: list[str]) -> str | None:
    """A value that is of none of the types, or none of the choices, that its option has."""
    at = message.rfind('Parser key "')
    inner, key = message[at:] if at >= 0 else message, ".".join(keys)
    abstract = ABSTRACT.search(inner)
    if abstract and (nested := NESTED.search(inner)):
        example = next(find_subclasses(abstract[1]), None)
        advice = f", for instance {example}" if example else ""
        return f"{key}.{nested[1]}: {key} has no class yet; give --{key} first{advice}"
    if "Not of type" in inner and NESTED.search(inner):
        return f"{key}: give it as one value, for instance --{key} '{{NAME: VALUE}}'"
    value = VALUE.search(inner)
    if value is None:
        return None
    choices = [str(choice) for part in CHOICES.findall(inner) for choice in ast.literal_eval(part)]
    if choices:
        unique = list(dict.fromkeys(choices))
        return f"{key} {value[1]!r}: must be one of {', '.join(unique)}" + suggest(value[1], unique)
    types = list(dict.fromkeys(TYPE.findall(inner)))
    if "list" in types:
        return f"{key} {value[1]!r}: must be a list, such as [{value[1]}]"
    if types:
        return f"{key} {value[1]!r}: must be {' or '.join(WORDS[name] for name in types)}"
    return None


def explain_class(message: str, where: str) -> str | None:
    if not MISSING.search(message):
        return None
    values = VALUE.findall(message)
    paths = CLASS.findall(message) + [value for value in values if re.fullmatch(r"[\w.]+\.\w+", value)]
    missing = [path for path in paths if explain_import(path) is not None]  # the class of the key may well be there
    given = (missing[-1:] or paths or values[-1:])[0]
    if reason := explain_import(given):
        return f"{where}{given} cannot be imported: {reason}"
    kind = "function" if FUNCTION.search(message) else "class"
    return f"{where}there is no {kind} {given!r}" + suggest_class(given)


def explain_import(path: str) -> str | None:
    """Why a module that is there cannot be imported, empty where there is no such module or no such name in it."""
    module = path.rpartition(".")[0]
    try:
        load(path)
    except ModuleNotFoundError as error:
        return "" if error.name and f"{module}.".startswith(f"{error.name}.") else str(error)
    except ImportError as error:
        return str(error)
    except (AttributeError, ValueError):
        return ""
    return None


def first_error(message: str, where: str) -> str:
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
        if base.__module__.split(".")[0] in PACKAGES or not names:
            names += [
                name for name in inspect.signature(base.__init__).parameters if name not in ("self", "args", "kwargs")
            ]
    return names


def suggest_class(path: str) -> str:
    module, _, name = path.rpartition(".")
    if not module:
        return suggest_named(name)
    try:
        found = import_module(module)
    except ImportError:
        package = module.split(".")[0]
        spec = find_spec(package) if package else None
        places = spec.submodule_search_locations if spec else None
        modules = [m.name for m in pkgutil.walk_packages(places, f"{package}.")] if places else list(PACKAGES)
        return suggest(path, [f"{other}.{name}" for other in modules])
    members = [n for n, value in vars(found).items() if inspect.isclass(value) or inspect.isfunction(value)]
    return suggest(path, [f"{module}.{n}" for n in members])


def suggest_named(name: str) -> str:
    """The class of the suite with the nearest name, by its path."""
    paths = {path.rpartition(".")[2]: path for path, _ in list_classes(*PACKAGES)}
    return next((f", did you mean {paths[near]!r}?" for near in paths if repr(near) in suggest(name, paths)), "")


def list_classes(*packages: str) -> Iterator[tuple[str, str]]:
    """Path and bases of each class of the suite; read from the files, since importing all of them takes seconds."""
    root = Path(__file__).parents[2]
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            for name, bases in re.findall(r"^class (\w+)(?:\(([^)]*)\))?:", file.read_text(), re.MULTILINE):
                yield f"{module}.{name}", bases


def find_subclasses(path: str) -> Iterator[str]:
    """Those of other files that name it as their base."""
    package, home, name = path.split(".")[0], path.rpartition(".")[0], path.rpartition(".")[2]
    for found, bases in list_classes(package):
        if name in re.split(r"[ ,]+", bases) and found.rpartition(".")[0] != home:
            yield found
