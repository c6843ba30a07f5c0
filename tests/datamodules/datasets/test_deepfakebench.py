"""Faces and lists go to DeepfakeBench and come back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from datamodules import manifest
from datamodules.datasets.deepfakebench import index, people
from datamodules.issues import collect_issues
from datamodules.media.image import decode
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import load
from datamodules.studio.forgeries.all import FORGERIES
from suite.__main__ import main
from tests.fixtures.prepared_here import prepare_here


def test_what_is_written_for_deepfakebench_is_what_was_prepared(prepared: Path, recipe: Recipe, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    main(["deepfakebench", "--prepared", str(prepared), "--out", str(tree)])
    listed = json.loads((tree / "dataset_json/studio.json").read_text())["studio"]
    assert {name for name in listed if name.endswith("Real")} == {"studio_Real"}
    assert listed["studio_Swap"].keys() == {"train", "val", "test"}
    forged, entry = next(iter(listed["studio_Swap"]["val"].items()))
    real = forged[:3]
    assert entry["label"] == "studio_Swap"
    assert len(entry["frames"]) == len(entry["masks"]) == 8
    for path in entry["frames"]:
        # this is how its loader finds the other two
        points = np.load(tree / path.replace("frames", "landmarks").replace(".png", ".npy"))
        assert (points.shape, points.dtype) == ((81, 2), np.int64)
        assert decode((tree / path.replace("frames", "masks")).read_bytes()).max() == 255

    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    back = list(index(tree))
    assert {(r.method, r.stem, r.split, r.label) for r in back} == {(r.method, r.stem, r.split, r.label) for r in rows}
    some = [row for row in back if row.stem in (real, forged)]
    prepare_here(some, tree, tmp_path / "again", recipe)

    first, second = (
        {(*row["video"].split("/")[1::2], row["frame"]): row for row in load(folder / "crops.arrow").to_pylist()}
        for folder in (prepared, tmp_path / "again")
    )
    order = {number: i for i, number in enumerate(sorted({key[2] for key in first}))}  # images are counted anew
    compared = 0
    for (method, stem, number), crop in first.items():
        if stem not in (real, forged):
            continue
        other = second[method, stem, order[number]]
        for kind in ("image", "mask"):
            if kind == "image" or crop[kind]:
                one, two = (prepared / crop[kind]).read_bytes(), (tmp_path / "again" / other[kind]).read_bytes()
                assert np.array_equal(decode(one), decode(two)), (method, stem, number, kind)
                compared += 1
    assert compared == 8 + len(FORGERIES) * 16


def test_a_fake_and_what_it_was_made_of_are_in_one_split(tmp_path: Path) -> None:
    lists: dict[str, dict[str, dict[str, object]]] = {
        name: {"train": {}, "test": {}} for name in ("DFDCP_Real", "DFDCP_FakeA")
    }
    for i in range(60):
        target, split = f"{1000000 + i}_A_001", "train" if i < 50 else "test"
        for name, stem in (("DFDCP_Real", target), ("DFDCP_FakeA", f"{2000000 + i}_{target}")):
            image = Path(f"DFDCP/{name}/frames/{stem}/000.png")
            (tmp_path / image).parent.mkdir(parents=True)
            lists[name][split][stem] = {"label": name, "frames": [image.as_posix()]}
    (tmp_path / "dataset_json").mkdir()
    (tmp_path / "dataset_json/DFDCP.json").write_text(json.dumps({"DFDCP": lists}))
    rows = list(index(tmp_path))
    split_of = {row.stem: row.split for row in rows if not row.label}
    fakes = [row for row in rows if row.label]
    assert set(split_of.values()) == {"train", "val", "test"}
    assert len(split_of) == 60
    # a fake whose two people are drawn for two splits is left out
    assert 40 < len(fakes) <= 60
    assert all(split_of[row.stem.partition("_")[2]] == row.split for row in fakes)


@pytest.mark.parametrize(
    ("dataset", "stem", "expected"),
    [
        ("dfdcp", "1000001_A_003", "1000001_A_003 1000001"),
        ("dfdcp", "2000002_1000001_A_003", "1000001_A_003 1000001 2000002"),
        ("deeperforensics", "001_M102", "001 M102"),
        ("dfd", "01_02__walking__0123ABCD", "01__walking 01 02"),
        ("dfd", "01__walking", "01__walking 01"),
        ("ffpp", "033_097", "033 097"),
        ("uadfv", "0007_fake", "0007"),
    ],
)
def test_people_are_those_that_the_reader_of_the_data_set_itself_names(dataset: str, stem: str, expected: str) -> None:
    assert people(dataset, stem) == expected


def test_a_listed_path_or_an_end_of_it_begins_in_the_root_and_is_not_searched_for(tmp_path: Path) -> None:
    listed = {"0000": "/disk/rgb/UADFV/real/frames/0000", "0001": "UADFV/real/frames/0001", "0002": "frames/0002"}
    entries = {stem: {"label": "UADFV_Real", "frames": [f"{path}/000.png"]} for stem, path in listed.items()}
    (tmp_path / "dataset_json").mkdir()
    content = {"UADFV": {"UADFV_Real": {"test": entries}}}
    (tmp_path / "dataset_json/UADFV.json").write_text(json.dumps(content))
    for folder in ("real/frames/0000", "UADFV/real/frames/0001", "deep/below/frames/0002"):
        (tmp_path / folder).mkdir(parents=True)
    with collect_issues() as findings:
        assert [row.path for row in index(tmp_path)] == ["real/frames/0000", "UADFV/real/frames/0001"]
    assert [(one.kind, one.path) for one in findings] == [("missing", "frames/0002/000.png")]
