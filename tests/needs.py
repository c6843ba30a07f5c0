"""Why a test that needs more than pip can give is skipped; empty where it can run."""

from __future__ import annotations

import functools
import shutil


@functools.cache
def torchcodec_missing() -> str:
    try:
        import torchcodec.decoders
    except (ImportError, RuntimeError, OSError) as error:
        return f"torchcodec does not load: {str(error).splitlines()[0]}"
    return "" if torchcodec.decoders else "torchcodec is empty"


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
