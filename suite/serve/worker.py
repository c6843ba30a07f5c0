"""A process that looks at one file at a time, and may be killed: what is uploaded is anybody's."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from datamodules.runtime import process_pool
from datamodules.runtime.errors import CRASHED, UserError, is_out_of_memory
from suite.detect.result import Document
from suite.detect.thresholds import Verdict
from suite.serve.confinement import confine
from suite.serve.limits import Bounds

LONGEST_MESSAGE = 2**20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One file.

    Args:
        name: What its owner calls it, to be shown.
        seconds: After which it is given up.
    """

    path: Path
    name: str
    out: Path
    seconds: float


Analyze = Callable[[Asked, Callable[[int, int], None]], Document]  # told of frames that are done, and of all


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What the server is told of a result."""

    verdict: Verdict
    reasons: list[str]

    @classmethod
    def parse(cls, content: Any) -> Conclusion:
        verdict, reasons = content
        if verdict not in get_args(Verdict) or not all(isinstance(reason, str) for reason in reasons):
            raise ValueError(f"no result: {content!r:.100}")
        return cls(verdict=verdict, reasons=list(reasons))


class GivenUp(Exception):
    """Says why, to whoever asked."""


class Watch(threading.Thread):
    """Ends the process when its time is over, or nobody waits; also one that no longer answers."""

    def __init__(self, process: Any, seconds: float, is_wanted: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self.process, self.seconds, self.is_wanted = process, seconds, is_wanted
        self.until: float | None = None
        self.reason: str | None = None
        self.over = threading.Event()

    def begin(self) -> None:
        """The time of the file, not of a worker that loads its methods."""
        self.until = time.monotonic() + self.seconds

    def run(self) -> None:
        while not self.over.wait(0.05):
            if self.until is not None and time.monotonic() > self.until:
                self.reason = f"took more than {self.seconds:g} s"
            elif not self.is_wanted():
                self.reason = "was called off"
            if self.reason is not None:
                self.process.kill()
                return

    def stop(self) -> None:
        self.over.set()
        self.join()


class Worker:
    """Started again after it was killed, or has died of a file."""

    def __init__(self, make: Callable[..., Analyze], bounds: Bounds, *arguments: Any) -> None:
        """
        Args:
            make: Builds it from the arguments, in the other process.
        """
        self.make, self.bounds, self.arguments = make, bounds, arguments
        self.process: Any = None
        self.pipe: Any = None
        self.is_stopped = False

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.pipe, other = context.Pipe()
        arguments = (other, self.make, self.bounds, self.arguments)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        other.close()

    def stop(self) -> None:
        self.is_stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def ask(self, asked: Asked, progress: Callable[[int, int], None], is_wanted: Callable[[], bool]) -> Conclusion:
        """Blocks until there is an answer.

        Args:
            is_wanted: Whether anybody still waits.
        """
        if self.process is None or not self.process.is_alive():
            self.start()
        try:
            self.pipe.send(asked)
        except OSError:
            self.start()  # it died since the last file
            self.pipe.send(asked)
        watch = Watch(self.process, asked.seconds, lambda: is_wanted() and not self.is_stopped)
        watch.start()
        try:
            while True:
                # never unpickled: a file may have taken the worker over
                kind, content = json.loads(self.pipe.recv_bytes(LONGEST_MESSAGE))
                if kind == "answer":
                    return Conclusion.parse(content)
                if kind == "refused":
                    raise GivenUp(str(content))
                if kind == "begun":
                    watch.begin()
                else:
                    done, total = content
                    progress(int(done), int(total))
        except (EOFError, OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
            self.process.kill()  # what it says makes no sense, if it lives at all
            self.process.join()
            raise GivenUp(watch.reason or CRASHED) from error
        finally:
            watch.stop()
            if watch.reason is not None:  # it may have answered at the last moment
                self.process.join()


def serve(pipe: Any, make: Callable[..., Analyze], bounds: Bounds, arguments: tuple[Any, ...]) -> None:
    """What the other process does."""

    def tell(kind: str, content: Any) -> None:
        pipe.send_bytes(json.dumps([kind, content]).encode())

    process_pool.begin()
    look = make(*arguments)
    for missing in confine(bounds.memory_megabytes, bounds.max_kept_megabytes):
        print(f"serve: {missing}", file=sys.stderr, flush=True)
    while True:
        try:
            asked: Asked = pipe.recv()
        except EOFError:
            return
        tempfile.tempdir = os.environ["TMPDIR"] = str(asked.path.parent)  # is removed with the file
        tell("begun", None)
        try:
            found = look(asked, lambda done, total: tell("progress", (done, total)))
            tell("answer", (found.verdict, found.reasons))
        except UserError as error:
            # where it lies means nothing to whoever sent it
            said = str(error).replace(str(asked.path), asked.name).replace(str(asked.out), asked.name)
            tell("refused", said[: LONGEST_MESSAGE // 16])
        except Exception as error:  # whatever it is, the next file may be fine
            if is_out_of_memory(error):
                tell("refused", f"needs more than {bounds.memory_megabytes:g} MB of memory")
                continue
            traceback.print_exc(file=sys.stderr)
            tell("refused", "cannot be examined; the server's log has the reason")
