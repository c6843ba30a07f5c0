"""What is wrong with a copy of a data set, before any training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules import manifest
from datamodules.faces.detection.base import SMALLEST, Found, search_frame
from datamodules.faces.detection.hog import HOG
from datamodules.issues import LACKING, WRONG, Finding, Kind
from datamodules.manifest import MEMBER, SPLITS, Video
from datamodules.media.damage import find_damage, read_damage, say_damage
from datamodules.media.image import HALF, binarize
from datamodules.media.mask_video import damaged_masks, measure_cover, read_levels, stream_masks
from datamodules.media.probe import Index
from datamodules.media.source_files import sha256
from datamodules.media.video import Decoder, VideoError, probe
from datamodules.prepared.tables import read_skipped
from datamodules.runtime.errors import CRASHED
from datamodules.spacing import space_evenly

LOOKS = 5  # frames of a video in which faces are searched for
COVERED = 0.05  # share of a face from which a mask touches it
GREY, DARK = 16, 48  # levels that colours may differ by, and those of black
BLACK_AND_WHITE = 0.95  # share of the pixels of a mask


def check_listing(rows: Sequence[Video], root: Path, prepared: Path) -> Iterator[Finding]:
    """What can be said in seconds: nothing is decoded."""
    yield from manifest.faults(manifest.table(rows))
    by_size: dict[int, dict[str, Video]] = defaultdict(dict)
    faces: dict[tuple[str, str], Video] = {}
    for row in rows:
        if mixed := say_mixed(faces.setdefault((row.path, row.box), row), row):
            yield Finding("duplicate", row.path, f"is listed twice: {mixed}")
        path = find_file(root, row.path)
        if not path.exists():
            yield Finding("missing", row.path, "is not here")
        elif not path.is_dir() and not path.stat().st_size:
            yield Finding("corrupt", row.path, "is empty")
        elif not path.is_dir() and path == root / row.path:
            by_size[path.stat().st_size][row.path] = row
        if row.mask and not find_file(root, row.mask).exists():
            yield Finding("mask", row.mask, f"is not here, the mask of {row.path}")
    for same_size in by_size.values():
        if len(same_size) > 1:
            yield from same_content(list(same_size.values()), root)
    if prepared.is_dir():
        wanted = {row.key for row in rows}
        for skipped in read_skipped(prepared):
            if skipped.video in wanted:
                no_face = skipped.reason.startswith("no face")
                yield Finding("no face" if no_face else "corrupt", skipped.path, f"prepare: {skipped.reason}")


def find_file(root: Path, path: str) -> Path:
    """What lies on the disk: an archive for its member, or a file, whatever its name."""
    return whole if (whole := root / path).exists() else root / path.partition(MEMBER)[0]


def check_preparation(rows: Sequence[Video], prepared: Path) -> Iterator[Finding]:
    """Damage that 'prepare' met, of video and mask together; decoding tells them apart."""
    if prepared.is_dir():
        used = {row.key for row in rows} - {skipped.video for skipped in read_skipped(prepared)}
        for one in read_damage(prepared):
            if one.video in used:
                yield Finding("damaged", one.path, str(one))


def say_mixed(one: Video, other: Video) -> str:
    """What the same content must not be in two rows."""
    mixed = [f"in {one.split} and in {other.split}"] if one.split != other.split else []
    return ", ".join(mixed + (["as real and as fake"] if one.label != other.label else []))


def same_content(rows: Sequence[Video], root: Path) -> Iterator[Finding]:
    by_hash: dict[str, Video] = {}
    for row in rows:
        other = by_hash.setdefault(sha256(root / row.path), row)
        if other is row:
            continue
        mixed = say_mixed(other, row)
        text = f"has the content of {other.path}" + (f": {mixed}" if mixed else "")
        yield Finding("duplicate" if mixed else "unexpected", row.path, text)


def check_decoded(row: Video, root: Path, decoder: Decoder, frames: int, threshold: int = HALF) -> list[Finding]:
    """What can be said of one video once all of it is decoded.

    Args:
        frames: A video with fewer is short.
        threshold: Grey level from which a mask is white.
    """
    cv2.setNumThreads(1)
    try:
        path = manifest.resolve_inside(root, row.path)
        index = probe(path)
        damage = find_damage(path, index)
        if damage.all():
            return [Finding("corrupt", row.path, say_damage(damage))]
        whole = np.flatnonzero(~damage)
        looked = set(whole[space_evenly(len(whole), LOOKS)].tolist())
        kept = {}
        for number, _, frame in decoder.stream(path):
            if number in looked:
                kept[number] = frame.cpu().numpy().copy()
    except VideoError as error:
        return [Finding("corrupt", row.path, error.reason)]
    except manifest.Outside as error:
        return [Finding("link", row.path, str(error))]
    found = [Finding("damaged", row.path, say_damage(damage))] if damage.any() else []
    if all(map(is_mask, kept.values())) and any(image.max() > 255 - DARK for image in kept.values()):
        text = f"is black and white alone, as a mask is, and listed as {('real', 'fake')[row.label]}"
        found.append(Finding("label", row.path, text))
    if len(index) < frames and index.has_rate:
        found.append(Finding("short", row.path, f"has {len(index)} frames, fewer than {frames}"))
    masks: list[NDArray[np.uint8] | None] = [None] * len(kept)
    if row.mask:
        try:
            mask_path = manifest.resolve_inside(root, row.mask)
            about = probe(mask_path)
            found += [Finding("mask", row.mask, text) for text in differ(index, about)]
            size = kept[min(kept)].shape[:2]
            damaged = damaged_masks(mask_path, index)
            if damaged.any():
                kind: Kind = "corrupt" if (damage | damaged).all() else "damaged"
                found.append(Finding(kind, row.mask, f"the masks of {say_damage(damaged)}"))
            levels = read_levels(decoder, mask_path, index, list(kept), size)
            masks = [None if image is None else binarize(image, threshold) for image in levels]
            found += dark_mask(row, mask_path, index, levels, decoder, threshold)
        except (VideoError, manifest.Outside) as error:
            found.append(Finding("mask", row.mask, str(error)))
    if not row.box:
        found += faces(row, list(kept.values()), masks)
    return found


def blame_decoder(row: Video, *_: object) -> list[Finding]:
    """What is said of a video that ended the process which decoded it."""
    return [Finding("corrupt", row.path, CRASHED)]


def is_mask(image: NDArray[np.uint8]) -> bool:
    """Grey, and of all its pixels but those at edges, which video coding blurs, each is black or white."""
    low, high = image.min(-1), image.max(-1)
    is_grey = bool((high - low <= GREY).all())
    return is_grey and float(((high < DARK) | (low > 255 - DARK)).mean()) > BLACK_AND_WHITE


def differ(index: Index, mask: Index) -> Iterator[str]:
    if len(mask) != len(index):
        yield f"has {len(mask)} frames, its video {len(index)}"
    if mask.has_rate and index.has_rate and abs(mask.fps - index.fps) > 0.01 * index.fps:
        yield f"has {mask.fps:.3f} frames a second, its video {index.fps:.3f}"
    if not mask.has_rate:
        numbers = np.arange(len(index)) if index.has_rate else index.times
        if len(others := np.setdiff1d(mask.times, numbers)):
            rule = "the number of an image is that of its frame, and videos count from 0"
            yield f"has masks of {len(others)} frames that its video has not, first {others[0]:.0f}: {rule}"


def dark_mask(
    row: Video,
    path: Path,
    index: Index,
    levels: Sequence[NDArray[np.uint8] | None],
    decoder: Decoder,
    threshold: int,
) -> Iterator[Finding]:
    """What a fake's mask would hide without a word: it is drawn, and nothing of it is white."""
    largest = max((int(image.max()) for image in levels if image is not None), default=0)
    if not row.label or not 0 < largest < threshold:
        return
    # coding leaves dark greys in a black frame, too, and others may be white
    if not any(mask.any() for _, _, mask in stream_masks(decoder, path, index, threshold)):
        text = f"largest value is {largest}, must exceed {threshold - 1}: masks are black and white"
        yield Finding("mask", row.mask, f"{text}, or --mask_threshold is lower")


