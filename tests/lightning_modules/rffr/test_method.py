"""RFFR and the recovery before it, as methods."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from lightning_modules.mae.convert import convert_reference
from lightning_modules.mae.masking import Blocks, Parts
from lightning_modules.mae.method import Recover, Recovered, generator_of
from lightning_modules.mae.network import MAE
from lightning_modules.rffr.method import RFFR
from suite.__main__ import main
from tests.conftest import FEW_FACES, suite
from tests.fixtures.tiny_rffr import GRID, generator, tiny

SIZE = ["--model.generator", "lightning_modules.mae.network.MAE"]
for name, value in {"size": 64, "patch": 8, "width": 48, "depth": 2, "heads": 3}.items():
    SIZE += [f"--model.generator.{name}", str(value)]
for name, value in {"width": 32, "depth": 1, "heads": 2}.items():
    SIZE += [f"--model.generator.decoder_{name}", str(value)]


@pytest.fixture(scope="module")
def batch(prepared: Path) -> Batch:
    data = FaceData(prepared=prepared, batch_size=8, clips_per_face=2, num_workers=0)
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


@pytest.fixture(scope="module")
def stage_one(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training on real faces."""
    run = tmp_path_factory.mktemp("recover") / "run"
    arguments = ["fit", "--config", "configs/rffr_pretrain.yaml", *SIZE, "--data.prepared", str(prepared)]
    arguments += ["--model.masking.init_args.grid", "{patches: 8, block: 1, border: 2}", "--data.image_size", "64"]
    arguments += ["--data.batch_size", "4", "--data.num_workers", "0", "--trainer.accelerator", "cpu"]
    arguments += ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--run", str(run)]
    main([*arguments, *FEW_FACES, "--model.optimizer.lr", "0.003"])
    return run


def rows(run: Path, column: str, name: str = "metrics.csv") -> list[float]:
    with (run / name).open() as f:
        return [float(row[column]) for row in csv.DictReader(f) if row.get(column)]


def test_the_first_stage_sees_real_faces_alone_and_keeps_its_best(stage_one: Path) -> None:
    error = rows(stage_one, "val/recovery")
    assert error[1] < error[0]
    best = torch.load(stage_one / "checkpoints/best.ckpt", weights_only=True)
    assert best["state_dict"]["real_error"] == pytest.approx(rows(stage_one, "val/real_error")[1], rel=1e-5)
    trained_on = next(v for k, v in best.items() if "FaceData" in str(k))["trained_on"]
    assert trained_on == ["studio/real"]
    assert (stage_one / "panels/val.png").exists()


def test_the_first_stage_is_tested_on_forgeries_too(stage_one: Path, tmp_path: Path) -> None:
    best = str(stage_one / "checkpoints/best.ckpt")
    main(["test", "--config", str(stage_one / "config.yaml"), "--ckpt_path", best, "--run", str(tmp_path / "test")])
    [auroc] = rows(tmp_path / "test", "test/video_auroc", "test/metrics.csv")
    assert 0 <= auroc <= 1
    assert rows(tmp_path / "test", "test/pixel_auroc", "test/metrics.csv")


def test_the_error_of_testing_is_that_of_what_was_hidden(batch: Batch) -> None:
    model = Recover(generator(), masking=Blocks(GRID)).eval()
    with torch.no_grad():
        found = model.predict(batch)
    assert isinstance(found, Recovered)
    assert found.recovered is not None
    hidden = torch.zeros(8, 8, dtype=torch.bool)
    hidden[2:6, 2:6] = True
    where = hidden.repeat_interleave(8, 0).repeat_interleave(8, 1)
    apart = (found.recovered - batch.frames)[..., where]
    torch.testing.assert_close(found.absolute, apart.abs().flatten(1).mean(1))
    torch.testing.assert_close(found.squared, apart.square().flatten(1).mean(1))
    assert torch.equal(found.recovered[..., ~where], batch.frames[..., ~where])
    assert torch.equal(found.logit.argsort(), found.absolute.argsort())


def test_parts_are_hidden_only_where_landmarks_are_known(batch: Batch) -> None:
    model = Recover(generator(), masking=Parts())
    blind = replace(batch, has_landmarks=torch.arange(8) != 3)
    with pytest.raises(UserError, match=f"{batch.video[3]}: was prepared without landmarks"):
        model.predict(blind)
    assert model.predict(batch).logit.isfinite().all()


