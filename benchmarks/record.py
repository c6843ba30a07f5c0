"""Results as data: each file says what made it, where and when."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lightning_modules.metrics.bootstrap import Interval

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "pytorch-lightning", "decord", "dlib-bin", "opencv-python-headless", "numpy")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def hide_folders(argument: str) -> str:
    """Without the folders of one machine."""
    return re.sub(r"(?<![\w.-])/[\w./-]*/", "", argument)


def device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU used"


def find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def module() -> str:
    """As it was named to Python."""
    path = Path(sys.argv[0]).resolve()
    here = Path(__file__).parent
    return (
        ".".join(["benchmarks", *path.relative_to(here).with_suffix("").parts]) if here in path.parents else path.stem
    )


def round_interval(one: Interval) -> list[float]:
    """Value, low and high end."""
    return [round(float(x), 4) for x in (one.value, one.low, one.high)]


def record(name: str, result: Any, folder: Path = RESULTS) -> Path:
    path = folder / f"{name}.json"
    made_by = {
        "command": " ".join(["python -m", module(), *map(hide_folders, sys.argv[1:])]),
        "machine": f"{processor()}, {os.cpu_count()} cores, {device()}",
        "python": platform.python_version(),
        "packages": {package: find_version(package) for package in PACKAGES},
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"made_by": made_by, "result": result}, indent=1) + "\n")
    return path
