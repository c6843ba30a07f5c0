"""Which frames of a video are damaged: what the decoder calls so, and all that is predicted from it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.media.probe import LARGEST, Index, VideoError, find_video_stream, name_decoder_errors, open_video
from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.stored_files import read_records

# errors show while bits are parsed: what comes after costs a third of decoding and is not looked at
PARSE = {"max_pixels": str(LARGEST), "skip_loop_filter": "all", "skip_idct": "all"}


def find_damage(path: Path, index: Index) -> NDArray[np.bool_]:
    """(N,) whether each frame is damaged, or predicted from one that is; frames that do not come refuse the video.

    A decoder can only tell bits that make no sense: of H.264 and MPEG-4 it notices most errors, of HEVC and VP9 few.
    """
    damaged = np.zeros(len(index), bool)
    if not index.is_coded:
        return damaged
    corrupt: list[bool] = []
    times, is_key = [], []  # of the packets that are shown, in the order of decoding
    with name_decoder_errors(path, lambda: f"frame {len(corrupt)}: "), open_video(path) as container:
        track = find_video_stream(container)
        assert track is not None
        track.thread_count = 1  # several threads lose some of the errors, not always the same ones
        track.codec_context.options = PARSE
        for packet in container.demux(track):
            if packet.pts is not None and packet.size and not packet.is_discard:
                times.append(packet.pts)
                is_key.append(packet.is_keyframe)
            corrupt += [frame.is_corrupt for frame in packet.decode()]
    if len(corrupt) != len(index):
        raise VideoError(path, f"is damaged: {len(corrupt)} of {len(index)} frames can be decoded")
    order = np.argsort(times, kind="stable")  # (N,) of each frame that is shown, its place in the order of decoding
    if any(corrupt):
        damaged[:] = spread(np.asarray(corrupt)[np.argsort(order)], np.asarray(times), np.asarray(is_key))[order]
    return damaged


def spread(corrupt: NDArray[np.bool_], times: NDArray[np.int64], is_key: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """From each corrupt frame to all that may be predicted from it: up to the next key frame, and what that leads in.

    Args:
        corrupt: (N,) in the order of decoding.
        times: (N,) of showing.
    """
    out = np.zeros(len(corrupt), bool)
    carries = carried = False  # damage, from the key frame before this one, and from the one before that
    shown = 0  # when the last key frame is
    for i, time in enumerate(times):
        if is_key[i]:
            carries, carried, shown = False, carries, time
        leads = time < shown  # decoded after the key frame and shown before it: predicted from what came before, too
        carries |= bool(corrupt[i]) and not leads
        out[i] = corrupt[i] or (carried and leads) or carries
    return out


def say_damage(damaged: NDArray[np.bool_]) -> str:
    return f"{int(damaged.sum())} of {len(damaged)} frames are damaged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A prepared video of which some frames were left out."""

    video: str
    path: str
    damaged: int
    frames: int

    def __str__(self) -> str:
        return f"{self.damaged} of {self.frames} frames are damaged"


def read_damage(prepared: Path) -> list[Damage]:
    path = prepared / "damaged.csv"
    return read_records(path, Damage) if path.exists() else []


def write_damage(prepared: Path, rows: Iterable[Damage]) -> None:
    with write_atomically(prepared / "damaged.csv") as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, [field.name for field in fields(Damage)])
        writer.writeheader()
        writer.writerows(map(asdict, sorted(rows, key=lambda one: one.video)))
