"""Whether the elements of a Matroska or WebM file fit into each other: FFmpeg leaves out what does not and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
# seek head, info, tracks, cues, attachments, chapters, tags
PARTS = {CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
FILLERS = {0xEC, 0xBF}  # void, checksum
# time code, block group, simple block, position, size of the one before, silent tracks, encrypted block
IN_CLUSTER = FILLERS | {0xE7, 0xA0, 0xA3, 0xA7, 0xAB, 0x5854, 0xAF}
Element = tuple[int, int, int | None]  # what it is, where its content begins, how long that is


def find_fault(path: Path) -> str:
    """Why parts of the file cannot be read; empty where all can."""
    size = path.stat().st_size
    with path.open("rb") as f:
        try:
            kind, at, length = read_element(f, 0)
            if kind != EBML or length is None:
                return "its header is damaged"
            kind, at, length = read_element(f, at + length)
            while kind in FILLERS and length is not None:
                kind, at, length = read_element(f, at + length)
            if kind != SEGMENT:
                return "its header is damaged"
            end = size if length is None else at + length
            if end > size:
                return f"is cut short: {size} of {end} bytes"
            return walk(f, at, end)
        except EOFError:
            return "is cut short"


def walk(f: BinaryIO, at: int, end: int) -> str:
    """Through what a segment holds, from one element to the next."""
    inside = 0  # end of the cluster that the walk is in
    while at < end:
        kind, content, length = read_element(f, at)
        if kind in PARTS or (kind in FILLERS and at >= inside):
            if at < inside != end:
                return f"is damaged at byte {at}: an element does not end with the one that it is in"
            inside = 0
            if kind == CLUSTER:
                inside = end if length is None else content + length
                length = 0  # its elements come next
            if length is None:
                return f"is damaged at byte {at}: an element has no end"
        elif kind not in IN_CLUSTER or length is None or content + length > inside:
            return f"is damaged at byte {at}: no element begins there"
        at = content + length
        if max(at, inside) > end:
            return f"is cut short: {end} of {max(at, inside)} bytes"
    return ""


def read_element(f: BinaryIO, at: int) -> Element:
    f.seek(at)
    head = f.read(12)  # at most 4 bytes that say what it is, and 8 that say how long
    width = 9 - head[:1][0].bit_length() if head[:1] else 9
    if not head or len(head) <= width:
        raise EOFError
    if width > 4:
        return 0, at, None
    kind = int.from_bytes(head[:width], "big")
    first = head[width]
    count = 9 - first.bit_length()
    if count > 8:
        return 0, at, None
    if len(head) < width + count:
        raise EOFError
    length = int.from_bytes(head[width : width + count], "big") & (1 << 7 * count) - 1
    return kind, at + width + count, None if length == (1 << 7 * count) - 1 else length
