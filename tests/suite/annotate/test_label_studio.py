"""A server of Label Studio: what is pushed to it, and what is pulled from it."""

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
from urllib.request import Request as Call
from urllib.request import urlopen

import pytest

from datamodules.annotation.request import read_request
from suite.__main__ import main
from tests.fixtures.asking import arguments, losses
from tests.fixtures.drawing import asked, painted, square
from tests.fixtures.needs import label_studio

__all__ = ["asked"]  # a fixture

TOKEN = "0123456789abcdef0123456789abcdef01234567"


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
