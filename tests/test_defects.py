"""The defects of the leading benchmark, one test each; the numbers are those of the table in the protocol."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from datamodules import manifest
from datamodules.augment.augment import Augment
from datamodules.batch import video_id
from datamodules.datasets import celeb_df, deeperforensics, dfd, dfdc, uadfv
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.loading.sampling import EvalSampler
from datamodules.manifest import Video, check
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load
from datamodules.runtime.errors import UserError
from datamodules.spacing import space_evenly
from lightning_modules.metrics import functional
from suite.__main__ import main
from tests.fixtures import trees
from tests.fixtures.augmenting import NONE
from tests.fixtures.configs import read_config
from tests.fixtures.rows import faces, video
from tests.fixtures.trees import Material

ROOT = Path(__file__).parents[1]
CLASSIFIER = str(ROOT / "configs/classifier.yaml")


def row(stem: str, split: str = "test", **changes: object) -> Video:
    return replace(video(stem, split, stem), **changes)  # type: ignore[arg-type]


def test_c1_fakes_of_one_stem_are_several_videos() -> None:
    """A detector that is blind to one of four methods: grouping by stem alone would hide it."""
    methods = ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
    keys = [f"d/{m}/c23/{i:03d}" for m in methods for i in range(30)] + [f"d/real/c23/{i:03d}" for i in range(30, 60)]
    label = torch.tensor([1] * 120 + [0] * 30)
    score = torch.tensor([0.9] * 90 + [0.1] * 30 + [0.2] * 30)
    ids = torch.tensor([video_id(key) for key in keys])
    videos = functional.pool_by_video(score, label, ids, torch.zeros(150, dtype=torch.long))
    assert len(videos.id) == 150
    assert float(functional.auroc(videos.score, videos.label)) == pytest.approx(0.75)


def test_c2_evenly_spaced_frames_reach_the_end() -> None:
    taken = [a.numbers[0] for a in EvalSampler(faces(real=1, fake=0, frames=40), 32)]
    assert taken == space_evenly(40, 32) != list(range(32))
    assert taken[-1] == 39


def test_c3_landmarks_are_augmented_with_the_image(data: FaceData) -> None:
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    before = batch.landmarks.clone()
    after = Augment(**NONE | {"flip": 1.0})(batch).landmarks
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after[..., 8, 0], 63 - before[..., 8, 0], atol=1e-3, rtol=0)


def test_c4_celeb_df_trains_on_reals_of_both_folders_and_on_no_test_video(material: Material, tmp_path: Path) -> None:
    trees.celeb_df(material, tmp_path)
    rows = list(celeb_df.index_v2(tmp_path))
    check(rows, tmp_path)
    homes = {r.path.partition("/")[0] for r in rows if r.split != "test" and r.label == 0}
    assert homes == {"Celeb-real", "YouTube-real"}
    assert not {r.stem for r in rows if r.split != "test"} & {"00170", "id1_id0_0000"}


def test_c5_the_validation_split_of_dfdc_is_whole(tmp_path: Path) -> None:
    names = [f"{i:010d}".translate(str.maketrans("0123456789", "abcdefghij")) for i in range(200)]
    for name in names:
        trees.empty(tmp_path / f"train/dfdc_train_part_0/{name}.mp4")
    entries = {f"{name}.mp4": {"label": "REAL", "split": "train"} for name in names}
    trees.text(tmp_path / "train/dfdc_train_part_0/metadata.json", entries)
    rows = list(dfdc.index(tmp_path))
    assert len({r.key for r in rows}) == len(rows) == 200
    assert 8 < sum(r.split == "val" for r in rows) < 40


def test_c6_reals_are_in_one_split_only(material: Material, tmp_path: Path) -> None:
    readers = {"deeperforensics": deeperforensics.index, "dfd": dfd.index, "uadfv": uadfv.index}
    for name, reader in readers.items():
        root = tmp_path / name
        root.mkdir()
        getattr(trees, name)(material, root)
        reals = [r for r in reader(root) if r.label == 0]
        assert len({r.path for r in reals}) == len(reals) > 0
        assert not [r.path for r in reals if "source_videos" in r.path]  # studio recordings are not its reals
    with pytest.raises(UserError, match="is in 'train' and in 'val'"):
        check([row("a", "train"), row("b", "val", identities="a")], Path("m.csv"))


def test_c7_landmarks_and_keys_come_back_as_they_were_stored(prepared: Path) -> None:
    table = load(prepared / "crops.arrow")
    assert str(table.schema.field("landmarks").type) == "fixed_size_list<item: float>[136]"
    points = np.stack(table["landmarks"].to_pylist())
    assert points.dtype.kind == "f"
    assert 0 < points.min() < points.max() < 400
    assert not any("\\" in name for name in table["image"].to_pylist())


def test_c8_the_scheduler_steps(prepared: Path, tmp_path: Path) -> None:
    from suite.train import main as train

    options = ["--model.scheduler", "torch.optim.lr_scheduler.StepLR", "--model.scheduler.step_size", "1"]
    options += ["--model.scheduler.gamma", "0.5", "--model.backbone", "test_efficientnet", "--trainer.max_epochs", "2"]
    where = ["--data.prepared", str(prepared), "--run", str(tmp_path), "--trainer.accelerator", "cpu"]
    size = ["--data.num_workers", "0", "--data.clips_per_face", "1", "--data.eval_clips", "1", "--data.batch_size", "8"]
    cli = train(["fit", "--config", CLASSIFIER, *where, *size, *options])
    assert cli.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(2e-4 * 0.25)


def test_c9_what_a_config_says_is_what_is_used(prepared: Path, tmp_path: Path) -> None:
    from suite.train import main as train

    where = ["--data.prepared", str(prepared), "--run", str(tmp_path), "--trainer.accelerator", "cpu"]
    options = ["--model.backbone", "test_efficientnet", "--data.batch_size", "6", "--trainer.fast_dev_run", "1"]
    cli = train(["fit", "--config", CLASSIFIER, *where, *options, "--data.num_workers", "0"])
    assert cli.datamodule.batch_size == 6
    optimizer = cli.trainer.optimizers[0]
    given = yaml.safe_load(Path(CLASSIFIER).read_text())["model"]["init_args"]["optimizer"]["init_args"]
    assert {name: optimizer.defaults[name] for name in given} == given
    assert set(cli.datamodule.videos("train")["label"].to_pylist()) == {0, 1}


def test_c10_accuracy_per_class_does_not_depend_on_the_order() -> None:
    score, label = torch.tensor([0.9, 0.2, 0.8, 0.6, 0.1]), torch.tensor([1, 0, 1, 0, 0])
    shuffled = torch.tensor([3, 0, 4, 2, 1])
    expected = (1 + 2 / 3) / 2
    assert float(functional.balanced_accuracy(score, label)) == pytest.approx(expected)
    assert float(functional.balanced_accuracy(score[shuffled], label[shuffled])) == pytest.approx(expected)


def test_c11_the_last_batch_of_a_test_is_not_dropped(prepared: Path) -> None:
    data = FaceData(prepared=prepared, batch_size=7, num_workers=0, eval_clips=5)
    batches = list(data.test_dataloader())
    assert sum(map(len, batches)) == 5 * len(data.videos("test"))
    assert len(batches[-1]) < 7


def test_c12_one_missing_mask_costs_one_mask(studio: Path, recipe: Recipe, tmp_path: Path) -> None:
    rows = [r for r in index(studio) if r.method == "Swap" and r.compression == "c23"][:3]
    rows[0] = replace(rows[0], mask="")
    list(prepare_all(rows, studio, tmp_path, recipe, workers=1))
    table = load(tmp_path / "crops.arrow").to_pylist()
    with_mask = {r["video"] for r in table if r["mask"]}
    assert with_mask == {r.key for r in rows[1:]}


def test_c13_a_failed_read_is_an_error_and_never_another_sample(prepared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    data = FaceData(prepared=copy, num_workers=0)
    loader = data.test_dataloader()
    victim = copy / "crops" / manifest.rows(data.videos("test"))[3].key
    for path in victim.glob("*.png"):
        path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"{victim.name}.*cannot be read"):
        list(loader)


FIRST_STAGES = ("rffr_pretrain", "delocate_pretrain")  # named after what they are for


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_c14_a_config_trains_the_method_that_it_is_named_after(config: Path) -> None:
    model = read_config(config).get("model")
    if model is None or config.stem == "detector":
        return
    module = model["class_path"].split(".")[1]
    assert config.stem.startswith(module) or (module == "mae" and config.stem in FIRST_STAGES)


def test_c15_a_checkpoint_of_two_processes_is_tested_by_one(two_processes: Path) -> None:
    state = torch.load(two_processes / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert not any(name.startswith("module.") for name in state)
    arguments = ["test", "--config", str(two_processes / "config.yaml"), "--trainer.devices", "1"]
    main([*arguments, "--trainer.strategy", "auto", "--ckpt_path", str(two_processes / "checkpoints/last.ckpt")])
