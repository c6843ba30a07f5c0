"""A large prepared folder is made up as the suite reads it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from benchmarks.speed.scale import Kind, build, build_video, first_batch


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scale")
    build(folder / "prepared", 500, 8)
    build_video(folder / "videos", 8)
    return folder / "prepared"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_made_up_folder_gives_batches_of_each_kind(prepared: Path, kind: Kind) -> None:
    measured = first_batch(prepared, kind)
    assert measured["train_videos"] == 350
    assert measured["samples_per_epoch"] == {"crops": 1120, "pairs": 4480, "clips": 696}[kind]
