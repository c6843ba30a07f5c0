"""From a manifest to tracked faces and their crops; may be killed at any time and called again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.faces.crop import NoCrop
from datamodules.faces.provided import read_provided_track
from datamodules.faces.tracking.track import Track
from datamodules.manifest import Video
from datamodules.media.damage import Damage, find_damage, say_damage
from datamodules.media.image import encode
from datamodules.media.mask_video import damaged_masks, measure_cover, read_masks
from datamodules.media.probe import Index, VideoError, probe
from datamodules.media.source_files import sha256, size_of
from datamodules.prepared import contract as contracts
from datamodules.prepared.face_table import FACES, tabulate
from datamodules.prepared.pending import date_manifest, is_as_prepared, is_younger, list_pending
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.shards import write_tar
from datamodules.prepared.tables import CROPS, PLACE, describe_preparation, merge, part_name, save
from datamodules.runtime import process_pool, ray_cluster
from datamodules.runtime.atomic_files import name_failures, part_of
from datamodules.runtime.errors import CRASHED
from datamodules.runtime.stored_files import read_record
from datamodules.segments import NO_RATE, NoRate


def coverage(track: Track, masks: dict[int, NDArray[np.uint8]]) -> float:
    """Mean share of a track's boxes that the mask covers."""
    shares = [measure_cover(one.box, masks[one.frame]) for one in track if one.frame in masks]
    return float(np.mean(shares)) if shares else 0.0


def prepare_video(row: Video, root: Path, out: Path, recipe: Recipe) -> None:
    """Leaves a folder in ``parts`` that holds everything about one video, or the reason why it was skipped.

    Args:
        row: Nothing is left if its hash is given and that of its file.
    """
    cv2.setNumThreads(1)
    name = part_name(row.key)
    final, part = out / "parts" / name, out / "parts" / f".{name}"
    if final.exists():
        known = read_record(final / "row.json", Video)
        is_as_listed = replace(known, fps=row.fps, frames=row.frames, sha256=row.sha256) == row
        if is_as_listed and not is_younger(row, root, final / "row.json"):
            return
        shutil.rmtree(final)  # of a list that was mended, or a file that was replaced since then
    if is_as_prepared(row, root):
        return
    shutil.rmtree(part, ignore_errors=True)
    with name_failures(final):
        part.mkdir(parents=True)
        fill_part(part, row, root, out, recipe)
        part.replace(final)


def fill_part(part: Path, row: Video, root: Path, out: Path, recipe: Recipe) -> None:
    try:
        path = manifest.resolve_inside(root, row.path)
        index = probe(path)
        row = replace(row, fps=round(index.fps, 3), frames=len(index), sha256=sha256(path))
        write_part(part, row, index, root, out, recipe)
    except VideoError as error:
        # the video or its mask, whichever is at fault: it is tried again once that file has changed
        skip(part, row, root, row.mask if is_mask(error.path, row, root) else row.path, error.reason)
    except (manifest.Outside, NoCrop) as error:
        skip(part, row, root, row.path, str(error))
    except NoRate:
        skip(part, row, root, row.path, NO_RATE)
    (part / "row.json").write_text(json.dumps(asdict(row)))


def skip_crashed(row: Video, root: Path, out: Path, _: Recipe) -> None:
    """What is left of a video that ended the process which decoded it."""
    part = out / "parts" / f".{part_name(row.key)}"
    part.mkdir(parents=True, exist_ok=True)
    skip(part, row, root, row.path, CRASHED)
    (part / "row.json").write_text(json.dumps(asdict(row)))
    part.replace(out / "parts" / part_name(row.key))


def is_mask(path: Path, row: Video, root: Path) -> bool:
    try:
        return bool(row.mask) and path == manifest.resolve_inside(root, row.mask)
    except manifest.Outside:
        return False


def skip(part: Path, row: Video, root: Path, faulty: str, reason: str) -> None:
    content = {"video": row.key, "path": faulty, "reason": reason, "bytes": size_of(root / faulty)}
    listed = {"split": row.split, "listed": describe_preparation(row)}
    (part / "skipped.json").write_text(json.dumps(content | listed))


