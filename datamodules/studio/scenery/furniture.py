"""What stands and hangs in rooms, painted in metres on the plane of a wall."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from datamodules.studio.scenery.paint import Array, Canvas, draw_clouds, make_ramp, mix_hue, mix_tint
from datamodules.studio.scenery.stage import Stage

WOODS = ((0.32, 0.18, 0.09), (0.42, 0.28, 0.16), (0.13, 0.065, 0.035), (0.55, 0.42, 0.28), (0.22, 0.13, 0.08))


def pick_wood(rng: np.random.Generator) -> Array:
    """A wood, or what is painted white, grey or black."""
    if rng.random() < 0.3:
        return mix_tint(rng, (0.03, 0.75), 0.02, 0.05)
    return (np.array(WOODS[rng.integers(len(WOODS))]) * rng.uniform(0.75, 1.25)).astype(np.float32)


def paint_wall(stage: Stage, metres: float, wide: float = 1.0) -> Canvas:
    """An empty wall: paint, boards, bricks or paper, seldom in one tone."""
    rng = stage.rng
    # most walls are light and a little warm
    colour = mix_tint(rng, (0.3, 0.75), 0.05, 0.07) if stage.toss(0.7) else mix_hue(rng, rng.uniform(0.06, 0.3), 0.3)
    canvas = stage.make_canvas(metres, colour, wide=wide)
    r, top = canvas.right, canvas.top
    kind = rng.integers(6)
    if kind == 0:  # bricks, bare or painted
        spread = rng.uniform(0.05, 0.35)
        if stage.toss(0.5):
            colour = np.array([0.30, 0.14, 0.09], np.float32) * np.float32(rng.uniform(0.6, 1.3))
        canvas.image *= lay_bricks(rng, canvas, spread)
    elif kind == 1:  # boards
        board = rng.uniform(0.08, 0.25)
        base = pick_wood(rng) if stage.toss(0.6) else colour
        for x in np.arange(-r, r, board):
            canvas.fill_box(x, -top, x + board, top, base * np.exp(0.1 * rng.standard_normal()), across=0.06)
            canvas.fill_box(x - 0.006, -top, x + 0.006, top, base * 0.4)
    elif kind == 2:  # another tone below, and a rail between
        y = rng.uniform(-0.6, -0.1)
        canvas.fill_box(-r, -top, r, y, colour * mix_tint(rng, (0.4, 1.1), 0, 0.1))
        canvas.fill_box(-r, y - 0.03, r, y + 0.03, colour * 1.1, down=0.4)
    if stage.toss(0.3):  # another wall that turns away
        x, away = rng.uniform(-0.9, 0.9) * r, rng.choice([-1, 1])
        shade = rng.uniform(0.55, 0.9)
        edge = int(np.clip((x + r) * canvas.scale, 0, canvas.image.shape[1]))
        part = canvas.image[:, edge:] if away > 0 else canvas.image[:, :edge]
        fall = np.linspace(shade, 1, part.shape[1], dtype=np.float32)
        part *= (fall if away > 0 else fall[::-1])[None, :, None]
    canvas.mottle(rng, rng.uniform(0.2, 0.9), rng.uniform(0.01, 0.035))
    return canvas


def lay_bricks(rng: np.random.Generator, canvas: Canvas, spread: float) -> Array:
    """How bricks and the mortar between them reflect, about 1, (h, w, 3)."""
    h, w = canvas.image.shape[:2]
    y = np.arange(h) / canvas.scale / 0.075
    course = y.astype(int)
    x = (np.arange(w) / canvas.scale / 0.24)[None] + 0.5 * (course % 2)[:, None]
    brick = x.astype(int)
    table = np.exp(spread * rng.standard_normal((course.max() + 1, brick.max() + 1, 1)))
    table = table * np.exp(0.1 * spread * rng.standard_normal((*table.shape[:2], 3)))
    mortar = ((y % 1) < 0.2)[:, None] | ((x % 1) < 0.07)
    return np.where(mortar[..., None], 1.15, table[course[:, None], brick]).astype(np.float32)


def cast_shadow(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, depth: float, side: float) -> None:
    """The soft shadow on the wall of something that deep, light coming from above and from one side."""
    dx, dy = depth * side, -0.4 * depth
    canvas.fill_box(x0 + dx, y0 + dy, x1 + dx, y1 + dy, (0.0, 0.0, 0.0), soft=0.02 + 0.3 * depth, opacity=0.4)


def paint_bookcase(canvas: Canvas, stage: Stage, x0: float, y0: float, x1: float, y1: float) -> None:
    """Boards with books, gaps and things between."""
    rng, frame = stage.rng, pick_wood(stage.rng)
    back = frame * rng.uniform(0.2, 0.6)
    cast_shadow(canvas, x0, y0, x1, y1, 0.2, rng.uniform(-0.5, 0.5))
    canvas.fill_box(x0, y0, x1, y1, back)
    taste = rng.uniform(0.15, 0.7)  # how colourful a library
    palette = [mix_hue(rng, float(np.exp(rng.uniform(-3.5, -0.6))), taste * rng.uniform(0.2, 1)) for _ in range(9)]
    palette += [mix_tint(rng, (0.3, 0.7), 0.08, 0.05) for _ in range(4)]
    columns = max(1, round((x1 - x0) / rng.uniform(0.6, 1.0)))
    edges = np.linspace(x0, x1, columns + 1)
    for left, right in itertools.pairwise(edges):
        y = y0
        while y < y1 - 0.2:
            height = min(rng.uniform(0.27, 0.42), y1 - y)
            fill_shelf(canvas, rng, left + 0.02, y + 0.02, right - 0.02, y + height, palette)
            canvas.fill_box(left, y + height - 0.09, right, y + height, (0, 0, 0), soft=0.03, opacity=0.5)
            canvas.fill_box(left, y - 0.005, right, y + 0.02, frame, down=0.3)
            y += height
    for x in edges:
        canvas.fill_box(x - 0.015, y0, x + 0.015, y1, frame)
    canvas.fill_box(x0, y1 - 0.02, x1, y1 + 0.01, frame)


def fill_shelf(
    canvas: Canvas, rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float, palette: list[Array]
) -> None:
    x, room = x0, y1 - y0
    while x < x1 - 0.05:
        kind = rng.random()
        if kind < 0.8:  # a run of books, often a series
            series, tall, thick = rng.integers(len(palette)), rng.uniform(0.55, 0.85) * room, rng.uniform(0.018, 0.045)
            alike = rng.random() < 0.35
            count = int(rng.integers(3, 14))
            spread = np.zeros(count) if alike else rng.normal(0, 0.012, count)
            edges = x + np.cumsum([0, *np.clip(thick + spread, 0.01, 0.07)])
            edges = edges[edges < x1]
            picks = np.full(count, series) if alike else rng.integers(len(palette), size=count)
            tops = tall * (np.ones(count) if alike else rng.uniform(0.8, 1.2, count))
            stack_books(canvas, rng, edges, y0, np.minimum(tops, room * 0.92), np.array(palette)[picks])
            x = float(edges[-1])
            if rng.random() < 0.3 and x + 0.1 < x1:  # the last one leans
                colour, h = palette[rng.integers(len(palette))], 0.7 * room
                canvas.fill([(x + 0.06, y0), (x + 0.09, y0), (x + 0.03, y0 + h), (x, y0 + h)], colour)
                x += 0.1
        elif kind < 0.9:
            x += rng.uniform(0.05, 0.3)
        else:  # a box, a vase, a pile
            w, h = rng.uniform(0.08, 0.2), rng.uniform(0.3, 0.75) * room
            colour = mix_tint(rng, (0.08, 0.7), 0.08, 0.15)
            if rng.random() < 0.5 and x + w < x1:
                canvas.fill_oval(x + w / 2, y0 + h / 2, w / 2, h / 2, colour, across=0.5)
            elif x + w < x1:
                canvas.fill_box(x, y0, x + w, y0 + 0.6 * h, colour, down=0.3)
            x += w + 0.02


def stack_books(
    canvas: Canvas, rng: np.random.Generator, edges: NDArray[np.floating], y0: float, tall: Array, colours: Array
) -> None:
    """Backs of books from each edge to the next, some with a label."""
    h, w = canvas.image.shape[:2]
    u0, u1 = np.clip(np.round(edges[[0, -1]] * canvas.scale + w / 2), 0, w).astype(int)
    v0, v1 = np.clip(np.round(h / 2 - np.array([y0 + tall.max(), y0]) * canvas.scale), 0, h).astype(int)
    if u1 <= u0 or v1 <= v0:
        return
    x = (np.arange(u0, u1) + 0.5 - w / 2) / canvas.scale
    y = (h / 2 - 0.5 - np.arange(v0, v1))[:, None] / canvas.scale - y0
    book = np.clip(np.searchsorted(edges, x) - 1, 0, len(edges) - 2)
    across = np.clip((x - edges[book]) / (edges[book + 1] - edges[book]), 0, 1)
    light = rng.uniform(0.75, 1.2, len(tall))[book] * (1 - 0.35 * across)
    label = np.where(rng.random(len(tall)) < 0.4, 0.75, 9)[book]
    spine = np.where((np.abs(y / tall[book] - label) < 0.05)[..., None], mix_tint(rng, (0.1, 0.7), 0.1), colours[book])
    cover = np.clip((tall[book] - y) * canvas.scale, 0, 1)[..., None]
    part = canvas.image[v0:v1, u0:u1]
    part += (cover * (spine * light[:, None] - part)).astype(np.float32)


def hang_picture(canvas: Canvas, stage: Stage, x: float, y: float, width: float, height: float) -> None:
    """A picture in its frame: a view, a print or a page."""
    rng = stage.rng
    x0, y0, x1, y1 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    cast_shadow(canvas, x0, y0, x1, y1, 0.05, rng.uniform(-0.5, 0.5))
    edge = rng.uniform(0.01, 0.04)
    canvas.fill_box(x0, y0, x1, y1, pick_wood(rng), down=0.2)
    canvas.fill_box(x0 + edge, y0 + edge, x1 - edge, y1 - edge, mix_tint(rng, (0.5, 0.75), 0.03, 0.03))
    mat = edge + rng.choice([0, 0.05]) * min(1, width / 0.4)
    x0, y0, x1, y1 = x0 + mat, y0 + mat, x1 - mat, y1 - mat
    taste = rng.uniform(0.05, 0.4)
    sky, land = mix_hue(rng, rng.uniform(0.2, 0.6), taste), mix_hue(rng, rng.uniform(0.03, 0.3), taste)
    canvas.fill_box(x0, y0, x1, y1, sky, down=rng.uniform(-0.3, 0.4))
    if rng.random() < 0.6:
        ridge = y0 + (y1 - y0) * np.clip(rng.uniform(0.2, 0.6) + 0.1 * draw_clouds(rng, 1, 12, 5)[0], 0.05, 0.9)
        line = list(zip(np.linspace(x0, x1, 12), ridge, strict=True))
        canvas.fill([(x0, y0), *line, (x1, y0)], land, down=-0.4)
    for _ in range(rng.integers(0, 5)):
        cx, cy, r = rng.uniform(x0, x1), rng.uniform(y0, y1), rng.uniform(0.05, 0.25) * min(width, height)
        r = min(r, cx - x0, x1 - cx, cy - y0, y1 - cy)
        canvas.fill_oval(cx, cy, r, r * rng.uniform(0.4, 1), mix_hue(rng, rng.uniform(0.05, 0.5), taste), soft=0.1 * r)


def paint_door(canvas: Canvas, stage: Stage, x: float, floor: float) -> None:
    rng, w, tall = stage.rng, 0.45, 2.05
    colour, frame = (
        (pick_wood(rng), pick_wood(rng)) if stage.toss(0.5) else (mix_tint(rng, (0.4, 0.7), 0.04, 0.05),) * 2
    )
    cast_shadow(canvas, x - w, floor, x + w, floor + tall, 0.04, 0.5)
    canvas.fill_box(x - w - 0.07, floor, x + w + 0.07, floor + tall + 0.07, frame)
    canvas.fill_box(x - w, floor, x + w, floor + tall, colour * 0.85, across=0.1)
    canvas.fill_box(x - w - 0.01, floor, x - w + 0.01, floor + tall, (0, 0, 0), opacity=0.6)
    if stage.toss(0.7):
        for low, high in ((0.15, 0.9), (1.0, 1.9)):
            canvas.fill_box(x - w + 0.12, floor + low, x + w - 0.12, floor + high, colour * 0.6)
            canvas.fill_box(x - w + 0.135, floor + low, x + w - 0.12, floor + high - 0.015, colour * 0.9, down=0.1)
    canvas.fill_box(x + w - 0.12, floor + 1.0, x + w - 0.05, floor + 1.03, (0.5, 0.48, 0.42))


def paint_plant(canvas: Canvas, stage: Stage, x: float, foot: float, tall: float, light: float = 1.0) -> None:
    """Leaves that spread from a pot or a stem."""
    rng, kind = stage.rng, stage.rng.integers(3)
    green = np.array([0.10, 0.19, 0.055]) * np.exp(0.25 * rng.standard_normal()) * (1 + 0.15 * rng.standard_normal(3))
    count = int(rng.integers(16, 34))
    if foot > -canvas.top - 0.3:
        w = rng.uniform(0.1, 0.2) * tall
        pot = mix_tint(rng, (0.08, 0.6), 0.12, 0.15)
        canvas.fill(
            [(x - w, foot + 0.2 * tall), (x + w, foot + 0.2 * tall), (x + 0.75 * w, foot), (x - 0.75 * w, foot)],
            pot * light,
            across=0.55,
        )
    root = foot + 0.18 * tall
    for k in range(count):
        lean = rng.normal(0, 0.6 if kind else 0.33)
        reach = 0.8 * tall * rng.uniform(0.45, 1)
        tip = np.array([x + reach * np.sin(lean), root + reach * np.cos(lean) * (1 if kind < 2 else 0.8)])
        shade = light * np.exp(0.35 * rng.standard_normal()) * (0.5 + 0.7 * k / count)
        colour = np.clip(green * shade * np.array([1 + 0.2 * rng.standard_normal(), 1, 1]), 0.004, 2)
        if kind == 0:  # blades from the root
            base = np.array([x + 0.03 * rng.standard_normal() * tall, root])
            bend = (base + tip) / 2 + np.array([0.12 * lean * reach, 0.06 * reach])
            side = np.array([0.022 * tall, 0])
            blade = np.array([base - side, bend - 1.3 * side, tip, bend + 1.3 * side, base + side])
            canvas.fill(blade, colour, across=0.4)
        else:  # leaves at the ends of stalks
            canvas.fill([(x - 0.006, root), (x + 0.006, root), tuple(tip)], colour * 0.6)
            size = tall * rng.uniform(0.07, 0.15)
            canvas.fill_leaf(tip[0], tip[1], size * rng.uniform(0.3, 0.6), size, colour, turn=-lean * 1.5, across=0.45)


def fold_cloth(rng: np.random.Generator, height: int, width: int, period: float) -> Array:
    """How cloth that hangs reflects, about 1, (height, width)."""
    x = np.arange(width, dtype=np.float32)[None] / period
    y = make_ramp(height, 0, height)[:, None]
    bend = 0.45 * draw_clouds(rng, 1, width, 3 * period, 2)
    drift = 0.4 * draw_clouds(rng, 3, width, 5 * period, 1)[1:2] * y**2
    phase = 2 * np.pi * (x + bend + drift)
    deep = rng.uniform(0.12, 0.38) * np.exp(0.5 * draw_clouds(rng, 1, width, 3 * period, 1))
    wave = np.sin(phase + 0.6 * np.sin(phase)) + 0.3 * np.sin(0.43 * phase + 2)
    return np.exp(deep * wave - 0.5 * deep).astype(np.float32)


def hang_pictures(canvas: Canvas, stage: Stage, x0: float, x1: float) -> None:
    """Pictures on a stretch of wall, in a row or about one middle."""
    rng = stage.rng
    x, end = min(x0, x1), max(x0, x1)
    while x < end:
        w = rng.uniform(0.2, 0.6)
        hang_picture(canvas, stage, x + w / 2, rng.uniform(0.15, 0.45), w, w * rng.uniform(0.7, 1.5))
        x += w + rng.uniform(0.1, 0.9)


def drape(canvas: Canvas, stage: Stage, x0: float, x1: float, colour: Array, glow: float = 0.0) -> None:
    """Cloth from top to bottom of the view, lit from behind by glow."""
    h, w = canvas.image.shape[:2]
    a, b = (np.clip(np.array([x0, x1]) * canvas.scale + w / 2, 0, w)).astype(int)
    if b - a < 4:
        return
    cloth = fold_cloth(stage.rng, h, b - a, stage.rng.uniform(0.09, 0.24) * canvas.scale)[..., None]
    canvas.image[:, a:b] = colour * cloth * (1 + glow * 0.6 * cloth)


def place_plant(stage: Stage, metres: float = 1.3, light: float = 0.5) -> Array:
    """A plant nearer than the wall, at one side, often cut by the edge."""
    rng = stage.rng
    near = stage.make_canvas(metres, channels=4)
    x = rng.choice([-1, 1]) * rng.uniform(0.55, 0.85) * near.right
    paint_plant(near, stage, x, -near.top * rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.9) * metres, light)
    return near.image
