"""What was found in a file, as JSON that suite/detect/result.schema.json describes."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from datamodules.faces.quality import Quality
from datamodules.media.source_files import hash_files
from datamodules.prepared.contract import digest
from lightning_modules.trained_method import Trained
from suite.detect.pipeline import Analysis
from suite.detect.scorer import Score
from suite.detect.thresholds import Rates
from suite.detect.usable import Usable
from suite.detect.verdict import FaceVerdict, MethodVerdict

NAMES = [one.name for one in fields(Quality)]
SCHEMA, VERSION = "deepfake-suite/detect", 4


def round_value(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def describe_method(trained: Trained, rates: Rates) -> dict[str, Any]:
    known = trained.method.familiarity
    return {
        "name": trained.name,
        "class": trained.model["class_path"],
        "weights": trained.digest,
        "trained_on": trained.trained_on,
        "saw": trained.training_summary,
        "thresholds": trained.write_points(rates.forged_fpr, rates.unclear_fpr),
        "calibration": trained.calibration and trained.calibration._asdict(),
        "distance_limit": known and round_value(float(known.limit)),
        "contract": trained.contract,
        "contract_hash": digest(trained.contract),
    }


def describe_frame(method_verdict: MethodVerdict, score: Score) -> dict[str, Any]:
    region = score.region
    return {
        "frame": score.frame,
        "seconds": round_value(score.seconds, 3),
        "square": [round(v, 2) for v in (region.x, region.y, region.side)],
        "angle": round(region.angle, 2),
        "score": round_value(score.score, 6),
        "probability": round_value(method_verdict.by.calibrate(score.score), 6),
        "distance": round_value(score.distance),
        "left_out": score.fault.say() if score.fault else None,
    }


def describe_face(face: FaceVerdict) -> dict[str, Any]:
    return {
        "id": face.track.id,
        "verdict": face.verdict,
        "reasons": face.reasons,
        "probability": round_value(face.probability, 6),
        "thresholds": {name: round_value(value, 6) for name, value in asdict(face.thresholds).items()},
        "first_second": round_value(face.first, 3),
        "last_second": round_value(face.last, 3),
        "frames": len(face.track.frames),
        "quality": {name: round_value(face.quality.get(name), 3) for name in NAMES},
        "left_out": face.left_out,
        "methods": [
            {
                "name": method_verdict.by.name,
                "score": round_value(method_verdict.score, 6),
                "probability": round_value(method_verdict.probability, 6),
                "distance": method_verdict.distance and round_value(method_verdict.distance.value),
                "frames": [describe_frame(method_verdict, score) for score in method_verdict.scores],
            }
            for method_verdict in face.method_verdicts
        ],
    }


def document(
    path: Path,
    found: Analysis | None,
    methods: list[Trained],
    usable: Usable,
    rates: Rates,
    files: dict[str, str],
    name: str,
    reason: str = "",
) -> dict[str, Any]:
    """
    Args:
        found: Nothing of a file that cannot be read.
        rates: What thresholds were chosen by.
        files: What was made of it, by kind.
        name: Of the file.
        reason: Why it cannot be read.
    """
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "file": {"name": name, **describe_file(path), **describe_video(found)},
        "verdict": "no verdict" if found is None else found.verdict,
        "reasons": [reason] if found is None else found.reasons,
        "faces": [] if found is None else [describe_face(face) for face in found.faces],
        "glimpses": 0 if found is None else found.glimpses,
        "usable": asdict(usable),
        "methods": [describe_method(one, rates) for one in methods],
        "files": files,
    }


def describe_video(found: Analysis | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("seconds", "frames", "damaged", "fps", "width", "height"))
    return {
        "seconds": round_value(found.index.seconds, 3),
        "frames": len(found.index),
        "damaged": int(found.damage.sum()),
        "fps": round_value(found.index.fps, 3),
        "width": found.size[0],
        "height": found.size[1],
    }


def describe_file(path: Path) -> dict[str, Any]:
    try:
        return {"bytes": path.stat().st_size, "sha256": hash_files([path])}
    except OSError:  # that it cannot be read is what its document says
        return {"bytes": None, "sha256": None}
