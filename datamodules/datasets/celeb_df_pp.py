"""Celeb-DF++ (version 3): twenty-two forgeries in three scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.celeb_df import check_label, identities, not_found, test_list
from datamodules.datasets.listing import counted, inside, one_of, videos_in
from datamodules.datasets.splits import apart
from datamodules.findings import note
from datamodules.manifest import Video

SCENARIOS = {"FaceSwap": 200, "FaceReenact": 200, "TalkingFace": 300}  # test videos of each method in it
TALKING = re.compile(r"(id\d+)_(\d+)_.*?(id\d+).*")  # id29_0002_test_id08701_aaa


def index(root: Path) -> Iterator[Video]:
    """A method is SCENARIO-NAME, since videos of one name recur in several."""
    tested = test_list(root)
    folders = {one_of(root, name): "real" for name in ("Celeb-real", "YouTube-real")}
    one_of(root, "Celeb-synthesis")
    owners = {"test real": 178}
    for scenario, count in SCENARIOS.items():
        for folder in sorted(path for path in (root / "Celeb-synthesis" / scenario).glob("*") if path.is_dir()):
            folders[folder] = f"{scenario}-{folder.name}"
            owners[f"test {folders[folder]}"] = count
    rows = []
    for folder, method in folders.items():
        for path in videos_in(root, folder):
            people = who(path.stem, folder.name if method == "real" else "Celeb-synthesis")
            if not people:
                note("unexpected", inside(root, path), f"no name of a video in {folder.name}: left out")
                continue
            label = int(method != "real")
            listed = tested.pop(inside(root, folder / path.name), None)
            check_label(listed, label, root, path)
            rows.append(
                Video(
                    dataset="celeb_df_pp",
                    method=method,
                    stem=path.stem,
                    path=inside(root, path),
                    label=label,
                    split="train" if listed is None else "test",
                    identities=people,
                )
            )
    not_found(root, tested, rows)
    yield from apart(counted(rows, owners))


def who(stem: str, folder: str) -> str:
    talking = TALKING.fullmatch(stem)
    if folder == "Celeb-synthesis" and talking:
        return f"{talking[1]}_{talking[2]} {talking[1]} {talking[3]}"
    # reenacted: driven by a video that the name need not tell
    return identities(stem, folder) or (identities(stem, "Celeb-real") if folder == "Celeb-synthesis" else "")
