"""A small web application: a file is uploaded, looked at, and shown with what was found."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from suite.detect.analyzer import PRODUCTS
from suite.html.render import render
from suite.serve.folders import make_folders, open_folder, rename_by_content, take_over
from suite.serve.jobs import Job, display_name
from suite.serve.limits import Bounds
from suite.serve.worker import Asked, GivenUp, Worker

MOST_KEPT = 1000  # also of files that failed, of which only the reason is kept
# pages are ours, names in them are escaped; nothing is loaded from elsewhere
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class TooLarge(Exception):
    """Of a body, whatever length it promised."""


class TooSlow(Exception):
    """Of a body; says why."""


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
        with open_folder() as self.folder:
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
        job = self.jobs.pop(key, None)
        if job is None:
            return
        job.is_wanted = False
        shutil.rmtree(job.folder, ignore_errors=True)

    async def show_page(self, request: Request) -> Response:
        return HTMLResponse(
            render("serve/page.html", title="Is it forged?", lead=self.lead, bounds=self.bounds), headers=HEADERS
        )

    async def upload(self, request: Request) -> Response:
        """Takes the bytes of a file as the body, so that nothing is parsed that anybody could forge."""
        declared = request.headers.get("content-length", "")
        pending = int(declared) if declared.isdigit() else int(self.bounds.max_megabytes * 2**20)
        if (refusal := self.refusal(request, pending)) is not None:
            return refusal
        key = secrets.token_urlsafe(16)
        name = display_name(request.query_params.get("name", ""))
        # counts from here on, before a byte is stored
        job = self.jobs[key] = Job(name=name, folder=self.folder / key, pending=pending)
        refusal = None
        try:
            refusal = await self.receive(request, job)
        finally:
            if refusal is not None or job.state == "sending":
                self.forget(key)
        if refusal is not None:
            return refusal
        task = asyncio.create_task(self.run(job))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return JSONResponse({"id": key}, 201, HEADERS)

    async def receive(self, request: Request, job: Job) -> Response | None:
        """Why the body is not wanted, if it is not."""
        try:
            make_folders(job.folder)
            size = await asyncio.wait_for(self.store(request, job.work / "upload"), self.bounds.upload_seconds)
        except TooLarge:
            return refuse(413, f"larger than {self.bounds.max_megabytes:g} MB")
        except TooSlow as reason:
            return refuse(408, str(reason))
        except asyncio.TimeoutError:
            return refuse(408, f"took more than {self.bounds.upload_seconds:g} s to send")
        except ClientDisconnect:
            return refuse(400, "ended before its end")
        except OSError as error:
            return refuse(507, f"cannot be stored: {error.strerror}")
        if not size:
            return refuse(400, "is empty")
        job.state = "waiting"
        return None

    async def store(self, request: Request, path: Path) -> int:
        """The number of its bytes."""
        size, begun, stream = 0, time.monotonic(), request.stream()
        with path.open("xb") as f:
            path.chmod(0o644)  # in a folder of the worker alone, who may be another user
            while True:
                try:
                    block = await asyncio.wait_for(anext(stream), self.bounds.idle_seconds)
                except StopAsyncIteration:
                    return size
                except asyncio.TimeoutError as error:
                    raise TooSlow(f"nothing came for {self.bounds.idle_seconds:g} s") from error
                size += len(block)
                if size > self.bounds.max_megabytes * 2**20:
                    raise TooLarge
                seconds, rate = time.monotonic() - begun, self.bounds.min_kilobytes_per_second
                if seconds > self.bounds.idle_seconds and size < rate * 1024 * seconds:
                    raise TooSlow(f"came at less than {rate:g} kB a second")
                f.write(block)

    def refusal(self, request: Request, pending: int) -> Response | None:
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return refuse(403, f"sent by a page of {origin}")  # any page in the same browser could
        if pending > self.bounds.max_megabytes * 2**20:
            return refuse(413, f"larger than {self.bounds.max_megabytes:g} MB")
        waiting = sum(job.state in ("sending", "waiting", "running") for job in self.jobs.values())
        taken = sum(job.pending for job in self.jobs.values())
        if waiting > self.bounds.max_waiting or taken + pending > self.bounds.max_pending_megabytes * 2**20:
            return refuse(503, f"{waiting} files of {taken / 2**20:.0f} MB wait already; try again later")
        return None

    async def run(self, job: Job) -> None:
        async with self.turn:
            if not job.is_wanted:
                return
            job.state = "running"
            try:
                path = rename_by_content(job.work / "upload")
                asked = Asked(path=path, name=job.name, out=job.work / "out", seconds=self.bounds.analysis_seconds)
                found = await asyncio.to_thread(self.worker.ask, asked, job.progress, lambda: job.is_wanted)
                kept = await asyncio.to_thread(take_over, asked.out, job.folder, PRODUCTS)
                if kept > self.bounds.max_kept_megabytes * 2**20:
                    raise GivenUp(f"its result is larger than {self.bounds.max_kept_megabytes:g} MB")
                job.found, job.kept, job.state = found, kept, "done"
                shutil.rmtree(job.work, ignore_errors=True)
            except GivenUp as reason:
                job.state, job.message = "failed", str(reason)
            except OSError as error:  # no memory for another process, a disk that is full
                job.state, job.message = "failed", f"cannot be looked at now: {error.strerror}"
            job.ended, job.pending = time.monotonic(), 0
            if job.state == "failed" or not job.is_wanted:  # called off meanwhile, the folder may have come again
                shutil.rmtree(job.folder, ignore_errors=True)
            self.forget_oldest()

    def forget_oldest(self) -> None:
        """Until what is kept is within its bounds."""
        ended = sorted((job.ended, key) for key, job in self.jobs.items() if job.ended)
        kept = sum(job.kept for job in self.jobs.values())
        for number, (_, key) in enumerate(ended):
            if kept <= self.bounds.max_kept_megabytes * 2**20 and len(ended) - number <= MOST_KEPT:
                return
            kept -= self.jobs[key].kept
            self.forget(key)

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
