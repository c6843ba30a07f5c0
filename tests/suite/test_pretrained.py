"""A detector for programs scores as the command does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from datamodules.face_data import FaceData
from datamodules.faces.crop import NoCrop
from datamodules.media.image import encode
from datamodules.media.video import PyAV
from datamodules.runtime.errors import UserError
from lightning_modules import hub_folder
from lightning_modules.familiarity import Familiarity, fit_familiarity
from lightning_modules.hub_folder import save
from lightning_modules.trained_method import load
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.pipeline import Limits
from suite.pretrained import from_pretrained
from tests.conftest import ROOT
from tests.fixtures.detecting import EASY, SCHEMA, pipeline, small
from tests.fixtures.head_clips import Frames, head, write

__all__ = ["head", "small"]  # fixtures

SETTINGS = DetectSettings(frames=8, spacing=1e9, usable=EASY, device="cpu")


def test_images_arrays_tensors_and_files_of_the_same_pixels_have_the_same_scores(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    detector = from_pretrained(small, SETTINGS)
    path = write(tmp_path / "clip.mp4", head)
    [of_video] = detector.score(path)
    [face] = pipeline([small]).analyze(path, None, Limits()).faces
    assert of_video.probability == pytest.approx(face.method_verdicts[0].probability)
    assert (of_video.verdict, of_video.thresholds) == (face.verdict, face.thresholds)
    assert of_video.map is not None  # the class activation
    image = head[3]
    [one] = detector.score(image)
    assert (one.image, one.reasons) == (0, [])
    assert one.square is not None
    assert 0 < one.probability < 1
    batch = detector.score(np.stack([head[9], image]))
    assert [found.image for found in batch] == [0, 1]
    assert batch[1].probability == pytest.approx(one.probability)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    for same in (tensor, tensor.float() / 255):
        assert detector.score(same)[0].probability == pytest.approx(one.probability)
    assert detector.score(np.full((200, 200, 3), 90, np.uint8)) == []


def test_crops_are_scored_as_the_network_scores_them_in_a_test(small: Path, prepared: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=4, num_workers=0, eval_clips=1)
    batch = next(iter(data.eval_loader("test")))
    detector = from_pretrained(small, SETTINGS)
    with torch.inference_mode():
        expected = load(small).method.outcome(batch.scale()).score.tolist()
    found = detector.score(batch.frames[:, 0], are_crops=True)
    known = load(small)
    assert [one.probability for one in found] == pytest.approx([known.calibrate(score) for score in expected])
    assert [one.image for one in found] == [0, 1, 2, 3]


@pytest.mark.parametrize("coded", ["png", "jpg"])
def test_a_square_that_was_cut_from_an_image_scores_as_the_image_does(
    coded: str, head: Frames, small: Path, tmp_path: Path
) -> None:
    detector = from_pretrained(small, SETTINGS)
    scorer = detector.analyzer.pipeline.scorers[0]
    scorer.through_jpeg = coded == "jpg"
    path = tmp_path / "one.png"
    path.write_bytes(encode(head[3], "png"))
    [found] = detector.analyzer.pipeline.analyze(path, None, Limits()).faces[0].method_verdicts[0].scores
    square = found.region.cut(head[3], detector.trained_method.stored or scorer.size)
    [of_square] = detector.score(square, are_crops=True)
    assert of_square.probability == pytest.approx(detector.trained_method.calibrate(found.score), abs=1e-6)
    with pytest.raises(UserError, match="crops of 64 x 100 pixels: must be square, as faces are cut"):
        detector.score(np.zeros((64, 100, 3), np.uint8), are_crops=True)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([np.zeros((8, 8, 3), np.uint8)], "images of type list: must be an array, a tensor or the path of one file"),
        (np.zeros((8, 8, 3)), r"images of shape \(8, 8, 3\) and float64: must be bytes"),
        (np.zeros((3, 8, 8), np.uint8), r"images of shape \(3, 8, 8\) and uint8: must be bytes"),
        (np.zeros((8, 8), np.uint8), r"images of shape \(8, 8\) and uint8: must be bytes"),
        (torch.full((3, 8, 8), 200.0), r"images of torch\.float32: must be in \[0, 1\]"),
        (np.zeros((2, 2, 8, 8, 3), np.uint8), r"images of shape \(2, 2, 8, 8, 3\): must be one image"),
    ],
)
def test_what_is_no_image_is_refused_by_its_shape_and_kind(images: Frames, reason: str, small: Path) -> None:
    with pytest.raises(UserError, match=reason):
        from_pretrained(small, SETTINGS).score(images)


def test_crops_that_a_method_cannot_take_are_refused(small: Path, tmp_path: Path) -> None:
    detector = from_pretrained(small, SETTINGS)
    with pytest.raises(UserError, match=r"needs \(N, 1, H, W, 3\)"):
        detector.score(np.zeros((2, 3, 8, 8, 3), np.uint8), are_crops=True)
    with pytest.raises(UserError, match="a path is searched for faces"):
        detector.score(tmp_path / "x.png", are_crops=True)


def test_the_lines_of_the_card_run(
    head: Frames, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (ROOT / "suite/export/card.md").read_text()
    lines = card.split("```python\n")[1].split("```")[0]
    assert len([line for line in lines.splitlines() if line]) == 3
    path = write(tmp_path / "clip.mp4", head)
    exec(lines.replace("FOLDER", str(small)).replace("IMAGE_OR_VIDEO", str(path)), {})
    assert capsys.readouterr().out.startswith("[('forged', 0.")


def test_a_mistyped_path_is_no_folder_here_and_cannot_be_had_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("401 Client Error.\nRepository Not Found")

    monkeypatch.setattr(hub_folder, "snapshot_download", refuse)
    reason = r"^runs/demoo: is no folder here, and cannot be had from the Hugging Face hub \(401 Client Error\.\)$"
    with pytest.raises(UserError, match=reason):
        from_pretrained("runs/demoo")


def test_a_face_of_which_no_sampled_frame_could_be_cut_has_no_score(
    head: Frames, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise NoCrop

    path = write(tmp_path / "clip.mp4", head)
    detector = from_pretrained(small, SETTINGS)
    assert len(detector.score(path)) == 1
    monkeypatch.setattr("suite.detect.scorer.measure_quality", refuse)
    assert detector.score(path) == []


def knowing(small: Path, folder: Path, limit: float) -> Path:
    """The same method, which knows some training."""
    before = load(small)
    features = torch.randn(40, 2 * sum(one["num_chs"] for one in before.method.net.feature_info[1:3]))  # type: ignore[union-attr, index]
    found = fit_familiarity(features, torch.arange(40) % 2, features)
    assert found is not None
    before.method.familiarity = Familiarity.from_state(found.state() | {"limit": torch.tensor(limit)})
    save(replace(before, path=folder), folder)
    return folder


def test_a_face_that_is_unlike_the_training_gets_no_verdict(head: Frames, small: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", head)
    far = Analyzer([knowing(small, tmp_path / "far", 1e-3)], SETTINGS)
    found = far.analyze(path, tmp_path / "out", True, lambda *_: None)
    copy = PyAV().read(tmp_path / "out/annotated.mp4", [12])[0].numpy().astype(int)[: head.shape[1]]
    changed = copy[np.abs(copy - head[12]).max(-1) > 40]
    assert np.ptp(changed, -1).mean() < 30  # of a grey box, and no map
    jsonschema.validate(found.to_json(), SCHEMA)
    assert found.verdict == "no verdict"
    [face] = found.faces
    assert face.probability is None
    assert face.reasons[0].startswith("unlike the faces it was trained on (distance ")
    assert found.methods[0].distance_limit == 0.001
    [method] = face.methods
    assert method.distance == pytest.approx(np.median([one.distance for one in method.frames]), rel=1e-3)
    page = (tmp_path / "out/page.html").read_text()
    assert "unlike the faces it was trained on" in page
    assert "cannot tell" not in page
    [said] = from_pretrained(tmp_path / "far", SETTINGS).score(path)
    assert said.reasons == face.reasons
    near = Analyzer([knowing(small, tmp_path / "near", 1e6)], SETTINGS)
    assert near.analyze(path, tmp_path / "out", False, lambda *_: None).faces[0].probability is not None
    unknown = Analyzer([small], SETTINGS).analyze(path, tmp_path / "out", False, lambda *_: None)
    jsonschema.validate(unknown.to_json(), SCHEMA)
    assert unknown.faces[0].probability is not None
    assert unknown.methods[0].distance_limit is None
    assert "It cannot tell whether a face is unlike" in (tmp_path / "out/page.html").read_text()
