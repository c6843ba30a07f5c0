"""A process that looks at one file at a time, and may be killed: what is uploaded is anybody's."""

from __future__ import annotations

import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.runtime import process_pool
from datamodules.runtime.errors import CRASHED, UserError
from suite.detect.result import Document


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


class GivenUp(Exception):
    """Says why, to whoever asked."""


class Worker:
    """Started again after it was killed, or has died of a file."""

    def __init__(self, make: Callable[..., Analyze], *arguments: Any) -> None:
        """
        Args:
            make: Builds it from the arguments, in the other process.
        """
        self.make, self.arguments = make, arguments
        self.process: Any = None
        self.pipe: Any = None
        self.is_stopped = False

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, self.make, self.arguments), daemon=True)
        self.process.start()
        other.close()

    def stop(self) -> None:
        self.is_stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def ask(self, asked: Asked, progress: Callable[[int, int], None], is_wanted: Callable[[], bool]) -> Document:
        """Blocks until there is an answer.

        Args:
            is_wanted: Whether anybody still waits.
        """
        if self.process is None or not self.process.is_alive():
            self.start()
        until = None
        try:
            self.pipe.send(asked)
        except OSError:
            self.start()  # it died since the last file
            self.pipe.send(asked)
        while True:
            try:
                if self.pipe.poll(0.2):
                    kind, content = self.pipe.recv()
                    if kind == "answer":
                        found: Document = content
                        return found
                    if kind == "refused":
                        raise GivenUp(content)
                    if kind == "begun":
                        until = time.monotonic() + asked.seconds
                    else:
                        progress(*content)
            except (EOFError, OSError) as error:
                self.process.join()
                raise GivenUp(CRASHED) from error
            if until is not None and time.monotonic() > until:
                self.kill()
                raise GivenUp(f"took more than {asked.seconds:g} s")
            if self.is_stopped or not is_wanted():
                self.kill()
                raise GivenUp("was called off")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def serve(pipe: Any, make: Callable[..., Analyze], arguments: tuple[Any, ...]) -> None:
    """What the other process does."""
    process_pool.begin()
    look = make(*arguments)
    while True:
        try:
            asked: Asked = pipe.recv()
        except EOFError:
            return
        pipe.send(("begun", None))
        try:
            pipe.send(("answer", look(asked, lambda done, total: pipe.send(("progress", (done, total))))))
        except UserError as error:
            # where it lies means nothing to whoever sent it
            said = str(error).replace(str(asked.path), asked.name).replace(str(asked.out), asked.name)
            pipe.send(("refused", said))
        except Exception:  # whatever it is, the next file may be fine
            traceback.print_exc(file=sys.stderr)
            pipe.send(("refused", "cannot be examined; the server's log has the reason"))
