"""Self-blended images: a face and a changed copy of it, blended into a forgery that no generator left traces in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.augment import CHUNK, MIRROR, jpeg
from datamodules.batch import Batch
from datamodules.errors import Refused
from datamodules.faces import with_forehead
from datamodules.synthesis.hull import KINDS, hull_mask
from datamodules.synthesis.masks import elastic, places, soften


@dataclass(kw_only=True)
class Blend:
    """Real and fake of one batch; B pictures each."""

    real: Tensor  # (B, 3, H, W)
    fake: Tensor  # (B, 3, H, W)
    mask: Tensor  # (B, 1, H, W) soft, before the blend ratio


class SelfBlend(nn.Module):
    """Takes the real faces of a batch and gives each back with a forgery of itself."""

    def __init__(
        self,
        size: int | None = None,
        margin: tuple[float, float] = (5 / 256, 24 / 256),
        forehead: float = 0.75,
        colour_shift: float = 20 / 255,
        light: float = 0.1,
        scale: float = 0.95,
        shift: tuple[float, float] = (0.03, 0.015),
        alpha: float = 50.0,
        sigma: float = 7.0,
        resize: float = 0.8,
        kernel: tuple[int, int] = (5, 25),
        feather: tuple[float, float] = (5.0, 45.0),
        ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0),
        after_shift: float = 0.3,
        after_light: float = 0.3,
        after_jpeg: float = 0.5,
        quality: tuple[int, int] = (40, 100),
        ratio_in_mask: bool = False,
    ) -> None:
        """
        Args:
            size: Side of what is given back; that of the faces without it.
            margin: Least and largest part of the side that is cut off all round.
            forehead: Probability that hulls may reach over the forehead.
            colour_shift: Largest change of a channel; white is 1.
            light: Largest change of brightness, and of contrast.
            scale: Smallest zoom of the changed copy; the largest is its inverse.
            shift: Largest shift of the changed copy over the side, across and down.
            alpha: Strength of the mask's elastic change, in pixels of a face of 256.
            sigma: Its smoothness, in pixels of a face of 256.
            resize: Smallest size at which the mask is softened, over that of the face; the largest is its inverse.
            kernel: Smallest and largest odd side of erosion and blur, in pixels.
            feather: Standard deviation of that blur, in pixels.
            ratios: Of the changed copy in the blend, one of them.
            after_shift: Probability that real and fake both have their channels shifted.
            after_light: Probability that both change brightness and contrast, by three times ``light``.
            after_jpeg: Probability that both go through a JPEG.
            quality: Of that JPEG.
            ratio_in_mask: Whether the blend ratio also lowers the mask, as upstream SBI has it.
        """
        super().__init__()
        self.size, self.margin, self.forehead = size, margin, forehead
        self.colour_shift, self.light, self.scale, self.shift = colour_shift, light, scale, shift
        self.alpha, self.sigma, self.resize = alpha, sigma, resize
        self.kernel, self.feather, self.ratios = kernel, feather, ratios
        self.after_shift, self.after_light, self.after_jpeg = after_shift, after_light, after_jpeg
        self.quality, self.ratio_in_mask = quality, ratio_in_mask

    @torch.no_grad()
    def forward(self, batch: Batch) -> Batch:
        """B real faces to 2 B, reals first; their order is the batch's."""
        if batch.frames.shape[1] != 1:
            raise Refused(f"self-blended images: clips of {batch.frames.shape[1]} frames; set clip to 1")
        if (batch.label != 0).any() or not batch.has_landmarks.all():
            raise Refused("self-blended images: are made from real faces with landmarks")
        b, _, _, h, w = batch.frames.shape
        out = (self.size or h, self.size or w)
        frames = batch.frames.new_empty(2, b, 1, 3, *out)
        mask = batch.mask.new_zeros(2, b, 1, 1, *out)
        chunk = CHUNK if batch.frames.device.type == "cpu" else b
        for start in range(0, b, chunk):
            rows = slice(start, start + chunk)
            blend = self.blend(batch.frames[rows, 0], batch.landmarks[rows, 0])
            frames[0, rows, 0], frames[1, rows, 0], mask[1, rows, 0] = blend.real, blend.fake, blend.mask
        twice = torch.arange(b, device=batch.label.device).repeat(2)
        label = torch.cat([batch.label, torch.ones_like(batch.label)])
        return replace(
            batch,
            frames=frames.flatten(0, 1),
            mask=mask.flatten(0, 1),
            label=label,
            has_mask=torch.ones_like(label, dtype=torch.bool),
            landmarks=torch.zeros_like(batch.landmarks[twice]),
            has_landmarks=torch.zeros_like(label, dtype=torch.bool),  # the faces were cut and mirrored
            video=batch.video + [f"{name}#blended" for name in batch.video],
            track=batch.track[twice],
            numbers=batch.numbers[twice],
            counts=batch.counts[twice],
        )

    def blend(self, images: Tensor, landmarks: Tensor) -> Blend:
        b, _, h, w = images.shape
        device = images.device
        mirrored = (torch.rand(b) < 0.5).to(device)
        images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        other = landmarks[:, MIRROR]
        other = torch.stack([w - 1 - other[..., 0], other[..., 1]], -1)
        landmarks = torch.where(mirrored[:, None, None], other, landmarks)
        hull = self.hulls(landmarks, h, w)
        changed = self.colours(images)
        is_source = (torch.rand(b) < 0.5).to(device)[:, None, None, None]
        source, target = torch.where(is_source, changed, images), torch.where(is_source, images, changed)
        source, hull = self.moved(source, hull)
        low, high = self.kernel
        odd = [2 * torch.randint(low // 2, high // 2 + 1, (b,)) + 1 for _ in range(2)]
        mask = soften(
            hull,
            between(self.resize, 1 / self.resize, b, 2).to(device),
            odd[0].to(device),
            odd[1].to(device),
            between(*self.feather, b).to(device),
        )
        ratio = torch.tensor(self.ratios)[torch.randint(len(self.ratios), (b,))].to(device)[:, None, None, None]
        fake = torch.lerp(target, source, ratio * mask)
        return self.finish(target, fake, ratio * mask if self.ratio_in_mask else mask)

    def hulls(self, landmarks: Tensor, height: int, width: int) -> Tensor:
        """(B, 1, H, W), one of the four kinds for each."""
        high = torch.rand(len(landmarks)) < self.forehead
        kind = torch.randint(len(KINDS), (len(landmarks),))
        out = torch.zeros(len(landmarks), 1, height, width, device=landmarks.device)
        with_brow = torch.from_numpy(with_forehead(landmarks.cpu().numpy())).to(landmarks.device)
        for i, name in enumerate(KINDS):
            for points, chosen in ((with_brow, high), (landmarks, ~high)):
                rows = ((kind == i) & chosen).nonzero().flatten().to(landmarks.device)
                if len(rows):
                    out[rows, 0] = hull_mask(points[rows], name, height, width).float()
        return out

    def colours(self, images: Tensor) -> Tensor:
        """Channels shifted, light changed, then sharpened or made coarse."""
        b = len(images)
        images = shifted(images, self.colour_shift * between(-1, 1, b, 3) * happens(0.3, b)[:, None])
        images = lit(images, self.light * between(-1, 1, b), self.light * between(-1, 1, b))
        sharp, amount, lightness = happens(0.5, b), between(0.2, 0.5, b), between(0.5, 1.0, b)
        factor = 2 * torch.randint(1, 3, (b,))
        for kind in (1, 2, 4):
            chosen = (sharp if kind == 1 else ~sharp & (factor == kind)).nonzero().flatten()
            rows = chosen.to(images.device)
            if len(rows):
                some = images[rows]
                images[rows] = sharpened(some, amount[chosen], lightness[chosen]) if kind == 1 else coarse(some, kind)
        return images

    def moved(self, source: Tensor, hull: Tensor) -> tuple[Tensor, Tensor]:
        """The copy and its hull moved and scaled alike, the hull also bent."""
        b, _, h, w = source.shape
        scale = between(self.scale, 1 / self.scale, b, 2).to(source.device)
        shift = 2 * torch.tensor(self.shift) * between(-1, 1, b, 2)
        straight = places(1 / scale, -shift.to(source.device) / scale, h, w)
        times = h / 256
        noise = between(-1, 1, b, 2, max(8, h // 4), max(8, w // 4)).to(source.device)
        bent = straight + elastic(noise, self.alpha * times, self.sigma * times, h, w)
        source = F.grid_sample(source, straight, padding_mode="zeros", align_corners=True)
        return source, F.grid_sample(hull, bent, mode="nearest", padding_mode="zeros", align_corners=True)

    def finish(self, real: Tensor, fake: Tensor, mask: Tensor) -> Blend:
        """Cuts the margin, mirrors, and lets real and fake of a pair age alike."""
        b, _, h, w = real.shape
        device = real.device
        inner = 1 - 2 * between(*self.margin, b)
        side = 1 - 2 * happens(0.5, b).float()
        factor = torch.stack([inner * side, inner], 1).to(device)
        out = (self.size or h, self.size or w)
        where = places(factor, torch.zeros_like(factor), *out)
        pair, region = (
            F.grid_sample(x, where, padding_mode="border", align_corners=True)
            for x in (torch.cat([real, fake], 1), mask)
        )
        pair = pair.view(b, 2, 3, *out)
        move, tone = happens(self.after_shift, b), happens(self.after_light, b)
        shift, gain, lift = between(-1, 1, b, 3), between(-1, 1, b), between(-1, 1, b)
        for i in (move | tone).nonzero().flatten().tolist():
            strength = 3 * self.light * tone[i]
            change = self.colour_shift * move[i] * shift[i] + strength * lift[i]
            pair[i].mul_(float(1 + strength * gain[i])).add_(change.to(device)[:, None, None]).clamp_(0, 1)
        chosen, quality = happens(self.after_jpeg, b), torch.randint(self.quality[0], self.quality[1] + 1, (b,))
        for i in chosen.nonzero().flatten().tolist():
            for j in range(2):
                pair[i, j] = jpeg(pair[i, j], int(quality[i]))
        return Blend(real=pair[:, 0], fake=pair[:, 1], mask=region)


def happens(probability: float, b: int) -> Tensor:
    return torch.rand(b) < probability


def between(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape)


def shifted(images: Tensor, change: Tensor) -> Tensor:
    """Adds (B, 3) to the channels."""
    return (images + change.to(images.device)[..., None, None]).clamp_(0, 1)


def lit(images: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Values times 1 + contrast, plus brightness; both (B,)."""
    gain, lift = (change.to(images.device)[:, None, None, None] for change in (1 + contrast, brightness))
    return (images * gain).add_(lift).clamp_(0, 1)


def sharpened(images: Tensor, amount: Tensor, lightness: Tensor) -> Tensor:
    """Mixes in, by ``amount`` (B,), eight times the centre plus ``lightness``, less the neighbours."""
    amount, lightness = (value.to(images.device)[:, None, None, None] for value in (amount, lightness))
    wide = F.pad(images, (1, 1, 1, 1), mode="reflect")
    rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    return (images * (1 - amount + amount * (9 + lightness))).sub_(amount * around).clamp_(0, 1)


def coarse(images: Tensor, times: int) -> Tensor:
    """Every n-th pixel, enlarged again."""
    small = F.interpolate(images, scale_factor=1 / times, mode="nearest")
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)
