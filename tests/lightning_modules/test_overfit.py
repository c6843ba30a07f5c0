"""Each method, in its small preset, learns eight people by heart: if it does not, it is wrong, or its preset is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from jsonargparse import ArgumentParser
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from datamodules.batch import Batch, collate
from datamodules.face_data import FaceData
from datamodules.loading.sampling import EvalSampler
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.base import Method
from suite.__main__ import main
from tests.conftest import ROOT
from tests.fixtures.configs import lay_over, read_config
from tests.fixtures.second_proofs import mark_slow

IsLearnt = Callable[[list[dict[str, float]], dict[str, float]], bool]  # of the losses of all steps, and of validation
SIDE = 64
CONSTANT: dict[str, Any] = {"scheduler": None}  # as high from the first step to the last: these are few
SMALL: dict[str, Any] = {"generator": {"init_args": {"size": SIDE, "patch": 8}}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    Args:
        configs: A method's own, then its small preset.
        change: Of the model section: sizes, and what follows from so few steps.
        inputs: What it is trained on.
        steps: In each epoch, at most: training ends once all is reached.
        limits: Of losses, at the end.
        map: Metric of its map on the very faces, and what it must reach.
    """

    configs: list[str]
    inputs: Literal["stills", "blends", "clips"]
    steps: int
    limits: dict[str, float]
    change: dict[str, Any] = field(default_factory=dict)
    epochs: int = 1
    map: tuple[str, float] | None = None


CASES = {
    "classifier": Case(configs=["studio/demo"], inputs="stills", steps=30, limits={"label": 0.05}),
    "SBI": Case(
        configs=["classifier_sbi", "studio/pretrained/classifier_sbi"],
        inputs="blends",
        steps=30,
        limits={"label": 0.05},
    ),
    "LAA-Net": Case(
        configs=["laa_net", "studio/pretrained/laa_net"],
        inputs="blends",
        steps=100,  # its labels take half of them, self-consistency all
        limits={"label": 0.1},
        change={"size": SIDE},
        map=("boundary_auroc", 0.9),  # it is 0.97
    ),
    "ST-DDL": Case(
        configs=["st_ddl", "studio/pretrained/st_ddl"],
        inputs="clips",
        steps=30,
        limits={"label": 0.05},
        map=("pixel_auroc", 0.95),
    ),
    "RFFR": Case(
        configs=["rffr", "studio/pretrained/rffr"],
        inputs="stills",
        steps=40,
        limits={"label": 0.05},
        change=SMALL,
    ),
    "Delocate": Case(
        configs=["delocate", "studio/pretrained/delocate"],
        inputs="stills",
        steps=30,
        limits={"label": 0.05},
        change=SMALL | {"split": "none"},
        map=("pixel_auroc", 0.95),
    ),
    "LAE": Case(
        configs=["lae", "studio/pretrained/lae"],
        inputs="stills",
        steps=30,
        epochs=2,
        limits={"latent": 0.05},
        change={"size": SIDE, "first_stage_epochs": 1},
    ),
}


def build(configs: list[str], change: Mapping[str, Any]) -> Method:
    """The method of the model section of these configs."""
    section = read_config(*(ROOT / f"configs/{name}.yaml" for name in configs))["model"]
    section = lay_over(section, {"init_args": {**CONSTANT, **change}})
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    torch.manual_seed(0)
    method: Method = parser.instantiate_classes(parser.parse_object({"model": section})).model
    return method


def everybody(data: FaceData) -> Batch:
    """Of each person one real and one forged face."""
    samples = []
    for split in ("train", "val", "test"):
        clips = data.clips_with_masks(split)
        samples += [clips[address] for address in EvalSampler(clips.faces(1), 1)]
    chosen = [sample for sample in samples if sample.video.split("/")[1] in ("real", "Swap")]
    batch = collate(chosen).scale()
    assert batch.label.tolist().count(0) == batch.label.tolist().count(1) == 8
    return batch


@pytest.fixture(scope="module")
def stills(prepared: Path) -> Batch:
    return everybody(FaceData(prepared=prepared, eval_clips=1, num_workers=0))


@pytest.fixture(scope="module")
def clips(prepared: Path, studio: Path) -> Batch:
    how: dict[str, Any] = {"frame_source": "videos", "root": studio, "clip": 3, "image_size": SIDE}
    return everybody(FaceData(prepared=prepared, num_workers=0, **how))


