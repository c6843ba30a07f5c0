"""DF40: forty forgeries, shipped as faces already cut out, eight to a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.datasets.celeb_df import identities
from datamodules.datasets.deepfakebench import find_siblings
from datamodules.datasets.listing import one_of, resolve_inside, word
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.media.image_sequence import is_image

HOMES = {"DF40": "test", "DF40_train": "train"}
DOMAINS = {"ff": "ff", "ffpp": "ff", "cdf": "cdf", "cdfv2": "cdf"}  # the older spelling too
REALS = {
    "ff": ["FaceForensics++/original_sequences/youtube/c23/frames"],
    "cdf": ["Celeb-DF-v2/Celeb-real/frames", "Celeb-DF-v2/YouTube-real/frames"],
}


def index(root: Path) -> Iterator[Video]:
    """
    Args:
        root: The folder that DF40, DF40_train and the processed FaceForensics++ and Celeb-DF-v2 lie in.
    """
    one_of(root, *HOMES)
    rows: list[Video] = []
    for home, split in HOMES.items():
        for method in sorted(path for path in (root / home).glob("*") if path.is_dir()):
            known = [path for path in sorted(method.iterdir()) if path.is_dir()]
            if not known:
                report_issue(
                    "unexpected", resolve_inside(root, method), "holds no folder ff, cdf, real or fake: left out"
                )
            for folder in known:
                rows += forgeries(root, method.name, folder, split)
    rows += originals(root, rows)
    yield from separate_identities(rows)


def clips(root: Path, folder: Path) -> Iterator[Path]:
    """Folders of images, in ``frames`` or without it; single images where a method makes no videos."""
    home = folder / "frames" if (folder / "frames").is_dir() else folder
    for path in sorted(home.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and any(is_image(p.name) for p in path.iterdir()):
            yield path
        elif path.is_dir():
            report_issue("corrupt", resolve_inside(root, path), "a folder without images")
        elif is_image(path.name):
            yield path


def forgeries(root: Path, method: str, folder: Path, split: str) -> Iterator[Video]:
    domain = DOMAINS.get(folder.name)
    if domain is None and folder.name not in ("real", "fake"):
        report_issue("unexpected", resolve_inside(root, folder), "not one of ff, cdf, real, fake: left out")
        return
    label = int(folder.name != "real")
    for path in clips(root, folder):
        landmarks, mask = find_siblings(path)
        stem = path.name if path.is_dir() else path.stem
        yield Video(
            dataset="df40",
            method=method if label else "real",
            compression=domain or "own",
            stem=stem if label else f"{method}/{stem}",
            path=resolve_inside(root, path),
            label=label,
            split=split,
            identities=people(domain, method, stem),
            mask=resolve_inside(root, mask) if mask else "",
            box="all",
            landmarks=resolve_inside(root, landmarks) if landmarks else "",
        )


def people(domain: str | None, method: str, stem: str) -> str:
    if domain == "ff" and re.fullmatch(r"\d{3}(_\d{3})?", stem):
        return stem.replace("_", " ")
    known = domain == "cdf" and (identities(stem, "Celeb-synthesis") or identities(stem, "Celeb-real"))
    return known or word(f"{domain or method}/{stem}")


def originals(root: Path, fakes: list[Video]) -> Iterator[Video]:
    """Real videos of the domains, in the split of the forgeries that they were made into."""
    home: dict[str, str] = {}
    for row in fakes:
        home.setdefault(f"{row.compression}/{row.identities.split()[0]}", row.split)
    for domain, folders in REALS.items():
        if not any(row.compression == domain for row in fakes):
            continue
        for folder in folders:
            if not (root / folder).is_dir():
                report_issue(
                    "missing", folder, f"the real videos of domain {domain}: nothing to compare its fakes with"
                )
                continue
            for path in clips(root, root / folder):
                split = home.get(f"{domain}/{path.name}", "test" if path.name.isdigit() and domain == "cdf" else "")
                if not split:
                    continue  # no forgery of this data set was made from it
                landmarks, _ = find_siblings(path)
                yield Video(
                    dataset="df40",
                    method="real",
                    compression=domain,
                    stem=path.name,
                    path=resolve_inside(root, path),
                    label=0,
                    split=split,
                    identities=people(domain, "", path.name),
                    box="all",
                    landmarks=resolve_inside(root, landmarks) if landmarks else "",
                )
