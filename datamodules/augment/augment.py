"""Augmentation of a batch on its device: pixels, masks and landmarks move together."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.augment.drawn_numbers import move
from datamodules.augment.jpeg import Subsampling, apply_at_side, jpegs
from datamodules.augment.photometric import draw_between, draw_flags, shrink_and_enlarge
from datamodules.batch import Batch
from datamodules.faces.landmarks.points import MIRROR

LUMA = (0.299, 0.587, 0.114)
SIDE = 256  # of an image, in whose pixels blur, noise, rescaling and JPEG are stated
CHUNK = 8  # images at a time on a CPU: larger tensors are paged in anew by every operation


@dataclass(kw_only=True)
class AugmentDraws:
    """The numbers that change B clips, drawn on the CPU whatever the device; (B,) where nothing is said."""

    matrix: Tensor  # (B, 2, 3)
    mirrored: Tensor
    colour: Tensor  # (B, 3, 3)
    lift: Tensor
    is_coloured: Tensor
    is_blurred: Tensor
    sigma: Tensor
    level: Tensor
    noise: Tensor  # (frames of clips that want it, 3, H, W)
    is_rescaled: Tensor
    share: Tensor
    is_compressed: Tensor
    quality: Tensor
    is_small: Tensor  # when it is compressed


class Augment(nn.Module):
    """Each transform is drawn once per clip; those of lower quality come last, as in a file's life.

    What lowers quality is stated for an image of 256 pixels and does to a smaller one what would be left of it there:
    a face loses as much at every size.
    """

    def __init__(
        self,
        flip: float = 0.5,
        affine: float = 0.5,
        degrees: float = 10.0,
        scale: tuple[float, float] = (0.95, 1.1),
        shift: float = 0.04,
        colour: float = 0.5,
        brightness: float = 0.15,
        contrast: float = 0.15,
        saturation: float = 0.15,
        hue: float = 0.04,
        blur: float = 0.2,
        sigma: tuple[float, float] = (0.3, 1.5),
        noise: float = 0.2,
        deviation: tuple[float, float] = (0.005, 0.03),
        rescale: float = 0.2,
        smallest: float = 0.4,
        jpeg: float = 0.3,
        quality: tuple[int, int] = (40, 100),
        subsampling: Subsampling = "4:2:0",
        small_jpeg: float = 0.0,
    ) -> None:
        """
        Args:
            flip: Probability of a mirror image.
            affine: Probability of a turn, a zoom and a shift together.
            degrees: Largest turn to either side.
            scale: Zoom.
            shift: Largest shift, over the side of the image.
            colour: Probability of the four changes of colour together.
            brightness: Largest change of the gain.
            contrast: Largest change around the mean of the image.
            saturation: Largest change of the chroma.
            hue: Largest turn of the chroma, in turns.
            blur: Probability of a Gaussian blur.
            sigma: Standard deviation of the blur, in pixels of an image of 256.
            noise: Probability of white noise.
            deviation: Standard deviation of the noise in an image of 256; white is 1.
            rescale: Probability of a way down and up again.
            smallest: Lowest size on the way, over 256 pixels.
            jpeg: Probability of a real JPEG, on each frame; of 256 pixels if it is smaller.
            quality: JPEG quality range.
            subsampling: Chroma subsampling of the JPEG.
            small_jpeg: Probability that the JPEG of an image which is rescaled is one of its lowest size, as of a small
                file: the blocks are enlarged, too.
        """
        super().__init__()
        self.flip, self.affine, self.degrees, self.scale, self.shift = flip, affine, degrees, scale, shift
        self.colour, self.brightness, self.contrast = colour, brightness, contrast
        self.saturation, self.hue = saturation, hue
        self.blur, self.sigma, self.noise, self.deviation = blur, sigma, noise, deviation
        self.rescale, self.smallest = rescale, smallest
        self.jpeg, self.quality, self.subsampling, self.small_jpeg = jpeg, quality, subsampling, small_jpeg

    def forward(self, batch: Batch) -> Batch:
        """
        Args:
            batch: On its device, frames and mask in [0, 1].
        """
        b, (t, _, *size) = len(batch), batch.frames.shape[1:]
        chunk = max(1, CHUNK // t)
        if batch.frames.is_cpu:
            for start in range(0, b, chunk):
                self.augment_rows(batch, slice(start, start + chunk), self.draws(min(chunk, b - start), t, *size))
        else:  # at once, from the numbers that a CPU would have drawn for each part
            drawn = [self.draws(min(chunk, b - start), t, *size) for start in range(0, b, chunk)]
            # the noise, megabytes for each image, is put together where it is wanted
            drawn = [replace(one, noise=one.noise.to(batch.frames.device, non_blocking=True)) for one in drawn]
            together = {f.name: torch.cat([getattr(one, f.name) for one in drawn]) for f in fields(AugmentDraws)}
            self.augment_rows(batch, slice(0, b), AugmentDraws(**together))
        return batch

    def draws(self, b: int, t: int, height: int, width: int) -> AugmentDraws:
        matrix, mirrored = self.geometry(b, height, width)
        colour, lift, is_coloured = self.colours(b)
        is_blurred, sigma = draw_flags(self.blur, b), draw_between(*self.sigma, b)
        # reduced to another size, white noise falls as the side does
        level = draw_between(*self.deviation, b) * draw_flags(self.noise, b) * min(height, width) / SIDE
        return AugmentDraws(
            matrix=matrix,
            mirrored=mirrored,
            colour=colour,
            lift=lift,
            is_coloured=is_coloured,
            is_blurred=is_blurred,
            sigma=sigma,
            level=level,
            # on the CPU like the other numbers, from the generator that has the address of the step
            noise=torch.randn(int((level > 0).sum()) * t, 3, height, width),
            is_rescaled=draw_flags(self.rescale, b),
            share=draw_between(self.smallest, 1, b),
            is_compressed=draw_flags(self.jpeg, b),
            quality=torch.randint(self.quality[0], self.quality[1] + 1, (b,)),
            is_small=draw_flags(self.small_jpeg, b) if self.small_jpeg else torch.zeros(b, dtype=torch.bool),
        )

    def augment_rows(self, batch: Batch, rows: slice, drawn: AugmentDraws) -> None:
        frames, mask = batch.frames[rows], batch.mask[rows]
        t, height, width = frames.shape[1], *frames.shape[-2:]
        images, regions = frames.flatten(0, 1), mask.flatten(0, 1)
        if (drawn.matrix != torch.eye(2, 3)).any():
            tensors = [invert(drawn.matrix, height, width), drawn.matrix, drawn.mirrored, batch.has_landmarks[rows]]
            theta, matrix, mirrored, has_landmarks = move(tensors, frames.device)
            grid = grid_of(theta, height, width).repeat_interleave(t, 0)
            images = F.grid_sample(images, grid, padding_mode="border", align_corners=True)
            regions = F.grid_sample(regions, grid, mode="nearest", align_corners=True)
            batch.landmarks[rows] = self.points(batch.landmarks[rows], has_landmarks, matrix, mirrored)
        images = self.change_colours(images, t, drawn)
        images = self.apply_blur(images, t, drawn)
        images = self.apply_noise(images, t, drawn)
        images = self.apply_rescale(images, t, drawn)
        images = self.apply_jpeg(images, t, drawn)
        batch.frames[rows], batch.mask[rows] = images.view_as(frames), regions.view_as(mask)

    def geometry(self, b: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Matrices from old to new pixels, and which of them mirror."""
        mirrored, is_moved = draw_flags(self.flip, b), draw_flags(self.affine, b)
        angle = draw_between(-1, 1, b) * math.radians(self.degrees) * is_moved
        zoom = torch.where(is_moved, draw_between(*self.scale, b), torch.ones(b))
        shift = self.shift * torch.stack([width * draw_between(-1, 1, b), height * draw_between(-1, 1, b)], 1)
        side = 1 - 2 * mirrored.float()
        turn = torch.stack([angle.cos() * side, -angle.sin(), angle.sin() * side, angle.cos()], 1).view(b, 2, 2)
        linear = zoom[:, None, None] * turn
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        return torch.cat([linear, (centre + shift * is_moved[:, None] - linear @ centre)[..., None]], 2), mirrored

    @staticmethod
    def points(points: Tensor, has_landmarks: Tensor, matrix: Tensor, mirrored: Tensor) -> Tensor:
        # no matrix product, which a GPU may round to tenths of a pixel
        x, y = points[..., :1], points[..., 1:]
        across, down, offset = matrix[:, None, None].unbind(-1)
        moved = x * across + y * down + offset
        moved = torch.where(mirrored[:, None, None, None], moved[:, :, mirror(points.device)], moved)
        return torch.where(has_landmarks[:, None, None, None], moved, points)

    def colours(self, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Gain, contrast and chroma as one matrix per clip, what is added of its mean, and where; hue turns in YIQ."""
        is_chosen = draw_flags(self.colour, b)
        gain, contrast, chroma = (
            1 + amount * draw_between(-1, 1, b) * is_chosen
            for amount in (self.brightness, self.contrast, self.saturation)
        )
        turn = 2 * math.pi * self.hue * draw_between(-1, 1, b) * is_chosen
        to_yiq = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
        middle = torch.zeros(b, 3, 3)
        middle[:, 0, 0] = 1
        middle[:, 1, 1] = middle[:, 2, 2] = chroma * turn.cos()
        middle[:, 2, 1] = chroma * turn.sin()
        middle[:, 1, 2] = -middle[:, 2, 1]
        matrix = (gain * contrast)[:, None, None] * (torch.linalg.inv(to_yiq) @ middle @ to_yiq)
        return matrix, gain * (1 - contrast), is_chosen

    def change_colours(self, images: Tensor, t: int, drawn: AugmentDraws) -> Tensor:
        if not drawn.is_coloured.any():
            return images
        luma = torch.tensor(LUMA).expand(len(drawn.lift), 3)
        matrix, weight = move([drawn.colour, drawn.lift[:, None] * luma], images.device)
        mean = images.unflatten(0, (-1, t)).mean((1, 3, 4))  # (B, 3)
        lift = (mean * weight).sum(1).repeat_interleave(t)
        matrices = matrix.repeat_interleave(t, 0)
        out = torch.baddbmm(lift[:, None, None].expand(-1, 3, 1), matrices, images.flatten(2))
        return out.view_as(images).clamp_(0, 1)

    def apply_blur(self, images: Tensor, t: int, drawn: AugmentDraws) -> Tensor:
        from kornia.filters import filter2d_separable  # half a second that only trainings have use for

        if not drawn.is_blurred.any():
            return images
        side_ratio = min(images.shape[-2:]) / SIDE
        size = 2 * math.ceil(3 * self.sigma[1] * side_ratio + 1) + 1
        weights = gaussian(drawn.sigma[drawn.is_blurred].repeat_interleave(t) * side_ratio, size)
        rows, taps = move([frames_of(drawn.is_blurred, t), weights], images.device)
        images = images.clone()
        images[rows] = filter2d_separable(images[rows], taps, taps, border_type="replicate")
        return images

    def apply_noise(self, images: Tensor, t: int, drawn: AugmentDraws) -> Tensor:
        is_noisy = drawn.level > 0
        if not is_noisy.any():
            return images
        level = drawn.level[is_noisy].repeat_interleave(t)[:, None, None, None]
        rows, level = move([frames_of(is_noisy, t), level], images.device)
        images = images.clone()
        images[rows] = (images[rows] + drawn.noise * level).clamp_(0, 1)
        return images

    def apply_rescale(self, images: Tensor, t: int, drawn: AugmentDraws) -> Tensor:
        images = images.clone() if drawn.is_rescaled.any() else images
        for i in drawn.is_rescaled.nonzero().flatten().tolist():
            rows, quality = slice(i * t, (i + 1) * t), drawn.quality[i].repeat(t)
            is_coded = bool(drawn.is_compressed[i] & drawn.is_small[i])
            code = functools.partial(jpegs, quality=quality, subsampling=self.subsampling) if is_coded else None
            small = functools.partial(shrink_and_enlarge, side=float(drawn.share[i]) * SIDE, change=code)
            images[rows] = apply_at_side(images[rows], SIDE, small)
        return images

    def apply_jpeg(self, images: Tensor, t: int, drawn: AugmentDraws) -> Tensor:
        is_left = drawn.is_compressed & ~(drawn.is_rescaled & drawn.is_small)
        if not is_left.any():
            return images
        (rows,) = move([frames_of(is_left, t)], images.device)
        images = images.clone()
        quality = drawn.quality[is_left].repeat_interleave(t)
        images[rows] = jpegs(images[rows], quality, SIDE, self.subsampling)
        return images


def frames_of(chosen: Tensor, t: int) -> Tensor:
    """(B,) bool of clips to the places of their frames."""
    return chosen.repeat_interleave(t).nonzero().flatten()


def invert(matrix: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, 3) from old to new pixels to the way from new to old places, -1 to 1."""
    unit = torch.tensor(
        [[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]], dtype=torch.float64
    )
    last = torch.tensor([0, 0, 1], dtype=torch.float64).expand(len(matrix), 1, 3)
    square = torch.cat([matrix.double(), last], 1)
    return (unit @ torch.linalg.inv(square) @ torch.linalg.inv(unit))[:, :2].float()


def grid_of(theta: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, 3) to (B, H, W, 2): no matrix product, which a GPU may round to tenths of a pixel."""
    x, y = (torch.linspace(-1, 1, side, device=theta.device)[:, None] for side in (width, height))
    across, down, offset = theta[:, None, None].unbind(-1)  # (B, 1, 1, 2)
    return x * across + (y[:, None] * down + offset)


@functools.lru_cache(maxsize=4)
def mirror(device: torch.device) -> Tensor:
    return torch.tensor(MIRROR, device=device)


def gaussian(sigma: Tensor, size: int) -> Tensor:
    """(B, size) weights with these variances, which a sampled Gaussian misses where it is narrower than a pixel."""
    frequency = 2 * math.pi * torch.fft.rfftfreq(size)
    weights = torch.fft.irfft(torch.exp(-(sigma[:, None] ** 2) * (1 - frequency.cos())), size)
    return weights.roll(size // 2, 1)
