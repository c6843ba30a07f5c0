"""DeepfakeBench's processed faces: folders of images, listed in its JSON files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from datamodules.datasets import deeperforensics, dfd
from datamodules.datasets.celeb_df import identities
from datamodules.datasets.listing import read_entries, resolve_inside, word
from datamodules.datasets.splits import drop_shared, separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import SPLITS, Video
from datamodules.runtime.errors import UserError

# our data set and method to its names
DATASETS = {
    "ffpp": "FaceForensics++",
    "faceshifter": "FaceShifter",
    "dfd": "DeepFakeDetection",
    "celeb_df_v1": "Celeb-DF-v1",
    "celeb_df_v2": "Celeb-DF-v2",
    "dfdcp": "DFDCP",
    "dfdc": "DFDC",
    "deeperforensics": "DeeperForensics-1.0",
    "uadfv": "UADFV",
}
LABELS = {
    ("FaceForensics++", "real"): "FF-real",
    ("FaceForensics++", "Deepfakes"): "FF-DF",
    ("FaceForensics++", "Face2Face"): "FF-F2F",
    ("FaceForensics++", "FaceSwap"): "FF-FS",
    ("FaceForensics++", "NeuralTextures"): "FF-NT",
    ("FaceShifter", "real"): "FF-real",
    ("FaceShifter", "FaceShifter"): "FF-FH",
    ("DeepFakeDetection", "real"): "DFD_real",
    ("DeepFakeDetection", "DeepFakeDetection"): "DFD_fake",
    ("Celeb-DF-v1", "real"): "CelebDFv1_real",
    ("Celeb-DF-v1", "Celeb-synthesis"): "CelebDFv1_fake",
    ("Celeb-DF-v2", "real"): "CelebDFv2_real",
    ("Celeb-DF-v2", "Celeb-synthesis"): "CelebDFv2_fake",
    ("DFDCP", "real"): "DFDCP_Real",
    ("DFDCP", "method_A"): "DFDCP_FakeA",
    ("DFDCP", "method_B"): "DFDCP_FakeB",
    ("DFDC", "real"): "DFDC_Real",
    ("DFDC", "dfdc"): "DFDC_Fake",
    ("DeeperForensics-1.0", "real"): "DF_real",
    ("UADFV", "real"): "UADFV_Real",
    ("UADFV", "uadfv"): "UADFV_Fake",
}
# a fake has the person who was swapped in before the name of the clip that it was made from
DFDCP_CLIP = re.compile(r"(?:(?P<swapped>[^\W_]+)_)?(?P<clip>(?P<target>[^\W_]+)_[^\W_]+_[^\W_]+)")
COMPRESSIONS = ("c23", "c40", "raw")


def index(root: Path) -> Iterator[Video]:
    """
    Args:
        root: The folder that holds ``dataset_json`` and the processed data sets: a listed path, or an end of it, begins
            here.
    """
    lists = sorted((root / "dataset_json").glob("*.json"), key=lambda path: (-path.stat().st_size, path.name))
    if not lists:
        raise UserError(f"{root / 'dataset_json'}: holds no JSON of DeepfakeBench")
    rows: dict[str, Video] = {}
    for path in lists:
        for row in entries(root, path):
            known = rows.setdefault(row.path, row)
            if known.split != row.split and known.dataset == row.dataset:
                # its lists put every video of some data sets in all splits
                kept = max(known, row, key=lambda one: SPLITS.index(one.split))
                lost = known if kept is row else row
                report_issue(
                    "held out", row.path, f"{path.name} has it in {lost.split!r} and {kept.split!r}: kept for the last"
                )
                rows[row.path] = kept
    by_dataset: dict[str, list[Video]] = {}
    for row in rows.values():
        by_dataset.setdefault(row.dataset, []).append(row)
    for listed in by_dataset.values():
        has_validation = any(row.split == "val" for row in listed)
        yield from drop_shared(listed, "people") if has_validation else separate_identities(listed)


def entries(root: Path, path: Path) -> Iterator[Video]:
    for dataset, labels in read_entries(path).items():
        ours = next((name for name, theirs in DATASETS.items() if theirs == dataset), dataset)
        methods = {label: method for (of, method), label in LABELS.items() if of == dataset}
        for label, splits in labels.items():
            real = label.lower().endswith("real")
            for split, content in splits.items():
                if split not in SPLITS:
                    report_issue("list", path.name, f"{label} has a split {split!r}: left out")
                    continue
                for compression, stem, entry in videos(content):
                    folder = frames_folder(root, entry)
                    if folder is None:
                        first = (entry.get("frames") or ["no frame"])[0]
                        report_issue("missing", first, f"{stem} of {label} in {path.name}, but not here")
                        continue
                    landmarks, mask = find_siblings(folder)
                    yield Video(
                        dataset=ours,
                        method="real" if real else methods.get(label, label.removeprefix(f"{dataset}_")),
                        compression=compression,
                        stem=stem,
                        path=resolve_inside(root, folder),
                        label=int(not real),
                        split=split,
                        identities=people(ours, stem),
                        mask=resolve_inside(root, mask) if mask else "",
                        box="all",
                        landmarks=resolve_inside(root, landmarks) if landmarks else "",
                    )


def videos(content: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(compression, stem, entry); some data sets have a level for the compression, some have none."""
    for name, entry in content.items():
        if name in COMPRESSIONS and "frames" not in entry:
            for stem, inner in entry.items():
                yield name, stem, inner
        else:
            yield "", name, entry


def frames_folder(root: Path, entry: dict[str, Any]) -> Path | None:
    """Where the images are here: the lists keep the folders, and the slashes, of the machine they were written on."""
    if not entry.get("frames"):
        return None
    parts = PurePosixPath(entry["frames"][0].replace("\\", "/")).parent.parts
    places = (root.joinpath(*parts[i:]) for i in range(len(parts)) if parts[i] not in ("/", "..", "."))
    return next((place for place in places if place.is_dir()), None)


def find_siblings(folder: Path) -> tuple[Path | None, Path | None]:
    """Folders of the landmarks and of the masks, which lie beside that of the images."""
    if folder.parent.name != "frames":
        return None, None
    landmarks, masks = (folder.parent.with_name(name) / folder.name for name in ("landmarks", "masks"))
    return landmarks if landmarks.is_dir() else None, masks if masks.is_dir() else None


def people(dataset: str, stem: str) -> str:
    """As the readers of the data sets themselves say it, so that a fake and what it was made of are in one split."""
    if re.fullmatch(r"\d{3}_\d{3}", stem):
        return stem.replace("_", " ")
    if dataset == "dfdcp" and (clip := DFDCP_CLIP.fullmatch(stem)):
        return " ".join(filter(None, (clip["clip"], clip["target"], clip["swapped"])))
    if dataset == "deeperforensics" and deeperforensics.FAKE.fullmatch(stem):
        return stem.replace("_", " ")
    if dataset == "dfd" and (actors := dfd.people(stem)):
        return actors
    celebrity = dataset.startswith("celeb_df") and (
        identities(stem, "Celeb-synthesis") or identities(stem, "Celeb-real")
    )
    return celebrity or word(stem.removesuffix("_fake"))
