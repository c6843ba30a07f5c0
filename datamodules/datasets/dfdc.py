"""DFDC, the data set of the challenge: fifty training parts and a test set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.datasets.listing import check_count, read_csv, read_entries, resolve_inside, videos_in
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError


def index(root: Path) -> Iterator[Video]:
    """Lists a copy: the test set, the training parts, or both."""
    parts = sorted((root / "train").glob("dfdc_train_part_*"))
    folder = next((root / name for name in ("test", "videos") if (root / name).is_dir()), None)
    if not parts and folder is None:
        raise UserError(f"{root}: holds neither train/dfdc_train_part_0 nor test")
    rows = [row for part in parts for row in list_training(root, part)]
    if folder is not None:
        rows += list_testing(root, folder)
    yield from separate_identities(check_count(rows, {"test real": 2500, "test fake": 2500} if folder else {}))


def list_training(root: Path, part: Path) -> Iterator[Video]:
    """One part; a video and all forgeries of it are one group."""
    entries = read_entries(part / "metadata.json")
    here = {path.name: path for path in videos_in(root, part)}
    for name, entry in entries.items():
        place = resolve_inside(root, part / name)
        if name not in here:
            report_issue("missing", place, "in metadata.json, but not here")
            continue
        path = here.pop(name)
        if entry.get("label") not in ("REAL", "FAKE"):
            report_issue("list", place, f"metadata.json labels it {entry.get('label')!r}, not REAL or FAKE: left out")
            continue
        label = int(entry["label"] == "FAKE")
        original = entry.get("original")
        if label and not original:
            report_issue(
                "list", place, "metadata.json names no original of this fake: left out, for its group is unknown"
            )
            continue
        yield create_video(root, path, label, "train", Path(original or name).stem)
    for path in here.values():
        report_issue("unexpected", resolve_inside(root, path), "not in metadata.json: left out")


def list_testing(root: Path, folder: Path) -> Iterator[Video]:
    labels = test_labels(root, folder)
    for path in videos_in(root, folder):
        label = labels.pop(path.name, None)
        if label is None:
            report_issue("unexpected", resolve_inside(root, path), "has no label: left out")
        else:
            yield create_video(root, path, label, "test", path.stem)
    for name in labels:
        report_issue("missing", resolve_inside(root, folder / name), "has a label, but is not here")


def test_labels(root: Path, folder: Path) -> dict[str, int]:
    """File name to label, from either form that the owners released."""
    for path in (root / "labels.csv", folder / "labels.csv"):
        if path.exists():
            labels = {}
            for line, row in read_csv(path):
                if row.get("label") not in ("0", "1") or not row.get("filename"):
                    raise UserError(f"{path}, line {line}: must be filename and label, 0 (real) or 1 (fake), not {row}")
                labels[row["filename"]] = int(row["label"])
            return labels
    path = folder / "metadata.json"
    if path.exists():
        return {name: label_of(path, name, entry) for name, entry in read_entries(path).items()}
    raise UserError(f"{root}: the labels of {folder.name} are missing, labels.csv or {folder.name}/metadata.json")


def label_of(path: Path, name: str, entry: dict[str, Any]) -> int:
    said = entry.get("is_fake", {"REAL": 0, "FAKE": 1}.get(entry.get("label", "")))
    if said not in (0, 1):
        raise UserError(f"{path}: {name} has neither is_fake 0 or 1 nor label REAL or FAKE")
    return int(said)


def create_video(root: Path, path: Path, label: int, split: str, group: str) -> Video:
    return Video(
        dataset="dfdc",
        method="dfdc" if label else "real",
        stem=path.stem,
        path=resolve_inside(root, path),
        label=label,
        split=split,
        identities=group,
    )
