"""What of a crop a network is shown, changed in shape or not, and brought to its size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.runtime.errors import UserError

Window = tuple[int, int, int, int]  # top, left, height, width, in pixels
ASPECT = 3.33  # of what is erased, its height over its width or the inverse


@dataclass(frozen=True, kw_only=True)
class Framing:
    """What of a prepared crop a network is shown: a synthesis draws from a range in training, else it is its middle.

    Args:
        cut: Least and greatest part of the side that is cut off on each side.
        equal_sides: Whether one draw cuts all four sides.
        shift_down: How far the middle of what is kept lies below that of the crop, over the side.
    """

    cut: tuple[float, float] = (0.0, 0.0)
    equal_sides: bool = True
    shift_down: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.cut
        if not 0 <= low <= high < 0.5:
            raise UserError(f"framing.cut {low:g}, {high:g}: must rise, from 0 on, to less than a half")
        if abs(self.shift_down) > low + 1e-6:
            raise UserError(f"framing.shift_down {self.shift_down:g}: must not be more than the least cut, {low:g}")

    def draw(self, height: int, width: int) -> Window:
        low, high = self.cut
        draws = (low + (high - low) * torch.rand(4)).tolist()
        return self.window(height, width, draws[:1] * 4 if self.equal_sides else draws)

    def middle(self, height: int, width: int) -> Window:
        return self.window(height, width, [sum(self.cut) / 2] * 4)

    def window(self, height: int, width: int, cut: list[float]) -> Window:
        top, bottom, left, right = cut
        y, x = round((top + self.shift_down) * height), round(left * width)
        return y, x, height - y - round((bottom - self.shift_down) * height), width - x - round(right * width)

    def crop(self, images: Tensor) -> Tensor:
        """The middle of (..., H, W), as large as it is."""
        top, left, height, width = self.middle(*images.shape[-2:])
        return images[..., top : top + height, left : left + width]

    def show(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """The middle of (B, C, H, W) in [0, 1], at the size of the network: as a synthesis shows it, in bytes."""
        middle = self.crop(images)
        if middle.shape == images.shape and tuple(images.shape[-2:]) == size:
            return images
        return resize(middle, *size).mul(255).round().div(255)

    def enlarge(self, maps: Tensor, size: tuple[int, int], corners: bool = False) -> Tensor:
        """Maps of the middle, (B, C, h, w), for the whole crop; what was not shown repeats the border.

        Args:
            size: Height and width of the crop.
            corners: Whether the corners of a map are those of the middle; else its cells are the middle's.
        """
        (h, w), (top, left, height, width) = size, self.middle(*size)
        inner = F.interpolate(maps, (height, width), mode="bilinear", align_corners=corners)
        around = (left, w - width - left, top, h - height - top)
        return F.pad(inner, around, mode="replicate") if any(around) else inner


WHOLE = Framing()


@dataclass(kw_only=True)
class Shape:
    """One change of shape."""

    crop: Window | None = None
    zoom: float = 1.0
    hole: Window | None = None


def draw_shape(height: int, width: int, crop: float, rescale: tuple[float, float], erase: tuple[float, float]) -> Shape:
    """One of three: a crop by whole hundredths, an equal zoom of both sides, or a rectangle erased."""
    kind = int(torch.randint(3, ()))
    u = torch.rand(5).tolist()
    if kind == 0:
        steps = round(crop * 100) + 1
        tall, wide = (round(side * (1 - int(steps * x) / 100)) for side, x in ((height, u[0]), (width, u[1])))
        return Shape(crop=(int(u[2] * (height - tall + 1)), int(u[3] * (width - wide + 1)), tall, wide))
    if kind == 1:
        return Shape(zoom=rescale[0] + (rescale[1] - rescale[0]) * u[0])
    area = (erase[0] + (erase[1] - erase[0]) * u[0]) * height * width
    aspect = ASPECT ** (2 * u[1] - 1)
    tall, wide = min(height, round((area * aspect) ** 0.5)), min(width, round((area / aspect) ** 0.5))
    return Shape(hole=(int(u[2] * (height - tall + 1)), int(u[3] * (width - wide + 1)), tall, wide))


@dataclass(kw_only=True)
class Cut:
    """What becomes of one pair: its window, perhaps mirrored, changed in shape."""

    window: Window
    flip: bool
    shape: Shape


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W), bilinear; corners stay corners."""
    if x.dtype == torch.uint8 and x.is_cuda:  # only a CPU has it for bytes
        return resize(x.float(), height, width).round_().to(torch.uint8)
    # five times as fast on bytes as on floats if channels lie together
    x = x.contiguous(memory_format=torch.channels_last)
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


def apply_shape(x: Tensor, shape: Shape, compat: bool, out: Tensor) -> None:
    """
    Args:
        x: (B, C, H, W), images in bytes or masks in [0, 1]; stretched where the proportions differ.
        compat: The shape changes after it was decided where pixels go: at the upper left, black beyond or cut off.
        out: (B, C, h, w) to fill, black where a crop changed the proportions.
    """
    height, width = x.shape[-2:]
    share = (1.0, 1.0)  # of the window, what is left of it
    if shape.hole is not None:
        top, left, tall, wide = shape.hole
        x = x.clone()
        x[..., top : top + tall, left : left + wide] = 0
    if shape.crop is not None:
        top, left, tall, wide = shape.crop
        x = x[..., top : top + tall, left : left + wide]
        if not compat:
            share = (tall - 1) / (height - 1), (wide - 1) / (width - 1)
    if shape.zoom != 1:
        x = resize(x, round(height * shape.zoom), round(width * shape.zoom))
    if compat:
        tall, wide = x.shape[-2:]
        x = F.pad(x[..., :height, :width], (0, max(0, width - wide), 0, max(0, height - tall)))
    tall, wide = (round((side - 1) * part / max(share)) + 1 for side, part in zip(out.shape[-2:], share, strict=True))
    top, left = (out.shape[-2] - tall) // 2, (out.shape[-1] - wide) // 2
    if (tall, wide) != tuple(out.shape[-2:]):
        out.zero_()
    out[..., top : top + tall, left : left + wide] = resize(x, tall, wide)
