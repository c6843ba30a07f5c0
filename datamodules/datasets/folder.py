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
    """Files in subfolders are of the method, or the release, of that name; names are counted anew in each split."""
    prefix = "" if home == root else f"{split}/"
    used = set()
    masks = next((home / name for name in ("masks", "mask") if (home / name).is_dir()), None)
    by_name = {path.relative_to(masks).with_suffix("").as_posix(): path for path in below(root, masks)} if masks else {}
    for label, folder in enumerate(("real", "fake")):
        for path in below(root, home / folder):
            group = path.parent.relative_to(home / folder).as_posix()
            group = "" if group == "." else group.replace("/", "-")
            name = path.relative_to(home / folder).with_suffix("").as_posix()
            mask = (by_name.get(name) or by_name.get(path.stem)) if label else None
            used.add(mask)
            if label and masks and not mask:
                note("no mask", inside(root, path), "masks are here, but none of this name")
            yield Video(
                dataset=dataset,
                method=(group or "fake") if label else "real",
                stem=prefix + (path.stem if label else f"{group}/{path.stem}".lstrip("/")),
                path=inside(root, path),
                label=label,
                split=split,
                identities=word(f"{split}/{path.stem}"),
                mask=inside(root, mask) if mask else "",
            )
    for mask in by_name.values():
        if mask not in used:
            note("unexpected", inside(root, mask), "a mask of nothing in fake/")


def below(root: Path, folder: Path) -> Iterator[Path]:
    """Videos and pictures of a folder and of those in it."""
    kinds = VIDEOS | PICTURES
    yield from visible(root, folder, kinds)
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir() and not path.name.startswith(".")):
        yield from visible(root, inner, kinds)
