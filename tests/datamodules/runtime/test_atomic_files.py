"""Files that appear whole or not at all, and errors that name them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from datamodules.media.encode import write_h264
from datamodules.prepared import tables
from datamodules.prepared.shards import write_tar
from datamodules.runtime.atomic_files import fill_folder, name_failures, write_atomically, write_text
from datamodules.runtime.errors import UserError
from lightning_modules.training.checkpoint_io import SafeCheckpointIO

NOISE = np.random.default_rng(0).integers(0, 256, (3_000_000,), np.uint8)
TABLE = pa.table({"noise": NOISE})


def save_weights(path: Path) -> None:
    with write_atomically(path) as part:
        save_file({"noise": torch.from_numpy(NOISE)}, part)


def save_parquet(path: Path) -> None:
    with write_atomically(path) as part:
        pq.write_table(TABLE, part)


def save_checkpoint(path: Path) -> None:
    SafeCheckpointIO().save_checkpoint({"state_dict": {"noise": torch.from_numpy(NOISE)}}, path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "n" * len(NOISE)),
    "checkpoint": save_checkpoint,
    "weights": save_weights,
    "parquet": save_parquet,
    "arrow": lambda path: tables.save(path, TABLE.schema, [TABLE]),
    "tar": lambda path: write_tar(path, [("noise", NOISE.tobytes())]),
    "video": lambda path: write_h264(path, NOISE.reshape(15, 400, 500), 25, 1),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_a_full_disk_does_not_take_is_named_and_the_one_before_stays(name: str, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1_500_000))
    path = small_disk / "file"
    path.write_text("before")
    with pytest.raises(UserError) as refused:
        WRITERS[name](path)
    assert str(refused.value).startswith(f"{path}: not written (No space left on device")
    assert str(refused.value).endswith("; what was there before is untouched")
    assert path.read_text() == "before"
    assert sorted(found.name for found in small_disk.iterdir()) == ["ballast", "file"]


def test_a_full_device_is_named_too() -> None:
    full = Path("/dev/full")
    with pytest.raises(UserError, match=r"^/dev/full: not written \(No space left on device\)$"), name_failures(full):
        full.write_text("a")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "file"):
        (tmp_path / "absent").read_bytes()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_filled_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with fill_folder(folder, "index") as part:
        write_text(part / "index", "old")
        write_text(part / "model", "old")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(ZeroDivisionError), fill_folder(folder, "index") as part:  # noqa: PT012
        write_text(part / "model", "new")
        1 / 0  # noqa: B018
    assert {path.name: path.read_text() for path in folder.iterdir()} == before == {"index": "old", "model": "old"}
    with pytest.raises(ZeroDivisionError), fill_folder(tmp_path / "never", "index"):
        1 / 0  # noqa: B018
    assert not (tmp_path / "never").exists()


def test_bytes_reach_the_disk_before_their_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, list[str]]] = []

    def record(opened: int) -> None:
        name = Path(f"/proc/self/fd/{opened}").readlink().name
        synced.append((name, sorted(path.name for path in tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", record)
    write_text(tmp_path / "file", "text")
    assert synced == [(".file.part", [".file.part"]), (tmp_path.name, ["file"])]
