"""The model section of a stranger's file: classes of the suite and plain values, checked before any import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import show

HOME = Path(__file__).resolve().parents[1]
PACKAGES = ("datamodules", "lightning_modules")  # that classes may come from
CLASS_PATH = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)+", re.ASCII)
NAME = re.compile(r"[\w.+-]*", re.ASCII)  # of a network, or a choice: neither a path nor an address
MOST = 4096  # values in all; those of the largest method are some tens


def check_model(model: Any, declared: type, file: Path, unused: Sequence[str] = ()) -> type:
    """The class that is named; everything below it is checked likewise.

    Args:
        declared: Type that it must be a subclass of.
        file: That it is from, for messages.
        unused: Arguments of the model that nobody will build.
    """
    scan(model, file)
    if isinstance(model, dict) and isinstance(arguments := model.get("init_args"), dict):
        model = model | {"init_args": {name: value for name, value in arguments.items() if name not in unused}}
    return check_object(model, declared, f"{file}: model")


def scan(model: Any, file: Path) -> None:
    """Refuses addresses anywhere, and values without end, as YAML can have them."""
    stack, count = [model], 0
    while stack:
        value, count = stack.pop(), count + 1
        if count > MOST:
            raise UserError(f"{file}: model: has more than {MOST} values")
        if isinstance(value, dict):
            stack += [*value.keys(), *value.values()][: MOST + 1]
        elif isinstance(value, list):
            stack += value[: MOST + 1]
        elif isinstance(value, str) and "://" in value:
            raise UserError(f"{file}: model: {show(value)}: must not be an address; nothing is fetched")


def check_object(value: Any, declared: type, where: str) -> type:
    if not isinstance(value, dict):
        raise UserError(f"{where}: {show(value)}: must be an object with class_path, and neither a name nor a file")
    if is_dataclass(declared) and "class_path" not in value:
        found, arguments = declared, value
    else:
        if more := sorted(map(str, value.keys() - {"class_path", "init_args"})):
            raise UserError(f"{where}: {show(more[0])}: must have class_path and init_args, nothing else")
        found, arguments = find_class(value.get("class_path"), declared, where), value.get("init_args", {})
    if not isinstance(arguments, dict):
        raise UserError(f"{where}.init_args: {show(arguments)}: must be an object")
    types = argument_types(found)
    for name, given in arguments.items():
        if name not in types:
            raise UserError(f"{where}: {found.__module__}.{found.__name__} has no argument {show(name)}")
        check_value(given, types[name], f"{where}.{name}")
    return found


def find_class(path: Any, declared: type, where: str) -> type:
    """Its module is imported once it is known to be a file of the suite."""
    rule = f"must be a class of the suite, a {declared.__name__}"
    where = f"{where}.class_path {show(path)}"
    if not isinstance(path, str) or not CLASS_PATH.fullmatch(path):
        raise UserError(f"{where}: {rule}")
    module, _, name = path.rpartition(".")
    if module.partition(".")[0] not in PACKAGES or not (HOME / f"{module.replace('.', '/')}.py").is_file():
        raise UserError(f"{where}: {rule}; code of others is not imported")
    found = vars(import_module(module)).get(name)
    if not isinstance(found, type) or (found.__module__, found.__qualname__) != (module, name):
        raise UserError(f"{where}: {rule}")
    if not issubclass(found, declared) or inspect.isabstract(found):
        raise UserError(f"{where}: {rule}")
    if getattr(found, "runs_other_code", False):
        raise UserError(f"{where}: runs code of others; only a config of one's own may name it")
    return found


def argument_types(found: type) -> dict[str, Any]:
    """Of a constructor, and of those that it passes its keywords on to."""
    if is_dataclass(found):
        hints = get_type_hints(found)
        return {one.name: hints[one.name] for one in fields(found) if one.init}
    types: dict[str, Any] = {}
    for base in found.__mro__:
        if "__init__" not in vars(base) or base.__module__.partition(".")[0] not in PACKAGES:
            continue
        constructor = vars(base)["__init__"]
        hints = get_type_hints(constructor)
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        for one in parameters:
            if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL):
                types.setdefault(one.name, hints.get(one.name))
        if all(one.kind is not one.VAR_KEYWORD for one in parameters):
            break
    return types


def check_value(value: Any, declared: Any, where: str) -> None:
    """Nothing but what its type says, of plain values."""
    options = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
    classes = [one for one in options if isinstance(one, type) and one.__module__.partition(".")[0] in PACKAGES]
    choices = [choice for one in options if get_origin(one) is Literal for choice in get_args(one)]
    lists = [one for one in options if get_origin(one) in (list, tuple)]
    if value is None:
        if type(None) not in options:
            raise UserError(f"{where}: must not be null")
        return
    if Path in options:
        raise UserError(f"{where} {show(value)}: must be null; files are not read")
    if classes:
        check_object(value, classes[0], where)
    elif isinstance(value, str):
        if not (value in choices if choices else str in options and NAME.fullmatch(value)):
            rule = f"must be one of {', '.join(map(str, choices))}" if choices else "must be a name or a number"
            raise UserError(f"{where} {show(value)}: {rule}")
    elif isinstance(value, list) and lists:
        for i, one in enumerate(value):
            check_value(one, (get_args(lists[0]) or (None,))[0], f"{where}[{i}]")
        if get_origin(lists[0]) is tuple and len(value) != len(get_args(lists[0])):
            raise UserError(f"{where} {show(value)}: must have {len(get_args(lists[0]))} values")
    elif not any(fits(value, one) for one in options):
        names = " or ".join(getattr(one, "__name__", str(one)) for one in options)
        raise UserError(f"{where} {show(value)}: must be of type {names}")


def fits(value: Any, kind: Any) -> bool:
    """JSON may write a float without its fraction; a bool is no number."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int) if kind is int else isinstance(value, int | float) and kind is float
