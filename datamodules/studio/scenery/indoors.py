"""Rooms behind a person."""

from __future__ import annotations

import numpy as np

from datamodules.studio.scenery.furniture import (
    cast_shadow,
    drape,
    hang_pictures,
    paint_bookcase,
    paint_door,
    paint_plant,
    paint_wall,
    pick_wood,
    place_plant,
)
from datamodules.studio.scenery.paint import Canvas, mix_hue, mix_tint, wander
from datamodules.studio.scenery.stage import (
    Mover,
    Scenery,
    Stage,
    finish_wall,
    hold_still,
    make_walker,
    place_lamps,
    sway,
)


def build_studio(stage: Stage) -> Scenery:
    """A studio's wall: a gradient, and the soft shadow of who stands before it."""
    rng = stage.rng
    colour = mix_tint(rng, (0.08, 0.7), 0.02, 0.08) if stage.toss(0.7) else mix_hue(rng, rng.uniform(0.08, 0.35), 0.3)
    canvas = stage.make_canvas(1.8, colour)
    canvas.mottle(rng, rng.uniform(0.2, 0.8), rng.uniform(0.01, 0.07))
    found, ambient = place_lamps(stage, canvas)
    canvas.light(found, ambient)
    if stage.toss(0.7):
        x, soft = rng.choice([-1, 1]) * rng.uniform(0.08, 0.3), rng.uniform(0.06, 0.16)
        dark = {"soft": soft, "opacity": rng.uniform(0.2, 0.5)}
        canvas.fill_oval(x, -0.05, 0.22, 0.33, (0, 0, 0), **dark)
        canvas.fill_oval(x, -1.0, 0.5, 0.65, (0, 0, 0), **dark)
    return Scenery(
        far=canvas.image, blur=rng.uniform(0.004, 0.014), key=rng.uniform(0.12, 0.45), sway=hold_still(stage)
    )


def build_study(stage: Stage) -> Scenery:
    """Books from wall to wall or in a case beside pictures."""
    rng = stage.rng
    full, metres = stage.toss(0.5), rng.uniform(1.5, 2.3)
    canvas = stage.make_canvas(metres, wide=1.3) if full else paint_wall(stage, metres, wide=1.3)
    r, top = canvas.right, canvas.top
    if full:
        paint_bookcase(canvas, stage, -r - rng.uniform(0, 0.5), -top - rng.uniform(0, 0.3), r + 0.4, top + 0.3)
    else:
        x, side = rng.uniform(-0.1, 0.4) * r, rng.choice([-1, 1])
        x0, x1 = sorted((x * side, 1.05 * r * side))
        paint_bookcase(canvas, stage, x0, -top - 0.2, x1, top * rng.uniform(0.5, 1.3))
        hang_pictures(canvas, stage, -r * side, 0.0 if side > 0 else x0)
    found, ambient = place_lamps(stage, canvas)
    canvas.light(found, ambient * 0.7)
    near = place_plant(stage) if stage.toss(0.3) else None
    return Scenery(
        far=finish_wall(stage, canvas), near=near, blur=rng.uniform(0.007, 0.018), near_blur=rng.uniform(0.01, 0.028),
        key=rng.uniform(0.07, 0.2), sway=hold_still(stage),
    )  # fmt: skip


