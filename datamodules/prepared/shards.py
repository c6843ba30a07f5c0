"""Square face crops: their size, their format, and the two ways they are stored."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.runtime.atomic_files import appearing

Image = NDArray[np.uint8]
Format = Literal["png", "webp", "jpg"]
BLOCK = 512  # of a tar file


def two_valued(mask: Image) -> Image:
    """0 or 255: resizing and video coding leave greys at the edge of a mask."""
    return np.where(mask > 127, np.uint8(255), np.uint8(0))


def resize(picture: Image, size: int) -> Image:
    if picture.shape[0] == size:
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_CUBIC
    out: Image = cv2.resize(picture, (size, size), interpolation=how)
    return out


def encode(picture: Image, format: Format) -> bytes:
    """RGB (H, W, 3) or grey (H, W); png and webp keep every bit."""
    options = {
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 is lossless
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    }[format]
    ok, content = cv2.imencode(f".{format}", picture[..., ::-1] if picture.ndim == 3 else picture, options)
    if not ok:
        raise ValueError(f"cannot write {picture.shape} as {format}")
    return content.tobytes()


def decode(content: bytes, grey: bool = False) -> Image:
    """RGB (H, W, 3), or (H, W)."""
    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    picture: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    if picture is None:
        raise OSError(f"{len(content)} bytes that are no image")
    return picture


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of one image lie; a file of its own has offset 0."""

    file: str  # relative to the prepared folder
    offset: int
    length: int

    def read(self, root: Path) -> bytes:
        with (root / self.file).open("rb") as f:
            f.seek(self.offset)
            return f.read(self.length)


def write_tar(path: Path, images: Iterable[tuple[str, bytes]]) -> dict[str, Place]:
    """A plain tar and where each member's bytes begin; the file appears only when it is complete."""
    places = {}
    with appearing(path) as part, tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in images:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
            padded = -(-len(content) // BLOCK) * BLOCK
            places[name] = Place(path.name, tar.offset - padded, len(content))
    return places


def join_tars(parts: list[Path], path: Path) -> list[int]:
    """Concatenates tars into one; returns by how much the offsets of each part move."""
    shifts, at = [], 0
    with appearing(path) as temporary, temporary.open("wb") as out:
        for part in parts:
            with tarfile.open(part) as tar:
                end = max((m.offset_data + -(-m.size // BLOCK) * BLOCK for m in tar.getmembers()), default=0)
            with part.open("rb") as f:
                out.write(f.read(end))
            shifts.append(at)
            at += end
        out.write(bytes(2 * BLOCK))
    return shifts
