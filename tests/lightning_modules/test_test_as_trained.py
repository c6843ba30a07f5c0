"""What a network is shown of a crop in training and in testing: as much of it, and as sharp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from pytorch_lightning import Trainer
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.synthesis import self_blend
from lightning_modules.base import Method
from lightning_modules.classifier import Classifier
from lightning_modules.fakestormer.method import FakeSTormer
from lightning_modules.laa_net.method import LAANet
from tests.conftest import ROOT
from tests.fixtures.configs import read_config
from tests.fixtures.second_proofs import mark_slow

SIDE = 96


def with_synthesis() -> list[tuple[str, ...]]:
    """Every config that has one, alone and with its overlay for the studio."""
    names = []
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        data = read_config(path).get("data")
        # a mixture hands its framing to syntheses that are among the others (see synthesis/test_mixture.py)
        if isinstance(data, dict) and data.get("synthesis") and path.stem != "detector":
            own = (name for name in ("laa_net", "fakestormer") if path.stem.startswith(name))
            overlay = next(own, "classifier_sbi")
            names += [(path.stem,), (path.stem, f"studio/scratch/{overlay}")]
    return names


# one of each synthesis and of each framing; the others prove it of a config that differs elsewhere
QUICK: list[tuple[str, ...]] = [
    (name,) for name in ("classifier_blend", "classifier_sbi", "fakestormer", "laa_net", "localizer")
]
QUICK += [("classifier_sbi", "studio/scratch/classifier_sbi")]
# what makes real faces and their forgeries look older or of another camera, in training alone
SELF_BLENDED = {"after_jpeg": 0.0, "after_light": 0.0, "after_shift": 0.0, "distort": 0.0}
PLAIN = {
    "SelfBlend": SELF_BLENDED,
    "ClipSelfBlend": SELF_BLENDED,
    "FaceBlend": {"jpeg": 0.0, "colour": 0.0, "light": 0.0, "downscale": 0.0, "distort": 0.0},
}


def built(names: tuple[str, ...], prepared: Path, studio: Path) -> tuple[Method, FaceData]:
    """As the configs say, but small, and with nothing that changes colours or sharpness."""
    config = read_config(*(ROOT / f"configs/{name}.yaml" for name in names))
    model, data = config["model"]["init_args"], config["data"]
    model |= {"trunk_weights": None, "rho": 0.0, "optimizer": None, "scheduler": None}
    del model["optimizer"], model["scheduler"]
    if "LAANet" in config["model"]["class_path"]:
        model |= {"trunk": "test_efficientnet", "padding_side": None, "size": SIDE}
    elif "FakeSTormer" in config["model"]["class_path"]:
        model |= {"backbone": "test_vit", "size": SIDE, "frames": 2, "hidden": 0.0, "drop_path": 0.0}
    else:
        model |= {"backbone": "test_efficientnet"}
    kind = data["synthesis"]["class_path"].rpartition(".")[2]
    data["synthesis"]["init_args"] |= PLAIN[kind] | {"size": SIDE}
    data |= {"prepared": str(prepared), "compression": "c23", "image_size": SIDE, "batch_size": 16, "num_workers": 0}
    data |= {"root": None, "index": None, "clips_per_face": 16, "eval_clips": 8}  # all that are stored
    if data.get("frame_source") == "videos":
        data |= {"root": str(studio), "clip": 2, "clips_per_face": 2, "eval_clips": 2, "batch_size": 8}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    parser.add_class_arguments(FaceData, "data")
    made = parser.instantiate_classes(parser.parse_object({"model": config["model"], "data": config["data"]}))
    return made.model, made.data


class Seen:
    """The real faces that reach the network, in [0, 1]."""

    def __init__(self, method: Method) -> None:
        self.images: list[Tensor] = []
        self.method, self.pairs = method, False
        network = method.network if isinstance(method, LAANet | FakeSTormer) else getattr(method.net, "conv_stem", None)
        assert isinstance(network, nn.Module)
        network.register_forward_pre_hook(self.keep)

    def keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        images = inputs[0].detach()
        if isinstance(self.method, Classifier):
            images = images * self.method.std + self.method.mean
        images = images[: len(images) // 2] if self.pairs else images
        self.images.append(images.flatten(0, -4))  # clips to frames

    def take(self) -> tuple[float, float]:
        """Mean share of the crop's side, and of the logarithm of the Laplacian's variance."""
        images, self.images = torch.cat(self.images), []
        wide, high, face = images.unbind(1)
        shares = torch.stack([(wide[:, 0, -1] - wide[:, 0, 0]).abs(), high[:, -1, 0] - high[:, 0, 0]])
        around = face[:, :-2, 1:-1] + face[:, 2:, 1:-1] + face[:, 1:-1, :-2] + face[:, 1:-1, 2:]
        return float(shares.mean()), float((around - 4 * face[:, 1:-1, 1:-1]).var((1, 2)).log10().mean())


def ruled(batch: Batch, scaled: Any = Batch.scale) -> Batch:
    """The green of a face, and where in the crop each pixel is for red and blue."""
    out: Batch = scaled(batch)
    line = torch.linspace(0, 1, out.frames.shape[-1])
    out.frames[:, :, 2] = out.frames[:, :, 1]
    out.frames[:, :, 0], out.frames[:, :, 1] = line, line[:, None]
    return out


@pytest.mark.parametrize(
    "names",
    mark_slow(with_synthesis(), {names for names in with_synthesis() if names not in QUICK}),
    ids=lambda names: names[-1].rpartition("/")[2] + "_" + names[0],
)
def test_a_network_is_shown_in_testing_what_it_was_shown_in_training(
    names: tuple[str, ...], prepared: Path, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        self_blend, "change_colours", lambda images, *_: images.clone()
    )  # sharpens half of the real faces
    monkeypatch.setattr(Batch, "scale", ruled)
    method, data = built(names, prepared, studio)
    monkeypatch.setattr(data, "test_dataloader", lambda: data.eval_loader("train"))  # the same faces
    seen = Seen(method)
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    quiet |= {"enable_checkpointing": False, "enable_model_summary": False}
    trainer = Trainer(**quiet, max_epochs=6, limit_train_batches=5, limit_val_batches=0)
    seen.pairs = True
    trainer.fit(method, data)
    trained_share, trained_sharpness = seen.take()
    Trainer(**quiet).validate(method, data, verbose=False)
    validated_share, _ = seen.take()  # of other faces
    seen.pairs = False
    trainer.test(method, data, verbose=False)
    tested_share, tested_sharpness = seen.take()
    # the window of a test is rounded to whole pixels on both sides, those of training on average to none
    assert tested_share == pytest.approx(trained_share, abs=2 / SIDE)
    assert tested_share == pytest.approx(validated_share, abs=0.006)  # a level of 255
    assert tested_sharpness == pytest.approx(trained_sharpness, abs=0.02)
