"""A process that analyzes files, and one that begins another when it crashes: decoders are C, and files anybody's."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import NoReturn

from datamodules.runtime.process_pool import die_with_parent
from suite.__main__ import announce

# what a fault raises; those that people and schedulers send end the whole command
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
PASSED_ON = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Journal:
    """What became of each file, also known to the process that goes on."""

    done: dict[str, str] = field(default_factory=dict)  # why it could not be examined; empty where it could
    begun: str | None = None
    crashed: str | None = None  # the file at which an earlier process ended
    pipe: int | None = None

    @property
    def is_resumed(self) -> bool:
        return bool(self.done) or self.crashed is not None

    def write(self, line: list[str]) -> None:
        sys.stdout.flush()  # of what a crash would lose
        if self.pipe is not None:
            os.write(self.pipe, json.dumps(line).encode() + b"\n")

    def begin(self, name: str) -> None:
        self.begun = name
        self.write([name])

    def end(self, name: str, reason: str = "") -> None:
        self.done[name] = reason
        self.write([name, reason])

    def read(self, line: bytes) -> None:
        self.begun, *reason = json.loads(line)
        if reason:
            self.done[str(self.begun)], self.begun = reason[0], None


def main(argv: list[str]) -> None:
    def work(journal: Journal) -> None:
        with announce("detect"):  # imported only now, in the process that analyzes
            command = import_module("suite.detect.command")
        command.main(argv, journal)

    guard(work)


def guard(work: Callable[[Journal], None]) -> None:
    """Has the work done by a fork, and by another one from the file after that at which it crashed."""
    if "torch" in sys.modules or not hasattr(os, "fork"):  # its threads do not survive a fork
        work(Journal())
        return
    journal = Journal()
    while True:
        sys.stdout.flush()
        read_end, write_end = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until both know what to do with them
        child = os.fork()
        if not child:
            os.close(read_end)
            become_worker()
            journal.pipe = write_end
            work(journal)
            return
        os.close(write_end)
        status = wait_for(child, read_end, journal)
        crash = os.WIFSIGNALED(status) and os.WTERMSIG(status) in FAULTS and journal.begun is not None
        if not crash:
            end_like(status, journal)
        journal.crashed, journal.begun = journal.begun, None


def become_worker() -> None:
    die_with_parent()
    signal.signal(signal.SIGTERM, terminate_once)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt_once)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def terminate_once(number: int, _: object) -> None:
    """What is half written is removed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def interrupt_once(*_: object) -> None:
    """Ctrl-C reaches both processes, and the other one passes it on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def wait_for(child: int, read_end: int, journal: Journal) -> int:
    """Its status, once it has ended; signals are passed on to it."""

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    before = {}
    for one in PASSED_ON:
        if signal.getsignal(one) is not signal.SIG_IGN:
            before[one] = signal.signal(one, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    with os.fdopen(read_end, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):  # not what a crash has cut
                journal.read(line)
    status = os.waitpid(child, 0)[1]
    for one, handler in before.items():
        signal.signal(one, handler)
    return status


def end_like(status: int, journal: Journal) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGKILL:  # which nobody can handle, nor reset
            during = f" while it examined {journal.begun}" if journal.begun is not None else ""
            cause = "often for too little memory: try a smaller --batch"
            print(f"suite: the process was killed{during} ({cause})", file=sys.stderr)
            sys.exit(128 + number)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)
