"""What a synthesis is: it takes real faces and gives each back with a forgery that is made from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

from datamodules.augment.augment import CHUNK
from datamodules.augment.photometric import draw_flags
from datamodules.batch import BLENDED, Batch
from datamodules.faces.align import Cropper
from datamodules.runtime.errors import UserError
from datamodules.synthesis.batch_framing import cut_together
from datamodules.synthesis.framing import WHOLE, Cut, Framing, Shape, apply_shape, draw_shape

COARSER = 4  # than the mask is its boundary: few pixels are exactly half and half, and each resizing makes more of them
LEVELS = 255  # a boundary of 1 is stored as this
ROOM = 1.5  # of self-blended drawn heads, 25 % have a mask that reaches the border LAA-Net sees; 74 % with 1.3


def warn_of_margin(prepared: Path, cropper: Cropper) -> None:
    """Names a folder whose crops leave too little room around a face that is to be blended."""
    needed = ceil(100 * ROOM / cropper.unit) / 100
    if cropper.margin < needed:
        rank_zero_warn(
            f"{prepared}: prepared with margin {cropper.margin:g}, a synthesis needs {needed:g}: many masks of "
            f"forgeries will reach the border of the image; run 'python -m suite prepare' with --margin {needed:g} "
            f"--data.prepared {prepared}_m{10 * needed:.0f}"
        )


def boundary_levels(mask: Tensor) -> Tensor:
    """Soft mask in [0, 1] to whole levels of its boundary, as floats: most where it is a half."""
    return (mask * (1 - mask)).mul_(4 * LEVELS).floor_()


@contextmanager
def seed_draws(seed: int) -> Iterator[None]:
    """Draws from this seed alone, and leaves the generator as it was."""
    # of the CPU alone: torch.manual_seed would take dropout on a GPU with it
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


@dataclass(kw_only=True)
class Blend:
    """Real and fake of the same faces, as files would hold them."""

    pairs: Tensor  # (B, 2, 3, H, W) uint8, real first
    mask: Tensor  # (B, 1, H, W) in [0, 1], soft
    boundary: Tensor  # (B, 1, H / COARSER, W / COARSER) uint8


def pair_up(batch: Batch, frames: Tensor, mask: Tensor, boundary: Tensor) -> Batch:
    """Reals and the fakes made of them, one after the other, as a batch of twice as many.

    Args:
        batch: The reals, which may be followed by sources.
        frames: (2, B, T, 3, H, W), reals first, as are the others.
    """
    b = frames.shape[1]
    twice = torch.arange(b, device=batch.label.device).repeat(2)
    label = (torch.arange(2 * b, device=batch.label.device) >= b).to(batch.label)
    return replace(
        batch,
        frames=frames.flatten(0, 1),
        mask=mask.flatten(0, 1),
        boundary=boundary.flatten(0, 1),
        framed=True,
        label=label,
        has_mask=torch.ones_like(label, dtype=torch.bool),
        landmarks=torch.zeros_like(batch.landmarks[twice]),
        has_landmarks=torch.zeros(2 * b, dtype=torch.bool),  # the faces were cut and mirrored
        video=batch.video[:b] + [name + BLENDED for name in batch.video[:b]],
        people=batch.people[:b] * 2,
        track=batch.track[twice],
        numbers=batch.numbers[twice],
        is_counted=batch.is_counted[twice],
    )


class Synthesis(nn.Module, ABC):
    """Its pairs of real and fake come from the same frame. In ``eval`` mode nothing is mirrored or changed in shape."""

    framing: Framing = WHOLE  # that of the method, which hands it over
    neighbours = 0  # of how many most alike faces of other videos one is the source; 0 where a face is its own
    candidates = 0  # how many faces these are looked for among

    def __init__(
        self,
        size: int | None = None,
        flip: float = 0.5,
        distort: float = 0.5,
        crop: float = 0.14,
        rescale: tuple[float, float] = (0.85, 1.15),
        erase: tuple[float, float] = (0.02, 0.33),
        compat: bool = False,
    ) -> None:
        """
        Args:
            size: Side of what is given back; that of the faces without it.
            flip: Probability of a mirror image at the end.
            distort: Probability that a pair is cropped, rescaled or partly erased: one of the three.
            crop: Largest part of height, and of width, that a crop takes away.
            rescale: Smallest and largest zoom on the way.
            erase: Smallest and largest part of the image that is erased.
            compat: Crop and zoom stay at the upper left, black beyond or cut off, as released code has it.
        """
        super().__init__()
        self.size, self.flip, self.distort = size, flip, distort
        self.crop, self.rescale, self.erase, self.compat = crop, rescale, erase, compat

    @property
    def makers(self) -> list[str]:
        """Names of what makes its forgeries."""
        return [type(self).__name__]

    @abstractmethod
    def blend(self, faces: Tensor, landmarks: Tensor) -> Blend:
        """
        Args:
            faces: (B, K, 3, H, W), each followed by its source where there is one; may be changed in place.
            landmarks: (B, K, 68, 2) pixels.
        """

    def blends(self, faces: Tensor, landmarks: Tensor, seeds: Sequence[int] | None) -> Iterator[tuple[slice, Blend]]:
        """Some rows after the other; each by its seed, where there are seeds."""
        step = 1 if seeds is not None else CHUNK
        for start in range(0, len(faces), step):
            rows = slice(start, start + step)
            with nullcontext() if seeds is None else seed_draws(seeds[start]):
                blend = self.blend(faces[rows], landmarks[rows])
            yield rows, blend

    @staticmethod
    def check(batch: Batch, may_be_forged: bool = False) -> None:
        """While it is on the CPU: later it would be waited for."""
        if ((batch.label != 0).any() and not may_be_forged) or not batch.has_landmarks.all():
            raise UserError("synthesis: forgeries are made from real faces with landmarks")

    @torch.no_grad()
    def forward(self, batch: Batch, seeds: Sequence[int] | None = None) -> Batch:
        """B real faces to 2 B, reals first, both in their order.

        Args:
            batch: Batch of clips of one frame; where there are sources, they are its second half.
            seeds: One for each face, which then depends on nothing else.
        """
        if batch.frames.shape[1] != 1:
            raise UserError(f"synthesis: clips of {batch.frames.shape[1]} frames; set clip to 1")
        if batch.label.is_cpu:
            self.check(batch)
        k = 2 if self.neighbours else 1
        b = len(batch) // k
        faces, landmarks = (
            torch.stack(list(x[:, 0].chunk(k)), 1) for x in (batch.frames, batch.landmarks)
        )  # (B, K, ...)
        h, w = faces.shape[-2:]
        out = (self.size or h, self.size or w)
        frames, mask = faces.new_empty(2, b, 1, 3, *out), faces.new_zeros(2, b, 1, 1, *out)
        boundary = mask.new_zeros(2, b, 1, 1, *(side // COARSER for side in out), dtype=torch.uint8)
        for rows, blend in self.blends(faces, landmarks, seeds):
            for i in range(2):
                frames[i, rows, 0] = blend.pairs[:, i]  # then divided in place: memory is dearer than arithmetic
            mask[1, rows, 0], boundary[1, rows, 0] = blend.mask, blend.boundary
            frames[:, rows].div_(255)
        return pair_up(batch, frames, mask, boundary)

    @torch.no_grad()
    def show(self, batch: Batch) -> Batch:
        """Faces that stay what they are, real or forged, cut and mirrored as those that are blended."""
        faces, mask = batch.frames[:, 0], batch.mask[:, 0]
        with nullcontext() if self.training else seed_draws(0):  # nothing is drawn of which anything depends
            parts = [
                self.frame_blend(faces[i : i + CHUNK], faces[i : i + CHUNK], mask[i : i + CHUNK])
                for i in range(0, len(batch), CHUNK)
            ]
        return replace(
            batch,
            frames=torch.cat([part.pairs[:, 1:] for part in parts]).float().div_(255),
            mask=torch.cat([part.mask for part in parts])[:, None],
            boundary=torch.cat([part.boundary for part in parts])[:, None],
            framed=True,
            landmarks=torch.zeros_like(batch.landmarks),
            has_landmarks=torch.zeros_like(batch.has_landmarks),
        )

    def cuts(self, b: int, height: int, width: int) -> list[Cut]:
        """Drawn, for pairs of this size."""
        flip, distort = draw_flags(self.flip * self.training, b), draw_flags(self.distort * self.training, b)
        out = []
        for i in range(b):
            window = self.framing.draw(height, width) if self.training else self.framing.middle(height, width)
            changes = self.crop, self.rescale, self.erase
            shape = draw_shape(window[2], window[3], *changes) if distort[i] else Shape()
            out.append(Cut(window=window, flip=bool(flip[i]), shape=shape))
        return out

    def frame_blend(self, real: Tensor, fake: Tensor, mask: Tensor, cuts: Sequence[Cut] | None = None) -> Blend:
        """Real, fake, mask and boundary of each pair cut, mirrored and changed alike, and brought to size.

        Args:
            cuts: How, where it is drawn already.
        """
        b, _, h, w = real.shape
        cuts = self.cuts(b, h, w) if cuts is None else cuts
        return (self.framed_by_turns if real.is_cpu else self.framed_together)(real, fake, mask, cuts)

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of what is given back for faces of this size, and of its boundary."""
        size = self.size or height, self.size or width
        return size, (size[0] // COARSER, size[1] // COARSER)

    def framed_by_turns(self, real: Tensor, fake: Tensor, mask: Tensor, cuts: Sequence[Cut]) -> Blend:
        """In bytes, which a CPU resizes five times as fast."""
        b, (size, small) = len(real), self.sizes(*real.shape[-2:])
        pairs = torch.stack([real, fake], 1).mul_(255).to(torch.uint8)
        boundary = boundary_levels(mask).to(torch.uint8)
        out = Blend(
            pairs=pairs.new_empty(b, 2, 3, *size),
            mask=mask.new_empty(b, 1, *size),
            boundary=boundary.new_empty(b, 1, *small),
        )
        for i, cut in enumerate(cuts):
            top, left, height, width = cut.window
            one = slice(i, i + 1)
            for images, result in (
                (pairs[i], out.pairs[i]),
                (mask[one], out.mask[one]),
                (boundary[one], out.boundary[one]),
            ):
                window = images[..., top : top + height, left : left + width]
                apply_shape(window.flip(-1) if cut.flip else window, cut.shape, self.compat, result)
        return out

    def framed_together(self, real: Tensor, fake: Tensor, mask: Tensor, cuts: Sequence[Cut]) -> Blend:
        """The same in as few operations as for one; a level off here and there."""
        levels = torch.cat([real, fake], 1).mul_(255).floor_()
        whole = torch.cat([levels, mask, boundary_levels(mask)], 1)
        large, edge = cut_together(whole, cuts, self.compat, [*self.sizes(*real.shape[-2:])])
        return Blend(
            pairs=large[:, :6].round().to(torch.uint8).unflatten(1, (2, 3)),
            mask=large[:, 6:7],
            boundary=edge[:, 7:].round().to(torch.uint8),
        )
