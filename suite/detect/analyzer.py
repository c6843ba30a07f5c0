"""What 'detect' and 'serve' do with a file: all that is made of it, in a folder of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from errno import ENOSPC
from pathlib import Path

import av
import torch
from jsonargparse import ArgumentParser, Namespace

from datamodules.faces.landmarks.base import Landmarks
from datamodules.media.probe import VideoError, probe
from datamodules.media.video import Decoder, PyAV
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name
from lightning_modules.trained_method import Trained, load
from suite.detect.page import page
from suite.detect.pipeline import Limits, Pipeline
from suite.detect.result import Document, describe
from suite.detect.thresholds import Performance, Rates
from suite.detect.usable import Usable

DEFAULT = Path(__file__).parent / "default_detector"  # made by 'make detector'
DOCUMENT, PAGE = "result.json", "page.html"
VIDEO_FILE, IMAGE_FILE = "annotated.mp4", "annotated.png"
PRODUCTS = {DOCUMENT, PAGE, VIDEO_FILE, IMAGE_FILE}


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """
    Args:
        frames: Frames of each file that are sampled, at least; all of a shorter one.
        spacing: Seconds from one sampled frame to the next, at most.
        forged_fpr: Largest share of real videos that may be called forged, as validation saw them.
        unclear_fpr: Largest share of real videos that may be called forged or unclear.
        usable: What a face must have to be judged.
        limits: Of a file; larger ones are refused before they are decoded.
        landmarks: Model of 68 points, for methods that need one or whose squares hold all points; without it that of
            the checkpoint, or the packaged model of dlib.
        decoder: Reads the videos; without it PyAV, on all cores.
        device: Of the networks: cpu, cuda or cuda:N; auto takes a GPU where there is one.
        batch: Clips that are scored together.
    """

    frames: int = 32
    spacing: float = 0.5
    forged_fpr: float = Rates.forged_fpr
    unclear_fpr: float = Rates.unclear_fpr
    usable: Usable = field(default_factory=Usable)
    limits: Limits = field(default_factory=Limits)
    landmarks: Landmarks | None = None
    decoder: Decoder | None = None
    device: str = "auto"
    batch: int = 32

    @property
    def rates(self) -> Rates:
        return Rates(forged_fpr=self.forged_fpr, unclear_fpr=self.unclear_fpr)

    def __post_init__(self) -> None:
        self.rates  # noqa: B018  refuses what are none
        for name in ("frames", "spacing", "batch"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} {getattr(self, name)}: must be above 0")
        if self.device != "auto":
            try:
                torch.empty(0, device=self.device)
            except (RuntimeError, AssertionError) as error:
                raise UserError(f"device {self.device}: {str(error).splitlines()[0]}") from error


def add_arguments(parser: ArgumentParser) -> None:
    """What 'detect' and 'serve' both take."""
    several = (
        "A run, a checkpoint or an exported folder; several are an ensemble. Without it the detector that comes with "
        "the suite."
    )
    parser.add_argument("--checkpoint", type=Path, nargs="+", default=[DEFAULT], help=several)
    parser.add_class_arguments(DetectSettings, as_group=False)


def settings_of(given: Namespace) -> DetectSettings:
    return DetectSettings(**{one.name: getattr(given, one.name) for one in fields(DetectSettings)})


def introduce(methods: list[Trained], rates: Rates) -> list[str]:
    """A sentence on each: what it saw, and how it did on its validation."""
    out = []
    for one in methods:
        did = Performance.measure(one, rates)
        caution = f" ({did.caution})" if did.caution else ""
        out.append(
            f"{one.name} was trained on {one.training_summary or 'nothing that is known'}; {did.say()}{caution}."
        )
        out += [f"{one.untrained}."] if one.untrained else []
    return out


def name_apart(methods: list[Trained]) -> list[Trained]:
    """Those that have the same name, as the seeds of a sweep, are called by their paths."""
    if twice := [path for path, count in Counter(one.path for one in methods).items() if count > 1]:
        raise UserError(f"checkpoint: {twice[0]} was given twice")
    count = Counter(one.name for one in methods)
    return [replace(one, called=str(one.path)) if count[one.name] > 1 else one for one in methods]


class Analyzer:
    """Trained methods, ready for files."""

    def __init__(self, checkpoints: list[Path], settings: DetectSettings) -> None:
        """
        Args:
            checkpoints: Several are an ensemble.
        """
        if DEFAULT in checkpoints and not DEFAULT.is_dir():
            raise UserError(
                "no detector comes with this copy; give --checkpoint, or make one: make detector PEOPLE=FOLDER"
            )
        self.methods = name_apart([load(path) for path in checkpoints])
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline = Pipeline(
            self.methods,
            settings.decoder or PyAV(num_threads=0),
            settings.landmarks,
            settings.usable,
            torch.device(device),
            settings.frames,
            settings.spacing,
            settings.batch,
            settings.rates,
        )
        self.limits, self.rates = settings.limits, settings.rates

    def analyze(
        self, path: Path, out: Path, annotated_copy: bool, progress: Callable[[int, int], None], name: str | None = None
    ) -> Document:
        """
        Args:
            annotated_copy: Whether to write an annotated copy.
            progress: Is told of the frames that were seen, and of all.
            name: That is shown, where the file has another one.
        """
        name, files, target = name or format_name(path.name), {"page": PAGE}, None
        try:
            index = probe(path)
            if annotated_copy:
                kind, file = ("image", IMAGE_FILE) if len(index) == 1 else ("video", VIDEO_FILE)
                target, files[kind] = out / file, file
            found = self.pipeline.analyze(path, target, self.limits, progress, index)
        except av.FFmpegError as error:
            if error.errno == ENOSPC:
                raise UserError(f"{out}: {error.strerror}") from error
            raise VideoError(path, error.strerror or str(error)) from error
        write_text(out / PAGE, page(found, self.methods, self.rates, files | {"document": DOCUMENT}, name))
        document = describe(path, found, self.methods, self.pipeline.usable, self.rates, files, name)
        write_document(out, document)
        return document

    def write_refusal(self, path: Path, out: Path, reason: str) -> Document:
        """What is left of a file that cannot be read."""
        document = describe(
            path, None, self.methods, self.pipeline.usable, self.rates, {}, format_name(path.name), reason
        )
        write_document(out, document)
        return document


def write_document(out: Path, document: Document) -> None:
    """The document, beside what it names and nothing of an earlier time."""
    for file in PRODUCTS - {DOCUMENT, *document.files.values()}:
        (out / file).unlink(missing_ok=True)
    write_text(out / DOCUMENT, json.dumps(document.to_json(), indent=1) + "\n")
