"""Files that appear only when they are complete, also after a loss of power; one that cannot is named."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.runtime.errors import UserError

NOT_TAKEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # of a disk that takes no more
IN_WORDS = ("No space left on device", "inline_container.cc")  # of safetensors; of torch, which gives no reason


def find_reason(error: Exception, path: Path) -> str | None:
    """Why a disk did not take a file, where that is the error."""
    if isinstance(error, UserError):  # who says it already
        return None
    if isinstance(error, OSError):
        is_of_file = error.filename is None or str(error.filename) == str(path)
        return os.strerror(error.errno) if error.errno in NOT_TAKEN and is_of_file else None
    return "No space left on device, or the disk failed" if any(word in str(error) for word in IN_WORDS) else None


@contextmanager
def name_failures(path: Path, part: Path | None = None) -> Iterator[None]:
    """What is written within, and does not fit on the disk, is an error that has its name.

    Args:
        part: Where it is written, if not there.
    """
    try:
        yield
    except Exception as error:
        reason = find_reason(error, part or path)
        if reason is None:
            raise
        raise UserError(
            f"{path}: not written ({reason}){'; what was there before is untouched' if part and path.exists() else ''}"
        ) from error


def part_of(path: Path) -> Path:
    """What a file or folder is called until it is complete."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def write_atomically(path: Path, is_synced: bool = True) -> Iterator[Path]:
    """Yields the name to write to; at the end it takes the place of ``path``, and after an error nothing is left.

    Args:
        is_synced: Wait for the disk, tens of milliseconds; not for each of many files that are written again anyway.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    with name_failures(path, part):
        try:
            yield part
            if is_synced:
                sync(part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    if is_synced:
        sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file, or what a folder lists, is on the disk: a loss of power leaves names without their bytes."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def fill_folder(folder: Path, index: str) -> Iterator[Path]:
    """Yields a folder to fill; at the end its files take the place of the old ones, after an error all is as it was.

    Args:
        index: Name of the file without which nobody reads the others: it goes first and comes last, so that a kill
            leaves no mixture.
    """
    is_new, part = not folder.exists(), folder / ".part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        files = sorted(part.iterdir(), key=lambda path: path.name == index)
        for file in files:
            sync(file)
        (folder / index).unlink(missing_ok=True)
        for file in files:
            file.replace(folder / file.name)
        sync(folder)
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    with write_atomically(path) as part:
        part.write_text(text)
