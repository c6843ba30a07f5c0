"""WildDeepfake: sequences of faces from the internet, cut out by the owners, in archives."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import check_count, one_of, resolve_inside
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import MEMBER, Video
from datamodules.media.image_sequence import ARCHIVES, ImageError, is_image, list_archived_images
from datamodules.runtime.stored_files import shorten

OWNERS = {"train real": 3409, "train fake": 3099, "test real": 396, "test fake": 410}


def index(root: Path) -> Iterator[Video]:
    """Lists the sequences in the archives, or in the folders that they were unpacked to."""
    rows: list[Video] = []
    for label, kind in enumerate(("real", "fake")):
        for split in ("train", "test"):
            # the owners' page shows a blank in place of the line
            folder = one_of(root, f"{kind}_{split}", f"{kind} {split}", f"{kind}{split}")
            for shard in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
                rows += sequences(root, shard, label, split)
    yield from separate_identities(check_count(rows, OWNERS))


def sequences(root: Path, shard: Path, label: int, split: str) -> Iterator[Video]:
    if shard.is_dir():
        place, names = resolve_inside(root, shard), folders(shard)
    elif shard.name.endswith(ARCHIVES):
        place, names = resolve_inside(root, shard) + MEMBER, list_archived(root, shard)
    else:
        report_issue("unexpected", resolve_inside(root, shard), "neither an archive nor a folder: left out")
        return
    for name in names:
        if "fake" in name.split("/") if label == 0 else "real" in name.split("/"):
            report_issue(
                "label", f"{place}/{name}", f"lies in {shard.parent.name}, but is called the opposite: left out"
            )
            continue
        group = f"{shard.parent.name}/{shard.name.partition('.')[0]}".replace(" ", "_")
        yield Video(
            dataset="wilddeepfake",
            method="wilddeepfake" if label else "real",
            stem=f"{group}/{name}",
            path=f"{place}{name}" if place.endswith(MEMBER) else f"{place}/{name}",
            label=label,
            split=split,
            # sequences of one archive may come from one video; more is not known of them
            identities=group,
            box="all",
        )


def folders(shard: Path) -> list[str]:
    return sorted({p.parent.relative_to(shard).as_posix() for p in shard.rglob("*") if is_image(p.name)})


def list_archived(root: Path, shard: Path) -> list[str]:
    """Folders of an archive that hold images."""
    names = set()
    try:
        with tarfile.open(shard) as tar:
            for info in list_archived_images(tar):
                names.add(info.name.removeprefix("./").rpartition("/")[0])
    except ImageError as error:
        report_issue("corrupt", resolve_inside(root, shard), f"{error}: left out")
        return []
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        report_issue("corrupt", resolve_inside(root, shard), f"cannot be read to its end ({shorten(error)})")
    return sorted(names)