def build_office(stage: Stage) -> Scenery:
    """A wall with a door, a board, cabinets or a screen, people passing."""
    rng = stage.rng
    canvas = paint_wall(stage, rng.uniform(1.9, 2.6), wide=1.35)
    r, side = canvas.right, rng.choice([-1, 1])
    floor = -1.25
    canvas.fill_box(-r, floor - 2, r, floor, mix_tint(rng, (0.08, 0.3), 0.02, 0.06))
    canvas.fill_box(-r, floor, r, floor + 0.09, mix_tint(rng, (0.2, 0.7), 0.03, 0.04))
    closed = stage.toss(0.6)
    if closed:
        paint_door(canvas, stage, -side * rng.uniform(0.4, 0.8) * r, floor)
    movers: list[Mover] = []
    blur = rng.uniform(0.009, 0.022)
    x = side * rng.uniform(0.45, 0.7) * r
    kind = rng.integers(4)
    if kind == 0:  # a white board with writing
        cast_shadow(canvas, x - 0.7, -0.2, x + 0.7, 0.75, 0.03, 0.3)
        canvas.fill_box(x - 0.7, -0.2, x + 0.7, 0.75, (0.45, 0.45, 0.46))
        canvas.fill_box(x - 0.67, -0.17, x + 0.67, 0.72, (0.8, 0.81, 0.82), down=0.1)
        for _ in range(rng.integers(4, 16)):
            ink = mix_hue(rng, 0.08, 0.5)
            a, b, w = rng.uniform(-0.6, 0.4), rng.uniform(-0.1, 0.65), rng.uniform(0.05, 0.4)
            for k in range(int(w / 0.03)):
                canvas.fill_box(
                    x + a + 0.03 * k, b, x + a + 0.03 * k + 0.02, b + rng.uniform(0.01, 0.03), ink, opacity=0.7
                )
    elif kind == 1:  # cabinets with folders on them
        w, h = rng.uniform(0.4, 0.8), rng.uniform(0.7, 1.6)
        colour = mix_tint(rng, (0.15, 0.6), 0.03, 0.06) if stage.toss(0.6) else pick_wood(rng)
        cast_shadow(canvas, x - w, floor, x + w, floor + h, 0.3, -0.3)
        canvas.fill_box(x - w, floor, x + w, floor + h, colour * 0.5)
        for y in np.arange(floor, floor + h - 0.05, h / 4):
            for a in (x - w, x):
                canvas.fill_box(
                    a + 0.008, y + 0.01, a + w - 0.008, y + h / 4 - 0.008, colour * rng.uniform(0.93, 1.05), down=0.1
                )
                canvas.fill_box(a + w / 2 - 0.06, y + h / 8, a + w / 2 + 0.06, y + h / 8 + 0.02, colour * 0.4)
        for a in np.arange(x - w, x + w - 0.08, 0.085):
            if stage.toss(0.7):
                canvas.fill_box(
                    a, floor + h, a + 0.075, floor + h + 0.31, mix_tint(rng, (0.03, 0.6), 0, 0.3), across=0.3
                )
    elif kind == 2:
        paint_bookcase(canvas, stage, x - 0.5, floor, x + 0.6, floor + rng.uniform(1.2, 2.2))
    else:
        hang_pictures(canvas, stage, x - 0.5, x + 0.5)
    found, ambient = place_lamps(stage, canvas)
    canvas.light(found, ambient * 1.3)
    lit = not closed and stage.toss(0.7)
    if lit:  # a screen that shows something
        movers.append(hang_screen(stage, canvas, -side * rng.uniform(0.35, 0.6) * r / 1.35, rng.uniform(-0.3, 0.4)))
    if stage.toss(0.5):
        movers += [make_walker(stage, canvas.scale, floor, blur * stage.across) for _ in range(rng.integers(1, 3))]
    near = place_plant(stage, light=0.7) if stage.toss(0.25) else None
    return Scenery(
        far=stage.crop(canvas.image) if lit else finish_wall(stage, canvas), near=near, movers=movers,
        blur=blur, near_blur=rng.uniform(0.012, 0.03), key=rng.uniform(0.12, 0.35), sway=hold_still(stage),
    )  # fmt: skip


