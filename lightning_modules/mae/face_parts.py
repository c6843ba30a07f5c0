"""Which patches lie in which part of a face, from its landmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.faces.landmarks.points import BROWS, EYES, JAW, MOUTH, NOSE
from datamodules.synthesis.hull import fill

LOWER_LIDS, CHEEKS = [40, 41, 46, 47], [2, 3, 4, 12, 13, 14]
# after the action units that the parts were named for: brows and lids; cheeks and the wings of the nose; mouth
PARTS = {
    "eyes": [*BROWS, *EYES, 27],
    "nose": [*NOSE, *LOWER_LIDS, *CHEEKS, 48, 54],
    "lips": [*MOUTH],
}
FINE = 8  # points along a patch at which it is looked whether they are inside
SHARE = 0.25  # of a patch that must be inside


def measure_cover(landmarks: Tensor, points: list[int], side: int) -> Tensor:
    """(B, side, side) share of each patch inside the hull of these points; landmarks are in patches."""
    fine = fill(landmarks[:, points] * FINE - 0.5, side * FINE, side * FINE)
    return F.avg_pool2d(fine[:, None].float(), FINE)[:, 0]


def parts(landmarks: Tensor, side: int) -> dict[str, Tensor]:
    """(B, side * side) bool for each part; no patch is in two."""
    shares = torch.stack([measure_cover(landmarks, points, side) for points in PARTS.values()])
    lips = list(PARTS).index("lips")
    shares[lips] = F.max_pool2d((shares[lips] >= SHARE).float() * shares[lips], 3, 1, 1)
    owner = shares.argmax(0)
    return {name: ((owner == i) & (shares[i] >= SHARE)).flatten(1) for i, name in enumerate(PARTS)}


def face(landmarks: Tensor, side: int) -> Tensor:
    """(B, side * side) bool."""
    return (measure_cover(landmarks, [*JAW, *BROWS], side) >= SHARE).flatten(1)


def distance(inside: Tensor, side: int) -> Tensor:
    """(B, N) from each patch to the nearest one inside, in patches; from the middle of the image if there is none."""
    n = torch.arange(side * side, device=inside.device)
    places = torch.stack([n // side, n % side], 1).float()
    apart = torch.cdist(places, places)
    middle = (places - (side - 1) / 2).norm(dim=1)
    found = torch.where(inside[:, None], apart, torch.inf).amin(2)
    return torch.where(found.isfinite(), found, middle)
