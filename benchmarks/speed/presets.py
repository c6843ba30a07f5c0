"""The networks whose steps are checked and timed, at the sizes of their papers and, for a test, at tiny ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from datamodules.augment.augment import Augment
from datamodules.synthesis.framing import Framing
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.base import Method
from lightning_modules.classifier import Classifier
from lightning_modules.delocate.method import Delocate
from lightning_modules.laa_net.method import LAANet
from lightning_modules.lae.method import LAE
from lightning_modules.mae.block_grid import Grid
from lightning_modules.mae.masking import Blocks
from lightning_modules.mae.method import Recover
from lightning_modules.mae.network import MAE
from lightning_modules.rffr.method import RFFR
from lightning_modules.st_ddl.method import STDDL

TINY_MAE: dict[str, int] = {
    "size": 64, "patch": 8, "width": 32, "depth": 1, "heads": 2, "decoder_width": 24, "decoder_depth": 1,
    "decoder_heads": 2,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A training of one method."""

    build: Callable[..., Method]  # takes the file of a generator, where there is one
    side: int  # of the faces
    batch: int
    clip: int = 1
    data: dict[str, Any] = field(default_factory=dict)  # other arguments of FaceData
    folder: str = "prepared"
    needs_generator: bool = False


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-4, fused=torch.cuda.is_available())


def create_blends(side: int) -> dict[str, Any]:
    return {"synthesis": SelfBlend(size=side)}


def sbi(side: int) -> dict[str, Any]:
    return {"synthesis": SelfBlend(size=side, resize=(0.75, 1.0), ratio_in_mask=True, distort=0.0)}


def presets(tiny: bool = False) -> dict[str, Preset]:
    """By the name that tables show."""
    return tiny_presets() if tiny else published_presets()


def published_presets() -> dict[str, Preset]:
    common: dict[str, Any] = {"optimizer": adam}
    laa: dict[str, Any] = {"side": 384, "folder": "prepared_m15", "data": create_blends(384)}
    framing = Framing(cut=(0.0333, 0.1333), equal_sides=False)
    vit_l = "vit_large_patch14_clip_quickgelu_224.openai"

    def laa_net() -> Method:
        return LAANet(rho=0.05, **common)

    def b4_sbi() -> Method:
        return Classifier("tf_efficientnet_b4.ap_in1k", framing=framing, rho=0.05, **common)

    def rffr(passes: int | None) -> Callable[..., Method]:
        def build(generator: Path | None = None) -> Method:
            return RFFR(generator_weights=generator, passes=passes, **common)

        return build

    return {
        "LAA-Net B4, 8 pairs": Preset(build=laa_net, batch=8, **laa),
        "LAA-Net B4, 32 pairs": Preset(build=laa_net, batch=32, **laa),
        "SBI B4, 16 pairs": Preset(build=b4_sbi, side=380, batch=16, folder="prepared_m15", data=sbi(380)),
        "ST-DDL, 4 clips": Preset(
            build=lambda: STDDL(**common), side=512, batch=4, clip=4,
            data={"frame_source": "videos", "augment": Augment()},
        ),
        "RFFR, 16 passes": Preset(build=rffr(None), side=224, batch=32, needs_generator=True),
        "RFFR, 8 passes": Preset(build=rffr(8), side=224, batch=32, needs_generator=True),
        "RFFR, 4 passes": Preset(build=rffr(4), side=224, batch=32, needs_generator=True),
        "MAE, 600 faces": Preset(build=lambda: Recover(**common), side=224, batch=600, data={"methods": []}),
        "Delocate, 48 faces": Preset(
            build=lambda generator=None: Delocate(
                generator_weights=generator, encoder="seresnet50.ra2_in1k", margin=0.1, split="methods", **common
            ),
            side=224, batch=48, needs_generator=True,
        ),
        "LAE, 32 faces": Preset(build=lambda: LAE(size=256, first_stage_epochs=0, **common), side=256, batch=32),
        "CLIP ViT-L, norms": Preset(
            build=lambda: Classifier(vit_l, tune="norms", **common), side=224, batch=64,
            data={"pairs": True, "augment": Augment()},
        ),
    }  # fmt: skip


def tiny_presets() -> dict[str, Preset]:
    common: dict[str, Any] = {"optimizer": adam}

    def rffr(generator: Path | None = None) -> Method:
        grid = Grid(patches=8, block=2, border=0)
        mae = MAE(**TINY_MAE)
        return RFFR("test_vit", generator=mae, generator_weights=generator, grid=grid, passes=4, **common)

    def delocate(generator: Path | None = None) -> Method:
        small: dict[str, Any] = {"widths": [16, 16, 8, 8], "mapping_width": 8, "mapping_depth": 1, "margin": 0.1}
        mae = MAE(**TINY_MAE)
        return Delocate(generator=mae, generator_weights=generator, encoder="test_resnet", **small, **common)

    return {
        "LAA-Net": Preset(
            build=lambda: LAANet("test_efficientnet", padding_side=None, size=64, rho=0.05, **common),
            side=64, batch=4, folder="prepared_m15", data=create_blends(64),
        ),
        "classifier": Preset(build=lambda: Classifier("test_efficientnet", **common), side=64, batch=4),
        "ST-DDL": Preset(
            build=lambda: STDDL("resnet18", width=32, **common),
            side=64, batch=2, clip=3, data={"frame_source": "videos"},
        ),
        "RFFR": Preset(build=rffr, side=64, batch=4, needs_generator=True),
        "MAE": Preset(
            build=lambda: Recover(MAE(**TINY_MAE), masking=Blocks(Grid(patches=8, block=2, border=0)), **common),
            side=64, batch=4, data={"methods": []},
        ),
        "Delocate": Preset(build=delocate, side=64, batch=4, needs_generator=True),
        "LAE": Preset(
            build=lambda: LAE(size=64, widths=[8, 16], latent=16, first_stage_epochs=0, **common), side=64, batch=4
        ),
    }  # fmt: skip