def write_part(
    part: Path,
    row: Video,
    index: Index,
    root: Path,
    out: Path,
    recipe: Recipe,
    damage: NDArray[np.bool_] | None = None,
) -> None:
    """
    Args:
        damage: (N,) whether each frame is damaged; looked for without it.
    """
    path = manifest.resolve_inside(root, row.path)
    watcher = recipe.decoder.watcher(index) if damage is None else None
    if damage is None:
        # most files have none: what is decoded for the faces tells, and only where it does all begins again
        damage = np.zeros(len(index), bool) if watcher else find_damage(path, index)
        if row.mask:
            damage |= damaged_masks(manifest.resolve_inside(root, row.mask), index)
    corrupt: list[int] = []
    if damage.any():
        report = Damage(video=row.key, path=row.path, damaged=int(damage.sum()), frames=len(damage))
        (part / "damaged.json").write_text(json.dumps(asdict(report)))
    if damage.all():
        raise VideoError(path, say_damage(damage))
    damaged = set(np.flatnonzero(damage).tolist())
    wanted = recipe.choose_frames(row, index.times) - damaged
    frames: dict[int, NDArray[np.uint8]] = {}
    times: dict[int, float] = {}
    sizes: set[tuple[int, ...]] = set()

    def decode_frames() -> Iterator[NDArray[np.uint8]]:
        every = range(len(index))
        for number, frame in enumerate(
            watcher.decode(path, index, every, corrupt) if watcher else recipe.decoder.frames(path, index, every)
        ):
            pixels = frame.cpu().numpy()
            sizes.add(pixels.shape[1::-1])
            if len(sizes) > 1:
                raise VideoError(path, "has frames of " + " and of ".join(f"{w} x {h}" for w, h in sorted(sizes)))
            times[number] = float(index.times[number])
            if number in wanted:
                frames[number] = pixels.copy()
            yield pixels

    if row.box:
        files = manifest.resolve_inside(root, row.landmarks) if row.landmarks else None
        numbers = index.times.astype(int).tolist() if files else range(row.frames)
        tracks = [
            read_provided_track(decode_frames(), numbers, row.box, recipe.margin, recipe.tracker.landmarks, files)
        ]
        tracks[0].drop(damaged)
    else:
        tracks = recipe.tracker.track(decode_frames(), damaged)
    if corrupt:
        write_part(part, row, index, root, out, recipe, damage | find_damage(path, index))
        return
    of_damage = f" ({say_damage(damage)})" if damaged else ""
    if not tracks:
        raise VideoError(path, f"no face found{of_damage}")
    masks: dict[int, NDArray[np.uint8]] = {}
    if row.mask and wanted:
        size = frames[min(wanted)].shape[:2]
        masked = manifest.resolve_inside(root, row.mask)
        mask_frames = read_masks(recipe.decoder, masked, index, sorted(wanted), size, threshold=recipe.mask_threshold)
        masks = {n: mask for n, mask in zip(sorted(wanted), mask_frames, strict=True) if mask is not None}
        tracks.sort(key=lambda track: -coverage(track, masks))  # stable: equal ones stay in order of size
    nan = float("nan")
    face_tables = [tabulate(row.key, track, times, coverage(track, masks) if masks else nan) for track in tracks]
    save(part / "faces.arrow", FACES, face_tables)

    images: list[tuple[str, bytes]] = []
    rows: list[dict[str, Any]] = []
    crop_error: NoCrop | None = None
    for track in tracks[: recipe.tracks]:
        for sighting in track:
            if (number := sighting.frame) not in frames:
                continue
            try:
                region = recipe.cropper.region(sighting.box, sighting.face.points)
                crop = region.cut(frames[number], recipe.size)
            except NoCrop as error:  # costs this frame alone
                crop_error = error
                continue
            image = f"{row.folder}/{track.id}_{number:06d}.{recipe.format}"
            images.append((image, encode(crop, recipe.format)))
            mask = ""
            if number in masks:
                mask = f"{row.folder}/{track.id}_{number:06d}.mask.png"
                images.append((mask, encode(region.cut_mask(masks[number], recipe.size), "png")))
            source = {"video": row.key, "track": track.id, "frame": number, "time": times[number]}
            place = {name: getattr(region, name) for name in PLACE}
            rows.append({**source, **place, "landmarks": sighting.face.points.ravel(), "image": image, "mask": mask})
    if not rows and crop_error is not None:
        raise crop_error
    if not rows:
        raise VideoError(path, f"no face in the {len(wanted)} frames that are cropped{of_damage}")
    store(part, out, recipe, row.folder, images, rows)
    save(part / "crops.arrow", CROPS, [pa.Table.from_pylist(rows, CROPS)])


