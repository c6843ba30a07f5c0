"""What forgeries made from real faces look like, with their masks and targets, and how these are distributed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.record import RESULTS, record
from benchmarks.speed.synthesis import KINDS, faces
from callbacks.panels import label, overlay_heat, tile
from lightning_modules.laa_net.targets import encode, find_vulnerable

SHOWN = 7


def spread(values: Tensor, digits: int = 3) -> dict[str, float]:
    at = {"p10": 0.1, "median": 0.5, "p90": 0.9}
    found = {name: round(float(values.double().quantile(q)), digits) for name, q in at.items()}
    return {**found, "largest": round(float(values.max()), digits)}


def columns(real: Tensor, fake: Tensor, mask: Tensor, boundary: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    targets = encode(boundary)
    rows = []
    for i in range(len(real)):
        face = tile(fake[i])
        parts = {
            "real": tile(real[i]),
            "forged": face,
            "soft mask": tile(mask[i].expand(3, -1, -1)),
            "its boundary": tile((boundary[i] / 255).expand(3, -1, -1)),
            "vulnerable points": overlay_heat(face, targets.heat[i, 0]),
            "consistency": overlay_heat(face, targets.consistency[i]),
        }
        rows.append(np.vstack([label(part, name if i == 0 else "") for name, part in parts.items()]))
    return np.hstack(rows)


def pseudo_fakes(prepared: Path, size: int = 256, out: int = 384, draws: int = 500) -> None:
    """Draw, measure, print and record.

    Args:
        prepared: Folder that 'python -m suite prepare' filled.
        size: Side of the faces.
        out: Side of the pairs; that of the targets is a quarter.
        draws: Forgeries of each kind.
    """
    result: dict[str, Any] = {"size": size, "out": out, "draws": draws}
    torch.manual_seed(0)
    for name, kind in KINDS.items():
        batch, blend = faces(prepared, kind, size, 20), kind(size=out)
        share, points, sigma = list[float](), list[int](), list[float]()
        while len(share) < draws:
            made = blend(batch)
            assert made.boundary is not None
            masks, boundary = made.mask.chunk(2)[1][:, 0, 0], made.boundary.chunk(2)[1][:, 0, 0].float()
            if not share:
                real, fake = (half[:SHOWN, 0] for half in made.frames.chunk(2))
                image = columns(real, fake, masks[:SHOWN, None], boundary[:SHOWN])
                path = RESULTS / f"{re.sub('[ -]', '_', name)}.jpg"
                cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
            found = find_vulnerable(boundary)
            share += masks.mean((1, 2)).tolist()
            points += torch.bincount(found.image, minlength=len(masks)).tolist()
            sigma += found.sigma.tolist()
        result[name] = {
            "mask_share": spread(torch.tensor(share)),
            "points": spread(torch.tensor(points), 0),
            "sigma": spread(torch.tensor(sigma), 2),
        }
        print(name, result[name])
    record("pseudo_fakes", result)


if __name__ == "__main__":
    auto_cli(pseudo_fakes, as_positional=False)