def faces(row: Video, images: list[NDArray[np.uint8]], masks: list[NDArray[np.uint8] | None]) -> Iterator[Finding]:
    seen = []
    for image, mask in zip(images, masks, strict=True):
        found = search_frame(HOG(), image, SMALLEST)
        seen.append((sorted(found, key=area, reverse=True), mask))
    if not any(found for found, _ in seen):
        yield Finding("no face", row.path, f"no face in {len(images)} evenly spaced frames")
        return
    found, mask = max(seen, key=lambda one: (len(one[0]), one[1] is not None))
    if len(found) > 1:
        yield Finding("several faces", row.path, f"{len(found)} faces; {explain_choice(row, found, mask)}")


def explain_choice(row: Video, found: list[Found], mask: NDArray[np.uint8] | None) -> str:
    if row.label == 0:
        return "a real video: any will do"
    if mask is None:
        return "no mask says which is forged: the largest is taken"
    shares = [measure_cover(one.box, mask) for one in found]
    best = int(np.argmax(shares))
    if shares[best] < COVERED:
        return "the mask covers none of them"
    x, y = (found[best].box[:2] + found[best].box[2:]) / 2
    rank = "the largest" if best == 0 else f"not the largest but number {best + 1}"
    return f"the mask chooses {rank}, at x {x:.0f} y {y:.0f}, and covers {shares[best]:.0%} of it"


def area(found: Found) -> float:
    x0, y0, x1, y1 = map(float, found.box)
    return (x1 - x0) * (y1 - y0)


def is_real_alone(rows: Sequence[Video]) -> bool:
    return not any(row.label for row in rows)


def explain_wrong(findings: Sequence[Finding], rows: Sequence[Video], share: float) -> list[str]:
    """Why training on this copy would be wrong, if it would."""
    videos = len(rows) + sum(one.kind == "missing" for one in findings)
    have = {(row.split, row.label) for row in rows}
    # whoever trains validates too
    splits = SPLITS if any(split == "train" for split, _ in have) else sorted({split for split, _ in have})
    count: dict[str, int] = defaultdict(int)
    for one in findings:
        count[one.kind] += one.videos
    reasons = [f"{count[kind]} x {kind}" for kind in WRONG if count[kind]]
    # without real videos nothing can be trained; those alone may be for a synthesis, or for other sets
    for label, name in enumerate(("real", "fake")[: 1 if is_real_alone(rows) else 2]):
        reasons += [f"no {name} video in {split}" for split in splits if (split, label) not in have]
    for kind in LACKING:
        if count[kind] > share * max(1, videos):
            reasons.append(f"{count[kind]} x {kind}, more than {share:.0%} of {videos} videos")
    return reasons
