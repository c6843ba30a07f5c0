"""Files whose names or gaps FFmpeg takes for something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.media.image import encode
from datamodules.media.probe import probe
from datamodules.media.source_files import files_of
from datamodules.media.video import Auto
from tests.fixtures import clips


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_an_avi_whose_gaps_are_filled_with_empty_chunks_has_its_frames_and_their_times(
    codec: str, tmp_path: Path
) -> None:
    shown = [0, 1, 2, 5, 6, 10, 11, 12, 13, 20]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = clips.write(
        tmp_path / "gaps.avi", codec=codec, length=len(shown), pts=lambda i: 40 * shown[i], pixels=pixels
    )
    index = probe(path)
    assert np.allclose(index.times * 25, shown, atol=0.01)
    assert len(Auto().read(path, range(len(shown)), index)) == len(shown)


def test_names_with_colons_are_those_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = Auto().read(clips.write(tmp_path / "plain.mp4", length=4), [0, 3])
    (tmp_path / "plain.png").write_bytes(encode(frames[0].numpy(), "png"))
    for name in ("2024-05-01T12:30:05.mp4", "12:30 talk.mp4", "a::b.mp4"):
        (tmp_path / "plain.mp4").rename(name)
        for path in (Path(name), tmp_path / name):
            assert torch.equal(Auto().read(path, [0, 3]), frames)
        Path(name).rename(tmp_path / "plain.mp4")
    (tmp_path / "plain.png").rename("a::b.png")
    assert torch.equal(Auto().read(Path("a::b.png"), [0])[0], frames[0])
    assert files_of(tmp_path / "a::b.png") == [tmp_path / "a::b.png"]
