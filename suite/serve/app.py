"""A small web application: a file is uploaded, looked at, and shown with what was found."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from suite.detect.analyzer import PRODUCTS
from suite.detect.result import Document
from suite.detect.thresholds import Verdict
from suite.html.render import render
from suite.serve.limits import Bounds
from suite.serve.worker import Asked, GivenUp, Worker

LONGEST_NAME = 120
# pages are ours, names in them are escaped; nothing is loaded from elsewhere
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


State = Literal["sending", "waiting", "running", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the page is told of an upload, as JSON."""

    state: State
    done: int
    total: int
    message: str
    name: str
    verdict: Verdict | None
    reasons: list[str] | None


@dataclass(kw_only=True)
class Job:
    """An upload, and what becomes of it."""

    name: str
    folder: Path
    state: State = "sending"
    done: int = 0
    total: int = 0
    message: str = ""
    document: Document | None = None
    is_wanted: bool = True
    ended: float = 0.0

    def progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def describe(self) -> Status:
        found = self.document
        return Status(
            state=self.state,
            done=self.done,
            total=self.total,
            message=self.message,
            name=self.name,
            verdict=found.verdict if found else None,
            reasons=found.reasons if found else None,
        )


class TooLarge(Exception):
    """Of a body, whatever length it promised."""


class Server:
    """Uploads by a number that nobody can guess; no part of a request is ever a path."""

    def __init__(self, worker: Worker, bounds: Bounds, lead: str) -> None:
        """
        Args:
            lead: What the first page says of the methods.
        """
        self.worker, self.bounds, self.lead = worker, bounds, lead
        self.jobs: dict[str, Job] = {}
        self.turn = asyncio.Lock()
        self.folder = Path()
        self.tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def life(self, _: Starlette) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="suite_serve_") as folder:
            self.folder = Path(folder)
            self.worker.start()
            tidying = asyncio.create_task(self.tidy())
            try:
                yield
            finally:
                tidying.cancel()
                for job in self.jobs.values():
                    job.is_wanted = False
                self.worker.stop()
                await asyncio.gather(*self.tasks, return_exceptions=True)

    async def tidy(self) -> None:
        while True:
            await asyncio.sleep(min(10.0, self.bounds.keep_seconds))
            for key, job in list(self.jobs.items()):
                if job.ended and time.monotonic() - job.ended > self.bounds.keep_seconds:
                    self.forget(key)

    def forget(self, key: str) -> None:
        job = self.jobs.pop(key)
        job.is_wanted = False
        shutil.rmtree(job.folder, ignore_errors=True)

    async def show_page(self, request: Request) -> Response:
        return HTMLResponse(
            render("serve/page.html", title="Is it forged?", lead=self.lead, bounds=self.bounds), headers=HEADERS
        )

    async def upload(self, request: Request) -> Response:
        """Takes the bytes of a file as the body, so that nothing is parsed that anybody could forge."""
        if (refusal := self.refusal(request)) is not None:
            return refusal
        key = secrets.token_urlsafe(16)
        job = Job(name=display_name(request.query_params.get("name", "")), folder=self.folder / key)
        job.folder.mkdir()
        self.jobs[key] = job
        if (refusal := await self.receive(request, job.folder / "upload")) is not None:
            self.forget(key)
            return refusal
        job.state = "waiting"
        task = asyncio.create_task(self.run(job))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return JSONResponse({"id": key}, 201, HEADERS)

    async def receive(self, request: Request, path: Path) -> Response | None:
        """Why the body is not wanted, if it is not."""
        try:
            size = await asyncio.wait_for(self.store(request, path), self.bounds.upload_seconds)
        except TooLarge:
            return refuse(413, f"larger than {self.bounds.max_megabytes:g} MB")
        except asyncio.TimeoutError:
            return refuse(408, f"took more than {self.bounds.upload_seconds:g} s to send")
        except ClientDisconnect:
            return refuse(400, "ended before its end")
        except OSError as error:
            return refuse(507, f"cannot be stored: {error.strerror}")
        return self.refuse_when_full() if size else refuse(400, "is empty")  # others may have come while it was sent

    async def store(self, request: Request, path: Path) -> int:
        """The number of its bytes."""
        size = 0
        with path.open("wb") as f:
            async for block in request.stream():
                size += len(block)
                if size > self.bounds.max_megabytes * 2**20:
                    raise TooLarge
                f.write(block)
        return size

    def refusal(self, request: Request) -> Response | None:
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return refuse(403, f"sent by a page of {origin}")  # any page in the same browser could
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.bounds.max_megabytes * 2**20:
            return refuse(413, f"larger than {self.bounds.max_megabytes:g} MB")
        return self.refuse_when_full()

    def refuse_when_full(self) -> Response | None:
        if sum(job.state in ("waiting", "running") for job in self.jobs.values()) > self.bounds.max_waiting:
            return refuse(503, f"{self.bounds.max_waiting} files wait already; try again later")
        return None

    async def run(self, job: Job) -> None:
        async with self.turn:
            if not job.is_wanted:
                return
            job.state = "running"
            try:
                path = rename_by_content(job.folder / "upload")
                asked = Asked(path=path, name=job.name, out=job.folder / "out", seconds=self.bounds.analysis_seconds)
                job.document = await asyncio.to_thread(self.worker.ask, asked, job.progress, lambda: job.is_wanted)
                job.state = "done"
                path.unlink(missing_ok=True)
            except GivenUp as reason:
                job.state, job.message = "failed", str(reason)
            except OSError as error:  # no memory for another process, a disk that is full
                job.state, job.message = "failed", f"cannot be looked at now: {error.strerror}"
            job.ended = time.monotonic()
            if job.state == "failed" or not job.is_wanted:  # called off meanwhile, the folder may have come again
                shutil.rmtree(job.folder, ignore_errors=True)

    async def status(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["key"])
        return refuse(404, "no such file") if job is None else JSONResponse(asdict(job.describe()), headers=HEADERS)

    async def remove(self, request: Request) -> Response:
        key = request.path_params["key"]
        if key not in self.jobs:
            return refuse(404, "no such file")
        self.forget(key)
        return Response(status_code=204, headers=HEADERS)

    async def product(self, request: Request) -> Response:
        job, name = self.jobs.get(request.path_params["key"]), request.path_params["name"]
        if job is None or job.state != "done" or name not in PRODUCTS or not (job.folder / "out" / name).is_file():
            return refuse(404, "no such file")
        return FileResponse(job.folder / "out" / name, headers=HEADERS)


def refuse(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status, HEADERS)


def display_name(name: str) -> str:
    """The last part of a name, without what no name has."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "upload"


MAGIC = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"}


def rename_by_content(path: Path) -> Path:
    """Moved to a name that says what it holds, by its first bytes: what it was called is nobody's word."""
    with path.open("rb") as f:
        start = f.read(16)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), ".video")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = ".webp"
    return path.rename(path.with_suffix(kind))


def application(server: Server, hosts: list[str]) -> Starlette:
    """
    Args:
        hosts: Names that it may be called by: a page elsewhere could otherwise give this machine one of its own.
    """
    routes = [
        Route("/", server.show_page),
        Route("/files", server.upload, methods=["POST"]),
        Route("/files/{key}", server.status, methods=["GET"]),
        Route("/files/{key}", server.remove, methods=["DELETE"]),
        Route("/files/{key}/{name}", server.product),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)], lifespan=server.life
    )
