"""Faces as a project of Label Studio, and back: over files, and over the API of a real server in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datamodules.annotation import brush
from datamodules.annotation.label_studio import read_export
from datamodules.annotation.request import RequestedFace, read_request
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from tests.conftest import ROOT
from tests.fixtures.drawing import asked, painted, square

__all__ = ["asked"]  # a fixture


@given(arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_a_mask_is_itself_after_its_run_lengths(mask: np.ndarray) -> None:
    image = mask.astype(np.uint8) * 255
    assert np.array_equal(brush.decode(brush.encode(image), *mask.shape), image)


def test_run_lengths_are_those_of_label_studio_s_own_tools() -> None:
    for one in json.loads((ROOT / "tests/fixtures/label_studio_brushes.json").read_text()):
        mask = brush.decode(one["rle"], one["height"], one["width"])
        assert mask.any()
        assert np.array_equal(brush.decode(brush.encode(mask), *mask.shape), mask)
        ours = brush.encode(mask)  # they end in a byte more
        assert one["rle"][: len(ours)] == ours or one["height"] < 20  # and write single values in other bits


@pytest.mark.parametrize("cut", [0, 5, 7])
def test_run_lengths_that_are_damaged_are_refused(cut: int) -> None:
    rle = brush.encode(np.full((8, 8), 255, np.uint8))
    with pytest.raises(UserError, match="brush: ends too early"):
        brush.decode(rle[:cut], 8, 8)
    with pytest.raises(UserError, match="is of 256 values, not of 9 x 8 pixels"):
        brush.decode(rle, 9, 8)


FACE = "d%2FSwap%2Fc23%2F0 0 0.png"


def test_a_project_has_every_face_large_enough_to_draw_on(asked: Path, tmp_path: Path) -> None:
    main(["annotate", "export", "--run", str(asked), "--out", str(tmp_path / "p")])
    tasks = json.loads((tmp_path / "p/tasks.json").read_text())
    assert [task["data"]["score"] for task in tasks] == [3.0, 2.0, 1.0]
    assert all(task["data"]["image"].startswith("data:image/png;base64,") for task in tasks)
    region = tasks[0]["predictions"][0]["result"][0]
    before = brush.decode(region["value"]["rle"], region["original_height"], region["original_width"])
    assert before.shape == (512, 512)
    assert before[:8, :8].all()
    assert not before[:8, 8:].any()
    main(["annotate", "export", "--run", str(asked), "--out", str(tmp_path / "q"), "--inline", "false"])
    for task in json.loads((tmp_path / "q/tasks.json").read_text()):
        [place] = parse_qs(urlsplit(task["data"]["image"]).query)["d"]
        assert (tmp_path / "q" / place).is_file()


def test_what_was_drawn_comes_back_and_what_is_missing_is_named(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = read_request(asked).faces
    exported = [painted(faces[0].file, square()), {"data": {"face": faces[1].file}, "annotations": [{"result": []}]}]
    (tmp_path / "e.json").write_text(json.dumps(exported))
    main(["annotate", "import", "--file", str(tmp_path / "e.json"), "--run", str(asked)])
    said = capsys.readouterr().out
    assert "1 of 3 masks; missing, the first of them: d%2FSwap%2Fc23%2F1 0 1.png" in said
    mask = cv2.imread(str(asked / "masks" / faces[0].file), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert np.array_equal(mask, square())


CANCELLED = {**painted("", square())["annotations"][0], "was_cancelled": True}  # type: ignore[index]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_mask_stays_where_the_same_face_was_cancelled_in_another_task(asked: Path, turn: int) -> None:
    request = read_request(asked)
    name = request.faces[0].file
    cancelled = {"data": {"face": name}, "annotations": [{"was_cancelled": True, "result": []}]}
    found = read_export([painted(name, square()), cancelled][::turn], request)[request.faces[0]]
    assert found is not None
    assert np.array_equal(found, square())


@pytest.mark.parametrize("annotations", [[{"result": []}], [CANCELLED], [CANCELLED, {"result": []}]])
def test_a_mask_that_was_erased_or_cancelled_is_removed_and_one_of_a_face_nobody_annotated_stays(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], annotations: list[object]
) -> None:
    first, second, third = (face.file for face in read_request(asked).faces)
    command = ["annotate", "import", "--file", str(tmp_path / "e.json"), "--run", str(asked)]
    (tmp_path / "e.json").write_text(json.dumps([painted(name, square()) for name in (first, second, third)]))
    main(command)
    assert "3 of 3 masks\n" in capsys.readouterr().out
    later = [painted(second, 255 - square()), {"data": {"face": third}, "annotations": []}]
    (tmp_path / "e.json").write_text(json.dumps([{"data": {"face": first}, "annotations": annotations}, *later]))
    main(command)
    said = capsys.readouterr().out
    assert f"1 removed, since erased or cancelled: {first}\n" in said
    assert f"2 of 3 masks; missing, the first of them: {first}" in said
    assert sorted(path.name for path in (asked / "masks").iterdir()) == [second, third]
    mask = cv2.imread(str(asked / "masks" / second), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert np.array_equal(mask, 255 - square())
    main(command)
    assert "removed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("exported", "said"),
    [
        ("{}", "must hold a list"),
        ("no", "must be JSON"),
        ('[{"data": {"face": "other.png"}}]', "task 1: 'other.png' is no face that was asked for"),
        ("[3]", "task 1: None is no face"),
        ('[{"data": {"face": ["a"]}}]', "task 1: ['a'] is no face"),
        (f'[{{"data": {{"face": "{FACE}"}}, "annotations": null}}]', "its annotations are no list"),
        (f'[{{"data": {{"face": "{FACE}"}}, "annotations": ["x"]}}]', "its annotations are no list"),
        (f'[{{"data": {{"face": "{FACE}"}}, "annotations": [{{"result": [3]}}]}}]', "its result are no list"),
        (json.dumps([painted(FACE, np.zeros((4, 8), np.uint8))]), "8 x 4 pixels, turned or not square"),
    ],
)
def test_an_export_of_something_else_is_refused(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], exported: str, said: str
) -> None:
    (tmp_path / "e.json").write_text(exported)
    with pytest.raises(SystemExit):
        main(["annotate", "import", "--file", str(tmp_path / "e.json"), "--run", str(asked)])
    assert said in capsys.readouterr().err
    assert not (asked / "masks").exists()


def test_a_face_of_a_video_with_a_very_long_key_has_a_name_that_a_file_can_have() -> None:
    names = {RequestedFace("d/Swap/c23/" + "k" * 300, 0, frame).file for frame in range(2)}
    assert len(names) == 2
    assert {len(f".{name}.part") for name in names} == {254}
