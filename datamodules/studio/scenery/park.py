"""A park by day, and the trees of streets."""

from __future__ import annotations

import numpy as np

from datamodules.studio.scenery.paint import Array, Canvas, draw_clouds, mix_tint, wander
from datamodules.studio.scenery.stage import Scenery, Stage, make_glint, make_walker, sway


def paint_trees(canvas: Canvas, stage: Stage, level: float, light: float, gaps: float) -> None:
    """Crowns of trees up to about a level, sky through their leaves."""
    rng = stage.rng
    h, w = canvas.image.shape[:2]
    y = (h / 2 - np.arange(h, dtype=np.float32)[:, None]) / canvas.scale
    edge = level + 0.25 * canvas.top * draw_clouds(rng, 1, w, 0.25 * w, 3)
    leaf = draw_clouds(rng, h, w, 0.12 * h, 5, 0.75)
    body = draw_clouds(rng, h, w, 0.3 * h, 3)
    cover = np.clip((edge - y) / (0.15 * canvas.top) + 0.8 * body + 0.9 * leaf + 2.2 - 4 * gaps, 0, 1)
    cover *= np.clip((y + 0.5 * canvas.top) / (0.1 * canvas.top), 0, 1) if level > 0 else 1
    green = np.array([0.11, 0.155, 0.05]) * np.exp(0.25 * rng.standard_normal()) * np.exp(0.08 * rng.standard_normal(3))
    shade = np.exp(np.minimum(0.5 * body + 0.45 * leaf, 0.6))[..., None].astype(np.float32)
    canvas.image += cover[..., None].astype(np.float32) * ((green * light).astype(np.float32) * shade - canvas.image)


def build_park(stage: Stage) -> Scenery:
    """Leaves, trunks and grass, the sky in discs between them."""
    rng = stage.rng
    canvas = stage.make_canvas(rng.uniform(3, 7), mix_tint(rng, (1.5, 4.0), -0.05, 0.1))
    r, top = canvas.right, canvas.top
    h, w = canvas.image.shape[:2]
    meadow = np.array([0.2, 0.26, 0.08], np.float32) * np.float32(np.exp(0.3 * rng.standard_normal()))
    canvas.fill_box(-r, -top - 0.3, r, rng.uniform(-0.15, 0.2) * top, meadow, soft=0.1)
    paint_trees(canvas, stage, top * rng.uniform(0.2, 1.6), 1.0, rng.uniform(0.0, 0.3))
    for _ in range(rng.integers(0, 7)):
        x, width = rng.uniform(-r, r), rng.uniform(0.06, 0.3)
        bark = mix_tint(rng, (0.02, 0.14), 0.15, 0.08)
        lean = rng.normal(0, 0.15)
        canvas.fill(
            [(x - width, -top), (x + width, -top), (x + lean + 0.6 * width, top), (x + lean - 0.6 * width, top)],
            bark,
            across=0.5,
        )
    paint_trees(canvas, stage, top * rng.uniform(-0.3, 0.6), rng.uniform(0.5, 1.2), rng.uniform(0.1, 0.35))
    level = rng.uniform(-0.75, -0.2) * top
    grass = (np.array([0.17, 0.22, 0.06]) * np.exp(0.25 * rng.standard_normal())).astype(np.float32)
    canvas.fill_box(-r, -top - 0.3, r, level, grass, soft=0.06, down=0.25)
    if stage.toss(0.4):
        x = rng.uniform(-r, r)
        canvas.fill(
            [(x - 0.3, level), (x + 0.2, level), (x + 2.2, -top), (x - 1.2, -top)],
            mix_tint(rng, (0.25, 0.5), 0.08),
            soft=0.08,
        )
    sun = np.clip(draw_clouds(rng, h, w, 0.35 * h, 3), -2, 2)
    canvas.image *= np.exp(0.35 * sun)[..., None]
    radius = rng.uniform(0.014, 0.036)
    groups = rng.uniform((0, 0.0), (w, 0.6 * h), (4, 2))
    for _ in range(rng.integers(0, 220)):  # sky between leaves, sun on wet ones
        x, y = groups[rng.integers(4)] + rng.normal(0, 0.22 * h, 2)
        if not (0 <= x < w and 0 <= y < 0.7 * h):
            continue
        u, v = int(x), int(y)
        spot = canvas.image[v : v + 2, u : u + 2]
        bright = np.exp(rng.normal(0.3, 1.3)) * (stage.seen / 192) ** 2
        spot += np.float32(min(bright, 30)) * np.array([1.0, 1.03, 0.75], np.float32)
    pixels = radius * stage.across
    movers = []
    for _ in range(rng.integers(0, 7)):
        at = rng.uniform(0.05, 0.95) * w, rng.uniform(0.05, 0.55) * h
        colour = np.array([0.75, 0.85, 0.5], np.float32) * np.float32(rng.uniform(0.4, 1.3))
        movers.append(make_glint(stage, at, pixels, colour, 0.3 + wander(rng, stage.seconds, 0.35, 0.4, 1.8)))
    if stage.toss(0.4):
        movers.append(make_walker(stage, canvas.scale, level - 0.5, pixels))
    near = None
    if stage.toss(0.5):
        near = paint_branch(stage)
    return Scenery(
        far=canvas.image, near=near, movers=movers, blur=radius, near_blur=rng.uniform(0.012, 0.03),
        key=rng.uniform(0.1, 0.28), sway=sway(stage, rng.uniform(0.5, 2.0)),
    )  # fmt: skip


def paint_branch(stage: Stage) -> Array:
    """Twigs with leaves that hang into a corner."""
    rng = stage.rng
    near = stage.make_canvas(1.5, channels=4)
    side = rng.choice([-1, 1])
    green = np.array([0.12, 0.2, 0.04]) * np.exp(0.3 * rng.standard_normal())
    for _ in range(rng.integers(2, 5)):
        root = np.array([side * near.right * rng.uniform(0.6, 1.1), near.top * rng.uniform(0.4, 1.1)])
        way = np.array([-side * rng.uniform(0.2, 1), -rng.uniform(0.1, 0.9)])
        way *= rng.uniform(0.25, 0.55) / np.hypot(*way)
        for k in range(int(rng.integers(10, 26))):
            x, y = root + way * rng.uniform(0, 1) + 0.05 * rng.standard_normal(2)
            size = rng.uniform(0.02, 0.05)
            colour = green * np.exp(0.4 * rng.standard_normal()) * (1.4 if k % 3 == 0 else 0.8)
            near.fill_leaf(x, y, 0.5 * size, size, colour, turn=rng.uniform(0, np.pi))
    return near.image
