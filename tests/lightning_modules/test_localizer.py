"""A classifier with a second head: what its map shows, what trains it, and what it is scored by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from datamodules.synthesis.framing import Framing
from lightning_modules.classifier import Classifier
from lightning_modules.localizer import Localizer, Located
from lightning_modules.mask_losses import balanced_cross_entropy
from tests.fixtures.noise import clips


def tiny(**changes: Any) -> Localizer:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"backbone": "test_efficientnet", "map_width": 8}
    return Localizer(**arguments | changes)


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_convnext", "legacy_xception"])
def test_it_scores_as_the_classifier_does_of_the_same_trunk(backbone: str) -> None:
    model, plain = tiny(backbone=backbone).eval(), Classifier(backbone).eval()
    plain.net.load_state_dict(model.net.state_dict())
    frames = clips().frames
    with torch.inference_mode():
        torch.testing.assert_close(model(frames).logit, plain(frames).logit)


def test_its_map_is_as_large_as_the_crop_and_finer_than_the_last_features() -> None:
    batch = clips()
    prediction = tiny().eval().predict(batch)
    assert isinstance(prediction, Located)
    assert prediction.cells.shape == (4, 2, 1, 8, 8)
    assert prediction.mask_logit is not None
    assert prediction.mask_logit.shape == batch.mask.shape


def test_a_map_lies_where_the_network_looked_and_repeats_its_border_beyond() -> None:
    framing = Framing(cut=(0.25, 0.25))
    middle = framing.enlarge(torch.arange(4.0).view(1, 1, 2, 2), (16, 16))[0, 0]
    # cells of 4 pixels from pixel 4 on, so that pixel 5 is the last before the middle of its cell
    assert middle[5, 5] == 0
    assert middle[6, 5] > 0
    assert middle[10, 10] == 3
    assert torch.equal(middle[:4], middle[4].expand(4, 16))


class Cells(Localizer):
    """Forgets what it was shown, for a map that is given."""

    def of(self, cells: Tensor, batch: Batch) -> Tensor:
        prediction = replace(self(batch.frames, batch.framed), cells=cells)
        return self.losses(prediction, batch)["map"]


def test_the_loss_of_the_map_takes_the_mask_of_what_was_shown() -> None:
    batch = clips()
    batch.mask[:, :, :, 16:48, 16:32] = 1  # the left half of the middle
    cells = torch.full((4, 2, 1, 8, 8), -20.0)
    cells[..., :4] = 20
    whole, cut = (Cells(backbone="test_efficientnet", framing=Framing(cut=(c, c))) for c in (0.0, 0.25))
    assert cut.of(cells, batch) < 1e-6
    assert whole.of(cells, batch) > 1
    assert cut.of(cells, replace(batch, framed=True)) > 1


def test_few_forged_pixels_weigh_as_much_as_all_others() -> None:
    logit, target = torch.zeros(2, 1, 1, 4, 4), torch.zeros(2, 1, 1, 4, 4)
    target[0, 0, 0, 0, 0] = 1
    known = torch.tensor([True, True])
    right = F.softplus(torch.tensor(-2.0))
    logit[0, 0, 0, 0, 0] = 2.0
    torch.testing.assert_close(balanced_cross_entropy(logit, target, known), (right + torch.tensor(2.0).log()) / 2)
    # a row whose mask nobody knows says nothing, of either kind
    logit[1] = 9.0
    known[1] = False
    torch.testing.assert_close(balanced_cross_entropy(logit, target, known), (right + torch.tensor(2.0).log()) / 2)
    assert balanced_cross_entropy(logit, target, ~known) == pytest.approx(9.0 / 2, abs=1e-3)  # real faces alone


def test_it_learns_where_from_the_masks_of_a_batch() -> None:
    batch = clips(8, 1)
    batch.label[4:] = 1
    for i in range(4, 8):  # a grey square, here or there
        y, x = 32 * (i % 2), 32 * (i // 6)
        batch.frames[i, :, :, y : y + 32, x : x + 32] = 0.5
        batch.mask[i, :, :, y : y + 32, x : x + 32] = 1
    model = tiny().train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(40):
        losses = model.losses(model.predict(batch), batch)
        assert losses.keys() == {"label", "map"}
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    model.eval()
    outcome = model.evaluate("val", batch)
    assert outcome.forged is not None
    assert model.create_metrics(model.pixels, "val").compute()["pixel_auroc"] > 0.9


def test_without_weight_the_trunk_does_not_feel_the_map() -> None:
    batch = clips()
    for weight in (0.0, 2.0):
        model = tiny(map_weight=weight)
        model.losses(model.predict(batch), batch)["map"].backward()
        norms = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
        assert (max(norms) > 0) == (weight > 0)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"backbone": "test_vit"}, r"^backbone 'test_vit': must have features at strides 8, 16, 32; take a conv"),
        ({"map_weight": -1.0}, r"^map_weight -1\.0: must be 0 or more$"),
        ({"map_width": 0}, r"^map_width 0: must be 1 or more$"),
    ],
)
def test_what_it_cannot_do_is_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        tiny(**change)
