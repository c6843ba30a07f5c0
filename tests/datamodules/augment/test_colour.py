"""Changes of colour go the way their names say: what they leave alone, and to which side they turn."""

from __future__ import annotations

import colorsys
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.augment.augment import Augment
from datamodules.batch import Batch

NOTHING: dict[str, Any] = dict.fromkeys(("flip", "affine", "blur", "noise", "rescale", "jpeg"), 0.0)
NOTHING |= dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)


def changed(frames: Tensor, **change: float) -> Tensor:
    """(B, T, 3, H, W) after a change of colour that every clip has."""
    b, t = frames.shape[:2]
    batch = Batch(
        frames=frames.clone(),
        label=torch.zeros(b, dtype=torch.long),
        mask=torch.zeros_like(frames[:, :, :1]),
        has_mask=torch.ones(b, dtype=torch.bool),
        landmarks=torch.zeros(b, t, 68, 2),
        has_landmarks=torch.zeros(b, dtype=torch.bool),
        video=[str(i) for i in range(b)],
        track=torch.zeros(b, dtype=torch.long),
        numbers=torch.zeros(b, t, dtype=torch.long),
        is_counted=torch.ones(b, dtype=torch.bool),
    )
    return Augment(**NOTHING | change, colour=1.0)(batch).frames


@pytest.fixture
def half_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is three quarters: of what lies from -1 to 1, a half."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, 0.75))


def yiq(frames: Tensor) -> Tensor:
    """(..., 3) luma and the two axes of chroma, by Python's own definition."""
    colours = frames.movedim(2, -1).flatten(0, -2).tolist()
    return torch.tensor([colorsys.rgb_to_yiq(*colour) for colour in colours])


COLOURS = torch.tensor([[0.7, 0.4, 0.4], [0.4, 0.6, 0.4], [0.4, 0.4, 0.7], [0.6, 0.6, 0.4], [0.5, 0.5, 0.5]])


@pytest.mark.usefixtures("half_up")
def test_a_turn_of_the_hue_goes_from_orange_to_purple_by_its_angle_and_leaves_luma_and_chroma() -> None:
    frames = COLOURS.view(5, 1, 3, 1, 1).expand(5, 1, 3, 8, 8)
    # of a half turn at most, half of that: the axis of orange lands on that of purple
    before, after = yiq(frames[..., :1, :1]), yiq(changed(frames, hue=0.5)[..., :1, :1])
    torch.testing.assert_close(after[:, 0], before[:, 0], rtol=0, atol=5e-3)
    expected = torch.stack([-before[:, 2], before[:, 1]], 1)
    torch.testing.assert_close(after[:, 1:], expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("hue", [0.04, 0.2])
def test_a_turn_of_the_hue_never_changes_how_much_chroma_there_is(hue: float) -> None:
    torch.manual_seed(0)
    frames = COLOURS.repeat(20, 1).view(100, 1, 3, 1, 1).expand(100, 1, 3, 8, 8)
    before, after = yiq(frames[..., :1, :1]), yiq(changed(frames, hue=hue)[..., :1, :1])
    torch.testing.assert_close(after[:, 1:].norm(dim=1), before[:, 1:].norm(dim=1), rtol=0, atol=1e-2)
    turned = (before[:, 1] * after[:, 2] - before[:, 2] * after[:, 1])[before[:, 1:].norm(dim=1) > 0.05]
    assert 0.3 < (turned > 0).float().mean() < 0.7  # to either side


@pytest.mark.usefixtures("half_up")
def test_a_change_of_contrast_spreads_a_image_around_its_own_mean() -> None:
    torch.manual_seed(0)
    grey = torch.linspace(0.35, 0.65, 64).view(1, 1, 1, 8, 8).expand(1, 2, 3, 8, 8)
    for level in (-0.1, 0.0, 0.1):
        frames = grey + level
        after = changed(frames, contrast=0.4)
        torch.testing.assert_close(after, frames.mean() + 1.2 * (frames - frames.mean()), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("half_up")
def test_a_change_of_brightness_is_a_gain_and_one_of_saturation_moves_away_from_grey() -> None:
    frames = COLOURS.view(5, 1, 3, 1, 1).expand(5, 1, 3, 8, 8)
    torch.testing.assert_close(changed(frames, brightness=0.2), 1.1 * frames, rtol=0, atol=1e-4)
    before, after = yiq(frames[..., :1, :1]), yiq(changed(frames, saturation=0.4)[..., :1, :1])
    torch.testing.assert_close(after, before * torch.tensor([1.0, 1.2, 1.2]), rtol=0, atol=5e-3)
