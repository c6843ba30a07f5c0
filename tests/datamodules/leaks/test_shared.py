"""What a checkpoint keeps of its training, and what a test set shares with it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from callbacks.predictions import SHARED, tell_shared
from datamodules import manifest
from datamodules.datasets.ffpp import index
from datamodules.face_data import FaceData
from datamodules.leaks.fingerprints import Fingerprints, hash_look
from datamodules.leaks.homes import name_person
from datamodules.leaks.shared import ALIKE, UNKNOWN, SharedSet
from datamodules.manifest import Video
from datamodules.media.video import Decord
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from suite.runs.shared_videos import read_shared
from tests.fixtures.prepared_sets import rename
from tests.fixtures.runs import change, write_run


def trained(prepared: Path, **options: Any) -> dict[str, Any]:
    """What a checkpoint has, read back as one is."""
    file = io.BytesIO()
    torch.save(FaceData(prepared=prepared, **options).state_dict(), file)
    state: dict[str, Any] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    return state


def shared(prepared: Path, state: dict[str, Any]) -> tuple[list[SharedSet], set[str]]:
    data = FaceData(prepared=prepared)
    data.load_state_dict(state)
    assert data.shared_with_training is not None
    sets, videos = data.shared_with_training
    return sets, {one.video for one in videos}


def test_a_name_means_the_same_person_only_among_sets_that_share_them() -> None:
    def same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
        return name_person(*one) == name_person(*other)

    assert same(("ffpp", "c23", "003"), ("faceshifter", "c23", "003"))
    assert same(("ffpp", "c23", "003"), ("df40", "ff", "003"))
    assert same(("celeb_df_v2", "", "id3"), ("dfdm", "crf23", "id3"))
    assert same(("dfd", "c23", "01__walking"), ("synth_forensics", "crf23", "01__walking"))
    assert not same(("ffpp", "c23", "003"), ("folder", "", "003"))
    assert not same(("df40", "cdf", "id3"), ("df40", "own", "id3"))
    assert not same(("dfd", "c23", "01"), ("ffpp", "c23", "01"))
    assert name_person("folder", "", "003", "ffpp") == name_person("ffpp", "c23", "003")


def differ(one: np.ndarray, other: np.ndarray) -> int:
    """Bits."""
    return sum(int(a ^ b).bit_count() for a, b in zip(one.view(np.uint64), other.view(np.uint64), strict=True))


def test_a_look_survives_size_and_brightness(prepared: Path) -> None:
    rows = manifest.rows(manifest.read(prepared / "manifest.csv"))
    for row in [row for row in rows if row.label == 0]:
        face = cv2.imread(str(sorted((prepared / "crops" / row.folder).glob("*[0-9].png"))[0]))
        assert face is not None
        image = cv2.resize(face, (256, 256))
        small = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA)
        for changed in (small, np.clip(image * 0.8 + 10, 0, 255)):
            look = hash_look(np.asarray(changed, np.uint8))
            assert differ(look, hash_look(np.asarray(image, np.uint8))) <= ALIKE


def test_a_look_survives_the_coder_and_no_other_video_has_it(studio: Path) -> None:
    def look(compression: str, stem: str) -> np.ndarray:
        path = studio / f"original_sequences/youtube/{compression}/videos/{stem}.mp4"
        frame = Decord().read(path, [10])[0].numpy()
        height, width = frame.shape[:2]
        middle = frame[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
        return hash_look(np.ascontiguousarray(middle))

    stems = sorted(row.stem for row in index(studio) if (row.label, row.compression) == (0, "c23"))
    for stem in stems:
        assert differ(look("c23", stem), look("c40", stem)) <= ALIKE
        assert min(differ(look("c23", stem), look("c40", other)) for other in stems if other != stem) > 2 * ALIKE


def test_the_same_files_people_and_looks_are_found_and_counted(prepared: Path, tmp_path: Path) -> None:
    state = trained(prepared)
    assert shared(prepared, state) == ([], set())  # people are in one split only

    def moved(row: Video) -> dict[str, Any]:
        return {"split": {"train": "test", "test": "train"}.get(row.split, row.split)}

    again = rename(prepared, tmp_path / "again", "again", moved)
    rows = [row for row in manifest.rows(manifest.read(again / "manifest.csv")) if row.split == "test"]
    [found], videos = shared(again, state)
    assert (found.test, found.train) == ("again", "studio")
    assert (found.videos, found.shared, found.by_file, found.by_look) == (len(rows),) * 4
    assert found.by_people == 0  # of a set that is not known to have the same
    assert videos == {row.key for row in rows}

    coded = rename(prepared, tmp_path / "coded", "coded", lambda row: moved(row) | {"sha256": f"{0:016}"})
    [found], _ = shared(coded, state)
    assert (found.by_file, found.by_look) == (0, len(rows))


def test_people_are_found_where_sets_are_known_to_share_them(prepared: Path, tmp_path: Path) -> None:
    def unlike(row: Video) -> dict[str, Any]:
        return {"sha256": row.key[-16:].rjust(16, "0")}

    ours = rename(prepared, tmp_path / "ffpp", "ffpp", unlike)
    theirs = rename(prepared, tmp_path / "theirs", "faceshifter", lambda row: {"sha256": "", "split": "test"})
    state = trained(ours)
    state["fingerprints"][0] |= {"frames": state["fingerprints"][0]["frames"][:0]}
    [found], _ = shared(theirs, state)
    rows = manifest.rows(manifest.read(theirs / "manifest.csv"))
    trained_people = {
        name
        for row in manifest.rows(manifest.read(ours / "manifest.csv"))
        if row.split == "train"
        for name in row.identities.split()
    }
    mine = [row for row in rows if trained_people & set(row.identities.split())]
    assert (found.shared, found.by_people, found.people) == (len(mine), len(mine), len(trained_people))
    assert (found.by_file, found.by_look, found.looked) == (0, 0, 0)
    assert str(found).startswith(f"faceshifter: {len(mine)} of {len(rows)} test videos are in the training on ffpp (")


def test_a_checkpoint_keeps_no_names_and_an_older_one_knows_nothing(prepared: Path) -> None:
    data = FaceData(prepared=prepared)
    state = data.state_dict()
    [one] = state["fingerprints"]
    assert set(one) == {"dataset", "videos", "people", "files", "frames"}
    assert all(value.dtype == torch.int64 for value in one.values() if isinstance(value, torch.Tensor))
    del state["fingerprints"]
    data.load_state_dict(state)
    assert data.shared_with_training is None


def test_damaged_fingerprints_are_refused() -> None:
    words = torch.zeros(2, dtype=torch.int64)
    good = {"dataset": "d", "videos": 2, "people": words, "files": words, "frames": words.new_zeros(2, 3, 4)}
    assert Fingerprints.from_state(good).videos == 2
    for name, value in (("people", [1]), ("files", words.float()), ("frames", words), ("videos", "2")):
        with pytest.raises(UserError, match="fingerprints: are damaged"):
            Fingerprints.from_state(good | {name: value})
    with pytest.raises(UserError, match="not those of this version"):
        Fingerprints.from_state({"dataset": "d"})


def test_what_a_resumed_training_keeps_is_what_it_kept_before(prepared: Path) -> None:
    state = trained(prepared)
    data = FaceData(prepared=prepared)
    data.load_state_dict(state)
    [first], [second] = state["fingerprints"], data.state_dict()["fingerprints"]
    assert all(torch.equal(first[name], second[name]) for name in ("people", "files", "frames"))
    assert len(first["frames"]) == first["videos"]


def test_a_training_that_goes_on_with_other_data_keeps_what_it_saw_of_both(prepared: Path, visitors: Path) -> None:
    state = trained(prepared, methods=["Swap"])
    [mine] = state["fingerprints"]
    data = FaceData(prepared=visitors)
    data.load_state_dict(state)
    after = data.state_dict()
    names = [f"{mine['dataset']}/Swap", f"{mine['dataset']}/real"]
    assert data.trained_on == names  # as a test of the checkpoint has it
    assert after["trained_on"] == sorted([*names, "visitors/LocalEdit", "visitors/Swap", "visitors/real"])
    for kept in ("fingerprints", "seen"):
        assert [one["dataset"] for one in after[kept]] == [mine["dataset"], "visitors"]


def test_a_training_that_goes_on_with_more_of_a_data_set_keeps_its_videos_once(prepared: Path) -> None:
    data = FaceData(prepared=prepared)
    data.load_state_dict(trained(prepared, methods=["Swap"]))
    after, whole = data.state_dict(), trained(prepared)
    assert (after["trained_on"], after["seen"]) == (whole["trained_on"], whole["seen"])
    [found], [expected] = after["fingerprints"], whole["fingerprints"]
    assert found["videos"] == expected["videos"]
    for name in ("people", "files"):
        assert torch.equal(found[name], expected[name])
    assert sorted(found["frames"].tolist()) == sorted(expected["frames"].tolist())


def test_a_test_says_what_it_shares_in_its_files_and_its_report(
    prepared: Path, tmp_path: Path, few_resamples: None
) -> None:
    again = rename(prepared, tmp_path / "again", "again", lambda row: {"split": "test"})
    data = FaceData(prepared=again)
    assert tell_shared(data, tmp_path) == {}  # nothing was loaded
    data.load_state_dict(trained(prepared))
    del data.shared_with_training
    about = tell_shared(data, tmp_path)
    [found] = read_shared(about, "run") or []
    with (tmp_path / SHARED).open() as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == found.shared == found.by_file == 40
    assert found.videos == 80
    assert {(row["train"], row["people"], row["file"]) for row in rows if row["file"] == "True"} == {
        ("studio", "False", "True")
    }
    runs = [write_run(tmp_path / name) for name in ("known", "unknown")]
    encoded = {name.encode(): text.encode() for name, text in about.items()}
    change(runs[0], lambda table: table.replace_schema_metadata({**table.schema.metadata, **encoded}))
    for run in runs:
        main(["report", str(run)])
    known, unknown = ((run / "report.html").read_text() for run in runs)
    assert str(found) in known
    assert UNKNOWN in unknown
