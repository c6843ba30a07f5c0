"""Blended clips: one set of draws for all frames, each its own landmarks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from datamodules.batch import BLENDED, Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.clip_self_blend import ClipSelfBlend, steady
from datamodules.synthesis.self_blend import SelfBlend
from tests.fixtures.noise import clips


def still_clips(count: int = 3, clip: int = 4) -> Batch:
    """Of frames that are all the same."""
    batch = clips(count, clip)
    frames = batch.frames[:, :1].expand(-1, clip, -1, -1, -1).contiguous()
    return replace(batch, frames=frames, landmarks=batch.landmarks[:, :1].expand(-1, clip, -1, -1).contiguous())


def test_a_clip_that_stands_still_is_blended_into_one_that_does() -> None:
    found = ClipSelfBlend().train()(still_clips(), [5, 6, 7])
    assert found.frames.shape == (6, 4, 3, 64, 64)
    for values in (found.frames, found.mask, found.boundary):
        assert values is not None
        assert torch.equal(values, values[:, :1].expand_as(values))
    assert (found.frames[3:] - found.frames[:3]).abs().amax((1, 2, 3, 4)).min() > 0.01
    assert found.label.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.video[3:] == [name + BLENDED for name in found.video[:3]]
    assert not torch.equal(found.mask[3], found.mask[4])  # each clip has draws of its own


def test_a_mask_moves_with_the_landmarks_of_its_frame() -> None:
    batch = still_clips()
    moved = batch.landmarks.clone()
    moved[:, 2:] += 6
    first = ClipSelfBlend(flip=0.0).eval()(batch, [1, 2, 3])
    second = ClipSelfBlend(flip=0.0).eval()(replace(batch, landmarks=moved), [1, 2, 3])
    assert torch.equal(first.mask[:, :2], second.mask[:, :2])
    assert not torch.equal(first.mask[3:, 2], second.mask[3:, 2])


def test_a_clip_of_one_frame_is_what_a_still_is_blended_into() -> None:
    batch = clips(3, 1)
    clip = ClipSelfBlend().train()(batch.map(torch.Tensor.clone), [1, 2, 3])
    still = SelfBlend().train()(batch.map(torch.Tensor.clone), [1, 2, 3])
    assert torch.equal(clip.frames, still.frames)
    assert torch.equal(clip.mask, still.mask)
    assert torch.equal(clip.boundary, still.boundary)


def test_a_clip_depends_on_its_seed_alone() -> None:
    batch = still_clips()
    whole = ClipSelfBlend().eval()(batch.map(torch.Tensor.clone), [1, 2, 3])
    alone = ClipSelfBlend().eval()(batch.rows(torch.tensor([1])), [2])
    assert torch.equal(alone.frames[1], whole.frames[4])


def test_landmarks_that_jump_are_pulled_back() -> None:
    points = torch.zeros(1, 3, 68, 2)
    points[0, 1:, :, 0] = 5.0  # moves by 5 sqrt(68) / 68 = 0.606, three times 0.2
    found = steady(points, 1.0)
    torch.testing.assert_close(found[0, 1, 0], torch.tensor([5 / 3, 0.0]))
    # from there 10 / 3 are left: 0.404, twice 0.2
    torch.testing.assert_close(found[0, 2, 0], torch.tensor([5 / 3 + 5 / 3, 0.0]))
    small = points * 0.5
    assert torch.equal(steady(small, 1.0), small)
    assert not torch.equal(steady(small, 4.0), small)


def test_true_forgeries_are_refused() -> None:
    with pytest.raises(UserError, match="true_fakes: not with clips"):
        ClipSelfBlend().show(still_clips())


def test_forged_clips_are_refused() -> None:
    with pytest.raises(UserError, match="forgeries are made from real faces"):
        ClipSelfBlend()(replace(still_clips(), label=torch.tensor([0, 1, 0])))
