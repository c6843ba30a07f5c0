"""OpenForensics: photographs of several people, each face marked as real or forged with its outline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import read_json, resolve_inside, word
from datamodules.issues import report_issue
from datamodules.manifest import MEMBER, Video
from datamodules.runtime.errors import UserError

LISTS = {"train": "train", "val": "val", "test-dev": "test", "test-challenge": "test", "test": "test"}


def index(root: Path) -> Iterator[Video]:
    """A row is a face. Names of the lists begin with Train, Val or Test."""
    lists = {path: split for path in sorted(root.glob("*.json")) if (split := split_of(path.name))}
    if not lists:
        raise UserError(f"{root}: holds no list; its name begins with Train, Val, Test-Dev or Test-Challenge")
    for path, split in lists.items():
        yield from faces(root, path, split)


def split_of(name: str) -> str | None:
    beginnings = [beginning for beginning in LISTS if name.lower().startswith(beginning)]
    return LISTS[max(beginnings, key=len)] if beginnings else None


def faces(root: Path, path: Path, split: str) -> Iterator[Video]:
    content = read_json(path)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise UserError(f"{path}: must hold images, annotations and categories, as COCO's lists do")
    kinds = {kind["id"]: kind["name"].lower() for kind in content["categories"]}
    if wrong := set(kinds.values()) - {"real", "fake"}:
        raise UserError(f"{path}: categories must be real and fake, not {', '.join(sorted(wrong))}")
    of_image = defaultdict(list)
    for one in content["annotations"]:
        of_image[one["image_id"]].append(one)
    for image in content["images"]:
        file = find(root, image["file_name"], split)
        if file is None:
            report_issue("missing", image["file_name"], f"in {path.name}, but not here")
            continue
        for one in of_image[image["id"]]:
            kind = kinds.get(one["category_id"])
            if kind is None:
                report_issue(
                    "list",
                    resolve_inside(root, file),
                    f"{path.name} gives category {one['category_id']!r}: face left out",
                )
                continue
            if len(one.get("bbox", [])) != 4:
                report_issue(
                    "list",
                    resolve_inside(root, file),
                    f"{path.name} gives annotation {one['id']} no box: face left out",
                )
                continue
            x, y, width, height = one["bbox"]
            fake = kind == "fake"
            yield Video(
                dataset="openforensics",
                method="openforensics" if fake else "real",
                # Test-Dev and Test-Challenge are two releases
                compression=path.stem.removesuffix("_poly").lower(),
                stem=f"{file.stem}_{one['id']}",
                path=resolve_inside(root, file),
                label=int(fake),
                split=split,
                identities=word(resolve_inside(root, file)),
                mask=f"{resolve_inside(root, path)}{MEMBER}{one['id']}" if fake and one.get("segmentation") else "",
                box=f"{x} {y} {x + width} {y + height}",
            )


def find(root: Path, name: str, split: str) -> Path | None:
    """A file name may or may not carry its folders."""
    folders = [root, root / "Images", *(root / "Images" / folder for folder in ("Train", "Val", "Test-Dev"))]
    folders += [root / "Images" / "Test-Challenge", root / split, root / split.capitalize()]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
