"""Single faces for tests: photographs of London placed in a frame, and heads of the studio, turned as wanted."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.faces.detection import Image
from datamodules.studio.face import Expression
from datamodules.studio.head import Head, Light, Pose, look, render
from datamodules.studio.people import read_people
from datamodules.studio.scene import over
from tests import filming

REST = Expression()
PEOPLE = read_people()[:12]


def portrait(number: int) -> tuple[Image, np.ndarray]:
    """(700, 700, 3) and (68, 2)."""
    person = PEOPLE[number]
    return person.neutral.read(), person.neutral.points


def placed(number: int, side: float, x: float, y: float, degrees: float = 0.0) -> tuple[Image, np.ndarray]:
    """A face whose box has a side, in a grey frame of 720 lines, turned clockwise around its middle; its points."""
    image, points = portrait(number)
    middle, scale = points[17:].mean(0), side / (0.94 * np.ptp(points[:17, 0]))
    matrix = cv2.getRotationMatrix2D(tuple(map(float, middle)), -degrees, scale)
    matrix[:, 2] += (x, y) - middle
    shrunk = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.6 else image
    frame = cv2.warpAffine(shrunk, matrix, (1280, 720), borderMode=cv2.BORDER_CONSTANT, borderValue=(110, 120, 130))
    return np.asarray(frame, np.uint8), points @ matrix[:, :2].T + matrix[:, 2]


def turned(number: int, yaw: float = 0.0, pitch: float = 0.0, expression: Expression = REST) -> Image:
    """A head of the studio, angles in degrees."""
    pose = Pose(yaw=np.radians(yaw), pitch=np.radians(pitch), roll=0, x=110, y=105, radius=62, body=(110, 105))
    light = Light(direction=np.array([0, 0, 1], np.float32), colour=np.ones(3, np.float32), ambient=0.8)
    head = Head(filming.portrait(number), 90)
    layer = render(head, head.texture(expression), look(head, pose, light, 220, 220), (0, 0, 220, 220))
    picture = over(layer, np.full((220, 220, 3), 0.45, np.float32))
    return np.asarray(cv2.convertScaleAbs(np.clip(picture, 0, 1), alpha=255), np.uint8)
