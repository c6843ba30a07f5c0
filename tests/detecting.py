"""Small methods that detect is tried with; what they say does not matter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.base import FaceData
from datamodules.synthesis.framing import Framing
from datamodules.video import PyAV
from lightning_modules.base import Method
from lightning_modules.classifier import Classifier
from lightning_modules.metrics import operating
from lightning_modules.st_ddl import STDDL
from lightning_modules.trained import Trained, load, save
from lightning_modules.weights import digest
from suite.detection.examine import Examiner
from suite.detection.thresholds import Rates
from suite.detection.usable import Usable
from tests.conftest import ROOT
from tests.test_odd_clips import Frames

SCHEMA = json.loads((ROOT / "suite/detection/schema.json").read_text())
EASY = Usable(side=20, moments=2, sharpness=0.0)


def validate(method: Method, reals: Sequence[float], fakes: Sequence[float]) -> None:
    """As if validation had seen videos with these scores."""
    score, label = torch.tensor([*reals, *fakes]), torch.tensor([0] * len(reals) + [1] * len(fakes))
    method.video_scores.copy_(operating.sample(score, label))
    method.video_counts.copy_(operating.count(score, label))


def trained(method: Method, model: dict[str, Any], data: FaceData, folder: Path) -> Path:
    """A folder as 'export' writes it: unclear above a score of 0.4, forged above 0.5."""
    method.video_threshold.fill_(0.4)
    method.video_slope.fill_(0.5)
    method.video_bias.fill_(0.0)
    validate(method, [0.3] * 30 + [0.4] * 8 + [0.5] * 2, [0.35] * 10 + [0.45] * 10 + [0.9] * 20)
    about = data.state_dict()
    known = {name: about[name] for name in ("contract", "stored", "trained_on", "seen")}
    save(Trained(path=folder, method=method, model=model, digest=digest(method.state_dict()), **known), folder)
    return folder


def classifier(data: FaceData, folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    arguments: dict[str, Any] = {"backbone": "test_resnet", "framing": {"cut": [0.05, 0.15]}}
    model = {"class_path": "lightning_modules.classifier.Classifier", "init_args": arguments}
    method = Classifier(backbone="test_resnet", framing=Framing(cut=(0.05, 0.15)))
    return trained(method, model, data, folder)


def of_clips(data: FaceData, folder: Path) -> Path:
    """A method that needs clips, and landmarks."""
    arguments: dict[str, Any] = {"trunk": "test_resnet", "width": 32}
    return trained(
        STDDL(**arguments), {"class_path": "lightning_modules.st_ddl.STDDL", "init_args": arguments}, data, folder
    )


@pytest.fixture(scope="module")
def small(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(FaceData(prepared=prepared), tmp_path_factory.mktemp("methods") / "small")


def examiner(checkpoints: Iterable[Path], **changes: Any) -> Examiner:
    settings: dict[str, Any] = {"decoder": PyAV(), "landmarks": None, "usable": EASY, "device": torch.device("cpu")}
    settings |= {"frames": 8, "spacing": 1e9, "batch": 4, "rates": Rates()} | changes
    return Examiner([load(path) for path in checkpoints], **settings)


def gone(head: Frames, first: int, last: int) -> Frames:
    out = head.copy()
    out[first:last] = 90
    return out


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
