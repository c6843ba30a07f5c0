"""The detector that 'detect' takes without a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.datasets.photographs import index
from datamodules.studio.people import LONDON
from suite.__main__ import main
from suite.detect.analyzer import DEFAULT
from suite.pretrained import from_pretrained


def test_it_is_small_enough_to_come_with_the_package() -> None:
    files = sorted(DEFAULT.iterdir())
    assert {file.name for file in files} >= {"README.md", "config.json", "familiarity.safetensors", "model.safetensors"}
    assert sum(file.stat().st_size for file in files) < 15_000_000


def test_real_people_that_it_has_not_seen_are_hardly_ever_called_forged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = [row for row in index(LONDON) if row.split == "test" and row.stem.endswith("neutral")][::4]
    main(["detect", *(str(LONDON / row.path) for row in unseen), "--out", str(tmp_path), "--annotated_copy", "false"])
    said = capsys.readouterr().out
    assert "default_detector was trained on" in said
    assert "photographs of" in said
    verdicts = [json.loads((tmp_path / row.path / "result.json").read_text())["verdict"] for row in unseen]
    assert len(verdicts) == 5
    assert verdicts.count("forged") <= 1
    assert verdicts.count("no forgery found") >= 3


def test_programs_get_it_by_no_name_at_all() -> None:
    (face,) = from_pretrained().score(LONDON / "001_neutral.jpg")
    assert 0 <= face.probability <= 1
    assert face.map is not None
