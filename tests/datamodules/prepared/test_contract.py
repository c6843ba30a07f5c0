"""What a prepared folder promises, and that one of another time is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.base import NoLandmarks
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.video import Decord
from datamodules.prepared import contract
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import UserError
from suite.detect.pipeline import detector_of, landmarks_of, shape_boxes


def test_a_folder_prepared_before_boxes_were_steady_is_refused_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "contract.json").write_text(json.dumps({"detector": "HOG", "size": 256}))
    with pytest.raises(UserError) as error:
        contract.load(tmp_path)
    assert "\n" not in str(error.value)
    assert "layout 1, must be 2; run 'python -m suite prepare' again, with a new folder for" in str(error.value)


def test_detectors_that_are_set_otherwise_have_other_contracts_and_detect_takes_the_same() -> None:
    contracts = [
        Recipe(decoder=Decord(), tracker=FaceTracker(detector, NoLandmarks())).contract()
        for detector in (BlazeFace(), BlazeFace(0.8), HOG())
    ]
    assert len({str(one["detector"]) for one in contracts}) == 3
    for one in contracts:
        assert detector_of(one).fingerprint() == one["detector"]


@pytest.mark.parametrize("model", [FaceMesh(), FaceMesh(eyes=True)])
def test_detect_takes_the_face_mesh_of_the_contract(model: FaceMesh) -> None:
    one = Recipe(decoder=Decord(), tracker=FaceTracker(BlazeFace(), model, landmark_margin=0)).contract()
    assert landmarks_of(one).fingerprint() == model.fingerprint()
    assert shape_boxes(one)  # it has a part in where faces are cut, whatever a method sees


def test_the_contract_says_how_boxes_are_smoothed_and_what_they_hold() -> None:
    mesh = Recipe(
        decoder=Decord(), tracker=FaceTracker(BlazeFace(), FaceMesh(), box_smoothing=7, landmark_margin=1.5)
    ).contract()
    assert {name: mesh[name] for name in ("layout", "detector", "steady", "room", "smooth")} == {
        "layout": contract.LAYOUT,
        "detector": BlazeFace().fingerprint(),
        "steady": 7,
        "room": 1.5,
        "smooth": 0.0,
    }
    # without landmarks there is nothing that a square could have to hold
    assert Recipe(decoder=Decord(), tracker=FaceTracker(HOG(), NoLandmarks())).contract()["room"] == 0
