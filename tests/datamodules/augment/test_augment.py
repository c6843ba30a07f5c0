"""What augmentation promises: landmarks stay on their pixels, masks stay masks, seeds mean something."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.augment.augment import Augment, gaussian
from datamodules.augment.jpeg import encode_jpeg, jpeg
from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.faces.landmarks.points import MIRROR
from datamodules.synthesis.base import seed_draws
from tests.fixtures.augmenting import NONE

SIDE = 64


def batch(points: torch.Tensor | None = None, b: int = 3, t: int = 2, seed: int = 0, side: int = SIDE) -> Batch:
    g = torch.Generator().manual_seed(seed)
    points = torch.rand(b, t, 68, 2, generator=g) * (side - 1) if points is None else points
    return Batch(
        frames=torch.rand(b, t, 3, side, side, generator=g),
        label=torch.arange(b) % 2,
        mask=(torch.rand(b, t, 1, side, side, generator=g) > 0.5).float(),
        has_mask=torch.ones(b, dtype=torch.bool),
        landmarks=points,
        has_landmarks=torch.ones(b, dtype=torch.bool),
        video=[str(i) for i in range(b)],
        track=torch.zeros(b, dtype=torch.long),
        numbers=torch.zeros(b, t, dtype=torch.long),
        is_counted=torch.ones(b, dtype=torch.bool),
    )


def blob(x: float, y: float, sigma: float = 2.0) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2))


def centre(image: torch.Tensor) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.stack([(image * xs).sum(), (image * ys).sum()]) / image.sum()


@settings(max_examples=40, deadline=None)
@given(x=st.floats(22, 42), y=st.floats(22, 42), seed=st.integers(0, 1000), flip=st.booleans())
def test_a_point_stays_on_its_pixel(x: float, y: float, seed: int, flip: bool) -> None:
    points = torch.tensor([x, y]).expand(2, 2, 68, 2).clone()
    start = batch(points, b=2)
    start.frames = blob(x, y).expand(2, 2, 3, SIDE, SIDE).clone()
    start.mask = (blob(x, y, 6.0) > 0.5).float().expand(2, 2, 1, SIDE, SIDE).clone()
    torch.manual_seed(seed)
    moved = Augment(**NONE | {"flip": float(flip), "affine": 1.0, "degrees": 30.0, "shift": 0.1})(start)
    for b in range(2):
        for t in range(2):
            place = moved.landmarks[b, t, 0]
            torch.testing.assert_close(centre(moved.frames[b, t, 0]), place, atol=0.15, rtol=0)
            torch.testing.assert_close(centre(moved.mask[b, t, 0]), place, atol=0.5, rtol=0)


def test_a_mirror_swaps_left_and_right_landmarks() -> None:
    assert sorted(MIRROR) == list(range(68))
    assert [MIRROR[MIRROR[i]] for i in range(68)] == list(range(68))
    start = batch()
    before, frames = start.landmarks.clone(), start.frames.clone()
    after = Augment(**NONE | {"flip": 1.0})(start)
    torch.testing.assert_close(after.frames, frames.flip(-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.landmarks[..., 36, 0], SIDE - 1 - before[..., 45, 0])  # outer corners of the eyes
    torch.testing.assert_close(after.landmarks[..., 36, 1], before[..., 45, 1])


def test_a_mirrored_face_still_has_its_left_eye_on_the_left(data: FaceData) -> None:
    real = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    mirrored = Augment(**NONE | {"flip": 1.0})(real)
    assert (mirrored.landmarks[..., 36:42, 0].mean(-1) < mirrored.landmarks[..., 42:48, 0].mean(-1)).all()
    assert (mirrored.landmarks[..., 0, 0] < mirrored.landmarks[..., 16, 0]).all()


def test_a_mask_stays_two_valued_and_unknown_landmarks_stay_zero() -> None:
    start = batch()
    start.has_landmarks[1] = False
    start.landmarks[1] = 0
    torch.manual_seed(3)
    after = Augment(affine=1.0)(start)
    assert set(after.mask.unique().tolist()) <= {0.0, 1.0}
    assert (after.landmarks[1] == 0).all()
    assert after.frames.min() >= 0
    assert after.frames.max() <= 1


@pytest.mark.parametrize("name", ["affine", "colour", "blur", "noise", "rescale", "jpeg"])
def test_each_transform_changes_the_image(name: str) -> None:
    start = batch(side=160)
    before = start.frames.clone()
    torch.manual_seed(0)
    after = Augment(**NONE | {name: 1.0, "smallest": 0.2, "quality": (40, 60)})(start)
    assert (after.frames - before).abs().mean() > 1e-3
    assert after.frames.shape == before.shape


def test_nothing_asked_for_changes_nothing() -> None:
    start = batch()
    before = start.frames.clone()
    assert torch.equal(Augment(**NONE)(start).frames, before)


@pytest.mark.parametrize("name", ["flip", "affine", "colour", "blur", "rescale"])
def test_a_clip_has_one_set_of_parameters(name: str) -> None:
    start = batch(t=3)
    start.frames = start.frames[:, :1].expand(-1, 3, -1, -1, -1).clone()
    torch.manual_seed(0)
    after = Augment(**NONE | {name: 0.7}).forward(start).frames
    torch.testing.assert_close(after[:, 1], after[:, 0], atol=1e-6, rtol=0)


def test_the_jpeg_is_a_real_one() -> None:
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), (64, 64), mode="bicubic")[0].clamp(0, 1)
    buffer = io.BytesIO()
    Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=50)
    expected = torch.from_numpy(np.asarray(Image.open(buffer))).permute(2, 0, 1) / 255
    torch.testing.assert_close(jpeg(image, 50), expected, atol=3 / 255, rtol=0)


@pytest.mark.parametrize("is_small", [True, False])
def test_a_jpeg_of_the_lowest_size_has_blocks_that_are_enlarged_and_is_not_compressed_again(is_small: bool) -> None:
    image = natural(256)
    augment = Augment(**NONE | {"rescale": 1.0, "jpeg": 1.0, "quality": (30, 30), "small_jpeg": float(is_small)})
    drawn = augment.draws(1, 1, 256, 256)
    drawn.share[:] = 0.5
    start = replace(batch(b=1, t=1, side=256), frames=image[None].clone())
    augment.augment_rows(start, slice(0, 1), drawn)
    small = torch.nn.functional.interpolate(image, (128, 128), mode="bilinear", antialias=True)
    coded = jpeg(small[0], 30)[None] if is_small else small
    expected = torch.nn.functional.interpolate(coded, (256, 256), mode="bilinear")[0]
    expected = expected if is_small else jpeg(expected, 30)
    torch.testing.assert_close(start.frames[0, 0], expected, atol=1e-5, rtol=0)


def at(side: int, image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(image, (side, side), mode="area")


def natural(side: int) -> torch.Tensor:
    """(1, 3, H, W) whose amplitudes fall with the frequency, as those of photographs do; most of it is light."""
    white = torch.fft.rfft2(torch.randn(4, side, side, generator=torch.Generator().manual_seed(0)))
    white = white[:1] + 0.2 * white[1:]
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side))
    image = torch.fft.irfft2(white / frequency.clamp(min=1 / side), s=(side, side))
    return (0.5 + 0.15 * image / image.std()).clamp(0, 1)[None]


def changed_by(name: str, image: torch.Tensor, **options: Any) -> torch.Tensor:
    """What one transform adds to a (1, 3, H, W) image."""
    start = replace(batch(b=1, t=1, side=image.shape[-1]), frames=image[None].clone())
    torch.manual_seed(1)
    return Augment(**NONE | {name: 1.0} | options)(start).frames[0] - image


@pytest.mark.parametrize(
    ("name", "options", "sides"),
    [
        ("blur", {"sigma": (1.5, 1.5)}, (64, 128, 512)),
        ("rescale", {}, (64, 128, 512)),
        ("jpeg", {"quality": (40, 40)}, (64, 128)),  # a larger one is compressed as it is
        ("noise", {"deviation": (0.03, 0.03)}, (64, 128, 512)),
    ],
)
def test_a_face_loses_as_much_at_every_size(name: str, options: dict[str, Any], sides: tuple[int, ...]) -> None:
    """Reduced and then changed, it is much as if it were changed at 256 pixels and then reduced."""
    large = natural(512)
    image = at(256, large)
    for side in sides:
        shown = large if side == 512 else at(side, image)
        ours = at(min(side, 256), changed_by(name, shown, **options))
        theirs = at(min(side, 256), changed_by(name, image, **options))
        assert 0.45 < float(ours.std() / theirs.std()) < 1.15, side
        if name != "noise":
            assert float((ours - theirs).std()) < 0.9 * float(theirs.std()), side


@pytest.mark.parametrize(("subsampling", "luma"), [("4:2:0", 0x22), ("4:4:4", 0x11)])
def test_the_chroma_of_a_jpeg_is_subsampled_as_asked(subsampling: Any, luma: int) -> None:
    content = encode_jpeg((torch.rand(3, 48, 48) * 255).byte(), 75, subsampling)
    header = content.index(b"\xff\xc0")  # SOF0: after 10 bytes number, sampling factors and table of each component
    assert [content[header + 11 + 3 * i] for i in range(3)] == [luma, 0x11, 0x11]
    image = torch.rand(3, 32, 32)
    both = [changed_by("jpeg", image[None], subsampling=kind) for kind in ("4:2:0", "4:4:4")]
    assert float((both[0] - both[1]).abs().mean()) > 1e-3


def test_a_blur_narrower_than_a_pixel_has_the_width_it_is_asked_for() -> None:
    for sigma in (0.1, 0.4, 1.0):
        [taps] = gaussian(torch.tensor([sigma]), 13)
        assert float(taps.sum()) == pytest.approx(1)
        assert float((taps * torch.arange(-6, 7) ** 2).sum() ** 0.5) == pytest.approx(sigma, rel=1e-3)


def trained(data: FaceData, epoch: int, step: int, rank: int) -> torch.Tensor:
    clean = data.on_after_batch_transfer(batch(), 0)
    with seed_draws(data.seed_of(epoch, step, rank)):
        return data.change_batch(clean).frames


def test_the_draws_have_an_address(prepared: Path) -> None:
    data = FaceData(prepared=prepared, augment=Augment())
    state = torch.get_rng_state()
    assert torch.equal(trained(data, 1, 2, 0), trained(data, 1, 2, 0))
    others = [trained(data, *address) for address in ((1, 2, 1), (1, 3, 0), (2, 2, 0))]
    assert all(not torch.equal(trained(data, 1, 2, 0), other) for other in others)
    assert torch.equal(torch.get_rng_state(), state)  # what else draws is left alone
