"""Self-blended images: a face and a changed copy of it, blended into a forgery that no generator left traces in."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment import MIRROR, SIDE
from datamodules.errors import Refused
from datamodules.faces.landmarks import with_forehead
from datamodules.jpeg import as_bytes, jpeg
from datamodules.synthesis.base import Blend, Synthesis
from datamodules.synthesis.hull import KINDS, hull_mask, hull_masks
from datamodules.synthesis.light import between, coarse, happens, lit, sharpened, shifted
from datamodules.synthesis.masks import elastic, places, soften


class SelfBlend(Synthesis):
    """Blends a face with a changed copy of itself."""

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
            hulls: Kinds of mask, as datamodules.synthesis.hull has them.
            forehead: Probability that hulls may reach over the forehead.
            colour_shift: Largest change of a channel; white is 1.
            light: Largest change of brightness, and of contrast.
            scale: Smallest zoom of the changed copy; the largest is its inverse.
            shift: Largest shift of the changed copy over the side, across and down.
            alpha: Strength of the mask's elastic change, in pixels of a face of 256.
            sigma: Its smoothness, likewise.
            resize: Smallest and largest size at which the mask is softened, over that of the face.
            kernel: Smallest and largest odd side of erosion and blur, in pixels of a face of 256.
            feather: Standard deviation of that blur, likewise.
            ratios: Of the changed copy in the blend, one of them.
            after_shift: Probability that real and fake both have their channels shifted.
            after_light: Probability that both change brightness and contrast, by three times ``light``.
            after_jpeg: Probability that both go through a JPEG, of 256 pixels if they are smaller.
            quality: Of that JPEG.
            ratio_in_mask: Whether the blend ratio also lowers the mask, as upstream SBI has it.
            **kwargs: See Synthesis.
        """
        super().__init__(**kwargs)
        if unknown := set(hulls) - set(KINDS):
            raise Refused(f"hulls {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
        self.hulls, self.forehead = hulls, forehead
        self.colour_shift, self.light, self.scale, self.shift = colour_shift, light, scale, shift
        self.alpha, self.sigma, self.resize = alpha, sigma, resize
        self.kernel, self.feather, self.ratios = kernel, feather, ratios
        self.after_shift, self.after_light, self.after_jpeg = after_shift, after_light, after_jpeg
        self.quality, self.ratio_in_mask = quality, ratio_in_mask

    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        images, points = faces[:, 0], landmarks[:, 0]
        b, _, h, w = images.shape
        device = images.device
        mirrored = happens(0.5 * self.training, b).nonzero().flatten().to(device)
        images[mirrored] = images[mirrored].flip(-1)
        points[mirrored] = points[mirrored][:, MIRROR] * points.new_tensor([-1, 1]) + points.new_tensor([w - 1, 0])
        hull = self.hull(points, h, w)
        source, target = self.colours(images), images
        swapped = happens(0.5, b).nonzero().flatten().to(device)
        source[swapped], target[swapped] = target[swapped], source[swapped]
        source, hull = self.moved(source, hull)
        low, high = (side * h / 256 for side in self.kernel)
        odd = [2 * torch.randint(int(low) // 2, int(high) // 2 + 1, (b,)) + 1 for _ in range(2)]
        mask = soften(
            hull,
            between(*self.resize, b, 2),
            odd[0].to(device),
            odd[1].to(device),
            between(*self.feather, b).to(device) * h / 256,
            self.resize[1],
            2 * (int(high) // 2) + 1,
        )
        ratio = torch.tensor(self.ratios)[torch.randint(len(self.ratios), (b,))].to(device)[:, None, None, None]
        fake = torch.lerp(target, source, ratio * mask)
        region = ratio * mask if self.ratio_in_mask else mask
        return self.aged(self.framed(target, fake, region))

    def hull(self, landmarks: Tensor, height: int, width: int) -> Tensor:
        """(B, 1, H, W), one of the kinds for each."""
        high = happens(self.forehead, len(landmarks))
        kind = torch.randint(len(self.hulls), (len(landmarks),))
        higher = high & torch.tensor([name == "all" for name in self.hulls])[kind]  # the others do not use the forehead
        out = hull_masks(landmarks, self.hulls, kind.masked_fill(higher, -1), height, width)
        rows = higher.nonzero().flatten().to(landmarks.device)
        if len(rows):
            points = torch.from_numpy(with_forehead(landmarks[rows].cpu().numpy())).to(landmarks.device)
            out[rows, 0] = hull_mask(points, "all", height, width).float()
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

    def aged(self, blend: Blend) -> Blend:
        """Real and fake alike shifted in colour, lit and compressed."""
        pairs, b = blend.pairs, len(blend.pairs)
        move, tone = happens(self.after_shift, b), happens(self.after_light, b)
        shift, gain, lift = between(-1, 1, b, 3), between(-1, 1, b), between(-1, 1, b)
        for i in (move | tone).nonzero().flatten().tolist():
            strength = 3 * self.light * tone[i]
            change = 255 * (self.colour_shift * move[i] * shift[i] + strength * lift[i])
            changed = (pairs[i] * (1 + strength * gain[i])).add_(change.to(pairs.device)[:, None, None])
            pairs[i] = changed.clamp_(0, 255).round_()
        chosen, quality = happens(self.after_jpeg, b), torch.randint(self.quality[0], self.quality[1] + 1, (b,))
        for i in chosen.nonzero().flatten().tolist():
            for image in pairs[i]:
                image.copy_(as_bytes(jpeg(image.float() / 255, int(quality[i]), SIDE)))
        return blend
