"""LAV-DF: clips of VoxCeleb2 in which a few words, and the mouth that says them, are forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.datasets.forged_spans import SpannedClip, count_modalities, list_clips
from datamodules.datasets.listing import check_groups, one_of, read_json, unnest, word
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

SPLITS = {"train": "train", "dev": "val", "test": "test"}
KINDS = ("real", "video", "audio", "both")
PER_SPLIT = {
    "train": (21_254, 19_271, 19_088, 19_090),
    "val": (8_271, 7_820, 7_709, 7_701),
    "test": (6_906, 6_452, 6_373, 6_369),
}
COUNTS = {f"{split} {kind}": n for split, of in PER_SPLIT.items() for kind, n in zip(KINDS, of, strict=True)}


def index(root: Path) -> Iterator[Video]:
    """Lists what ``metadata.json``, or the shorter ``metadata.min.json``, has a row for."""
    home = unnest(root, "LAV-DF")
    rows = read_json(one_of(home, "metadata.json", "metadata.min.json"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{home}: its metadata must be a list of objects")
    clips = (clip for row in rows if (clip := read_clip(home, row)) is not None)
    folders = [home / split for split in SPLITS]
    yield from check_groups(list_clips(root, home, "lav_df", clips, folders), COUNTS, count_modalities)


def read_clip(home: Path, row: dict[str, Any]) -> SpannedClip | None:
    file, split = str(row.get("file", "")), SPLITS.get(str(row.get("split")))
    modified = row.get("modify_video"), row.get("modify_audio")
    if not file or split is None or not all(isinstance(one, bool) for one in modified):
        text = f"metadata gives split {row.get('split')!r}, modify_video and modify_audio {modified}: left out"
        report_issue("list", file or ".", text)
        return None
    return SpannedClip(
        path=home / file,
        split=split,
        modality={(True, False): "video", (False, True): "audio", (True, True): "both"}.get(modified, ""),  # type: ignore[arg-type]
        spans=row.get("fake_periods") or [],
        method="lav_df",
        # speakers are not told; all that ties a fake is what it was made from
        identities=word(Path(row.get("original") or file).stem),
    )
