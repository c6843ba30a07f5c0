"""A new method, data set, synthesis, metric, export format and degradation: files of its own, and at most one entry."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FILL = "        if weights is not None:\n            fill(self.net, read(weights), weights)\n"
EXAMPLE = re.search(r"```python\n(from typing.*?)```", (ROOT / "docs/extending.md").read_text(), re.DOTALL)
assert EXAMPLE is not None
METHOD = (
    EXAMPLE[1]
    .replace("from typing", "from pathlib import Path\nfrom typing", 1)
    .replace("width: int = 16, ", "width: int = 16, weights: Path | None = None, ")
    .replace("        super()", "        from lightning_modules.weights import fill, read\n\n        super()")
    .replace("\n    def forward", f"{FILL}\n    def forward")
)
NEW = {
    "lightning_modules/frame_difference/__init__.py": "",
    "lightning_modules/frame_difference/method.py": METHOD,
    "lightning_modules/frame_difference/convert.py": """
def convert_reference(state):
    return {name.removeprefix("released."): value for name, value in state.items()}
""",
    "configs/frame_difference.yaml": """
model:
  class_path: lightning_modules.frame_difference.method.FrameDifference
data: data/files.yaml
run: frame_difference
""",
    "datamodules/datasets/files.py": """
from datamodules.manifest import Video

def index(root):
    for path in sorted(root.rglob("c23/videos/*.mp4")):
        is_fake = "manipulated" in str(path)
        split = ("test", "train", "val")[int(path.stem[:3]) % 3]
        about = {"stem": path.stem, "path": str(path.relative_to(root)), "identities": path.stem[:3]}
        yield Video(dataset="files", method="forged" if is_fake else "real", label=int(is_fake), split=split, **about)
""",
    "configs/data/files.yaml": "root: data\nindex: datamodules.datasets.files.index\nprepared: prepared\n",
    "datamodules/synthesis/mirror_blend.py": '''
import torch
from datamodules.synthesis.base import Synthesis

class MirrorBlend(Synthesis):
    """The right half of a face is its left one, mirrored."""

    def blend(self, faces, landmarks):
        real = faces[:, 0]
        mask = torch.zeros_like(real[:, :1])
        mask[..., real.shape[-1] // 2 :] = 1
        return self.frame_blend(real, torch.lerp(real, real.flip(-1), mask), mask)
''',
    "suite/export/formats/other.py": (ROOT / "suite/export/formats/torch_export.py")
    .read_text()
    .replace('"torch.export", "model.pt2"', '"other", "other.pt2"'),
}
CHANGED = {  # by file: where, and what comes before it
    "datamodules/degradation/severities.py": [
        ('    "pixelation",\n]', '    "soft",\n'),
        ('    "noise": [[Noise', '    "soft": [[Blur(kernel)] for kernel in (3, 5, 7, 9, 11)],\n'),
    ],
    "lightning_modules/metrics/registry.py": [
        ('        metric(unit, "eer"', '        metric(unit, "gap", "gap", functional.median_gap, None, False),\n'),
        ('        *(metric(unit, "iou"', '        metric(unit, "worst", "worst", lambda *x: 1 - pixel.auroc(*x)),\n'),
    ],
    "lightning_modules/metrics/functional.py": [
        ("@require_finite\ndef auroc(", "def median_gap(score, label):\n    return score[label == 1].median()\n\n\n"),
    ],
}
FIRST = """
import sys, torch
from suite.__main__ import main
shown = ["--data.root", sys.argv[1], "--size", "64", "--margin", "1.5", "--workers", "1"]
main(["prepare", "--data", "configs/data/files.yaml", *shown])
small = ["--config", "configs/frame_difference.yaml", "--data.num_workers", "0", "--data.batch_size", "2"]
small += ["--data.eval_clips", "1", "--data.clips_per_face", "1", "--trainer.accelerator", "cpu"]
blend = "datamodules.synthesis.mirror_blend.MirrorBlend"
main(["fit", *small, "--data.synthesis", blend, "--trainer.max_epochs", "1"])
from lightning_modules.frame_difference.method import FrameDifference
torch.save({f"released.{k}": v for k, v in FrameDifference().net.state_dict().items()}, "official.pth")
main(["convert", "frame_difference", "official.pth"])
given = ["--model.weights", "official.pth.ours.pt", "--trainer.fast_dev_run", "1", "--run", "given"]
main(["fit", *small, *given])
main(["export", "--checkpoint", "frame_difference/checkpoints/best.ckpt", "--out", "exported", "--format", "other"])
"""
SECOND = """
import sys
from suite.__main__ import main
from lightning_modules.metrics.registry import BY_ID
assert "pixel_worst" in BY_ID
shown = ["--data.root", sys.argv[1], "--max_skipped", "1", "--workers", "1"]
main(["degrade", "--data", "configs/data/files.yaml", *shown, "--kind", "soft", "--severity", "2", "--out", "soft"])
"""


def change(path: Path, where: str, before: str) -> None:
    text = path.read_text()
    assert text.count(where) == 1, (path, where)
    path.write_text(text.replace(where, before + where))


@pytest.mark.slow
def test_what_is_new_is_a_file_of_its_own_and_at_most_one_entry(swaps: Path, tmp_path: Path) -> None:
    for package in ("suite", "datamodules", "lightning_modules", "callbacks", "configs"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in NEW.items():
        path = tmp_path / name
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name, changes in CHANGED.items():
        for where, before in changes:
            change(tmp_path / name, where, before)
    for script in (FIRST, SECOND):
        command = [sys.executable, "-W", "ignore", "-c", script, str(swaps)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    columns = (tmp_path / "frame_difference/metrics.csv").read_text().splitlines()[0].split(",")
    assert "val/video_gap" in columns
    assert (tmp_path / "exported/other.pt2").is_file()
    assert list((tmp_path / "soft").rglob("*.mp4"))
