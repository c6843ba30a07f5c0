"""DeepfakeTIMIT: swapped faces in two qualities; its real videos are VidTIMIT's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, check_count, one_of, resolve_inside, unnest, walk
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.media.image_sequence import is_image

QUALITIES = {"higher_quality": "hq", "lower_quality": "lq"}
FAKE = re.compile(r"(\w+)-video-(\w+)")  # sa1-video-fram1, of SUBJECT/
VIDTIMIT = ("VidTIMIT", "vidtimit")


def index(root: Path) -> Iterator[Video]:
    """
    Args:
        root: The folder that DeepfakeTIMIT and VidTIMIT, with the real videos, lie in.
    """
    home = unnest(root, "DeepfakeTIMIT")
    one_of(home, *QUALITIES)
    reals = next((root / name for name in VIDTIMIT if (root / name).is_dir()), None)
    if reals is None:
        report_issue(
            "missing", VIDTIMIT[0], "the real videos, a data set of their own: nothing to compare the fakes with"
        )
    for folder, quality in QUALITIES.items():
        if not (home / folder).is_dir():
            continue
        fakes = list(list_fakes(root, home / folder, quality))
        yield from check_count(fakes, {"fake": 320}, folder)
        if reals is not None:
            yield from list_reals(root, reals, quality, {row.identities.split()[0] for row in fakes})


def list_fakes(root: Path, folder: Path, quality: str) -> Iterator[Video]:
    for path in walk(root, folder, VIDEOS):
        name = FAKE.fullmatch(path.stem)
        if name is None:
            report_issue("unexpected", resolve_inside(root, path), "its name is not UTTERANCE-video-SOURCE: left out")
            continue
        subject = path.parent.name
        people = f"{subject}_{name[1]} {subject} {name[2]}"
        yield create(root, path, "faceswap_gan", quality, f"{subject}/{path.stem}", people)


def list_reals(root: Path, folder: Path, quality: str, clips: set[str]) -> Iterator[Video]:
    """Those that were forged: SUBJECT/video/UTTERANCE, a video or a folder of numbered images."""
    for clip in sorted(clips):
        subject, _, utterance = clip.partition("_")
        places = [place for name in (f"{subject}/video", subject) if (place := folder / name).is_dir()]
        found = [path for place in places for path in place.glob(f"{utterance}*") if path.stem == utterance]
        path = next((path for path in found if path.suffix.lower() in VIDEOS), None)
        path = path or next((path for path in found if path.is_dir()), None)
        if path is None:
            report_issue("missing", f"{folder.name}/{subject}/video/{utterance}", "the real video of fakes, not here")
        elif path.is_dir() and not any(is_image(inner.name) for inner in path.iterdir()):
            text = "holds no file with the suffix of an image; frames that are called 001 must become 001.jpg"
            report_issue("corrupt", resolve_inside(root, path), text)
        else:
            yield create(root, path, "real", quality, f"{subject}/{utterance}", f"{clip} {subject}")


def create(root: Path, path: Path, method: str, quality: str, stem: str, people: str) -> Video:
    return Video(
        dataset="deepfake_timit",
        method=method,
        compression=quality,
        stem=stem,
        path=resolve_inside(root, path),
        label=int(method != "real"),
        split="test",
        identities=people,
    )
