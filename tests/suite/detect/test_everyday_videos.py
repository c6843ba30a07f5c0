"""What cameras, phones and networks make of videos is judged and annotated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import jsonschema
import numpy as np
import pytest

from datamodules.media.video import probe
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.command import format_verdict
from tests.fixtures import clips
from tests.fixtures.browser import check_page
from tests.fixtures.counted_probes import probed
from tests.fixtures.detecting import EASY, SCHEMA, gone, small
from tests.fixtures.head_clips import Frames, copied, enlarged, head, remuxed, turned, write
from tests.fixtures.needs import chromium

__all__ = ["head", "probed", "small"]  # fixtures


def apart(first: Frames, second: Frames) -> Frames:
    """Two people beside each other."""
    return np.concatenate([first, second], axis=2)


def gif(path: Path, frames: Frames) -> Path:
    with av.open(str(path.with_suffix(".gif")), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "rgb8"
        for image in frames[::2]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="rgb8")))
        container.mux(stream.encode())
    return path.with_suffix(".gif")


def still(path: Path, frames: Frames) -> Path:
    cv2.imwrite(str(path.with_suffix(".jpg")), frames[0][..., ::-1])
    return path.with_suffix(".jpg")


LIFE: dict[str, tuple[Callable[[Path, Frames], Path], int]] = {
    "two people": (lambda path, head: write(path, apart(head, np.roll(head, 5, 0)[:, :, ::-1].copy())), 2),
    "who comes late": (lambda path, head: write(path, gone(head, 0, 9)), 1),
    "who goes and comes": (lambda path, head: write(path, gone(np.concatenate([head, head]), 16, 32)), 1),
    "upright": (lambda path, head: clips.rotate(write(path, turned(head[:, :, 48:208]))), 1),
    "variable rate": (lambda path, head: write(path, head, pts=lambda i: 40 * i + 17 * (i % 3)), 1),
    "times that come twice": (lambda path, head: copied(write(path, head), path.with_suffix(".mkv"), 1024), 1),
    "with sound": (lambda path, head: write(path, head, sound=True), 1),
    "remuxed": (lambda path, head: remuxed(write(path, head)), 1),
    "an image": (still, 1),
    "gif": (gif, 1),
    "hevc": (lambda path, head: write(path, head, codec="libx265"), 1),
    "10 bit": (lambda path, head: write(path, head, codec="libx265", pixels="yuv420p10le"), 1),
    "odd size": (lambda path, head: write(path, head[:, 1:, 1:], pixels="yuv444p"), 1),
    "large": (lambda path, head: write(path, enlarged(head[:8], 8)), 1),
}


def test_a_video_is_probed_once(head: Frames, small: Path, tmp_path: Path, probed: list[Path]) -> None:
    path = write(tmp_path / "clip.mp4", head)
    analyzer = Analyzer([small], DetectSettings(frames=8, usable=EASY, device="cpu"))
    analyzer.analyze(path, tmp_path / "out", True, lambda *_: None)
    assert probed == [path]


def test_that_only_the_first_of_several_video_tracks_was_examined_is_said(
    head: Frames, small: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(write(tmp_path / "one.mp4", head))) as old, av.open(str(path), "w") as new:
        tracks = [new.add_stream_from_template(old.streams.video[0]) for _ in range(2)]
        for packet in [packet for packet in old.demux(old.streams.video[0]) if packet.size]:
            for track in tracks:
                packet.stream = track
                new.mux(packet)
    analyzer = Analyzer([small], DetectSettings(frames=4, usable=EASY, device="cpu"))
    found = analyzer.analyze(path, tmp_path / "out", False, lambda *_: None)
    jsonschema.validate(found.to_json(), SCHEMA)
    assert found.file.tracks == 2
    said = "2 video tracks, the first was examined"
    assert said in (tmp_path / "out/page.html").read_text()
    assert f"; {said}" in format_verdict(found)
    one = analyzer.analyze(tmp_path / "one.mp4", tmp_path / "out", False, lambda *_: None)
    assert one.file.tracks == 1
    assert "video tracks" not in (tmp_path / "out/page.html").read_text() + format_verdict(one)


@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("kind", ["an image", "upright", "two people"])
def test_a_browser_shows_all_of_the_page_at_any_width(kind: str, head: Frames, small: Path, tmp_path: Path) -> None:
    make, _ = LIFE[kind]
    analyzer = Analyzer([small], DetectSettings(frames=8, usable=EASY, device="cpu"))
    analyzer.analyze(make(tmp_path / "clip.mp4", head), tmp_path / "out", True, lambda *_: None)
    check_page(tmp_path / "out/page.html")


@pytest.mark.parametrize("kind", LIFE)
def test_what_real_life_brings_is_judged_and_annotated(kind: str, head: Frames, small: Path, tmp_path: Path) -> None:
    make, people = LIFE[kind]
    path = make(tmp_path / "clip.mp4", head)
    analyzer = Analyzer([small], DetectSettings(frames=8, usable=EASY, device="cpu"))
    steps: list[tuple[int, int]] = []
    found = analyzer.analyze(path, tmp_path / "out", True, lambda *step: steps.append(step))
    jsonschema.validate(found.to_json(), SCHEMA)
    assert json.loads((tmp_path / "out/result.json").read_text()) == found.to_json()
    assert found.verdict != "no verdict", found.reasons
    assert len(found.faces) == people
    assert all(face.probability is not None and 0 < face.probability < 1 for face in found.faces)
    source = probe(path)
    assert steps[-1] == (len(source), len(source))
    page = (tmp_path / "out/page.html").read_text()
    if kind == "an image":
        assert found.files == {"page": "page.html", "image": "annotated.png"}
        image = cv2.imread(str(tmp_path / "out/annotated.png"))
        assert image is not None
        assert image.shape == head[0].shape
        assert "sampled" not in page
        assert "0.00 s" not in page
        assert "over time" not in page
        assert f"Probability {found.faces[0].probability:.3f}" in page
        return
    made = probe(tmp_path / "out/annotated.mp4")
    np.testing.assert_allclose(made.times, source.times, atol=2e-3)
    width, height = found.file.width, found.file.height
    assert width is not None
    assert height is not None
    assert (width < height) == (kind == "upright") or kind == "two people"
    with av.open(str(tmp_path / "out/annotated.mp4")) as copy, av.open(str(path)) as old:
        assert len(copy.streams.audio) == len(old.streams.audio)
        if old.streams.audio:
            heard = [[bytes(p) for p in c.demux(c.streams.audio[0]) if p.size] for c in (copy, old)]
            assert heard[0] == heard[1]
    for face in found.faces:
        assert f"Probability of face {face.id} over time" in page
