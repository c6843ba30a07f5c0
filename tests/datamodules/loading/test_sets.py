"""Several prepared sets are drawn from by weight, and refused where they do not fit together."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.loading.prepared_set import PreparedSet
from datamodules.manifest import Video
from datamodules.prepared import checksums
from datamodules.runtime.errors import UserError
from datamodules.synthesis.face_blend import FaceBlend
from datamodules.synthesis.nearest_faces import WithSources
from tests.fixtures.prepared_sets import rename


def several(*sets: PreparedSet, **changes: Any) -> FaceData:
    options: dict[str, Any] = {"batch_size": 8, "num_workers": 0, "clips_per_face": 2, "eval_clips": 2}
    return FaceData(sets=list(sets), **options | changes)


@pytest.fixture
def both(prepared: Path, visitors: Path) -> FaceData:
    return several(PreparedSet(prepared=prepared), PreparedSet(prepared=visitors, weight=2))


def seen(batches: list[Batch]) -> Counter[tuple[str, int]]:
    """Samples of each (data set, label)."""
    pairs = [
        (video.split("/")[0], label) for b in batches for video, label in zip(b.video, b.label.tolist(), strict=True)
    ]
    return Counter(pairs)


def by_frame(data: FaceData) -> dict[tuple[str, int, int], tuple[torch.Tensor, ...]]:
    """Faces of the test split, by stem, track and frame."""
    out: dict[tuple[str, int, int], tuple[torch.Tensor, ...]] = {}
    for batch in data.test_dataloader():
        for i, video in enumerate(batch.video):
            key = video.split("/", 1)[1], int(batch.track[i]), int(batch.numbers[i, 0])
            out[key] = batch.frames[i], batch.landmarks[i], batch.mask[i]
    return out


def test_each_set_is_read_from_its_own_folder_and_root(studio: Path, prepared: Path, tmp_path: Path) -> None:
    fakes = rename(prepared, tmp_path / "f", "f", lambda row: {} if row.label else None)
    reals = rename(prepared, tmp_path / "r", "r", lambda row: None if row.label else {})
    shutil.rmtree(fakes / "crops/studio/real")
    for folder in (reals / "crops/studio").iterdir():
        if folder.name != "real":
            shutil.rmtree(folder)
    root = tmp_path / "root"
    shutil.copytree(studio, root, copy_function=os.link)
    shutil.rmtree(root / "original_sequences")
    expected = by_frame(several(PreparedSet(prepared=prepared)))
    for source in ("crops", "videos"):
        found = by_frame(
            several(
                PreparedSet(prepared=fakes, root=root), PreparedSet(prepared=reals, root=studio), frame_source=source
            )
        )
        assert found.keys() == expected.keys()
        for key, parts in found.items():
            assert all(torch.equal(one, other) for one, other in zip(parts, expected[key], strict=True))


def test_training_has_twice_as_many_faces_of_the_set_of_twice_the_weight_and_as_many_reals_as_fakes(
    both: FaceData,
) -> None:
    counted = seen(list(both.train_dataloader()))
    assert abs(counted["visitors", 0] - 2 * counted["studio", 0]) <= 8  # the last step is left out
    assert abs(counted["visitors", 1] - 2 * counted["studio", 1]) <= 8
    assert abs(counted["visitors", 1] - counted["visitors", 0]) <= 8
    assert both.training_methods()[-1] == "visitors/real"
    assert "studio/Swap" in both.training_methods()
    assert both.state_dict()["trained_on"] == both.training_methods()


def test_workers_do_not_change_what_is_drawn_of_several_sets(prepared: Path, visitors: Path, both: FaceData) -> None:
    sets = PreparedSet(prepared=prepared), PreparedSet(prepared=visitors, weight=2)
    for one, other in zip(both.train_dataloader(), several(*sets, num_workers=2).train_dataloader(), strict=True):
        assert one.video == other.video
        assert torch.equal(one.frames, other.frames)


def test_videos_are_read_only_where_each_set_has_a_root(studio: Path, prepared: Path, visitors: Path) -> None:
    sets = PreparedSet(prepared=prepared, root=studio), PreparedSet(prepared=visitors)
    with pytest.raises(UserError, match=rf"frame_source 'videos': give root, the folder of the data set of {visitors}"):
        several(*sets, frame_source="videos")


def test_each_set_trains_on_its_own_forgeries(prepared: Path, visitors: Path) -> None:
    data = several(PreparedSet(prepared=prepared, methods=["Swap"]), PreparedSet(prepared=visitors, methods=[]))
    assert data.training_methods() == ["studio/Swap", "studio/real", "visitors/real"]
    assert seen(list(data.train_dataloader())).keys() == {("studio", 0), ("studio", 1), ("visitors", 0)}


def test_a_face_is_blended_with_one_of_any_set(prepared: Path, visitors: Path) -> None:
    sets = PreparedSet(prepared=prepared), PreparedSet(prepared=visitors)
    data = several(*sets, synthesis=FaceBlend(), image_size=64)
    loader = data.train_dataloader()
    assert isinstance(loader.dataset, WithSources)
    crossed = 0
    for batch in loader:
        shown, sources = batch.video[:8], batch.video[8:]
        assert all(a != b for a, b in zip(shown, sources, strict=True))
        crossed += sum(a.split("/")[0] != b.split("/")[0] for a, b in zip(shown, sources, strict=True))
    assert crossed > 0
    by_key = {key: i for i, (key, _) in enumerate(loader.dataset.clips.known.owners())}
    candidates = loader.dataset.candidates
    for row in (0, -1):  # of the first set and of the last
        face = loader.dataset.clips.known.face(int(candidates.face[row]))
        assert by_key[face.row.key] == candidates.face[row]
        assert int(candidates.frame[row]) in face.frames


def test_sets_prepared_differently_are_refused_with_both_folders(
    prepared: Path, visitors: Path, tmp_path: Path
) -> None:
    other = rename(prepared, tmp_path / "wide", "wide")
    contract = json.loads((other / "contract.json").read_text())
    (other / "contract.json").unlink()
    (other / "contract.json").write_text(json.dumps(contract | {"margin": 1.5, "frames": 4}))
    checksums.write(other, checksums.read(other) | {"contract.json": [checksums.digest(other / "contract.json")]})
    data = several(PreparedSet(prepared=prepared), PreparedSet(prepared=other))
    message = (
        rf"{other} \(there\), beside {prepared} \(here\), was prepared differently: margin is 1\.3 here and 1\.5 there"
    )
    message += r"; prepare it so: python -m suite prepare .* --margin 1\.5$"
    with pytest.raises(UserError, match=message):
        data.setup("fit")
    with pytest.raises(UserError, match="was prepared differently"):
        data.train_dataloader()


def moved(identity: str, split: str, **more: str) -> Any:
    """Only the people whose name begins so, in another split."""

    def change(row: Video) -> dict[str, Any] | None:
        return {"split": split, **more} if row.identities.startswith(identity) else None

    return change


def of_training(prepared: Path) -> Video:
    rows = several(PreparedSet(prepared=prepared)).videos("train").to_pylist()
    return Video(**next(row for row in rows if row["label"] == 0))


def test_a_person_in_two_splits_over_sets_is_refused_by_name_if_they_are_the_same_people(
    prepared: Path, tmp_path: Path
) -> None:
    name = of_training(prepared).identities.split()[0]
    leaky = rename(prepared, tmp_path / "leaky", "leaky", moved(name, "test", sha256=""))
    several(PreparedSet(prepared=prepared), PreparedSet(prepared=leaky)).setup("test")  # of the same name, no more
    same = several(PreparedSet(prepared=prepared), PreparedSet(prepared=leaky, people="studio"))
    where = rf"'train' of {prepared} and in 'test' of {leaky}; leave one out or"
    with pytest.raises(UserError, match=rf"identity '{name}' of studio is in {where}"):
        same.setup("fit")
    third = rename(prepared, tmp_path / "third", "studio", moved(name, "test", sha256="", compression="c40"))
    with pytest.raises(UserError, match=rf"identity '{name}' of studio is in 'train' of {prepared}"):
        several(PreparedSet(prepared=prepared, name="a"), PreparedSet(prepared=third, name="b")).setup("fit")
    others = PreparedSet(prepared=third, name="b", people="others")
    several(PreparedSet(prepared=prepared, name="a"), others).setup("fit")


def test_the_same_file_in_two_splits_over_sets_is_refused_by_name(prepared: Path, tmp_path: Path) -> None:
    row = of_training(prepared)
    leaky = rename(prepared, tmp_path / "leaky", "leaky", moved(row.identities.split()[0], "val"))
    message = rf"{leaky}: .* is in 'val', and the same file in 'train' of {prepared}; leave one out"
    with pytest.raises(UserError, match=message):
        several(PreparedSet(prepared=prepared), PreparedSet(prepared=leaky)).setup("fit")


def test_a_video_and_a_name_are_those_of_one_set(prepared: Path, visitors: Path) -> None:
    with pytest.raises(UserError, match=rf"{prepared} and {prepared} are all called 'studio'; give each a name"):
        several(PreparedSet(prepared=prepared), PreparedSet(prepared=prepared)).setup("fit")
    with pytest.raises(UserError, match=r"both have studio/\w+/c23/\w+; a video, and its name, is in one set only"):
        several(PreparedSet(prepared=prepared), PreparedSet(prepared=prepared, name="again")).setup("fit")
    for wrong, said in (
        ({"weight": 0.0}, "weight 0: must be above 0"),
        ({"name": "a/b"}, "name 'a/b': must be a word"),
    ):
        with pytest.raises(UserError, match=said):
            PreparedSet(prepared=visitors, **wrong)


def test_a_set_without_a_validation_split_is_passed_over_there_and_one_without_training_refused(
    prepared: Path, tmp_path: Path
) -> None:
    trains = rename(prepared, tmp_path / "a", "a", lambda row: {} if row.split == "train" else None)
    tests = rename(prepared, tmp_path / "b", "b", lambda row: {} if row.split == "test" else None)
    data = several(PreparedSet(prepared=prepared), PreparedSet(prepared=trains))
    assert {key[0] for key in seen(list(data.val_dataloader()))} == {"studio"}
    assert {key[0] for key in seen(list(data.train_dataloader()))} == {"studio", "a"}
    data = several(PreparedSet(prepared=prepared), PreparedSet(prepared=tests))
    assert {key[0] for key in seen(list(data.test_dataloader()))} == {"studio", "b"}
    with pytest.raises(UserError, match=rf"{tests / 'manifest.csv'}: no train video"):
        data.train_dataloader()


def test_a_set_that_gives_no_pair_is_refused(prepared: Path, visitors: Path) -> None:
    sets = PreparedSet(prepared=prepared), PreparedSet(prepared=visitors, methods=[])
    with pytest.raises(UserError, match=rf"{visitors}: gives nothing to train on"):
        several(*sets, pairs=True).train_dataloader()
    paired = several(sets[0], PreparedSet(prepared=visitors), pairs=True)
    for batch in paired.train_dataloader():
        for fake, real in zip(batch.video[::2], batch.video[1::2], strict=True):
            assert fake.split("/")[0] == real.split("/")[0]


def test_what_takes_one_data_set_says_so(prepared: Path, both: FaceData) -> None:
    for of in (both.list_dataset, lambda: both.prepared, lambda: both.root):
        with pytest.raises(
            UserError, match=r"data\.sets: this takes one data set, not 2; give it by --data FILE\.yaml"
        ):
            of()
    with pytest.raises(UserError, match=r"data\.prepared: each of data\.sets has its own; give one of the two"):
        several(PreparedSet(prepared=prepared), prepared=prepared)
    with pytest.raises(UserError, match=r"data\.sets: is empty"):
        several()
