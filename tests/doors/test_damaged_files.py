"""What is read back and is damaged, or another kind of thing, costs one line that names it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from datamodules.annotation.request import read_request
from datamodules.degradation.dataset import degrade_all
from datamodules.loading.prepared_set import PreparedSet
from datamodules.media.damage import read_damage
from datamodules.media.image_sequence import outlines, read_archive
from datamodules.media.probe import probe
from datamodules.media.video import PyAV
from datamodules.prepared import checksums, tables
from datamodules.prepared import contract as contracts
from datamodules.prepared.face_index import FaceIndex
from datamodules.runtime.errors import UserError
from datamodules.studio.build import Plan, begin
from lightning_modules.trained_method import load
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from lightning_modules.training.csv_logger import rewind
from suite.annotate.command import import_masks, pull
from suite.benchmark import wandb_report
from suite.benchmark.attributes import read_attributes
from suite.benchmark.coverage import list_unscored
from suite.benchmark.runner import Command
from suite.convert import tensors
from suite.run_metrics import read_run
from tests.fixtures.stored_things import write_all


class AnyCall:
    """Stands for the library of reports, whose objects say nothing of the files."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: SimpleNamespace()


def read_faces(prepared: Path) -> None:
    for name in ("crops", "faces"):
        known = FaceIndex(prepared, name, PreparedSet(prepared=prepared).manifest, [], 1)
        for i in range(len(known)):
            known.face(i)


def read_images(path: Path) -> None:
    read_archive.cache_clear()
    outlines.cache_clear()
    inside = Path(f"{path}::{'1' if path.suffix == '.json' else 'one'}")
    images = PyAV().read(inside, list(range(len(index := probe(inside)))), index)
    assert images.shape[-1] == 3


def pull_masks(run: Path) -> None:
    pull(run, "http://127.0.0.1:9", None)


def degrade_again(out: Path) -> None:
    list(degrade_all([], out, out, "blur", 1, PyAV(), 1))


class Kind(NamedTuple):
    file: str
    read: Callable[[Path], object]
    home: str  # what is copied for a case
    refuses_cuts: bool = True  # whether a shorter file cannot be a whole one
    accepts: tuple[str, ...] = ()  # damages that leave what such a file may hold


def unscored(root: Path) -> None:
    run: Any = SimpleNamespace(table={"video": np.array(["d/real/c23/v1"])}, about={})
    list_unscored(run, root / "prepared")


def of_sweep(sweep: Path) -> None:
    wandb_report.blocks(AnyCall(), sweep, "p", "")


def seconds(folder: Path) -> None:
    Command("fit", folder, [], {}, [], folder).seconds()


KINDS: dict[str, Kind] = {
    "checkpoint": Kind("run/checkpoints/best.ckpt", lambda p: load(p.parents[1]), "run"),
    "checkpoint to resume": Kind(
        "run/checkpoints/best.ckpt", lambda p: SafeCheckpointIO().load_checkpoint(p), "run/checkpoints"
    ),
    "config of a run": Kind("run/config.yaml", lambda p: load(p.parent), "run"),
    "config of a hub folder": Kind("hub/config.json", lambda p: load(p.parent), "hub"),
    "weights": Kind("hub/model.safetensors", lambda p: load(p.parent), "hub"),
    "familiarity": Kind("hub/familiarity.safetensors", lambda p: load(p.parent), "hub"),
    "contract": Kind("prepared/contract.json", lambda p: contracts.load(p.parent), "prepared"),
    "digests": Kind("prepared/digests.json", lambda p: checksums.check(p.parent, "manifest.csv"), "prepared"),
    "manifest": Kind("prepared/manifest.csv", lambda p: PreparedSet(prepared=p.parent).manifest, "prepared"),
    "crops": Kind("prepared/crops.arrow", lambda p: read_faces(p.parent), "prepared"),
    "faces": Kind("prepared/faces.arrow", lambda p: read_faces(p.parent), "prepared"),
    "tracks": Kind("prepared/tracks.arrow", lambda p: read_faces(p.parent), "prepared"),
    "skipped": Kind("prepared/skipped.csv", lambda p: tables.read_skipped(p.parent), "prepared", False),
    "damaged": Kind("prepared/damaged.csv", lambda p: read_damage(p.parent), "prepared", False),
    "part of a preparation": Kind("prepared/parts/a/row.json", lambda p: tables.merge(p.parents[2], []), "prepared"),
    "skipped part": Kind("prepared/parts/a/skipped.json", lambda p: tables.merge(p.parents[2], []), "prepared"),
    "damaged part": Kind("prepared/parts/a/damaged.json", lambda p: tables.merge(p.parents[2], []), "prepared"),
    "lost": Kind("lost.json", lambda p: unscored(p.parent), ""),
    "predictions": Kind("run/predictions.parquet", lambda p: read_run(p.parent), "run"),
    "history": Kind("run/metrics.csv", lambda p: read_run(p.parent), "run", False),
    "history to go on with": Kind("run/metrics.csv", lambda p: rewind(p, 3), "run", False),
    "config of a test": Kind("run/config.yaml", lambda p: read_run(p.parent), "run", False),
    "request": Kind("run/request.csv", lambda p: read_request(p.parent), "run", False),
    "facts of a request": Kind("run/request.json", lambda p: read_request(p.parent), "run", True, ("an object",)),
    "export of Label Studio": Kind("run/export.json", lambda p: import_masks(p, p.parent), "run"),
    "project of Label Studio": Kind("run/annotate.json", lambda p: pull_masks(p.parent), "run"),
    "results": Kind("sweep/results.json", lambda p: of_sweep(p.parent), "sweep"),
    "claims": Kind("sweep/claims.json", lambda p: of_sweep(p.parent), "sweep"),
    "sweep": Kind("sweep/sweep.yaml", lambda p: of_sweep(p.parent), "sweep"),
    "end of a command": Kind("sweep/done.json", lambda p: seconds(p.parent), "sweep"),
    "degradation": Kind("sweep/degradation.json", lambda p: degrade_again(p.parent), "sweep"),
    "attributes": Kind("sweep/attributes.csv", lambda p: read_attributes(p), "sweep", False),
    "archive": Kind("images/frames.tar", lambda p: read_images(p), "images", False),
    "outlines": Kind("images/faces.json", lambda p: read_images(p), "images"),
    "studio": Kind(
        "studio/studio.json", lambda p: begin(p.parent, Plan(size="tiny", seed=0, difficulty=0.3)), "studio"
    ),
    "official checkpoint": Kind("official.pth", lambda p: tensors(p), ""),
}
RECORDED = ("contract.json", "manifest.csv", "crops.arrow", "faces.arrow", "tracks.arrow")
ODD: list[Any] = [None, "x", -1, [], {"a": [1]}, float("inf")]


