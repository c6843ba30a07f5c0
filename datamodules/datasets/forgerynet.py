"""ForgeryNet: images with masks, and videos of which parts are forged; 15 methods."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datamodules.datasets.listing import read_lines, resolve_inside
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError
from datamodules.segments import write_frames

# The first number of a path is the method; the last word of a line numbers them in another way.
METHODS = (
    *("FaceShifter", "FS-GAN", "DeepFakes", "BlendFace", "MMReplacement", "DeepFakes-StarGAN-Stack"),
    *("Talking-Head-Video", "ATVG-Net", "StarGAN-BlendFace-Stack", "First-Order-Motion", "StyleGAN2", "MaskGAN"),
    *("StarGAN2", "SC-FEGAN", "DiscoFaceGAN"),
)
REALS = ("RAVDESS", "CREMA-D", "AVSpeech", "VoxCeleb2")
HOMES = {"Training": "train", "Validation": "test"}  # labels of the test part were never released
IMAGES = ("image", "images", "image2", "image/images")  # as copies spell it
VIDEOS = ("video", "videos", "video/videos")
WORDS = 4  # of a line of an image list


def index_images(root: Path) -> Iterator[Video]:
    """Lists Training and Validation by their ``image_list.txt``; Validation is for testing."""
    yield from separate_identities(
        row for home in find_homes(root, "image_list.txt") for row in list_images(root, home)
    )


def index_videos(root: Path) -> Iterator[Video]:
    """Lists Training and Validation by their ``video_list.txt``; Validation is for testing."""
    yield from separate_identities(
        row for home in find_homes(root, "video_list.txt") for row in list_videos(root, home)
    )


def find_homes(root: Path, name: str) -> list[Path]:
    homes = [root / home for home in HOMES if (root / home / name).is_file()]
    if not homes:
        raise UserError(f"{root}: holds no {' or '.join(f'{home}/{name}' for home in HOMES)}")
    return homes


def list_images(root: Path, home: Path) -> Iterator[Video]:
    masked = find_masks(home)
    for number, line in read_lines(home / "image_list.txt"):
        words = line.split()
        if len(words) != WORDS:
            report_issue("list", home.name, f"image_list.txt, line {number} is {line!r}, not PATH and three numbers")
            continue
        row = read_row(root, home, "forgerynet_images", words[0], words[1], find_place(home, IMAGES, words[0]))
        if row is None:
            continue
        place = words[0].partition("/")[2]  # masks lie in a release of another name
        mask = next((path for folder in masked if (path := folder / place).is_file()), None)
        if row.label and mask is None:
            report_issue("no mask", row.path, "is forged, and spatial_localize holds nothing of its path")
        yield replace(row, mask=resolve_inside(root, mask)) if mask is not None and row.label else row


def find_masks(home: Path) -> list[Path]:
    """Folders that masks may lie in: one of the name of the release, or the numbers themselves."""
    folder = home / "spatial_localize"
    inner = sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.isdigit())
    return [*inner, folder] if folder.is_dir() else []


def find_place(home: Path, folders: tuple[str, ...], listed: str) -> Path | None:
    places = find_folders(home, folders, listed.partition("/")[0])
    return next((path for place in places if (path := place / listed).exists()), None)


@functools.cache  # millions of images lie in one of them
def find_folders(home: Path, folders: tuple[str, ...], release: str) -> list[Path]:
    return [home / name for name in folders if (home / name / release).is_dir()]


def read_row(root: Path, home: Path, dataset: str, listed: str, binary: str, place: Path | None) -> Video | None:
    """A row without what only images, or only videos, have."""
    folder, *hashes = listed.split("/")[1:]
    where = f"{home.name}/{listed}"
    if not folder.isdigit() or not 1 <= int(folder) <= len(METHODS) + len(REALS) or not hashes:
        report_issue("list", where, f"is not RELEASE/1 to {len(METHODS) + len(REALS)}/...: left out")
        return None
    is_forged = int(folder) <= len(METHODS)
    if binary != str(int(is_forged)):
        says = "forged" if is_forged else "real"
        report_issue("label", where, f"its list says {binary}, its folder {folder} is {says}: left out")
        return None
    if place is None:
        report_issue("missing", where, "in the list, but not here")
        return None
    return Video(
        dataset=dataset,
        method=METHODS[int(folder) - 1] if is_forged else "real",
        stem=Path(listed).with_suffix("").as_posix(),
        path=resolve_inside(root, place),
        label=int(is_forged),
        split=HOMES[home.name],
        identities=hashes[0].partition(".")[0],  # groups what is of one source video
    )


def list_videos(root: Path, home: Path) -> Iterator[Video]:
    for number, line in read_lines(home / "video_list.txt"):
        words = line.split()
        count = int(words[0]) if words[0].isdigit() else -1
        if count < 0 or len(words) != 2 + 3 * count + 3 or not all(word.isdigit() for word in words[2:]):
            text = f"video_list.txt, line {number} is {line[:60]!r}, not N PATH, N times START COUNT 0|1, three numbers"
            report_issue("list", home.name, text)
            continue
        row = read_row(root, home, "forgerynet_videos", words[1], words[-3], find_video(home, words[1]))
        if row is None:
            continue
        parts = [tuple(map(int, words[i : i + 3])) for i in range(2, 2 + 3 * count, 3)]
        forged = [(start, length) for start, length, label in parts if label]
        if not row.label or len(forged) == len(parts):  # of some methods all frames are forged
            yield row
        elif forged:
            yield replace(row, fake_segments=write_frames(forged))
        else:
            report_issue("label", row.path, "is listed as forged, but none of its segments is: left out")


def find_video(home: Path, listed: str) -> Path | None:
    """The list names a file, or a folder that holds ``video.mp4``."""
    place = find_place(home, VIDEOS, listed) or find_place(home, VIDEOS, f"{listed}.mp4")
    return place / "video.mp4" if place is not None and place.is_dir() else place
