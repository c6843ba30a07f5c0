"""A stranger's video gets the scores that a test would give it, and a verdict with its reasons."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.batch import Batch
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.stream import watch
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.video import Decord, PyAV, probe
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.spacing import space_evenly
from lightning_modules.hub_folder import save
from lightning_modules.trained_method import load
from lightning_modules.weights import digest
from suite.__main__ import main
from suite.detect import command as detect
from suite.detect.analyzer import Analyzer, DetectSettings, introduce
from suite.detect.pipeline import Limits
from suite.detect.scorer import choose_starts
from suite.detect.usable import Usable
from tests.fixtures.detecting import EASY, SCHEMA, classifier, gone, of_clips, pipeline, small, validate
from tests.fixtures.head_clips import LENGTH, Frames, head, write

__all__ = ["head", "small"]  # fixtures

RED, AMBER, GREEN = (225, 45, 45), (215, 135, 0), (30, 160, 110)

KINDS: dict[str, dict[str, Any]] = {
    "crops": {},
    "smaller crops": {"image_size": 48},
    "crops in JPEG": {},
    "clips with landmarks": {"frame_source": "videos", "clip": 3},
}


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_that_a_test_gives_the_same_video(
    kind: str, prepared: Path, studio: Path, recipe: Recipe, tmp_path: Path
) -> None:
    how = KINDS[kind]
    if kind == "crops in JPEG":
        all_rows = [row for row in index(studio) if row.compression == "c23"]
        some = [next(r for r in all_rows if (r.split, r.label) == ("train", label)) for label in (0, 1)]
        some += [row for row in all_rows if row.split == "test"]
        prepared = tmp_path / "prepared"
        list(prepare_all(some, studio, prepared, replace(recipe, format="jpg"), workers=1))
    data = FaceData(prepared=prepared, root=studio, index=index, eval_clips=8, num_workers=0, **how)
    folder = of_clips(data, tmp_path / "m") if kind == "clips with landmarks" else classifier(data, tmp_path / "m")
    known = load(folder)
    expected: dict[str, dict[int, float]] = {}
    batch: Batch
    for batch in data.eval_loader("test"):
        with torch.inference_mode():
            scores = known.method.outcome(batch.scale()).score.tolist()
        for video, frame, score in zip(batch.video, batch.numbers[:, 0].tolist(), scores, strict=True):
            expected.setdefault(video, {})[frame] = score
    looking = pipeline([folder], landmarks=FaceMesh())
    rows = {row.key: row for row in index(studio) if row.compression == "c23"}
    for video in (next(iter(expected)), list(expected)[-1]):
        found = looking.analyze(studio / rows[video].path, None, Limits())
        [face] = found.faces
        [method_verdict] = face.method_verdicts
        assert {one.frame: one.score for one in method_verdict.scores} == pytest.approx(expected[video], abs=1e-5)
        assert method_verdict.score == pytest.approx(np.mean(list(expected[video].values())), abs=1e-5)
        logit = np.log(method_verdict.score / (1 - method_verdict.score)) / 2
        assert method_verdict.probability == pytest.approx(1 / (1 + np.exp(-logit)))
        assert face.verdict == (
            "forged" if method_verdict.score > 0.5 else "unclear" if method_verdict.score > 0.4 else "no forgery found"
        )


def test_the_annotated_copy_shows_a_box_in_the_colour_of_what_is_said(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "clip.mp4", head)
    cases = {
        "forged": ([0.0] * 40, RED),
        "unclear": ([0.0] * 36 + [1.0] * 4, AMBER),
        "no forgery found": ([1.0] * 40, GREEN),
    }
    for verdict, (reals, colour) in cases.items():
        folder = Path(shutil.copytree(small, tmp_path / verdict))
        known = load(folder)
        validate(known.method, reals, [0.5])
        known.method.validated = 0.33 if verdict == "unclear" else 0.95
        save(replace(known, digest=digest(known.method.state_dict())), folder)
        analyzer = Analyzer([folder], DetectSettings(frames=8, usable=EASY, device="cpu"))
        found = analyzer.analyze(path, tmp_path / "out", True, lambda *_: None)
        jsonschema.validate(found.to_json(), SCHEMA)
        assert found.verdict == verdict
        assert detect.format_verdict(found).startswith(f"{verdict}, probability 0.")
        text = (tmp_path / "out/page.html").read_text()
        assert f'class="lead {verdict if verdict in ("forged", "unclear") else "real"}"' in text
        assert "of 40 real ones" in text
        assert "also of faces that are too small" not in text  # whose boxes are grey, without a number
        for said in (text, " ".join(introduce(analyzer.methods, analyzer.rates))):
            untrained = "is not trained (own validation 0.33, needs 0.90): its verdicts mean nothing." in said
            assert untrained == (verdict == "unclear")
        assert f"Model: {known.name} (trained on {known.training_summary})." in text
        copy = PyAV().read(tmp_path / "out/annotated.mp4", [12])[0].numpy().astype(int)
        assert copy.shape[0] > head.shape[1]  # the curve is below
        near = np.abs(copy[: head.shape[1]] - colour).max(-1) < 60
        assert near.sum() > 100
        differs = np.abs(copy[: head.shape[1]] - head[12]).max(-1) > 40
        assert differs.mean() < 0.2  # and all else is as it was


def test_of_what_cannot_be_judged_the_reason_is_said_and_no_probability_of_nothing(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    strict = Usable(side=60, frames=4, sharpness=20.0)
    analyzer = Analyzer([small], DetectSettings(frames=8, usable=strict, device="cpu"))
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 4) for frame in head])
    tiny = np.stack([cv2.resize(frame, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA) for frame in head])
    tiny = np.pad(tiny, ((0, 0), (40, 40), (40, 40), (0, 0)), constant_values=90)
    cases = {
        "too blurred (sharpness": blurred,
        "too small (pixels": tiny[:, : tiny.shape[1] // 2 * 2, : tiny.shape[2] // 2 * 2],
        "too short (2 usable frames, limit 4)": gone(head, 7, LENGTH),
        "no face was found": np.full_like(head, 90),
    }
    for reason, frames in cases.items():
        found = analyzer.analyze(write(tmp_path / "clip.mp4", frames), tmp_path / "out", False, lambda *_: None)
        jsonschema.validate(found.to_json(), SCHEMA)
        assert found.verdict == "no verdict"
        assert any(reason in one for one in found.reasons), (reason, found.reasons)
        assert reason in (tmp_path / "out/page.html").read_text()
        assert "trained on studio/" in (tmp_path / "out/page.html").read_text()
        assert "video" not in found.files


def test_an_ensemble_is_the_mean_of_its_methods(head: Frames, small: Path, prepared: Path, tmp_path: Path) -> None:
    other = classifier(FaceData(prepared=prepared, image_size=48), tmp_path / "other", seed=1)
    path = write(tmp_path / "clip.mp4", head)
    [face] = pipeline([small, other]).analyze(path, None, Limits()).faces
    alone = [pipeline([one]).analyze(path, None, Limits()).faces[0] for one in (small, other)]
    assert face.probability == pytest.approx(np.mean([one.probability for one in alone]))
    for name in ("forged", "unclear"):
        assert getattr(face.thresholds, name) == pytest.approx(
            np.mean([getattr(one.thresholds, name) for one in alone])
        )
    assert [said.by.name for said in face.method_verdicts] == ["small", "other"]


def test_methods_of_images_and_of_clips_judge_the_same_face(
    head: Frames, small: Path, prepared: Path, studio: Path, tmp_path: Path
) -> None:
    data = FaceData(prepared=prepared, root=studio, index=index, frame_source="videos", clip=3)
    clips = of_clips(data, tmp_path / "clips")
    points = FaceMesh()
    path = write(tmp_path / "clip.mp4", head)
    both = pipeline([small, clips], landmarks=points)
    [face] = both.analyze(path, tmp_path / "annotated.mp4", Limits()).faces
    for said, folder in zip(face.method_verdicts, (small, clips), strict=True):
        [alone] = pipeline([folder], landmarks=points).analyze(path, None, Limits()).faces
        assert [one.frame for one in said.scores] == [one.frame for one in alone.method_verdicts[0].scores]
        assert said.probability == pytest.approx(alone.method_verdicts[0].probability, abs=1e-5)
    assert (
        face.method_verdicts[0].scores[-1].frame > face.method_verdicts[1].scores[-1].frame
    )  # where the last clip begins
    assert len(probe(tmp_path / "annotated.mp4")) == len(head)


def test_faces_are_known_while_watching_as_they_are_in_the_end(head: Frames, recipe: Any, tmp_path: Path) -> None:
    late = np.concatenate([gone(head, 0, 15), head[::-1], gone(head, 5, 19)])
    path = write(tmp_path / "clip.mp4", late)
    tracker: FaceTracker = recipe.tracker
    seen: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for number, frame in enumerate(watch(PyAV(), path, tracker)):
        assert frame.number == number
        for face in frame.faces:
            seen.setdefault(face.track.id, []).append((frame.number, face.box))
    tracks = tracker.track(frame.numpy() for _, _, frame in Decord().stream(path))
    assert len(tracks) > 0
    for track in tracks:
        assert [number for number, _ in seen[track.id]] == track.frames
        np.testing.assert_array_equal([box for _, box in seen[track.id]], track.boxes)


def test_the_command_goes_on_past_what_cannot_be_read(
    head: Frames, two_processes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "good.mp4", head)
    (folder / "broken.mp4").write_bytes(b"no video at all")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (folder / "notes.txt").write_text("not looked at")
    out = tmp_path / "out"
    command = [
        "detect",
        str(folder),
        "--checkpoint",
        str(two_processes),
        "--out",
        str(out),
        "--frames",
        "4",
        "--annotated_copy",
        "false",
    ]
    with pytest.raises(SystemExit):
        main([*command, "--device", "cpu"])
    said = capsys.readouterr()
    assert "2 of 3 files could not be examined" in said.err
    assert f"{folder / 'good.mp4'}: " in said.out
    for name, reason in (("broken.mp4", "Invalid data"), ("list.mp4", "in no container that is read")):
        content = json.loads((out / name / "result.json").read_text())
        jsonschema.validate(content, SCHEMA)
        assert content["verdict"] == "no verdict"
        assert reason in content["reasons"][0]
    content = json.loads((out / "good.mp4/result.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert len(content["faces"][0]["methods"][0]["frames"]) == 4
    assert sorted(path.name for path in (out / "good.mp4").iterdir()) == ["page.html", "result.json"]


def test_sampled_frames_are_those_of_a_test_and_more_where_they_are_far_apart_in_time() -> None:
    short = np.arange(300) / 30
    assert choose_starts(short, 0, 32, 0.5) == space_evenly(300, 32)
    assert choose_starts(short, 4, 32, 0.5) == space_evenly(296, 32)  # of clips that reach 4 frames further
    slow = np.concatenate([np.arange(300) / 30, 10 + np.arange(200) / 4])
    found = choose_starts(slow, 0, 32, 0.5)
    assert set(space_evenly(500, 32)) <= set(found)
    assert np.diff(slow[found]).max() <= 0.5 + 0.25  # as far as there are frames
    assert choose_starts(short[:3], 4, 32, 0.5) == []
    for fps, seconds in ((25, 32), (3, 33), (30, 600)):
        times = np.arange(fps * seconds) / fps
        assert np.diff(times[choose_starts(times, 0, 32, 0.5)]).max() <= 0.5 + 1e-6


def test_a_copy_that_waits_for_nothing_has_every_frame(
    head: Frames, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "clip.mp4", np.concatenate([head, head]))
    analyzer = Analyzer([small], DetectSettings(frames=8, usable=EASY, device="cpu"))
    usual = analyzer.analyze(path, tmp_path / "usual", True, lambda *_: None)
    monkeypatch.setattr("suite.detect.pipeline.HELD", 1)
    found = analyzer.analyze(path, tmp_path / "out", True, lambda *_: None)
    for ours, theirs in zip(found.faces, usual.faces, strict=True):
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-5)
    np.testing.assert_array_equal(
        probe(tmp_path / "out/annotated.mp4").times, probe(tmp_path / "usual/annotated.mp4").times
    )
