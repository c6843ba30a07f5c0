"""Streets by day and in the evening."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.studio.scenery.paint import Array, Canvas, draw_clouds, make_ramp, mix_hue, mix_tint
from datamodules.studio.scenery.park import paint_trees
from datamodules.studio.scenery.stage import Mover, Scenery, Stage, hold_still, make_glint, make_walker, pad

FACADES = (
    (0.30, 0.15, 0.10),
    (0.45, 0.36, 0.25),
    (0.38, 0.37, 0.35),
    (0.5, 0.42, 0.32),
    (0.22, 0.2, 0.19),
    (0.55, 0.52, 0.47),
)
LAMPS = ((1.3, 0.75, 0.3), (1.2, 0.95, 0.6), (0.9, 1.0, 1.1), (1.3, 0.6, 0.2))
SIGNS = ((1.3, 0.15, 0.08), (0.15, 1.0, 0.4), (0.2, 0.4, 1.3), (1.2, 0.3, 0.8), (1.2, 0.9, 0.4))


def paint_facade(stage: Stage, metres: float, wide: float, night: bool) -> Canvas:
    """The fronts of some houses in a row, a pavement at their feet 1.5 m below the middle."""
    rng = stage.rng
    canvas = stage.make_canvas(metres, wide=wide)
    r, top = canvas.right, canvas.top
    x = -r - rng.uniform(0, 4)
    while x < r:
        w, floor = rng.uniform(4, 11), rng.uniform(2.8, 3.8)
        colour = np.array(FACADES[rng.integers(len(FACADES))]) * np.exp(0.2 * rng.standard_normal())
        colour = (colour * (0.05 if night else 1)).astype(np.float32)
        canvas.fill_box(x, -1.5, x + w, top + 9, colour)
        pane = mix_tint(rng, (0.03, 0.2), -0.1) * (0.05 if night else 1)
        gap, part = rng.uniform(1.3, 2.6), rng.uniform(0.35, 0.6)
        trim = colour * rng.uniform(0.6, 1.6)
        for y in np.arange(-1.5 + floor, top + 2, floor):
            canvas.fill_box(x, y - 0.12, x + w, y, trim, down=0.4)
            for a in np.arange(x + 0.4, x + w - gap * part - 0.2, gap):
                glass = pane * np.exp(0.4 * rng.standard_normal())
                if stage.toss(0.35 if night else 0.0):
                    glass = np.array(LAMPS[rng.integers(3)]) * rng.uniform(0.1, 0.9)
                elif stage.toss(0.25):
                    glass = glass * 2.5 + (0.0 if night else 0.05)
                canvas.fill_box(a - 0.08, y + 0.7, a + gap * part + 0.08, y + floor - 0.5, trim)
                canvas.fill_box(a, y + 0.78, a + gap * part, y + floor - 0.58, glass, down=-0.3)
        shop = mix_tint(rng, (0.03, 0.3), 0.05, 0.2) * (0.1 if night else 1)
        canvas.fill_box(x + 0.2, -1.5, x + w - 0.2, -1.5 + floor - 0.2, shop)
        glow = np.array(LAMPS[rng.integers(3)]) * rng.uniform(0.15, 0.9) if night else mix_tint(rng, (0.04, 0.3), 0.05)
        for a in np.arange(x + 0.5, x + w - 1.2, 1.9):
            canvas.fill_box(a, -1.0, a + 1.7, -1.5 + floor - 0.9, glow * np.exp(0.4 * rng.standard_normal()), down=0.3)
        sign = mix_hue(rng, rng.uniform(0.05, 0.25), 0.45) * (0.1 if night else 1)
        if night and stage.toss(0.4):
            sign = np.array(SIGNS[rng.integers(len(SIGNS))], np.float32)
        canvas.fill_box(x + 0.3, -1.5 + floor - 0.75, x + w - 0.3, -1.5 + floor - 0.2, sign, opacity=0.9)
        x += w
    canvas.mottle(rng, 1.0, 0.08)
    return canvas


def paint_car(stage: Stage, scale: float, light: float, night: bool) -> Canvas:
    """A car from its side."""
    rng = stage.rng
    canvas = Canvas(int(4.8 * scale) + 4, int(1.9 * scale) + 4, scale, channels=4)
    paint = mix_tint(rng, (0.02, 0.7), 0, 0.08) if stage.toss(0.7) else mix_hue(rng, rng.uniform(0.05, 0.2), 0.55)
    paint, glass = paint * light, mix_tint(rng, (0.02, 0.12), -0.1) * light
    roof = rng.uniform(0.6, 0.85)
    canvas.fill(
        [(-2.2, -0.55), (2.25, -0.55), (2.25, 0.05), (1.5, 0.15), (-2.15, 0.2), (-2.3, -0.1)],
        paint,
        soft=0.04,
        down=0.5,
    )
    canvas.fill([(-1.9, 0.15), (1.4, 0.12), (0.7, roof), (-1.3, roof)], paint, soft=0.04)
    canvas.fill([(-1.6, 0.18), (1.15, 0.16), (0.6, roof - 0.1), (-1.15, roof - 0.1)], glass)
    for x in (-1.4, 1.45):
        canvas.fill_oval(x, -0.5, 0.34, 0.34, np.full(3, 0.01 * light))
    if night:
        canvas.fill_oval(2.2, -0.1, 0.16, 0.14, (9.0, 8.5, 7.0))
        canvas.fill_oval(-2.2, 0.0, 0.14, 0.12, (5.0, 0.3, 0.15))
    return canvas


def build_street(stage: Stage, night: bool = False) -> Scenery:
    """A street: houses across it or on both sides of it, cars, people, trees."""
    rng = stage.rng
    light = 0.06 if night else 1.0
    blur = rng.uniform(0.022, 0.045) if night else rng.uniform(0.013, 0.03)
    along = stage.toss(0.55)
    metres = rng.uniform(6, 9) if along else rng.uniform(7, 13)
    sky = mix_tint(rng, 0.006, -0.25, 0.1) if night else mix_tint(rng, (1.2, 3.5), -0.12, 0.1)
    canvas = stage.make_canvas(metres, sky)
    r, top = canvas.right, canvas.top
    if not night:
        h, w = canvas.image.shape[:2]
        canvas.image *= (0.75 + 0.4 * make_ramp(h, 0, 0.6 * h))[:, None, None]
        canvas.image *= np.exp(0.12 * draw_clouds(rng, h, w, 0.4 * h, 4))[..., None]
    if along:
        vanish = rng.uniform(-0.35, 0.35) * r, rng.uniform(-0.05, 0.1) * top
        both = stage.toss(0.6)
        sides = (-1, 1) if both else (int(rng.choice([-1, 1])),)
        if not both or stage.toss(0.5):
            paint_trees(canvas, stage, vanish[1] + rng.uniform(0.15, 0.5) * top, light, rng.uniform(0.1, 0.25))
        paint_ground(canvas, stage, vanish[1], light)
        for side in sides:
            paint_receding(canvas, stage, paint_facade(stage, 12, 1.0, night), vanish, side)
    else:
        front = paint_facade(stage, metres, 1.0, night).image
        roof = int(rng.uniform(-0.3, 0.25) * canvas.image.shape[0])
        line = max(roof, 0)
        canvas.image[line:] = front[line:]
        paint_ground(canvas, stage, -1.5, light)
        if stage.toss(0.5):
            paint_trees(canvas, stage, rng.uniform(0, 0.6) * top, light, rng.uniform(0.1, 0.4))
    canvas.light([(rng.uniform(-r, r), top, 0.5 * metres, mix_tint(rng, 0.6, 0.05))], np.full(3, 0.6, np.float32))
    foot = -1.5 if not along else vanish[1] - 1.5
    for _ in range(rng.integers(1, 4)):  # parked
        vehicle = paint_car(stage, canvas.scale, light, False)
        paste(
            canvas.image,
            vehicle.image,
            rng.uniform(-0.1, 1.1) * stage.width,
            stage.height / 2 + (0.8 - foot) * canvas.scale,
        )
    radius = blur * stage.across
    movers: list[Mover] = []
    t = stage.seconds
    for _ in range(rng.integers(0, 3)):
        vehicle, way = paint_car(stage, canvas.scale, light, night), int(rng.choice([-1, 1]))
        image = np.ascontiguousarray(pad(vehicle, radius)[:, ::way])
        x = stage.width * rng.uniform(0.1, 0.9) + way * rng.uniform(3, 9) * canvas.scale * (
            t - rng.uniform(0, t[-1] + 0.5)
        )
        y = np.full(len(t), stage.height / 2 + (0.45 - foot) * canvas.scale)
        movers.append(Mover(image, np.stack([x, y], 1), np.ones(len(t))))
    movers += [
        make_walker(stage, canvas.scale, foot - rng.uniform(0, 0.6), radius, light) for _ in range(rng.integers(0, 4))
    ]
    if night and stage.toss(0.6):
        movers.append(make_traffic_light(stage, radius))
    if night:
        paint_street_lights(canvas, stage)
        wet_road(canvas, foot, rng.uniform(0.2, 0.6))
    return Scenery(
        far=canvas.image, movers=movers, blur=blur, key=rng.uniform(0.012, 0.04) if night else rng.uniform(0.12, 0.32),
        sway=hold_still(stage),
    )  # fmt: skip


def build_evening(stage: Stage) -> Scenery:
    """A street at night, lights as large discs."""
    return build_street(stage, night=True)


def paint_ground(canvas: Canvas, stage: Stage, level: float, light: float) -> None:
    """A road and its kerb from the horizon or the houses' feet down."""
    rng, r, top = stage.rng, canvas.right, canvas.top
    grey = mix_tint(rng, (0.1, 0.3), 0.02, 0.05) * light
    canvas.fill_box(-r, -top - 0.2, r, level, grey, down=-0.3)
    canvas.fill_box(-r, level - 0.25, r, level, grey * rng.uniform(1.1, 1.6))