def test_a_clip_is_as_badly_recovered_as_its_frames_on_average(batch: Batch) -> None:
    model = Recover(generator(), masking=Parts()).eval()
    clip = replace(
        batch.rows(torch.arange(4)),
        frames=torch.cat([batch.frames[:4], batch.frames[4:]], 1),
        landmarks=torch.cat([batch.landmarks[:4], batch.landmarks[4:]], 1),
        mask=torch.cat([batch.mask[:4], batch.mask[4:]], 1),
    )
    alone, both = model.predict(batch), model.predict(clip)
    assert isinstance(alone, Recovered)
    assert isinstance(both, Recovered)
    assert both.mask_logit is not None
    torch.testing.assert_close(both.absolute, alone.absolute.view(2, 4).mean(0))
    assert both.mask_logit.shape == (4, 2, 1, 64, 64)
    with pytest.raises(UserError, match="what is hidden depends on landmarks"):
        model(batch.frames)


@pytest.mark.parametrize("branch", ["test_vit2", "vit_base_patch16_clip_224", "vit_small_patch14_reg4_dinov2"])
def test_a_branch_that_is_no_plain_transformer_is_refused(branch: str) -> None:
    with pytest.raises(UserError, match=f"branch '{branch}': must be a plain vision transformer"):
        RFFR(branch, generator=generator(), grid=GRID)


