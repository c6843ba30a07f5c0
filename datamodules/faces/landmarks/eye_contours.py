"""The lids of both eyes, by the iris model of MediaPipe: those of the face mesh hardly move when an eye closes."""

from __future__ import annotations

import numpy as np

from datamodules.faces import tflite
from datamodules.faces.detection.base import Floats, Image
from datamodules.faces.view import View

MODEL = "iris_landmark.tflite"
CONTOURS = "output_eyes_contours_and_brows"
SIDE = 64  # of its input
AROUND = 2.3  # its input over the length of an eye
OFFSET = 0.25  # pixels of its input, as of the mesh
# Vertices of the mesh that it places: lower lid from the outer to the inner corner, then the upper one between them
RIGHT = [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173]
LEFT = [263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398]
CORNERS = 0, 8  # among those


def refine_eyes(image: Image, mesh: Floats, roll: float) -> Floats:
    """The mesh with lids where they are seen.

    Args:
        mesh: (468, 3)
        roll: Roll of the face in radians.
    """
    out = mesh.copy()
    for vertices, is_left in ((RIGHT, False), (LEFT, True)):
        outer, inner = (mesh[vertices[corner], :2] for corner in CORNERS)
        centre, half = (outer + inner) / 2, float(np.linalg.norm(inner - outer)) / 2
        view = View(image, np.concatenate([centre - half, centre + half]), AROUND, SIDE / AROUND, roll)
        eye = view.image[:, ::-1] if is_left else view.image  # it knows right eyes alone
        images = (eye[None] / 255).astype(np.float32)
        (values,) = tflite.run(MODEL, images, (CONTOURS,))
        points = values.reshape(71, 3)[: len(vertices), :2] + np.float32(OFFSET)
        if is_left:
            points[:, 0] = SIDE - 1 - points[:, 0]
        out[vertices, :2] = view.to_frame(points)
    return out
