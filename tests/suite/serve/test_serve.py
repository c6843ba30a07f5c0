"""The server answers a browser, and strangers that mean it no good."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_modules.hub_folder import save
from lightning_modules.trained_method import load
from suite.__main__ import main
from tests.fixtures import clips
from tests.fixtures.browser import WIDTHS
from tests.fixtures.detecting import bomb, small
from tests.fixtures.head_clips import Frames, head, write
from tests.fixtures.needs import chromium
from tests.fixtures.served import Served, clip, folders

__all__ = ["clip", "head", "small"]  # fixtures


@pytest.fixture(scope="module")
def served(small: Path) -> Iterator[Served]:
    server = Served(small, "--bounds.max_megabytes", "2", "--bounds.analysis_seconds", "60", "--limits.seconds", "20")
    try:
        yield server
    finally:
        server.end()


def test_a_file_is_judged_and_shown_and_nothing_of_it_stays(served: Served, clip: bytes) -> None:
    job = served.send(clip, "../../etc/<b>x</b>.mp4")
    assert job["state"] == "done"
    assert job["name"] == "b>.mp4"  # what comes after the last slash
    assert job["verdict"] in ("forged", "unclear", "no forgery found")
    base = f"/files/{job['id']}"
    page = served.client.get(f"{base}/page.html")
    assert "<b>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert served.client.get(f"{base}/annotated.mp4", headers={"Range": "bytes=0-99"}).status_code == 206
    assert served.client.get(f"{base}/result.json").json()["file"]["name"] == "b>.mp4"
    [folder] = [f for f in folders() if (f / job["id"]).exists()]
    assert sorted(path.name for path in (folder / job["id"]).iterdir()) == ["out"]  # the upload is gone
    for name in ("upload.video", "..%2Fout%2Fresult.json", "%2e%2e", "config.json", ".result.json.part"):
        assert served.client.get(f"{base}/{name}").status_code == 404
    assert served.client.delete(base).status_code == 204
    assert served.client.get(base).status_code == 404
    assert not (folder / job["id"]).exists()


HOSTILE: dict[str, tuple[Any, str]] = {
    "nothing": (lambda clip: b"", "is empty"),
    "words": (lambda clip: b"no video at all\n" * 100, "Invalid data"),
    "huge": (lambda clip: bytes(3 * 2**20), "larger than 2 MB"),
    "truncated": (lambda clip: clip[: len(clip) // 2], "clip.mp4: "),
    "large dimensions": (lambda clip: bomb(60_000, 60_000), "has 3600000000 pixels a frame"),
    "other files": (lambda clip: b"ffconcat version 1.0\nfile /etc/passwd\n", "in no container that is read"),
    "a script": (lambda clip: b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "clip.mp4: "),
    "random bytes as an image": (
        lambda clip: b"\xff\xd8\xff" + np.random.default_rng(0).bytes(5000),
        "clip.mp4: ",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_gets_its_answer_and_costs_no_other(kind: str, served: Served, clip: bytes) -> None:
    make, reason = HOSTILE[kind]
    job = served.send(make(clip))
    assert job["state"] in ("failed", 400, 413)
    assert reason in job["message"]
    assert "/tmp" not in job["message"]  # nothing of this machine
    assert served.send(clip)["state"] == "done"


def test_no_file_makes_the_server_open_another_address(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/x.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n"
        for content in (playlist, f"ffconcat version 1.0\nfile {address}\n"):
            assert served.send(content.encode())["state"] == "failed"
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_long_video_and_a_lying_length_are_refused(served: Served, tmp_path: Path) -> None:
    long = clips.write(
        tmp_path / "long.mp4", length=600, size=(64, 64), draw=lambda i, w, h: np.zeros((h, w, 3), np.uint8)
    )
    assert "is 24.0 s long; the limit is 20 s" in served.send(long.read_bytes())["message"]
    host, port = served.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(f"POST /files HTTP/1.1\r\nHost: {host}\r\nContent-Length: {10**12}\r\n\r\nx".encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 413")


def test_what_cannot_be_asked_is_refused_before_anybody_sends_a_file(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = load(small)
    save(replace(known, contract=known.contract | {"detector": "others"}), tmp_path / "other")
    with pytest.raises(SystemExit):
        main(["serve", "--checkpoint", str(tmp_path / "other"), "--port", "0", "--device", "cpu"])
    said = capsys.readouterr()
    assert "and 'others' there" in said.err
    assert "takes files" not in said.out


def test_pages_of_others_cannot_use_it(served: Served, clip: bytes) -> None:
    assert served.client.get("/", headers={"Host": "evil.example"}).status_code == 400
    answer = served.client.post("/files", content=clip, headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["error"]) == (403, "sent by a page of http://evil.example")
    assert served.client.get("/files/unknown").status_code == 404
    assert served.client.delete("/files/unknown").status_code == 404


@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
def test_a_browser_uploads_a_video_and_shows_what_was_found(served: Served, head: Frames, tmp_path: Path) -> None:
    from playwright.sync_api import FilePayload, sync_playwright

    path = write(tmp_path / "a <b>clip.mp4", head, sound=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.address)
        broken: FilePayload = {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
        page.set_input_files("#file", files=[broken])
        page.locator("#said.wrong", has_text="broken.mp4: Invalid data").wait_for()
        page.set_input_files("#file", path)
        page.locator(
            "#said:is(.forged, .unclear, .real)", has_text=re.compile(r"clip\.mp4: (forged|unclear|no forgery found)")
        ).wait_for()
        result = page.frame_locator("#result")
        result.locator("#verdict").wait_for()
        assert result.locator("b").count() == 0
        [frame] = [one for one in page.frames if one.url.endswith("page.html")]
        video = "document.getElementById('video')"
        ready = f"new Promise(end => {{ const look = () => {video}.readyState > 1 || {video}.error ? end()"
        ready += " : setTimeout(look, 50); look(); })"
        frame.evaluate(ready)
        seen = frame.evaluate(f"[{video}.videoWidth, {video}.duration, {video}.error]")
        assert seen[0] == head.shape[2]
        assert abs(seen[1] - len(head) / 25) < 0.15
        assert seen[2] is None
        result.locator(".frames button").last.click()
        assert frame.evaluate(f"{video}.currentTime") > 0.1
        assert frame.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
        hidden = f"{video}.clientHeight - {video}.clientWidth * {video}.videoHeight / {video}.videoWidth"
        assert frame.evaluate(hidden) >= 72  # room for the controls below the frames and their curve
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert complaints == []
        browser.close()
