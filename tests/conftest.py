"""One tiny studio and its prepared faces, made once for the whole session."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
import torch

from datamodules.faces import DlibLandmarks
from datamodules.ffpp import FFPP, index
from datamodules.prepare import Recipe, prepare_all
from datamodules.studio.build import Plan, build
from datamodules.tracks import FaceTracker
from datamodules.video import Decord

os.environ.setdefault("WANDB_MODE", "offline")
PLAN = Plan(size="tiny", seed=0, difficulty=0.3)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    # more threads than cores wait for each other
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("studio")
    list(build(root, PLAN, workers=2))
    return root


@pytest.fixture(scope="session")
def recipe(studio: Path) -> Recipe:
    tracker = FaceTracker(landmarks=DlibLandmarks(studio / "shape_predictor_68.dat"))
    return Recipe(decoder=Decord(), tracker=tracker, size=64, frames=8)


@pytest.fixture(scope="session")
def prepared(studio: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    rows = [row for row in index(studio) if row.compression == "c23"]
    list(prepare_all(rows, studio, out, recipe, workers=2))
    return out


@pytest.fixture
def data(prepared: Path) -> FFPP:
    return FFPP(prepared=prepared, batch_size=4, num_workers=0, draws=4, eval_clips=8)