def hang_screen(stage: Stage, canvas: Canvas, x: float, y: float) -> Mover:
    """A screen on the wall, what it shows changing from time to time."""
    rng, w, h = stage.rng, stage.rng.uniform(0.25, 0.5), 0.0
    h = w * 0.56
    canvas.fill_box(x - w - 0.02, y - h - 0.02, x + w + 0.02, y + h + 0.02, (0.012, 0.012, 0.014))
    shown = Canvas(
        int(2 * w * canvas.scale) + 1, int(2 * h * canvas.scale) + 1, canvas.scale, mix_tint(rng, (0.2, 0.8), -0.1)
    )
    for _ in range(rng.integers(3, 9)):
        a, b = rng.uniform(-w, w), rng.uniform(-h, h)
        shown.fill_box(
            a, b, a + rng.uniform(0.1, 1) * w, b + rng.uniform(0.1, 0.6) * h, mix_hue(rng, rng.uniform(0.05, 0.7), 0.4)
        )
    image = np.concatenate([shown.image, np.ones_like(shown.image[..., :1])], 2)
    canvas.fill_box(x - w, y - h, x + w, y + h, mix_tint(rng, (0.1, 0.3), -0.1))
    t = stage.seconds
    cut = np.floor(t / rng.uniform(0.7, 2.5)).astype(int)
    levels = rng.uniform(0.35, 0.95, int(cut[-1]) + 1 if len(cut) else 1)
    at = [canvas.image.shape[1] / 2 + x * canvas.scale, canvas.image.shape[0] / 2 - y * canvas.scale]
    at[0] -= (canvas.image.shape[1] - stage.width) / 2
    return Mover(image, np.tile(at, (len(t), 1)), levels[cut] + wander(rng, t, 0.02, 2, 6))


def build_window(stage: Stage) -> Scenery:
    """Daylight through panes or blinds, cloth at its sides."""
    rng = stage.rng
    metres = rng.uniform(1.5, 2.2)
    canvas = paint_wall(stage, metres, wide=1.3)
    r, top = canvas.right, canvas.top
    canvas.light([], mix_tint(rng, (0.25, 0.5), -0.05, 0.08))
    bright = rng.uniform(1.2, 4.0)
    x, w = rng.uniform(-0.45, 0.45) * r, rng.uniform(0.6, 1.1)
    low, high = rng.uniform(-0.7, -0.2), top * rng.uniform(0.85, 1.3)
    frame = mix_tint(rng, (0.25, 0.7), 0.02, 0.04) if stage.toss(0.7) else pick_wood(rng)
    canvas.fill_box(x - w - 0.06, low - 0.06, x + w + 0.06, high + 0.06, frame * 0.5)
    paint_outside(canvas, stage, x - w, low, x + w, high, bright)
    if stage.toss(0.5):  # blinds: each slat lit from behind along its edge
        pitch, open_ = rng.uniform(0.045, 0.11), rng.uniform(0.25, 0.6)
        slat = mix_tint(rng, (0.3, 0.9), 0.06, 0.06) * bright * 0.3
        for y in np.arange(low, high, pitch):
            canvas.fill_box(
                x - w, y, x + w, y + pitch * (1 - open_), slat * np.exp(0.05 * rng.standard_normal()), down=0.45
            )
        for a in np.arange(x - 0.8 * w, x + w, 0.6 * w):
            canvas.fill_box(a - 0.006, low, a + 0.006, high, slat * 0.7)
    for a in np.linspace(x - w, x + w, int(rng.integers(2, 5))):
        canvas.fill_box(a - 0.03, low, a + 0.03, high, frame * 0.45, across=0.3)
    if stage.toss(0.5):
        y = rng.uniform(0.3, 0.7) * (high - low) + low
        canvas.fill_box(x - w, y - 0.025, x + w, y + 0.025, frame * 0.45, down=0.3)
    canvas.fill_box(x - w - 0.12, low - 0.09, x + w + 0.12, low - 0.04, frame * 0.9, down=0.4)
    if stage.toss(0.4):
        paint_plant(canvas, stage, x + rng.uniform(-0.8, 0.8) * w, low - 0.04, rng.uniform(0.25, 0.6), 0.8)
    if stage.toss(0.6):
        cloth = mix_tint(rng, (0.1, 0.7), 0.05, 0.12)
        for side in (-1, 1):
            edge, width = x + side * w * rng.uniform(0.75, 1.0), rng.uniform(0.25, 0.6)
            start, end = sorted((edge, edge + side * width))
            drape(canvas, stage, start, end, cloth * 0.4, glow=0.25 * bright)
    if stage.toss(0.5):
        side = rng.choice([-1, 1])
        hang_pictures(canvas, stage, side * r, x + side * (w + 0.4))
    near = place_plant(stage, light=0.35) if stage.toss(0.3) else None
    # clouds before the sun
    brightness = 1 + wander(rng, stage.seconds, rng.uniform(0.0, 0.03), 0.05, 0.3)
    return Scenery(
        far=finish_wall(stage, canvas), near=near, blur=rng.uniform(0.008, 0.02), near_blur=rng.uniform(0.01, 0.028),
        key=rng.uniform(0.12, 0.35), sway=sway(stage, 0.2), brightness=brightness,
    )  # fmt: skip


