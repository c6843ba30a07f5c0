"""TalkingHeadBench: portraits that recent generators make talk; its real videos are of other data sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, check_groups, one_of, read_json, resolve_inside, walk, word
from datamodules.datasets.splits import drop_shared
from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError

LIST = "real/real_dataset_split_official_ff++.json"
ADDED = "additional_dataset"  # of generators that are only tested
COUNTS = {"LivePortrait": 529, "AniPortraitAudio": 542, "AniPortraitVideo": 422, "Hallo": 420}
COUNTS |= {"Hallo2": 432, "EmoPortrait": 573, "MAGI-1": 66, "Hallo3": 10}
REALS = {"FaceForensics++": "FaceForensics++/original_sequences/youtube/c23/videos", "CelebV-HQ": "CelebV-HQ"}


def index(root: Path) -> Iterator[Video]:
    """``fake/GENERATOR/SPLIT``; real videos in ``real/`` or where their own data sets lie below the root."""
    rows = [*list_fakes(root), *list_reals(root)]
    yield from check_groups(drop_shared(rows, "portraits and drivers"), COUNTS, lambda row: [row.method])


def list_fakes(root: Path) -> Iterator[Video]:
    home = one_of(root, "fake")
    for path in walk(root, home, VIDEOS):
        folders = path.relative_to(home).parts[:-1]
        if len(folders) != 2 or (folders[0] != ADDED and folders[1] not in SPLITS):
            text = f"lies in {'/'.join(folders)}, not in GENERATOR/{'|'.join(SPLITS)} or {ADDED}/GENERATOR: left out"
            report_issue("unexpected", resolve_inside(root, path), text)
            continue
        is_added = folders[0] == ADDED
        yield Video(
            dataset="talking_head_bench",
            method=folders[1] if is_added else folders[0],
            stem=path.relative_to(home).with_suffix("").as_posix(),
            path=resolve_inside(root, path),
            label=1,
            split="test" if is_added else folders[1],
            identities=" ".join(find_people(path.stem)),
        )


def find_people(stem: str) -> list[str]:
    """Portrait and driving clip of PORTRAIT--DRIVER--GENERATOR; a driver may begin with a dash, or hold two."""
    portrait, _, rest = stem.partition("--")
    driver = rest.rpartition("--")[0]
    return [f"portrait:{word(portrait)}", f"driver:{word(driver)}"] if driver else [word(stem)]


def list_reals(root: Path) -> Iterator[Video]:
    content = read_json(root / LIST)
    if not isinstance(content, dict):
        raise UserError(f"{root / LIST}: must be an object of splits")
    for name, sets in content.items():
        split = str(name).lower()
        if split not in SPLITS or not isinstance(sets, dict):
            report_issue("list", LIST, f"{name!r} is no split with data sets: left out")
            continue
        for owner, files in sets.items():
            absent = 0
            for file in files:
                path = find_real(root, owner, str(file))
                if path is None:
                    absent += 1
                    continue
                yield Video(
                    dataset="talking_head_bench",
                    method="real",
                    stem=f"{owner}/{Path(file).stem}",
                    path=resolve_inside(root, path),
                    label=0,
                    split=split,
                    identities=f"driver:{word(Path(file).stem)}",
                )
            if absent:
                text = f"{absent} real videos of {split} are not here: they are shipped with {owner}"
                report_issue("missing", owner, text, absent)


def find_real(root: Path, owner: str, file: str) -> Path | None:
    if "/" in file or file.startswith("."):
        return None
    folders = (f"real/{owner}", REALS.get(owner, owner), owner)
    return next((path for name in folders if (path := root / name / file).is_file()), None)
