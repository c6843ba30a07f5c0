"""The edits that a detector is measured with: where they are, of whom, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.studies.edits import QUALITIES, CroppedFace, edits_of, faces_of, measure_edits
from suite.pretrained import from_pretrained


@pytest.fixture(scope="module")
def faces(prepared: Path) -> list[CroppedFace]:
    return faces_of(prepared)


def test_the_faces_are_the_real_ones_of_testing_with_landmarks_in_the_pixels_of_the_crop(
    faces: list[CroppedFace],
) -> None:
    assert len({face.person for face in faces}) > 1
    for face in faces:
        assert face.pixels.shape == (256, 256, 3)
        assert face.points.min() > 0
        assert face.points.max() < 256


def test_an_edit_is_where_its_mask_says_and_nowhere_else(faces: list[CroppedFace]) -> None:
    names = set()
    for name, face, edited, mask in edits_of(faces, seed=0):
        names.add(name)
        away = np.abs(edited.astype(int) - face.pixels).max(-1)
        assert away[mask > 0].mean() > 0.5, name
        assert away[cv2.dilate(mask, np.ones((25, 25), np.uint8)) == 0].max() <= 6, name  # a soft border at most
    assert names == {
        *(f"{part} of another" for part in ("eyes", "nose", "mouth", "whole face")), "a part warped", "skin smoothed"
    }  # fmt: skip


def test_the_same_seed_makes_the_same_edits(faces: list[CroppedFace]) -> None:
    first, second = ([edited for _, _, edited, _ in edits_of(faces, seed=1)] for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_detector_is_measured_on_each_edit_in_each_quality(prepared: Path) -> None:
    found = measure_edits(from_pretrained(), prepared)
    for quality in QUALITIES:
        assert sum(found[quality]["verdicts_on_unedited"].values()) == found["faces"]
        for edit in found[quality]["edits"].values():
            value, low, high = edit["auroc"]
            assert 0 <= low <= value <= high <= 1
            assert 0 <= edit["pixel_auroc"] <= 1
    smoothed = found["JPEG 90"]["edits"]["skin smoothed"]
    assert sum(smoothed["verdicts"].values()) == found["faces"]
