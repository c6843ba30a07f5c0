"""The sound of a video beside its new frames: copied where mp4 can hold it, else coded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import av

from datamodules.media.probe import find_video_stream, open_video

COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "alac"}
RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # of AAC
Way = Literal["copy", "encode"]
TRIED = {"copy": None, "encode": 16}  # packets: what an encoder makes is alike, what a file brings is not
# of one packet, of a header that cannot be written, of an encoder that does not know the channels
SOUND_ERRORS = (av.FFmpegError, ValueError, ArithmeticError)


class Sink:
    """A file that keeps nothing."""

    def __init__(self) -> None:
        self.at = self.size = 0

    def write(self, content: bytes) -> int:
        self.at += len(content)
        self.size = max(self.size, self.at)
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at


def find_sound_stream(source: Any) -> Any:
    return next((track for track in source.streams.audio if track.codec_context is not None), None)


def choose_way(path: Path) -> Way | None:
    """How the sound gets into an mp4, tried on one without images: what fails there would cost them, too."""
    with open_video(path) as source:
        track = find_sound_stream(source)
        if track is None:
            return None
        ways: list[Way] = ["copy"] if track.codec_context.codec.canonical_name in COPIED else []
        ways += ["encode"] if track.codec_context.rate in RATES else []
    for way in ways:
        sound = None
        try:
            with av.open(Sink(), "w", format="mp4") as into:
                sound = Sound(path, into, way)
                written = [into.mux(packet) for _, packet in islice(sound.packets, TRIED[way])]
            if written:
                return way
        except SOUND_ERRORS:
            continue
        finally:
            if sound is not None:
                sound.close()
    return None


class Sound:
    """Fed to a container in step with its frames."""

    def __init__(self, path: Path, into: Any, way: Way | None) -> None:
        """
        Args:
            into: An open container.
            way: How it gets there, of those that work; there is no sound without it.
        """
        self.source: Any = None if way is None else open_video(path)
        self.into = into
        self.packets: Iterator[tuple[float, Any]] = iter(())
        self.next: tuple[float, Any] | None = None
        if self.source is None:
            return
        track, video = find_sound_stream(self.source), find_video_stream(self.source)
        begin = float((video.start_time or 0) * video.time_base) if video is not None else 0.0
        if way == "copy":
            self.packets = self.copy_packets(track, into.add_stream_from_template(track), begin)
        else:
            self.packets = self.encode_packets(track, into.add_stream("aac", rate=track.codec_context.rate), begin)

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
        except SOUND_ERRORS:  # the video goes on without
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
        except SOUND_ERRORS:
            return

    def write_until(self, seconds: float) -> None:
        """Hands over what is heard before a time."""
        self.next = self.next or next(self.packets, None)
        while self.next is not None and self.next[0] < seconds:
            try:
                self.into.mux(self.next[1])
                self.next = next(self.packets, None)
            except av.FFmpegError:  # the video goes on without
                self.next, self.packets = None, iter(())

    def close(self) -> None:
        if self.source is not None:
            self.source.close()
