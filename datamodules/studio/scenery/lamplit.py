"""Rooms with lamps in the picture: a living room, a café, a hall full of people."""

from __future__ import annotations

import numpy as np

from datamodules.studio.scenery.furniture import (
    cast_shadow,
    drape,
    hang_pictures,
    paint_bookcase,
    paint_plant,
    paint_wall,
    pick_wood,
    place_plant,
)
from datamodules.studio.scenery.paint import Array, Canvas, mix_hue, mix_tint, wander
from datamodules.studio.scenery.stage import Lamp, Scenery, Stage, finish_wall, hold_still, make_walker

WARM = np.array([1.25, 0.92, 0.52], np.float32)


def place_lamp(canvas: Canvas, stage: Stage, x: float, y: float, size: float, stand: float) -> Lamp:
    """A lamp with a shade of cloth, and the light that it gives its wall."""
    rng = stage.rng
    warm = WARM * np.exp(0.1 * rng.standard_normal(3)).astype(np.float32)
    canvas.fill_box(x - 0.012, y - stand, x + 0.012, y, mix_tint(rng, (0.02, 0.3), 0.1))
    canvas.fill_oval(x, y - stand, 0.5 * size, 0.05, mix_tint(rng, (0.02, 0.3), 0.1))
    narrow, power = rng.uniform(0.5, 0.95), rng.uniform(1.2, 3.0)
    tall = size * rng.uniform(0.9, 1.6)
    half = [(x - size, y), (x + size, y), (x + narrow * size, y + tall), (x - narrow * size, y + tall)]
    canvas.fill(half, warm * power, down=-0.4)
    canvas.fill_oval(x, y + 0.4 * tall, 0.55 * size, 0.35 * tall, warm * power * 1.8, soft=0.25 * size)
    return x, y + 0.3 * tall, rng.uniform(0.35, 0.7), warm * rng.uniform(0.8, 1.8)


def build_living_room(stage: Stage) -> Scenery:
    """A lamp that glows, pictures, a sofa, plants."""
    rng = stage.rng
    canvas = paint_wall(stage, rng.uniform(1.7, 2.4), wide=1.2)
    r, top, side = canvas.right, canvas.top, rng.choice([-1, 1])
    if stage.toss(0.35):
        x0, x1 = sorted((side * 0.3 * r, side * 1.1 * r))
        paint_bookcase(canvas, stage, x0, -top, x1, rng.uniform(0.2, 1) * top)
    elif stage.toss(0.4):
        x0, x1 = sorted((side * rng.uniform(0.5, 0.8) * r, side * 1.1 * r))
        drape(canvas, stage, x0, x1, mix_tint(rng, (0.08, 0.6), 0.08, 0.12))
    else:
        hang_pictures(canvas, stage, -0.9 * r, 0.9 * r)
    if stage.toss(0.6):
        back = rng.uniform(-0.75, -0.4)
        cloth = mix_tint(rng, (0.05, 0.5), 0.05, 0.18)
        cast_shadow(canvas, -0.9, -top, 0.9, back, 0.25, 0.3)
        x = rng.uniform(-1.2, -0.4)
        for k in range(int(rng.integers(2, 4))):
            a = x + 0.75 * k
            canvas.fill_box(a, -top, a + 0.74, back + 0.02 * rng.standard_normal(), cloth, soft=0.03, down=0.4)
        for _ in range(rng.integers(0, 4)):
            a = x + rng.uniform(0, 2)
            canvas.fill_box(
                a, back - 0.35, a + 0.4, back + 0.04, mix_tint(rng, (0.08, 0.6), 0.05, 0.3), soft=0.04, down=0.3
            )
    if stage.toss(0.5):
        paint_plant(canvas, stage, -side * rng.uniform(0.5, 0.8) * r, -top, rng.uniform(0.8, 1.5), 0.9)
    x = -side * rng.uniform(0.35, 0.75) * r
    lights = [place_lamp(canvas, stage, x, rng.uniform(-0.15, 0.5), rng.uniform(0.12, 0.24), rng.uniform(0.5, 2))]
    if stage.toss(0.3):
        lights.append(place_lamp(canvas, stage, -x * rng.uniform(0.8, 1.2), rng.uniform(-0.2, 0.3), 0.14, 0.6))
    shine(canvas, lights, mix_tint(rng, (0.12, 0.5), 0.03, 0.08))
    near = place_plant(stage, light=0.3) if stage.toss(0.3) else None
    flicker = wander(rng, stage.seconds, 0.02, 1.0, 4.0) if stage.toss(0.3) else wander(rng, stage.seconds, 0.0)
    return Scenery(
        far=finish_wall(stage, canvas), near=near, blur=rng.uniform(0.009, 0.024), near_blur=rng.uniform(0.012, 0.03),
        key=rng.uniform(0.06, 0.22), sway=hold_still(stage), brightness=1 + flicker,
    )  # fmt: skip


