"""AV-Deepfake1M and AV-Deepfake1M++: clips of which spans of images, sound or both are forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.datasets.forged_spans import SpannedClip, count_modalities, list_clips, report_unlabelled
from datamodules.datasets.listing import check_groups, read_json, unnest, word
from datamodules.datasets.splits import drop_shared, separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

HOMES = {"train": "train", "val": "test"}  # labels of the test part were never released: everybody tests on val
MODALITIES = {"real": "", "visual_modified": "video", "audio_modified": "audio", "both_modified": "both"}
PP_COUNTS = {"test real": 20_220, "test video": 19_099, "test audio": 18_938, "test both": 19_069}
NO_SPEAKERS = ("lrs3", "silent_videos")


def index_1m(root: Path) -> Iterator[Video]:
    """Lists AV-Deepfake1M."""
    return index(root, "av_deepfake1m", {})


def index_pp(root: Path) -> Iterator[Video]:
    """Lists AV-Deepfake1M++."""
    return index(root, "av_deepfake1m_pp", PP_COUNTS)


def index(root: Path, dataset: str, owners: dict[str, int]) -> Iterator[Video]:
    """Its val is for testing; validation is cut from train by clips, and by speakers unless the owners share them."""
    homes = {name: unnest(root / name, name) for name in HOMES}
    rows: list[Video] = []
    for name, split in HOMES.items():
        clips = read_clips(root, homes[name], name, split, dataset)
        rows += list_clips(root, root, dataset, clips, [homes[name]] if homes[name].is_dir() else [])
    if not rows:
        raise UserError(f"{root}: holds no {' or '.join(f'{name}_metadata.json' for name in HOMES)} and its videos")
    for name in ("test_files.txt", "testA_files.txt", "testB_files.txt"):
        report_unlabelled(root, name)
    yield from separate_identities(check_groups(drop_shared(rows, "speakers"), owners, count_modalities))


def read_clips(root: Path, home: Path, name: str, split: str, dataset: str) -> Iterator[SpannedClip]:
    for entry in read_metadata(root, home, name):
        file, kind = str(entry.get("file", "")), str(entry.get("modify_type")).replace("-", "_")
        if not file or kind not in MODALITIES:
            report_issue("list", file or name, f"modify_type {entry.get('modify_type')!r}: left out")
            continue
        spans = entry.get("visual_fake_segments")
        yield SpannedClip(
            path=home / file,
            split=split,
            modality=MODALITIES[kind],
            # believed before the lists of segments, some of which are of a stream that was not touched
            spans=entry.get("fake_segments") or [] if spans is None else spans,
            method=str(entry.get("video_model") or dataset),
            identities=name_identities(file),
        )


def read_metadata(root: Path, home: Path, name: str) -> Iterator[dict[str, Any]]:
    """One list for each part, or a file for each video, in a folder of their own or beside it."""
    path = root / f"{name}_metadata.json"
    if path.is_file():
        entries = read_json(path)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: must be a list of objects")
        yield from entries
        return
    folder = unnest(root / f"{name}_metadata", f"{name}_metadata")
    for single in sorted((folder if folder.is_dir() else home).rglob("*.json")):
        entry = read_json(single)
        if isinstance(entry, dict):
            yield entry


def name_identities(file: str) -> str:
    """The utterance that real and fake of one folder share, then the speaker where there is one."""
    folders = Path(file).parts[:-1]
    clip = word("/".join(folders))
    speaker = word(folders[1 if folders[0] == "vox_celeb_2" else 0]) if len(folders) > 1 else ""
    return f"{speaker}_{clip} {speaker}" if speaker and speaker not in NO_SPEAKERS else clip
