"""Face Mesh: MediaPipe's 468 points of a face, under Apache-2.0."""

from __future__ import annotations

from math import pi, radians, remainder

import numpy as np

from datamodules.faces import tflite
from datamodules.faces.detection.base import Floats, Found, Image
from datamodules.faces.detection.blaze_face import DLIB, measure_roll
from datamodules.faces.landmarks import eye_contours
from datamodules.faces.landmarks.base import FacePoints, Landmarks
from datamodules.faces.landmarks.eye_contours import refine_eyes
from datamodules.faces.landmarks.mesh_points import convert_to_68, digest_of_weights
from datamodules.faces.view import View, rotation

MODEL = "face_landmark.tflite"
PRESENCE, MESH = "conv2d_30", "conv2d_20"
SIDE = 192  # of its input
AROUND = 1.5  # its input over the box of a detector, or over its own points
OFFSET = 0.25  # pixels of its input: on average over London, a face and its mirror image agree
TOLERANCE = radians(4)  # of the roll of its input, and how often a better one is tried: detectors see 90 degrees as 45
ROUNDS = 6
TURNED = radians(20)  # from where on it looks at least twice, and from three sides
SURE = 0.9  # presence below which it looks from three sides
EYES = [33, 263]  # outer corners, the person's right one first


class FaceMesh(Landmarks):
    def __init__(self, eyes: bool = False) -> None:
        """
        Args:
            eyes: Look at each eye once more, for lids that move when it closes; takes three times as long.
        """
        self.eyes = eyes

    def fit(self, image: Image, found: Found) -> FacePoints:
        """Where the face is turned, from three sides: the mesh may come to rest upside down, at a lower presence."""
        roll = measure_roll(found.keypoints)
        mesh, presence = settle(image, found.box, roll)
        end = measure_roll(mesh[EYES, :2])
        if presence < SURE or max(abs(roll), abs(end)) > TURNED:
            others = [settle(image, found.box, roll + side) for side in (2 * pi / 3, -2 * pi / 3)]
            mesh, presence = max([(mesh, presence), *others], key=lambda one: one[1])
        return self.finish(image, mesh, presence)

    def follow(self, image: Image, last: FacePoints) -> FacePoints | None:
        if last.mesh is None:
            return None
        return self.finish(image, *predict(surround(image, last.mesh, measure_roll(last.mesh[EYES, :2]))))

    def finish(self, image: Image, mesh: Floats, presence: float) -> FacePoints:
        if self.eyes:
            mesh = refine_eyes(image, mesh, measure_roll(mesh[EYES, :2]))
        return FacePoints(points=convert_to_68(mesh[:, :2], self.eyes), presence=presence, mesh=mesh)

    def fingerprint(self) -> str:
        eyes = f" {tflite.fingerprint(eye_contours.MODEL)}" if self.eyes else ""
        return f"{tflite.fingerprint(MODEL)} {digest_of_weights(self.eyes)}{eyes}"


def settle(image: Image, box: Floats, roll: float) -> tuple[Floats, float]:
    """Looks again where the face is turned, since detectors place those worse."""
    around = AROUND * DLIB
    mesh, presence = predict(View(image, box, around, SIDE / around, roll))
    for i in range(ROUNDS):
        missing = remainder(measure_roll(mesh[EYES, :2]) - roll, 2 * pi)
        if abs(missing) < TOLERANCE and (i > 0 or abs(roll) < TURNED):
            break
        roll += 2 * missing  # it sees about a half of it
        mesh, presence = predict(surround(image, mesh, roll))
    return mesh, presence


def surround(image: Image, mesh: Floats, roll: float) -> View:
    """A face that is known, with as much around it as the model wants."""
    turn = rotation(roll)
    upright = mesh[:, :2] @ turn
    low, high = upright.min(0), upright.max(0)
    centre, half = turn @ ((low + high) / 2), (high - low).max() / 2
    box = np.concatenate([centre - half, centre + half]).astype(np.float32)
    return View(image, box, AROUND, SIDE / AROUND, roll)


def predict(view: View) -> tuple[Floats, float]:
    """(468, 3) points of the mesh, and the probability that there is a face."""
    images = (view.image[None] / 255).astype(np.float32)
    logit, values = tflite.run(MODEL, images, (PRESENCE, MESH))
    mesh = values.reshape(468, 3)
    where = view.to_frame(mesh[:, :2] + np.float32(OFFSET))
    mesh = np.column_stack([where, mesh[:, 2] / np.float32(view.scale)])
    return mesh.astype(np.float32), float(1 / (1 + np.exp(-logit.item())))