def paint_receding(canvas: Canvas, stage: Stage, front: Canvas, vanish: tuple[float, float], side: int) -> None:
    """Fronts along one side of a street that runs away from the camera."""
    h, w = canvas.image.shape[:2]
    middle = np.array([w / 2, h / 2])
    vx, vy = np.array(vanish) * (canvas.scale, -canvas.scale) + middle
    edge = (w if side > 0 else 0) + side * 0.1 * w
    reach = stage.rng.uniform(0.06, 0.2)  # how near the vanishing point the last house ends
    fh, fw = front.image.shape[:2]
    foot = fh / 2 + 1.5 * front.scale
    low, high = h / 2 + stage.rng.uniform(0.45, 0.8) * h / 2 * 1.2, -stage.rng.uniform(0.5, 1.5) * h
    ends = [(edge, high), (vx + (edge - vx) * reach, vy + (high - vy) * reach)]
    feet = [(edge, low), (vx + (edge - vx) * reach, vy + (low - vy) * reach)]
    source = np.array([(0, 0), (fw, 0), (0, foot), (fw, foot)], np.float32)
    target = np.array([ends[0], ends[1], feet[0], feet[1]], np.float32)
    turn = cv2.getPerspectiveTransform(source, target)
    image = cv2.warpPerspective(front.image[: int(foot)], turn, (w, h), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones((int(foot), fw), np.float32), turn, (w, h))[..., None]
    shade = np.float32(np.exp(stage.rng.uniform(-0.9, 0.35)))  # one side of a street has the sun
    canvas.image += cover * (image * shade - canvas.image)