def paint_outside(canvas: Canvas, stage: Stage, x0: float, y0: float, x1: float, y1: float, bright: float) -> None:
    """What is seen through panes: sky above trees or houses, far out of focus."""
    rng, wide = stage.rng, x1 - x0
    canvas.fill_box(x0, y0, x1, y1, mix_tint(rng, 0.9, -0.08, 0.06) * bright, down=-0.2)
    level = y0 + rng.uniform(0.2, 0.75) * (y1 - y0)
    if stage.toss(0.65):
        green = np.array([0.2, 0.25, 0.12]) * bright * np.exp(0.08 * rng.standard_normal(3))
        canvas.fill_box(x0, y0, x1, level - 0.05, green * 0.8, soft=0.03, down=-0.2)
        for _ in range(rng.integers(30, 55)):
            s = rng.uniform(0.04, 0.2)
            a, y = rng.uniform(x0 + s, x1 - s), level + 0.1 * rng.standard_normal() - abs(rng.normal(0, 0.25))
            if y0 + s < y < y1 - s:
                canvas.fill_oval(a, y, s, s, green * np.exp(0.45 * rng.standard_normal()), soft=0.3 * s)
        return
    canvas.fill_box(x0, y0, x1, y0 + 0.2 * (level - y0), mix_tint(rng, 0.3, 0.05, 0.1) * bright, soft=0.02)
    for _ in range(rng.integers(4, 8)):
        a, w = rng.uniform(x0, x1), rng.uniform(0.15, 0.5) * wide
        y, colour = y0 + rng.uniform(0.4, 1.2) * (level - y0), mix_tint(rng, (0.15, 0.6), 0.05, 0.1) * bright
        canvas.fill_box(a, y0, min(a + w, x1), y, colour, soft=0.01)
        for b in np.arange(a + 0.03, min(a + w, x1) - 0.03, 0.07):
            for z in np.arange(y0 + 0.05, y - 0.05, 0.1):
                canvas.fill_box(b, z, b + 0.035, z + 0.055, colour * 0.5)


def build_curtains(stage: Stage) -> Scenery:
    """A heavy curtain or a thin one before a window."""
    rng = stage.rng
    canvas = stage.make_canvas(rng.uniform(1.4, 2.2), wide=1.3)
    colour = mix_tint(rng, (0.05, 0.6), 0.05, 0.15) if stage.toss(0.6) else mix_hue(rng, rng.uniform(0.03, 0.2), 0.45)
    drape(canvas, stage, -canvas.right, canvas.right, colour)
    canvas.mottle(rng, 0.05, 0.03, 2)
    found, ambient = place_lamps(stage, canvas)
    canvas.light(found, ambient)
    return Scenery(
        far=finish_wall(stage, canvas),
        blur=rng.uniform(0.005, 0.014),
        key=rng.uniform(0.06, 0.3),
        sway=hold_still(stage),
    )
