"""What a file tells of itself before anybody looks for a forgery."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from datamodules.media.probe import VideoError
from datamodules.media.traits import read_traits
from tests.fixtures import clips


def photograph() -> np.ndarray:
    return clips.barcode(5, 64, 48)


def test_a_video_tells_its_codec_rate_length_and_size(tmp_path: Path) -> None:
    traits = read_traits(clips.write(tmp_path / "a.mp4", "mpeg4", length=50))
    assert traits.kinds["codec"].startswith("mpeg4")
    assert traits.kinds["frame size"] == f"{clips.WIDTH} x {clips.HEIGHT}"
    assert traits.kinds["sound"] == "none"
    assert (traits.numbers["frame rate"], traits.numbers["length"]) == (25, 2)
    assert traits.numbers["bit rate"] == 8 * (tmp_path / "a.mp4").stat().st_size / 2
    assert read_traits(clips.write(tmp_path / "b.mp4", length=50)).kinds["codec"].startswith("h264")


def test_of_a_video_only_the_head_is_read(tmp_path: Path) -> None:
    whole = clips.write(tmp_path / "whole.avi", length=300).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 4])
    whole_traits, cut = (read_traits(tmp_path / f"{name}.avi").numbers for name in ("whole", "cut"))
    for name in ("sharpness", "brightness", "change", "frame rate", "resolution"):
        assert cut[name] == whole_traits[name]


def test_sharpness_and_colour_are_those_of_the_pixels(tmp_path: Path) -> None:
    flat = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    PIL.Image.fromarray(flat).save(tmp_path / "red.png")
    numbers = read_traits(tmp_path / "red.png").numbers
    assert numbers["sharpness"] == 0
    assert numbers["red over blue"] == numbers["saturation"] == 1
    assert numbers["brightness"] == pytest.approx(1 / 3)
    PIL.Image.fromarray(photograph()).save(tmp_path / "sharp.png")
    PIL.Image.fromarray(cv2.GaussianBlur(photograph(), (9, 9), 0)).save(tmp_path / "soft.png")
    sharp, soft = (read_traits(tmp_path / f"{name}.png").numbers["sharpness"] for name in ("sharp", "soft"))
    assert sharp > 2 * soft


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(tmp_path: Path, quality: int) -> None:
    PIL.Image.fromarray(photograph()).save(tmp_path / "a.jpg", quality=quality, subsampling=2)
    traits = read_traits(tmp_path / "a.jpg")
    assert traits.numbers["JPEG quality"] == pytest.approx(quality, abs=0.6)
    assert traits.kinds["JPEG sampling"] == "4:2:0"
    PIL.Image.fromarray(photograph()).save(tmp_path / "b.jpg", quality=quality - 1)
    assert read_traits(tmp_path / "b.jpg").kinds["JPEG tables"] != traits.kinds["JPEG tables"]


def test_a_folder_of_images_is_one_file_as_large_as_all_of_them(tmp_path: Path) -> None:
    for i in range(4):
        PIL.Image.fromarray(photograph()).save(tmp_path / f"{i}.png")
    numbers = read_traits(tmp_path).numbers
    assert numbers["file size"] == 4 * (tmp_path / "0.png").stat().st_size
    assert (numbers["length"], numbers["change"]) == (4, 0)


def test_what_cannot_be_looked_into_is_an_error_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "a.jpg").write_bytes(b"no image")
    for name in ("a.mp4", "a.jpg", "a.tar::member"):
        with pytest.raises(VideoError, match=name[:4]):
            read_traits(tmp_path / name)
