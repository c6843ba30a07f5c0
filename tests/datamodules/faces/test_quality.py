"""How well a face can be seen, and which frames of it have no part in a verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pyarrow as pa
import pytest

from datamodules import manifest
from datamodules.faces.align import Cropper
from datamodules.faces.crop import Square, Turned
from datamodules.faces.pose import HeadPose
from datamodules.faces.quality import Quality, measure_outside, measure_quality, worsen
from datamodules.loading.clips import VideoClips
from datamodules.manifest import Video
from datamodules.media.video import PyAV
from datamodules.prepared import checksums
from datamodules.prepared.face_table import FACES
from datamodules.prepared.tables import CROPS, save, save_tracks
from datamodules.runtime.errors import UserError
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.usable import Usable
from tests.fixtures.detecting import SCHEMA, small
from tests.fixtures.head_clips import Frames, head, write

__all__ = ["head", "small"]  # fixtures

GOOD = Quality(side=120, sharpness=90, unexposed=0.0, outside=0.0)
FRAME = np.full((100, 200, 3), 128, np.uint8)
BOX = np.array([40, 20, 100, 90], np.float32)


def test_sides_exposure_and_what_is_beyond_the_edge_are_measured() -> None:
    found = measure_quality(FRAME, BOX, Square(40, 20, 70), 0.7, HeadPose(yaw=10.0, pitch=-20.0, roll=5.0))
    assert (found.yaw, found.pitch, found.roll) == (10, -20, 5)
    assert (found.side, found.sharpness, found.unexposed, found.presence) == (70, 0, 0, 0.7)
    assert found.outside == pytest.approx(0, abs=1e-6)
    half = FRAME.copy()
    half[:, :75] = 10  # of a square from 40 to 110
    assert measure_quality(half, BOX, Square(40, 20, 70)).unexposed == pytest.approx(0.5, abs=0.03)
    half[:, 75:] = 255
    assert measure_quality(half, BOX, Square(40, 20, 70)).unexposed == pytest.approx(
        1.0, abs=0.05
    )  # a line between both is grey


def test_sharpness_falls_with_blur() -> None:
    grain = np.random.default_rng(0).integers(0, 255, FRAME.shape, dtype=np.uint8)
    seen = [cv2.GaussianBlur(grain, (0, 0), sigma) for sigma in (0.5, 1, 2, 4)]
    sharp = [measure_quality(np.asarray(one, np.uint8), BOX, Square(40, 20, 70)).sharpness for one in seen]
    assert sharp == sorted(sharp, reverse=True)


def test_the_share_beyond_the_edge_is_that_of_the_area() -> None:
    assert measure_outside(Square(-25, 0, 100), FRAME) == pytest.approx(0.25)
    assert measure_outside(Square(150, 50, 100), FRAME) == pytest.approx(0.75)
    assert measure_outside(Square(50, 0, 100), FRAME) == pytest.approx(0.0, abs=1e-6)
    assert measure_outside(Turned(-50, 0, 100, 90.0), FRAME) == pytest.approx(0.5)
    # a square of side 100 on its corner, its centre in the corner of the frame: a quarter is inside
    assert measure_outside(Turned(-50.5, -50.5, 101, 45.0), FRAME) == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"yaw": -62.0}, "seen from the side (yaw 62°, limit 45°)"),
        ({"pitch": 35.0, "sharpness": 2.0}, "seen from above or below (pitch 35°, limit 30°)"),
        ({"side": 30.0}, "too small (pixels 30, limit 48)"),
        ({"sharpness": 3.14}, "too blurred (sharpness 3.1, limit 8.0)"),
        ({"outside": 0.5}, "cut off by the edge (outside 50%, limit 40%)"),
        ({"unexposed": 0.8}, "too dark or too bright (unexposed 80%, limit 50%)"),
        ({"presence": 0.2}, "hardly a face (presence 0.20, limit 0.50)"),
    ],
)
def test_each_lack_has_a_reason_of_its_own(change: dict[str, float], said: str) -> None:
    fault = Usable().find_fault(replace(GOOD, **change))
    assert fault is not None
    assert fault.say() == said


def test_what_is_within_the_limits_or_unknown_lacks_nothing() -> None:
    limits = {"side": 48, "sharpness": 8.0, "unexposed": 0.5, "outside": 0.4, "yaw": 45, "pitch": -30, "presence": 0.5}
    for quality in (GOOD, replace(GOOD, **limits), replace(GOOD, yaw=nan, pitch=nan, presence=nan)):
        assert Usable().find_fault(quality) is None


def test_a_face_without_enough_usable_frames_has_the_commonest_reason() -> None:
    usable = Usable()
    side = [usable.find_fault(replace(GOOD, yaw=yaw)) for yaw in (50.0, 60.0, 80.0)]
    blur = usable.find_fault(replace(GOOD, sharpness=1.0))
    faults = [fault for fault in (blur, *side) if fault is not None]
    assert usable.explain(4, faults, 32) == []
    assert usable.explain(3, faults, 32) == ["seen from the side (yaw 60°, limit 45°) in 3 of 7 sampled frames"]
    assert usable.explain(2, faults, 2) == []  # all that a short clip has
    assert usable.explain(3, [], 32) == ["too short (3 usable frames, limit 4)"]


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"outside": 1.2}, {"yaw": 0.0}, {"pitch": 200.0}])
def test_a_limit_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(UserError, match=rf"usable.{name} {value}: must be"):
        Usable(**wrong)


def test_no_clip_has_a_frame_whose_landmarks_cannot_be_believed(tmp_path: Path) -> None:
    row = Video(dataset="d", method="real", stem="v", path="v.mp4", label=0, split="test", identities="v", frames=40)
    seen = [
        {"video": row.key, "track": 0, "frame": i, "time": i / 25, "found_by": "HOG", "landmarks": [0.0] * 136}
        | dict.fromkeys(("x0", "y0", "x1", "y1", "score", "roll", "masked"), 0.0)
        | {"presence": 0.9, "yaw": nan, "pitch": 0.0}
        for i in range(40)
    ]
    seen[10]["presence"], seen[20]["yaw"], seen[30]["pitch"] = 0.3, -60.0, 50.0
    save(tmp_path / "faces.arrow", FACES, [pa.Table.from_pylist(seen, FACES)], checksums.replace_recorded)
    save(tmp_path / "crops.arrow", CROPS, [], checksums.replace_recorded)
    save_tracks(tmp_path)

    def starts(length: int) -> list[int]:
        about = (manifest.table([row]), PyAV(), 64, Cropper(1.3))
        return VideoClips(tmp_path, tmp_path, *about, tracks=1, length=length).starts(0).tolist()

    assert starts(1) == list(range(40))  # a frame by itself needs no landmarks
    gone = {s for wrong in (10, 20, 30) for s in range(wrong - 3, wrong + 1)}
    assert starts(4) == [i for i in range(37) if i not in gone]


def test_a_clip_is_as_good_as_the_landmarks_of_its_worst_frame() -> None:
    turned = HeadPose(yaw=-50.0, pitch=2.0, roll=0.0)
    found = worsen(replace(GOOD, presence=0.9, yaw=10.0, pitch=nan), 0.4, turned)
    assert (found.presence, found.yaw, found.pitch) == (0.4, -50, 2)
    assert worsen(found, 0.8, HeadPose(yaw=1.0, pitch=1.0, roll=1.0)) == found


def test_moments_that_are_not_usable_have_no_part_in_the_verdict_and_are_counted(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    frames = head
    path = write(tmp_path / "clip.mp4", frames)
    usable = Usable(side=20, frames=2, sharpness=0.0)

    def look(usable: Usable) -> tuple[dict[str, Any], str]:
        settings = DetectSettings(frames=len(frames), usable=usable, device="cpu")
        content = Analyzer([small], settings).analyze(path, tmp_path / "out", False, lambda *_: None).to_json()
        jsonschema.validate(content, SCHEMA)
        return content, (tmp_path / "out/page.html").read_text()

    content, page = look(usable)
    [whole] = content["faces"]
    assert whole["left_out"] == {}
    assert "Left out" not in page
    # a limit in the middle of what is measured leaves out some frames, but not all
    limit = whole["quality"]["sharpness"]
    content, page = look(replace(usable, sharpness=limit))
    [face] = content["faces"]
    [method] = face["methods"]
    out = [one for one in method["frames"] if one["left_out"]]
    assert face["left_out"] == {"too blurred": len(out)}
    assert 0 < len(out) < len(method["frames"])
    assert f"{len(out)} sampled frames too blurred" in page
    left = [one["score"] for one in method["frames"] if not one["left_out"]]
    assert method["score"] == pytest.approx(np.mean(left), abs=1e-5)
    assert whole["methods"][0]["score"] == pytest.approx(np.mean([one["score"] for one in method["frames"]]), abs=1e-5)
    content, page = look(replace(usable, sharpness=1e6))
    assert content["verdict"] == "no verdict"
    count = len(method["frames"])
    assert json.dumps(content["reasons"]).count(f"limit 1000000.0) in {count} of {count} sampled frames") == 1
