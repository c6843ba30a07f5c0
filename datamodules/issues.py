"""What is wrong with somebody's copy of a data set; said while it is listed, heard by whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

from datamodules.runtime.file_names import format_name

Kind = Literal[
    # training would be wrong
    "leak",  # a person or source clip in two splits
    "duplicate",  # one content, or one key, for two videos that are not to be mixed
    "label",  # lists and folders contradict each other
    "row",  # the manifest would refuse it
    "mask",  # of another length, rate or size than its video
    "prepared",  # a file in the prepared folder is not what was written there
    # something is lacking
    "missing",  # in a list of the owners, not on the disk
    "corrupt",  # cannot be read
    "short",  # fewer frames than are asked for
    "no face",
    "list",  # a list says what it may not: the video is left out
    "link",  # a symbolic link that is not followed
    "count",  # other numbers than the owners give
    # good to know
    "damaged",  # some frames cannot be read: the others are used
    "unexpected",
    "held out",  # listed, but in no split of ours
    "no mask",
    "several faces",
    "sound",  # forged in its sound alone
    "give-away",  # something that is no face tells real from fake
]
KINDS: tuple[Kind, ...] = get_args(Kind)
WRONG = KINDS[: KINDS.index("missing")]
LACKING = KINDS[KINDS.index("missing") : KINDS.index("damaged")]


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    path: str  # relative to the folder of the data set
    text: str
    videos: int = 1  # how many it concerns


_heard: ContextVar[list[Finding] | None] = ContextVar("findings", default=None)


def report_issue(kind: Kind, path: object, text: str, videos: int = 1) -> None:
    heard = _heard.get()
    if heard is not None:
        heard.append(Finding(kind, format_name(str(path)), text, videos))


@contextmanager
def collect_issues() -> Iterator[list[Finding]]:
    """Collects what is noted inside the block."""
    heard: list[Finding] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
