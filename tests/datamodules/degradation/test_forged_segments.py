"""Which frames of a degraded video are forged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.datasets.table import index
from datamodules.degradation.apply import map_segments
from datamodules.degradation.dataset import Degraded, degrade_video
from datamodules.degradation.severities import Kind, stages
from datamodules.media.encode import write, write_h264
from datamodules.media.video import Auto
from datamodules.segments import NO_RATE, find_forged


def degraded(root: Path, segments: str, kind: Kind, bright: range = range(50, 75), count: int = 100) -> Degraded:
    """Of a video of so many frames at 25 per second whose forged frames are bright."""
    root.mkdir()
    images = [np.full((64, 64, 3), 200 if i in bright else 40, np.uint8) for i in range(count)]
    write_h264(root / "a.mp4", images, 25, 18)
    (root / "videos.csv").write_text(f"path,label,split,fake_segments\na.mp4,fake,test,{segments}\n")
    [row] = index(root)
    return degrade_video(row, root, root.parent, kind, 5, Auto())


@pytest.mark.parametrize("segments", ["50f-75f", "2-3", "50f-60f 60f-75f"])
def test_dropped_frames_move_the_forged_ones(segments: str, tmp_path: Path) -> None:
    row = degraded(tmp_path / "root", segments, "frame_drop").row
    frames = list(Auto().stream(tmp_path / row.path))
    assert len(frames) < 50
    bright = [bool(image.float().mean() > 120) for *_, image in frames]
    assert find_forged(row.fake_segments, 0.0, range(len(frames)), row.path).tolist() == bright


def test_where_the_rate_varies_the_forged_frames_that_are_left_are_told_by_their_times(tmp_path: Path) -> None:
    times = [i / 25 for i in range(30)] + [1.2 + i / 5 for i in range(30)]
    write(tmp_path / "a.mp4", [(t, np.full((64, 64, 3), 90, np.uint8)) for t in times], 25, 18)
    steps = stages("frame_drop", 1)
    left = find_forged(map_segments("0f-30f", tmp_path / "a.mp4", "a", steps), 0.0, range(60), "a")
    assert (find_forged(map_segments("0-1.2", tmp_path / "a.mp4", "a", steps), 0.0, range(60), "a") == left).all()


def test_where_no_frame_is_dropped_segments_stay_as_they_were_written(tmp_path: Path) -> None:
    assert degraded(tmp_path / "root", "2-3", "jpeg").row.fake_segments == "2-3"


def test_a_fake_of_which_no_forged_frame_is_left_is_none_any_more(tmp_path: Path) -> None:
    found = [degraded(tmp_path / f"{i}", f"{i}f-{i + 1}f", "frame_drop", range(0)) for i in range(1, 4)]
    assert any(one.reason.endswith("none of its forged frames is left") for one in found)


def test_a_single_frame_with_segments_in_seconds_is_lost_with_the_reason(tmp_path: Path) -> None:
    assert NO_RATE in degraded(tmp_path / "root", "0-1", "frame_drop", count=1).reason
