"""Videos that are forged in parts, and videos whose sound alone is."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from datamodules import manifest
from datamodules.batch import Batch
from datamodules.datasets import table
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.loading.clips import CropClips
from datamodules.loading.sampling import Address
from datamodules.loading.selection import apply_rule
from datamodules.manifest import Video, check
from datamodules.media.encode import write
from datamodules.media.video import Auto
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import UserError
from datamodules.segments import find_forged, write_frames, write_seconds
from lightning_modules.metrics.collections import score_metrics
from suite.__main__ import main
from suite.run_metrics import read_run, videos
from tests.conftest import small_fit
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.prepared_sets import rename
from tests.fixtures.rows import video
from tests.fixtures.trees import text
from tests.fixtures.trees_with_sound import stub


def test_seconds_become_frames_as_the_loader_of_lav_df_has_it() -> None:
    # int(0.48 * 25) = 12, int(0.86 * 25) = 21: frames 12 to 20
    forged = find_forged("0.48-0.86", 25.0, range(30), "a.mp4")
    assert [i for i in range(30) if forged[i]] == list(range(12, 21))


def test_a_float_that_falls_short_of_a_frame_marks_none_before_it() -> None:
    # 1.16 * 25 is 28.999999999999996, and 1.16 s is when frame 29 is shown
    assert np.flatnonzero(find_forged("1.16-1.2", 25.0, range(50), "a.mp4")).tolist() == [29]


SLOWING = [i / 25 for i in range(10)] + [0.4 + i / 5 for i in range(10)]  # seconds of frames: 25 of one, then 5


@pytest.mark.parametrize(
    ("segments", "forged"), [("0-0.4", range(10)), ("0.8-1.2", [12, 13]), ("3f-5f 2.2-9", [3, 4, 19])]
)
def test_where_the_rate_varies_frames_are_forged_by_their_times(segments: str, forged: Iterable[int]) -> None:
    found = find_forged(segments, 19 / 2.2, range(20), "a.mp4", SLOWING)
    assert np.flatnonzero(found).tolist() == list(forged)


def test_times_of_a_constant_rate_in_whole_milliseconds_change_nothing() -> None:
    fps, numbers = 23.976, np.arange(2000)
    times = np.round(numbers / (24000 / 1001), 3)
    for segments in ("0.041708-0.125125", "1.5-1.61", "60.02-80"):
        assert (find_forged(segments, fps, numbers, "a") == find_forged(segments, fps, numbers, "a", times)).all()


def test_what_trains_are_the_frames_that_are_forged_by_their_times(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    write(tmp_path / "root/a.mp4", [(t, np.full((64, 64, 3), 90, np.uint8)) for t in SLOWING], 25, 18)
    text(tmp_path / "root/videos.csv", "path,label,box,split,fake_segments\na.mp4,fake,10 10 50 50,train,0-0.4\n")
    recipe = Recipe(decoder=Auto(), tracker=FaceTracker(landmarks=NoLandmarks()), size=32, frames=16)
    prepare_here(list(table.index(tmp_path / "root")), tmp_path / "root", tmp_path / "out", recipe)
    clips = CropClips(tmp_path / "out", manifest.read(tmp_path / "out/manifest.csv"), 32, 1)
    numbers = clips.known.frames(0).tolist()
    assert {0, 3, 6, 9} <= set(numbers)  # a quarter of 16, from the first forged frame to the last
    labels = {n: clips[Address(0, (n,))].label for n in numbers}
    assert labels == {n: int(n < 10) for n in numbers}
    clips.only_forged = True
    assert clips.starts(0).tolist() == [n for n in numbers if n < 10]


def test_several_segments_may_be_in_frames_and_end_behind_the_video() -> None:
    assert find_forged("0f-2f 4f-99f", 0.0, range(6), "a.mp4").tolist() == [True, True, False, False, True, True]
    assert write_frames([(0, 2), (4, 95), (7, 0)]) == "0f-2f 4f-99f"
    assert write_seconds([[2.5, 3.224], (4, 5.0), (6, 6)]) == "2.5-3.224 4-5"


def test_without_segments_all_is_forged() -> None:
    assert find_forged("", 25.0, [0, 7], "a.mp4").all()


def test_seconds_of_images_are_refused() -> None:
    with pytest.raises(UserError, match=r"a/b: fake_segments in seconds, but images, or a single frame, have no rate"):
        find_forged("0.1-0.2", 0.0, [0], "a/b")


FAKE: dict[str, Any] = {"method": "swap", "label": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (FAKE | {"fake_segments": "1-0.5"}, "each must end behind its beginning"),
        (FAKE | {"fake_segments": "0.5 - 1"}, "has fake_segments"),
        (FAKE | {"fake_segments": "3f-9"}, "has fake_segments"),
        (FAKE | {"modality": "sound"}, "has modality 'sound'"),
        (FAKE | {"modality": "audio"}, "the label is that of the images"),
        ({"modality": "both"}, "the label is that of the images"),
        ({"fake_segments": "0-1"}, "a real video has no segments"),
    ],
)
def test_segments_and_modality_that_contradict_the_label_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        check([video("a", "test", "ann", **changes)], Path("m.csv"))


def test_a_table_written_before_there_were_segments_is_read(tmp_path: Path) -> None:
    rows = [video("a", "train", "ann"), video("b", "test", "bob", **FAKE, fake_segments="0-1", modality="both")]
    manifest.write(rows, tmp_path / "new.csv")
    assert manifest.rows(manifest.read(tmp_path / "new.csv")) == rows
    with (tmp_path / "new.csv").open() as f, (tmp_path / "old.csv").open("w", newline="") as out:
        writer = csv.DictWriter(
            out, [name for name in manifest.NAMES if name not in manifest.LATER], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(csv.DictReader(f))
    assert manifest.rows(manifest.read(tmp_path / "old.csv")) == [
        rows[0],
        replace(rows[1], fake_segments="", modality=""),
    ]


def test_real_videos_with_forged_sound_are_real_or_left_out_and_counted() -> None:
    rows = [video("a", "test", "ann"), video("b", "test", "ann", modality="audio")]
    kept, said = apply_rule(rows, "real")
    assert (kept, said[0].videos) == (rows, 1)
    assert said[0].text.startswith("1 real videos with forged sound: counted as real")
    kept, said = apply_rule(rows, "leave_out")
    assert (kept, said[0].videos) == (rows[:1], 1)
    assert "left out" in said[0].text
    assert apply_rule(rows[:1], "leave_out") == (rows[:1], [])


def test_a_table_of_ones_own_says_when_and_what_is_forged(tmp_path: Path) -> None:
    stub(tmp_path, "a.mp4", "b.mp4")
    text(tmp_path / "videos.csv", "path,label,fake_segments,modality\na.mp4,fake,0.5-1 2-3,both\nb.mp4,fake,,audio\n")
    rows = list(table.index(tmp_path))
    check(rows, tmp_path / "videos.csv")
    assert [(row.label, row.fake_segments, row.modality) for row in rows] == [
        (1, "0.5-1 2-3", "both"),
        (0, "", "audio"),
    ]


def sound(row: Video) -> dict[str, Any]:
    """Swaps are forged in their first ten frames; of the real videos in c23 one in two has forged sound."""
    if row.method == "Swap":
        return {"fake_segments": "0f-10f", "modality": "video"}
    return {"modality": "audio"} if row.label == 0 and int(row.stem) % 2 else {}


@pytest.fixture(scope="module")
def partly(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rename(prepared, tmp_path_factory.mktemp("partly") / "partly", "partly", sound)


def swapped(batch: Batch) -> list[tuple[int, int]]:
    """Number and label of the frames of partly forged videos."""
    known = zip(batch.video, batch.numbers[:, 0].tolist(), batch.label.tolist(), strict=True)
    return [(number, label) for video, number, label in known if video.split("/")[1] == "Swap"]


def test_frames_outside_the_segments_are_real_and_training_draws_none_of_them(partly: Path) -> None:
    data = FaceData(prepared=partly, batch_size=4, num_workers=0, clips_per_face=8, eval_clips=8)
    tested = [one for batch in data.test_dataloader() for one in swapped(batch)]
    assert {label for number, label in tested if number < 10} == {1}
    assert {label for number, label in tested if number >= 10} == {0}
    data = FaceData(prepared=partly, batch_size=4, num_workers=0, clips_per_face=8, methods=["Swap"])
    drawn = [one for batch in data.train_dataloader() for one in swapped(batch)]
    assert {label for _, label in drawn} == {1}
    assert all(number < 10 for number, _ in drawn)
    outside = next(batch for batch in data.test_dataloader() if 0 in [label for _, label in swapped(batch)])
    untouched = outside.mask[outside.label == 0]
    assert not untouched.any()


def test_the_rule_for_forged_sound_is_an_option_of_the_data(partly: Path) -> None:
    both, fewer = FaceData(prepared=partly), FaceData(prepared=partly, audio_fakes="leave_out")
    count = both.videos("test").num_rows - fewer.videos("test").num_rows
    assert count == sum(one["modality"] == "audio" for one in both.videos("test").to_pylist()) > 0
    assert both.group.single_set.audio_rule.startswith("partly: ")
    assert "counted as real" in both.group.single_set.audio_rule
    assert "left out" in fewer.group.single_set.audio_rule


def test_a_video_is_fake_where_a_part_of_it_is_and_its_frames_have_labels_of_their_own() -> None:
    metrics = score_metrics(None)
    score, frame = torch.tensor([0.1, 0.9, 0.2, 0.3]), torch.tensor([0, 1, 0, 1])
    label, of_video, number = torch.tensor([0, 1, 0, 0]), torch.tensor([1, 1, 0, 0]), torch.tensor([7, 7, 8, 8])
    metrics.update(score, label, number, frame, of_video)
    found = metrics.compute()
    assert found["video_auroc"] == 1  # 0.5 against 0.25
    assert found["frame_auroc"] == 1  # 0.9 against 0.1, 0.2 and 0.3
    metrics.reset()
    metrics.update(score, torch.tensor([0, 0, 0, 0]), number, frame, of_video)  # no frame of the segment was looked at
    assert metrics.compute()["video_auroc"] == 1


def test_a_run_keeps_both_labels_and_the_rule(partly: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    main(small_fit(partly, tmp_path / "run", "--trainer.max_epochs", "1"))
    assert "partly: 4 real videos with forged sound: counted as real" in caplog.text
    checkpoint = ["--ckpt_path", str(tmp_path / "run/checkpoints/last.ckpt")]
    main(["test", *small_fit(partly, tmp_path / "run", *checkpoint)[1:]])
    table = pq.read_table(tmp_path / "run/predictions.parquet").to_pylist()
    swaps = [row for row in table if row["method"] == "Swap"]
    assert {(row["label"], row["frame_label"]) for row in swaps if row["frame"] >= 10} == {(1, 0)}
    assert {(row["label"], row["frame_label"]) for row in swaps if row["frame"] < 10} == {(1, 1)}
    run = read_run(tmp_path / "run")
    assert videos(run).fakes == len({row["video"] for row in table if row["method"] != "real"})
    main(["report", str(tmp_path / "run"), "--min_validation_auroc", "0"])
    page = (tmp_path / "run/report.html").read_text()
    assert {row["fake_segments"] for row in swaps} == {"0f-10f"}
    assert {row["video_frames"] for row in table} == {48}
    tested = len({row["video"] for row in table})
    assert "<h2>Localization in time</h2>" in page
    assert f"{videos(run).fakes} forged segments in {tested} videos" in page
    assert "Nothing of the test is in the training" in page
    assert "real videos with forged sound: counted as real" in page
    outside = sum(row["frame"] >= 10 for row in swaps)
    count = len({row["video"] for row in swaps})
    assert f"{count} fake videos forged in parts: {outside} of their {len(swaps)} frames are outside" in page