def blended(stills: Batch, method: Method) -> Batch:
    """The real faces, and each blended with a changed copy of itself, always the same."""
    synthesis = SelfBlend(size=SIDE)
    synthesis.framing = method.framing
    return synthesis.eval()(stills.rows((stills.label == 0).nonzero().flatten()), list(range(8)))


class TheSame(LightningDataModule):
    """One batch, to train on and to be validated on."""

    def __init__(self, batch: Batch, steps: int) -> None:
        super().__init__()
        self.batch, self.steps = batch, steps

    def train_dataloader(self) -> Any:
        return DataLoader([self.batch] * self.steps, batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return DataLoader([self.batch], batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch


class StopWhenLearnt(Callback):
    """Losses of each step, until what a validation finds is enough."""

    def __init__(self, is_learnt: IsLearnt) -> None:
        self.is_learnt = is_learnt
        self.each: list[dict[str, float]] = []
        self.values: dict[str, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self.values = {name.removeprefix("val/"): value for name, value in found.items()}
        trainer.should_stop = self.is_learnt(self.each, self.values)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("train/")}
        self.each.append({name.removeprefix("train/"): value for name, value in found.items()})


def learn(
    method: Method, batch: Batch, is_learnt: IsLearnt, steps: int, epochs: int = 1
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Losses of each step, and the metrics of validation on the very batch in the last epoch, at the end."""
    losses = StopWhenLearnt(is_learnt)
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    quiet |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "accelerator": "cpu"}
    quiet |= {"check_val_every_n_epoch": epochs, "val_check_interval": 5}
    Trainer(**quiet, max_epochs=epochs, callbacks=[losses]).fit(method, TheSame(batch, steps))
    return losses.each, losses.values


@pytest.fixture(scope="module")
def generator(stills: Batch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the first stage of RFFR and Delocate, on the eight real faces."""
    change = {**SMALL, "masking": {"init_args": {"grid": {"patches": 8, "block": 2, "border": 0}}}}
    method = build(["rffr_pretrain", "studio/pretrained/mae"], change)

    def is_learnt(losses: list[dict[str, float]], _: dict[str, float]) -> bool:
        return losses[-1]["recovery"] < 0.05 * losses[0]["recovery"]

    losses, values = learn(method, stills.rows((stills.label == 0).nonzero().flatten()), is_learnt, 60)
    assert is_learnt(losses, values)
    path = tmp_path_factory.mktemp("generator") / "best.ckpt"
    torch.save({"state_dict": method.state_dict()}, path)
    return path


# of these, their own test_method.py have siblings
@pytest.mark.parametrize("name", mark_slow(CASES, {"LAA-Net", "LAE"}))
def test_a_method_learns_eight_people_by_heart(name: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    needed = {"generator_weights": request.getfixturevalue("generator")} if case.change.keys() & SMALL.keys() else {}
    method = build(case.configs, {**case.change, **needed})
    stills: Batch = request.getfixturevalue("clips" if case.inputs == "clips" else "stills")
    batch = blended(stills, method) if case.inputs == "blends" else stills

    def is_learnt(losses: list[dict[str, float]], values: dict[str, float]) -> bool:
        is_mapped = case.map is None or values[case.map[0]] > case.map[1]
        is_low = all(losses[-1][loss] < limit for loss, limit in case.limits.items())
        return is_mapped and is_low and values["video_auroc"] == values["frame_auroc"] == 1.0

    losses, values = learn(method, batch, is_learnt, case.steps, case.epochs)
    for loss, limit in case.limits.items():
        assert losses[-1][loss] < limit, losses[::10]
        assert losses[0][loss] > 4 * limit  # there was something to learn
    assert values["video_auroc"] == values["frame_auroc"] == 1.0
    if case.map is not None:
        assert values[case.map[0]] > case.map[1]


@pytest.mark.parametrize(
    "config", sorted((ROOT / "configs/studio/pretrained").glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_small_preset_is_a_config_that_fit_takes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {"mae": ["rffr_pretrain", "delocate_pretrain"]}.get(config.stem, [config.stem])
    for name in before:
        files = [ROOT / f"configs/{name}.yaml", config]
        with pytest.raises(SystemExit) as ended:
            main(["fit", *(word for file in files for word in ("--config", str(file))), "--print_config"])
        assert ended.value.code in (0, None), capsys.readouterr().err
