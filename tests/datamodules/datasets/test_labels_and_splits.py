"""Which way round labels are, and how a validation split is cut where the owners give none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.datasets import celeb_df, celeb_df_pp, deeperforensics, dfdc, dfdcp, folder, splits, table
from datamodules.issues import collect_issues
from datamodules.manifest import check
from datamodules.runtime.errors import UserError
from tests.fixtures.reading import row
from tests.fixtures.trees import empty, text


def test_in_the_list_of_celeb_df_one_is_real(tmp_path: Path) -> None:
    text(tmp_path / celeb_df.LIST, "1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4\n")
    assert celeb_df.test_list(tmp_path) == {"YouTube-real/00170.mp4": 0, "Celeb-synthesis/id1_id0_0007.mp4": 1}


@pytest.mark.parametrize("reader", [celeb_df.index_v1, celeb_df.index_v2, celeb_df_pp.index])
def test_a_list_of_celeb_df_turned_round_is_noticed(reader: object, tmp_path: Path) -> None:
    empty(tmp_path / "Celeb-real/id0_0001.mp4")
    empty(tmp_path / "YouTube-real/00170.mp4")
    forged = "Celeb-synthesis/FaceSwap/GHOST" if reader is celeb_df_pp.index else "Celeb-synthesis"
    empty(tmp_path / f"{forged}/id1_id2_0003.mp4")
    text(tmp_path / celeb_df.LIST, f"0 YouTube-real/00170.mp4\n1 {forged}/id1_id2_0003.mp4\n")
    with collect_issues() as findings:
        rows = list(reader(tmp_path))  # type: ignore[operator]
    assert {row.stem: row.label for row in rows} == {"id0_0001": 0, "00170": 0, "id1_id2_0003": 1}
    assert sum(one.kind == "label" for one in findings) == 2


def test_in_the_labels_of_dfdc_one_is_fake_in_either_form(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        empty(tmp_path / "one/test" / name)
        empty(tmp_path / "two/test" / name)
    text(tmp_path / "one/labels.csv", "filename,label\na.mp4,0\nb.mp4,1\n")
    text(tmp_path / "two/test/metadata.json", {"a.mp4": {"is_fake": 0}, "b.mp4": {"is_fake": 1}})
    for form in ("one", "two"):
        assert {row.stem: row.label for row in dfdc.index(tmp_path / form)} == {"a": 0, "b": 1}
    (tmp_path / "one/labels.csv").unlink()
    with pytest.raises(UserError, match="the labels of test are missing"):
        list(dfdc.index(tmp_path / "one"))


def test_a_name_in_two_lists_of_deeperforensics_is_a_leak_and_of_the_last(tmp_path: Path) -> None:
    for split, names in {"train": ["000_M004", "001_W010"], "val": [], "test": ["001_W010", "001_W010"]}.items():
        text(tmp_path / f"{split}.txt", "".join(f"{name}.mp4\n" for name in names))
    with collect_issues() as findings:
        assert deeperforensics.read_lists(tmp_path) == {"000_M004": "train", "001_W010": "test"}
    said = [(one.kind, one.path, one.text) for one in findings if one.kind != "list"]
    assert said == [("leak", "001_W010.mp4", "is in train.txt and in test.txt: the last is believed")]


def test_dfdcp_says_its_labels_in_words(tmp_path: Path) -> None:
    empty(tmp_path / "original_videos/1/1_A_001.mp4")
    empty(tmp_path / "method_A/1/1_A/2_1_A_001.mp4")
    entry = {"set": "test", "target_id": "1", "swapped_id": None}
    entries = {
        "original_videos/1/1_A_001.mp4": entry | {"label": "real"},
        "method_A\\1\\1_A\\2_1_A_001.mp4": entry | {"label": "fake", "swapped_id": "2"},
    }
    text(tmp_path / "dataset.json", entries)
    assert {row.stem: row.label for row in dfdcp.index(tmp_path)} == {"1_A_001": 0, "2_1_A_001": 1}


def test_a_table_takes_words_or_one_for_fake_and_nothing_else(tmp_path: Path) -> None:
    for name in "abcd":
        empty(tmp_path / f"{name}.mp4")
    text(tmp_path / "videos.csv", "path,label\na.mp4,real\nb.mp4,0\nc.mp4,fake\nd.mp4,1\n")
    assert [row.label for row in table.index(tmp_path)] == [0, 0, 1, 1]
    text(tmp_path / "videos.csv", "path,label\na.mp4,true\n")
    with pytest.raises(UserError, match=r"videos\.csv, line 2: label 'true' must be real \(0\) or fake \(1\)"):
        list(table.index(tmp_path))
    text(tmp_path / "videos.csv", "path,labels\na.mp4,real\n")
    with pytest.raises(UserError, match=r"has no column label"):
        list(table.index(tmp_path))


def test_lists_that_are_no_json_or_no_pairs_are_refused_by_name(tmp_path: Path) -> None:
    from datamodules.datasets.ffpp import index

    for name in ("train", "val", "test"):
        text(tmp_path / f"{name}.json", [["000", "003"]] if name == "train" else [])
    text(tmp_path / "val.json", "{")
    with pytest.raises(UserError, match=r"val\.json: no JSON"):
        list(index(tmp_path))
    text(tmp_path / "val.json", [["010", "011", "012"]])
    with pytest.raises(UserError, match=r"val\.json: \['010', '011', '012'\] is no pair"):
        list(index(tmp_path))


videos = st.lists(
    st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=3), st.sampled_from(["train", "train", "test"])),
    max_size=60,
)


@given(videos)
def test_whatever_the_people_no_two_splits_share_one(drawn: list[tuple[list[int], str]]) -> None:
    rows = [row(str(i), people, split) for i, (people, split) in enumerate(drawn)]
    with collect_issues() as findings:
        cut = list(splits.separate_identities(rows))
    check(cut, Path("m.csv"))
    # every video is in a split, or it is said why not
    assert len(cut) + len(findings) == len(rows)
    assert [r for r in cut if r.split == "test"] == [r for r in rows if r.split == "test"]


def test_a_validation_split_is_a_tenth_of_the_people_and_always_the_same() -> None:
    rows = [row(str(i), [i // 3], "train") for i in range(3000)]
    cut = list(splits.separate_identities(rows))
    chosen = {r.identities for r in cut if r.split == "val"}
    assert 60 < len(chosen) < 140  # of a thousand, three standard deviations and more
    assert {r.identities for r in splits.separate_identities(rows[::-1]) if r.split == "val"} == chosen
    fewer = [r for r in rows if int(r.identities[1:]) % 2]
    assert {r.identities for r in splits.separate_identities(fewer) if r.split == "val"} == {
        p for p in chosen if int(p[1:]) % 2
    }


def test_where_all_people_are_linked_mixed_videos_are_held_out_and_counted() -> None:
    rows = [row(str(i), [i, (i + 1) % 300], "train") for i in range(300)]  # a ring
    with collect_issues() as findings:
        cut = list(splits.separate_identities(rows))
    assert {r.split for r in cut} == {"train", "val"} or {r.split for r in cut} == {"train"}
    assert len(findings) == 300 - len(cut) > 0
    assert "people of training and of validation" in findings[0].text


def test_groups_of_people_stay_whole_where_they_are_small() -> None:
    rows = [
        row(f"{i}{way}", pair, "train")
        for i in range(200)
        for way, pair in (("a", [2 * i, 2 * i + 1]), ("b", [2 * i + 1, 2 * i]))
    ]
    with collect_issues() as findings:
        cut = list(splits.separate_identities(rows))
    assert len(cut) == 400
    assert not findings
    assert json.dumps([r.split for r in cut]).count("val") % 2 == 0


def test_a_folder_of_ones_own_is_looked_through_for_all_kinds_of_video_that_detect_takes(tmp_path: Path) -> None:
    for suffix in (".wmv", ".MPG", ".flv", ".gif", ".ts", ".mp4", ".png"):
        for label in ("real", "fake"):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / f"{suffix[1:]}{suffix}").touch()
    assert {row.path for row in folder.index(tmp_path)} == {str(p.relative_to(tmp_path)) for p in tmp_path.glob("*/*")}