def paste(image: Array, layer: Array, x: float, y: float) -> None:
    """Puts an (h, w, 4) layer about a middle, in place."""
    h, w = layer.shape[:2]
    x0, y0 = int(x - w / 2), int(y - h / 2)
    a, b = max(-x0, 0), max(-y0, 0)
    part = image[max(y0, 0) : max(y0 + h, 0), max(x0, 0) : max(x0 + w, 0)]
    cut = layer[b : b + part.shape[0], a : a + part.shape[1]]
    part += cut[..., :3] - cut[..., 3:] * part


def make_traffic_light(stage: Stage, radius: float) -> Mover:
    """A lamp that shows for a while and then does not."""
    rng, t = stage.rng, stage.seconds
    red = stage.toss(0.5)
    colour = np.array([1.1, 0.06, 0.03] if red else [0.05, 0.9, 0.45], np.float32)
    switch = rng.uniform(0.2, 1.2) * max(float(t[-1]), 0.5)
    strength = (t < switch if stage.toss(0.5) else t >= switch) * 0.9
    at = stage.width * (0.5 + rng.choice([-1, 1]) * rng.uniform(0.15, 0.4)), stage.height * rng.uniform(0.15, 0.45)
    return make_glint(stage, at, radius, colour, strength)


def paint_street_lights(canvas: Canvas, stage: Stage) -> None:
    """Lamps in rows that run away, and any number of lights far off."""
    rng, r, top = stage.rng, canvas.right, canvas.top
    colour = np.array(LAMPS[rng.integers(len(LAMPS))], np.float32)
    vx, vy = rng.uniform(-0.4, 0.4) * r, rng.uniform(-0.1, 0.1) * top
    for side in (-1, 1):
        for k in range(int(rng.integers(3, 8))):
            near = 1 / (1 + 0.7 * k)
            x, y = vx + side * 1.1 * r * near, vy + 0.9 * top * near
            canvas.fill_oval(x, y, 0.05 + 0.14 * near, 0.04 + 0.08 * near, colour * rng.uniform(4, 9))
    spread = rng.uniform(0.05, 0.3)
    for _ in range(rng.integers(10, 60)):
        pick = LAMPS[rng.integers(len(LAMPS))] if stage.toss(0.75) else SIGNS[rng.integers(len(SIGNS))]
        size = rng.uniform(0.03, 0.09)
        x, y = rng.uniform(-r, r), vy + spread * top * rng.standard_normal()
        canvas.fill_oval(x, y, size, size, np.array(pick) * float(np.exp(rng.uniform(-0.5, 2.3))))


def wet_road(canvas: Canvas, level: float, share: float) -> None:
    """A wet road mirrors what is above it, drawn long."""
    h = canvas.image.shape[0]
    line = int(h / 2 - level * canvas.scale)
    below = h - line
    if below < 4 or line < 4:
        return
    above = canvas.image[max(line - 2 * below, 0) : line][::-1]
    mirrored = cv2.resize(above, (canvas.image.shape[1], below), interpolation=cv2.INTER_AREA)
    mirrored = cv2.GaussianBlur(mirrored, (0, 0), sigmaX=0.8, sigmaY=max(below / 6, 1))
    canvas.image[line:] += np.float32(share) * mirrored
