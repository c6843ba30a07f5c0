"""The verb that scores anybody's videos and images, and shows where and why."""

from __future__ import annotations

from pathlib import Path

import cv2

from datamodules.media.probe import VideoError
from datamodules.runtime.errors import CRASHED, UserError, is_out_of_memory
from datamodules.runtime.file_names import format_name
from suite.cli.parser import Parser, expand_flag
from suite.cli.progress import bar
from suite.detect.analyzer import PAGE, Analyzer, DetectSettings, add_arguments, introduce, settings_of
from suite.detect.crash_guard import Journal
from suite.detect.inputs import list_inputs
from suite.detect.reasons import join_reasons, shorten_reason
from suite.detect.result import Document, describe_tracks
from suite.detect.table import FileRow, ResultTable
from suite.detect.thresholds import format_apart


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
    inputs, journal = list_inputs(files, out), journal or Journal()
    found = inputs.files
    analyzer, table = Analyzer(checkpoint, settings), ResultTable(out)
    if not journal.is_resumed:
        table.begin()
        print("\n".join(introduce(analyzer.methods, settings.rates)))
        if skipped := inputs.describe_skipped():
            print(skipped)
    for name, path in found.items():
        if name in journal.done:
            continue
        journal.begin(name)
        try:
            if name == journal.crashed:
                raise VideoError(path, CRASHED)
            with bar(format_name(path.name), unit="frames") as show:
                document = analyzer.analyze(path, out / name, annotated_copy, show)
        except Exception as error:  # one file costs no other
            if (reason := explain(error, path)) is None:
                raise
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
        raise UserError(
            f"{len(failed)} of {len(found)} files could not be examined: {'; '.join(map(shorten_reason, failed[:3]))}"
        )


def explain(error: Exception, path: Path) -> str | None:
    """Why a file could not be examined; nothing where the fault is not in the file or the machine."""
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return f"{format_name(path)}: needs more memory than there is; try a smaller --batch"
    if isinstance(error, (OSError, ArithmeticError, cv2.error)):
        return str(error) or type(error).__name__
    return None


def format_verdict(document: Document) -> str:
    faces = document.judged
    tracks = f"; {text}" if (text := describe_tracks(document.file.tracks)) else ""
    if document.verdict == "no verdict":
        return f"no verdict ({join_reasons(document.reasons)}){tracks}"
    worst, file = faces[0], document.file
    more = f", the most suspicious of {len(faces)} faces" if len(faces) > 1 else ""
    rest = f"; not judged: {join_reasons(document.reasons)}" if document.reasons else ""
    damage = f"; {file.damaged} of {file.frames} frames are damaged, not scored" if file.damaged else ""
    unclear, forged = format_apart(worst.thresholds["unclear"], worst.thresholds["forged"])
    told = f"{document.verdict}, probability {worst.probability:.3f}"
    band = f"unclear above {unclear}, " if unclear != forged else ""
    return f"{told} ({band}forged above {forged}){more}{damage}{tracks}{rest}"


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
