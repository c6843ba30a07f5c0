"""What was found in a file, as JSON that suite/detect/result.schema.json describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from datamodules.faces.quality import Quality
from datamodules.media.source_files import hash_files
from datamodules.prepared.contract import Contract, digest
from lightning_modules.trained_method import Trained, VerdictThreshold
from suite.detect.pipeline import Analysis
from suite.detect.scorer import Score
from suite.detect.thresholds import Rates, Verdict
from suite.detect.usable import Usable
from suite.detect.verdict import FaceVerdict, MethodVerdict

NAMES = [one.name for one in fields(Quality)]
SCHEMA, VERSION = "deepfake-suite/detect", 4
RENAMED = {"class_path": "class"}  # a key that no field can be called


@dataclass(frozen=True, kw_only=True)
class FileDescription:
    """None of what cannot be read."""

    name: str
    bytes: int | None
    sha256: str | None
    seconds: float | None = None
    frames: int | None = None
    damaged: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    tracks: int | None = None


@dataclass(frozen=True, kw_only=True)
class MethodDescription:
    """A method that was asked."""

    name: str
    class_path: str
    weights: str
    trained_on: list[str]
    saw: str
    thresholds: dict[str, VerdictThreshold]
    calibration: dict[str, float] | None
    distance_limit: float | None
    contract: Contract
    contract_hash: str


@dataclass(frozen=True, kw_only=True)
class FrameDescription:
    """What a method says of a face in one frame."""

    frame: int
    seconds: float
    square: list[float]  # x, y, side
    angle: float
    score: float
    probability: float
    distance: float | None
    left_out: str | None


@dataclass(frozen=True, kw_only=True)
class ScoreDescription:
    """What a method says of a face."""

    name: str
    score: float
    probability: float
    distance: float | None
    frames: list[FrameDescription]


@dataclass(frozen=True, kw_only=True)
class FaceDescription:
    id: int
    verdict: Verdict
    reasons: list[str]
    probability: float | None
    thresholds: dict[str, float]
    first_second: float
    last_second: float
    frames: int
    quality: dict[str, float | None]
    left_out: dict[str, int]
    methods: list[ScoreDescription]


@dataclass(frozen=True, kw_only=True)
class Document:
    """All of it; its fields are the keys of the JSON.

    Args:
        reasons: Why there is no verdict.
        faces: The most suspicious first.
        files: What was made of the file, by kind.
    """

    schema: str = SCHEMA
    version: int = VERSION
    file: FileDescription
    verdict: Verdict
    reasons: list[str]
    faces: list[FaceDescription]
    glimpses: int
    usable: Usable
    methods: list[MethodDescription]
    files: dict[str, str]

    @property
    def judged(self) -> list[FaceDescription]:
        return [face for face in self.faces if face.verdict != "no verdict"]

    def to_json(self) -> dict[str, object]:
        return asdict(self, dict_factory=lambda pairs: {RENAMED.get(key, key): value for key, value in pairs})


def describe_tracks(tracks: int | None) -> str:
    """Empty where nothing was left out."""
    return f"{tracks} video tracks, the first was examined" if tracks is not None and tracks > 1 else ""


def round_value(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def describe_method(trained: Trained, rates: Rates) -> MethodDescription:
    known = trained.method.familiarity
    return MethodDescription(
        name=trained.name,
        class_path=trained.model["class_path"],
        weights=trained.digest,
        trained_on=trained.trained_on,
        saw=trained.training_summary,
        thresholds=trained.describe_thresholds(rates.forged_fpr, rates.unclear_fpr),
        calibration=trained.calibration and trained.calibration._asdict(),
        distance_limit=None if known is None else round(float(known.limit), 4),
        contract=trained.contract,
        contract_hash=digest(trained.contract),
    )


def describe_frame(method_verdict: MethodVerdict, score: Score) -> FrameDescription:
    region = score.region
    return FrameDescription(
        frame=score.frame,
        seconds=round(score.seconds, 3),
        square=[round(v, 2) for v in (region.x, region.y, region.side)],
        angle=round(region.angle, 2),
        score=round(score.score, 6),
        probability=round(method_verdict.by.calibrate(score.score), 6),
        distance=round_value(score.distance),
        left_out=score.fault.say() if score.fault else None,
    )


def describe_scores(method_verdict: MethodVerdict) -> ScoreDescription:
    distance = method_verdict.distance
    return ScoreDescription(
        name=method_verdict.by.name,
        score=round(method_verdict.score, 6),
        probability=round(method_verdict.probability, 6),
        distance=None if distance is None else round(distance.value, 4),
        frames=[describe_frame(method_verdict, score) for score in method_verdict.scores],
    )


def describe_face(face: FaceVerdict) -> FaceDescription:
    return FaceDescription(
        id=face.track.id,
        verdict=face.verdict,
        reasons=face.reasons,
        probability=face.probability,
        thresholds=asdict(face.thresholds),
        first_second=round(face.first, 3),
        last_second=round(face.last, 3),
        frames=len(face.track.frames),
        quality={name: round_value(face.quality.get(name), 3) for name in NAMES},
        left_out=face.left_out,
        methods=[describe_scores(one) for one in face.method_verdicts],
    )


def describe_file(path: Path, name: str, found: Analysis | None) -> FileDescription:
    try:
        size, sha256 = path.stat().st_size, hash_files([path])
    except OSError:  # that it cannot be read is what its document says
        size, sha256 = None, None
    if found is None:
        return FileDescription(name=name, bytes=size, sha256=sha256)
    return FileDescription(
        name=name,
        bytes=size,
        sha256=sha256,
        seconds=round(found.index.seconds, 3),
        frames=len(found.index),
        damaged=int(found.damage.sum()),
        fps=round(found.index.fps, 3),
        width=found.size[0],
        height=found.size[1],
        tracks=found.index.tracks,
    )


def describe(
    path: Path,
    found: Analysis | None,
    methods: Sequence[Trained],
    usable: Usable,
    rates: Rates,
    files: dict[str, str],
    name: str,
    reason: str = "",
) -> Document:
    """
    Args:
        found: Nothing of a file that cannot be read.
        rates: What thresholds were chosen by.
        files: What was made of it, by kind.
        name: Of the file.
        reason: Why it cannot be read.
    """
    return Document(
        file=describe_file(path, name, found),
        verdict="no verdict" if found is None else found.verdict,
        reasons=[reason] if found is None else found.reasons,
        faces=[] if found is None else [describe_face(face) for face in found.faces],
        glimpses=0 if found is None else found.glimpses,
        usable=usable,
        methods=[describe_method(one, rates) for one in methods],
        files=files,
    )
