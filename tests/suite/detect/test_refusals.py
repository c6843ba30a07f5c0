"""What detect refuses, and how it says so."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.runtime.errors import UserError
from lightning_modules.hub_folder import save
from lightning_modules.trained_method import load
from suite.__main__ import main
from suite.detect.analyzer import Analyzer, DetectSettings
from suite.detect.command import detect
from suite.detect.pipeline import Limits
from suite.detect.result import Document
from tests.fixtures.detecting import EASY, bomb, of_clips, pipeline, small
from tests.fixtures.head_clips import Frames, head, write

__all__ = ["head", "small"]  # fixtures


def test_a_method_that_saw_other_faces_is_refused_by_name(
    small: Path, prepared: Path, studio: Path, tmp_path: Path
) -> None:
    known = load(small)
    for name, value, said in (
        ("detector", "RetinaFace", "and 'RetinaFace' there"),
        ("alignment", "eyes", "alignment is 'none' here and 'eyes' there"),
        ("decoder", "TorchCodec on cuda", "decoder is 'FFmpeg on cpu' here and 'TorchCodec on cuda' there"),
    ):
        other = replace(known, contract=known.contract | {name: value})
        save(other, tmp_path / name)
        with pytest.raises(UserError, match=said):
            pipeline([tmp_path / name], landmarks=FaceMesh())
    alike = [("decoder", "PyAV on cpu"), ("decoder", "Decord on cpu")]
    for name, value in [("landmarks", "others"), *alike]:  # neither seen nor held by a square, and of the same bits
        save(replace(known, contract=known.contract | {"room": 0, name: value}), tmp_path / "alike")
        pipeline([tmp_path / "alike"])
    data = FaceData(prepared=prepared, root=studio, index=index, frame_source="videos", clip=3)
    folder = of_clips(data, tmp_path / "clips")
    content = json.loads((folder / "config.json").read_text())
    content["contract"]["landmarks"] = "others"
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"landmarks is .* here and 'others' there"):
        pipeline([folder], landmarks=FaceMesh())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone.mp4"], "gone.mp4: no such file"),
        (["."], "has no videos and no images"),
        (["run.txt", "--device", "tpu"], "device tpu"),
        (["run.txt", "--frames", "0"], "frames 0: must be above 0"),
        (["run.txt", "--usabel.side", "3"], "unknown key 'usabel.side', did you mean"),
        (["run.txt", "--checkpoint", "."], "no run: "),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], reason: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.txt").touch()
    chosen = [] if "--checkpoint" in arguments else ["--checkpoint", str(small)]
    with pytest.raises(SystemExit):
        main(["detect", *arguments, *chosen])
    assert reason in capsys.readouterr().err


def test_what_is_too_large_is_refused_before_it_is_decoded(head: Frames, small: Path, tmp_path: Path) -> None:
    looking = pipeline([small])
    path = write(tmp_path / "clip.mp4", head)
    with pytest.raises(UserError, match=r"is 0.9 s long; the limit is 0.5 s"):
        looking.analyze(path, None, Limits(seconds=0.5))
    with pytest.raises(UserError, match=r"has 49152 pixels a frame; the limit is 1000"):
        looking.analyze(path, None, Limits(frame_pixels=1000))
    photograph = tmp_path / "photograph.jpg"
    cv2.imwrite(str(photograph), np.full((3024, 4032, 3), 90, np.uint8))
    assert looking.analyze(photograph, None, Limits(frame_pixels=1000)).verdict == "no verdict"
    image = tmp_path / "bomb.png"
    image.write_bytes(bomb(60_000, 60_000))
    with pytest.raises(UserError, match=r"has 3600000000 pixels"):
        looking.analyze(image, None, Limits())


def test_a_network_that_says_no_number_says_nothing(head: Frames, small: Path, tmp_path: Path) -> None:
    looking = pipeline([small])
    torch.nn.init.constant_(next(looking.methods[0].method.parameters()), float("nan"))
    with pytest.raises(UserError, match="non-finite logit in the batch starting at frame 0"):
        looking.analyze(write(tmp_path / "clip.mp4", head), None, Limits())


def test_methods_of_the_same_name_are_called_by_their_paths(small: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(small, tmp_path / "2" / "small"))
    analyzer = Analyzer([small, other], DetectSettings(device="cpu"))
    assert [one.name for one in analyzer.methods] == [str(small), str(other)]
    with pytest.raises(UserError, match="was given twice"):
        Analyzer([small, small], DetectSettings(device="cpu"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_a_file_that_needs_too_much_memory_costs_no_other(
    error: Exception, head: Frames, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(tmp_path / f"{name}.mp4", head[:8]) for name in "ab"]
    analyze = Analyzer.analyze

    def fail(self: Analyzer, path: Path, *rest: Any) -> Document:
        if path == files[0]:
            raise error
        return analyze(self, path, *rest)

    monkeypatch.setattr(Analyzer, "analyze", fail)
    settings = DetectSettings(frames=4, usable=EASY, device="cpu")
    with pytest.raises(UserError, match=r"1 of 2 .*a\.mp4: needs more memory than there is; try a smaller --batch$"):
        detect(files, [small], tmp_path / "out", False, settings)
    assert (tmp_path / "out/b.mp4/page.html").is_file()


def test_a_fault_of_the_suite_itself_is_no_fault_of_a_file(
    head: Frames, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Document:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Analyzer, "analyze", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        detect([write(tmp_path / "a.mp4", head[:8])], [small], tmp_path / "out", False, DetectSettings(device="cpu"))
