"""PolyGlotFake: people who are made to speak another of seven languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.datasets.listing import VIDEOS, check_count, read_json, resolve_inside, walk, word
from datamodules.issues import report_issue
from datamodules.manifest import Video

LANGUAGE = "(?:ar|en|es|fr|ja|ru|zh)"
REAL = re.compile(rf"{LANGUAGE}_\d+")
FAKE = re.compile(rf"({LANGUAGE}_\d+)_to_{LANGUAGE}_\w+")  # es_1_to_ru_Xtts
COUNTS = {"real": 766, "fake": 14_472}


def index(root: Path) -> Iterator[Video]:
    """By file names, in whatever folders; the owners' JSON files tell methods and people; all is for testing."""
    yield from check_count(list_videos(root), COUNTS)


def list_videos(root: Path) -> Iterator[Video]:
    people, methods = read_people(root), read_methods(root)
    rows = {path.stem: path for path in walk(root, root, VIDEOS)}
    for stem, path in rows.items():
        fake = FAKE.fullmatch(stem)
        if fake is None and not REAL.fullmatch(stem):
            report_issue(
                "unexpected", resolve_inside(root, path), "its name is not LANGUAGE_N or LANGUAGE_N_to_...: left out"
            )
            continue
        source = fake[1] if fake else stem
        if fake and source not in rows:
            report_issue("unexpected", resolve_inside(root, path), f"{source}, which it was made from, is not here")
        yield Video(
            dataset="polyglotfake",
            method=methods.get(stem, "unlisted") if fake else "real",
            stem=stem,
            path=resolve_inside(root, path),
            label=int(fake is not None),
            split="test",
            identities=f"{people[source]}_{source} {people[source]}" if source in people else source,
            modality="both" if fake else "",
        )


def read_people(root: Path) -> dict[str, str]:
    """Each real clip to a name for its person: where it is from, age and sex of the first who is described."""
    people = {}
    for path in sorted(root.rglob("real_json_files/*.json")):
        for video in entries(path, "videos"):
            who: dict[str, Any] = next(iter(video.get("characters") or []), {})
            about = [video.get("source", ""), who.get("age", ""), who.get("sex", "")]
            people[Path(str(video.get("filename"))).stem] = word("/".join(map(str, about)))
    return people


def read_methods(root: Path) -> dict[str, str]:
    """Each fake clip to what moves its lips."""
    methods = {}
    for path in sorted(root.rglob("all_fake_video.json")):
        for video in entries(path, "video"):
            if video.get("sync_tech"):
                methods[Path(str(video.get("filename"))).stem] = word(str(video["sync_tech"]))
    return methods


def entries(path: Path, key: str) -> list[dict[str, Any]]:
    content = read_json(path)
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list):
        report_issue("list", path.name, f"holds no list {key!r}: passed over")
        return []
    return [one for one in found if isinstance(one, dict)]
