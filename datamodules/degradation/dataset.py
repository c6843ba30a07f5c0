"""The test split of a data set through a degradation: a folder that is a data set of its own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from datamodules import manifest
from datamodules.datasets.table import NAME, NEEDED, OPTIONAL
from datamodules.degradation.apply import degrade, degrade_masks, map_segments
from datamodules.degradation.operations import FrameDrop
from datamodules.degradation.severities import Kind, stages
from datamodules.manifest import Video
from datamodules.media.damage import find_damage, say_damage
from datamodules.media.mask_video import damaged_masks
from datamodules.media.source_files import sha256
from datamodules.media.video import Decoder, VideoError, probe
from datamodules.runtime import process_pool
from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.own_folder import check_own
from datamodules.runtime.stored_files import read_json, show
from datamodules.segments import NoRate

ABOUT, LOST = "degradation.json", "lost.json"


def read_lost(path: Path) -> dict[str, str]:
    """Why there is nothing of a video, by its key."""
    lost = read_json(path, dict)
    if wrong := [key for key, reason in lost.items() if key.count("/") < 3 or not isinstance(reason, str)]:
        raise UserError(f"{path}: {show(wrong[0])}: must be the key of a video, with a reason")
    return lost


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """What was done to the videos of a folder, and whose they are.

    Args:
        root: Folder of the videos as they were.
        steps: What each severity is made of, in words.
    """

    kind: str
    severity: int
    root: str
    steps: list[str]

    def __str__(self) -> str:
        return f"{self.kind} {self.severity}"


def read_degradation(folder: Path) -> Degradation | None:
    """None of a folder whose videos are as they were."""
    stamp = folder / ABOUT
    if not stamp.is_file():
        return None
    about = read_json(stamp, dict)
    if not (isinstance(about.get("kind"), str) and type(about.get("severity")) is int):
        raise UserError(f"{stamp}: must have a kind and a severity")
    try:
        return Degradation(**about)
    except TypeError as error:
        raise UserError(f"{stamp}: is not as 'degrade' writes it ({error})") from error


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """What came of a video."""

    row: Video
    reason: str = ""  # why there is none


def refuse_damage(source: Path, masks: Path | None) -> None:
    """Coded anew, damaged frames would pass for whole ones."""
    index = probe(source)
    if (damage := find_damage(source, index)).any():
        raise VideoError(source, say_damage(damage))
    if masks is not None and (damage := damaged_masks(masks, index)).any():
        raise VideoError(masks, f"the masks of {say_damage(damage)}")


def describe_sources(row: Video, source: Path, masks: Path | None) -> str:
    """As JSON, the files that an output is made from: another path or content makes another output."""
    found = {"path": row.path, "sha256": sha256(source)}
    if masks is not None:
        found |= {"mask": row.mask, "mask_sha256": sha256(masks), "mask_levels": "as stored"}
    return json.dumps(found, indent=1) + "\n"


def discard_other(sources: str, record: Path, video: Path, mask: Path) -> None:
    """Removes what was made from other files, or from unknown ones, and records those of now."""
    if record.is_file() and record.read_bytes() == sources.encode():
        return
    for path in (record, video, mask):  # the record first: killed in between, what is left is of unknown files
        path.unlink(missing_ok=True)
    write_text(record, sources)


def degrade_video(row: Video, root: Path, out: Path, kind: Kind, severity: int, decoder: Decoder) -> Degraded:
    """Leaves what was written before of the same files: the same video comes out the same."""
    steps = stages(kind, severity)
    video, mask = out / "videos" / f"{row.folder}.mp4", out / "masks" / f"{row.folder}.mp4"
    new = replace(row, path=video.relative_to(out).as_posix(), mask="")
    if row.box:
        return Degraded(row=new, reason="its owners mark the face, which would lie elsewhere")
    try:
        source = manifest.resolve_inside(root, row.path)
        masks = manifest.resolve_inside(root, row.mask) if row.mask else None
        refuse_damage(source, masks)
        if row.fake_segments and any(isinstance(step, FrameDrop) for step in steps):
            new = replace(new, fake_segments=map_segments(row.fake_segments, source, row.key, steps))
        discard_other(describe_sources(row, source, masks), out / "sources" / f"{row.folder}.json", video, mask)
        has_mask = masks is not None and (mask.exists() or degrade_masks(masks, source, mask, row.key, steps, decoder))
        if not video.exists():  # last: where it is, the mask is too
            degrade(source, video, row.key, steps, decoder)
    except (VideoError, manifest.Outside, NoRate) as error:
        return Degraded(row=new, reason=str(error))
    return Degraded(row=replace(new, mask=mask.relative_to(out).as_posix()) if has_mask else new)


def degrade_all(
    rows: Sequence[Video], root: Path, out: Path, kind: Kind, severity: int, decoder: Decoder, workers: int
) -> Iterator[tuple[int, int]]:
    """Degrades what is not degraded yet, yielding (done, all); the list of the folder is there when it ends."""
    steps = [repr(step) for step in stages(kind, severity)]
    about = Degradation(kind=kind, severity=severity, root=str(root.resolve()), steps=steps)
    stamp = out / ABOUT
    check_own(out, ABOUT, "degrade")
    if read_degradation(out) not in (None, about):
        raise UserError(f"{out}: holds another degradation, or one of other videos; see {stamp}")
    write_text(stamp, json.dumps(asdict(about), indent=1) + "\n")
    jobs: list[process_pool.Job] = [
        (degrade_video, (row, root.resolve(), out.resolve(), kind, severity, decoder)) for row in rows
    ]
    done: list[Degraded] = []
    yield 0, len(rows)
    for one in process_pool.run(jobs, workers):
        done.append(one)
        yield len(done), len(rows)
    done.sort(key=lambda one: one.row.key)
    with write_atomically(out / NAME) as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, [*NEEDED, *OPTIONAL], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(
            {name: getattr(one.row, name) for name in (*NEEDED, *OPTIONAL)} for one in done if not one.reason
        )
    write_text(out / LOST, json.dumps({one.row.key: one.reason for one in done if one.reason}, indent=1) + "\n")
