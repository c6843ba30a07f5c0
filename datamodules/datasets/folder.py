"""One's own data: folders ``real``, ``fake`` and ``masks`` of videos or images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import one_of, resolve_inside, walk, word
from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.media.video_suffixes import VIDEO_SUFFIXES

MASKS = ("masks", "mask")
KINDS = VIDEO_SUFFIXES | IMAGE_SUFFIXES


def index(root: Path) -> Iterator[Video]:
    """Lists ``real/`` and ``fake/``, or ``fake/METHOD/``, with masks of the same name in ``masks/``.

    They lie in ``train/``, ``val/`` and ``test/``; without those folders all of it is for testing.
    """
    homes = {split: root / split for split in SPLITS if (root / split).is_dir()} or {"test": root}
    for split, home in homes.items():
        one_of(home, "real")
        one_of(home, "fake")
        yield from files(root, home, "folder", split)


def files(root: Path, home: Path, dataset: str, split: str) -> Iterator[Video]:
    """Files in subfolders are of the method, or the release, of that name; names are counted anew in each split."""
    prefix = "" if home == root else f"{split}/"
    by_name = {}
    for folder in (*MASKS, "fake"):
        for path in walk(root, home / folder, KINDS):
            if holds_masks(home, path):
                by_name["/".join((*group_of(home, path), path.stem))] = path
    used = set()
    for label, folder in enumerate(("real", "fake")):
        for path in walk(root, home / folder, KINDS):
            if holds_masks(home, path):
                if not label:
                    report_issue("unexpected", resolve_inside(root, path), "a mask of a real video: left out")
                continue
            names = group_of(home, path)
            group = "-".join(names)
            mask = (by_name.get("/".join((*names, path.stem))) or by_name.get(path.stem)) if label else None
            used.add(mask)
            if label and by_name and not mask:
                report_issue("no mask", resolve_inside(root, path), "masks are here, but none of this name")
            yield Video(
                dataset=dataset,
                method=(group or "fake") if label else "real",
                stem=prefix + (path.stem if label else f"{group}/{path.stem}".lstrip("/")),
                path=resolve_inside(root, path),
                label=label,
                split=split,
                identities=word(f"{split}/{path.stem}"),
                mask=resolve_inside(root, mask) if mask else "",
            )
    for mask in by_name.values():
        if mask not in used:
            report_issue("unexpected", resolve_inside(root, mask), "a mask of nothing in fake/")


def holds_masks(home: Path, path: Path) -> bool:
    """Whether a file lies in ``masks/`` or, as some owners ship them, in ``fake/masks/``."""
    return not {*MASKS}.isdisjoint(path.relative_to(home).parts[:-1])


def group_of(home: Path, path: Path) -> tuple[str, ...]:
    """The folders that a file lies in, but those that only say what it is."""
    folders = path.relative_to(home).parts[:-1]
    return tuple(name for name in folders[folders[0] in ("real", "fake") :] if name not in (*MASKS, "videos"))
