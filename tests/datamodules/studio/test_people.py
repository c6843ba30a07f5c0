"""The people of the studio: anybody's folder of photographs, and who is in which split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from datamodules.faces.detection.base import Found, Image
from datamodules.faces.landmarks.base import FacePoints, Landmarks
from datamodules.issues import Finding, collect_issues
from datamodules.runtime.errors import UserError
from datamodules.studio.people import LONDON, SHARES, Person, read_people, split_people, split_sizes

PEOPLE = read_people()
NEUTRAL = np.stack([person.neutral.points for person in PEOPLE])
USED = ("001", "004", "009", "022", "042", "090")


class MeanFace(Landmarks):
    """London's average points, put into the box that a detector found."""

    UNIT = (NEUTRAL.mean(0) - NEUTRAL.mean(0).min(0)) / np.ptp(NEUTRAL.mean(0), axis=0)

    def fit(self, image: Image, found: Found) -> FacePoints:
        size = found.box[2:] - found.box[:2]
        return FacePoints(points=(found.box[:2] + self.UNIT * size).astype(np.float32))

    def fingerprint(self) -> str:
        return "mean"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six people in one photograph each, with nothing beside them."""
    for id in USED:
        shutil.copy(LONDON / f"{id}_neutral.jpg", tmp_path / f"{id}.jpg")
    return tmp_path


@pytest.fixture
def findings() -> Iterator[list[Finding]]:
    with collect_issues() as heard:
        yield heard


def read(path: Path) -> np.ndarray:
    return np.array(PIL.Image.open(path))


def test_ages_are_given_or_absent_and_fall_into_bands() -> None:
    by_id = {person.id: person.attributes for person in PEOPLE}
    assert by_id["001"] == {"age": "24", "gender": "female", "group": "white", "age_band": "under 25"}
    assert by_id["033"]["age_band"] == "25 to 34"
    assert by_id["136"]["age_band"] == "35 to 54"  # 54 years
    assert by_id["036"]["group"] == "east_asian/white"  # as it was reported
    assert by_id["031"] == {"gender": "male", "group": "white"}  # no age was given


def test_one_photograph_each_is_enough_and_the_model_finds_the_points(folder: Path, findings: list[Finding]) -> None:
    (folder / "people.csv").write_text("id,club\n001,red\n004,\n")
    people = read_people(folder, MeanFace())
    assert [person.id for person in people] == list(USED)
    assert all(person.smiling is None for person in people)
    assert [person.attributes for person in people[:2]] == [{"club": "red"}, {}]
    true = {person.id: person.neutral.points for person in PEOPLE}
    for person in people:
        points = person.neutral.points
        assert np.linalg.norm(points.mean(0) - true[person.id].mean(0)) < 40
        np.testing.assert_allclose((points - points.min(0)) / np.ptp(points, axis=0), MeanFace.UNIT, atol=1e-5)
    assert not findings


def test_the_face_mesh_is_used_where_no_points_are_given(folder: Path) -> None:
    true = {person.id: person.neutral.points for person in PEOPLE}
    for person in read_people(folder):
        assert np.linalg.norm(person.neutral.points - true[person.id], axis=1).mean() < 10


def test_points_that_are_given_are_taken_as_they_are_and_the_others_found(folder: Path) -> None:
    found = read_people(folder, MeanFace())[1].neutral.points
    given = PEOPLE[0].neutral.points + 1
    (folder / "points.json").write_text(json.dumps({"001": {"neutral": given.tolist()}}))
    first, second = read_people(folder, MeanFace())[:2]
    np.testing.assert_array_equal(first.neutral.points, given)
    np.testing.assert_array_equal(second.neutral.points, found)


def test_a_photograph_is_upright_whatever_way_the_camera_was_held(folder: Path) -> None:
    (folder / "001.jpg").unlink()
    upright = PIL.Image.open(LONDON / "001_neutral.jpg").crop((170, 0, 540, 700))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    upright.transpose(PIL.Image.Transpose.ROTATE_90).save(folder / "001.png", exif=exif)
    (person, *_) = read_people(folder, MeanFace())
    assert person.id == "001"
    np.testing.assert_array_equal(person.neutral.read(), np.array(upright))


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("landscape.png", "no face", "no face found"),
        ("two.png", "several faces", "2 faces, must be one"),
        ("small.png", "no face", "pixels wide, must be 80 or more"),
        ("lying.png", "no face", "must be upright"),
        ("torn.jpg", "corrupt", "cannot be read"),
        ("text.jpg", "corrupt", "cannot be read"),
        ("edge.png", "no face", "reaches over the edge"),
    ],
)
def test_who_cannot_be_used_is_left_out_and_named_with_the_reason(
    folder: Path, findings: list[Finding], name: str, kind: str, reason: str
) -> None:
    face = read(LONDON / "009_neutral.jpg")
    made = {
        "landscape.png": face[:120].copy(),
        "two.png": np.hstack([face[100:600, 100:600]] * 2),
        "small.png": cv2.resize(face, (160, 160), interpolation=cv2.INTER_AREA),
        "edge.png": face,
        "lying.png": np.rot90(face[:, :700]).copy(),
    }
    if name in made:
        cv2.imwrite(str(folder / name), made[name][..., ::-1])
    else:
        content = (LONDON / "009_neutral.jpg").read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2] if name == "torn.jpg" else b"no image")
    points = PEOPLE[8].neutral.points
    given = {"edge": {"neutral": (points + 250).tolist()}, "torn": {"neutral": points.tolist()}}
    if Path(name).stem in given:
        (folder / "points.json").write_text(json.dumps({Path(name).stem: given[Path(name).stem]}))
    people = read_people(folder, MeanFace())
    assert [person.id for person in people] == list(USED)
    (finding,) = findings
    assert (finding.kind, finding.path) == (kind, name)
    assert reason in finding.text


def test_a_smile_that_cannot_be_used_leaves_the_neutral_photograph(folder: Path, findings: list[Finding]) -> None:
    (folder / "001.jpg").rename(folder / "001_neutral.jpg")
    (folder / "001_smiling.jpg").write_bytes(b"no image")
    assert read_people(folder, MeanFace())[0].smiling is None
    assert [finding.path for finding in findings] == ["001_smiling.jpg"]


def test_a_smile_alone_and_other_files_are_named(folder: Path, findings: list[Finding]) -> None:
    shutil.copy(LONDON / "003_smiling.jpg", folder)
    (folder / "phone.heic").write_bytes(b"?")
    (folder / "people.csv").write_text("id,club\n777,red\n")
    assert len(read_people(folder, MeanFace())) == 6
    assert {(finding.kind, finding.path) for finding in findings} == {
        ("missing", "003_neutral.jpg"),
        ("unexpected", "phone.heic"),
        ("missing", "777.jpg"),
    }


def test_a_photograph_that_breaks_off_later_is_refused_when_it_is_read(folder: Path) -> None:
    person = read_people(folder, MeanFace())[0]
    person.neutral.path.write_bytes(person.neutral.path.read_bytes()[:20000])
    with pytest.raises(UserError, match=r"001\.jpg: cannot be read"):
        person.neutral.read()


def test_fewer_people_than_two_for_each_split_are_refused(folder: Path) -> None:
    (folder / "001.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"5 usable people, must be 6 or more.*left out: 001\.jpg \(cannot be read"):
        read_people(folder, MeanFace())
    with pytest.raises(UserError, match="no such folder"):
        read_people(folder / "nobody")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("people.csv", "name,age\n001,3\n", "must have a column id, has name, age"),
        ("people.csv", "id,age\n001,3\n001,4\n", "line 3: a second row of 001"),
        (
            "points.json",
            '{"001": {"neutral": [[1, 2]]}}',
            r"001, neutral: must be 68 finite points, is of shape \(1, 2\)",
        ),
        ("points.json", '["001"]', "points.json: must hold"),
        ("001.png", "", "001 has a neutral photograph already, 001.jpg"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(folder: Path, name: str, content: str, reason: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=reason):
        read_people(folder, MeanFace())


def share(people: list[Person], name: str, value: str) -> float:
    return sum(person.attributes.get(name) == value for person in people) / len(people)


def test_nobody_is_in_two_splits_of_70_12_and_20() -> None:
    splits = split_people(PEOPLE)
    assert {name: len(people) for name, people in splits.items()} == SHARES
    ids = [person.id for people in splits.values() for person in people]
    assert sorted(ids) == [person.id for person in PEOPLE]


@pytest.mark.parametrize(("name", "worst"), [("gender", 0.03), ("group", 0.053), ("age_band", 0.051)])
def test_shares_of_genders_groups_and_ages_differ_little_between_splits(name: str, worst: float) -> None:
    splits = split_people(PEOPLE)
    for value in {person.attributes.get(name, "") for person in PEOPLE} - {""}:
        shares = [share(people, name, value) for people in splits.values()]
        assert max(shares) - min(shares) <= worst, value


def test_the_first_of_each_split_are_of_both_genders() -> None:
    for people in split_people(PEOPLE).values():
        assert share(people[:2], "gender", "female") == 0.5


def test_splits_depend_on_neither_order_nor_files_nor_points() -> None:
    other = [
        replace(person, neutral=replace(person.neutral, path=Path("else.png"), points=person.neutral.points + 1))
        for person in reversed(PEOPLE)
    ]
    ids = [[person.id for person in people] for people in split_people(PEOPLE).values()]
    assert [[person.id for person in people] for people in split_people(other).values()] == ids
    # a draw that changed would show people of one studio's training in the test of another
    assert ids[1][:6] == ["107", "043", "017", "019", "120", "173"]


@pytest.mark.parametrize("count", [6, 7, 8, 9, 31, 583, 1000])
def test_other_numbers_are_split_evenly_and_in_proportion(count: int, findings: list[Finding]) -> None:
    people = [replace(PEOPLE[0], id=str(i)) for i in range(count)]
    sizes = {name: len(mine) for name, mine in split_people(people).items()}
    assert all(size % 2 == 0 and size >= 2 for size in sizes.values())
    assert sum(sizes.values()) == count - count % 2
    assert [finding.kind for finding in findings] == ["held out"] * (count % 2)
    if count > 30:
        assert all(abs(sizes[name] / count - of / 102) < 0.06 for name, of in SHARES.items())


def test_too_few_people_have_no_splits() -> None:
    with pytest.raises(UserError, match="5 people, must be 6 or more"):
        split_sizes(5)
