"""Augmentation of a batch on its device: pixels, masks and landmarks move together."""

from __future__ import annotations

import functools
import math

import torch
from kornia.filters import filter2d_separable
from kornia.geometry.transform import warp_affine
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batch import Batch
from datamodules.jpeg import Subsampling, at_side, jpeg
from datamodules.synthesis.light import between, happens

# which landmark is which in the mirror: jaw, brows, nose bridge, nostrils, eyes, lips
MIRROR = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48),
    *(59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60),
    *(67, 66, 65),
]
LUMA = (0.299, 0.587, 0.114)
SIDE = 256  # of a picture, in whose pixels blur, noise, rescaling and JPEG are stated
CHUNK = 8  # images at a time on a CPU: larger tensors are paged in anew by every operation


class Augment(nn.Module):
    """Each transform is drawn once per clip; those of lower quality come last, as in a file's life.

    What lowers quality is stated for a picture of 256 pixels and does to a smaller one what would be left of it there:
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
    ) -> None:
        """
        Args:
            flip: Probability of a mirror image.
            affine: Probability of a turn, a zoom and a shift together.
            degrees: Largest turn to either side.
            scale: Zoom.
            shift: Largest shift, over the side of the picture.
            colour: Probability of the four changes of colour together.
            brightness: Largest change of the gain.
            contrast: Largest change around the mean of the picture.
            saturation: Largest change of the chroma.
            hue: Largest turn of the chroma, in turns.
            blur: Probability of a Gaussian blur.
            sigma: Its standard deviation, in pixels of a picture of 256.
            noise: Probability of white noise.
            deviation: Its standard deviation in a picture of 256; white is 1.
            rescale: Probability of a way down and up again.
            smallest: Lowest size on the way, over 256 pixels.
            jpeg: Probability of a real JPEG, on each frame; of 256 pixels if it is smaller.
            quality: Of the JPEG.
            subsampling: Of its chroma.
        """
        super().__init__()
        self.flip, self.affine, self.degrees, self.scale, self.shift = flip, affine, degrees, scale, shift
        self.colour, self.brightness, self.contrast = colour, brightness, contrast
        self.saturation, self.hue = saturation, hue
        self.blur, self.sigma, self.noise, self.deviation = blur, sigma, noise, deviation
        self.rescale, self.smallest = rescale, smallest
        self.jpeg, self.quality, self.subsampling = jpeg, quality, subsampling

    def forward(self, batch: Batch) -> Batch:
        """
        Args:
            batch: On its device, frames and mask in [0, 1].
        """
        step = len(batch) if batch.frames.is_cuda else max(1, CHUNK // batch.frames.shape[1])
        for start in range(0, len(batch), step):
            self.part(batch, slice(start, start + step))
        return batch

    def part(self, batch: Batch, rows: slice) -> None:
        frames, mask = batch.frames[rows], batch.mask[rows]
        b, t, _, height, width = frames.shape
        matrix, mirrored = self.geometry(b, height, width)  # (B, 2, 3), (B,)
        images, regions = frames.flatten(0, 1), mask.flatten(0, 1)
        if (matrix != torch.eye(2, 3)).any():
            each = matrix.to(frames.device).repeat_interleave(t, 0)
            images = warp_affine(images, each, (height, width), padding_mode="border", align_corners=True)
            regions = warp_affine(regions, each, (height, width), mode="nearest", align_corners=True)
            batch.landmarks[rows] = self.points(batch.landmarks[rows], batch.has_landmarks[rows], matrix, mirrored)
        images = self.colours(images, b, t)
        images = self.blurred(images, b, t)
        images = self.noisy(images, b, t)
        images = self.rescaled(images, b, t)
        images = self.compressed(images, b, t)
        batch.frames[rows], batch.mask[rows] = images.view_as(frames), regions.view_as(mask)

    def geometry(self, b: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Matrices from old to new pixels, and which of them mirror."""
        mirrored, moved = happens(self.flip, b), happens(self.affine, b)
        angle = between(-1, 1, b) * math.radians(self.degrees) * moved
        zoom = torch.where(moved, between(*self.scale, b), torch.ones(b))
        shift = self.shift * torch.stack([width * between(-1, 1, b), height * between(-1, 1, b)], 1) * moved[:, None]
        side = 1 - 2 * mirrored.float()
        turn = torch.stack([angle.cos() * side, -angle.sin(), angle.sin() * side, angle.cos()], 1).view(b, 2, 2)
        linear = zoom[:, None, None] * turn
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        return torch.cat([linear, (centre + shift - linear @ centre)[..., None]], 2), mirrored

    @staticmethod
    def points(points: Tensor, known: Tensor, matrix: Tensor, mirrored: Tensor) -> Tensor:
        matrix, mirrored = matrix.to(points.device), mirrored.to(points.device)
        moved = torch.einsum("bij,btpj->btpi", matrix[..., :2], points) + matrix[:, None, None, :, 2]
        moved = torch.where(mirrored[:, None, None, None], moved[:, :, MIRROR], moved)
        return torch.where(known[:, None, None, None], moved, points)

    def colours(self, images: Tensor, b: int, t: int) -> Tensor:
        """Gain, contrast and chroma as one matrix per clip; the hue turns in YIQ."""
        chosen = happens(self.colour, b)
        gain, contrast, chroma = (
            1 + amount * between(-1, 1, b) * chosen for amount in (self.brightness, self.contrast, self.saturation)
        )
        turn = 2 * math.pi * self.hue * between(-1, 1, b) * chosen
        if not chosen.any():
            return images
        to_yiq = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
        middle = torch.zeros(b, 3, 3)
        middle[:, 0, 0] = 1
        middle[:, 1, 1] = middle[:, 2, 2] = chroma * turn.cos()
        middle[:, 2, 1] = chroma * turn.sin()
        middle[:, 1, 2] = -middle[:, 2, 1]
        matrix = (gain * contrast)[:, None, None] * (torch.linalg.inv(to_yiq) @ middle @ to_yiq)
        device = images.device
        mean = images.view(b, t, 3, -1).mean((1, 3)) @ torch.tensor(LUMA, device=device)  # (B,)
        lift = (gain * (1 - contrast)).to(device) * mean
        each, lifts = matrix.to(device).repeat_interleave(t, 0), lift.repeat_interleave(t)
        out = torch.baddbmm(lifts[:, None, None].expand(-1, 3, 1), each, images.flatten(2))
        return out.view_as(images).clamp_(0, 1)

    def blurred(self, images: Tensor, b: int, t: int) -> Tensor:
        chosen, sigma = happens(self.blur, b), between(*self.sigma, b)
        which = chosen.repeat_interleave(t).to(images.device)
        if chosen.any():
            times = min(images.shape[-2:]) / SIDE
            size = 2 * math.ceil(3 * self.sigma[1] * times + 1) + 1
            taps = gaussian(sigma.repeat_interleave(t)[which.cpu()] * times, size).to(images.device)
            images = images.clone()
            images[which] = filter2d_separable(images[which], taps, taps, border_type="replicate")
        return images

    def noisy(self, images: Tensor, b: int, t: int) -> Tensor:
        # reduced to another size, white noise falls as the side does
        level = between(*self.deviation, b) * happens(self.noise, b) * min(images.shape[-2:]) / SIDE
        if not level.any():
            return images
        # drawn on the CPU like the other numbers, from the generator that has the address of the step
        noise = torch.randn(b * t, *images.shape[1:]) * level.repeat_interleave(t)[:, None, None, None]
        return (images + noise.to(images.device)).clamp_(0, 1)

    def rescaled(self, images: Tensor, b: int, t: int) -> Tensor:
        chosen, share = happens(self.rescale, b), between(self.smallest, 1, b)
        images = images.clone() if chosen.any() else images
        for i in chosen.nonzero().flatten().tolist():
            rows = slice(i * t, (i + 1) * t)
            small = functools.partial(down_and_up, side=float(share[i]) * SIDE)
            images[rows] = at_side(images[rows], SIDE, small)
        return images

    def compressed(self, images: Tensor, b: int, t: int) -> Tensor:
        chosen = happens(self.jpeg, b)
        quality = torch.randint(self.quality[0], self.quality[1] + 1, (b,))
        images = images.clone() if chosen.any() else images
        for i in chosen.nonzero().flatten().tolist():
            for j in range(i * t, (i + 1) * t):
                images[j] = jpeg(images[j], int(quality[i]), SIDE, self.subsampling)
        return images


def down_and_up(images: Tensor, side: float) -> Tensor:
    size = images.shape[-2:]
    small = [max(8, round(side * s / min(size))) for s in size]
    return F.interpolate(F.interpolate(images, small, mode="bilinear", antialias=True), size, mode="bilinear")


def gaussian(sigma: Tensor, size: int) -> Tensor:
    """(B, size) weights with these variances, which a sampled Gaussian misses where it is narrower than a pixel."""
    frequency = 2 * math.pi * torch.fft.rfftfreq(size)
    weights = torch.fft.irfft(torch.exp(-(sigma[:, None] ** 2) * (1 - frequency.cos())), size)
    return weights.roll(size // 2, 1)
