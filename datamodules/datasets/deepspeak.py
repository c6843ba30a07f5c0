"""DeepSpeak v1.1 and v2: people before their webcams, whose faces or lips are forged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datamodules.datasets.listing import VIDEOS, check_count, read_csv, resolve_inside, walk
from datamodules.datasets.splits import separate_identities
from datamodules.issues import report_issue
from datamodules.manifest import Video
from datamodules.runtime.errors import UserError

REAL = re.compile(r"(\d+)-(\d+)")
FAKE_V1 = re.compile(r"(\w+?)--(\d+)-(\d+)--(\d+)-(\d+)--\d+")  # ENGINE--SOURCE-TARGET--recordings--N


def index_v1(root: Path) -> Iterator[Video]:
    """Lists DeepSpeak v1.1."""
    return index(root, "deepspeak_v1", {"real": 6_667, "fake": 6_796})


def index_v2(root: Path) -> Iterator[Video]:
    """Lists DeepSpeak v2."""
    return index(root, "deepspeak_v2", {"real": 9_376, "fake": 7_209})


def index(root: Path, dataset: str, owners: dict[str, int]) -> Iterator[Video]:
    """Files are known by their name, wherever archives put them; a fake is in a split if both its actors are."""
    splits = read_splits(root)
    fakes = {name_of(row.get("video-file", "")): row for _, row in read_csv(root / "annotations-fake.csv")}
    reals = {name_of(row.get("video-file", "")): row for _, row in read_csv(root / "annotations-real.csv")}
    listed = set(fakes) | set(reals)
    rows = []
    mixed = 0
    for path in walk(root, root, VIDEOS):
        listed.discard(path.stem)
        row = read_real(dataset, path, reals) or read_fake(dataset, path, fakes)
        if row is None:
            report_issue(
                "unexpected", resolve_inside(root, path), "in no table, and its name tells no actors: left out"
            )
            continue
        people = row.identities.split()[1:]
        homes = {splits.get(person, "") for person in people}
        if "" in homes:
            text = f"annotations-split-def.csv has no split of one of {', '.join(people)}: left out"
            report_issue("list", resolve_inside(root, path), text)
        elif len(homes) > 1:
            mixed += 1
        else:
            rows.append(replace(row, path=resolve_inside(root, path), split=homes.pop()))
    if mixed:
        text = f"{mixed} fakes show an actor of train and one of test: left out, as the owners' rule is not known"
        report_issue("held out", ".", text, mixed)
    for name in sorted(listed - {""}):
        report_issue("missing", f"{name}.mp4", "in the tables, but not here")
    yield from separate_identities(check_count(rows, owners))


def name_of(text: str) -> str:
    return text.strip().removesuffix(".mp4")


def read_splits(root: Path) -> dict[str, str]:
    """Each actor to train or test."""
    path = root / "annotations-split-def.csv"
    splits = {}
    for number, row in read_csv(path):
        if not row.get("identity") or row.get("split") not in ("train", "test"):
            raise UserError(f"{path}, line {number}: {row.get('split')!r} must be train or test, of an identity")
        splits[row["identity"]] = row["split"]
    return splits


def read_real(dataset: str, path: Path, table: dict[str, dict[str, str]]) -> Video | None:
    name = REAL.fullmatch(path.stem)
    person = table.get(path.stem, {}).get("identity") or (name[1] if name else "")
    if not person or (path.stem not in table and name is None):
        return None
    clip = f"{name[1]}_{name[2]}" if name else path.stem
    return create(dataset, path, "real", 0, f"{clip} {person}")


def read_fake(dataset: str, path: Path, table: dict[str, dict[str, str]]) -> Video | None:
    row, name = table.get(path.stem, {}), FAKE_V1.fullmatch(path.stem)
    if name and not row:
        engine, source, target, recording = name[1], name[2], name[3], name[5]
    else:
        engine, source = row.get("engine", ""), row.get("identity-source", "")
        target, recording = row.get("identity-target", ""), row.get("recording-target", "")
    if not (engine and source and target):
        return None
    people = dict.fromkeys([target, source])
    return create(dataset, path, engine, 1, " ".join([f"{target}_{recording}", *people]))


def create(dataset: str, path: Path, method: str, label: int, identities: str) -> Video:
    return Video(dataset=dataset, method=method, stem=path.stem, path="", label=label, split="", identities=identities)
