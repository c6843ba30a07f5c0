"""Clips as phones, networks and editors leave them go through prepare: the same face in the same place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.faces.crop import restore_region
from datamodules.manifest import Video
from datamodules.media.encode import write_h264
from datamodules.media.image import decode
from datamodules.media.video import Decord
from datamodules.prepared.prepare import prepare_video
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load, read_skipped
from tests.fixtures import clips
from tests.fixtures.head_clips import Frames, enlarged, head, remuxed, turned, write
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.rendering import render_person

__all__ = ["head"]  # a fixture, by its arguments

Points = NDArray[np.float32]


# name: (what writes it, how much larger its image is)
ODD: dict[str, tuple[Callable[[Path, Frames], Path], int]] = {
    "without_sound": (write, 1),
    "with_sound": (lambda path, frames: write(path, frames, sound=True), 1),
    "remuxed": (lambda path, frames: remuxed(write(path, frames)), 1),
    "rotated": (lambda path, frames: clips.rotate(write(path, turned(frames))), 1),
    "variable_rate": (lambda path, frames: write(path, frames, pts=lambda i: 40 * i + 17 * (i % 3)), 1),
    "4k": (lambda path, frames: write(path, enlarged(frames[:8], 12)), 12),
    "10_bit": (lambda path, frames: write(path, frames, codec="libx265", pixels="yuv420p10le"), 1),
    "10_bit_h264": (lambda path, frames: write(path, frames, pixels="yuv420p10le"), 1),
    "full_range_444": (lambda path, frames: write(path, frames, pixels="yuvj444p"), 1),
}


@pytest.fixture(scope="module")
def usual(head: Frames, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Points, Points]:
    return first_crop(write(tmp_path_factory.mktemp("usual") / "clip.mp4", head), recipe)


def first_crop(path: Path, recipe: Recipe) -> tuple[Points, Points]:
    """Landmarks in the frame, and their mean colour in the crop."""
    row = Video(dataset="d", method="real", stem=path.stem, path=path.name, label=0, split="test", identities=path.stem)
    out = path.parent / "prepared"
    prepare_here([row], path.parent, out, replace(recipe, size=64))
    assert read_skipped(out) == []
    crops = load(out / "crops.arrow").to_pylist()
    assert len(crops) == 8
    image = decode((out / crops[0]["image"]).read_bytes())
    points = np.reshape(crops[0]["landmarks"], (68, 2)).astype(np.float32)
    x, y = (
        restore_region(*(crops[0][name] for name in ("x", "y", "side", "angle")))
        .to_crop(points, 64)
        .round()
        .astype(int)
        .T
    )
    return points, image[y.clip(0, 63), x.clip(0, 63)].astype(np.float32).mean(0)


@pytest.mark.parametrize("kind", ODD)
def test_a_face_is_found_in_the_same_place(
    kind: str, head: Frames, usual: tuple[Points, Points], recipe: Recipe, tmp_path: Path
) -> None:
    maker, times = ODD[kind]
    landmarks, colour = first_crop(maker(tmp_path / "clip.mp4", head), recipe)
    assert np.abs(landmarks / times - usual[0]).mean() < 2
    assert np.abs(colour - usual[1]).max() < 15


def test_frames_of_two_sizes_are_no_video_to_prepare(tmp_path: Path, recipe: Recipe) -> None:
    small, large = render_person(1, 3)[0], render_person(1, 3)[0]

    class Both(Decord):
        def frames(self, path: Path, index: Any, wanted: Any) -> Any:
            yield from (torch.from_numpy(frame) for frame in (*small, *(frame[:-2] for frame in large)))

    write_h264(tmp_path / "clip.mp4", [*small, *large], 25, 18)
    row = Video(dataset="d", method="real", stem="s", path="clip.mp4", label=0, split="test", identities="a")
    prepare_video(row, tmp_path, tmp_path / "out", replace(recipe, decoder=Both()))
    (skipped,) = (tmp_path / "out").glob("parts/*/skipped.json")
    assert "has frames of" in json.loads(skipped.read_text())["reason"]
