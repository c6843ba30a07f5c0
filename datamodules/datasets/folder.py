"""One's own data: folders ``real``, ``fake`` and ``masks`` of videos or pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, inside, one_of, visible, word
from datamodules.findings import note
from datamodules.manifest import SPLITS, Video
from datamodules.pictures import PICTURES


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
    """Files in subfolders are of the method, or the release, of that name."""
    used = set()
    masks = {path: path for path in below(root, one_of_or_none(home, "masks", "mask"))}
    by_name: dict[str, Path] = {}
    for path in masks:
        by_name.setdefault(path.stem, path)
        by_name[f"{path.parent.name}/{path.stem}"] = path
    for label, folder in enumerate(("real", "fake")):
        for path in below(root, home / folder):
            group = path.parent.relative_to(home / folder).as_posix()
            group = "" if group == "." else group.replace("/", "-")
            mask = (by_name.get(f"{group}/{path.stem}") or by_name.get(path.stem)) if label else None
            if mask:
                used.add(mask)
            if label and masks and not mask:
                note("no mask", inside(root, path), "masks are here, but none of this name")
            yield Video(
                dataset=dataset,
                method=(group or "fake") if label else "real",
                stem=path.stem if label else f"{group}/{path.stem}".lstrip("/"),
                path=inside(root, path),
                label=label,
                split=split,
                identities=word(f"{split}/{path.stem}"),
                mask=inside(root, mask) if mask else "",
            )
    for mask in masks.keys() - used:
        note("unexpected", inside(root, mask), "a mask of nothing in fake/")


def one_of_or_none(home: Path, *names: str) -> Path | None:
    return next((home / name for name in names if (home / name).is_dir()), None)


def below(root: Path, folder: Path | None) -> Iterator[Path]:
    """Videos and pictures of a folder and of those in it."""
    if folder is None:
        return
    kinds = VIDEOS | PICTURES
    yield from visible(root, folder, kinds)
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir() and not path.name.startswith(".")):
        yield from visible(root, inner, kinds)
