"""Face X-ray's blending: a face of another video with much the same landmarks, blended into the one that is shown."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from kornia.color import hsv_to_rgb, rgb_to_hsv
from torch import Tensor
from torchvision.transforms import functional as vision

from datamodules.augment.jpeg import jpeg
from datamodules.augment.photometric import add_shift, change_light, draw_between, draw_flags, shrink_and_enlarge
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import Blend, Synthesis
from datamodules.synthesis.feather import GRID, bend, dilate, erode, feather
from datamodules.synthesis.hull import KINDS, check_hulls, hull_masks
from datamodules.synthesis.seamless import align, match_border

UNIT = 317  # side of the faces that the paper's numbers of pixels refer to


class FaceBlend(Synthesis):
    """Blends the face of another video into a face."""

    def __init__(
        self,
        hulls: tuple[str, ...] = KINDS,
        neighbours: int = 30,
        candidates: int = 10_000,
        min_side: int = 128,
        displacement: tuple[float, float] = (0.01, 0.15),
        max_erosion: int = 21,
        max_dilation: int = 5,
        feather: float = 0.2,
        aligned: bool = False,
        seamless: float = 0.0,
        coarsest: float = 1.0,
        downscale: float = 0.5,
        min_downscaled_side: int = 64,
        colour: float = 0.3,
        light: float = 0.5,
        jpeg: float = 0.5,
        quality: tuple[int, int] = (40, 100),
        **kwargs: Any,
    ) -> None:
        """
        Args:
            hulls: Kinds of mask, as datamodules.synthesis.hull has them: the whole face, or a part of it.
            neighbours: Faces of other videos, those with the most alike landmarks, of which one is blended in.
            candidates: Faces that these are looked for among, at most.
            min_side: Least side at which faces are blended, in pixels of a face of 317.
            displacement: Standard deviation of the shift of the mask's grid points, over its side.
            max_erosion: Largest odd side of the square by which half of the masks are eroded, at the size of
                blending.
            max_dilation: Largest odd side of the square by which the others grow.
            feather: Part of the mask's extent over which the blend fades in.
            aligned: Whether the landmarks of the source are brought onto those of the face that is shown.
            seamless: Probability that the source gets the colours that the face shown has around the mask, as Poisson
                blending does it, and not its mean colour alone.
            coarsest: Least size that the source is reduced to before it is blended in, as a generator's output has
                fewer pixels than its place; 1 leaves it as it is.
            downscale: Probability that a finished pair is made smaller and enlarged again.
            min_downscaled_side: Least side on that way, in pixels of a face of 317.
            colour: Probability that the shown face is seen by another camera, and that its channels are shifted.
            light: Probability of another gamma there, of blur or noise, and of another brightness or hue.
            jpeg: Probability of a JPEG of the face that is shown, before another is blended in.
            quality: Quality range of that JPEG.
            **kwargs: See Synthesis.
        """
        super().__init__(**kwargs)
        check_hulls(hulls)
        self.hulls, self.neighbours, self.candidates, self.min_side, self.displacement = (
            hulls,
            neighbours,
            candidates,
            min_side,
            displacement,
        )
        self.max_erosion, self.max_dilation, self.feather = max_erosion, max_dilation, feather
        if not 0 < coarsest <= 1:
            raise UserError(f"coarsest {coarsest:g}: must be above 0, and at most 1")
        self.aligned, self.seamless, self.coarsest = aligned, seamless, coarsest
        self.downscale, self.min_downscaled_side = downscale, min_downscaled_side
        self.colour, self.light, self.jpeg, self.quality = colour, light, jpeg, quality

    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        shown, source = faces.unbind(1)
        b, _, h, w = shown.shape
        if self.training:
            shown = torch.stack([self.change_colours(image) for image in shown])
        share = torch.randint(self.min_side, UNIT + 1, (b,)) / UNIT  # at which they are blended
        mask = self.mask(landmarks[:, 0], share, h, w)
        weight = feather(mask, self.feather)
        if self.aligned:
            source = align(source, landmarks[:, 1], landmarks[:, 0], mask)
        if self.coarsest < 1:
            sides = (min(h, w) * draw_between(self.coarsest, 1, b)).tolist()
            source = torch.cat([shrink_and_enlarge(source[i : i + 1], side) for i, side in enumerate(sides)])
        is_seamless = draw_flags(self.seamless, b) if self.seamless else torch.zeros(b, dtype=torch.bool)
        fake = torch.empty_like(shown)
        for i in range(b):
            side = (round(float(share[i]) * h), round(float(share[i]) * w))
            fake[i] = blend_face(shown[i], source[i], weight[i], mask[i], side, bool(is_seamless[i]))
        return self.frame_blend(*self.coarsen(shown, fake), weight)

    def mask(self, landmarks: Tensor, share: Tensor, height: int, width: int) -> Tensor:
        """(B, 1, H, W) bool."""
        b, device = len(landmarks), landmarks.device
        kind = torch.randint(len(self.hulls), (b,))
        hull = hull_masks(landmarks, [self.hulls[i] for i in kind.tolist()], height, width)
        jitter = torch.randn(b, 2, GRID, GRID) * draw_between(*self.displacement, b)[:, None, None, None]
        whole = bend(hull, jitter.to(device)) > 1 - 1e-4  # what is partly covered is not
        worn = draw_flags(0.5, b)
        changed = torch.empty_like(whole)
        for chosen, change, most in ((worn, erode, self.max_erosion), (~worn, dilate, self.max_dilation)):
            sides = 2 * torch.randint(0, (most + 1) // 2, (b,)) + 1
            # those of a square at the size of blending
            sides = 2 * (sides * height / UNIT / share / 2).floor().long() + 1
            rows = chosen.nonzero().flatten()
            changed[rows.to(device)] = change(whole[rows.to(device)], sides[rows].tolist())
        area = (changed.any(2).sum(-1) > 1) & (changed.any(3).sum(-1) > 1)
        return torch.where(area[..., None, None], changed, hull > 0)  # of a small mask nothing may be left

    def coarsen(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Real and fake of some pairs made smaller and enlarged again."""
        b, _, h, w = real.shape
        chosen, nearest = draw_flags(self.downscale * self.training, b), draw_flags(0.5, b)
        share = torch.randint(self.min_downscaled_side, UNIT + 1, (b,)) / UNIT
        real, fake = real.clone(), fake.clone()
        for i in chosen.nonzero().flatten().tolist():
            small = (round(float(share[i]) * h), round(float(share[i]) * w))
            way: dict[str, Any] = {"mode": "nearest"} if nearest[i] else {"mode": "bilinear", "align_corners": False}
            for images in (real, fake):
                images[i] = F.interpolate(F.interpolate(images[i : i + 1], small, **way), (h, w), **way)[0]
        return real, fake

    def change_colours(self, image: Tensor) -> Tensor:
        """(3, H, W) as another camera and another file would have it."""
        does = dict(zip(("jitter", "jpeg", "shift", "gamma", "soft", "tone"), torch.rand(6).tolist(), strict=True))
        u, pick = torch.rand(9).tolist(), float(torch.rand(()))
        times = min(image.shape[-2:]) / UNIT
        if does["jitter"] < self.colour:
            gain = [0.8 + 0.4 * x for x in u[:3]]
            image = vision.adjust_brightness(image, gain[0])
            image = vision.adjust_contrast(image, gain[1])
            image = vision.adjust_saturation(image, gain[2])
            image = turn_colours(image, 0.4 * u[3] - 0.2, 0, 0)
        if does["jpeg"] < self.jpeg:
            image = jpeg(image, int(torch.randint(self.quality[0], self.quality[1] + 1, ())), UNIT)
        if does["shift"] < self.colour:
            image = add_shift(image[None], draw_between(-1, 1, 1, 3) * 20 / 255)[0]
        if does["gamma"] < self.light:
            image = image ** (0.8 + 0.4 * u[4])
        if does["soft"] < self.light / 2:
            reach = 1 + int(3 * pick)  # of the kernel at both sides, of which OpenCV derives the deviation
            size = 2 * max(1, round(reach * times)) + 1
            image = vision.gaussian_blur(image, [size] * 2, [(0.3 * (reach - 1) + 0.8) * times] * 2)
        elif does["soft"] < self.light:
            deviation = (10 + 40 * u[5]) ** 0.5 / 255 * times
            image = (image + deviation * torch.randn(image.shape).to(image.device)).clamp_(0, 1)
        if does["tone"] < self.light / 2:
            image = change_light(image[None], draw_between(-0.1, 0.1, 1), draw_between(-0.1, 0.1, 1))[0]
        elif does["tone"] < self.light:
            image = turn_colours(
                image, *(20 * (2 * x - 1) / most for x, most in zip(u[6:9], (180, 255, 255), strict=True))
            )
        return image


