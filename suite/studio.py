"""The verb that renders videos of people from photographs, and forges them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jsonargparse import auto_cli

from datamodules.issues import collect_issues
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from datamodules.studio.build import Plan, Size, build
from suite.cli.parser import Parser
from suite.cli.progress import bar

SHOWN = 10  # photographs that are left out and named


def studio(
    out: Path,
    size: Size = "small",
    seed: int = 0,
    difficulty: float = 0.3,
    people: Path | None = None,
    workers: int = os.cpu_count() or 1,
) -> None:
    """Render people from photographs and forge each of them in nine ways, in the folder layout of FaceForensics++.

    Args:
        out: Folder to fill; one that an earlier, interrupted call began is completed.
        size: tiny renders 8 people (for tests), small 32 (the demo), medium everybody, in longer and larger videos.
        seed: Other seeds make other shots and other pairs; who is in which split never changes.
        difficulty: 0 leaves strong traces of forgery, 1 faint ones.
        people: Folder of photographs NAME.jpg, or NAME_neutral.jpg and NAME_smiling.jpg, with people.csv (id and any
            attributes) where groups are to be compared. Without it, the 102 people that come with the suite.
        workers: Processes. The images do not depend on it.
    """
    if not 0 <= difficulty <= 1:
        raise UserError(f"--difficulty {difficulty}: must be between 0 and 1")
    for name, value, least in (("workers", workers, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"--{name} {value}: must be {least} or more")
    plan = Plan(size=size, seed=seed, difficulty=difficulty, people=str(people.resolve()) if people else "")
    with collect_issues() as issues:
        plan.cast()
    for issue in issues[:SHOWN]:
        print(f"{issue.path}: {issue.text}", file=sys.stderr)
    if len(issues) > SHOWN:
        print(f"... and {len(issues) - SHOWN} more photographs", file=sys.stderr)
    with hold_folder(out, "studio"), bar("rendering") as show:
        for done, total in build(out, plan, workers):
            show(done, total)


def main(argv: list[str]) -> None:
    auto_cli(studio, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite studio")
