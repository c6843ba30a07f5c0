"""Celeb-DF++ (version 3): twenty-two forgeries in three scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.celeb_df import identities, videos
from datamodules.datasets.listing import one_of
from datamodules.manifest import Video

SCENARIOS = {"FaceSwap": 200, "FaceReenact": 200, "TalkingFace": 300}  # test videos of each method in it
TALKING = re.compile(r"(id\d+)_(\d+)_.*?(id\d+).*")  # id29_0002_test_id08701_aaa


def index(root: Path) -> Iterator[Video]:
    """A method is SCENARIO-NAME, since videos of one name recur in several."""
    folders = {one_of(root, name): "real" for name in ("Celeb-real", "YouTube-real")}
    one_of(root, "Celeb-synthesis")
    owners = {"test real": 178}
    for scenario, count in SCENARIOS.items():
        for folder in sorted(path for path in (root / "Celeb-synthesis" / scenario).glob("*") if path.is_dir()):
            folders[folder] = f"{scenario}-{folder.name}"
            owners[f"test {folders[folder]}"] = count
    return videos(root, "celeb_df_pp", folders, owners, who)


def who(stem: str, folder: str) -> str:
    talking = TALKING.fullmatch(stem)
    if folder == "Celeb-synthesis" and talking:
        return f"{talking[1]}_{talking[2]} {talking[1]} {talking[3]}"
    # reenacted: driven by a video that the name need not tell
    return identities(stem, folder) or (identities(stem, "Celeb-real") if folder == "Celeb-synthesis" else "")
