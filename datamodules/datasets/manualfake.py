"""ManualFake: forged by hand in editing software, most of it passed through social networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datamodules.datasets.folder import files
from datamodules.datasets.listing import one_of
from datamodules.manifest import Video


def index(root: Path) -> Iterator[Video]:
    """``real/videos``, ``fake/videos`` and ``fake/masks``, in each perhaps a folder per network; all is for testing."""
    one_of(root, "real")
    one_of(root, "fake")
    for row in files(root, root, "manualfake", "test"):
        if row.label:
            yield replace(row, method="manualfake", compression="" if row.method == "fake" else row.method)
        else:
            network, _, stem = row.stem.rpartition("/")
            yield replace(row, compression=network, stem=stem)
