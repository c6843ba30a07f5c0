"""Faces as a project of Label Studio, and back: over files, and over the API of a real server in a real browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request as Call
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datamodules.annotation import brush
from datamodules.annotation.label_studio import read_export
from datamodules.annotation.request import Request, RequestedFace, read_request
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from tests.conftest import ROOT
from tests.fixtures.asking import CHOICE, arguments, losses
from tests.fixtures.needs import label_studio

TOKEN = "0123456789abcdef0123456789abcdef01234567"


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


def painted(name: str, mask: np.ndarray) -> dict[str, object]:
    value = {"format": "rle", "rle": brush.encode(mask), "brushlabels": ["forged"]}
    height, width = mask.shape
    region = {"type": "brushlabels", "value": value, "original_width": width, "original_height": height}
    return {"data": {"face": name}, "annotations": [{"result": [region]}]}


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A run that asked for three masks, with images of the faces."""
    run = tmp_path / "run"
    faces = [RequestedFace(f"d/Swap/c23/{i}", 0, i) for i in range(3)]
    Request(faces=faces, scores=[3.0, 2.0, 1.0], choice=CHOICE).write(run)
    for folder, image in (("faces", np.full((64, 64, 3), 90, np.uint8)), ("found", np.eye(64, dtype=np.uint8) * 255)):
        (run / "request" / folder).mkdir(parents=True)
        for face in faces:
            cv2.imwrite(str(run / "request" / folder / face.file), image)
    return run


def square(side: int = 512) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = 255
    return mask


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


def test_without_a_server_or_a_token_it_says_so(
    asked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABEL_STUDIO_TOKEN", raising=False)
    here = ["--run", str(asked), "--url", "http://127.0.0.1:9"]
    for options, said in (
        (here, "token: give --token, or better set LABEL_STUDIO_TOKEN"),
        ([*here, "--token", TOKEN], "http://127.0.0.1:9/api/projects: no answer of Label Studio"),
        ([*here[:3], "ftp://x", "--token", TOKEN], "url ftp://x: must begin with http"),
        ([*here, "--token", f"{TOKEN}\r\nx"], "token: holds what no token does"),
    ):
        with pytest.raises(SystemExit):
            main(["annotate", "push", *options])
        said_err = capsys.readouterr().err
        assert said in said_err
        assert TOKEN not in said_err
    with pytest.raises(SystemExit):
        main(["annotate", "pull", "--run", str(asked), "--url", "http://127.0.0.1:9"])
    assert "run 'annotate push' first" in capsys.readouterr().err


class Elsewhere(BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/other")  # type: ignore[attr-defined]
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None: ...


def test_a_token_goes_to_the_server_that_was_named_and_nowhere_else(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        with pytest.raises(SystemExit):
            main(["annotate", "push", "--run", str(asked), "--url", url, "--token", TOKEN])
        other.shutdown()
    assert "is elsewhere, at http://localhost" in capsys.readouterr().err
    assert Elsewhere.seen == ["/api/projects"]


class Projects(BaseHTTPRequestHandler):
    """Numbers them from 1; each but the second has a mask of its own face."""

    made: ClassVar[list[object]] = []
    names: ClassVar[list[str]] = []

    def answer(self, content: object, code: int = 200) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/projects":
            self.made.append(self.path)
        self.answer({"id": len(self.made)})

    def do_GET(self) -> None:
        number = int(self.path.split("/")[3])
        self.answer([painted(self.names[number - 1], square())], 404 if number == 2 else 200)

    def log_message(self, *_: object) -> None: ...


def test_what_was_drawn_in_a_project_that_was_pushed_before_is_pulled_too(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Projects.names[:] = [face.file for face in read_request(asked).faces]
    with HTTPServer(("127.0.0.1", 0), Projects) as one:
        Thread(target=one.serve_forever, daemon=True).start()
        there = ["--run", str(asked), "--url", f"http://127.0.0.1:{one.server_port}", "--token", TOKEN]
        for verb in ("push", "push", "push", "pull"):
            main(["annotate", verb, *there])
        one.shutdown()
    assert sorted(path.name for path in (asked / "masks").iterdir()) == [Projects.names[0], Projects.names[2]]
    assert "2 of 3 masks; missing" in capsys.readouterr().out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = label_studio()
    if program is None:
        pytest.skip("Label Studio is not installed: set LABEL_STUDIO to its command")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    folder = tmp_path_factory.mktemp("label_studio")
    settings = {"BASE_DATA_DIR": str(folder), "USERNAME": "a@b.c", "PASSWORD": "long-enough", "USER_TOKEN": TOKEN}
    environment = {**os.environ, **{f"LABEL_STUDIO_{name}": value for name, value in settings.items()}}
    environment |= {"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true", "COLLECT_ANALYTICS": "0"}
    command = [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as one:
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(180):
                try:
                    urlopen(f"{url}/api/version", timeout=5).close()
                    break
                except OSError:
                    assert one.poll() is None, (folder / "log").read_text()[-2000:]
                    time.sleep(1)
            yield url
        finally:
            one.terminate()


def call(url: str, verb: str, path: str, content: object = None) -> object:
    data = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Token {TOKEN}"}
    with urlopen(Call(url + path, data, headers, method=verb), timeout=60) as answer:
        return json.load(answer)


def test_a_person_draws_on_a_real_server_and_the_training_goes_on_with_it(
    server: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", TOKEN)
    run = tmp_path / "run"
    person = ["--data.oracle", "datamodules.annotation.oracle.DrawnMasks", "--data.oracle.budget", "2"]
    command = [*arguments(prepared, run, *person), "--data.oracle.folder", str(run / "masks")]
    main(command)
    main(["annotate", "push", "--run", str(run), "--url", server])
    project = json.loads((run / "annotate.json").read_text())["project"]
    tasks = call(server, "GET", f"/api/tasks?project={project}&fields=all")
    listed = tasks["tasks"]  # type: ignore[index]
    assert {task["data"]["face"] for task in listed} == {face.file for face in read_request(run).faces}
    mask = square()
    for i, task in enumerate(listed):
        if i == 1:
            main(["annotate", "pull", "--run", str(run), "--url", server])
            assert "1 of 2 masks; missing" in capsys.readouterr().out
        region = painted("", mask)["annotations"][0]["result"][0]  # type: ignore[index]
        region |= {"id": "one", "from_name": "region", "to_name": "face", "image_rotation": 0}
        call(server, "POST", f"/api/tasks/{task['id']}/annotations", {"result": [region]})
    main(["annotate", "pull", "--run", str(run), "--url", server])
    assert "2 of 2 masks\n" in capsys.readouterr().out
    main([*command, "--ckpt_path", "last"])
    assert set(losses(run, "train/samples_per_s")) == {0, 1, 2, 3}
    written = [path for path in run.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert not written


def test_a_face_of_a_video_with_a_very_long_key_has_a_name_that_a_file_can_have() -> None:
    names = {RequestedFace("d/Swap/c23/" + "k" * 300, 0, frame).file for frame in range(2)}
    assert len(names) == 2
    assert {len(f".{name}.part") for name in names} == {254}
