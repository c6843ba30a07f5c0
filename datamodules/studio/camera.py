"""What a camera adds to what is before it: a lens, exposure that drifts and flickers, its colours and its noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.studio.scenery.paint import Array, wander

DRIFT = 128  # pixels that the noise is larger than a frame, so that no two frames have the same


class Camera:
    """Exposure drift, mains flicker, sensor noise, a lens: the same for a real video and its forgeries."""

    def __init__(self, rng: np.random.Generator, width: int, height: int, frames: int, fps: int) -> None:
        self.height, self.fps = height, fps
        # from sharp to plainly out of focus, so that shots differ more than a real one and its forgery
        self.softness = float(np.exp(rng.uniform(np.log(0.25), np.log(1.6)))) * height / 192
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        vignette = 1 - rng.uniform(0.0, 0.12) * (x**2 + y**2)[..., None]
        kelvin, green = 0.045 * rng.standard_normal(), 0.015 * rng.standard_normal()
        gain = np.exp(np.clip([kelvin, green, -kelvin], -0.1, 0.1)) * rng.uniform(0.9, 1.08)
        self.gain = np.ascontiguousarray(vignette * gain, np.float32)
        self.contrast = float(rng.uniform(-0.25, 0.9))
        t = np.arange(frames) / fps
        self.exposure = np.exp(wander(rng, t, rng.uniform(0.004, 0.025), 0.1, 0.6))
        self.flicker, self.rows, self.beat = rng.uniform(0.001, 0.01), rng.uniform(0.8, 2.5), rng.uniform(0.5, 3)
        self.level = float(np.exp(rng.uniform(np.log(0.002), np.log(0.016))))
        self.by_value = self.level * compute_response(rng, self.contrast)
        self.grain = draw_grain(rng, height + DRIFT, width + DRIFT)
        # another part of it, mirrored or not, in every frame of even an hour
        picks = rng.choice(4 * DRIFT * DRIFT, frames, replace=frames > 4 * DRIFT * DRIFT)
        self.parts = np.stack([picks // 4 // DRIFT, picks // 4 % DRIFT, picks % 2, picks // 2 % 2], 1)

    def focus(self, clean: Array) -> Array:
        """The (H, W, 3) image as soft as this lens: for what is before the camera, ahead of any forgery."""
        return cv2.GaussianBlur(clean, (0, 0), self.softness) if self.softness > 0.3 else clean

    def noise_at(self, i: int) -> Array:
        """Noise of about unit variance, (H, W, 3)."""
        y, x, up, left = self.parts[i]
        height, width = self.gain.shape[:2]
        part = self.grain[y : y + height, x : x + width]
        return part[:: 1 - 2 * up, :: 1 - 2 * left]

    def exposure_at(self, i: int) -> Array:
        """The gain of each row, (H, 1, 1)."""
        row = np.arange(self.height)[:, None, None] / self.height
        wave = np.sin(2 * np.pi * (self.rows * row + self.beat * i / self.fps))
        return (self.exposure[i] * (1 + self.flicker * wave)).astype(np.float32)

    def shoot(
        self, clean: Array, i: int, keep_noise: Array | float = 1.0, box: tuple[int, int, int, int] | None = None
    ) -> NDArray[np.uint8]:
        """
        Args:
            clean: (H, W, 3) in [0, 1].
            i: Frame.
            keep_noise: (H, W, 1), where below 1 the image was made after the camera.
            box: Part of the frame (x0, y0, x1, y1) that clean is; all of it without it.
        """
        x0, y0, x1, y1 = box or (0, 0, self.gain.shape[1], self.height)
        seen = clean * self.gain[y0:y1, x0:x1]
        seen *= self.exposure_at(i)[y0:y1]
        np.minimum(seen, 1, out=seen)
        if self.contrast:
            bend = seen - np.float32(0.5)
            bend *= 1 - seen
            bend *= np.float32(self.contrast)
            bend += 1
            seen *= bend
        noise = cv2.LUT(cv2.convertScaleAbs(seen, alpha=255), self.by_value)
        noise *= self.noise_at(i)[y0:y1, x0:x1]
        noise *= keep_noise
        seen += noise
        return cv2.convertScaleAbs(np.maximum(seen, 0, out=seen), alpha=255)  # rounds and saturates in one pass


def compute_response(rng: np.random.Generator, contrast: float) -> Array:
    """How strong noise is at each of 256 display values, 1 on average.

    A sensor's noise is read noise and shot noise, which grows with the light; the curve to display values, steep in
    the dark, stretches it there.
    """
    value = (np.arange(256) + 0.5) / 256  # before the shot's own contrast
    read, toe = rng.uniform(0.002, 0.05), 0.03
    noise = np.sqrt(read + value**2) / np.sqrt(toe + value**2)  # of a square root with a toe
    noise *= 1 + contrast * ((value - 0.5) * (1 - value) + value * (1.5 - 2 * value))
    shown = value * (1 + contrast * (value - 0.5) * (1 - value))
    noise = np.interp(value, shown, noise)
    return (noise / noise.mean()).astype(np.float32)


def draw_grain(rng: np.random.Generator, height: int, width: int) -> Array:
    """Noise of about unit variance, alike in neighbours as after demosaicing and denoising, (h, w, 3)."""
    fine = rng.standard_normal((height, width, 3), dtype=np.float32)
    fine = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.35, 0.9))
    grey = fine[..., 1:2]
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    coarse = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 0.8), (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.array([0.8, 0.5, 1.0], np.float32) * np.float32(rng.uniform(0.2, 0.7))  # colour is denoised coarser
    noise = (0.6 * grey + 0.4 * fine) / fine.std() + share * coarse / coarse.std()
    return noise / noise.std((0, 1)) * np.array([1.05, 0.85, 1.25], np.float32)  # blue has the least light
