"""Clips that are stored as images: one image, a folder of numbered ones, such a folder in a tar, or a polygon."""

from __future__ import annotations

import functools
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.manifest import MEMBER, leads_out
from datamodules.media.image import decode
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, shorten

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff", ".apng"}
ARCHIVES = (".tar", ".tar.gz", ".tgz")
LARGEST = 32_768  # side of an image whose outlines are drawn
NUMBER = re.compile(r"(\d+)$")


class ImageError(UserError):
    """Says what is wrong, without the path."""


def holds_images(path: Path) -> bool:
    return bool(split_member(path)[1]) or path.suffix.lower() in IMAGE_SUFFIXES or path.is_dir()


def split_member(path: Path) -> tuple[str, str]:
    """An archive and what is meant inside it, or a file, whatever its name."""
    archive, _, member = str(path).partition(MEMBER)
    return (str(path), "") if member and path.exists() else (archive, member)


@dataclass(frozen=True, slots=True)
class ImageSequence:
    """What to read, in order."""

    numbers: NDArray[np.int64]  # (N,) frame numbers that the names carry; 0 for a single image
    contents: Sequence[Callable[[], bytes | NDArray[np.uint8]]]

    def __len__(self) -> int:
        return len(self.numbers)

    def get(self, i: int) -> NDArray[np.uint8]:
        """(H, W, 3)"""
        content = self.contents[i]()
        return decode(content) if isinstance(content, bytes) else content


def find_images(path: Path) -> ImageSequence:
    archive, member = split_member(path)
    if archive.endswith(".json"):
        return ImageSequence(np.zeros(1, np.int64), [functools.partial(fill_polygon, Path(archive), int(member))])
    if member:
        return order_by_number(
            {name: functools.partial(read_member, archive, name) for name in list_members(archive, member)}
        )
    if path.is_dir():
        return order_by_number({str(p): p.read_bytes for p in path.iterdir() if is_image(p.name)})
    return ImageSequence(np.zeros(1, np.int64), [path.read_bytes])


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not Path(name).name.startswith(".")


def order_by_number(contents: dict[str, Callable[[], bytes]]) -> ImageSequence:
    """Frames are known by the number in their name: by order alone, one missing would shift all others."""
    numbers = {}
    for name in contents:
        number = NUMBER.search(Path(name).stem)
        if number is None:
            raise ImageError(f"{Path(name).name} has no frame number at the end of its name")
        numbers[name] = int(number[1])
    names = sorted(contents, key=numbers.__getitem__)
    if len(set(numbers.values())) < len(numbers):
        raise ImageError("two images have the same frame number")
    return ImageSequence(np.array([numbers[n] for n in names], np.int64), [contents[n] for n in names])


def list_archived_images(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """In their order; an archive that would write elsewhere, or whose images are links, is refused."""
    for info in tar:
        if leads_out(info.name):
            raise ImageError(f"holds {info.name!r}, which leads out of the archive")
        if is_image(info.name) and (info.issym() or info.islnk()):
            raise ImageError(f"holds {info.name!r}, a link to {info.linkname!r}; links are not followed")
        if info.isfile() and is_image(info.name):
            yield info


@functools.lru_cache(maxsize=1)
def read_archive(archive: str) -> dict[str, bytes]:
    """All images of one archive: a compressed one can only be read from its beginning."""
    images = {}
    try:
        with tarfile.open(archive) as tar:
            for info in list_archived_images(tar):
                file = tar.extractfile(info)
                assert file is not None
                images[info.name.removeprefix("./")] = file.read()
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"cannot be read to its end ({shorten(error)})") from error
    return images


def list_members(archive: str, folder: str) -> list[str]:
    return [name for name in read_archive(archive) if name.rpartition("/")[0] == folder]


def read_member(archive: str, name: str) -> bytes:
    return read_archive(archive)[name]


@functools.lru_cache(maxsize=1)
def outlines(path: Path) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, Any]]]:
    """Sizes of the images, and the image and outline of each face, of a file in COCO's format."""
    content = read_json(path, dict)
    try:
        sizes = {image["id"]: (int(image["height"]), int(image["width"])) for image in content["images"]}
        faces = {one["id"]: (one["image_id"], compact(one.get("segmentation"))) for one in content["annotations"]}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(f"{path}: is no file in COCO's format ({type(error).__name__}: {shorten(error)})") from error
    return sizes, faces


def compact(outline: Any) -> Any:
    """Polygons as arrays, which are a tenth of the size; what is none is kept, to be refused where it is used."""
    return [np.array(p, np.float32) for p in outline] if isinstance(outline, list) else outline


def fill_polygon(path: Path, annotation: int) -> NDArray[np.uint8]:
    """(H, W, 3) mask of one face."""
    sizes, faces = outlines(path)
    image, found = faces.get(annotation, (None, None))
    if image not in sizes or not isinstance(found, list):
        raise ImageError(f"has no polygon of annotation {annotation}")
    if not all(0 < side <= LARGEST for side in sizes[image]):
        raise ImageError(f"has an image of {' x '.join(map(str, sizes[image]))} pixels")
    mask = np.zeros(sizes[image], np.uint8)
    for points in found:
        if points.ndim != 1 or len(points) % 2 or not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e6:
            raise ImageError(f"has an outline of annotation {annotation} that is no list of pixels")
        cv2.fillPoly(mask, [np.rint(points.reshape(-1, 2)).astype(np.int32)], 255)
    return np.repeat(mask[..., None], 3, 2)
