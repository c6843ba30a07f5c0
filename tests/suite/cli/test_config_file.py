"""A data set that is given as a file replaces the one before, whole; parts of one are merged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from suite.__main__ import main
from tests.conftest import ROOT, preparing

CELEB_DF = ROOT / "configs/data/celeb_df_v2.yaml"


def data_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Arguments of the data set that a command ends up with."""
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--print_config"])
    assert stop.value.code == 0
    found: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)["data"]
    return found


def configured(name: str) -> list[str]:
    return ["--config", str(ROOT / f"configs/{name}.yaml")]


@pytest.mark.parametrize("given", [["--data", str(CELEB_DF)], [f"--data={CELEB_DF}"]])
def test_a_file_on_the_command_line_begins_from_nothing_and_options_apply_in_order(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = ["--data.eval_clips", "3", "--data.every", "2"], ["--data.every", "5"]
    data = data_of(capsys, "test", *configured("st_ddl"), *before, *given, *after)
    assert (data["index"], data["root"]) == ("datamodules.datasets.celeb_df.index_v2", "data/Celeb-DF-v2")
    assert (data["compression"], data["frame_source"], data["clip"], data["augment"]) == (None, "crops", 1, None)
    assert (data["eval_clips"], data["every"]) == (32, 5)


def test_a_file_in_a_later_config_begins_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(f"data: {CELEB_DF}\n")
    data = data_of(capsys, "test", *configured("st_ddl"), "--config", str(tmp_path / "c.yaml"))
    assert (data["compression"], data["frame_source"], data["clip"]) == (None, "crops", 1)


def test_parts_of_a_data_set_in_a_later_config_are_merged(capsys: pytest.CaptureFixture[str]) -> None:
    data = data_of(capsys, "test", *configured("st_ddl"), *configured("studio/scratch/st_ddl"))
    assert (data["prepared"], data["image_size"]) == ("data/studio/prepared", 128)  # of the overlay
    assert (data["compression"], data["frame_source"], data["clip"]) == ("c23", "videos", 4)


def test_a_config_begins_from_its_bases_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep.yaml").write_text("data: {every: 2, clip: 3, eval_clips: 7}\n")
    (tmp_path / "first.yaml").write_text("base: deep.yaml\ndata: {clip: 2}\n")
    (tmp_path / "second.yaml").write_text("data: {eval_clips: 5}\n")
    (tmp_path / "c.yaml").write_text("base: [first.yaml, second.yaml]\ndata: {batch_size: 3}\n")
    data = data_of(capsys, "test", *configured("classifier"), "--config", str(tmp_path / "c.yaml"))
    assert (data["every"], data["clip"], data["eval_clips"], data["batch_size"]) == (2, 2, 5, 3)


def test_a_data_set_that_begins_from_a_file_forgets_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(f"data: {{base: {CELEB_DF}, eval_clips: 3}}\n")
    data = data_of(capsys, "test", *configured("st_ddl"), "--config", str(tmp_path / "c.yaml"))
    assert (data["root"], data["compression"], data["clip"], data["eval_clips"]) == ("data/Celeb-DF-v2", None, 1, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("base: firts.yaml", "base firts.yaml: no such file"),
        ("data: {base: firts.yaml}", "base firts.yaml: no such file"),
        ("base: c.yaml", "base: begins from itself"),
    ],
)
def test_a_base_that_is_missing_or_begins_from_itself_is_refused(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["fit", *configured("classifier"), "--config", str(tmp_path / "c.yaml")])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_what_a_method_was_to_be_shown_and_is_not_any_more_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", *configured("classifier_sbi"), "--data", str(CELEB_DF), "--print_config"])
    lost = "data.image_size, data.batch_size, data.synthesis"
    said = f"a data set given as a file replaces the one before: {lost} not kept\n"
    assert capsys.readouterr().err == said
    with pytest.raises(SystemExit):
        main(["fit", *configured("classifier"), "--data", str(CELEB_DF), "--print_config"])
    assert capsys.readouterr().err == ""


def test_preparing_another_data_set_keeps_nothing_of_the_one_in_the_config(capsys: pytest.CaptureFixture[str]) -> None:
    data = data_of(capsys, "prepare", *configured("prepare/studio"), "--data", str(CELEB_DF))
    assert (data.get("compression"), data["root"]) == (None, "data/Celeb-DF-v2")


def test_a_trained_method_is_tested_on_a_data_set_that_knows_no_compression(
    studio: Path, two_processes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, prepared, run = tmp_path / "own", tmp_path / "prepared", tmp_path / "own_run"
    for label, method in (("real", "original_sequences/youtube"), ("fake", "manipulated_sequences/Swap")):
        (root / label).mkdir(parents=True)
        shutil.copy(min((studio / method / "c23/videos").glob("*.mp4")), root / label)
    given = ["--data", str(ROOT / "configs/data/folder.yaml"), "--data.root", str(root)]
    given += ["--data.prepared", str(prepared)]
    main([*preparing(studio, prepared), *given, "--workers", "1"])
    trained = ["--config", str(two_processes / "config.yaml"), "--ckpt_path", f"{two_processes}/checkpoints/best.ckpt"]
    other = ["--run", str(run), "--trainer.devices", "1", "--trainer.strategy", "auto", "--trainer.callbacks", "null"]
    main(["test", *trained, *given, *other])
    videos = set(pq.read_table(run / "predictions.parquet")["video"].to_pylist())
    assert len(videos) == 2
    assert all(video.startswith("folder/") for video in videos)
