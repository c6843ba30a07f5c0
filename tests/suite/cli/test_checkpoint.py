"""Which checkpoint a verb begins with, and that a wrong one is refused before anything is written."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.registry import COUNTS, SCORES
from lightning_modules.trained_method import load
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from suite.__main__ import main
from suite.cli.checkpoint import check_is_whole_epoch
from tests.conftest import small_fit


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit):
        main(list(arguments))
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


def evaluating(verb: str, prepared: Path, run: Path, *options: str) -> list[str]:
    return [verb, *small_fit(prepared, run)[1:-2], *options]


@pytest.fixture
def run(two_processes: Path, tmp_path: Path) -> Path:
    """A finished run of its own."""
    return Path(shutil.copytree(two_processes, tmp_path / "runs/demo"))


@pytest.mark.parametrize("name", ["last", "best"])
@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_run_without_that_checkpoint_is_refused_and_not_made(
    verb: str, name: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refuse(capsys, *evaluating(verb, prepared, tmp_path / "run", "--ckpt_path", name))
    assert f"{verb}: --ckpt_path {name}: there is no {tmp_path}/run/checkpoints/{name}.ckpt" in said
    assert f"python -m suite fit --config CONFIG --run {tmp_path}/run" in said
    assert not (tmp_path / "run").exists()


def test_the_nearest_run_with_checkpoints_is_named(
    run: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refuse(capsys, *evaluating("test", prepared, run.with_name("dmeo"), "--ckpt_path", "best"))
    assert f"did you mean '{run}'?" in said


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_a_mistyped_checkpoint_is_refused_and_the_run_stays_as_it_was(
    verb: str, run: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    mistyped = run / "checkpoints/bset.ckpt"
    arguments = evaluating(verb, prepared, run, "--data.clips_per_face", "1", "--ckpt_path", str(mistyped))
    said = refuse(capsys, *arguments)
    assert f"{mistyped}: no such file; {run}/checkpoints has best.ckpt and last.ckpt, did you mean" in said
    assert f"'{run}/checkpoints/best.ckpt'?" in said
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_is_given_where_its_checkpoint_is_meant(
    run: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refuse(capsys, *evaluating("test", prepared, run, "--ckpt_path", str(run)))
    assert f"it is a folder, give {run}/checkpoints/best.ckpt" in said


@pytest.mark.parametrize("name", ["last", "best"])
def test_last_and_best_are_those_of_the_run(name: str, run: Path, prepared: Path) -> None:
    main(evaluating("test", prepared, run, "--ckpt_path", name))
    about = pq.read_schema(run / "predictions.parquet").metadata
    assert about[b"checkpoint"].decode() == str(run / f"checkpoints/{name}.ckpt")


def test_a_checkpoint_of_other_data_is_refused_and_the_configuration_stays(
    run: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "config.yaml").read_text()
    more = ["--data.image_size", "32", "--trainer.max_epochs", "3", "--ckpt_path", "last"]
    said = refuse(capsys, *small_fit(prepared, run, *more))
    assert "size" in said
    assert (run / "config.yaml").read_text() == before


def test_a_training_resumed_from_its_best_epoch_logs_each_step_once_and_its_tests_still_ask_for_a_checkpoint(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a rate of 0: the first epoch stays the best one
    options = ["--model.optimizer.lr", "0", "--model.optimizer.weight_decay", "0", "--trainer.limit_train_batches", "2"]
    command = small_fit(prepared, tmp_path, *options, "--trainer.log_every_n_steps", "1")
    main(command)
    main([*command, "--ckpt_path", "best"])
    with (tmp_path / "metrics.csv").open() as f:
        steps = [row["step"] for row in csv.DictReader(f) if row["train/loss"]]
    assert steps == ["0", "1", "2", "3"]
    assert "test: give --ckpt_path" in refuse(capsys, "test", "--config", str(tmp_path / "config.yaml"))


def test_a_training_is_not_resumed_from_the_midst_of_an_epoch(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    each_step = "{class_path: pytorch_lightning.callbacks.ModelCheckpoint, init_args: {every_n_train_steps: 1}}"
    options = ["--trainer.callbacks", f"[{each_step}]", "--trainer.max_steps", "1"]
    command = small_fit(prepared, tmp_path, *options)
    main(command)
    (saved,) = tmp_path.glob("checkpoints/*.ckpt")
    for folder in (tmp_path, tmp_path / "other"):
        said = refuse(capsys, *command, "--run", str(folder), "--ckpt_path", str(saved))
        assert f"{saved}: was saved within epoch 0; train anew, with another --run" in said
    assert not (tmp_path / "other/checkpoints").exists()


def test_of_an_epoch_that_was_half_done_the_last_whole_one_is_offered_instead(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": {}, "global_step": 1}
    for name, epoch, is_last in (("a", 1, True), ("b", 3, False), ("c", 2, True)):
        loops = {"fit_loop": {"epoch_loop.batch_progress": {"is_last_batch": is_last}}}
        torch.save(content | {"epoch": epoch, "loops": loops}, tmp_path / f"{name}.ckpt")
    torch.save(content | {"epoch": 4}, tmp_path / "weights.ckpt")
    (tmp_path / "damaged.ckpt").touch()
    half, weights = tmp_path / "b.ckpt", tmp_path / "weights.ckpt"
    with pytest.raises(UserError, match=rf"was saved within epoch 3; resume from {tmp_path}/c\.ckpt$"):
        check_is_whole_epoch(SafeCheckpointIO().load_checkpoint(half), half)
    with pytest.raises(UserError, match=r"weights\.ckpt: holds weights alone"):
        check_is_whole_epoch(SafeCheckpointIO().load_checkpoint(weights), weights)


def test_a_checkpoint_of_before_scores_were_kept_gets_them_by_the_command_that_its_refusal_names(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "checkpoints/best.ckpt"
    before = SafeCheckpointIO().load_checkpoint(path)
    old = before | {"state_dict": {n: v for n, v in before["state_dict"].items() if n not in (SCORES.id, COUNTS.id)}}
    SafeCheckpointIO().save_checkpoint(old, path)
    said = refuse(capsys, "export", "--checkpoint", str(run), "--out", str(run / "hub"))
    assert "keeps no scores of its validation, of which verdicts are made" in said
    assert not (run / "hub").exists()
    command = [*said.partition("python -m suite ")[2].split(), "--trainer.devices", "1", "--trainer.strategy", "auto"]
    SafeCheckpointIO().save_checkpoint(
        old | {"state_dict": old["state_dict"] | {"video_threshold": torch.tensor(0.99)}}, path
    )
    assert "this one is another: its threshold is" in refuse(capsys, *command)
    SafeCheckpointIO().save_checkpoint(old, path)
    main(command)
    after = SafeCheckpointIO().load_checkpoint(path)
    assert after.keys() == before.keys()
    assert after["state_dict"].keys() == before["state_dict"].keys()
    for fit in (SCORES, COUNTS):
        torch.testing.assert_close(
            after["state_dict"][fit.id], before["state_dict"][fit.id], equal_nan=True, atol=1e-3, rtol=0
        )
    assert load(run).find_point(0.5).reals > 0
