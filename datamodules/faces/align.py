"""Which part of a frame a crop shows of a face, by its box and its landmarks: the choices of a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, degrees
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from datamodules.faces.crop import NoCrop, Points, Region, Square, Turned
from datamodules.faces.landmarks.base import Landmarks, NoLandmarks
from datamodules.faces.landmarks.points import LEFT_EYE, RIGHT_EYE
from datamodules.runtime.errors import UserError

Alignment = Literal["none", "roll", "five_points", "deepfakebench"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)
# ArcFace's crop of 112 pixels: eyes, tip of the nose, corners of the mouth
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
TEMPLATE_SIDE = 112
TEMPLATE_OVER_BOX = 1.32  # of the boxes of dlib's HOG: mean of the neutral photographs of the studio's first 25 people
PUBLISHED_SIDE = 256  # of the crops that DeepfakeBench and GenD publish, in which the template is laid on pixel centres
# DeepfakeBench's: a point of the upper lid for an eye, and points beside the corners of the mouth, the left one above
# and the right one below. Its faces lean to the left by 2.4 degrees for that and are 6 % smaller (in London).
DEEPFAKEBENCH = [37, 44, 30, 49, 55]


@dataclass(frozen=True, slots=True)
class Cropper:
    """
    Args:
        margin: Side of the crop over the longer side of the box, or over that of the template.
    """

    margin: float
    alignment: Alignment = "none"

    def __post_init__(self) -> None:
        if self.alignment not in ALIGNMENTS:
            raise UserError(f"alignment {self.alignment!r}: must be one of {', '.join(ALIGNMENTS)}")

    @classmethod
    def from_contract(cls, contract: Mapping[str, str | int | float]) -> Cropper:
        return cls(float(contract["margin"]), contract.get("alignment", "none"))  # type: ignore[arg-type]

    @property
    def unit(self) -> float:
        """Side of a crop of margin 1 over the longer side of the box, of a face seen from the front."""
        return 1.0 if self.alignment in ("none", "roll") else TEMPLATE_OVER_BOX

    def check_landmarks(self, landmarks: Landmarks, whose: str = "") -> None:
        """Refuses a model that finds none, where they are needed.

        Args:
            whose: Ends the message.
        """
        if self.alignment != "none" and isinstance(landmarks, NoLandmarks):
            raise UserError(f"alignment {self.alignment}: needs landmarks{whose}")

    def region(self, box: Points, points: Points) -> Region:
        """
        Args:
            box: x0 y0 x1 y1.
            points: (68, 2) of the same face, in pixels of the frame.
        """
        if self.alignment == "none":
            return Square.from_box(box, self.margin)
        wide = points.astype(np.float64)
        five = five_points(wide) if self.alignment != "deepfakebench" else wide[DEEPFAKEBENCH]
        if not (np.ptp(five, 0) > 0.5).any():  # also where they are no numbers
            raise NoCrop(f"alignment {self.alignment}: needs landmarks; those of a face lie in one point")
        if self.alignment == "roll":
            square = Square.from_box(box, self.margin)
            x, y = five[1] - five[0]
            return Turned(square.x, square.y, square.side, degrees(atan2(y, x)))
        return fit_template(five, self.margin)


def five_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(68, 2) to (5, 2): centres of the eyes, tip of the nose, corners of the mouth."""
    return np.stack([points[[*LEFT_EYE]].mean(0), points[[*RIGHT_EYE]].mean(0), points[30], points[48], points[54]])


def place_template(margin: float) -> NDArray[np.float64]:
    """(5, 2) in parts of a crop's side: the template shrinks around the centre."""
    return (TEMPLATE / TEMPLATE_SIDE + (margin - 1) / 2) / margin + 0.5 / PUBLISHED_SIDE


def fit_template(five: NDArray[np.float64], margin: float) -> Turned:
    """The region in which five points lie nearest to the template, by least squares over scale, turn and shift."""
    here, there = five @ (1, 1j), place_template(margin) @ (1, 1j)
    mine, theirs = here - here.mean(), there - there.mean()
    turn = (mine.conj() @ theirs) / (mine.conj() @ mine).real  # from the frame to parts of the side
    if abs(turn) < 1e-9:
        raise NoCrop("alignment: the landmarks of a face are nothing like one")
    side = 1 / abs(turn)
    centre = here.mean() + (0.5 + 0.5j - there.mean()) / turn
    corner = centre - (1 + 1j) * (side - 1) / 2
    return Turned(float(corner.real), float(corner.imag), float(side), degrees(-np.angle(turn)), "black")
