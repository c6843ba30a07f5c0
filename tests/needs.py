"""Why a test that needs more than pip can give is skipped; empty where it can run."""

from __future__ import annotations

import functools
import os
import shutil


@functools.cache
def torchcodec_missing() -> str:
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(b"no video")  # FFmpeg's libraries are looked for only now
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        if "load" in str(error) or isinstance(error, ImportError):
            return f"torchcodec does not load: {str(error).splitlines()[0]}"
    return ""


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def label_studio() -> str | None:
    """Of an environment of its own: it brings a web server and a database."""
    return os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")
