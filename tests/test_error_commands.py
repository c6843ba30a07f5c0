"""Every command that a message offers exists, with its options."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
from collections.abc import Iterator

import pytest

from suite.__main__ import VERBS, main
from tests.conftest import ROOT

COMMAND = re.compile(r"python -m suite ([a-z][a-z-]*)(.*?)(?=python -m suite|$)")  # options may come after a quote
OPTION = re.compile(r"--[\w.]+")


def literals() -> Iterator[tuple[str, str]]:
    """Each text of the code that offers a command, with the place of it; what is put into it is a word."""
    for package in ("suite", "datamodules", "lightning_modules", "callbacks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    text = "".join(str(v.value) if isinstance(v, ast.Constant) else "WORD" for v in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = node.value
                else:
                    continue
                if "python -m suite" in text:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(text.split())


def offered() -> dict[tuple[str, tuple[str, ...]], str]:
    """Verb and options, by where one of them stands."""
    found = {}
    for place, text in literals():
        for verb, words in COMMAND.findall(text):
            found[verb, tuple(OPTION.findall(words))] = place
    return found


@functools.lru_cache
def help_of(verb: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        main([verb, "--help"])
    return out.getvalue()


OFFERED = offered()


@pytest.mark.parametrize(("verb", "options"), OFFERED, ids=[" ".join([verb, *of]) for verb, of in OFFERED])
def test_a_command_that_a_message_offers_exists(verb: str, options: tuple[str, ...]) -> None:
    assert verb in VERBS, OFFERED[verb, options]
    if verb != "annotate":  # has verbs of its own
        for option in options:
            assert re.search(rf"(?<!\S){re.escape(option)}(?![\w.])", help_of(verb)), OFFERED[verb, options]


def test_messages_offer_commands() -> None:
    assert {verb for verb, _ in OFFERED} >= {"prepare", "fit", "test", "validate", "report"}
