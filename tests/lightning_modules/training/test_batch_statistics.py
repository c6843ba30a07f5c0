"""Batch norms that begin with random weights forget their start, so that testing says what training learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import yaml
from timm.layers import DropPath
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.delocate.method import Delocate
from lightning_modules.laa_net.method import LAANet
from lightning_modules.laa_net.network import PUBLISHED_MOMENTUM
from lightning_modules.lae.method import LAE
from lightning_modules.mae.network import MAE
from lightning_modules.st_ddl.method import STDDL
from tests.conftest import ROOT

TORCH = nn.BatchNorm2d(1).momentum
SMALL: dict[str, Any] = {"trunk": "test_efficientnet", "padding_side": None, "size": 32}


def momenta(module: nn.Module) -> set[float | None]:
    return {m.momentum for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


def is_decoder(name: str) -> bool:
    return name in ("pyramid", "points", "label", "embedding")


@pytest.mark.parametrize(
    "method",
    [
        lambda: LAANet(**SMALL),
        lambda: LAANet(),
        lambda: Classifier("tf_efficientnet_b0"),
        lambda: Classifier("legacy_xception"),
        lambda: STDDL("hrnet_w18_small", width=64),
        lambda: STDDL("test_resnet", width=64),
        lambda: LAE(size=32, widths=[8, 16], latent=8),
        lambda: Delocate(MAE(32, 8, 32, 1, 2, 32, 1, 2), encoder="test_resnet", widths=[64, 48, 32, 24]),
    ],
    ids=["LAA-Net small", "LAA-Net", "EfficientNet", "Xception", "HRNet", "ResNet", "LAE", "Delocate"],
)
def test_random_weights_come_with_the_momentum_of_torch(method: Any) -> None:
    with torch.device("meta"):
        assert momenta(method()) == {TORCH}


def test_the_published_momentum_belongs_to_statistics_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(LAANet(**{**SMALL, "trunk": "tf_efficientnet_b0.ap_in1k"}).network.state_dict(), tmp_path / "x.ours.pt")
    loaded = LAANet(**{**SMALL, "trunk": "tf_efficientnet_b0.ap_in1k"}, weights=tmp_path / "x.ours.pt")
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **k: create(name, **k))  # nothing is fetched
    fetched = LAANet(**SMALL, trunk_weights="hub")
    assert PUBLISHED_MOMENTUM == 0.01  # of EfficientNet's authors, and of the released LAA-Net
    for model in (loaded, fetched):
        for name, part in model.network.named_children():
            assert momenta(part) == ({TORCH} if is_decoder(name) else {0.01} if name == "trunk" else set())


def striped(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise of any colour; every second column of a fake is a little lighter."""
    label = torch.arange(count) % 2
    colour = 0.1 + 0.6 * torch.rand(count, 1, 3, 1, 1, generator=generator)
    frames = colour + 0.1 * torch.rand(count, 1, 3, 32, 32, generator=generator)
    frames[label == 1, ..., ::2] += 0.06
    return frames, label.float()


def test_what_sixty_steps_taught_is_said_in_testing_too() -> None:
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    model = LAANet(**SMALL, mirror=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 60)
    for _ in range(60):
        frames, label = striped(16, generator)
        loss = F.binary_cross_entropy_with_logits(model(frames, framed=True).logit, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    frames, label = striped(64, generator)
    losses = []
    for by_batch in (False, True):
        model.train(by_batch)
        for module in model.modules():
            if isinstance(module, (nn.Dropout, DropPath)):
                module.eval()
        with torch.no_grad():
            losses.append(float(F.binary_cross_entropy_with_logits(model(frames, framed=True).logit, label)))
    assert losses[1] < 0.3
    assert losses[0] == pytest.approx(losses[1], abs=0.1)


def test_sbi_is_regularized_as_published_and_its_small_preset_is_not() -> None:
    configs = [ROOT / "configs/classifier_sbi.yaml", ROOT / "configs/studio/pretrained/classifier_sbi.yaml"]
    published, small = ({}, {})  # type: dict[str, Any], dict[str, Any]
    for settings, files in ((published, configs[:1]), (small, configs)):
        for file in files:
            settings |= yaml.safe_load(file.read_text())["model"]["init_args"]
    names = ("drop", "drop_path", "momentum")
    for settings, expected in ((published, (0.4, 0.2, 0.01)), (small, (0.0, 0.0, TORCH))):
        given: dict[str, Any] = {name: settings[name] for name in names}
        net: Any = Classifier("tf_efficientnet_b0", **given).net
        paths = [module.drop_prob for module in net.modules() if isinstance(module, DropPath)]
        assert net.drop_rate == expected[0]
        assert max(paths, default=0.0) == pytest.approx(expected[1], abs=0.02)
        assert momenta(net) == {expected[2]}


def test_a_network_that_is_not_trained_keeps_its_statistics() -> None:
    model = Classifier("test_efficientnet", tune="none").train()
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    model(torch.rand(4, 1, 3, 64, 64))
    assert all(torch.equal(before[name], value) for name, value in model.net.state_dict().items())
    tuned = Classifier("test_efficientnet", tune="norms").train()
    mean = tuned.net.bn1.running_mean.clone()
    tuned(torch.rand(4, 1, 3, 64, 64))
    assert not torch.equal(mean, tuned.net.bn1.running_mean)


@pytest.mark.parametrize(("name", "value"), [("drop", 1.0), ("drop_path", -0.1), ("momentum", 0.0)])
def test_a_regularization_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"{name} {value:g}: must be"):
        Classifier("test_efficientnet", **{name: value})  # type: ignore[arg-type]
