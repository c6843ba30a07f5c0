"""Face Mesh: MediaPipe's 468 points of a face, under Apache-2.0."""

from __future__ import annotations

import numpy as np

from datamodules.faces import tflite
from datamodules.faces.blaze_face import DLIB, measure_roll
from datamodules.faces.detection import Found, Image
from datamodules.faces.landmarks import FacePoints, Landmarks
from datamodules.faces.mesh_points import to_68
from datamodules.faces.view import View, rotation

MODEL = "face_landmark.tflite"
PRESENCE, MESH = "conv2d_30", "conv2d_20"
SIDE = 192  # of its input
AROUND = 1.5  # its input over the box of a detector, or over its own points
OFFSET = 0.25  # pixels of its input: on average over London, a face and its mirror image agree
EYES = [33, 263]  # outer corners, the person's right one first


class FaceMesh(Landmarks):
    def fit(self, image: Image, found: Found) -> FacePoints:
        around = AROUND * DLIB
        return predict(View(image, found.box, around, SIDE / around, measure_roll(found.keypoints)))

    def follow(self, image: Image, last: FacePoints) -> FacePoints | None:
        if last.mesh is None:
            return None
        roll = measure_roll(last.mesh[EYES, :2])
        turn = rotation(roll)
        upright = last.mesh[:, :2] @ turn
        low, high = upright.min(0), upright.max(0)
        centre, half = turn @ ((low + high) / 2), (high - low).max() / 2
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        return predict(View(image, box, AROUND, SIDE / AROUND, roll))

    def fingerprint(self) -> str:
        return tflite.fingerprint(MODEL)


def predict(view: View) -> FacePoints:
    images = view.picture.transpose(2, 0, 1)[None].astype(np.float32) / 255
    logit, values = tflite.run(MODEL, images, (PRESENCE, MESH))
    mesh = values.reshape(468, 3)
    where = view.outward(mesh[:, :2] + OFFSET)
    mesh = np.column_stack([where, mesh[:, 2] / view.scale]).astype(np.float32)
    return FacePoints(points=to_68(where), presence=float(1 / (1 + np.exp(-logit.item()))), mesh=mesh)
