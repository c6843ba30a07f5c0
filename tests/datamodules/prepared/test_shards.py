"""Tar files of crops, whatever the videos are called."""

from __future__ import annotations

from pathlib import Path

import webdataset

from datamodules.prepared.shards import ShardMember, join_tars, write_tar


def test_shards_hold_names_longer_than_a_tar_has_room_for_and_webdataset_streams_them(tmp_path: Path) -> None:
    images = {f"d/fake/-/{stem}/0_000001.png": stem.encode() * 99 for stem in ("plain", "視" * 52, "a" * 240)}
    parts = [tmp_path / f"{i}.tar" for i in range(3)]
    places = [write_tar(part, [image])[image[0]] for part, image in zip(parts, images.items(), strict=True)]
    shifts = join_tars(parts, tmp_path / "all.tar")
    for place, shift, content in zip(places, shifts, images.values(), strict=True):
        assert ShardMember("all.tar", place.offset + shift, place.length).read(tmp_path) == content
    samples = webdataset.WebDataset([str(tmp_path / "all.tar")], shardshuffle=False)
    assert {f"{sample['__key__']}.png": sample["png"] for sample in samples} == images
