"""What the key frames of H.264 and HEVC say of those after them: a change of size or colour that no header tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

START = re.compile(b"\x00\x00\x01")
SEQUENCE = {"h264": lambda first: first & 31 == 7, "hevc": lambda first: first >> 1 & 63 == 33}
PREFIX = {"h264": 4, "hevc": 21}  # byte of the configuration whose two last bits are the length of lengths, less one


def sequence_headers(packet: Any, codec: Any) -> bytes:
    """The sequence parameter sets in a packet, one after the other; of other codecs nothing.

    Args:
        packet: Packet of PyAV.
        codec: Codec context of the packet.
    """
    name = codec.codec.canonical_name
    if name not in SEQUENCE:
        return b""
    if packet.has_sidedata("new_extradata"):
        return bytes(packet)  # another sample entry: unlike all others
    content, about = bytes(packet), bytes(codec.extradata or b"")
    has_lengths = about[:1] == b"\x01" and len(about) > PREFIX[name]
    units = split_prefixed(content, (about[PREFIX[name]] & 3) + 1) if has_lengths else split_started(content)
    return b"".join(unit for unit in units if unit and SEQUENCE[name](unit[0]))


def split_prefixed(content: bytes, length: int) -> Iterator[bytes]:
    """Units that come after their lengths, as in mp4."""
    at = 0
    while at + length < len(content):
        size = int.from_bytes(content[at : at + length], "big")
        yield content[at + length : at + length + size]
        at += length + size


def split_started(content: bytes) -> Iterator[bytes]:
    """Units that begin with a start code, as in AVI."""
    yield from START.split(content)[1:]