def shine(canvas: Canvas, lights: list[Lamp], ambient: Array, glow: float = 1.0) -> None:
    """Lights the wall, but not what glows itself."""
    glowing = canvas.image.copy()
    canvas.light(lights, ambient)
    itself = np.clip(glowing.max(2, keepdims=True) - glow, 0, 0.4) / np.float32(0.4)
    canvas.image += itself * (glowing - canvas.image)


def build_cafe(stage: Stage) -> Scenery:
    """Shelves of bottles, lamps that hang, people at tables and on their way."""
    rng = stage.rng
    canvas = paint_wall(stage, rng.uniform(2.2, 3.2), wide=1.1)
    r, top = canvas.right, canvas.top
    canvas.image *= rng.uniform(0.3, 0.8)
    board = pick_wood(rng)
    x0, x1 = -r * rng.uniform(0.2, 1), r * rng.uniform(0.2, 1)
    for y in np.arange(rng.uniform(-0.3, 0.1), top, rng.uniform(0.38, 0.55)):
        x = x0
        while x < x1 - 0.1:
            w, h = rng.uniform(0.05, 0.12), rng.uniform(0.1, 0.33)
            if stage.toss(0.75):
                glass = mix_hue(rng, float(np.exp(rng.uniform(-3.5, -0.8))), 0.5)
                canvas.fill_box(x, y, x + w, y + 0.65 * h, glass, across=0.6)
                canvas.fill_box(x + 0.35 * w, y, x + 0.65 * w, y + h, glass * 0.8)
                if stage.toss(0.5):
                    canvas.fill_box(x, y + 0.1 * h, x + w, y + 0.35 * h, mix_tint(rng, (0.2, 0.7), 0.1))
                if stage.toss(0.15):  # a lamp mirrored in it
                    mirrored = WARM * np.float32(np.exp(rng.uniform(-1, 2)))
                    canvas.fill_box(x + 0.25 * w, y + 0.4 * h, x + 0.4 * w, y + 0.6 * h, mirrored)
            x += w + rng.uniform(0.01, 0.09)
        canvas.fill_box(x0 - 0.05, y - 0.04, x1 + 0.05, y, board, down=0.4)
    bar = rng.uniform(-0.75, -0.4)
    canvas.fill_box(-r, -top, r, bar, pick_wood(rng) * 0.5, down=0.5)
    canvas.fill_box(-r, bar, r, bar + 0.05, pick_wood(rng))
    for _ in range(rng.integers(0, 4)):  # who sits there
        x, skin = rng.uniform(-r, r), mix_tint(rng, (0.1, 0.4), 0.28, 0.05)
        canvas.fill_oval(x, bar - 0.05, 0.24, 0.33, mix_tint(rng, (0.02, 0.4), 0, 0.2), down=0.4)
        canvas.fill_oval(x, bar + 0.42, 0.085, 0.12, skin, across=0.4)
        canvas.fill_oval(x, bar + 0.47, 0.095, 0.09, mix_tint(rng, (0.01, 0.1), 0.15))
    lights: list[Lamp] = []
    y, size, kind = rng.uniform(0.45, 0.8) * top, rng.uniform(0.06, 0.16), stage.toss(0.5)
    for x in np.arange(-0.9 * r + rng.uniform(0, 0.5), r, rng.uniform(0.5, 1.1)):
        x, warm = x + rng.normal(0, 0.04), WARM * np.float32(rng.uniform(0.85, 1.15))
        canvas.fill_box(x - 0.008, y, x + 0.008, top + 1, (0.01, 0.01, 0.01))
        if kind:
            canvas.fill(
                [(x - size, y - 0.02), (x + size, y - 0.02), (x + 0.3 * size, y + size), (x - 0.3 * size, y + size)],
                board * 0.3,
            )
        canvas.fill_oval(x, y - 0.03, 0.6 * size, 0.45 * size, warm * rng.uniform(5, 14))
        lights.append((x, y - 0.15, 0.6, warm * 0.7))
    shine(canvas, lights, mix_tint(rng, (0.1, 0.3), 0.1, 0.1), 1.5)
    blur = rng.uniform(0.014, 0.03)
    movers = [make_walker(stage, canvas.scale, -1.25, blur * stage.across, 0.4) for _ in range(rng.integers(0, 3))]
    return Scenery(
        far=finish_wall(stage, canvas),
        movers=movers,
        blur=blur,
        key=rng.uniform(0.05, 0.15),
        sway=hold_still(stage),
    )


