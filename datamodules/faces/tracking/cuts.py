"""Where one shot of a video ends and the next begins."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Thumbnail = NDArray[np.float32]
WIDTH, HEIGHT = 64, 36  # of a thumbnail
TILE = (12, 16)  # height and width of its tiles
REACH = 8  # pixels of a thumbnail that a tile may move between two frames: an eighth of the image
# Median over the tiles. On the studio, pairs of frames on both sides of a cut have at most 0.66, others at least 0.83.
ALIKE = 0.74
FLAT = 1.5  # standard deviation of a tile that shows nothing


@dataclass(frozen=True, slots=True)
class Left:
    """The end of a shot that the video may come back to."""

    shot: int
    frame: int
    thumbnail: Thumbnail


class Cuts:
    """Numbers the shots of a video, given frame by frame.

    A frame that is unlike the one before begins a shot; one that is like the end of a shot that was left less than
    ``memory`` frames ago continues that: flashes, black frames and whatever covers the lens shortly end no shot.
    Dissolves are not seen, nor cuts that change little of the image.
    """

    def __init__(self, memory: int = 25) -> None:
        """
        Args:
            memory: Frames after which a shot that was left is over.
        """
        self.memory, self.frame, self.shots, self.shot = memory, 0, 0, 0
        self.last: Thumbnail | None = None
        self.left: list[Left] = []

    def update(self, image: Image) -> int:
        """
        Args:
            image: (H, W, 3), the next frame.

        Returns:
            The number of its shot.
        """
        thumbnail = shrink(image)
        self.left = [one for one in self.left if self.frame - one.frame <= self.memory]
        cut = self.last is not None and likeness(self.last, thumbnail) < ALIKE
        back = next((one for one in self.left if likeness(one.thumbnail, thumbnail) >= ALIKE), None)
        if cut and self.last is not None and (back is None or back.shot != self.shot):
            self.left.append(Left(self.shot, self.frame - 1, self.last))
        if back is not None:
            self.shot = back.shot
            self.left = [one for one in self.left if one.shot != back.shot]
        elif cut:
            self.shots += 1
            self.shot = self.shots
        self.last, self.frame = thumbnail, self.frame + 1
        return self.shot


def shrink(image: Image) -> Thumbnail:
    """(36, 64) of the green channel, which is nearly the brightness."""
    step = max(1, min(image.shape[0] // (3 * HEIGHT), image.shape[1] // (3 * WIDTH)))
    green = np.ascontiguousarray(image[::step, ::step, 1])
    return cv2.resize(green, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)


def likeness(before: Thumbnail, now: Thumbnail) -> float:
    """Median over the tiles of their correlation with the place, near theirs, that they are most like."""
    still = correlations(tiles(before), tiles(now))
    if np.median(still) >= ALIKE:  # to move the tiles could only raise it
        return float(np.median(still))
    around = cv2.copyMakeBorder(before, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    best = []
    for place, tile in enumerate(tiles(now)):
        if tile.std() < FLAT:
            best.append(still[place])
            continue
        y, x = place // (WIDTH // TILE[1]) * TILE[0], place % (WIDTH // TILE[1]) * TILE[1]
        region = around[y : y + TILE[0] + 2 * REACH, x : x + TILE[1] + 2 * REACH]
        match = cv2.matchTemplate(region, tile, cv2.TM_CCOEFF_NORMED)
        best.append(float(np.nanmax(np.where(np.isfinite(match), match, 0.0))))
    return float(np.median(best))


def tiles(thumbnail: Thumbnail) -> NDArray[np.float32]:
    """(N, 12, 16)."""
    h, w = TILE
    return np.ascontiguousarray(thumbnail.reshape(HEIGHT // h, h, WIDTH // w, w).swapaxes(1, 2).reshape(-1, h, w))


def correlations(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) of the tiles; those that show nothing are alike where they are as bright."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    brightness = np.abs(a.mean(1) - b.mean(1))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    spread = np.sqrt((a * a).mean(1)), np.sqrt((b * b).mean(1))
    flat = (spread[0] < FLAT) & (spread[1] < FLAT)
    alike = (a * b).mean(1) / np.maximum(spread[0] * spread[1], FLAT * FLAT / 4)
    return np.where(flat, brightness < 24, alike).astype(np.float32)
