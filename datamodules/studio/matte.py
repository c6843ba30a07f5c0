"""Cutting a person out of a portrait: the share of person in every pixel, and colours without the backdrop."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces.landmarks.points import BROWS
from datamodules.studio.plain_backdrop import SUM, fit_backdrop, measure_contrast, square

Array = NDArray[np.float32]
Mask = NDArray[np.uint8]  # 0 or 1; OpenCV takes no booleans

CUT_SIDE = 160  # pixels of the longer side of the copy that a person is cut out of clutter in
NOISE = 5.0  # levels from the backdrop that JPEG's noise does not reach
CORE = 4.0  # pixels from the backdrop from which a colour may be the person's alone
HAIR = 24.0  # pixels that the backdrop may shine through hair


def cut_out(photo: NDArray[np.uint8], points: Array) -> tuple[Array, Array]:
    """The person of a portrait of about 700 pixels without its backdrop.

    Args:
        photo: (H, W, 3) RGB.
        points: The 68 landmarks (68, 2) of the person's face.

    Returns:
        Foreground colours (H, W, 3) in [0, 1], continued beyond the silhouette, and the share of person (H, W).
    """
    image = photo.astype(np.float32)
    points = points.astype(np.float32)
    backdrop = fit_backdrop(image, points)
    if backdrop is None:
        return cut_out_of_clutter(photo, points)
    return cut_out_of_plain(image, backdrop, points)


def cut_out_of_plain(image: Array, backdrop: Array, points: Array) -> tuple[Array, Array]:
    """The person before a backdrop that is known."""
    contrast = image - backdrop
    distance = measure_contrast(contrast)
    soft = cv2.GaussianBlur(contrast, (0, 0), 0.8)
    person, cloth, gate = find_silhouette(soft, points)
    depth = cv2.distanceTransform(person, cv2.DIST_L2, 3)
    colour = continue_colours(image, distance, depth, person, cloth)

    against = colour - backdrop
    power = cv2.transform(against * against, SUM)
    mixed = np.clip(cv2.transform(contrast * against, SUM) / np.maximum(power, 1), 0, 1)
    # no mixture of both makes a colour far from the line between them: a highlight, for one
    aside = measure_contrast(contrast - mixed[..., None] * against)
    strength = np.sqrt(power) + 1
    floor = 0.01 + 4 / strength
    share = np.maximum((mixed - floor) / (0.95 - 2 * floor), (aside - 8 - 0.1 * strength) / 16)

    share = close_hair(share, distance, depth, person, cloth, points)
    share = np.maximum(share, find_lit_ears(soft, points))
    # cloth is opaque but for its edge
    edge = (distance - 3) / np.clip(0.9 * measure_contrast(against) - 3, 6, 60)
    share = np.where(cloth > 0, np.maximum(edge, depth - 2), share)
    alpha = np.clip(share, 0, 1) * np.maximum(gate, np.clip(depth - 2, 0, 1))
    return decontaminate(image, backdrop, colour, alpha), alpha


def find_silhouette(soft: Array, points: Array) -> tuple[Mask, Mask, Array]:
    """Pixels (H, W) with any share of person, those of bright clothes, and how surely a pixel is not backdrop's noise.

    Args:
        soft: Difference from the backdrop, without noise (H, W, 3).
        points: The landmarks.
    """
    distance = measure_contrast(soft)
    skull = draw_skull(distance.shape, points)
    person = (distance > NOISE + 3 * skull).astype(np.uint8)
    cv2.fillConvexPoly(person, cv2.convexHull(points.astype(np.int32)), 1)

    # specks of dirt on the backdrop are not hair: hair is within a few pixels of the rest
    _, pieces = cv2.connectedComponents(cv2.dilate(person, square(5)))
    x, y = points[30].astype(int)
    person &= (pieces == pieces[y, x]).astype(np.uint8)

    # cloth is brighter or bluer than the backdrop, below the lips
    lips = int(points[57, 1])
    light = cv2.transform(soft, SUM / 3)
    blue = (soft[..., 2] - soft[..., 0] > 4) & (light > -40)
    cloth = person & ((light > 4) | blue).astype(np.uint8)
    cloth[:lips] = 0
    cloth = cv2.morphologyEx(cloth, cv2.MORPH_OPEN, square(3))
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(cloth, connectivity=4)
    cloth &= (stats[:, 4] > 0.002 * cloth.size).astype(np.uint8)[pieces]  # no overshoot of sharpening around hair
    cloth = cv2.morphologyEx(cloth, cv2.MORPH_CLOSE, square(9))
    near = cv2.dilate(cloth, square(7))
    cloth |= near & person & (light > -10)
    cloth = (cv2.blur(cloth * 255, (9, 9)) > 127).astype(np.uint8)  # the median, faster
    person |= cloth

    # gaps between strands show the backdrop; a shirt's shade of the same colour does not, nor does a highlight
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(1 - person, connectivity=4)
    left, top, right, area = stats[:, 0], stats[:, 1], stats[:, 0] + stats[:, 2], stats[:, 4]
    height, width = person.shape
    outside = (((left == 0) | (right == width)) & (top < height * 0.9)) | (top == 0)
    rim = (cv2.dilate(person, square(3)) > person).ravel()
    clad = np.bincount(pieces.ravel()[rim], near.ravel()[rim], count) > 0.6 * np.bincount(
        pieces.ravel()[rim], None, count
    )
    shiny = (np.bincount(pieces[skull > 0], minlength=count) > 0.5 * area) & (area < 150)
    filled = ~outside & (clad | shiny)
    filled[0] = False
    closed = filled[pieces]
    person[closed] = 1
    cloth[lips:][closed[lips:]] = 1
    gate = np.maximum(closed, np.clip((distance - 4) / 4, 0, 1)) * person
    return person, cloth & person, gate.astype(np.float32)


def close_hair(share: Array, distance: Array, depth: Array, person: Mask, cloth: Mask, points: Array) -> Array:
    """The share of person with hair made opaque unless a way of ever thinner hair leads to the backdrop."""
    seam = (cv2.dilate(cloth, square(7)) > 0) & (depth > 2)
    highlight = (draw_skull(person.shape, points) > 0) & (depth > 10)
    hair = (person > 0) & (cloth == 0) & ~seam & ~highlight
    clear = (person == 0) | (hair & (share < 0.1) & (distance < 15))
    depth = cv2.distanceTransform((~clear).astype(np.uint8), cv2.DIST_L2, 3)
    thin = (hair | clear) & (share < 0.9) & (depth < HAIR)
    count, pieces = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8)
    leads = np.bincount(pieces[clear], minlength=count) > 8
    leads[0] = False
    way = cv2.dilate(leads[pieces].astype(np.uint8), square(3))
    return np.where(way > 0, np.maximum(share, (depth - HAIR + 4) / 4), 1).astype(np.float32)


def find_lit_ears(soft: Array, points: Array) -> Array:
    """How surely (H, W) a pixel is of an ear: light shines through it and makes it as bright as a backdrop, yet red.

    Args:
        soft: Difference from the backdrop, without noise (H, W, 3).
        points: The landmarks.
    """
    ears = np.zeros(soft.shape[:2], np.uint8)
    across, down = points[16] - points[0], points[33] - points[27]
    for corner, side in ((points[0], -1), (points[16], 1)):
        x, y = corner + side * 0.08 * across + 0.15 * down
        size = (int(0.16 * np.linalg.norm(across)), int(0.9 * np.linalg.norm(down)))
        cv2.ellipse(ears, (int(x), int(y)), size, float(np.degrees(np.arctan2(across[1], across[0]))), 0, 360, 1, -1)
    red = ears & (soft[..., 0] - soft[..., 2] > 16).astype(np.uint8)
    # blond strands are red too, but no areas
    red = cv2.morphologyEx(red, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    return cv2.GaussianBlur(cv2.erode(red, square(3)).astype(np.float32), (0, 0), 0.8)


def draw_skull(shape: tuple[int, ...], points: Array) -> Mask:
    """1 where no backdrop shines through, whatever the light on a face and on the hair above it (H, W)."""
    brows = points[[*BROWS]]
    middle = brows.mean(0)
    top = middle + 0.6 * (brows - middle) + 0.95 * (middle - points[8])
    outline = cv2.convexHull(np.concatenate([points, top]).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), outline, 1)


def continue_colours(image: Array, distance: Array, depth: Array, person: Mask, cloth: Mask) -> Array:
    """The person's own colour near each pixel (H, W, 3), of clothes or of skin and hair."""
    # what differs less than its surroundings has backdrop in it, and tells least of the person's own colour
    purity = distance / np.maximum(cv2.dilate(distance, square(15)), 60)
    bare = person - cloth
    colour = spread_colours(image, (depth > CORE) * bare * (purity * purity * purity))
    clothes = spread_colours(image, (cloth * (depth > 2)).astype(np.float32))
    small = cv2.resize(
        np.dstack([cloth, bare]).astype(np.float32), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
    )
    wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), 6), person.shape[::-1])
    dressed = np.where(person > 0, cloth > 0, wide[..., 0] > wide[..., 1])
    cv2.copyTo(clothes, dressed.astype(np.uint8), colour)
    return colour


