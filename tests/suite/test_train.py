"""Training refuses hostile files and other runs, and logs what it says."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from callbacks.predictions import GROUP, PredictionTable
from datamodules.runtime.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.trained_method import load
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from lightning_modules.training.csv_logger import rewind
from suite.__main__ import main
from suite.run_metrics import read_run, videos
from tests.conftest import ROOT, small_fit, suite
from tests.fixtures.pickled_code import Code
from tests.fixtures.processes import run_ranks

# those of a method are run with its configs in test_cli.py
OVERLAYS = sorted(p for p in (ROOT / "configs/hardware").glob("*.yaml") if p.stem != "gpu")


def test_a_checkpoint_with_code_in_it_is_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "was_here"
    torch.save({"state_dict": {}, "extra": Code(mark)}, tmp_path / "evil.ckpt")
    with pytest.raises(SystemExit) as ended:
        main(["test", *small_fit(prepared, tmp_path / "run")[1:-2], "--ckpt_path", str(tmp_path / "evil.ckpt")])
    assert ended.value.code == 2
    assert "evil.ckpt: holds more than tensors and plain values" in capsys.readouterr().err.splitlines()[-1]
    assert not mark.exists()


def test_damaged_and_foreign_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(9)}, tmp_path / "whole.ckpt")
    content = (tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cut\.ckpt: (is damaged|holds more)"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "cut.ckpt")
    with pytest.raises(UserError, match=r"none\.ckpt: no such file"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "none.ckpt")


def test_a_run_is_not_overwritten(prepared: Path, two_processes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(small_fit(prepared, two_processes))
    assert "holds a run; give another --run, or go on with it by --ckpt_path last" in capsys.readouterr().err


def test_testing_without_a_checkpoint_is_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["test", *small_fit(prepared, tmp_path / "run")[1:-2]])
    assert "test: give --ckpt_path, for instance" in capsys.readouterr().err


def test_a_run_is_tested_where_the_file_its_trunk_started_from_is_gone(
    prepared: Path, two_processes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ["--model.trunk_weights", str(tmp_path / "gone.pt")]
    checkpoint = ["--ckpt_path", str(two_processes / "checkpoints/best.ckpt")]
    main(["test", *small_fit(prepared, tmp_path / "run", *gone, *checkpoint)[1:]])
    assert (tmp_path / "run/predictions.parquet").is_file()
    with pytest.raises(SystemExit):  # training begins with it
        main(small_fit(prepared, tmp_path / "new", *gone))
    assert f"trunk_weights {tmp_path / 'gone.pt'}: no such file" in capsys.readouterr().err


def test_a_checkpoint_from_elsewhere_does_not_overwrite_a_run(
    prepared: Path, two_processes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.ckpt"
    other.write_bytes((two_processes / "checkpoints/last.ckpt").read_bytes())
    with pytest.raises(SystemExit):
        main(small_fit(prepared, two_processes, "--ckpt_path", str(other)))
    assert "holds a run" in capsys.readouterr().err


def test_metrics_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss\n0,9,0.7\n0,19,0.6\n1,29,0.5\n")
    rewind(path, 20)
    assert path.read_text().splitlines() == ["epoch,step,train/loss", "0,9,0.7", "0,19,0.6"]


def test_a_plateau_schedule_is_monitored(prepared: Path, tmp_path: Path) -> None:
    options = [
        "--model.scheduler",
        "pytorch_lightning.cli.ReduceLROnPlateau",
        "--model.scheduler.monitor",
        "val/video_auroc",
    ]
    main(small_fit(prepared, tmp_path / "run", *options, "--trainer.limit_train_batches", "1"))
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_a_run_goes_on_where_validation_is_rarer_than_epochs(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rare = ["--trainer.check_val_every_n_epoch", "2", "--trainer.limit_train_batches", "2"]
    main(small_fit(prepared, tmp_path / "run", *rare, "--trainer.max_epochs", "1"))
    assert [path.name for path in tmp_path.rglob("*.ckpt")] == ["last.ckpt"]
    advice = capsys.readouterr().out.partition("was never validated; next: python -m suite ")[2].split()
    main(advice)
    assert load(tmp_path / "run/checkpoints/last.ckpt").method.fixed_values()
    main(small_fit(prepared, tmp_path / "run", *rare, "--trainer.max_epochs", "4", "--ckpt_path", "last"))
    with (tmp_path / "run/metrics.csv").open() as f:
        steps = [int(row["step"]) for row in csv.DictReader(f) if row["val/video_auroc"]]
    assert steps == [3, 7]


def test_the_last_checkpoint_is_that_of_the_last_epoch_and_not_of_the_last_better_one(
    prepared: Path, tmp_path: Path
) -> None:
    options = ["--model.optimizer.lr", "0.0", "--trainer.limit_train_batches", "2", "--trainer.max_epochs", "3"]
    main(small_fit(prepared, tmp_path / "run", *options, "--model.optimizer.weight_decay", "0.0"))
    kept = {path.stem: torch.load(path, weights_only=True)["epoch"] for path in tmp_path.rglob("*.ckpt")}
    assert kept["last"] == 2
    assert kept.keys() == {"best", "last"}


def test_two_processes_test_as_one_does(prepared: Path, two_processes: Path, tmp_path: Path) -> None:
    tables = {}
    for name, ranks in {"one": 1, "two": 2}.items():
        arguments = ["test", *small_fit(prepared, tmp_path / name)[1:-2], "--data.batch_size", "5"]
        done = suite(*arguments, "--ckpt_path", str(two_processes / "checkpoints/best.ckpt"), ranks=ranks)
        assert done.returncode == 0, done.stderr[-2000:]
        with (tmp_path / name / "test/metrics.csv").open() as f:
            metrics = {k: float(v) for k, v in next(csv.DictReader(f)).items() if k.startswith("test/")}
        tables[name] = metrics, sorted(pq.read_table(tmp_path / name / "predictions.parquet").to_pylist(), key=str)
    assert tables["two"][0] == pytest.approx(tables["one"][0], abs=1e-6, nan_ok=True)
    for one, two in zip(tables["one"][1], tables["two"][1], strict=True):
        assert one["video"] == two["video"]
        assert one["score"] == pytest.approx(two["score"], abs=1e-5)
    run = read_run(tmp_path / "one")
    from lightning_modules.metrics import functional

    again = videos(run)
    auroc = float(functional.auroc(torch.from_numpy(again.score), torch.from_numpy(again.label)))
    assert auroc == pytest.approx(tables["one"][0]["test/video_auroc"], abs=1e-6)


def test_the_prediction_table_holds_few_rows_in_memory() -> None:
    from datamodules.batch import Batch
    from lightning_modules.base import Outcome, Prediction

    flushed: list[int] = []

    class Counted(PredictionTable):
        def flush(self) -> None:
            flushed.append(len(self.rows))
            self.rows = []

    table = Counted()
    n = 512
    batch = Batch(
        frames=torch.zeros(n, 1, 3, 2, 2),
        label=torch.zeros(n, dtype=torch.long),
        mask=torch.zeros(n, 1, 1, 2, 2),
        has_mask=torch.ones(n, dtype=torch.bool),
        landmarks=torch.zeros(n, 1, 68, 2),
        has_landmarks=torch.ones(n, dtype=torch.bool),
        video=["d/real/c23/a"] * n,
        track=torch.zeros(n, dtype=torch.long),
        numbers=torch.zeros(n, 1, dtype=torch.long),
        is_counted=torch.ones(n, dtype=torch.bool),
    )
    for _ in range(40):
        table.write(Outcome(prediction=Prediction(logit=torch.zeros(n)), score=torch.zeros(n)), batch)
        assert len(table.rows) < GROUP
    assert sum(flushed) + len(table.rows) == 40 * n


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_every_overlay_trains(overlay: Path, prepared: Path, tmp_path: Path) -> None:
    arguments = small_fit(prepared, tmp_path / "run", "--trainer.limit_train_batches", "2")
    arguments[3:3] = ["--config", str(overlay)]
    if overlay.stem == "ddp":  # Lightning starts the second process: with the words of the first
        arguments += ["--trainer.devices", "2", "--trainer.sync_batchnorm", "false"]  # torch has that for GPUs only
        command = [sys.executable, "-m", "suite", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    else:
        main(arguments)
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()


def test_wandb_writes_an_offline_run_and_never_asks(prepared: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(tmp_path)}
    # whose input is empty: it could not ask
    done = run_ranks(
        *small_fit(prepared, tmp_path / "run", "--wandb", "suite-test"), ranks=1, timeout=300, environment=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (offline,) = (tmp_path / "run/wandb").glob("offline-run-*")
    assert list(offline.glob("run-*.wandb"))
    images = list((offline / "files/media/images/val").glob("panels*.png"))
    assert images
    # a log of protocol buffers: names are in it as they are
    content = next(offline.glob("run-*.wandb")).read_bytes()
    for name in (
        b"train/loss",
        b"val/video_auroc",
        b"val/panels",
        b"test_efficientnet",
        b"lightning_modules.classifier",
    ):
        assert name in content


def test_throughput_and_losses_are_in_the_table_of_the_run(two_processes: Path) -> None:
    with (two_processes / "metrics.csv").open() as f:
        rows = list(csv.DictReader(f))
    waiting = [float(row["train/waiting"]) for row in rows if row.get("train/waiting")]
    assert waiting
    assert all(0 <= share <= 1 for share in waiting)
    assert any(float(row["train/samples_per_s"]) > 0 for row in rows if row.get("train/samples_per_s"))


def test_only_normalization_layers_and_the_head_can_be_tuned() -> None:
    method = Classifier("test_efficientnet", tune="norms")
    tuned = {name.rsplit(".", 1)[0] for name, p in method.net.named_parameters() if p.requires_grad}
    assert "classifier" in tuned
    assert all("bn" in name or name == "classifier" for name in tuned)
    assert any(not p.requires_grad for p in method.net.parameters())
