"""One writer for each folder: a second process is refused, and a kill leaves no lock behind."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datamodules.runtime.errors import UserError

NAME = ".lock"  # in the folder, while it is held
WITHOUT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # of file systems that lock nothing
HELD: set[Path] = set()  # by this process: what it calls may ask for the same folder again


@contextmanager
def hold_folder(folder: Path, verb: str, patience: float = 0) -> Iterator[None]:
    """
    Args:
        verb: Who holds it, to be named to others.
        patience: Seconds to wait for whoever holds it.
    """
    folder = folder.resolve()
    if folder in HELD:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, must be a folder")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    opened = acquire(folder, verb, time.monotonic() + patience)
    HELD.add(folder)
    try:
        yield
    finally:
        HELD.discard(folder)
        (folder / NAME).unlink(missing_ok=True)
        os.close(opened)
        if is_new:
            with suppress(OSError):  # it has come to hold something
                folder.rmdir()


def acquire(folder: Path, verb: str, deadline: float) -> int:
    """A lock of the process, not of the open file: workers that are forked from it and outlive it hold nothing."""
    path = folder / NAME
    while True:
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(opened), path.stat()):
                os.ftruncate(opened, 0)
                os.write(opened, f"{verb!r} (process {os.getpid()} on {socket.gethostname()})".encode())
                return opened
        except OSError as error:
            if error.errno in WITHOUT:
                return opened
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                os.close(opened)
                raise
            if time.monotonic() > deadline:
                holder = os.pread(opened, 200, 0).decode(errors="replace") or "another process"
                os.close(opened)
                raise UserError(
                    f"{folder}: {holder} is writing to it; wait until that is done, or give another folder"
                ) from error
            time.sleep(0.1)
        os.close(opened)  # of a lock that was given back meanwhile, or is to be asked for again
