"""What an exported folder says to the Hugging Face hub, and the page of a Space."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard

from datamodules.face_data import FaceData
from lightning_modules.trained_method import load
from suite.__main__ import main
from suite.run_metrics import read_run, verdict
from tests.conftest import ROOT
from tests.fixtures.detecting import classifier, of_clips
from tests.fixtures.head_clips import Frames, head, write
from tests.fixtures.needs import chromium
from tests.fixtures.runs import write_run

__all__ = ["head"]  # a fixture


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return classifier(FaceData(prepared=prepared), tmp_path / "mine: a 'name'")


def export(folder: Path, out: Path, *options: str) -> Path:
    main(["export", "--checkpoint", str(folder), "--out", str(out), *options])
    return out


def test_a_card_is_read_by_the_hub_with_its_task_data_sets_and_metrics(
    folder: Path, tmp_path: Path, few_resamples: None
) -> None:
    table = write_run(tmp_path / "tested") / "predictions.parquet"
    content = pq.read_table(table)
    about = {**content.schema.metadata, b"weights": load(folder).digest.encode()}
    pq.write_table(content.replace_schema_metadata(about), table)
    out = export(folder, tmp_path / "hub", "--tested_run", str(table.parent), "--licence", "cc-by-nc-4.0")
    card = ModelCard.load(out / "README.md")
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.library_name == "deepfake-suite"
    assert card.data.license == "cc-by-nc-4.0"
    assert card.data.datasets == ["d", "studio"]  # of the test, and of the training
    assert card.data.model_name == folder.name
    results = {one.metric_name: one for one in card.data.eval_results or []}
    expected = verdict(read_run(table.parent))
    auroc = results["video AUROC"]
    assert (auroc.metric_type, auroc.dataset_name, auroc.dataset_split) == ("roc_auc", "d", "test")
    assert auroc.metric_value == pytest.approx(expected["video_auroc"].value, abs=1e-4)
    assert auroc.task_type == "image-classification"
    assert all(one.metric_value == one.metric_value for one in results.values())  # none is no number


def test_what_was_not_tested_has_no_metrics_and_one_of_clips_classifies_videos(prepared: Path, tmp_path: Path) -> None:
    data = FaceData(prepared=prepared, clip=3, frame_source="videos", root=prepared)
    card = ModelCard.load(export(of_clips(data, tmp_path / "clips"), tmp_path / "hub") / "README.md")
    assert card.data.pipeline_tag == "video-classification"
    assert "landmarks" in (card.data.tags or [])
    assert card.data.eval_results is None
    assert card.data.datasets == ["studio"]


def test_a_space_is_an_exported_folder_with_an_app(folder: Path, tmp_path: Path) -> None:
    out = export(folder, tmp_path / "space", "--format", "space")
    export(folder, tmp_path / "space", "--format", "space")  # again
    names = ["README.md", "app.py", "config.json", "model.safetensors", "requirements.txt"]
    assert sorted(path.name for path in out.iterdir()) == names
    about = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert (about["sdk"], about["app_file"]) == ("gradio", "app.py")
    assert load(out).digest == load(folder).digest
    compile((out / "app.py").read_text(), "app.py", "exec")


@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
@pytest.mark.skipif(find_spec("gradio") is None, reason="no gradio on this machine")
def test_a_browser_clicks_through_the_page_of_a_space(folder: Path, head: Frames, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    out = export(folder, tmp_path / "space", "--format", "space")
    clip = write(tmp_path / "clip.mp4", head)
    (tmp_path / "words.mp4").write_text("no video at all")
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    place = {"GRADIO_ANALYTICS_ENABLED": "0", "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        [sys.executable, "-u", str(out / "app.py")], env={**os.environ, **place}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(address)
            page.set_input_files("input[type=file]", str(clip))
            page.get_by_text("clip.mp4").first.wait_for(timeout=60_000)
            page.get_by_role("button", name="Examine").click()
            verdict = page.get_by_label("Verdict")
            for _ in range(600):
                if verdict.input_value():
                    break
                time.sleep(0.1)
            said = verdict.input_value()
            assert re.match(r"(forged|unclear|no forgery found|no verdict)", said), said
            page.locator("video").first.wait_for(state="attached", timeout=30_000)
            page.locator('a[href*="page.html"]').first.wait_for(state="attached", timeout=30_000)
            page.goto(address)
            page.set_input_files("input[type=file]", str(tmp_path / "words.mp4"))
            page.get_by_text("words.mp4").first.wait_for(timeout=60_000)
            page.get_by_role("button", name="Examine").click()
            page.get_by_text(re.compile("Invalid data")).first.wait_for(timeout=60_000)
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
