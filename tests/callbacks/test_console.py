"""What a training says where there is no terminal."""

from __future__ import annotations

import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from suite.__main__ import main
from tests.conftest import ROOT, small_fit


def test_a_training_says_a_line_an_epoch_and_what_to_do_next(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    logger.addHandler(handler)
    try:
        main(small_fit(prepared, tmp_path, "--trainer.limit_train_batches", "2"))
    finally:
        logger.removeHandler(handler)
    said = "\n".join(lines)
    assert re.search(r"^Classifier: [\d,]+ parameters; run ", said, re.MULTILINE)
    epoch = r"^epoch 2 of 2, train/loss [\d.]+, val/video_auroc [\d.]+, \d+ s$"
    assert re.search(epoch, said, re.MULTILINE)
    assert len(re.findall(r"^epoch", said, re.MULTILINE)) == 2
    assert "FLOPs" not in said + capsys.readouterr().out


def test_somebody_who_waits_reads_a_word_within_a_second() -> None:
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "suite", "fit"], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as child:
        ready, _, _ = select.select([ours], [], [], 10)
        waited = time.perf_counter() - start
        first = os.read(ours, 100) if ready else b""
        child.kill()
    for one in (ours, theirs):
        os.close(one)
    assert first.startswith(b"suite: fit: starting")
    assert waited < 1 + 3 * (os.getloadavg()[0] > 3)  # a machine that does much else


def test_a_progress_bar_shows_the_metric_that_chooses_the_checkpoint(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--trainer.limit_train_batches", "2", "--trainer.enable_progress_bar", "true"]
    main(small_fit(prepared, tmp_path, *options))
    assert re.search(r"train/loss: [\d.]+\s+val/video_auroc:\s+[\d.]+", capsys.readouterr().out)
