"""Celeb-DF++ (version 3): twenty-two forgeries in three scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.celeb_df import identities, normalize_name, videos
from datamodules.datasets.listing import one_of
from datamodules.manifest import Video

SCENARIOS = {"FaceSwap": 200, "FaceReenact": 200, "TalkingFace": 300}  # test videos of each method in it
TESTED = {"FaceSwap-Celeb-DF-v2": 340}  # the fakes of version 2 bring its test list with them
TALKING = re.compile(r"(id\d+)_(\d+)_.*?(id\d+).*")  # id29_0002_test_id08701_aaa


def index(root: Path) -> Iterator[Video]:
    """A method is SCENARIO-NAME, since videos of one name recur in several."""
    folders = {one_of(root, name): "real" for name in ("Celeb-real", "YouTube-real")}
    one_of(root, "Celeb-synthesis")
    owners = {"real": 590 + 300, "fake": 53_196, "test real": 178}
    for scenario, count in SCENARIOS.items():
        for folder in sorted(path for path in (root / "Celeb-synthesis" / scenario).glob("*") if path.is_dir()):
            method = f"{scenario}-{normalize_name(f'/{folder.name}/').strip('/')}"
            folders[folder] = method
            owners[f"test {method}"] = TESTED.get(method, count)
    return videos(root, "celeb_df_pp", folders, owners, find_identity)


def find_identity(stem: str, folder: str) -> str:
    talking = TALKING.fullmatch(stem)
    if folder == "Celeb-synthesis" and talking:
        return f"{talking[1]}_{talking[2]} {talking[1]} {talking[3]}"
    # reenacted: driven by a video that the name need not tell
    return identities(stem, folder) or (identities(stem, "Celeb-real") if folder == "Celeb-synthesis" else "")
