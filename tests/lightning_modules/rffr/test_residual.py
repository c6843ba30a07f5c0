"""RFFR's residual: enlarged for the detector, itself for people."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.network import MAE
from lightning_modules.mae.reconstruction import reconstruct
from lightning_modules.rffr.method import RFFR

GRID = Grid(patches=8, block=1, border=2)


def test_what_is_recovered_and_pointed_at_is_the_difference_itself_without_its_gain() -> None:
    torch.manual_seed(0)
    model = RFFR("test_vit", generator=MAE(64, 8, 48, 2, 3, 32, 1, 2), grid=GRID).eval()
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        prediction = model(images[:, None])
        hidden = [block.expand(4, -1) for block in GRID.ids()]
        apart = reconstruct(model.network.generator, images, hidden)[0] - images
        shown = model.network.residual(images, model.all_blocks)
    torch.testing.assert_close(shown, (4 * apart).clamp(-1, 1))  # for the detector
    apart = apart.clamp(-0.25, 0.25)  # where the enlarged one is cut off
    assert prediction.recovered is not None
    assert prediction.mask_logit is not None
    torch.testing.assert_close(prediction.recovered[:, 0], images + apart)
    smooth = F.avg_pool2d(apart.abs().mean(1, keepdim=True), 9, 1, 4, count_include_pad=False)
    expected = (smooth.clamp(min=1e-6) / 0.1).log()  # even where a face is a tenth off
    torch.testing.assert_close(prediction.mask_logit[:, 0], expected, rtol=1e-4, atol=1e-4)
