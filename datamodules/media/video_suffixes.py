"""Suffixes of the videos that are looked for where people keep their own."""

from __future__ import annotations

VIDEO_SUFFIXES = {
    ".mp4",
    ".mov",
    ".m4v",
    ".mkv",
    ".webm",
    ".avi",
    ".gif",
    ".3gp",
    ".wmv",
    ".flv",
    ".mpg",
    ".mpeg",
    ".ts",
}
VIDEO_SUFFIXES |= {".ogv", ".asf", ".ivf", ".3g2", ".f4v", ".qt", ".m1v", ".m2v", ".vob", ".divx"}
VIDEO_SUFFIXES |= {".avif"}  # FFmpeg reads it as it reads an mp4
