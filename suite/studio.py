"""The verb that films and forges the generated data set."""

from __future__ import annotations

import os
from pathlib import Path

from jsonargparse import auto_cli

from datamodules.errors import Refused
from datamodules.studio.build import Plan, Size, build
from suite.parser import Parser
from suite.progress import bar


def studio(
    out: Path, size: Size = "small", seed: int = 0, difficulty: float = 0.3, workers: int = os.cpu_count() or 1
) -> None:
    """Render talking heads and seven forgeries of each, in the folder layout of FaceForensics++.

    Args:
        out: Folder to fill; one that an earlier, interrupted call began is completed.
        size: tiny has 8 people (for tests), small 32 (the demo), medium 200.
        seed: Other seeds film other people.
        difficulty: 0 leaves strong traces of forgery, 1 faint ones.
        workers: Processes. The pictures do not depend on it.
    """
    if not 0 <= difficulty <= 1:
        raise Refused(f"--difficulty {difficulty}: must be between 0 and 1")
    with bar("filming") as show:
        for done, total in build(out, Plan(size=size, seed=seed, difficulty=difficulty), workers):
            show(done, total)


def main(argv: list[str]) -> None:
    auto_cli(studio, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite studio")