def build_hall(stage: Stage) -> Scenery:
    """Rows of people under rows of lamps, a lit stage or a wall behind them."""
    rng = stage.rng
    metres = rng.uniform(3.5, 6)
    canvas = stage.make_canvas(metres, mix_tint(rng, (0.04, 0.5), 0.05, 0.1))
    r, top = canvas.right, canvas.top
    horizon = rng.uniform(-0.1, 0.15) * top
    canvas.fill_box(-r, horizon + 0.5 * (top - horizon), r, top, mix_tint(rng, (0.2, 0.7), 0.03, 0.04), down=0.4)
    width = rng.uniform(1.2, 3.0)
    for x in np.arange(-r + rng.uniform(-1, 0), r, width):
        canvas.fill_box(
            x,
            -top,
            x + 0.9 * width,
            horizon + 0.5 * (top - horizon),
            canvas.image[-1, 0] * np.exp(0.2 * rng.standard_normal()),
            across=0.2,
        )
    lit = mix_tint(rng, 1.0, 0.06, 0.1)
    rows, shape = int(rng.integers(2, 6)), rng.integers(4)
    skew, level = rng.uniform(-0.4, 0.4), rng.uniform(1.5, 8)
    for k in range(rows if shape < 3 else 0):  # lamps come nearer towards the top; the last kind has none in sight
        near = (k + 0.7) / rows
        y, gap = horizon + (top - horizon) * (0.45 + 0.65 * near**1.4), (0.5 + 1.6 * near) * (1 + (shape == 1))
        for x in np.arange(-9, 9) * gap + skew * gap + skew * 3 * near:
            wide, tall = 0.05 + 0.16 * near, 0.02 + 0.05 * near
            if shape == 0:
                canvas.fill_oval(x, y, wide, tall, lit * level * rng.uniform(0.8, 1.25))
            else:  # panels, or strips
                wide, tall = (0.45 * gap, 0.6 * tall) if shape == 1 else (1.3 * wide, 1.2 * tall)
                canvas.fill_box(x - wide, y - tall, x + wide, y + tall, lit * 0.5 * level)
    if stage.toss(0.55):  # a projection
        x, w = rng.uniform(-0.5, 0.5) * r, rng.uniform(0.8, 1.6)
        y = horizon + 0.1
        canvas.fill_box(x - w, y, x + w, y + 1.1 * w, mix_tint(rng, 1.0, -0.12, 0.12) * rng.uniform(0.8, 2.2), down=0.3)
        for _ in range(rng.integers(1, 6)):
            a, b = x + rng.uniform(-0.9, 0.5) * w, y + rng.uniform(0.1, 0.9) * w
            canvas.fill_box(
                a, b, a + rng.uniform(0.1, 0.6) * w, b + rng.uniform(0.03, 0.25) * w, mix_hue(rng, 0.35, 0.5)
            )
    lights = [(rng.uniform(-r, r), 0.6 * top, 2.0, lit * 0.6)]
    shine(canvas, lights, mix_tint(rng, (0.25, 0.5), 0, 0.06), 0.8)
    chairs = mix_tint(rng, (0.02, 0.25), 0, 0.2)
    y, near = horizon - 0.1, rng.uniform(0.3, 0.45)
    while y > -top - 0.3:  # rows of heads, nearer and larger below
        for x in np.arange(-r, r, 0.75 * near + 0.12) + rng.uniform(-0.3, 0):
            if stage.toss(0.75):
                x, tall = x + rng.normal(0, 0.05), y + rng.normal(0, 0.04)
                canvas.fill_oval(x, tall - 0.62 * near, 0.33 * near, 0.42 * near, mix_tint(rng, (0.01, 0.3), 0, 0.2))
                canvas.fill_oval(x, tall, 0.12 * near, 0.17 * near, mix_tint(rng, (0.06, 0.3), 0.28, 0.05), across=0.4)
                canvas.fill_oval(x, tall + 0.06 * near, 0.13 * near, 0.13 * near, mix_tint(rng, (0.006, 0.15), 0.15))
            canvas.fill_box(x - 0.28 * near, y - 1.4 * near, x + 0.28 * near, y - 0.62 * near, chairs * 0.6, soft=0.04)
        y, near = y - 0.95 * near, near * 1.3
    blur = rng.uniform(0.012, 0.026)
    movers = [
        make_walker(stage, canvas.scale, horizon - 1.3, blur * stage.across, 0.5) for _ in range(rng.integers(0, 3))
    ]
    return Scenery(far=canvas.image, movers=movers, blur=blur, key=rng.uniform(0.07, 0.22), sway=hold_still(stage))
