"""Verbs that fill a folder refuse one that another process is filling, and change nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from datamodules.runtime.folder_lock import hold_folder
from tests.conftest import ROOT, preparing, small_fit, suite


def arguments_of(verb: str, out: Path, studio: Path, prepared: Path, trained: Path) -> list[str]:
    own = {"root": str(studio), "prepared": str(prepared)}
    data = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": own}
    sweep = out.with_suffix(".yaml")
    method = {"config": [str(ROOT / "configs/classifier.yaml")]}
    sweep.write_text(
        yaml.safe_dump({"methods": {"plain": method}, "train": {"studio": data}, "test": {"studio": data}})
    )
    checkpoint = ["--checkpoint", str(trained)]
    return {
        "fit": small_fit(prepared, out),
        "test": ["test", *small_fit(prepared, out)[1:-2], "--ckpt_path", str(trained / "checkpoints/best.ckpt")],
        "prepare": preparing(studio, out),
        "studio": ["studio", "--out", str(out), "--size", "tiny"],
        "export": ["export", *checkpoint, "--out", str(out)],
        "benchmark": ["benchmark", "--config", str(sweep), "--out", str(out)],
    }[verb]


@pytest.mark.parametrize("verb", ["fit", "test", "prepare", "studio", "export", "benchmark"])
def test_a_folder_that_another_process_fills_is_refused_by_name(
    verb: str, studio: Path, prepared: Path, two_processes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with hold_folder(out, "other"):
        done = suite(*arguments_of(verb, out, studio, prepared, two_processes))
        assert done.returncode == 2
        assert f"suite: {out}: 'other' (process " in done.stderr.splitlines()[-1]
        assert [path.name for path in out.iterdir()] == [".lock"]
