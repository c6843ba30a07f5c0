"""Aligned faces from preparing over training to detecting: everywhere the same crops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datamodules.batch import Sample
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.faces.align import Alignment, Cropper, five_points, place_template
from datamodules.faces.crop import restore_region
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.provided import read_landmarks
from datamodules.faces.quality import measure_quality
from datamodules.faces.stream import Face
from datamodules.faces.tracking.tracker import FaceTracker, Track
from datamodules.loading.clips import VideoClips
from datamodules.loading.sampling import Address
from datamodules.manifest import Video
from datamodules.media.image import decode
from datamodules.media.probe import VideoError
from datamodules.media.video import probe
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import PLACE, load, read_skipped
from datamodules.runtime.errors import UserError
from datamodules.synthesis.nearest_faces import over_side
from lightning_modules.trained_method import load as load_trained
from suite.detect.annotated_video import NoAnnotation
from suite.detect.pipeline import Limits
from suite.detect.result import describe_frame
from suite.detect.scorer import Clip, Score, Scorer
from suite.detect.thresholds import Rates, thresholds_of
from tests.fixtures.detecting import classifier, pipeline
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.trees_of_images import write_image

CHOICES: list[Alignment] = ["roll", "five_points"]


@pytest.fixture(scope="module")
def rows(studio: Path) -> list[Video]:
    """A real video and a fake one to train on, and a fake one to test."""
    every = [row for row in index(studio) if row.compression == "c23"]
    return [next(r for r in every if (r.split, r.label) == one) for one in (("train", 0), ("train", 1), ("test", 1))]


@pytest.fixture(scope="module")
def aligned(
    studio: Path, rows: list[Video], recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> dict[Alignment, Path]:
    out = {alignment: tmp_path_factory.mktemp(alignment) for alignment in CHOICES}
    for alignment, folder in out.items():
        prepare_here(rows, studio, folder, replace(recipe, alignment=alignment))
    return out


def samples(data: FaceData, split: str) -> list[Sample]:
    clips = data.clips(split)
    return [clips[Address(i, (n,))] for i in range(len(clips)) for n in clips.known.frames(i).tolist()]


@pytest.mark.parametrize("alignment", CHOICES)
def test_landmarks_in_a_crop_are_as_its_alignment_says(alignment: Alignment, aligned: dict[Alignment, Path]) -> None:
    assert json.loads((aligned[alignment] / "contract.json").read_text())["alignment"] == alignment
    data = FaceData(prepared=aligned[alignment])
    seen = samples(data, "train")
    assert len(seen) == 16
    for sample in seen:
        assert sample.landmarks is not None
        five = five_points(sample.landmarks[0].numpy().astype(np.float64))
        if alignment == "roll":
            assert abs(five[1, 1] - five[0, 1]) < 1e-3 * abs(five[1, 0] - five[0, 0])
        else:
            there = place_template(1.3) * 64 - 0.5
            np.testing.assert_allclose(five.mean(0), there.mean(0), atol=1e-3)
            assert np.abs(five - there).max() < 4
    assert any(abs(row["angle"]) > 0.5 for row in load(aligned[alignment] / "crops.arrow").to_pylist())


@pytest.mark.parametrize("alignment", CHOICES)
def test_videos_are_cut_as_they_were_prepared(
    alignment: Alignment, aligned: dict[Alignment, Path], studio: Path
) -> None:
    prepared = aligned[alignment]
    crops = FaceData(prepared=prepared).clips("train")
    videos = FaceData(prepared=prepared, root=studio, index=index, frame_source="videos").clips("train")
    for i in range(len(crops)):
        numbers = crops.known.frames(i)
        for number in numbers[::3].tolist():
            one, other = crops[Address(i, (number,))], videos[Address(i, (number,))]
            assert one.video == other.video
            assert torch.equal(one.frames, other.frames)
            assert one.mask is not None
            assert other.mask is not None
            assert torch.equal(one.mask, other.mask)
            assert one.landmarks is not None
            assert other.landmarks is not None
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)


def test_a_clip_is_cut_by_the_face_of_its_first_frame(aligned: dict[Alignment, Path], studio: Path) -> None:
    data = FaceData(prepared=aligned["five_points"], root=studio, index=index, frame_source="videos", clip=2, every=10)
    clips = data.clips("train")
    assert isinstance(clips, VideoClips)
    sample, face = clips[Address(0, (0, 10))], clips.face_record(0)
    path = studio / face.row.path
    region = clips.region(face, 0)
    assert region != clips.region(face, 10)
    for shown, frame in zip(sample.frames, data.decoder.read(path, [0, 10]).numpy(), strict=True):
        np.testing.assert_array_equal(shown.permute(1, 2, 0).numpy(), region.cut(frame, 64))
    assert sample.landmarks is not None
    np.testing.assert_array_equal(sample.landmarks[1], region.to_crop(face.landmarks[10], 64))


@pytest.mark.parametrize("alignment", CHOICES)
def test_detect_cuts_the_bytes_that_were_stored(
    alignment: Alignment,
    aligned: dict[Alignment, Path],
    rows: list[Video],
    studio: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = aligned[alignment]
    cut: list[Clip] = []
    score = Scorer.score

    def remembered(self: Scorer) -> None:
        cut.extend(self.pending[: self.batch])
        score(self)

    monkeypatch.setattr(Scorer, "score", remembered)
    points = FaceMesh()
    folder = classifier(FaceData(prepared=prepared), tmp_path / "m")  # does not see landmarks, but its crops need them
    found = pipeline([folder], landmarks=points).analyze(studio / rows[2].path, tmp_path / "annotated.mp4", Limits())
    stored = [row for row in load(prepared / "crops.arrow").to_pylist() if row["video"] == rows[2].key]
    assert [clip.start for clip in cut] == [row["frame"] for row in stored]
    for clip, row in zip(cut, stored, strict=True):
        assert clip.region.angle == pytest.approx(row["angle"], abs=1e-4)
        np.testing.assert_array_equal(clip.crops[0], decode((prepared / row["image"]).read_bytes()))
    [method_verdict] = found.faces[0].method_verdicts
    described = describe_frame(method_verdict, method_verdict.scores[0])
    assert [*described.square, described.angle] == pytest.approx([stored[0][name] for name in PLACE], abs=0.006)


def test_the_annotated_copy_lays_a_map_on_the_face_it_was_made_of(
    aligned: dict[Alignment, Path], rows: list[Video], studio: Path, tmp_path: Path
) -> None:
    prepared, path = aligned["five_points"], studio / rows[0].path
    known = load_trained(classifier(FaceData(prepared=prepared), tmp_path / "m"))
    face = FaceData(prepared=prepared, root=studio, index=index, frame_source="videos").clips("train").face_record(0)
    box = np.array([face.where[name][0] for name in ("x0", "y0", "x1", "y1")])
    region = Cropper(1.3, "five_points").region(box, face.landmarks[0])
    eye = face.landmarks[0][36:42].mean(0)
    x, y = region.to_crop(eye[None], 64)[0].round().astype(int)
    heat = cv2.circle(np.zeros((64, 64), np.uint8), (int(x), int(y)), 3, 255, -1)
    annotation, images = NoAnnotation(probe(path), [known], thresholds_of([known], Rates())), []
    annotation.scale = 0.5  # of a copy of half the side
    quality = measure_quality(np.zeros((192, 256, 3), np.uint8), box, region)
    for laid in (heat, None):
        score = Score(track=0, frame=0, seconds=0.0, region=region, score=0.9, quality=quality, fault=None, heat=laid)
        annotation.last_scores = {0: [score]}
        images.append(np.full((96, 128, 3), 100, np.uint8))
        annotation.draw(images[-1], Face(track=Track(0), box=box, landmarks=face.landmarks[0]))
    ys, xs = np.nonzero((images[0] != images[1]).any(2))
    np.testing.assert_allclose([xs.mean(), ys.mean()], eye / 2, atol=1.0)


def test_an_aligned_method_needs_the_landmarks_it_was_trained_with(
    aligned: dict[Alignment, Path], studio: Path, tmp_path: Path
) -> None:
    folder = classifier(FaceData(prepared=aligned["five_points"]), tmp_path / "m")
    with pytest.raises(UserError, match=rf"alignment five_points: needs landmarks; {folder} was trained so"):
        pipeline([folder], landmarks=NoLandmarks())
    config = json.loads((folder / "config.json").read_text())
    config["contract"]["landmarks"] = "others"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"landmarks is .* here and 'others' there"):
        pipeline([folder], landmarks=FaceMesh())


def test_a_checkpoint_refuses_faces_of_another_alignment_by_name(
    aligned: dict[Alignment, Path], prepared: Path
) -> None:
    state = FaceData(prepared=aligned["five_points"]).state_dict()
    with pytest.raises(UserError, match="alignment is 'none' here and 'five_points' there"):
        FaceData(prepared=prepared).load_state_dict(state)


def test_preparing_without_landmarks_is_refused_before_it_begins(
    studio: Path, rows: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    blind = replace(recipe, alignment="roll")
    blind.tracker.landmarks, before = NoLandmarks(), blind.tracker.landmarks
    try:
        with pytest.raises(UserError, match=rf"alignment roll: needs landmarks, which {rows[0].path} does not bring"):
            list(prepare_all(rows, studio, tmp_path / "out", blind, workers=1))
        assert not (tmp_path / "out").exists()
    finally:
        blind.tracker.landmarks = before


def test_parts_of_a_crop_are_those_of_its_region() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (2, 68, 2)).astype(np.float32)
    places = np.array([(12.0, 7.0, 60.0, 0.0), (12.5, -3.0, 60.25, 30.0)], np.float32)
    parts = over_side(points, *places.T).numpy()
    for part, here, place in zip(parts, points, places, strict=True):
        inward = restore_region(*map(float, place)).to_crop(here, 1000)
        np.testing.assert_allclose(part * 1000 - part[:1] * 1000, inward - inward[:1], atol=0.05)
    np.testing.assert_array_equal(parts[0], ((points[0] - places[0, :2].astype(np.float64)) / 60).astype(np.float32))


def test_boxes_of_the_owners_are_aligned_where_their_landmarks_are_and_named_where_not(
    studio: Path, rows: list[Video], recipe: Recipe, tmp_path: Path
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    frames = recipe.decoder.read(studio / rows[0].path, [0, 1]).numpy()
    points = np.tile(np.stack([np.linspace(60, 130, 68), np.linspace(50, 120, 68)], 1).astype(np.float32), (2, 1, 1))
    points[:, 42:48] += (40, 0)  # of the eye that is seen on the right
    for stem, shipped in (("good", points), ("bad", np.full_like(points, 77))):
        for i in range(2):
            write_image(root / stem / f"{i}.png", frames[i])
            (root / f"{stem}_points").mkdir(exist_ok=True)
            np.save(root / f"{stem}_points/{i}.npy", shipped[i])
    row = replace(rows[0], compression="", identities="a", box="all")
    given = [replace(row, stem=stem, path=stem, landmarks=f"{stem}_points") for stem in ("good", "bad")]
    tracker = FaceTracker(landmarks=NoLandmarks())  # none are looked for
    list(prepare_all(given, root, out, replace(recipe, alignment="roll", tracker=tracker), workers=1))
    [skipped] = read_skipped(out)
    assert skipped.path == "bad"
    assert skipped.reason == "alignment roll: needs landmarks; those of a face lie in one point"
    crops = load(out / "crops.arrow").to_pylist()
    assert len(crops) == 2
    eyes = points[0, 42:48].mean(0) - points[0, 36:42].mean(0)
    assert crops[0]["angle"] == pytest.approx(np.degrees(np.arctan2(eyes[1], eyes[0])), abs=1e-3)


def test_landmarks_of_the_owners_that_are_no_numbers_are_refused_by_the_name_of_their_file(tmp_path: Path) -> None:
    points = np.zeros((81, 2), np.float32)
    points[3, 1] = np.inf
    np.save(tmp_path / "7.npy", points)
    with pytest.raises(VideoError, match=r"7\.npy: holds points that are no finite numbers"):
        read_landmarks(tmp_path / "7.npy")