def turn_colours(image: Tensor, hue: float, saturation: float, value: float) -> Tensor:
    """(3, H, W) with so much added; the hue is in turns."""
    h, s, v = rgb_to_hsv(image)
    h = (h + 2 * torch.pi * hue) % (2 * torch.pi)
    return hsv_to_rgb(torch.stack([h, (s + saturation).clamp_(0, 1), (v + value).clamp_(0, 1)]))


def blend_face(
    shown: Tensor, source: Tensor, weight: Tensor, mask: Tensor, side: tuple[int, int], seamless: bool = False
) -> Tensor:
    """(3, H, W): made smaller, the source given the colour that the face shown has within the mask, blended, enlarged.

    Args:
        shown: (3, H, W).
        source: (3, H, W).
        weight: (1, H, W) of the source.
        mask: (1, H, W) bool, where colours are compared.
        side: Height and width at which it is done.
        seamless: Whether it gets the colours that the face shown has around the mask instead.
    """
    both = F.interpolate(torch.stack([shown, source]), side, mode="bilinear", antialias=True)
    small = F.interpolate(torch.stack([weight, mask.float()]), side, mode="bilinear")
    inside = small[1] > 0.5
    if seamless:
        both[1] = match_border(both[1:], both[:1], small[:1] > 0)[0]
    elif inside.any():
        mean = (both * inside).sum((-2, -1)) / inside.sum()  # (2, 3)
        both[1] = (both[1] + (mean[0] - mean[1])[:, None, None]).clamp_(0, 1)
    mixed = torch.lerp(both[0], both[1], small[0])
    return F.interpolate(mixed[None], shown.shape[-2:], mode="bilinear")[0]
