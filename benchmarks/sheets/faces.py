"""Images of faces that were found and followed: strips of frames of the studio, and photographs of London.

Boxes are the steady ones that crops are cut around, each track in its colour, with the 68 points and the pose.
python -m benchmarks.sheets.faces
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jsonargparse import auto_cli

from benchmarks.sheets.studio import write
from benchmarks.studies.face_conditions import CHANGES, USUAL, Case, Change, KnownPortrait, is_hit, london, place
from benchmarks.studies.staging import (
    FPS,
    WIDTH,
    Image,
    Staged,
    act,
    stage,
    stage_crossing,
    stage_cut,
    stage_hidden,
    stage_replaced,
    stand,
    walk,
)
from datamodules.faces.detection.base import SMALLEST, Floats
from datamodules.faces.detection.blaze_face import BlazeFace
from datamodules.faces.detection.hog import HOG
from datamodules.faces.landmarks.face_mesh import FaceMesh
from datamodules.faces.tracking.track import Sighting
from datamodules.faces.tracking.tracker import FaceTracker

Colour = tuple[int, int, int]
COLOURS: list[Colour] = [(90, 235, 120), (255, 190, 60), (110, 200, 255), (255, 120, 200)]  # of tracks
WHITE, GREY, PAPER, INK = (255, 255, 255), (165, 165, 165), (24, 24, 24), (60, 60, 60)
HOG_COLOUR, RED = (255, 150, 60), (255, 70, 70)
OFF = 0.1  # of the side of a face: the points are not those of the face
LINE = 17  # pixels of a line of text
ZOOM = 1.4  # of a frame of the studio
SEEN_OF_FRAME = (48, 4, 336, 184)  # x0 y0 x1 y1: the part of it in which people are
TILE = 236  # of a photograph
AROUND = 1.9  # what is shown of a photograph, over the side of the face
TURN = 0.5  # radians, further than the shots of the studio
FAR = 6.0  # half width of a face that is too small to be searched for


def write_text(image: Image, text: str, x: int, y: int, colour: Colour = WHITE, size: float = 0.45) -> None:
    """From a point of the base line on; the ground has to be dark."""
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def caption(width: int, lines: Sequence[tuple[str, Colour]], count: int) -> Image:
    """Room for so many lines below an image."""
    out = np.full((count * LINE + 5, width, 3), PAPER, np.uint8)
    for number, (text, colour) in enumerate(lines):
        write_text(out, text, 5, (number + 1) * LINE - 3, colour)
    return out


def draw_heading(width: int, text: str) -> Image:
    out = np.full((26, width, 3), INK, np.uint8)
    write_text(out, text, 5, 18, size=0.5)
    return out


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """A part of an image, to be drawn on."""

    image: Image
    corner: Floats  # (2,)
    zoom: float

    def locate(self, points: Floats) -> list[tuple[int, int]]:
        """In sixteenths of a pixel."""
        inner = (points.reshape(-1, 2) - self.corner + 0.5) * self.zoom - 0.5
        return [(int(x), int(y)) for x, y in np.rint(16 * inner)]

    def draw_box(self, box: Floats, colour: Colour) -> None:
        a, b = self.locate(box)
        cv2.rectangle(self.image, a, b, colour, 2, cv2.LINE_AA, 4)

    def draw_points(self, points: Floats, colour: Colour) -> None:
        for at in self.locate(points):
            cv2.circle(self.image, at, 22, colour, -1, cv2.LINE_AA, 4)


def enlarge(image: Image, box: tuple[float, float, float, float], width: int, height: int) -> Enlarged:
    corner, zoom = np.array(box[:2], np.float32), width / (box[2] - box[0])
    shift = (0.5 - corner) * zoom - 0.5
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    if zoom < 0.7:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 / zoom), np.uint8)
    out = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=(118, 120, 122))
    return Enlarged(image=np.asarray(out, np.uint8), corner=corner, zoom=zoom)


def describe(one: Sighting) -> str:
    pose = one.pose
    return f"presence {one.face.presence:.2f}  yaw {pose.yaw:+.0f}  pitch {pose.pitch:+.0f}  roll {pose.roll:+.0f}"


# strips of frames


def stage_turning(number: int) -> Staged:
    """Somebody speaks, turns from side to side and tilts the head."""
    name, shot = act(number, 36, stand(WIDTH / 2, 100, 76))
    phase = np.linspace(0, 2 * np.pi, len(shot))
    yaws, rolls = TURN * np.sin(phase), 0.25 * np.sin(2 * phase)
    poses = [replace(p, yaw=y, roll=r) for p, y, r in zip(shot.poses, yaws, rolls, strict=True)]
    return stage([(name, replace(shot, poses=poses))], 600 + number).encode()


def stage_approaching(number: int) -> Staged:
    """Somebody comes from afar, at first too small to be searched for."""
    name, shot = act(number, 36, walk({0: (WIDTH / 2, 166), 75: (WIDTH / 2, 100)}, 76))
    sizes = np.linspace(FAR / 36, 1, len(shot))
    poses = [replace(pose, radius=pose.radius * size) for pose, size in zip(shot.poses, sizes, strict=True)]
    return stage([(name, replace(shot, poses=poses))], 700 + number).encode()


Scene = tuple[str, Callable[[], Staged], tuple[int, ...]]  # with the frames that are shown
SCENES: list[Scene] = [
    (
        f"speaks, turns by {np.degrees(TURN):.0f} degrees to each side",
        lambda: stage_turning(2),
        (4, 19, 32, 44, 57, 70),
    ),
    ("hidden for a second by a board", lambda: stage_hidden(3, 1.0), (6, 24, 30, 50, 58, 70)),
    (
        "hidden for half a second by what has the colour of skin",
        lambda: stage_hidden(4, 0.5, True),
        (6, 24, 30, 40, 46, 60),
    ),
    ("two people cross", lambda: stage_crossing(1, 4), (4, 22, 30, 37, 44, 64)),
    ("somebody else takes the place behind a board", lambda: stage_replaced(1, 2), (6, 24, 36, 48, 54, 70)),
    ("a cut to somebody else in the same place", lambda: stage_cut(3, 5, (7, 8)), (4, 14, 24, 25, 34, 46)),
    ("comes from afar, is found late and followed back", lambda: stage_approaching(6), (0, 14, 28, 42, 56, 74)),
]


def strip(title: str, staged: Staged, chosen: Sequence[int]) -> list[list[Image]]:
    """A heading, and a row of frames with everybody who is followed there."""
    x0, y0, x1, y1 = SEEN_OF_FRAME
    width, height = round(ZOOM * (x1 - x0)), round(ZOOM * (y1 - y0))
    tracks = sorted(FaceTracker(BlazeFace(), FaceMesh()).track(staged.frames), key=lambda track: track.id)
    row: list[Image] = []
    captions: list[list[tuple[str, Colour]]] = []
    for i in chosen:
        tile = enlarge(staged.frames[i], SEEN_OF_FRAME, width, height)
        lines: list[tuple[str, Colour]] = []
        for track in tracks:
            colour = COLOURS[track.id % len(COLOURS)]
            for one in (one for one in track if one.frame == i):
                tile.draw_points(one.face.points, colour)
                tile.draw_box(one.box, colour)
                lines.append((f"track {track.id}  {describe(one)}", colour))
        tile.image[:20, :54] = PAPER
        write_text(tile.image, f"{i / FPS:.2f} s", 5, 14)
        row.append(tile.image)
        captions.append(lines or [("no face", GREY)])
    most = max(map(len, captions))
    row = [np.vstack([tile, caption(width, lines, most)]) for tile, lines in zip(row, captions, strict=True)]
    return [[draw_heading(width * len(chosen), title)], row]


def draw_tracked() -> None:
    """Frames of scenes of the studio."""
    rows = [row for title, scene, chosen in SCENES for row in strip(title, scene(), chosen)]
    write("faces_tracked", rows, 78)


# photographs


@dataclass(frozen=True, kw_only=True)
class Distortion:
    title: str
    side: float = USUAL
    degrees: float = 0.0
    change: Change | None = None


TURNS = {0: "upright", 30: "turned by 30 degrees", 60: "turned by 60 degrees", 90: "turned by 90 degrees"}
CONDITIONS = [
    *(
        Distortion(title=f"{side} px, {title}", side=side, degrees=degrees)
        for side in (240, 80, 40)
        for degrees, title in TURNS.items()
    ),
    Distortion(title="120 px, 3 % of the light", change=CHANGES["dark, 0.03 of the light"]),
    Distortion(title="120 px, blurred", change=CHANGES["blurred, sigma 8 % of the face"]),
    Distortion(title="120 px, eyes covered", change=CHANGES["eyes covered, grey"]),
    Distortion(title="120 px, half covered", change=CHANGES["left half covered, grey"]),
]
COLUMNS = 8
LEGEND = (
    "green: BlazeFace and the face mesh; off: mean distance to the points placed by hand, in percent of the side of "
    "the face; orange: dlib's HOG"
)


def measure_error(points: Floats, case: Case) -> float:
    """Mean distance to the points that people placed, over the side of the face."""
    assert case.points is not None
    return float(np.linalg.norm(points - case.points, axis=1).mean() / case.side)


def show_photograph(case: Case) -> Image:
    """The face with what FaceTracker says of it, and the box of dlib's HOG."""
    half = AROUND * case.side / 2
    x, y = case.centre
    tile = enlarge(case.image, (x - half, y - half, x + half, y + half), TILE, TILE)
    lines: list[tuple[str, Colour]] = []
    usual = HOG().find(case.image, SMALLEST)
    for found in usual:
        tile.draw_box(found.box, HOG_COLOUR)
    ours = [one for track in FaceTracker(BlazeFace(), FaceMesh()).track([case.image]) for one in track]
    for one in ours:
        tile.draw_points(one.face.points, COLOURS[0])
        tile.draw_box(one.box, COLOURS[0])
    hits = [one for one in ours if is_hit(one.found, case)]
    for one in hits[:1]:
        pose, off = one.pose, measure_error(one.face.points, case)
        lines.append((f"presence {one.face.presence:.2f}  off by {100 * off:.0f} %", COLOURS[0] if off < OFF else RED))
        lines.append((f"yaw {pose.yaw:+.0f}  pitch {pose.pitch:+.0f}  roll {pose.roll:+.0f}", COLOURS[0]))
    if not hits:
        lines += [("not found", GREY), ("", GREY)]
    known = [one for one in usual if is_hit(one, case)]
    lines.append((f"HOG  score {known[0].score:.2f}", HOG_COLOUR) if known else ("HOG: not found", GREY))
    wrong = len(ours) - len(hits[:1]) + len(usual) - len(known[:1])
    if wrong:
        lines[-1] = (f"{lines[-1][0]}, {wrong} wrong", HOG_COLOUR)
    return np.vstack([tile.image, caption(TILE, lines, 3)])


def photographs(people: int = 4) -> None:
    """Faces of London, small, turned, dark, blurred and covered."""
    portraits: list[KnownPortrait] = list(london(people))
    rows = [[draw_heading(TILE * COLUMNS, LEGEND)]]
    for first in range(0, len(CONDITIONS), COLUMNS):
        shown = CONDITIONS[first : first + COLUMNS]
        rows.append([draw_heading(TILE, condition.title) for condition in shown])
        for portrait in portraits:
            cases = [place(portrait, c.title, c.side, c.degrees, c.change) for c in shown]
            rows.append([show_photograph(case) for case in cases])
    write("faces_photographs", rows, 72)


def sheets(only: list[str] | None = None) -> None:
    """Draw them into benchmarks/results.

    Args:
        only: Names of sheets, tracked or photographs; both without it.
    """
    cv2.setNumThreads(1)
    for draw in (draw_tracked, photographs):
        if only is None or draw.__name__ in only:
            draw()


if __name__ == "__main__":
    auto_cli(sheets, as_positional=False)
