"""The verb that scores anybody's videos and pictures, and shows where and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import torch

from datamodules.atomic import write_text
from datamodules.errors import Refused
from datamodules.faces import Landmarks
from datamodules.pictures import PICTURES
from datamodules.video import Decoder, PyAV, probe
from lightning_modules.trained import Trained, load
from suite.detection.document import document, of_unreadable
from suite.detection.examine import Examiner, Limits
from suite.detection.page import page
from suite.detection.verdict import Usable
from suite.parser import Parser, flagged
from suite.progress import bar

FILMS = {
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
    ".mts",
}
DOCUMENT, PAGE = "result.json", "page.html"


def listed(given: Sequence[Path]) -> dict[str, Path]:
    """Files, and those of folders, by the name of the folder that each result gets."""
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise Refused(f"{path}: no such file")
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in FILMS | PICTURES and p.is_file())
            if not inside:
                raise Refused(f"{path}: has no videos and no pictures")
        for file in inside:
            name = "_".join(file.relative_to(path).parts) if path.is_dir() else file.name
            while name in found:
                name = f"{name}_"
            found[name] = file
    return found


def look(
    examiner: Examiner, methods: list[Trained], path: Path, out: Path, film: bool, limits: Limits, progress: Any
) -> dict[str, Any]:
    """Everything about one file, in a folder of its own."""
    files: dict[str, str] = {"document": DOCUMENT, "page": PAGE}
    target = None
    if film:
        kind, name = ("picture", "annotated.png") if len(probe(path)) == 1 else ("film", "annotated.mp4")
        target, files[kind] = out / name, name
    found = examiner.examine(path, target, limits, progress)
    write_text(out / PAGE, page(found, files))
    content = document(found, methods, examiner.usable, {k: v for k, v in files.items() if k != "document"})
    write_text(out / DOCUMENT, json.dumps(content, indent=1) + "\n")
    return content


def detect(
    files: list[Path],
    checkpoint: list[Path],
    out: Path = Path("detected"),
    film: bool = True,
    frames: int = 32,
    spacing: float = 0.5,
    usable: Usable = Usable(),  # noqa: B008
    limits: Limits = Limits(),  # noqa: B008
    landmarks: Landmarks | None = None,
    decoder: Decoder | None = None,
    device: str = "auto",
    batch: int = 32,
) -> None:
    """Score videos and pictures with trained methods, and show where and why.

    Args:
        files: Videos, pictures, and folders of them.
        checkpoint: Runs, checkpoints or exported folders; several are an ensemble.
        out: Folder that gets one folder for each file: result.json, page.html and an annotated copy.
        film: Whether to write the annotated copies.
        frames: Moments of each file that are scored, at least; all of a shorter one.
        spacing: Seconds from one scored moment to the next, at most.
        usable: What a face must have to be judged.
        limits: Of a file; larger ones are refused before they are decoded.
        landmarks: Model of 68 points, for methods that need one; the packaged model without it.
        decoder: Reads the videos; datamodules.video.PyAV without it.
        device: Of the networks: cpu, cuda or cuda:N; auto takes a GPU where there is one.
        batch: Clips that are scored together.
    """
    if frames < 1 or spacing <= 0 or batch < 1:
        raise Refused(f"frames {frames}, spacing {spacing}, batch {batch}: must be above 0")
    found = listed(files)
    methods = [load(path) for path in checkpoint]
    if twice := [name for name, count in Counter(one.name for one in methods).items() if count > 1]:
        raise Refused(f"checkpoint: two are called {twice[0]!r}; rename the folder of one")
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    examiner = Examiner(methods, decoder or PyAV(num_threads=0), landmarks, usable, chosen, frames, spacing, batch)
    failed = []
    for name, path in found.items():
        try:
            with bar(path.name, unit="frames") as show:
                content = look(examiner, methods, path, out / name, film, limits, show)
        except (Refused, av.FFmpegError) as error:
            failed.append(str(error))
            content = of_unreadable(path, str(error), methods, usable)
            write_text(out / name / DOCUMENT, json.dumps(content, indent=1) + "\n")
        print(f"{path}: {said(content)}")
        if content["files"]:
            print(f"  {(out / name / PAGE).resolve()}")
    if failed:
        raise Refused(f"{len(failed)} of {len(found)} files cannot be read: {'; '.join(failed[:3])}")


def said(content: dict[str, Any]) -> str:
    faces = [face for face in content["faces"] if face["verdict"] != "no verdict"]
    if content["verdict"] == "no verdict":
        return f"no verdict ({'; '.join(content['reasons'])})"
    worst = faces[0]
    more = f" of {len(faces)} faces the most suspicious" if len(faces) > 1 else ""
    return f"{content['verdict']}, probability {worst['probability']:.2f}, threshold {worst['threshold']:.2f}{more}"


def main(argv: list[str]) -> None:
    parser = Parser(prog="python -m suite detect", description=(detect.__doc__ or "").splitlines()[0])
    parser.add_function_arguments(detect, as_positional=False, skip={"files", "checkpoint"})
    parser.add_argument("files", type=Path, nargs="+", help="Videos, pictures, and folders of them.")
    several = "A run, a checkpoint or an exported folder; several are an ensemble."
    parser.add_argument("--checkpoint", type=Path, nargs="+", required=True, help=several)
    arguments = parser.instantiate_classes(parser.parse_args(flagged(argv[1:], "--film")))
    detect(**{name: getattr(arguments, name) for name in detect.__annotations__ if name != "return"})
