"""The server's folder: locked while it runs, so that the next one can tell what a killed one has left."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from suite.serve.confinement import find_nobody

PREFIX, LOCK = "suite_serve_", "lock"


def try_lock(path: Path, flags: int = 0) -> int | None:
    """A descriptor whose lock the system releases when its process ends; None if another process holds it."""
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def clear_abandoned() -> None:
    """Removes the folders of servers that were killed: those of this user whose lock nobody holds."""
    if sys.platform == "win32":
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it may go while we look
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            if (descriptor := try_lock(folder / LOCK)) is None:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that others may pass through, but not list: the worker may be another user."""
    clear_abandoned()
    # under its own name only once it is locked, or another server that starts now could take it for abandoned
    new = Path(tempfile.mkdtemp(prefix="suite_starting_"))
    new.chmod(0o711)
    descriptor = try_lock(new / LOCK, os.O_CREAT) if sys.platform != "win32" else None
    folder = new.rename(new.with_name(PREFIX + new.name.removeprefix("suite_starting_")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def make_folders(folder: Path) -> None:
    """One that the worker may pass through, and in it one of its own, whoever it is."""
    folder.mkdir()
    folder.chmod(0o711)
    (folder / "work").mkdir(mode=0o700)
    if sys.platform != "win32" and os.geteuid() == 0 and (nobody := find_nobody()) is not None:
        os.chown(folder / "work", *nobody)


def take_over(made: Path, folder: Path, names: set[str]) -> int:
    """Moves plain files that the worker made to where it cannot change them, ``folder / "out"``; returns their bytes.

    A worker that a file has taken over could leave links to what only the server may read.
    """
    aside, out, size = folder / "aside", folder / "out", 0
    made.rename(aside)  # of a link, the link
    out.mkdir(mode=0o700)
    if not stat.S_ISDIR(aside.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            (aside / name).rename(out / name)
            about = (out / name).lstat()
            if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
                size += about.st_size
            else:
                (out / name).unlink()
    shutil.rmtree(aside, ignore_errors=True)
    return size


MAGIC = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"}


def rename_by_content(path: Path) -> Path:
    """Moved to a name that says what it holds, by its first bytes: what it was called is nobody's word."""
    with path.open("rb") as f:
        start = f.read(16)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), ".video")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = ".webp"
    return path.rename(path.with_suffix(kind))
