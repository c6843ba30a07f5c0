"""Faces as a project of Label Studio, and what people have drawn there."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.annotation import brush
from datamodules.annotation.request import Request, RequestedFace
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError

Bytes = NDArray[np.uint8]
COMFORT = 512  # side in pixels below which a face is enlarged, by a whole number
LARGEST = 4096  # side of a face that is believed
CONFIG = """<View>
  <Header value="Paint over all that is forged of this face"/>
  <Image name="face" value="$image" zoom="true" zoomControl="true" brightnessControl="true"/>
  <BrushLabels name="region" toName="face">
    <Label value="forged" background="#ff3b30"/>
  </BrushLabels>
</View>
"""


def enlarge(image: Bytes) -> Bytes:
    factor = max(1, -(-COMFORT // image.shape[0]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    out: Bytes = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if image.ndim == 3 else cv2.INTER_NEAREST)
    return out


def png(image: Bytes) -> bytes:
    """
    Args:
        image: (H, W[, 3]), RGB.
    """
    ok, content = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])
    assert ok
    return content.tobytes()


def write_image(path: Path, image: Bytes) -> None:
    with write_atomically(path) as part:
        part.write_bytes(png(image))


@dataclass(frozen=True, kw_only=True)
class Task:
    """A face whose forged region somebody is to paint.

    Args:
        image: Address, or the image itself.
        size: Height and width of the image.
        brush: Run lengths of what is drawn before the person begins: where a method points.
    """

    face: RequestedFace
    score: float
    image: str
    size: tuple[int, int]
    brush: list[int] | None

    def to_json(self) -> dict[str, object]:
        out: dict[str, object] = {"data": {"image": self.image, "face": self.face.file, "score": round(self.score, 4)}}
        if self.brush is not None:
            height, width = self.size
            region = {
                "id": "found",
                "from_name": "region",
                "to_name": "face",
                "type": "brushlabels",
                "value": {"format": "rle", "rle": self.brush, "brushlabels": ["forged"]},
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
            }
            out["predictions"] = [{"model_version": "forgery map", "result": [region]}]
        return out


def create_task(face: RequestedFace, score: float, image: Bytes, found: Bytes | None, url: str | None = None) -> Task:
    """
    Args:
        image: (H, W, 3) RGB.
        found: (H, W) 255 where a method points.
        url: Address of the image; it is embedded in the task if unset.
    """
    return Task(
        face=face,
        score=score,
        image=url or f"data:image/png;base64,{base64.b64encode(png(image)).decode()}",
        size=(image.shape[0], image.shape[1]),
        brush=brush.encode(found) if found is not None and found.any() else None,
    )


def read_export(exported: Any, request: Request) -> dict[RequestedFace, Bytes | None]:
    """Masks from an export of Label Studio (JSON), each of a face that was asked for.

    A face that was erased, or whose every annotation was cancelled, has None; one that nobody annotated is left out.

    Args:
        exported: Tasks with their annotations; of several of one face that were not cancelled, the last counts.
    """
    asked = {face.file: face for face in request.faces}
    every: dict[str, list[dict[str, Any]]] = {}  # annotations of a face; a project may have it twice
    if not isinstance(exported, list):
        raise UserError("export: is not a list of tasks; choose the format JSON")
    for i, entry in enumerate(exported):
        data = entry.get("data") if isinstance(entry, dict) else None
        name = data.get("face") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in asked:
            raise UserError(f"export, task {i + 1}: {name!r} is no face that was asked for")
        every.setdefault(name, []).extend(get_list(entry, "annotations", name))
    out: dict[RequestedFace, Bytes | None] = {}
    for name, drawn in every.items():
        done = [one for one in drawn if not one.get("was_cancelled")]
        if drawn:
            out[asked[name]] = union(get_list(done[-1], "result", name), name) if done else None
    return out


def get_list(entry: Mapping[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    found = entry.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"export, {name!r}: its {key} are no list of objects")
    return found


def union(regions: Iterable[Mapping[str, Any]], name: str) -> Bytes | None:
    """(H, W) of all that was painted; None where nothing was."""
    out: Bytes | None = None
    for region in regions:
        value = region.get("value")
        if region.get("type") != "brushlabels" or not isinstance(value, dict) or value.get("format") != "rle":
            continue
        try:
            height, width = int(region["original_height"]), int(region["original_width"])
            if height != width or not 0 < height <= LARGEST or region.get("image_rotation"):
                raise UserError(f"{width} x {height} pixels, turned or not square: not the image that was exported")
            mask = brush.decode(value["rle"], height, width)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"export, {name!r}: {error}") from error
        out = mask if out is None else np.maximum(out, mask)
    return out if out is not None and out.any() else None