def test_the_detector_takes_the_generator_of_the_first_stage(stage_one: Path) -> None:
    model = tiny()
    assert generator_of(stage_one / "checkpoints/best.ckpt", model.network.generator) > 0
    wanted = torch.load(stage_one / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    for name, value in model.network.generator.state_dict().items():
        assert torch.equal(value, wanted[f"generator.{name}"])


def fit(prepared: Path, run: Path, *options: str) -> list[str]:
    arguments = ["fit", "--config", "configs/rffr.yaml", *SIZE, "--data.prepared", str(prepared)]
    arguments += ["--model.branch", "test_vit", "--model.trunk_weights", "null", "--data.image_size", "64"]
    arguments += ["--model.grid", "{patches: 8, block: 1, border: 2}", "--data.methods", "null", "--run", str(run)]
    arguments += [
        "--data.batch_size",
        "4",
        "--data.num_workers",
        "0",
        "--data.eval_clips",
        "2",
        "--data.clips_per_face",
        "2",
    ]
    return [*arguments, *FEW_FACES, "--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", *options]


def test_two_processes_train_the_detector_and_one_tests_it_without_the_first_stage(
    prepared: Path, stage_one: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "stage.ckpt"
    weights.write_bytes((stage_one / "checkpoints/best.ckpt").read_bytes())
    given = ["--model.generator_weights", str(weights), "--model.passes", "4"]
    done = suite(*fit(prepared, tmp_path / "run", *given), ranks=2)
    assert done.returncode == 0, done.stderr[-2000:]
    state = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    wanted = torch.load(weights, weights_only=True)["state_dict"]
    for name in ("mask_token", "blocks.0.attn.qkv.weight"):  # the generator did not learn
        assert torch.equal(state[f"network.generator.{name}"], wanted[f"generator.{name}"])
    weights.unlink()
    best = ["--ckpt_path", str(tmp_path / "run/checkpoints/best.ckpt")]
    main(
        [
            "test",
            "--config",
            str(tmp_path / "run/config.yaml"),
            *best,
            "--trainer.devices",
            "1",
            "--trainer.strategy",
            "auto",
        ]
    )
    assert rows(tmp_path / "run", "test/pixel_auroc", "test/metrics.csv")


def test_a_detector_without_a_first_stage_is_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(fit(prepared, tmp_path / "run", "--model.generator_weights", "null"))
    assert "give --model.generator_weights, for instance runs/rffr_pretrain" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(fit(prepared, tmp_path / "run", "--model.generator_weights", str(tmp_path / "none.ckpt")))
    assert "none.ckpt: no such file" in capsys.readouterr().err


def test_training_draws_blocks_and_testing_takes_all(batch: Batch) -> None:
    model = tiny()
    generator = torch.Generator().manual_seed(0)
    drawn = [len(model.draw_blocks(generator)) for _ in range(2000)]
    assert sum(drawn) / 2000 == pytest.approx(4.12, abs=0.2)  # four of sixteen, all where none was drawn
    assert 5 <= sum(n == 16 for n in drawn) <= 40  # 1 % of them
    model.eval()
    assert torch.equal(model.predict(batch).logit, model.predict(batch).logit)


@pytest.mark.parametrize("passes", [16, 8, 4])
def test_fewer_passes_recover_all_blocks(batch: Batch, passes: int) -> None:
    model, calls = tiny(passes=passes).eval(), []
    model.network.generator.register_forward_hook(lambda m, args, out: calls.append(args[1].shape))
    found = model.predict(batch)
    assert found.recovered is not None
    assert sum(n for n, _ in calls) == passes * 8
    changed = (found.recovered != batch.frames).any(2)[:, 0].unflatten(2, (8, 8)).unflatten(1, (8, 8)).any(4).any(2)
    assert torch.equal(changed.all(0), changed.any(0))
    assert changed[0, 2:6, 2:6].all()
    assert changed[0].sum() == 16


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("passes", [16, 4])
def test_a_residual_that_is_kept_is_the_one_that_would_be_made_again(batch: Batch, passes: int, compat: bool) -> None:
    plain, keeps = (tiny(passes=passes, compat=compat, cache=cache).train() for cache in (False, True))
    calls = []
    keeps.network.generator.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(3):
        torch.testing.assert_close(keeps.predict(batch).logit, plain.predict(batch).logit, rtol=0, atol=5e-3)
    assert len(calls) == 1
    blocks = torch.tensor([0, 5])
    whole = plain.network.residual(batch.frames[:, 0], plain.all_blocks)
    torch.testing.assert_close(
        plain.network.select_residual(whole, blocks), plain.network.residual(batch.frames[:, 0], blocks)
    )


@pytest.mark.parametrize("inputs", ["pixels", "residual"])
def test_one_branch_alone_sees_only_its_own(batch: Batch, inputs: Any) -> None:
    model = tiny(inputs=inputs).eval()
    logit = model.predict(batch).logit
    with torch.no_grad():
        model.network.generator.decoder_pred.bias.add_(1.0)
    assert torch.equal(model.predict(batch).logit, logit) is (inputs == "pixels")


def test_half_precision_moves_no_probability_by_half_a_hundredth(batch: Batch) -> None:
    model = tiny().eval()
    with torch.no_grad():
        exact = model.predict(batch).logit.sigmoid()
        with torch.autocast("cpu", torch.bfloat16):
            half = model.predict(batch).logit.float().sigmoid()
    assert (half - exact).abs().max() < 5e-3


def test_a_detector_learns_a_few_faces_by_heart(batch: Batch) -> None:
    torch.manual_seed(0)
    model = tiny(optimizer=lambda params: torch.optim.Adam(params, lr=1e-4), shown_probability=1.0)
    optimizer = model.configure_optimizers()
    losses: list[float] = []
    while len(losses) < 10 or (len(losses) < 80 and sum(losses[-5:]) >= 0.3 * sum(losses[:5])):
        loss = model.losses(model.predict(batch), batch)["label"]
        optimizer.zero_grad()  # type: ignore[union-attr]
        loss.backward()
        optimizer.step()  # type: ignore[union-attr]
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


def test_weights_bring_their_read_out_and_a_detector_alone_needs_a_generator(batch: Batch, tmp_path: Path) -> None:
    trained = tiny(compat=True).eval()
    state = trained.network.state_dict()
    torch.save(state, tmp_path / "whole.pt")
    detector = {name: value for name, value in state.items() if not name.startswith("generator.")}
    torch.save(detector, tmp_path / "detector.pt")
    torch.save(trained.network.generator.state_dict(), tmp_path / "generator.pt")
    whole = tiny(weights=tmp_path / "whole.pt").eval()
    both = tiny(weights=tmp_path / "detector.pt", generator_weights=tmp_path / "generator.pt").eval()
    for other in (whole, both):
        assert other.is_trained
        assert other.network.compat
        assert torch.equal(other.predict(batch).logit, trained.predict(batch).logit)
    assert not torch.equal(tiny(compat=False).eval().predict(batch).logit, trained.predict(batch).logit)
    with pytest.raises(UserError, match=r"detector\.pt: the detector alone; give --model\.generator_weights as well"):
        tiny(weights=tmp_path / "detector.pt")


def test_a_generator_is_converted_whole_or_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        names = MAE().state_dict()
    state = {name: torch.zeros(value.shape) for name, value in names.items()}
    published = MAE()
    state |= {name: value.clone() for name, value in published.state_dict().items() if "pos_embed" in name}
    assert convert_reference({f"module.{name}": value for name, value in state.items()}).keys() == names.keys()
    whole = {f"rg.inpainter.{name}": value for name, value in state.items()} | {"dd.classifier.bias": torch.zeros(2)}
    assert convert_reference(whole).keys() == names.keys()
    with pytest.raises(UserError, match="pos_embed: is not the table of sines and cosines"):
        convert_reference(state | {"pos_embed": state["pos_embed"].roll(1, 1)})
    with pytest.raises(UserError, match="an encoder alone recovers nothing"):
        convert_reference({name: value for name, value in state.items() if not name.startswith("decoder_pred")})
    with pytest.raises(UserError, match=r"blocks\.12\.norm1\.weight: no key of MAE"):
        convert_reference(state | {"blocks.12.norm1.weight": torch.zeros(768)})
