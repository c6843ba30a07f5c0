"""The page about a file: the annotated copy, a time line and suspicious frames of each face, and what they mean."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from callbacks.panels import overlay
from datamodules.media.damage import say_damage
from datamodules.prepared.contract import digest
from datamodules.prepared.trained_on import enumerate_all
from lightning_modules.trained_method import Trained
from suite.detect.pipeline import Analysis
from suite.detect.reasons import join_reasons
from suite.detect.result import describe_tracks
from suite.detect.scorer import TILE, Score
from suite.detect.thresholds import Performance, Rates, Verdict, format_apart
from suite.detect.verdict import FaceVerdict, MethodVerdict
from suite.html.render import render

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 560, 172  # of a time line
LEFT, RIGHT, TOP, BOTTOM = 44, 505, 26, 132
SERIES = 6  # colours of style.css


@dataclass(frozen=True, kw_only=True)
class KeyFrame:
    seconds: float
    probability: float
    image: str  # JPEG in base64: the face, and beside it the map of a method that has one


@dataclass(frozen=True, kw_only=True)
class FaceSection:
    """What the page shows of a face."""

    face: FaceVerdict
    range: str
    timeline: Markup | None
    images: list[tuple[str, list[KeyFrame]]]  # by the names of methods


def lead(found: Analysis) -> str:
    judged = [face for face in found.faces if face.verdict != "no verdict"]
    if found.verdict == "no verdict":
        return f"No verdict: {join_reasons(found.reasons)}."
    worst = judged[0]
    text = f"probability {worst.probability:.3f} ({explain_range(worst)})"
    if found.verdict == "forged":
        return f"Face {worst.track.id} looks forged: {text}."
    if found.verdict == "unclear":
        return f"Whether face {worst.track.id} is forged is unclear: {text}."
    if len(judged) == 1:
        return f"No forgery found in the face: {text}."
    return f"No forgery found in any of {len(judged)} faces: {text} of the most suspicious."


def explain_range(face: FaceVerdict) -> str:
    """Where its probability lies between the thresholds."""
    unclear, forged = format_apart(face.thresholds.unclear, face.thresholds.forged)
    if face.verdict == "forged":
        return f"forged above {forged}"
    if face.verdict == "unclear":
        return f"unclear from {unclear} to {forged}"
    return f"{'unclear' if unclear != forged else 'forged'} above {unclear}"


def timeline(face: FaceVerdict, seconds: float) -> Markup:
    """Its probability over the whole file, by each method; a click on it goes there in the video."""

    def x(at: float) -> float:
        return LEFT + (RIGHT - LEFT) * at / max(seconds, 1e-6)

    def y(p: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * p

    parts = [
        f'<text x="{LEFT}" y="14" class="title">Probability of a forgery over time</text>'
        f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">time (s)</text>'
        f'<text transform="translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)" text-anchor="middle">probability</text>'
    ]
    parts += [
        f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(p)}" y2="{y(p)}" stroke="var(--line)"/>'
        f'<text x="{LEFT - 6}" y="{y(p) + 4}" text-anchor="end">{p:g}</text>'
        for p in (0, 0.5, 1)
    ]
    parts.append(
        f'<rect x="{x(face.first):.1f}" y="{TOP}" width="{max(2.0, x(face.last) - x(face.first)):.1f}" '
        f'height="{BOTTOM - TOP}" fill="var(--panel)" fill-opacity=".6"/>'
    )
    at = face.thresholds
    lines: list[tuple[Verdict, float]] = [("unclear", at.unclear), ("forged", at.forged)]
    for verdict, p in lines:
        colour = f"var(--{verdict})"
        parts.append(
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(p):.1f}" y2="{y(p):.1f}" stroke="{colour}" stroke-dasharray="4 4"/>'
        )
        if verdict == "forged" or y(at.unclear) - y(at.forged) > 11:  # or one word would be upon the other
            parts.append(f'<text x="{RIGHT + 5}" y="{y(p) + 4:.1f}" fill="{colour}">{verdict}</text>')
    for i, method_verdict in enumerate(face.method_verdicts):
        colour = f"var(--s{i % SERIES})"
        points = [(x(one.seconds), y(method_verdict.by.calibrate(one.score))) for one in method_verdict.usable_scores]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if len(points) <= 100:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.2" fill="{colour}"/>' for a, b in points]
    parts += [
        f'<text x="{x(seconds * i / 4):.1f}" y="{BOTTOM + 16}" text-anchor="middle">{seconds * i / 4:.1f}</text>'
        for i in range(5)
    ]
    name = f"Probability of face {face.track.id} over time"
    return Markup(
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}" data-left="{LEFT}" '
        f'data-right="{RIGHT}" data-width="{WIDTH}" data-seconds="{seconds}">{"".join(parts)}</svg>'
    )


def key_frames(method_verdict: MethodVerdict) -> list[KeyFrame]:
    """The most suspicious frames, in their order."""
    shown = [one for one in method_verdict.usable_scores if one.crop is not None]
    return [
        KeyFrame(seconds=one.seconds, probability=method_verdict.by.calibrate(one.score), image=jpeg(join_images(one)))
        for one in shown
    ]


def join_images(score: Score) -> Image:
    assert score.crop is not None
    if score.heat is None:
        return score.crop
    return np.hstack([score.crop, overlay(score.crop, cv2.resize(score.heat, (TILE, TILE)))])


def jpeg(image: Image) -> str:
    content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return base64.b64encode(content.tobytes()).decode()


def group_seen(methods: Sequence[Trained]) -> list[tuple[str, str]]:
    """Names of methods, none of a single one, and what they were trained on."""
    if len(methods) == 1:
        return [("", methods[0].training_summary)]
    saws = dict.fromkeys(one.training_summary for one in methods)
    return [(enumerate_all([one.name for one in methods if one.training_summary == saw]), saw) for saw in saws]


def show_face(face: FaceVerdict, seconds: float | None) -> FaceSection:
    """
    Args:
        seconds: Length of the video; None of an image.
    """
    is_judged = face.probability is not None
    return FaceSection(
        face=face,
        range=explain_range(face) if is_judged else "",
        timeline=timeline(face, seconds) if seconds is not None and is_judged else None,
        images=[(one.by.name, key_frames(one)) for one in face.method_verdicts] if is_judged else [],
    )


def page(found: Analysis, asked: Sequence[Trained], rates: Rates, files: dict[str, str], name: str) -> str:
    """
    Args:
        rates: What thresholds were chosen by.
        files: What the page may show, by kind: names of files beside it.
        name: Of the file.
    """
    is_video = len(found.index) > 1
    return render(
        "detect/page.html",
        title=name,
        lead=lead(found),
        damage=say_damage(found.damage),
        tracks=describe_tracks(found.index.tracks),
        found=found,
        reasons=join_reasons(found.reasons),
        is_video=is_video,
        files=files,
        faces=[show_face(face, found.index.seconds if is_video else None) for face in found.faces],
        seen=group_seen(asked),
        untrained=[one.untrained for one in asked if one.untrained],
        methods=[(one, digest(one.contract), Performance.measure(one, rates)) for one in asked],
        classes={"forged": "forged", "unclear": "unclear", "no forgery found": "real", "no verdict": ""},
        colours=[f"var(--s{i})" for i in range(SERIES)],
    )
