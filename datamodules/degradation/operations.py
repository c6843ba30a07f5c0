"""What happens to a video on its way from the camera: one step each, with the numbers that say how badly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.media.encode import Codec, Image
from datamodules.media.image import decode


class Step(ABC):
    """A change of every image."""

    @abstractmethod
    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """(H, W, 3) to (H', W', 3)"""

    def mask(self, mask: Image) -> Image:
        """(H, W) of the altered region, moved as the image is."""
        return mask


def round_to_even(size: float) -> int:
    """As 4:2:0 wants it."""
    return max(2, 2 * round(size / 2))


@dataclass(frozen=True)
class Even(Step):
    """Cuts off a last odd row or column."""

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return self.mask(image)

    def mask(self, mask: Image) -> Image:
        return mask[: mask.shape[0] // 2 * 2, : mask.shape[1] // 2 * 2]


@dataclass(frozen=True)
class Resize(Step):
    """Smaller, and by default as large as before again: what is lost are details, not faces."""

    scale: float
    back: bool = True

    def sizes(self, image: Image) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height, of before and small."""
        h, w = image.shape[:2]
        return (w, h), (round_to_even(w * self.scale), round_to_even(h * self.scale))

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        whole, small = self.sizes(image)
        out: Image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        return cv2.resize(out, whole, interpolation=cv2.INTER_CUBIC) if self.back else out

    def mask(self, mask: Image) -> Image:
        if self.back:
            return mask
        return cv2.resize(mask, self.sizes(mask)[1], interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Crop(Step):
    """A share of each side is cut off."""

    share: float

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return self.mask(image)

    def mask(self, mask: Image) -> Image:
        h, w = mask.shape[:2]
        y, x = round(h * self.share), round(w * self.share)
        return mask[y : y + round_to_even(h - 2 * y), x : x + round_to_even(w - 2 * x)]


@dataclass(frozen=True)
class Jpeg(Step):
    quality: int

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return decode(content.tobytes())


@dataclass(frozen=True)
class Blur(Step):
    """Gaussian; the spread is what OpenCV takes for a kernel of that side."""

    kernel: int

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return cv2.GaussianBlur(image, (self.kernel, self.kernel), 0)


@dataclass(frozen=True)
class Noise(Step):
    """White and Gaussian, of pixels in [0, 1]."""

    variance: float

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(255 * self.variance**0.5)
        return np.rint(image + noise).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Contrast(Step):
    """About the middle grey."""

    factor: float

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return np.rint((image - 127.5) * self.factor + 127.5).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Saturation(Step):
    """Between the image, 1, and its grey, 0."""

    factor: float

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        return np.rint(grey + (image.astype(np.float32) - grey) * self.factor).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class BlockDrop(Step):
    """Squares of an image come through grey, elsewhere in each frame."""

    blocks: int
    side: float = 1 / 32  # of the longer side of the image

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        h, w = image.shape[:2]
        side = max(1, round(max(h, w) * self.side))
        out = image.copy()
        for y, x in zip(
            rng.integers(0, max(1, h - side), self.blocks), rng.integers(0, max(1, w - side), self.blocks), strict=True
        ):
            out[y : y + side, x : x + side] = 127
        return out


@dataclass(frozen=True)
class Pixelation(Step):
    """Squares of as many pixels have one colour."""

    side: int

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        h, w = image.shape[:2]
        small = cv2.resize(image, (max(1, w // self.side), max(1, h // self.side)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (w, h), interpolation=cv2.INTER_NEAREST)


@dataclass(frozen=True)
class FrameDrop:
    """A share of the frames does not arrive; the others keep their times."""

    share: float

    def draw_kept(self, count: int, rng: np.random.Generator) -> set[int]:
        """Numbers of the frames that arrive; the first does."""
        lost = rng.permutation(np.arange(1, count))[: round(self.share * count)]
        return set(range(count)) - set(lost.tolist())


@dataclass(frozen=True)
class Coded:
    """A pass of a lossy coder; what comes after it sees what it left."""

    codec: Codec
    crf: int


Stage = Step | FrameDrop | Coded
