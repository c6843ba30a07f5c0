"""DFDM: Celeb-DF's real videos, forged by five models of one kind of forgery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.celeb_df import identities
from datamodules.datasets.listing import VIDEOS, check_count, resolve_inside, videos_in, walk
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

NAME = re.compile(r"(id\d+_id\d+_\d+)_\d*(\S+)")  # id28_id20_0008_4dfaker
TAGS = ("faceswap", "light", "iae", "dfaker", "dfl")  # somewhere in what follows, in any case
METHODS = ("Faceswap", "Lightweight", "IAE", "Dfaker", "DFL-H128")
LEVELS = ("crf0", "crf10", "crf23")
REALS = ("Celeb-DF-v2/Celeb-real", "Celeb-real")


def index(root: Path) -> Iterator[Video]:
    """
    Args:
        root: The folder that DFDM_crf0, DFDM_crf10 or DFDM_crf23 and Celeb-DF-v2, with the real videos, lie in.
    """
    levels = {level: root / f"DFDM_{level}" for level in LEVELS if (root / f"DFDM_{level}").is_dir()}
    if not levels:
        raise UserError(f"{root}: holds no folder {' or '.join(f'DFDM_{level}' for level in LEVELS)}")
    reals = next((root / name for name in REALS if (root / name).is_dir()), None)
    if reals is None:
        report_issue("missing", REALS[0], "the real videos, which are Celeb-DF's: nothing to compare the fakes with")
    for level, folder in levels.items():
        owners = dict.fromkeys(METHODS, 430) | ({"real": 590} if reals else {})
        rows = [*list_fakes(root, folder, level), *(list_reals(root, reals, level) if reals else ())]
        yield from check_count(rows, owners, folder.name)


def list_fakes(root: Path, folder: Path, level: str) -> Iterator[Video]:
    for path in walk(root, folder, VIDEOS):
        name = NAME.fullmatch(path.stem)
        tag = next((i for i, tag in enumerate(TAGS) if name and tag in name[2].lower()), None)
        if name is None or tag is None:
            text = f"its name is not idTARGET_idSOURCE_N_TAG with one of {', '.join(TAGS)} in it: left out"
            report_issue("unexpected", resolve_inside(root, path), text)
            continue
        yield create(root, path, METHODS[tag], level, identities(name[1], "Celeb-synthesis"))


def list_reals(root: Path, folder: Path, level: str) -> Iterator[Video]:
    """The same ones beside the fakes of each release."""
    for path in videos_in(root, folder):
        if people := identities(path.stem, "Celeb-real"):
            yield create(root, path, "real", level, people)


def create(root: Path, path: Path, method: str, level: str, people: str) -> Video:
    return Video(
        dataset="dfdm",
        method=method,
        compression=level,
        stem=path.stem,
        path=resolve_inside(root, path),
        label=int(method != "real"),
        split="test",
        identities=people,
    )
