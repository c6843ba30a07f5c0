"""What other people's folders hold: names, links, lists and files that must not mislead or end a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.datasets import celeb_df, deepfakebench, ffpp, folder, splits
from datamodules.datasets.doctor import explain_wrong
from datamodules.faces.crop import OutsideImage, Square
from datamodules.identities import list_people
from datamodules.issues import collect_issues
from datamodules.manifest import Video, check, read, rows
from datamodules.media.mask_video import match
from datamodules.media.video import Index, VideoError
from datamodules.prepared import contract
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import read_skipped
from datamodules.runtime.errors import UserError
from tests.fixtures import trees_of_images
from tests.fixtures.prepared_here import prepare_here
from tests.fixtures.reading import row
from tests.fixtures.trees import Material, empty, text

parts = st.text(st.sampled_from("ab./%-"), max_size=5)


@given(st.lists(st.tuples(parts, parts), min_size=2, max_size=2, unique=True))
def test_no_folder_of_crops_lies_in_anothers(names: list[tuple[str, str]]) -> None:
    videos = [
        Video(dataset="d", method="m", compression=c, stem=s, path="p", label=1, split="test", identities="")
        for c, s in names
    ]
    try:
        check([replace(video, path=str(i)) for i, video in enumerate(videos)], Path("m.csv"))
    except UserError:
        return
    one, other = (Path("crops", video.folder) for video in videos)
    assert not one.is_relative_to(other)
    assert not other.is_relative_to(one)
    assert len(one.parts) == 5
    assert ".." not in one.parts


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dataset", ["../x", "", "."]),
        ("method", ["a/b", ""]),
        ("compression", ["..", "a/b"]),
        ("stem", ["..", "a\nb", ""]),
        ("box", ["1,2,3,4", "1 2 3 nan", "0 0 1"]),
    ],
)
def test_names_and_boxes_that_are_none_are_refused(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(UserError, match=rf"m\.csv: has {name} "):
            check([replace(row("v", [1], "test"), **{name: value})], Path("m.csv"))  # type: ignore[arg-type]


def images(*numbers: int) -> Index:
    return Index(times=np.array(numbers, float), has_rate=False)


def test_masks_that_are_images_belong_to_the_number_they_carry() -> None:
    video = Index(times=np.arange(100) / 25)
    assert match(Path("m"), images(0, 10, 20, 30), images(0, 5, 10, 15), [0, 1, 2, 3]).tolist() == [0, -1, 1, -1]
    assert match(Path("m"), images(0, 19, 28), images(0, 9, 19, 28), [0, 1, 2]).tolist() == [0, -1, 1]
    assert match(Path("m"), images(*range(100)), video, [0, 10, 90]).tolist() == [0, 10, 90]
    assert match(Path("m"), images(0), images(0), [0]).tolist() == [0]
    with pytest.raises(VideoError, match="is one image, what it masks has 100 frames"):
        match(Path("m"), images(0), video, [0])
    with pytest.raises(VideoError, match="is a video, what it masks are images"):
        match(Path("m"), video, images(0, 1), [0])


def test_a_mask_of_another_method_is_not_taken(tmp_path: Path) -> None:
    for name in ("real/0001.mp4", "fake/A/0001.mp4", "fake/B/0001.mp4", "fake/C/x/0001.mp4"):
        empty(tmp_path / name)
    for name in ("A/0001.mp4", "C/x/0001.mp4"):
        empty(tmp_path / "masks" / name)
    assert {r.method: r.mask for r in folder.index(tmp_path) if r.label} == {
        "A": "masks/A/0001.mp4",
        "B": "",
        "C-x": "masks/C/x/0001.mp4",
    }


def test_a_folder_may_use_a_name_in_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        empty(tmp_path / split / "real/0001.mp4")
        empty(tmp_path / split / "fake/0001.mp4")
    listed = list(folder.index(tmp_path))
    check(listed, tmp_path)
    assert len(listed) == 4


def test_a_mended_list_is_believed_by_the_next_call(studio: Path, recipe: Recipe, tmp_path: Path) -> None:
    some = [r for r in ffpp.index(studio) if r.compression == "c23"][:2]
    prepare_here(some, studio, tmp_path, recipe)
    moved = [replace(r, split="test", identities=f"new{i}") for i, r in enumerate(some)]
    list(prepare_all(moved, studio, tmp_path, recipe, workers=1))
    now = rows(read(tmp_path / "manifest.csv"))
    assert [(r.split, r.identities, r.frames) for r in now] == [("test", f"new{i}", 48) for i in range(2)]


def test_each_data_set_of_deepfakebench_is_split_alone(material: Material, tmp_path: Path) -> None:
    trees_of_images.deepfakebench(material, tmp_path)
    home = tmp_path / "Celeb-DF-v2/Celeb-real"
    entries = {}
    for stem in ("id0_0000", "id0_0001", "id5_0000"):
        trees_of_images.processed(material, home, stem)
        entries[stem] = {"label": "CelebDFv2_real", "frames": [f"Celeb-DF-v2/Celeb-real/frames/{stem}/000.png"]}
    some = {name: entries[name] for name in ("id0_0001", "id5_0000")}
    content = {"CelebDFv2_real": {"train": some, "test": {"id0_0000": entries["id0_0000"]}}}
    text(tmp_path / "dataset_json/Celeb-DF-v2.json", {"Celeb-DF-v2": content})
    ff = json.loads((tmp_path / "dataset_json/FaceForensics++.json").read_text())
    ff["FaceForensics++"]["FF-real"]["val"] = ff["FaceForensics++"]["FF-real"].pop("test")
    del ff["FaceForensics++"]["FF-DF"]
    text(tmp_path / "dataset_json/FaceForensics++.json", ff)
    with collect_issues() as findings:
        listed = list(deepfakebench.index(tmp_path))
    check(listed, tmp_path)
    assert {r.stem for r in listed if r.dataset == "celeb_df_v2"} == {"id0_0000", "id5_0000"}
    assert any(f.kind == "held out" and "id0_0001" in f.path for f in findings)


def test_validation_of_linked_people_is_cut_by_person_alone() -> None:
    people = [f"id{i}" for i in range(60)]
    real = [f"id{i % 60}_{i:04d} id{i % 60}" for i in range(600)]
    fake = [f"id{i % 60}_{i:04d} id{i % 60} id{(i * 7 + i // 60) % 60}" for i in range(3000)]
    videos = [replace(row(str(i), [0], "train"), identities=who) for i, who in enumerate(real + fake)]
    cut = list(splits.separate_identities(videos))
    chosen = {name for name in people if splits.is_drawn("d", name)}
    for video in cut:
        assert (video.split == "val") == (set(list_people(video.identities)) <= chosen)
    # each person has ten real videos, and none is lost
    assert sum(len(list_people(video.identities)) == 1 and len(video.identities.split()) == 2 for video in cut) >= 600


@pytest.mark.parametrize(
    "line", ["\ufeff1 YouTube-real/00170.mp4", "1\tYouTube-real/00170.mp4", "1 YouTube-real\\00170.mp4"]
)
def test_a_list_of_celeb_df_as_other_systems_save_it(line: str, tmp_path: Path) -> None:
    for name in ("Celeb-real/id0_0001.mp4", "YouTube-real/00170.mp4", "Celeb-synthesis/id1_id2_0003.mp4"):
        empty(tmp_path / name)
    (tmp_path / celeb_df.LIST).write_text(line + "\r\n", encoding="utf-8")
    assert {r.stem for r in celeb_df.index_v2(tmp_path) if r.split == "test"} == {"00170"}
    (tmp_path / celeb_df.LIST).write_text("1 elsewhere/00170.mp4\n")
    with pytest.raises(UserError, match="names no video that is here, so that test videos would train"):
        list(celeb_df.index_v2(tmp_path))


def test_a_copy_without_real_videos_or_without_a_whole_method_is_not_passed(tmp_path: Path) -> None:
    pairs = {"train": [["000", "003"]], "val": [["010", "011"]], "test": [["020", "021"]]}
    for split, listed in pairs.items():
        text(tmp_path / f"{split}.json", listed)
        for a, b in listed:
            for stem in (f"{a}_{b}", f"{b}_{a}"):
                empty(tmp_path / f"manipulated_sequences/Deepfakes/c23/videos/{stem}.mp4")
    with collect_issues() as findings:
        videos = list(ffpp.index(tmp_path))
    assert explain_wrong([], videos, 0.01) == [f"no real video in {split}" for split in ("train", "val", "test")]
    counts = " ".join(f.text for f in findings if f.kind == "count")
    assert all(f"0 train {name} videos here" in counts for name in ("real", "Face2Face", "FaceSwap", "NeuralTextures"))


def test_what_is_wrong_with_one_video_is_skipped_with_its_reason(
    material: Material, recipe: Recipe, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    good = trees_of_images.faces(material, root / "frames/good")
    damaged = {"text": b"none", "short": b"", "few": None}
    for name, content in damaged.items():
        for number in (0, 10, 20):
            path = root / f"points/{name}/{number:03d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                np.save(path, np.zeros((5, 2)))
            else:
                path.write_bytes(content)
    (root / "points/gap").mkdir()
    one = replace(row("v", [1], "test"), path=f"frames/{good.name}", box="all")
    rows_of = [replace(one, stem=name, landmarks=f"points/{name}") for name in (*damaged, "gap")]
    rows_of += [replace(one, stem="beside", box="900 900 950 950"), one]
    text(
        root / "faces.json", {"images": [], "annotations": [{"id": 1, "image_id": 7, "segmentation": {"counts": "x"}}]}
    )
    rows_of += [replace(one, stem=f"mask{i}", path="frames/good/000.png", mask=f"faces.json::{i}") for i in (1, 2)]
    prepare_here(rows_of, root, tmp_path / "out", recipe)
    reasons = {skip.video.rpartition("/")[2]: skip.reason for skip in read_skipped(tmp_path / "out")}
    assert reasons.keys() == {"text", "short", "few", "gap", "beside", "mask1", "mask2"}
    assert "cannot be read" in reasons["text"]
    assert "not the 68 or 81 points" in reasons["few"]
    assert "has no landmarks for image 0" in reasons["gap"]
    assert "outside the 256 x 256 image" in reasons["beside"]
    assert "has no polygon of annotation" in reasons["mask1"]


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(2, 60))
def test_a_square_is_cut_exactly_where_it_meets_the_image(x: int, y: int, side: int) -> None:
    image = np.zeros((40, 50), np.uint8)
    meets = x < 50 and x + side > 0 and y < 40 and y + side > 0
    if meets:
        assert Square(x, y, side).cut(image, 8).shape == (8, 8)
    else:
        with pytest.raises(OutsideImage):
            Square(x, y, side).cut(image, 8)


def test_files_that_a_network_disk_leaves_among_the_parts_are_no_obstacle(
    studio: Path, recipe: Recipe, tmp_path: Path
) -> None:
    some = [r for r in ffpp.index(studio) if r.compression == "c23"][:1]
    contract.begin(tmp_path, recipe.contract())
    empty(tmp_path / "parts/.nfs0001")
    prepare_here(some, studio, tmp_path, recipe)
    empty(tmp_path / "parts/.nfs0002")
    assert list(prepare_all(some, studio, tmp_path, recipe, workers=1)) == [(1, 1)]
