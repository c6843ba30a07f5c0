"""Celeb-DF++ (version 3): twenty-two forgeries in three scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datamodules.datasets.celeb_df import identities, normalize_name, videos
from datamodules.datasets.listing import one_of, resolve_inside, unnest
from datamodules.issues import report_issue
from datamodules.manifest import Video

METHODS = {
    "FaceSwap": "Celeb-DF-v2 BlendFace GHOST HifiFace InSwapper MobileFaceSwap SimSwap UniFace",
    "FaceReenact": "DaGAN FSRT HyperReenact LIA LivePortrait MCNET TPSMM",
    "TalkingFace": "AniTalker EchoMimic EDTalk FLOAT IP_LAP Real3DPortrait SadTalker",
}
SCENARIOS = {"FaceSwap": 200, "FaceReenact": 200, "TalkingFace": 300}  # test videos of each method in it
TESTED = {"FaceSwap-Celeb-DF-v2": 340}  # the fakes of version 2 bring its test list with them
TALKING = re.compile(r"(id\d+)_(\d+)_\D.*")  # id29_0002_test_id08701_aaa, whose sound is that of another clip


def index(root: Path) -> Iterator[Video]:
    """A method is SCENARIO-NAME, since videos of one name recur in several."""
    home = unnest(root, "Celeb-DF-v3")
    for row in list_videos(home):
        yield replace(row, path=resolve_inside(root, home / row.path))


def list_videos(home: Path) -> Iterator[Video]:
    folders = {one_of(home, name): "real" for name in ("Celeb-real", "YouTube-real")}
    one_of(home, "Celeb-synthesis")
    owners = {"real": 590 + 300, "fake": 53_196, "test real": 178}
    for scenario, count in SCENARIOS.items():
        for folder in sorted(path for path in (home / "Celeb-synthesis" / scenario).glob("*") if path.is_dir()):
            method = f"{scenario}-{normalize_name(f'/{folder.name}/').strip('/')}"
            folders[folder] = method
            owners[f"test {method}"] = TESTED.get(method, count)
        report_absent(scenario, set(folders.values()))
    return videos(home, "celeb_df_pp", folders, owners, find_identity)


def report_absent(scenario: str, methods: set[str]) -> None:
    """The first archive of the owners lacked a whole scenario."""
    for name in METHODS[scenario].split():
        if f"{scenario}-{name}" not in methods:
            report_issue("missing", f"Celeb-synthesis/{scenario}/{name}", "a method of this data set, not here")


def find_identity(stem: str, folder: str) -> str:
    talking = TALKING.fullmatch(stem)
    if folder == "Celeb-synthesis" and talking:
        return f"{talking[1]}_{talking[2]} {talking[1]}"
    # reenacted: driven by a video that the name need not tell
    return identities(stem, folder) or (identities(stem, "Celeb-real") if folder == "Celeb-synthesis" else "")