def spread_colours(image: Array, known: Array) -> Array:
    """Colours where `known` is above 0, carried on to everywhere else, the farther the smoother."""
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(known.astype(np.float32), half.shape[1::-1], interpolation=cv2.INTER_AREA)
    half = np.dstack([half * weight[..., None], weight])
    total = np.zeros_like(half)
    for step in (1, 4, 16):
        part = cv2.resize(half, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        part = cv2.resize(cv2.GaussianBlur(part, (0, 0), 1.5), half.shape[1::-1])
        share = (1 - total[..., 3]) * np.minimum(part[..., 3] * 8, 1)
        total += part * (share / np.maximum(part[..., 3], 1e-6))[..., None]
    mean = half.mean((0, 1))
    total += mean / np.maximum(mean[3], np.float32(1e-6)) * (1 - total[..., 3:])
    return cv2.resize(total[..., :3], image.shape[1::-1])


def decontaminate(image: Array, backdrop: Array, colour: Array, alpha: Array) -> Array:
    """Colours (H, W, 3) in [0, 1] of the person alone: measured where there is much of the person, else `colour`."""
    result = colour.copy()
    cv2.copyTo(image, (alpha >= 1).astype(np.uint8), result)
    part = (alpha > 0.75) & (alpha < 1)
    share = alpha[part][:, None]
    pure = (image[part] - (1 - share) * backdrop[part]) / share
    result[part] += (share * 4 - 3) * (pure - result[part])
    result /= 255
    return np.clip(result, 0, 1, out=result)


def cut_out_of_clutter(photo: NDArray[np.uint8], points: Array) -> tuple[Array, Array]:
    """The person before anything: by colours, from a prior of head and shoulders around the landmarks."""
    height, width = photo.shape[:2]
    scale = min(CUT_SIDE / max(height, width), 1)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    labels = draw_prior(small.shape, points * scale)
    if (labels & 1).all():  # a face as large as the frame
        return photo.astype(np.float32) / np.float32(255), np.ones((height, width), np.float32)
    cv2.setRNGSeed(0)  # the clusters of colours that it begins with are drawn
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    person = (labels & 1).astype(np.uint8)  # GC_FGD is 1, GC_PR_FGD 3

    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, square(3))
    _, pieces = cv2.connectedComponents(person)
    x, y = (points[30] * scale).astype(int)
    person = (pieces == pieces[y, x]).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(1 - person, connectivity=4)
    right, bottom = stats[:, 0] + stats[:, 2], stats[:, 1] + stats[:, 3]
    inner = (stats[:, 0] > 0) & (stats[:, 1] > 0) & (right < small.shape[1]) & (bottom < small.shape[0])
    inner[0] = False
    person[inner[pieces]] = 1

    blurred = cv2.GaussianBlur(cv2.resize(person.astype(np.float32), (width, height)), (0, 0), 0.5 / scale)
    image = photo.astype(np.float32)
    alpha = follow_edges(blurred, cv2.transform(image, SUM / 765), round(4 / scale))
    alpha = np.clip((alpha - 0.15) / 0.7, 0, 1)
    depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    colour = spread_colours(image, np.clip(depth - 2 / scale, 0, 1))
    backdrop = spread_colours(image, (cv2.dilate(alpha, square(5)) < 0.02).astype(np.float32))
    return decontaminate(image, backdrop, colour, alpha), alpha


