"""UADFV: forty-nine videos and a forgery of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import check_count, one_of, resolve_inside, videos_in, word
from datamodules.issues import report_issue
from datamodules.manifest import Video


def index(root: Path) -> Iterator[Video]:
    """There are no official splits: all is for testing."""
    yield from check_count([*videos(root, "real"), *videos(root, "fake")], {"real": 49, "fake": 49})


def videos(root: Path, folder: str) -> Iterator[Video]:
    fake = folder == "fake"
    for path in videos_in(root, one_of(root, folder)):
        if path.stem.endswith("_fake") != fake:
            report_issue(
                "unexpected", resolve_inside(root, path), "a fake is called NAME_fake and lies in fake/: left out"
            )
            continue
        yield Video(
            dataset="uadfv",
            method="uadfv" if fake else "real",
            stem=path.stem,
            path=resolve_inside(root, path),
            label=int(fake),
            split="test",
            identities=word(path.stem.removesuffix("_fake")),
        )
