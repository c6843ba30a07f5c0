"""The manifest refuses what would make a result wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.manifest import Video, check, read, resolve_inside, write
from datamodules.runtime.errors import UserError
from tests.fixtures.rows import video


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [video("a", "train", "ann", fps=29.97, frames=12, sha256="00ff"), video("b, c", "test", "bob cid")]
    write(rows, tmp_path / "manifest.csv")
    assert manifest.rows(read(tmp_path / "manifest.csv")) == rows


def test_a_key_is_data_set_method_compression_and_stem() -> None:
    real = video("000_003", "train", "000 003")
    keys = {
        real.key,
        replace(real, method="Swap").key,
        replace(real, compression="c40").key,
        replace(real, dataset="e").key,
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([video("a", "train", "ann"), video("b", "test", "ann")], "'ann' of d is in 'train' and in 'test'"),
        ([video("a", "train", "ann bob"), video("b", "val", "bob")], "'bob' of d is in 'train' and in 'val'"),
        ([video("a", "train", "ann"), video("a", "train", "ann", path="b.mp4")], "stands for a.mp4 and for b.mp4"),
        ([video("a", "dev", "ann")], "has split 'dev', not one of train, val, test"),
        ([video("a", "train", "ann", label=1)], "real is 0, a forgery is 1"),
        ([video("a", "train", "ann", path="../a.mp4")], "leaves the folder"),
        ([video("a", "train", "ann", path="/etc/a.mp4")], "leaves the folder"),
        ([video("a", "train", "ann", mask="x/../../a.mp4")], "leaves the folder"),
    ],
)
def test_rows_that_would_mislead_are_refused(rows: list[Video], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        check(rows, Path("manifest.csv"))


def test_the_same_name_in_two_data_sets_is_two_people() -> None:
    check([video("a", "train", "000"), video("a", "test", "000", dataset="e")], Path("manifest.csv"))


def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(UserError, match=r"link\.mp4.*outside"):
        resolve_inside(root, "link.mp4")
    (root / "real.mp4").write_bytes(b"")
    (root / "alias.mp4").symlink_to(root / "real.mp4")
    assert resolve_inside(root, "alias.mp4") == root / "real.mp4"


def test_a_table_with_other_columns_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("dataset,label\nd,0\n")
    with pytest.raises(UserError, match=r"m\.csv: its columns must be.*stem"):
        read(tmp_path / "m.csv")


def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    write([video("a", "train", "ann")], tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text((tmp_path / "m.csv").read_text().replace(",0,train", ",real,train"))
    with pytest.raises(UserError, match=r"m\.csv, line 2: .*'real'"):
        read(tmp_path / "m.csv")


def test_files_with_a_leading_dot_and_ids_without_a_split_are_passed_over(tmp_path: Path) -> None:
    for name, pairs in (("train", '[["000", "003"]]'), ("val", "[]"), ("test", "[]")):
        (tmp_path / f"{name}.json").write_text(pairs)
    for path in ("original_sequences/youtube", "manipulated_sequences/Deepfakes"):
        (tmp_path / path / "c23" / "videos").mkdir(parents=True)
    for name in ("000.mp4", "._000.mp4", "777.mp4"):
        (tmp_path / "original_sequences/youtube/c23/videos" / name).touch()
    for name in ("000_003.mp4", "777_000.mp4", "readme.mp4"):
        (tmp_path / "manipulated_sequences/Deepfakes/c23/videos" / name).touch()
    assert [(row.method, row.stem, row.mask) for row in index(tmp_path)] == [
        ("real", "000", ""),
        ("Deepfakes", "000_003", ""),
    ]


def test_an_id_in_two_official_lists_is_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.json").write_text('[["000", "003"]]')
    with pytest.raises(UserError, match=r"val\.json: id '000' is also in train\.json"):
        list(index(tmp_path))


def test_missing_official_lists_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.json: missing; put the owners'"):
        list(index(tmp_path))


def index_of_paths(root: Path) -> list[Video]:
    return [video("a", "train", "x", path=Path("a.mp4"))]


def test_a_reader_that_gives_paths_as_other_than_strings_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"test_manifest\.index_of_paths: path .*a\.mp4.* is a PosixPath, must be a str"
    ):
        manifest.list_dataset(tmp_path, index_of_paths, None)


def test_the_folder_of_a_name_that_no_file_system_takes_is_its_beginning_with_a_digest() -> None:
    fits, *longer = (
        video(stem, "train", "ann").folder for stem in ("a" * 244, "a" * 244 + "b", "a" * 244 + "c", "é" * 130)
    )
    assert fits == f"d/real/c23/{'a' * 244}"
    assert len(set(longer)) == 3
    names = [name for folder in longer for name in folder.split("/")]
    assert max(len(f".{name}.json.part".encode()) for name in names) == 255
    assert longer[0].startswith(f"d/real/c23/{'a' * 219}-")


def test_a_link_whose_name_looks_like_the_member_of_an_archive_must_not_lead_out_either(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "root/a::b.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(UserError, match=r"a::b\.mp4.*outside"):
        resolve_inside(tmp_path / "root", "a::b.mp4")