def whole_damages(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Nothing that could pass for the file."""
    noise = np.random.default_rng(0).integers(0, 256, 300, np.uint8).tobytes()
    yield "empty", b""
    yield "noise", noise
    yield "not UTF-8", b"\xff\xfe\xfa" + content[:40]
    yield "prose", b"This file is not what it should be.\n"
    yield "brackets", b"[" * 5_000
    yield "zeros", bytes(len(content))
    yield "a list", b"[1, 2]"
    yield "an object", b'{"a": 1}'
    yield "null", b"null"


def cuts(content: bytes) -> Iterator[tuple[str, bytes]]:
    for share in (0.1, 0.5, 0.9):
        yield f"cut at {share}", content[: int(share * len(content))]
    yield "last bytes gone", content[:-9]


def flips(content: bytes) -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(zlib.crc32(content[:64]))
    for i, at in enumerate([0, len(content) - 1, *rng.integers(0, len(content), 6).tolist()]):
        changed = bytearray(content)
        changed[at] ^= 1 << int(rng.integers(8))
        yield f"bit {i} flipped", bytes(changed)


def odd_values(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """One value of another type, at each place of the two upper levels."""
    if not name.endswith((".json", ".yaml")):
        return
    dump: Callable[[Any], str] = json.dumps if name.endswith(".json") else yaml.safe_dump
    read: Callable[[str], Any] = json.loads if name.endswith(".json") else yaml.safe_load
    whole = read(content.decode())
    turns = itertools.count()
    top = list(whole) if isinstance(whole, dict) else range(len(whole))
    for key in top:
        inner = whole[key]
        below = list(inner) if isinstance(inner, dict) else range(min(1, len(inner))) if isinstance(inner, list) else []
        for place in [None, *below]:
            # of many places each gets one odd value, by turns
            turn = next(turns)
            for value in ODD if len(top) + len(below) < 6 else [ODD[turn % len(ODD)]]:
                changed = read(content.decode())
                if place is None:
                    changed[key] = value
                else:
                    changed[key][place] = value
                yield f"{key}{'' if place is None else f'.{place}'} is {value!r}", dump(changed).encode()


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("things") / "all")


def check_case(kind: Kind, things: Path, case: Path, content: bytes, recorded: bool) -> str:
    """How it ended: refused, passed, or what is wrong."""
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(things / kind.home, case / kind.home, copy_function=os.link)
    path = case / kind.file
    path.unlink()  # and not written to: the others still have it
    path.write_bytes(content)
    if recorded:  # as somebody would who wants it to be read
        checksums.write(path.parent, checksums.read(path.parent) | {path.name: [checksums.digest(path)]})
    try:
        kind.read(path)
    except (UserError, OSError) as error:
        said = str(error)
        if path.name not in said:
            return f"does not name it: {said[:150]!r}"
        return "refused" if "\n" not in said and len(said) < 500 else f"not one short line: {said[:200]!r}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {str(error)[:100]!r}"
    return "passed"


@pytest.mark.parametrize("name", KINDS)
def test_damage_costs_one_line(name: str, things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", "token")
    kind = KINDS[name]
    content = (things / kind.file).read_bytes()
    wrong = []
    certain = [*whole_damages(content), *(cuts(content) if kind.refuses_cuts else [])]
    others = [*([] if kind.refuses_cuts else cuts(content)), *flips(content), *odd_values(kind.file, content)]
    for recorded in (False, True) if Path(kind.file).name in RECORDED else (False,):
        for damage, changed in certain + others:
            result = check_case(kind, things, tmp_path / "case", changed, recorded)
            is_text = recorded and kind.file.endswith(".csv")  # it may be cut at the end of a line
            must_refuse = (
                kind.refuses_cuts and (damage, changed) in certain and damage not in kind.accepts and not is_text
            )
            if result not in ("refused", "passed") or (must_refuse and result == "passed"):
                wrong.append(f"{damage}{', recorded' if recorded else ''}: {result}")
    assert not wrong, "\n".join(wrong)
