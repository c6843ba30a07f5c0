"""Images of the studio: its people, a shot of some, how far a head turns, every forgery at three difficulties."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from benchmarks.record import RESULTS
from datamodules.studio.build import Plan
from datamodules.studio.face import Expression
from datamodules.studio.forgeries.all import FORGERIES
from datamodules.studio.forgeries.base import Take
from datamodules.studio.head import Head, Light, Pose, look, render
from datamodules.studio.people import Person
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import composite, open_camera, render_video, shoot
from datamodules.studio.shot import direct

Image = NDArray[np.uint8]
PLAN = Plan(size="tiny", seed=0, difficulty=0.1)


def write(name: str, rows: list[list[Image]], quality: int = 85) -> None:
    sheet = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(RESULTS / f"{name}.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_name(image: Image, text: str) -> Image:
    """The image with a name in its corner."""
    out = image.copy()
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(out, text, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
    return out


def outline(image: Image, mask: NDArray[np.bool_]) -> Image:
    """The image with the border of a mask drawn in."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, (255, 60, 60), 1), np.uint8)


def draw_everybody() -> list[Person]:
    return sorted((person for people in PLAN.cast().values() for person in people), key=lambda person: person.id)


def people(columns: int = 17) -> None:
    """One frame of each person of the studio."""
    tiles = []
    for number, person in enumerate(draw_everybody()):
        shot = direct(np.random.default_rng([3, number]), 160, 160, 24)
        awake = min(range(6, 24), key=lambda i: shot.expressions[i].blink)  # with open eyes
        tiles.append(list(shoot(make_portrait(person), shot))[awake][0])
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    write("studio_people", [tiles[i : i + columns] for i in range(0, len(tiles), columns)])


def shots(count: int = 6, frames: int = 8) -> None:
    """Frames of one shot of some people, a third of a second apart."""
    rows = []
    for number, person in enumerate(draw_everybody()[:: len(draw_everybody()) // count][:count]):
        shot = direct(np.random.default_rng([4, number]), 240, 200, 8 * frames)
        rows.append([image for i, (image, _) in enumerate(shoot(make_portrait(person), shot)) if i % 8 == 0])
    write("studio_shots", rows)


def turns(angles: tuple[float, ...] = (-0.6, -0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45, 0.6)) -> None:
    """One head turned further and further, also beyond the 0.3 rad that shots keep to, where it looks wrong."""
    light = Light(direction=np.array([0.3, -0.3, 0.9], np.float32), colour=np.ones(3, np.float32), ambient=0.65)
    rows = []
    for person in (draw_everybody()[2], draw_everybody()[3]):
        head = Head(make_portrait(person), 90)
        row = []
        for yaw in angles:
            pose = Pose(yaw=yaw, pitch=0, roll=0, x=110, y=105, radius=62, body=(110, 105))
            view = look(head, pose, light, 220, 220)
            layer = render(head, head.texture(Expression()), view, (0, 0, 220, 220))
            image = composite(layer, np.full((220, 220, 3), 0.45, np.float32))
            row.append(write_name(cv2.convertScaleAbs(np.clip(image, 0, 1), alpha=255), f"{yaw:+.2f} rad"))
        rows.append(row)
    write("studio_turns", rows)


def forgeries(pairs: int = 2, difficulties: tuple[float, ...] = (0.0, 0.5, 1.0)) -> None:
    """Each forgery of some people at three difficulties, with the border of what was changed."""
    cast, rows = PLAN.cast()["test"], []
    for pair in range(pairs):
        target, source = cast[2 * pair], cast[2 * pair + 1]
        rng = np.random.default_rng([6, pair])
        shot, source_shot = direct(rng, 220, 190, 24), direct(rng, 220, 190, 24)
        camera, portrait = open_camera(shot), make_portrait(target)
        frames = list(render_video(portrait, shot, camera))
        take = Take(
            target=portrait,
            source=make_portrait(source, cut=False),
            shot=shot,
            camera=camera,
            frames=frames,
            source_shot=source_shot,
            difficulty=0,
            seed=[0, 0, pair],
        )
        real = camera.shoot(frames[12].image, 12)
        for difficulty in difficulties:
            row = [write_name(real, "real")]
            for name, forge in FORGERIES.items():
                forged = list(forge(replace(take, difficulty=difficulty)))[12]
                image = forged.shoot(camera, 12, real, difficulty)
                row.append(write_name(image, f"{name} {difficulty:g}"))
                if difficulty == difficulties[-1]:
                    row[-1] = np.vstack([row[-1], outline(image, forged.alpha > 0)])
            if difficulty == difficulties[-1]:
                row[0] = np.vstack([row[0], np.full_like(real, 255)])
            rows.append(row)
    write("studio_forgeries", rows)


def sheets(only: list[str] | None = None) -> None:
    """Draw them into benchmarks/results.

    Args:
        only: Names of sheets; all if unset.
    """
    cv2.setNumThreads(1)
    for draw in (people, shots, turns, forgeries):
        if only is None or draw.__name__ in only:
            draw()


if __name__ == "__main__":
    auto_cli(sheets, as_positional=False)
