"""Self-blended images: a face and a changed copy of it, blended into a forgery that no generator left traces in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment.augment import CHUNK, SIDE, mirror
from datamodules.augment.drawn_numbers import move
from datamodules.augment.jpeg import jpegs, to_uint8
from datamodules.augment.photometric import add_shift, change_light, coarsen, draw_between, draw_flags, sharpen
from datamodules.synthesis.base import Blend, Synthesis, seed_draws
from datamodules.synthesis.framing import Cut
from datamodules.synthesis.hull import HIGH, KINDS, check_hulls, hull_masks
from datamodules.synthesis.soft_mask import bend_elastically, sampling_coordinates, soften


@dataclass(kw_only=True)
class BlendDraws:
    """The numbers of B forgeries, drawn on the CPU whatever the device."""

    mirrored: Tensor  # (B,) bool
    high: Tensor  # (B,) bool
    hull: Tensor  # (B,) which kind
    shift: Tensor  # (B, 3)
    contrast: Tensor  # (B,), as are those where nothing is said
    brightness: Tensor
    sharp: Tensor
    amount: Tensor
    lightness: Tensor
    factor: Tensor
    swapped: Tensor
    zoom: Tensor  # (B, 2)
    move: Tensor  # (B, 2)
    noise: Tensor  # (B, 2, h, w)
    erode: Tensor
    blur: Tensor
    resize: Tensor  # (B, 2)
    sigma: Tensor
    ratio: Tensor
    cuts: list[Cut]
    is_shifted: Tensor
    is_lit: Tensor
    after_shift: Tensor  # (B, 3)
    gain: Tensor
    lift: Tensor
    is_compressed: Tensor
    quality: Tensor


class SelfBlend(Synthesis):
    """Blends a face with a changed copy of itself.

    The real face of a pair is changed in training alone: thresholds of validation are to hold for faces as they are.
    """

    def __init__(
        self,
        hulls: tuple[str, ...] = KINDS,
        forehead: float = 0.75,
        colour_shift: float = 20 / 255,
        light: float = 0.1,
        scale: float = 0.95,
        shift: tuple[float, float] = (0.03, 0.015),
        alpha: float = 50.0,
        sigma: float = 7.0,
        resize: tuple[float, float] = (0.8, 1.25),
        kernel: tuple[int, int] = (5, 25),
        feather: tuple[float, float] = (5.0, 45.0),
        ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0),
        after_shift: float = 0.3,
        after_light: float = 0.3,
        after_jpeg: float = 0.5,
        quality: tuple[int, int] = (40, 100),
        ratio_in_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            hulls: Kinds of mask, as datamodules.synthesis.hull has them: the whole face, or a part of it; one that is
                named twice is drawn twice as often.
            forehead: Probability that hulls may reach over the forehead.
            colour_shift: Largest change of a channel; white is 1.
            light: Largest change of brightness, and of contrast.
            scale: Smallest zoom of the changed copy; the largest is its inverse.
            shift: Largest shift of the changed copy over the side, across and down.
            alpha: Strength of the mask's elastic change, in pixels of a face of 256.
            sigma: Smoothness of that displacement, likewise.
            resize: Smallest and largest size at which the mask is softened, over that of the face.
            kernel: Smallest and largest odd side of erosion and blur, in pixels of a face of 256.
            feather: Standard deviation of that blur, likewise.
            ratios: Shares of the changed copy in the blend, one of which is drawn.
            after_shift: Probability that in training real and fake both have their channels shifted.
            after_light: Probability that both then change brightness and contrast, by three times ``light``.
            after_jpeg: Probability that both then go through a JPEG, of 256 pixels if they are smaller.
            quality: Quality range of that JPEG.
            ratio_in_mask: Whether the blend ratio also lowers the mask, as upstream SBI has it.
            **kwargs: See Synthesis.
        """
        super().__init__(**kwargs)
        check_hulls(hulls)
        self.hulls, self.forehead = hulls, forehead
        self.colour_shift, self.light, self.scale, self.shift = colour_shift, light, scale, shift
        self.alpha, self.sigma, self.resize = alpha, sigma, resize
        self.kernel, self.feather, self.ratios = kernel, feather, ratios
        self.after_shift, self.after_light, self.after_jpeg = after_shift, after_light, after_jpeg
        self.quality, self.ratio_in_mask = quality, ratio_in_mask

    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        return self.blend_drawn(faces, landmarks, self.draws(len(faces), *faces.shape[-2:]))

    def blends(self, faces: Tensor, landmarks: Tensor, seeds: Sequence[int] | None) -> Iterator[tuple[slice, Blend]]:
        """On a GPU all at once, from the numbers that a CPU would have drawn for each part."""
        if faces.is_cpu:
            yield from super().blends(faces, landmarks, seeds)
            return
        drawn, b, step = [], len(faces), CHUNK if seeds is None else 1
        for start in range(0, b, step):
            with nullcontext() if seeds is None else seed_draws(seeds[start]):
                drawn.append(self.draws(min(step, b - start), *faces.shape[-2:]))
        yield slice(0, b), self.blend_drawn(faces, landmarks, join_draws(drawn))

    def draws(self, b: int, height: int, width: int) -> BlendDraws:
        """All numbers of the forgeries of b faces."""
        sides = [int(side * height / 256) for side in self.kernel]
        return BlendDraws(
            mirrored=draw_flags(0.5 * self.training, b),
            high=draw_flags(self.forehead, b),
            hull=torch.randint(len(self.hulls), (b,)),
            shift=self.colour_shift * draw_between(-1, 1, b, 3) * draw_flags(0.3, b)[:, None],
            contrast=self.light * draw_between(-1, 1, b),
            brightness=self.light * draw_between(-1, 1, b),
            sharp=draw_flags(0.5, b),
            amount=draw_between(0.2, 0.5, b),
            lightness=draw_between(0.5, 1.0, b),
            factor=2 * torch.randint(1, 3, (b,)),
            swapped=draw_flags(0.5 * self.training, b),
            zoom=draw_between(self.scale, 1 / self.scale, b, 2),
            move=2 * torch.tensor(self.shift) * draw_between(-1, 1, b, 2),
            noise=draw_between(-1, 1, b, 2, max(8, height // 4), max(8, width // 4)),
            erode=2 * torch.randint(sides[0] // 2, sides[1] // 2 + 1, (b,)) + 1,
            blur=2 * torch.randint(sides[0] // 2, sides[1] // 2 + 1, (b,)) + 1,
            resize=draw_between(*self.resize, b, 2),
            sigma=draw_between(*self.feather, b) * height / 256,
            ratio=torch.tensor(self.ratios)[torch.randint(len(self.ratios), (b,))],
            cuts=self.cuts(b, height, width),
            is_shifted=draw_flags(self.after_shift, b),
            is_lit=draw_flags(self.after_light, b),
            after_shift=draw_between(-1, 1, b, 3),
            gain=draw_between(-1, 1, b),
            lift=draw_between(-1, 1, b),
            is_compressed=draw_flags(self.after_jpeg, b),
            quality=torch.randint(self.quality[0], self.quality[1] + 1, (b,)),
        )

    def blend_drawn(self, faces: Tensor, landmarks: Tensor, drawn: BlendDraws) -> Blend:
        images, points = faces[:, 0], landmarks[:, 0]
        h, w = images.shape[-2:]
        kinds = [
            (drawn.sharp if kind == 1 else ~drawn.sharp & (drawn.factor == kind)).nonzero().flatten()
            for kind in (1, 2, 4)
        ]
        colours = [drawn.shift, drawn.contrast, drawn.brightness, drawn.amount[kinds[0]], drawn.lightness[kinds[0]]]
        row_tensors = [drawn.mirrored.nonzero().flatten(), drawn.swapped.nonzero().flatten()]
        displacement = [*sampling_coordinates(1 / drawn.zoom, -drawn.move / drawn.zoom, h, w), drawn.noise]
        mirrored, swapped, *tensors, ratio = move(
            [*row_tensors, *kinds, *colours, *displacement, drawn.ratio], images.device
        )
        images[mirrored] = images[mirrored].flip(-1)
        points[mirrored] = mirror_points(points[mirrored], w)
        names = [
            HIGH if high and name == "all" else name
            for name, high in zip(self.names(drawn.hull), drawn.high, strict=True)
        ]
        hull = hull_masks(points, names, h, w)  # the others do not use the forehead
        source, target = change_colours(images, tensors[:3], *tensors[3:8]), images
        source[swapped], target[swapped] = target[swapped], source[swapped]
        source, hull = self.displace(source, hull, *tensors[8:])
        kernel = 2 * (int(self.kernel[1] * h / 256) // 2) + 1
        mask = soften(hull, drawn.resize, drawn.erode, drawn.blur, drawn.sigma, self.resize[1], kernel)
        ratio = ratio[:, None, None, None]
        fake = torch.lerp(target, source, ratio * mask)
        region = ratio * mask if self.ratio_in_mask else mask
        blend = self.frame_blend(target, fake, region, drawn.cuts)
        return self.age(blend, drawn) if self.training else blend

    def names(self, hull: Tensor) -> list[str]:
        return [self.hulls[i] for i in hull.tolist()]

    def displace(
        self, source: Tensor, hull: Tensor, rows: Tensor, columns: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The copy and its hull moved and scaled alike, the hull also bent."""
        h, w = source.shape[-2:]
        straight = torch.stack(torch.broadcast_tensors(columns[:, None], rows[:, :, None]), -1)
        bent = straight + bend_elastically(noise, self.alpha * h / 256, self.sigma * h / 256, h, w)
        source = F.grid_sample(source, straight, padding_mode="zeros", align_corners=True)
        return source, F.grid_sample(hull, bent, mode="nearest", padding_mode="zeros", align_corners=True)

    def age(self, blend: Blend, drawn: BlendDraws) -> Blend:
        """Real and fake alike shifted in colour, lit and compressed."""
        pairs = blend.pairs
        strength = 3 * self.light * drawn.is_lit
        offset = 255 * (
            self.colour_shift * drawn.is_shifted[:, None] * drawn.after_shift + (strength * drawn.lift)[:, None]
        )
        changed, compressed = (
            is_chosen.nonzero().flatten() for is_chosen in (drawn.is_shifted | drawn.is_lit, drawn.is_compressed)
        )
        tensors = [changed, (1 + strength * drawn.gain)[changed], offset[changed], compressed]
        rows, gain, lift, jpeg_rows = move(tensors, pairs.device)
        for part in parts(len(rows), pairs):
            lit = (pairs[rows[part]] * gain[part, None, None, None, None]).add_(lift[part, None, :, None, None])
            pairs[rows[part]] = lit.clamp_(0, 255).round_().to(torch.uint8)
        for part in parts(len(jpeg_rows), pairs):
            images = pairs[jpeg_rows[part]].flatten(0, 1).float() / 255
            decoded = jpegs(images, drawn.quality[compressed[part]].repeat_interleave(2), SIDE)
            pairs[jpeg_rows[part]] = to_uint8(decoded).view(-1, *pairs.shape[1:])
        return blend


def parts(count: int, x: Tensor) -> list[slice]:
    """One after the other on a CPU, where large tensors are paged in anew by every operation; elsewhere all at once."""
    return [slice(i, i + 1) for i in range(count)] if x.is_cpu else [slice(0, count)] * (count > 0)


def change_colours(
    images: Tensor,
    kinds: Sequence[Tensor],
    shift: Tensor,
    contrast: Tensor,
    brightness: Tensor,
    amount: Tensor,
    lightness: Tensor,
) -> Tensor:
    """Channels shifted, light changed, then sharpened or made coarse.

    Args:
        kinds: Rows to be sharpened, and those of which every second or fourth pixel is kept.
        amount: For the first of these alone, as is lightness.
    """
    images = change_light(add_shift(images, shift), contrast, brightness)
    sharp, *others = kinds
    if len(sharp):
        images[sharp] = sharpen(images[sharp], amount, lightness)
    for times, rows in zip((2, 4), others, strict=True):
        if len(rows):
            images[rows] = coarsen(images[rows], times)
    return images


def mirror_points(points: Tensor, width: int) -> Tensor:
    """(B, 68, 2)."""
    out = points[:, mirror(points.device)]
    out[..., 0].neg_().add_(width - 1)
    return out


def join_draws(draws: Sequence[BlendDraws]) -> BlendDraws:
    """Of one batch, what was drawn for its parts."""
    parts: dict[str, list[Any]] = {f.name: [getattr(one, f.name) for one in draws] for f in fields(BlendDraws)}
    cuts = [cut for each in parts.pop("cuts") for cut in each]
    return BlendDraws(cuts=cuts, **{name: torch.cat(each) for name, each in parts.items()})
