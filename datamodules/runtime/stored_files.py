"""JSON, YAML and tables of text that are read back: what is damaged, or of another kind, is refused by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from datamodules.runtime.errors import UserError

T = TypeVar("T")
KINDS = {"dict": "an object", "list": "a list"}


def read_text(path: Path, most: int | None = None) -> str:
    """A byte order mark, as spreadsheets write it, is no part of it.

    Args:
        most: Characters that are read; all without it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            return f.read(most)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is damaged: must be text in UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(path: Path, kind: type[T], advice: str = "") -> T:
    """
    Args:
        kind: Type of its content, a dict or a list.
        advice: Ends the message.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: must be JSON ({shorten(error)}){advice}") from error
    return check_kind(content, kind, path, advice)


def read_yaml(path: Path, kind: type[T], advice: str = "") -> T:
    """Plain values only: a tag that names code is refused."""
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: must be YAML of plain values ({shorten(error)}){advice}") from error
    return check_kind(content, kind, path, advice)


def check_kind(content: Any, kind: type[T], where: object, advice: str = "") -> T:
    if not isinstance(content, kind):
        name = KINDS.get(kind.__name__, kind.__name__)
        raise UserError(f"{where}: must hold {name}, holds {show(content)}{advice}")
    return content


def read_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV file; what a short line lacks is empty.

    Args:
        columns: Columns that it must have.
    """
    rows = csv.DictReader(read_text(path).splitlines(keepends=True), restkey="", restval="")
    try:
        if absent := [name for name in columns if name not in (rows.fieldnames or ())]:
            raise UserError(f"{path}: has no column {absent[0]!r}")
        for row in rows:
            row.pop("", None)
            yield rows.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: is damaged ({error})") from error


def read_table(path: Path, columns: Sequence[str] = ()) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a CSV file, and its rows."""
    header = next(csv.reader(read_text(path).splitlines()[:1]), [])
    return header, [row for _, row in read_rows(path, columns)]


def read_records(path: Path, record: type[T]) -> list[T]:
    """The rows of a CSV file whose columns are the fields of a dataclass; those with a default may be missing."""
    return [
        to_record(row, record, f"{path}, line {line}")
        for line, row in read_rows(path, [one.name for one in fields(record) if is_required(one)])  # type: ignore[arg-type]
    ]


def read_record(path: Path, record: type[T]) -> T:
    """The same of one that a JSON file holds."""
    return to_record(read_json(path, dict), record, str(path))


def to_record(values: dict[str, Any], record: type[T], where: str) -> T:
    types = get_type_hints(record)
    known = {one.name for one in fields(record)}  # type: ignore[arg-type]
    missing = {one.name for one in fields(record) if is_required(one)} - values.keys()  # type: ignore[arg-type]
    if wrong := sorted(missing | (values.keys() - known)):
        raise UserError(f"{where}: {wrong[0]!r} is {'missing' if wrong[0] in missing else 'no field of it'}")
    out = {}
    for name, value in values.items():
        try:
            out[name] = value if isinstance(value, types[name]) else types[name](value)
            if types[name] is str and not isinstance(value, str):
                raise TypeError("no text")
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{where}: {name} {show(value)}: must be of type {types[name].__name__}") from error
    return record(**out)


def is_required(one: Any) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def show(value: object, most: int = 80) -> str:
    """A value as a message has it, in one line that is not too long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # the latter of integers with thousands of digits
        text = type(value).__name__
    return text if len(text) <= most else f"{text[:most]}..."


def shorten(error: BaseException, most: int = 120) -> str:
    """The first line of what a library says."""
    lines = str(error).split("\n")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        lines = [f"{error.problem}, line {error.problem_mark.line + 1}"]
    text = lines[0].strip() or type(error).__name__
    return text if len(text) <= most else f"{text[:most]}..."
