"""Tables and archives of others name files below their own folder, or are refused."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from datamodules import manifest
from datamodules.datasets import wilddeepfake
from datamodules.issues import collect_issues
from datamodules.loading.clips import CropClips
from datamodules.loading.prepared_set import PreparedSet
from datamodules.loading.sampling import Address
from datamodules.media.image_sequence import read_archive
from datamodules.media.probe import VideoError, probe
from datamodules.prepared import checksums
from datamodules.prepared.shards import ShardMember
from datamodules.prepared.tables import CROPS, load, save, save_tracks
from datamodules.runtime.errors import UserError
from tests.fixtures.rows import video
from tests.fixtures.stored_things import PNG, write_prepared

OUT = ["../../etc/passwd", "/etc/passwd", "a/../../b.mp4", "..", "a.tar::../b", "a.tar::/etc", "../a.tar::b"]


@pytest.mark.parametrize("column", ["path", "mask", "landmarks"])
@pytest.mark.parametrize("path", OUT)
def test_a_manifest_that_leads_out_is_refused(column: str, path: str, tmp_path: Path) -> None:
    manifest.write([replace(video("a", "test", "p"), **{column: path})], tmp_path / "m.csv")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"m\.csv: path .* leaves the folder of the data set"):
        manifest.read(tmp_path / "m.csv")


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="control character"):
        manifest.check([video("a", "test", "p", path="a\0.mp4")], tmp_path / "m.csv")
    manifest.check([video("a", "test", "p", path="a..b/c...mp4")], tmp_path / "m.csv")  # dots lead nowhere


def test_crops_lie_in_the_prepared_folder(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    write_prepared(prepared)
    (tmp_path / "secret.png").write_bytes(PNG)
    rows = load(prepared / "crops.arrow").to_pylist()
    table = [row | {"image": "../secret.png"} for row in rows]
    save(prepared / "crops.arrow", CROPS, [pa.Table.from_pylist(table, CROPS)], checksums.replace_recorded)
    save_tracks(prepared)
    checksums.settle(prepared)
    clips = CropClips(prepared, PreparedSet(prepared=prepared).manifest, 8, 1)
    with pytest.raises(UserError, match=r"'\.\./secret\.png' .* outside the folder"):
        clips[Address(0, (0,))]


@pytest.mark.parametrize("place", [("/etc/hostname", 0, 9), ("a/../../b", 0, 9), ("a.png", -1, 9), ("a.png", 0, -1)])
def test_a_shard_is_read_inside_its_folder(place: tuple[str, int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(UserError, match="outside the folder"):
        ShardMember(*place).read(tmp_path)


def archive(path: Path, member: str, link: str = "", kind: bytes = tarfile.SYMTYPE) -> Path:
    """Two images, and something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in ("real/1/0.png", "real/1/1.png", member):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            if name == member and link:
                info.type, info.linkname, info.size = kind, link, 0
            tar.addfile(info, io.BytesIO(PNG))
    return path


HOSTILE = {
    "a member above": ("../real/2/0.png", "", b""),
    "a member elsewhere": ("/etc/0.png", "", b""),
    "a member that goes up in the middle": ("real/../../2/0.png", "", b""),
    "a file that is no image, above": ("../evil.sh", "", b""),
    "a symbolic link": ("real/1/2.png", "/etc/passwd", tarfile.SYMTYPE),
    "a hard link": ("real/1/2.png", "../../secret", tarfile.LNKTYPE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    member, link, kind = HOSTILE[name]
    read_archive.cache_clear()
    path = archive(tmp_path / "a.tar.gz", member, link, kind)
    with pytest.raises(VideoError, match=r"a\.tar\.gz.*(leads out of the archive|links are not followed)"):
        probe(Path(f"{path}::real/1"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz"]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_of_wilddeepfake_that_leads_out_is_left_out_and_named(name: str, tmp_path: Path) -> None:
    for folder in ("real_train", "real_test", "fake_train", "fake_test"):
        (tmp_path / folder).mkdir()
    member, link, kind = HOSTILE[name]
    archive(tmp_path / "real_train/a.tar.gz", member, link, kind)
    archive(tmp_path / "real_train/b.tar.gz", "real/1/2.png")
    with collect_issues() as issues:
        rows = list(wilddeepfake.index(tmp_path))
    assert {row.path for row in rows} == {"real_train/b.tar.gz::real/1"}
    assert any("a.tar.gz" in one.path and "left out" in one.text for one in issues)
