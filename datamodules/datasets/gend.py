"""The test sets that GenD's authors release prepared: faces already cut out, 32 frames a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import resolve_inside, word
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.media.image_sequence import is_image
from datamodules.runtime.errors import UserError

PACKED = re.compile(r".*\.(?:tar\.lz4|part\.\w+)")
CROPPED = re.compile(r"(.+?)-x\d.*")  # CDFv3-x1.3-th0.5-all


def index(root: Path) -> Iterator[Video]:
    """``NAME/real|fake/SOURCE/VIDEO/FRAME.png`` of one archive or several; all is for testing."""
    homes = [path for path in [root, *sorted(root.iterdir())] if (path / "real").is_dir() or (path / "fake").is_dir()]
    if packed := sorted(path.name for path in root.iterdir() if PACKED.fullmatch(path.name)):
        how = "join parts with cat, then unpack with tar -I lz4 -xf"
        if not homes:
            raise UserError(f"{root}: {packed[0]} is still packed; {how}")
        report_issue("unexpected", packed[0], f"is still packed, and not read; {how}")
    if not homes:
        raise UserError(f"{root}: holds no folder 'real' or 'fake', nor a folder with one")
    for home in homes:
        yield from list_videos(root, home)


def list_videos(root: Path, home: Path) -> Iterator[Video]:
    name = CROPPED.fullmatch(home.resolve().name)
    dataset = f"gend_{(name[1] if name else home.resolve().name).lower()}"
    for label, kind in enumerate(("real", "fake")):
        sources = sorted(path for path in (home / kind).glob("*") if path.is_dir())
        for source in sources:
            check_source(root, source, label)
            for path in sorted(path for path in source.iterdir() if path.is_dir()):
                if not any(is_image(inner.name) for inner in path.iterdir()):
                    report_issue("corrupt", resolve_inside(root, path), "a folder without images")
                    continue
                yield Video(
                    dataset=dataset,
                    method=source.name if label else "real",
                    stem=path.name if label else f"{source.name}/{path.name}",
                    path=resolve_inside(root, path),
                    label=label,
                    split="test",
                    identities=word(f"{source.name}/{path.name}"),
                    box="all",
                )


def check_source(root: Path, source: Path, label: int) -> None:
    """GenD's own loader calls a source real if ``real``, in small letters, is in its name."""
    if ("real" in source.name) != (label == 0):
        text = f"GenD's loader would call this {'real' if label else 'fake'} by its name: its folder is believed"
        report_issue("label", resolve_inside(root, source), text)
