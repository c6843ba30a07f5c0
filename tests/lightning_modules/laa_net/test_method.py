"""LAA-Net as a method: what it says, what trains it, and weights from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer

from callbacks.predictions import PredictionTable
from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.synthesis.base import seed_draws
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.laa_net.method import LAANet, LAAPrediction
from lightning_modules.laa_net.network import LAANetwork
from lightning_modules.metrics import functional
from suite.__main__ import main
from suite.run_metrics import read_run, videos
from tests.conftest import ROOT
from tests.fixtures.pickled_code import Code
from tests.fixtures.tiny_laa_net import small, tiny


@pytest.mark.parametrize("side", [64, 80])  # 64 is the size of the network
def test_a_crop_of_any_size_loses_a_little_all_round_and_its_map_has_its_size(side: int) -> None:
    frames = torch.rand(2, 1, 3, side, side)
    model = tiny().eval()
    prediction = model(frames)
    assert prediction.logit.shape == (2,)
    assert prediction.mask_logit is not None
    assert prediction.mask_logit.shape == (2, 1, 1, side, side)
    assert prediction.heads is None
    changed = frames.clone()
    changed[..., :6, :] = 1 - changed[..., :6, :]  # a tenth is cut off
    assert torch.equal(model(changed).logit, prediction.logit)
    assert not torch.equal(model(changed, framed=True).logit, model(frames, framed=True).logit)


def test_a_score_is_the_same_for_the_mirror_image() -> None:
    frames = torch.rand(2, 1, 3, 64, 64)
    model = tiny().eval()
    torch.testing.assert_close(model(frames).logit, model(frames.flip(-1)).logit, rtol=1e-4, atol=1e-5)


class Brightness(LAANet):
    """An untrained network says the same of every frame; this one does not."""

    middle = 0.5

    def forward(self, frames: torch.Tensor, framed: bool = False) -> LAAPrediction:
        return replace(super().forward(frames, framed), logit=60 * (frames.mean((1, 2, 3, 4)) - self.middle))


def test_the_table_of_a_run_gives_the_figures_that_testing_gave(prepared: Path, tmp_path: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=8, num_workers=0, eval_clips=3)
    model = Brightness(trunk="test_efficientnet", padding_side=None, size=64)
    # far from it all scores are 0 or 1, and the mean of a video's logits scores as that of its probabilities
    model.middle = float(torch.cat([batch.frames for batch in data.test_dataloader()]).float().mean() / 255)
    plain: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    [metrics] = Trainer(**plain, default_root_dir=tmp_path, callbacks=[PredictionTable()]).test(
        model, data, verbose=False
    )
    run = read_run(tmp_path)
    assert run.about["score_pooling"] == "logit"
    again = videos(run)
    brier = float(functional.brier(torch.from_numpy(again.score), torch.from_numpy(again.label)))
    assert brier == pytest.approx(metrics["test/video_brier"], abs=1e-6)
    assert brier != pytest.approx(metrics["test/frame_brier"], abs=1e-5)


def pairs(prepared: Path) -> Batch:
    data = FaceData(prepared=prepared, batch_size=8, num_workers=0, synthesis=SelfBlend())
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    with seed_draws(0):
        return data.change_batch(batch)


def test_each_loss_falls_when_a_few_pairs_are_learnt(prepared: Path) -> None:
    batch, model = pairs(prepared), tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for _ in range(12):
        losses = model.losses(model.predict(batch), batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: float(loss) for name, loss in losses.items()})
    assert history[0].keys() == {"points", "label", "consistency"}
    assert history[-1]["label"] < history[0]["label"]
    assert history[-1]["points"] < history[0]["points"]
    assert history[-1]["consistency"] < history[0]["consistency"]


def test_an_official_checkpoint_is_renamed_and_another_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {f"module.{name}": value.double() for name, value in small().items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}}}, tmp_path / "theirs.pth")
    main(["convert", "laa_net", str(tmp_path / "theirs.pth")])
    assert "785 tensors of 803" in capsys.readouterr().out
    ours = torch.load(tmp_path / "theirs.pth.ours.pt", weights_only=True)
    assert {value.dtype for value in ours.values()} == {torch.float32}
    with pytest.raises(
        UserError, match=r"theirs\.pth\.ours\.pt: 783 keys do not fit, the first is 'trunk\.conv_stem\.weight'"
    ):
        LAANet(weights=tmp_path / "theirs.pth.ours.pt")


def test_converted_weights_are_tested_without_a_checkpoint(prepared: Path, tmp_path: Path) -> None:
    trunk = "tf_efficientnet_b0.ap_in1k"  # a smaller one that normalizes alike
    torch.save(LAANetwork(trunk, padding_side=None).state_dict(), tmp_path / "x.pth.ours.pt")
    config = ["--config", str(ROOT / "configs/laa_net.yaml"), "--config"]
    config += [str(ROOT / "configs/studio/scratch/laa_net.yaml"), "--model.weights", str(tmp_path / "x.pth.ours.pt")]
    where = ["--data.prepared", str(prepared), "--run", str(tmp_path / "run"), "--data.num_workers", "0"]
    where += ["--model.trunk", trunk]
    main(["test", *config, *where, "--trainer.accelerator", "cpu", "--trainer.limit_test_batches", "1"])
    assert (tmp_path / "run/predictions.parquet").is_file()


def test_weights_are_refused_by_a_trunk_that_sees_other_values(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expect images normalized as trunk tf_efficientnet_b4\.ap_in1k does, not as"):
        LAANet("tf_efficientnet_b4.ns_jft_in1k", weights=tmp_path / "x.pt")


def test_a_network_of_another_size_than_its_targets_is_refused(prepared: Path) -> None:
    data = FaceData(prepared=prepared, num_workers=0, synthesis=SelfBlend(size=96))
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, fast_dev_run=1)
    with pytest.raises(UserError, match=r"size 64, but synthesis gives images of 96; set data\.synthesis\.size"):
        trainer.fit(tiny(), data)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"state_dict": {"fc.weight": torch.zeros(1)}}, "fc.weight: no key of LAA-Net"),
        ({"state_dict": {}}, "holds no state dict of tensors"),
        ([1, 2], "must hold an object, holds [1, 2]"),
        (None, "holds more than tensors and plain values"),
    ],
)
def test_what_is_no_checkpoint_is_one_line(
    content: object, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "ran"
    torch.save(Code(mark) if content is None else content, tmp_path / "x.pth")
    with pytest.raises(SystemExit) as stop:
        main(["convert", "laa_net", str(tmp_path / "x.pth")])
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err.strip().splitlines()[-1]
    assert not mark.exists()
    assert not list(tmp_path.glob("*.ours.pt"))
