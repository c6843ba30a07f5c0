"""The verb that scores anybody's videos and images, and shows where and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.media.probe import VideoError
from datamodules.runtime.errors import CRASHED, UserError
from datamodules.runtime.file_names import format_name
from suite.cli.parser import Parser, expand_flag
from suite.cli.progress import bar
from suite.detect.analyzer import DOCUMENT, PAGE, Analyzer, DetectSettings, add_arguments, introduce, settings_of
from suite.detect.crash_guard import Journal
from suite.detect.result import SCHEMA, Document
from suite.detect.table import FileRow, ResultTable
from suite.detect.thresholds import format_apart

LONGEST_NAME = 200  # bytes
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


def is_input(path: Path) -> bool:
    """A video or an image, which is not hidden and lies beside no result of before."""
    if path.suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
        return False
    result = path.parent / DOCUMENT
    if not result.is_file():
        return True
    with result.open(encoding="utf-8", errors="replace") as file:
        return f'"{SCHEMA}"' not in file.read(200)


def shorten_name(name: str) -> str:
    """Its end, of as many bytes as a file system takes with some to spare."""
    return format_name(name).encode()[-LONGEST_NAME:].decode("utf-8", "ignore")


def list_inputs(given: Sequence[Path], out: Path) -> dict[str, Path]:
    """Files, and those of folders, by the name of the folder that each result gets; but no results of before."""
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: no such file")
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if is_input(p))
            if not inside:
                raise UserError(f"{path}: has no videos and no images")
        for file in inside:
            name = shorten_name("_".join(file.relative_to(path).parts) if path.is_dir() else file.name)
            while name in found:
                name = f"{name}_"
            if (out / name).is_file():
                rule = "is a file, must be free for a folder of results; give another --out"
                raise UserError(f"{format_name(out / name)}: {rule}")
            found[name] = file
    return found


def detect(
    files: list[Path],
    checkpoint: list[Path],
    out: Path,
    annotated_copy: bool,
    settings: DetectSettings,
    journal: Journal | None = None,
) -> None:
    """
    Args:
        journal: Journal of the process that crashed, if this one goes on.
    """
    found, journal = list_inputs(files, out), journal or Journal()
    analyzer, table = Analyzer(checkpoint, settings), ResultTable(out)
    if not journal.is_resumed:
        table.begin(found)
        print("\n".join(introduce(analyzer.methods, settings.rates)))
    for name, path in found.items():
        if name in journal.done:
            continue
        journal.begin(name)
        try:
            if name == journal.crashed:
                raise VideoError(path, CRASHED)
            with bar(format_name(path.name), unit="frames") as show:
                document = analyzer.analyze(path, out / name, annotated_copy, show)
        except (UserError, OSError, ArithmeticError, MemoryError, cv2.error) as error:  # one file costs no other
            reason = str(error) or type(error).__name__
            try:
                document = analyzer.write_refusal(path, out / name, reason)
            except OSError:  # the reason is that there is no place for it
                print(f"{format_name(path)}: {reason}")
                journal.end(name, reason)
                continue
        else:
            reason = ""
        print(f"{format_name(path)}: {format_verdict(document)}")
        if document.files:
            print(f"  {format_name((out / name / PAGE).resolve())}")
        table.add(FileRow.of(path, name, document))
        journal.end(name, reason)
    if len(found) > 1:
        print(f"All in one table: {format_name(table.path.resolve())}")
    if failed := [reason for reason in journal.done.values() if reason]:
        raise UserError(f"{len(failed)} of {len(found)} files could not be examined: {'; '.join(failed[:3])}")


def format_verdict(document: Document) -> str:
    faces = document.judged
    if document.verdict == "no verdict":
        return f"no verdict ({'; '.join(document.reasons)})"
    worst, file = faces[0], document.file
    more = f", the most suspicious of {len(faces)} faces" if len(faces) > 1 else ""
    rest = f"; not judged: {'; '.join(document.reasons)}" if document.reasons else ""
    damage = f"; {file.damaged} of {file.frames} frames are damaged, not scored" if file.damaged else ""
    unclear, forged = format_apart(worst.thresholds["unclear"], worst.thresholds["forged"])
    told = f"{document.verdict}, probability {worst.probability:.3f}"
    band = f"unclear above {unclear}, " if unclear != forged else ""
    return f"{told} ({band}forged above {forged}){more}{damage}{rest}"


def main(argv: list[str], journal: Journal | None = None) -> None:
    about = "Score videos and images with trained methods, and show where and why."
    parser = Parser(prog="python -m suite detect", description=about)
    parser.add_argument("files", type=Path, nargs="+", help="Videos, images, and folders of them.")
    add_arguments(parser)
    each = "Folder that gets one for each file (result.json, page.html, an annotated copy), and results.csv of all."
    parser.add_argument("--out", type=Path, default=Path("detected"), help=each)
    parser.add_argument("--annotated_copy", type=bool, default=True, help="Whether to write the annotated copies.")
    given = parser.instantiate_classes(parser.parse_args(expand_flag(argv[1:], "--annotated_copy")))
    detect(given.files, given.checkpoint, given.out, given.annotated_copy, settings_of(given), journal)