def draw_prior(shape: tuple[int, ...], points: Array) -> Mask:
    """GrabCut's labels (H, W) of where head and shoulders are."""
    height, width = shape[:2]
    centre, face = (points[0] + points[16]) / 2, float(np.linalg.norm(points[16] - points[0]))
    chin = points[8]
    head = (int(centre[0]), int(centre[1] - 0.1 * face))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[max(int(chin[1] - 0.2 * face), 0) :] = cv2.GC_PR_BGD
    for grow, label in ((1.4, cv2.GC_PR_BGD), (1.0, cv2.GC_PR_FGD)):
        cv2.ellipse(labels, head, (int(0.7 * grow * face), int(1.05 * grow * face)), 0, 0, 360, label, -1)
    likely = [(0.4, -0.2), (1.1, 0.25), (1.6, 0.8), (1.8, 2)]  # face widths sideways and down from the chin
    sure = [(0.1, 0.2), (0.6, 0.75), (1.0, 2)]
    for corners, label in ((likely, cv2.GC_PR_FGD), (sure, cv2.GC_FGD)):
        shoulder = np.array(corners) * face
        body = np.concatenate([chin + shoulder, chin + (shoulder * (-1, 1))[::-1]])
        cv2.fillPoly(labels, [body.astype(np.int32)], label)
    cv2.fillConvexPoly(labels, cv2.convexHull(points.astype(np.int32)), cv2.GC_FGD)
    return labels


def follow_edges(mask: Array, guide: Array, radius: int) -> Array:
    """A soft mask (H, W) moved to the edges of `guide` (H, W): the guided filter of He et al. (2010)."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean, middle = cv2.blur(guide, size), cv2.blur(mask, size)
    slope = (cv2.blur(guide * mask, size) - mean * middle) / (cv2.blur(guide * guide, size) - mean * mean + 1e-4)
    return cv2.blur(slope, size) * guide + cv2.blur(middle - slope * mean, size)
