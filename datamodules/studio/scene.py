"""A person rendered: before a background, through a lens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.studio.camera import Camera
from datamodules.studio.face import Array
from datamodules.studio.head import Head, HeadView, look, render
from datamodules.studio.portrait import CHIN, Portrait, make_grid
from datamodules.studio.relief import smooth
from datamodules.studio.scenery.background import Background
from datamodules.studio.shot import Shot

SHARPNESS = 1.35  # canvas pixels per pixel of the frame


@dataclass(frozen=True, kw_only=True)
class RenderedFrame:
    """One frame before the sensor."""

    image: Array  # (H, W, 3)
    person: Array  # (H, W), the share of the person
    behind: Array  # (H, W, 3), without the person and before the lens
    points: Array  # (68, 2) exact landmarks
    view: HeadView


def head_for(portrait: Portrait, shot: Shot, resolution: float = 1.0) -> Head:
    return Head(portrait, SHARPNESS * resolution * max(pose.radius for pose in shot.poses))


def dye(head: Head, colour: Array) -> None:
    """Gives a white shirt another colour; other clothes stay as they are."""
    y = make_grid(head.scale, 0, 0, head.width, head.height)[..., 1]
    red, blue = head.still[..., 0], head.still[..., 2]  # skin is redder than it is blue, also where it is pale
    shirt = smooth(blue, 0.4, 0.55) * smooth(blue - red, -0.07, -0.02) * smooth(y, CHIN + 0.15, CHIN + 0.4)
    head.still[..., :3] *= 1 + shirt[..., None] * (colour - 1)


def open_camera(shot: Shot) -> Camera:
    rng = np.random.default_rng([shot.seed, 2])
    return Camera(rng, shot.width, shot.height, len(shot), shot.fps)


def composite(layer: Array, behind: Array) -> Array:
    return behind + layer[..., 3:] * (layer[..., :3] - behind)


def render_video(portrait: Portrait, shot: Shot, camera: Camera) -> Iterator[RenderedFrame]:
    """The frames of a real video, before the sensor adds its noise."""
    head = head_for(portrait, shot)
    dye(head, shot.clothes)
    background = Background(np.random.default_rng([shot.seed, 1]), shot.width, shot.height, len(shot), shot.fps)
    box = (0, 0, shot.width, shot.height)
    for i, (pose, light) in enumerate(zip(shot.poses, shot.lights, strict=True)):
        view = look(head, pose, light, shot.width, shot.height)
        layer = render(head, head.texture(shot.expressions[i]), view, box)
        behind = background.render(i, shot.camera_shift(i))
        yield RenderedFrame(
            image=camera.focus(composite(layer, behind)),
            person=layer[..., 3].copy(),  # a view would keep the layer
            behind=behind,
            points=head.project(head.express(shot.expressions[i]), pose),
            view=view,
        )


def shoot(portrait: Portrait, shot: Shot) -> Iterator[tuple[NDArray[np.uint8], Array]]:
    """The frames of a real video, each with its 68 exact landmarks."""
    camera = open_camera(shot)
    for i, frame in enumerate(render_video(portrait, shot, camera)):
        yield camera.shoot(frame.image, i), frame.points