def store(
    part: Path, out: Path, recipe: Recipe, name: str, images: list[tuple[str, bytes]], rows: list[dict[str, Any]]
) -> None:
    """Writes the images of one video and says in its rows where their bytes are."""
    checksums_of = {image: crc32(content) for image, content in images}
    for row in rows:
        row |= {f"{kind}_crc": checksums_of.get(row[kind], 0) for kind in ("image", "mask")}
    if recipe.store == "shards":
        # webdataset takes what is before the first dot for the sample
        places = write_tar(part / "crops.tar", images)
        for row in rows:
            for kind in ("image", "mask"):
                place = places.get(row[kind])
                row[f"{kind}_offset"], row[f"{kind}_length"] = (place.offset, place.length) if place else (0, 0)
        return
    folder, temporary = out / "crops" / name, unfinished_crops(out, name)
    for leftover in (folder, temporary):  # of a run that was killed between the images and the table
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    for image, content in images:
        (temporary / Path(image).name).write_bytes(content)
    temporary.replace(folder)
    sizes = {image: len(content) for image, content in images}
    for row in rows:
        for kind in ("image", "mask"):
            row[f"{kind}_offset"], row[f"{kind}_length"] = 0, sizes.get(row[kind], 0)
            row[kind] = f"crops/{row[kind]}" if row[kind] else ""


def unfinished_crops(out: Path, name: str) -> Path:
    return part_of(out / "crops" / name)


def remove_unfinished(out: Path, rows: Iterable[Video] = ()) -> None:
    """
    Args:
        rows: Whose crops are removed, too; a look at each of a million takes seconds.
    """
    crops = (folder for row in rows if (folder := unfinished_crops(out, row.folder)).exists())
    for folder in (*(out / "parts").glob(".*"), *crops):
        shutil.rmtree(folder, ignore_errors=True)


def prepare_all(
    rows: list[Video], root: Path, out: Path, recipe: Recipe, workers: int, address: str | None = None
) -> Iterator[tuple[int, int]]:
    """Prepares what is not prepared yet, yielding (done, all); the tables are complete when it ends.

    Args:
        address: Address of a Ray cluster; processes of this machine if unset.
    """
    contracts.check_contract(recipe.contract(), "prepare")
    manifest.check(rows, root)
    if without := [row for row in rows if not row.landmarks]:
        recipe.cropper.check_landmarks(recipe.tracker.landmarks, f", which {without[0].path} does not bring")
    contracts.begin(out, recipe.contract())
    remove_unfinished(out)  # of a run that was killed; store removes the crops
    begun = time.time()
    todo = list_pending(out, rows, root)
    total = len({row.key for row in (*rows, *todo)})
    done = total - len(todo)
    yield done, total
    jobs = ((prepare_video, (row, root.resolve(), out.resolve(), recipe)) for row in todo)
    try:
        with closing(
            process_pool.run(jobs, workers, skip_crashed)
            if address is None
            else ray_cluster.run(jobs, address, workers)
        ) as finished:
            for _ in finished:
                done += 1
                yield done, total
    except BaseException:
        remove_unfinished(out, todo)  # a full disk is not filled further
        raise
    if any((out / "parts").glob("*")):
        os.sync()  # no table lists a crop whose bytes a loss of power would cost
        merge(out, [row.key for row in rows])
    if todo:
        date_manifest(out, begun)
