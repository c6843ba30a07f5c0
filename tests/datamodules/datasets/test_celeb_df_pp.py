"""Celeb-DF++ in both of the spellings that its owners use."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.datasets import celeb_df, celeb_df_pp
from datamodules.issues import collect_issues
from tests.fixtures.trees import text
from tests.fixtures.trees_with_sound import stub


@pytest.mark.parametrize("folder", ["Celeb-DF-v2", "Celeb-DF"])
@pytest.mark.parametrize("listed", ["Celeb-DF-v2", "Celeb-DF"])
def test_celeb_df_pp_takes_both_names_of_its_oldest_fakes_and_whole_paths_of_the_list(
    folder: str, listed: str, tmp_path: Path
) -> None:
    home = tmp_path / "Celeb-DF-v3"
    swap, talk = "Celeb-synthesis/FaceSwap", "Celeb-synthesis/TalkingFace/Real3DPortrait"
    stub(home, "Celeb-real/id1_0007.mp4", "YouTube-real/00170.mp4", f"{swap}/{folder}/id1_id0_0007.mp4")
    stub(
        home,
        f"{swap}/GHOST/id5_id6_0007.mp4",
        f"{swap}/BlendFace/id5_id6_0007.mp4",
        f"{talk}/id29_0002_test_id08701_aaa.mp4",
    )
    lines = ["1 YouTube-real/00170.mp4", "", f"0 {swap}/{listed}/id1_id0_0007.mp4", f"1 {swap}/GHOST/id5_id6_0007.mp4"]
    text(home / celeb_df.LIST, "\n".join(lines))
    with collect_issues() as findings:
        rows = {row.path.removeprefix("Celeb-DF-v3/"): row for row in celeb_df_pp.index(tmp_path)}
    assert rows[f"{swap}/{folder}/id1_id0_0007.mp4"].split == "test"
    assert rows[f"{swap}/GHOST/id5_id6_0007.mp4"].label == 1  # whatever the list says
    assert f"{swap}/BlendFace/id5_id6_0007.mp4" not in rows  # its people are tested, it is not listed
    # the clip whose sound drives it shows nobody
    assert rows[f"{talk}/id29_0002_test_id08701_aaa.mp4"].identities == "id29_0002 id29"
    absent = {one.path for one in findings if one.text == "a method of this data set, not here"}
    assert "Celeb-synthesis/TalkingFace/FLOAT" in absent
    assert f"{swap}/GHOST" not in absent
    assert len(absent) == 22 - 4
