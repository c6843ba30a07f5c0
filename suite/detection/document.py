"""What was found in a file, as JSON that suite/detection/schema.json describes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datamodules.contract import digest
from lightning_modules.trained import Trained
from suite.detection.examine import Examined
from suite.detection.score import Score
from suite.detection.verdict import FaceVerdict, Said, Usable

SCHEMA, VERSION = "deepfake-suite/detect", 1


def rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def of_method(trained: Trained) -> dict[str, Any]:
    method = trained.method
    return {
        "name": trained.name,
        "class": trained.model["class_path"],
        "weights": trained.digest,
        "trained_on": trained.trained_on,
        "threshold": rounded(float(method.video_threshold), 6),
        "temperature": rounded(trained.temperature, 6),
        "contract": trained.contract,
        "contract_hash": digest(trained.contract),
    }


def of_moment(said: Said, moment: Score) -> dict[str, Any]:
    box = moment.square
    return {
        "frame": moment.frame,
        "seconds": rounded(moment.seconds, 3),
        "square": [box.x, box.y, box.side],
        "score": rounded(moment.score, 6),
        "probability": rounded(said.cooled(moment.score), 6),
    }


def of_face(face: FaceVerdict) -> dict[str, Any]:
    return {
        "id": face.track.id,
        "verdict": face.verdict,
        "reasons": face.reasons,
        "probability": rounded(face.probability, 6),
        "threshold": rounded(face.threshold, 6),
        "first_second": rounded(face.first, 3),
        "last_second": rounded(face.last, 3),
        "frames": len(face.track.frames),
        "side": rounded(face.side, 1),
        "sharpness": rounded(face.sharpness, 1),
        "methods": [
            {
                "name": said.by.name,
                "score": rounded(said.score, 6),
                "probability": rounded(said.probability, 6),
                "threshold": rounded(said.threshold, 6),
                "moments": [of_moment(said, moment) for moment in said.moments],
            }
            for said in face.said
        ],
    }


def document(
    found: Examined, methods: list[Trained], usable: Usable, files: dict[str, str], name: str
) -> dict[str, Any]:
    """
    Args:
        files: What was made of it, by kind.
        name: Of the file.
    """
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "file": about(found.path)
        | {
            "name": name,
            "seconds": rounded(found.index.seconds, 3),
            "frames": len(found.index),
            "fps": rounded(found.index.fps, 3),
            "width": found.size[0],
            "height": found.size[1],
        },
        "verdict": found.verdict,
        "reasons": found.reasons,
        "faces": [of_face(face) for face in found.faces],
        "glimpses": found.glimpses,
        "usable": asdict(usable),
        "methods": [of_method(one) for one in methods],
        "files": files,
    }


def of_unreadable(path: Path, reason: str, methods: list[Trained], usable: Usable) -> dict[str, Any]:
    """The same, of a file that cannot be read."""
    unknown: dict[str, Any] = dict.fromkeys(("seconds", "frames", "fps", "width", "height"))
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "file": about(path) | unknown,
        "verdict": "no verdict",
        "reasons": [reason],
        "faces": [],
        "glimpses": 0,
        "usable": asdict(usable),
        "methods": [of_method(one) for one in methods],
        "files": {},
    }


def about(path: Path) -> dict[str, Any]:
    found = hashlib.sha256()
    try:
        with path.open("rb") as f:
            while block := f.read(2**20):
                found.update(block)
        return {"name": path.name, "bytes": path.stat().st_size, "sha256": found.hexdigest()}
    except OSError:  # that it cannot be read is what its document says
        return {"name": path.name, "bytes": None, "sha256": None}
