"""What README and docs tell a reader to type, open and look at is there."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from setuptools.config.setupcfg import read_configuration

from datamodules import manifest
from datamodules.datasets import table
from suite.__main__ import VERBS, main
from suite.cli.parser import Parser
from tests.conftest import ROOT
from tests.fixtures.configs import read_config

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class ParsedError(Exception):
    """The command was accepted; stopped before anything is done."""


def commands(text: str) -> Iterator[list[str]]:
    """Each as words, without comments."""
    for language, block in FENCED.findall(text):
        if language == "bash":
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield words


ALL = sorted({tuple(words) for page in PAGES for words in commands(page.read_text())})


def suite_words(words: tuple[str, ...]) -> list[str] | None:
    """What follows the name of the suite's command."""
    if words[0] == "deepfake-suite":
        return list(words[1:])
    words = tuple(word for word in words if word != "--")  # of torchrun
    for i, pair in enumerate(pairwise(words)):
        if pair == ("-m", "suite"):
            return list(words[i + 2 :])
    return None


OF_SUITE = [found for words in ALL if (found := suite_words(words)) is not None]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configs, and the runs that the pages speak of."""
    for name in ("configs", "benchmarks", "datamodules"):
        (tmp_path / name).symlink_to(ROOT / name)
    for words in OF_SUITE:
        for path in (word for word in words if word.endswith("/config.yaml")):
            source = Path(path).parent.name.removesuffix("_on_celeb_df_v2")
            config = ROOT / f"configs/{'studio/demo' if source == 'demo' else source}.yaml"
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            content = read_config(config if config.is_file() else ROOT / "configs/classifier.yaml")  # as a run has it
            (tmp_path / path).write_text(yaml.safe_dump(content))
    (tmp_path / "holiday").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stop_once_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = Parser.parse_args
    outermost: list[Parser] = []

    def parse_args(self: Parser, *args: Any, **kwargs: Any) -> Any:
        if outermost:  # of a class within
            return parse(self, *args, **kwargs)
        outermost.append(self)
        parse(self, *args, **kwargs)
        raise ParsedError

    monkeypatch.setattr(Parser, "parse_args", parse_args)


@pytest.mark.parametrize("words", OF_SUITE, ids=" ".join)
def test_every_command_of_the_suite_in_the_pages_is_accepted(
    words: list[str], clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[0].startswith("-"):
        main(words)
        return
    stop_once_parsed(monkeypatch)
    with pytest.raises(ParsedError):
        accept(words, capsys)


def accept(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        main(words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


@pytest.mark.parametrize(
    "words", [["detect", "a.mp4", "--chekpoint", "x"], ["report", "runs/demo", "--min_validation_aurok", "0"]]
)
def test_a_command_with_an_unknown_option_is_not_accepted(
    words: list[str], clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_once_parsed(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="did you mean"):
        accept(words, capsys)


def test_every_verb_is_in_the_pages() -> None:
    table = (ROOT / "docs/quickstart.md").read_text().split("## Commands")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`[\w-]+` ?)+)\|", table, re.MULTILINE)
    named = {verb for row in rows for verb in re.findall(r"[\w-]+", row)}
    assert named == set(VERBS)


def test_every_other_command_of_the_pages_names_what_is_there() -> None:
    targets = " ".join(re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)).split()
    extras = read_configuration(ROOT / "setup.cfg")["options"]["extras_require"]
    for words in ALL:
        if suite_words(words) is not None:
            continue
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[:2] == ("pip", "install"):
            asked = [word for word in words if word.startswith(".[")]
            assert all(name in extras for word in asked for name in word[2:-1].split(",")), words
            assert all((ROOT / words[i + 1]).is_file() for i, word in enumerate(words) if word == "-c")
        else:
            raise AssertionError(f"{' '.join(words)}: what would check it?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_image_of_a_page_is_there(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert file.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page.name}: {target}"


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(FENCED, "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    text = re.sub(FENCED, "", page.read_text())
    for name in re.findall(
        r"`((?:benchmarks|configs|datamodules|lightning_modules|callbacks|suite|tests)/[\w./]*)`", text
    ):
        assert "NAME" in name or (ROOT / name).exists(), f"{page.name}: {name}"
    for name in re.findall(r"`((?:datamodules|lightning_modules|callbacks)(?:\.\w+)+)`", text):
        module, _, attribute = name.rpartition(".")
        if importlib.util.find_spec(module) is None or not hasattr(importlib.import_module(module), attribute):
            importlib.import_module(name)


def test_every_pip_extra_in_the_text_of_a_page_exists() -> None:
    extras = read_configuration(ROOT / "setup.cfg")["options"]["extras_require"]
    for page in PAGES:
        for names in re.findall(r"pip install -e '\.\[([\w,]+)\]'", page.read_text()):
            assert set(names.split(",")) <= set(extras), page.name


def test_readme_has_at_most_120_lines_and_every_data_config() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    sets = re.findall(r"`(\w+)`", text.split("## Data sets")[1].split("\n## ")[0])
    assert set(sets) == {path.stem for path in (ROOT / "configs/data").glob("*.yaml")}
    named = (ROOT / "docs/data.md").read_text().split("## The data sets")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+` ?)+)\|", named, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == set(sets)


def test_the_constraints_pin_what_the_suite_and_its_tests_need() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    pinned = {canonicalize_name(line.name): next(iter(line.specifier)) for line in lines}
    assert all(one.operator == "==" and "+" not in one.version for one in pinned.values())
    assert all(line.url is None for line in lines)
    assert "deepfake-suite" not in pinned
    options = read_configuration(ROOT / "setup.cfg")["options"]
    for text in [*options["install_requires"], *options["extras_require"]["dev"]]:
        needed = Requirement(text)
        assert needed.specifier.contains(pinned[canonicalize_name(needed.name)].version), text


def test_the_version_is_that_of_the_package_and_asked_for_in_an_instant() -> None:
    version = read_configuration(ROOT / "setup.cfg")["metadata"]["version"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "suite", "--version"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"deepfake-suite {version}\n"
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "numpy", "jsonargparse", "importlib.metadata"}  # as quick as --help
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_workflow_runs_what_ci_runs() -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["steps"]
    assert steps[-1]["run"].endswith(".ci/run")
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_columns_that_the_page_on_data_allows_a_table_are_those_that_its_reader_takes() -> None:
    [line] = [line for line in (ROOT / "docs/data.md").read_text().splitlines() if line.startswith("| `table` |")]
    refused = set(re.findall(r"`(\w+)`", line.partition("any column of a manifest but ")[2]))
    assert set(manifest.NAMES) - refused == {*table.NEEDED, *table.OPTIONAL}
    assert len(refused) == len(manifest.NAMES) - len(table.NEEDED + table.OPTIONAL)
