"""One tiny studio and its prepared faces, made once for the whole session."""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.manifest import Video
from datamodules.media.video import Auto
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.runtime import process_pool
from datamodules.studio.build import Plan, build
from lightning_modules.metrics import bootstrap, resampling
from tests.fixtures.disk import wait_for_no_disk
from tests.fixtures.prepared_sets import rename
from tests.fixtures.processes import START, forked_commands, run_ranks
from tests.fixtures.studio_only_landmarks import train_predictor
from tests.fixtures.trees import Material

__all__ = ["forked_commands"]  # a fixture
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start
ROOT = Path(__file__).parents[1]
settings.register_profile("suite", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("suite")
process_pool.START = START  # workers need not import what they work with
wait_for_no_disk()
# the first makes the studio; the next two do not wait for it
SLOW = ["test_cli", "test_export", "test_rffr", "test_overfit", "test_bounds", "test_runner"]
SLOW += ["test_interruptions", "test_serve"]
PLAN = Plan(size="tiny", seed=0, difficulty=0.3)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: begun last, one process would be at them when the others are done."""
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))


@pytest.fixture(autouse=True, scope="session")
def cheap_processes() -> None:
    multiprocessing.set_forkserver_preload(["tests.fixtures.preloaded"])
    # more threads than cores wait for each other
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where intervals are only shown: thousands of resamples are seconds for each table that is read."""
    monkeypatch.setattr(resampling, "RESAMPLES", 100)
    monkeypatch.setattr(bootstrap, "localization", functools.partial(bootstrap.localization, draws=100))


def shared(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """A folder for the whole session: of all workers of pytest-xdist the first that asks fills it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            fill(out)
            done.touch()
    return out


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared(tmp_path_factory, "studio", lambda out: list(build(out, PLAN, workers=2)))


@pytest.fixture(scope="session")
def studio_only_landmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in dlib's format."""

    def train(out: Path) -> None:
        out.mkdir()
        train_predictor(out / "studio_only_68.dat", PLAN.cast()["train"], seed=0, count=24)

    return shared(tmp_path_factory, "landmarks", train) / "studio_only_68.dat"


@pytest.fixture(scope="session")
def recipe() -> Recipe:

    return Recipe(decoder=Auto(), tracker=FaceTracker(), size=64, frames=8)


@pytest.fixture(scope="session")
def prepared(studio: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [row for row in index(studio) if row.compression == "c23"]
    return shared(tmp_path_factory, "prepared", lambda out: list(prepare_all(rows, studio, out, recipe, workers=2)))


@pytest.fixture(scope="session")
def swaps(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studio with its real videos and one forgery, for what prepares it again: 16 videos."""

    def link(out: Path) -> None:
        kept = [path for path in studio.rglob("*.mp4") if {"Swap", "original_sequences"} & set(path.parts)]
        for path in [*studio.glob("*.json"), *(path for path in kept if "c40" not in path.parts)]:
            (out / path.relative_to(studio)).parent.mkdir(parents=True, exist_ok=True)
            (out / path.relative_to(studio)).hardlink_to(path)

    return shared(tmp_path_factory, "swaps", link)


@pytest.fixture(scope="session")
def prepared_swaps(swaps: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def fill(out: Path) -> None:
        list(prepare_all(list(index(swaps)), swaps, out, recipe, workers=2))

    return shared(tmp_path_factory, "prepared_swaps", fill)


@pytest.fixture(scope="session")
def visitors(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second prepared set, of two forgeries."""

    def few(row: Video) -> dict[str, str] | None:
        return {"sha256": ""} if row.method in ("real", "Swap", "LocalEdit") else None

    return shared(tmp_path_factory, "visitors", lambda out: rename(prepared, out, "visitors", few))


@pytest.fixture
def data(prepared: Path) -> FaceData:
    return FaceData(prepared=prepared, batch_size=4, num_workers=0, clips_per_face=4, eval_clips=8)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def suite(*arguments: str, timeout: float = 300, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, or in several that train together."""
    options = ("--trainer.devices", str(ranks), "--trainer.strategy", "ddp") if ranks > 1 else ()
    return run_ranks(*arguments, *options, ranks=ranks, timeout=timeout)


FEW_CLIPS = [
    "--data.num_workers",
    "0",
    "--data.batch_size",
    "8",
    "--data.clips_per_face",
    "2",
    "--data.eval_clips",
    "2",
]
# of which every training makes itself a picture; as many as do for it
FEW_FACES = ["--trainer.callbacks+=callbacks.familiarity.KnowTraining", "--trainer.callbacks.faces", "32"]


def small_fit(prepared: Path, run: Path, *options: str) -> list[str]:
    """Arguments of a training that takes seconds."""
    arguments = ["fit", "--config", str(ROOT / "configs/classifier.yaml"), "--data.prepared", str(prepared)]
    arguments += [
        *FEW_CLIPS,
        "--model.backbone",
        "test_efficientnet",
        "--trainer.accelerator",
        "cpu",
        "--run",
        str(run),
    ]
    return [*arguments, *FEW_FACES, "--trainer.max_epochs", "2", *options]


def preparing(studio: Path, out: Path) -> list[str]:
    """Arguments that prepare as the fixtures do."""
    arguments = ["prepare", "--data", str(ROOT / "configs/data/studio.yaml"), "--data.root", str(studio)]
    arguments += ["--data.prepared", str(out), "--size", "64", "--frames", "8"]
    return [*arguments, "--workers", "2"]


@pytest.fixture(scope="session")
def two_processes(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that two real processes trained."""

    def train(out: Path) -> None:
        recorder = ["--trainer.callbacks+=tests.fixtures.recorder.Recorder"]
        recorder += ["--trainer.callbacks.path", str(out / "seen")]
        done = suite(*small_fit(prepared, out / "run", "--data.batch_size", "4", *recorder), ranks=2)
        assert done.returncode == 0, done.stderr[-2000:]

    return shared(tmp_path_factory, "two", train) / "run"


@pytest.fixture(scope="session")
def material(studio: Path) -> Material:
    return Material(studio)
