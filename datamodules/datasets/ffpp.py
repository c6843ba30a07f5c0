"""FaceForensics++, and what is laid out like it: the studio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datamodules.datasets.listing import check_count, read_json, resolve_inside, videos_in
from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError

COMPRESSIONS = ("raw", "c23", "c40")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
NEIGHBOURS = ("FaceShifter", "DeepFakeDetection")  # downloaded beside it, with readers of their own
COUNTS = {"train": 720, "val": 140, "test": 140}  # of the originals and of each method


def index(root: Path) -> Iterator[Video]:
    """Lists a copy: every compression of the originals and the four methods that is there."""
    lists = official_lists(root)
    studio = (root / "studio.json").exists()
    folders = sorted(path for path in (root / "manipulated_sequences").glob("*") if path.is_dir())
    for folder in folders:
        if not studio and folder.name not in METHODS + NEIGHBOURS:
            report_issue("unexpected", resolve_inside(root, folder), f"not one of {', '.join(METHODS)}: left out")
    methods = [folder.name for folder in folders if studio or folder.name in METHODS]
    dataset = "studio" if studio else "ffpp"
    for compression in COMPRESSIONS:
        yield from check_count(
            [
                *originals(root, dataset, compression, lists),
                *(row for method in methods for row in list_manipulated(root, dataset, method, compression, lists)),
            ],
            {} if studio else owners(root, METHODS, compression),
            compression,
        )


def owners(root: Path, methods: Iterable[str], compression: str) -> dict[str, int]:
    """What a whole copy holds of one compression, if there is any of it."""
    homes = [root / "original_sequences" / "youtube", *(root / "manipulated_sequences" / name for name in methods)]
    if not any((home / compression).is_dir() for home in homes):
        return {}
    return {f"{split} {name}": count for name in ("real", *methods) for split, count in COUNTS.items()}


def originals(root: Path, dataset: str, compression: str, lists: Lists) -> Iterator[Video]:
    folder = root / "original_sequences" / "youtube" / compression
    found = {path.stem: path for path in videos_in(root, folder)}
    for stem, path in found.items():
        if stem not in lists.ids:
            report_issue("unexpected", resolve_inside(root, path), "in none of the official lists: left out")
            continue
        yield Video(
            dataset=dataset,
            method="real",
            compression=compression,
            stem=stem,
            path=resolve_inside(root, path),
            label=0,
            split=lists.ids[stem],
            identities=stem,
        )
    if found:
        not_found(root, folder, lists.ids, found)


def list_manipulated(root: Path, dataset: str, method: str, compression: str, lists: Lists) -> Iterator[Video]:
    """The fakes of one method; a name is TARGET_SOURCE."""
    home = root / "manipulated_sequences" / method
    masks = {path.stem: path for path in videos_in(root, home / "masks")}
    found = {path.stem: path for path in videos_in(root, home / compression)}
    for stem, path in found.items():
        if stem not in lists.pairs:
            report_issue("unexpected", resolve_inside(root, path), "not a pair of the official lists: left out")
            continue
        if masks and stem not in masks:
            report_issue("no mask", resolve_inside(root, path), f"masks of {method} are here, but not this one")
        yield Video(
            dataset=dataset,
            method=method,
            compression=compression,
            stem=stem,
            path=resolve_inside(root, path),
            label=1,
            split=lists.pairs[stem],
            identities=stem.replace("_", " "),
            mask=resolve_inside(root, masks[stem]) if stem in masks else "",
        )
    if found:
        not_found(root, home / compression, lists.pairs, found)
    if found and not masks and method not in NEIGHBOURS:
        report_issue("no mask", resolve_inside(root, home), "has no folder masks/videos: not a single mask")


def not_found(root: Path, folder: Path, listed: dict[str, str], found: Iterable[str]) -> None:
    for stem in sorted(listed.keys() - set(found)):
        report_issue(
            "missing", resolve_inside(root, folder / "videos" / f"{stem}.mp4"), f"{stem} is in {listed[stem]}.json"
        )


@dataclass(frozen=True, slots=True)
class Lists:
    """What the owners' lists say: name to split."""

    ids: dict[str, str]
    pairs: dict[str, str]  # TARGET_SOURCE, both ways round


def official_lists(root: Path) -> Lists:
    home: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for split in SPLITS:
        path = root / f"{split}.json"
        if not path.exists():
            raise UserError(
                f"{path}: missing; put the owners' train.json, val.json and test.json beside original_sequences"
            )
        for pair in read_json(path):
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(id, str) for id in pair)):
                raise UserError(f'{path}: {pair!r} is no pair such as ["071", "054"]')
            for id in pair:
                if home.setdefault(id, split) != split:
                    raise UserError(f"{path}: id {id!r} is also in {home[id]}.json")
            pairs |= {f"{a}_{b}": split for a, b in (pair, pair[::-1])}
    return Lists(home, pairs)
