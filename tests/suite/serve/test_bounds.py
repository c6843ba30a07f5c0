"""No stranger can keep the others out, fill the disk, or make the worker take more than its share."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import psutil
import pytest

from suite.serve.confinement import lower_user
from suite.serve.folders import LOCK, PREFIX, take_over, try_lock
from tests.fixtures.detecting import small
from tests.fixtures.head_clips import head
from tests.fixtures.served import Served, clip, folders

__all__ = ["clip", "head", "small"]  # fixtures
IDLE = 2.0
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")


@pytest.fixture(scope="module")
def strict(small: Path) -> Iterator[Served]:
    options = {
        "--bounds.max_megabytes": 2,
        "--bounds.max_pending_megabytes": 3,
        "--bounds.max_waiting": 2,
        "--bounds.max_connections": 16,
        "--bounds.idle_seconds": IDLE,
        "--bounds.min_kilobytes_per_second": 4,
        "--bounds.memory_megabytes": 300,
        "--bounds.max_kept_megabytes": 0.5,
        "--bounds.analysis_seconds": 15,
        "--limits.image_pixels": 1_000_000_000,
    }
    server = Served(small, *(str(part) for option in options.items() for part in option))
    try:
        yield server
    finally:
        server.end()


def ended(line: socket.socket) -> bytes:
    """All that comes before the other side closes."""
    content = b""
    with contextlib.suppress(ConnectionError):
        while block := line.recv(65536):
            content += block
    return content


def trickle(line: socket.socket, block: bytes) -> None:
    for _ in range(int(5 * IDLE / 0.2)):
        line.sendall(block)
        time.sleep(0.2)


def test_half_open_connections_keep_nobody_out(strict: Served) -> None:
    lines = [strict.connect(b"GET / HTTP/1.1\r\nHost: 127") for _ in range(64)]
    begun = time.monotonic()
    assert httpx.get(strict.address, timeout=30).status_code == 200  # while they are open: the oldest makes room
    assert time.monotonic() - begun < IDLE
    assert [ended(line) for line in lines] == [b""] * 64


def test_headers_that_trickle_or_never_end_are_cut(strict: Served) -> None:
    line = strict.connect(b"GET / HTTP/1.1\r\n")
    begun = time.monotonic()
    with pytest.raises(ConnectionError):
        trickle(line, b"a: b\r\n")
    assert time.monotonic() - begun < 3 * IDLE
    line = strict.connect(b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 40_000)
    assert ended(line)[:12] in (b"HTTP/1.1 400", b"")  # cut while more was under way


def test_a_refused_body_ends_soon(strict: Served) -> None:
    line = strict.connect(strict.request(10**12))
    assert line.recv(100).startswith(b"HTTP/1.1 413")
    with pytest.raises(ConnectionError):
        trickle(line, b"x" * 1000)


def test_bodies_that_stop_or_trickle_free_their_places(strict: Served, clip: bytes) -> None:
    still = strict.connect(strict.request(100) + b"x")
    slow = strict.connect(strict.request(100_000) + b"x")
    with contextlib.suppress(ConnectionError):
        for _ in range(60):
            slow.sendall(b"x" * 10)
            time.sleep(0.1)
            slow.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                if answer := slow.recv(1000):
                    break
            slow.settimeout(30)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"at less than 4 kB a second" in answer
    assert b"nothing came for 2 s" in still.recv(1000)
    assert strict.send(clip)["state"] == "done"


def test_uploads_in_flight_count_before_a_byte_is_stored(strict: Served, clip: bytes) -> None:
    first = strict.connect(strict.request(2 * 2**20) + b"x")
    time.sleep(0.3)
    second = strict.connect(strict.request(2 * 2**20) + b"x")  # 4 MB of 3, 2 bytes of which are there
    assert second.recv(100).startswith(b"HTTP/1.1 503")
    unknown = strict.connect(b"POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    assert unknown.recv(100).startswith(b"HTTP/1.1 503")  # may be as large as any
    few = [strict.connect(strict.request(100) + b"x") for _ in range(2)]
    time.sleep(0.3)
    assert strict.send(clip)["state"] == 503  # three are being sent, of which two may wait
    for line in (first, *few):
        line.close()
    for _ in range(50):
        if (job := strict.send(clip))["state"] == "done":
            break
        time.sleep(0.1)
    assert job["state"] == "done"


def test_the_oldest_results_make_room_for_others(strict: Served, clip: bytes) -> None:
    keys: list[str] = []
    are_kept = [True]
    while are_kept[0]:
        assert len(keys) < 40
        job = strict.send(clip)
        assert job["state"] == "done", job["message"]
        keys.append(job["id"])
        are_kept = [strict.client.get(f"/files/{key}").status_code == 200 for key in keys]
    assert are_kept[-1]
    assert are_kept == sorted(are_kept)
    [folder] = [f for f in folders() if (f / keys[-1]).exists()]
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 2**19


def blank(side: int) -> bytes:
    """A PNG of a square that is really there: small as a file, huge as an image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    press = zlib.compressobj(1)
    rows = b"".join(press.compress(bytes(3 * side + 1)) for _ in range(side)) + press.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def endless() -> bytes:
    """One large image again and again: many seconds of work in a small file."""
    import io

    image = np.full((1440, 1920, 3), 128, np.uint8)
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=25, options={"qmin": "31", "qmax": "31"})
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuvj420p"
        [packet] = [*stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")), *stream.encode(None)][:1]
        content = bytes(packet)
        for i in range(900):
            again = av.Packet(content)
            again.stream, again.pts, again.dts, again.time_base = stream, i, i, packet.time_base
            container.mux(again)
    return file.getvalue()


@on_linux
def test_an_image_that_needs_too_much_memory_costs_no_other(strict: Served, clip: bytes) -> None:
    content = blank(11_000)  # 346 MiB
    assert len(content) < 2 * 2**20
    job = strict.send(content, "bomb.png")
    assert job["state"] == "failed"
    assert "memory" in job["message"]
    assert strict.send(clip)["state"] == "done"


@on_linux
def test_the_worker_has_no_network_no_programs_and_few_files(strict: Served, clip: bytes) -> None:
    import resource

    assert strict.send(clip)["state"] == "done"  # confined by now
    worker = strict.worker()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    for task in Path(f"/proc/{worker.pid}/task").iterdir():
        assert "Seccomp:\t2" in (task / "status").read_text()  # threads that began earlier, too
    assert worker.rlimit(resource.RLIMIT_FSIZE) == (2**19, 2**19)
    assert worker.rlimit(resource.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(resource.RLIMIT_NOFILE) == (512, 512)
    assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"


TRIES = """
import os, signal, socket, subprocess, sys
from suite.serve.confinement import confine
confine(100, 1)
def fails(act, error):
    try:
        act()
    except error:
        return True
    return False
assert fails(socket.socket, PermissionError)
assert fails(lambda: socket.socket(socket.AF_UNIX), PermissionError)
assert fails(lambda: os.execv(sys.executable, [sys.executable, "-c", ""]), PermissionError)
assert fails(lambda: os.kill(os.getppid(), 0), PermissionError)
assert fails(lambda: signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0), PermissionError)
assert fails(lambda: bytearray(200 * 2**20), MemoryError)
bytearray(50 * 2**20)
print("confined")
"""


@on_linux
def test_confined_code_can_neither_call_nor_start_anything() -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-c", TRIES], capture_output=True, text=True, timeout=60)
    assert done.stdout == "confined\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_nobody_where_nobody_can_read_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0o600)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        refused = lower_user([tmp_path / "secret"])
        stayed = os.getuid() == 0
        lowered = lower_user([Path("/")]) is None and 0 not in (*os.getresuid(), *os.getresgid(), *os.getgroups())
        said = refused is not None and "secret is not readable for the user 'nobody'" in refused
        os.write(writer, repr((said, stayed, lowered)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"(True, True, True)"


def test_a_link_that_the_worker_leaves_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    made = tmp_path / "work" / "out"
    made.mkdir(parents=True)
    (made / "page.html").symlink_to(tmp_path / "secret")
    (made / "annotated.mp4").hardlink_to(tmp_path / "secret")
    (made / "result.json").write_text("{}")
    assert take_over(made, tmp_path, {"page.html", "annotated.mp4", "result.json", "annotated.png"}) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result.json"]
    made.symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(NotADirectoryError):
        take_over(made, tmp_path / "other", {"secret"})
    assert (tmp_path / "secret").exists()


def test_what_takes_too_long_is_ended_and_the_folders_of_killed_servers_are_cleared(
    small: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="t") as name:  # of these servers alone: those of other tests clear theirs
        monkeypatch.setenv("TMPDIR", name)
        running, other = (Path(name, f"{PREFIX}{kind}") for kind in ("running", "other"))  # the other has no lock
        running.mkdir()
        other.mkdir()
        descriptor = try_lock(running / LOCK, os.O_CREAT)
        killed = Served(small)
        [left] = set(Path(name).glob(f"{PREFIX}*")) - {running, other}
        assert killed.send(clip)["state"] == "done"
        children = psutil.Process(killed.process.pid).children(recursive=True)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(10)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
        assert left.is_dir()
        server = Served(small, "--bounds.analysis_seconds", "3", "--bounds.keep_seconds", "1")
        try:
            assert running.is_dir()
            assert other.is_dir()
            assert not left.exists()
            slow = server.send(endless(), "slow.avi")
            assert (slow["state"], slow["message"]) == ("failed", "took more than 3 s")
            job = server.send(clip)  # by a worker that was started again
            assert job["state"] == "done"
            for _ in range(100):
                if server.client.get(f"/files/{job['id']}").status_code == 404:
                    break
                time.sleep(0.1)
            assert server.client.get(f"/files/{job['id']}").status_code == 404  # its time is over
        finally:
            server.end()
        assert set(Path(name).glob(f"{PREFIX}*")) == {running, other}
        assert descriptor is not None
        os.close(descriptor)
