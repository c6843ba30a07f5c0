"""The sound of a video beside its new frames: copied where mp4 can hold it, else coded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from datamodules.media.video import OPTIONS, find_video_stream

COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "alac"}
RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # of AAC


class Sound:
    """Fed to a container in step with its frames."""

    def __init__(self, path: Path, into: Any) -> None:
        """
        Args:
            into: An open container.
        """
        self.source = av.open(str(path), options=OPTIONS)
        self.into = into
        self.packets: Iterator[tuple[float, Any]] = iter(())
        self.next: tuple[float, Any] | None = None
        heard = self.source.streams.audio
        if not heard:
            return
        track, video = heard[0], find_video_stream(self.source)
        begin = float((video.start_time or 0) * video.time_base) if video is not None else 0.0
        copied = track.codec_context.codec.canonical_name in COPIED
        if not copied and track.codec_context.rate not in RATES:
            return  # of no use in mp4
        out = into.add_stream_from_template(track) if copied else into.add_stream("aac", rate=track.codec_context.rate)
        self.packets = self.copy_packets(track, out, begin) if copied else self.encode_packets(track, out, begin)
        self.next = next(self.packets, None)

    def copy_packets(self, track: Any, out: Any, begin: float) -> Iterator[tuple[float, Any]]:
        """(seconds, packet), the first frame at 0."""
        shift = round(begin / track.time_base)
        try:
            for packet in self.source.demux(track):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = out
                yield float(packet.pts * packet.time_base), packet
        except av.FFmpegError:  # the video goes on without
            return

    def encode_packets(self, track: Any, out: Any, begin: float) -> Iterator[tuple[float, Any]]:
        try:
            for frame in self.source.decode(track):
                if frame.pts is None:
                    continue
                frame.pts -= round(begin / frame.time_base)
                for packet in out.encode(frame):
                    yield float(packet.pts * packet.time_base), packet
            for packet in out.encode():
                yield float(packet.pts * packet.time_base), packet
        except (av.FFmpegError, ValueError):
            return

    def write_until(self, seconds: float) -> None:
        """Hands over what is heard before a time."""
        while self.next is not None and self.next[0] < seconds:
            try:
                self.into.mux(self.next[1])
                self.next = next(self.packets, None)
            except av.FFmpegError:  # times that go backwards, for one: the video goes on without
                self.next = None

    def close(self) -> None:
        self.source.close()
