"""Forgeries of a part: of another person, outside the face, or removed and filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from datamodules.faces.landmarks.points import BROWS, JAW, NOSE
from datamodules.studio.face import Array
from datamodules.studio.forgeries.base import (
    Forged,
    Take,
    blend,
    cover_groups,
    find_box,
    group_parts,
    outline_face,
    pair_groups,
    repaint_frames,
    soften,
)
from datamodules.studio.forgeries.graft import graft, reshape
from datamodules.studio.relief import smooth
from datamodules.studio.scene import RenderedFrame, head_for
from datamodules.studio.scenery.background import Background

INSIDE = ["eyes", "nose", "lips", "cheeks", "brows"]
GROW = {"eyes": 1.9, "nose": 1.35, "lips": 1.45, "cheeks": 0.9, "brows": 1.5}
OUTSIDE = ["jaw", "forehead", "hair", "background"]
REMOVED = ["nose", "lips", "brows", "cheek"]


def draw_part(take: Take, names: list[str]) -> str:
    """The part that an edit of this take alters."""
    return str(np.random.default_rng([*take.seed, *names[0].encode()]).choice(names))


def local_edit(take: Take) -> Iterator[Forged]:
    """One part of the face from the source, the rest as it was."""
    part = draw_part(take, INSIDE)
    head = graft(head_for(take.target, take.shot, take.interpolate(0.45, 1.0)), take.source, take.interpolate(1.0, 0.5))

    def cover(frame: RenderedFrame, theirs: Array) -> Array:
        groups = pair_groups(group_parts(frame.points)[part], group_parts(theirs)[part])
        return cover_groups(frame.image.shape, groups, GROW[part], take.interpolate(0.04, 0.1) * take.radius)

    return repaint_frames(take, head, cover)


def outside_edit(take: Take) -> Iterator[Forged]:
    """Jaw, forehead, hair or background; the face itself stays."""
    part = draw_part(take, OUTSIDE)
    if part == "hair" and find_hair(take.frames[0]).mean() < 0.02:
        part = "forehead"  # somebody bald
    edits: dict[str, Callable[[Take], Iterator[Forged]]] = {
        "jaw": reshape_jaw,
        "forehead": replace_forehead,
        "hair": dye_hair,
        "background": replace_background,
    }
    return edits[part](take)


def reshape_jaw(take: Take) -> Iterator[Forged]:
    """The jaw made narrower or wider."""
    wider = take.rng().choice([-1, 1]) * take.interpolate(0.14, 0.05)
    head = head_for(take.target, take.shot, take.interpolate(0.6, 1.0))
    points = head.points.copy()
    share = np.sin(np.linspace(0, np.pi, 17))[:, None] ** 0.7
    points[[*JAW]] += share * wider * (points[[*JAW]] - points[[*NOSE]].mean(0)) * (1.0, 0.5)

    def band(frame: RenderedFrame, theirs: Array) -> Array:
        middle = frame.points[[*NOSE]].mean(0)
        reach = [p[2:15] - middle for p in (frame.points, theirs)]
        far = np.maximum(*(np.linalg.norm(r, axis=1, keepdims=True) for r in reach)) + 0.2 * take.radius
        near = np.minimum(*(np.linalg.norm(r, axis=1, keepdims=True) for r in reach)) - 0.22 * take.radius
        towards = reach[0] / np.linalg.norm(reach[0], axis=1, keepdims=True)
        outline = np.concatenate([middle + far * towards, (middle + near * towards)[::-1]])
        mask = np.zeros(frame.image.shape[:2], np.float32)
        cv2.fillPoly(mask, [(outline * 16).astype(np.int32)[:, None]], 1.0, cv2.LINE_AA, 4)
        return soften(mask, 0.06 * take.radius)

    return repaint_frames(take, reshape(head, points), band)


def replace_forehead(take: Take) -> Iterator[Forged]:
    """The forehead of the source."""
    head = graft(head_for(take.target, take.shot, take.interpolate(0.45, 1.0)), take.source, 0.0)

    def above_brows(frame: RenderedFrame, theirs: Array) -> Array:
        brows = frame.points[[*BROWS]]
        up = frame.points[27] - frame.points[8]
        up /= np.linalg.norm(up)
        outline = np.concatenate([brows + 0.12 * take.radius * up, brows[1:-1] + 0.55 * take.radius * up])
        return cover_groups(frame.image.shape, [outline], 1.0, take.interpolate(0.05, 0.1) * take.radius)

    return repaint_frames(take, head, above_brows)


def find_hair(frame: RenderedFrame) -> Array:
    """The share of hair in each pixel, (H, W): of the person, above the chin, beside the face and unlike skin."""
    image, points = frame.image, frame.points
    outside = 1 - cover_groups(image.shape, [outline_face(points)], 1.15, 0.5)
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[[2, 4, 12, 14, 30]]).astype(np.int32)), 1.0)
    skin = image[mask > 0].mean(0)
    unlike = np.linalg.norm(image - skin, axis=-1) / (np.linalg.norm(skin) + 0.05)
    unlike *= image.mean(-1) < skin.mean()  # no highlight on the forehead
    y = np.arange(len(image), dtype=np.float32)[:, None]
    above = 1 - smooth(y, float(points[[3, 13], 1].mean()), float(points[8, 1]))
    share = frame.person * outside * smooth(unlike, 0.25, 0.45) * above
    return np.where(share < 0.1, 0, share).astype(np.float32)


def dye_hair(take: Take) -> Iterator[Forged]:
    """Hair of another colour."""
    rng = take.rng()
    darker, warmer = rng.choice([-1, 1], 2) * rng.uniform(0.6, 1.2, 2)
    tint = (1 + darker * take.interpolate(0.4, 0.15)) * (1 + warmer * take.interpolate(0.3, 0.1) * np.array([1, 0, -1]))
    lift = max(0.0, darker) * take.interpolate(0.12, 0.04) * np.array([1.1, 0.9, 0.7])
    for frame in take.frames:
        alpha = find_hair(frame)
        box = x0, y0, x1, y1 = find_box(alpha)
        new = np.clip(frame.image[y0:y1, x0:x1] * tint + lift, 0, 1).astype(np.float32)
        yield Forged(image=blend(frame.image, new, alpha, box), alpha=alpha, points=frame.points)


def replace_background(take: Take) -> Iterator[Forged]:
    """A piece of another room beside the person."""
    rng, shot = take.rng(), take.shot
    other = Background(rng, shot.width, shot.height, len(shot), shot.fps)
    side = rng.choice([-1, 1])
    for i, frame in enumerate(take.frames):
        centre = (shot.width * (0.5 + 0.42 * side), shot.height * 0.4)
        y, x = np.mgrid[: shot.height, : shot.width].astype(np.float32)
        r = ((x - centre[0]) / (0.3 * shot.width)) ** 2 + ((y - centre[1]) / (0.4 * shot.height)) ** 2
        alpha = take.interpolate(1.0, 0.5) * (1 - smooth(r, take.interpolate(0.85, 0.4), 1.0)) * (1 - frame.person)
        alpha = np.where(alpha < 0.05, 0, alpha).astype(np.float32)
        box = x0, y0, x1, y1 = find_box(alpha)
        new = take.camera.focus(other.render(i, shot.camera_shift(i)))[y0:y1, x0:x1]
        yield Forged(image=blend(frame.image, new, alpha, box), alpha=alpha, points=frame.points)


def group_removed(points: Array) -> dict[str, list[Array]]:
    """The groups of landmarks around what is removed."""
    right = (points[3] + points[31] + points[40]) / 3
    cheek = right + 0.6 * np.stack([points[3] - right, points[31] - right, points[40] - right, points[48] - right])
    return {"cheek": [cheek], **group_parts(points)}


def inpaint(take: Take) -> Iterator[Forged]:
    """A part removed and filled from around it, each frame for itself."""
    part, grow = draw_part(take, REMOVED), take.interpolate(1.2, 0.7)
    for frame in take.frames:
        alpha = cover_groups(frame.image.shape, group_removed(frame.points)[part], grow, 0.5)
        box = x0, y0, x1, y1 = find_box(alpha, room=6)
        old = cv2.convertScaleAbs(np.clip(frame.image[y0:y1, x0:x1], 0, 1), alpha=255)
        hole = (alpha[y0:y1, x0:x1] > 0).astype(np.uint8)
        new = cv2.inpaint(old, hole, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
        yield Forged(image=blend(frame.image, new, alpha, box), alpha=alpha, points=frame.points)
