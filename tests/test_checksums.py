"""Files of which a byte has changed are refused by name: tables, crops, checkpoints, exported folders."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from datamodules.datasets.deepfakebench_export import write as deepfakebench
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.prepared import checksums
from datamodules.prepared.doctor import check_crops, check_tables
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import UserError
from lightning_modules.metrics.operating import KEPT
from lightning_modules.trained_method import load
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from lightning_modules.weights import digest, read
from suite.benchmark.comparisons import clusters
from suite.benchmark.plan import SweepJob
from suite.benchmark.subgroups import measure_groups
from suite.doctor import check_prepared
from suite.run_metrics import read_run
from tests.fixtures.detecting import small
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.runs import write_run

__all__ = ["small"]  # fixtures


def flip(path: Path, at: float = 0.5, bit: int = 3) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    path.unlink()  # the other name of the file stays as it was
    path.write_bytes(content)


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "copy", copy_function=os.link))


def draw(prepared: Path) -> None:
    data = FaceData(prepared=prepared, num_workers=0)
    data.setup("fit")
    next(iter(data.train_dataloader()))


@pytest.mark.parametrize("name", checksums.TABLES)
def test_a_table_of_which_one_bit_has_changed_is_refused_by_name(name: str, copy: Path) -> None:
    if name != "faces.arrow":  # which only reading videos needs
        draw(copy)
    flip(copy / name)
    with pytest.raises(UserError, match=rf"{name}: is damaged \(its checksum"):
        checksums.check(copy, name)
    if name != "faces.arrow":
        with pytest.raises(UserError, match=rf"{name}: is damaged"):
            draw(copy)
    assert [one.path for one in check_tables(copy)] == [name]


def test_a_damaged_manifest_is_refused_by_all_that_read_it_alone(copy: Path, tmp_path: Path) -> None:
    flip(copy / "manifest.csv")
    attributes = tmp_path / "attributes.csv"
    attributes.write_text("identity,hair\n000,dark\n")
    job = SweepJob(method="m", train="t", seed=0)
    readers: list[Callable[[], object]] = [
        lambda: clusters(copy),
        lambda: list(measure_groups(job, "d", read_run(write_run(tmp_path / "run")), copy, attributes)),
        lambda: list(deepfakebench(copy, tmp_path / "tree")),
    ]
    for read_it in readers:
        with pytest.raises(UserError, match=r"manifest\.csv: is damaged \(its checksum"):
            read_it()


def test_what_is_built_on_a_damaged_table_would_hide_it(studio: Path, copy: Path, recipe: Recipe) -> None:
    row = next(row for row in index(studio) if row.compression == "c23")
    flip(copy / "faces.arrow", 0.3)
    with pytest.raises(UserError, match=r"faces\.arrow: is damaged"):
        prepare_here([replace(row, stem="again")], studio, copy, recipe)


def test_a_folder_without_checksums_is_refused(copy: Path) -> None:
    (copy / checksums.FILE).unlink()
    with pytest.raises(UserError, match=r"digests\.json has no checksum of it, as of an older version"):
        draw(copy)


def test_a_table_that_was_being_replaced_when_it_was_killed_is_accepted_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "faces.arrow"
    contents = [b"one", b"two"]
    for content in contents:
        with checksums.replace_recorded(path) as part:
            part.write_bytes(content)
    for content in contents:
        path.write_bytes(content)
        checksums.check(tmp_path, path.name)
    checksums.settle(tmp_path)
    checksums.check(tmp_path, path.name)
    path.write_bytes(contents[0])
    with pytest.raises(UserError, match="is damaged"):
        checksums.check(tmp_path, path.name)


def test_a_crop_of_which_one_bit_has_changed_is_an_error_whatever_its_format(
    studio: Path, recipe: Recipe, tmp_path: Path
) -> None:
    rows = [row for row in index(studio) if row.compression == "c23" and row.split == "test"][:2]
    prepare_here(rows, studio, tmp_path, replace(recipe, format="webp", frames=2))
    data = FaceData(prepared=tmp_path, num_workers=0)
    list(data.test_dataloader())
    assert check_crops(tmp_path, 0) == []
    victim = sorted(tmp_path.rglob("*.webp"))[1]
    flip(victim)
    with pytest.raises(UserError, match=rf"{victim.name}: cannot be read \(its checksum"):
        list(data.test_dataloader())
    [found] = check_prepared(tmp_path, workers=1)
    assert (found.kind, found.path) == ("prepared", victim.relative_to(tmp_path).as_posix())


def test_checkpoints_with_twenty_flipped_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = {"state_dict": {f"w{i}": torch.randn(2000) for i in range(20)}, "global_step": 7, "epoch": 0}
    SafeCheckpointIO().save_checkpoint(state, path)
    whole = path.read_bytes()
    assert SafeCheckpointIO().load_checkpoint(path)["global_step"] == 7
    loaded = 0
    for seed in range(10):
        content, draws = bytearray(whole), random.Random(seed)
        for _ in range(20):
            content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
        path.write_bytes(content)
        try:
            torch.load(path, weights_only=True)
            loaded += 1
        except Exception:
            pass
        for load_it in (SafeCheckpointIO().load_checkpoint, read):
            with pytest.raises(UserError, match=r"last\.ckpt: (is damaged|holds more than)"):
                load_it(path)
    assert loaded > 5  # torch alone does not notice


def test_an_exported_folder_is_refused_where_its_weights_are_others(small: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "hub"))
    load(folder)
    flip(folder / "model.safetensors", 0.9)
    with pytest.raises(UserError, match=r"model\.safetensors: is damaged or of another method: its digest is"):
        load(folder)
    whole = (small / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model\.safetensors: is damaged"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("video_threshold", -0.1, "must be between 0 and 1"),
        ("pixel_threshold", 1.5, "must be between 0 and 1"),
        ("video_slope", np.nan, "must both be known"),
        ("video_bias", np.inf, "must be finite"),
        ("video_slope", np.inf, "must be finite"),
        ("video_slope", -2.0, "must be above 0"),
        ("video_counts", [3.0, 40.0], "whose scores are sorted and between 0 and 1"),
        ("video_counts", [40.5, 40.0], "must be a whole number"),
        ("video_scores", [[0.9] * 39 + [0.8] + [np.nan] * (KEPT - 40)] * 2, "whose scores are sorted"),
        ("video_scores", [[0.9] * 39 + [1.1] + [np.nan] * (KEPT - 40)] * 2, "whose scores are sorted"),
    ],
)
def test_thresholds_and_calibrations_that_are_none_give_no_verdict(
    name: str, value: Any, rule: str, small: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "hub"))
    state = load_file(small / "model.safetensors")
    state[name] = torch.tensor(value)
    save_file(state, folder / "model.safetensors")
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"weights": digest(state)}))
    SafeCheckpointIO().save_checkpoint({"state_dict": state, "epoch": 0, "global_step": 0}, tmp_path / "last.ckpt")
    tries: list[Callable[[], object]] = [
        lambda: load(folder),
        lambda: SafeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt"),
    ]
    for attempt in tries:
        with pytest.raises(UserError, match=f"{name} .*{rule}"):
            attempt()
