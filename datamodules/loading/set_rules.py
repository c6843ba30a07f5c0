"""What several prepared sets must have in common, and what they must not share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.compute as pc

from datamodules import manifest
from datamodules.loading.prepared_set import PreparedSet
from datamodules.prepared import contract as contracts
from datamodules.prepared.contract import Contract
from datamodules.runtime.errors import UserError

# how faces are stored, and how many, and what is white in a mask: no pixel of a face depends on it
STORAGE = ("store", "frames", "tracks", "mask_threshold")


def pixels_of(contract: Contract) -> Contract:
    """What decides the pixels of a prepared face."""
    return {name: value for name, value in contract.items() if name not in STORAGE}


def check_sets(sets: Sequence[PreparedSet]) -> None:
    """Refuses sets that cannot be trained or tested on together."""
    if len(sets) == 1:
        return
    first = sets[0]
    for other in sets[1:]:
        who = f"{other.prepared} (there), beside {first.prepared} (here),"
        contracts.compare(pixels_of(first.contract), pixels_of(other.contract), who)
    check_titles(sets)
    check_videos(sets)
    check_people(sets)
    check_files(sets)


def check_titles(sets: Sequence[PreparedSet]) -> None:
    title, times = Counter(one.title for one in sets).most_common(1)[0]
    if times > 1:
        folders = " and ".join(str(one.prepared) for one in sets if one.title == title)
        raise UserError(f"sets: {folders} are all called {title!r}; give each a name of its own ('name: ...')")


def check_videos(sets: Sequence[PreparedSet]) -> None:
    """A video is known by its key, in the table of predictions as elsewhere."""
    home: dict[str, PreparedSet] = {}
    for one in sets:
        for key in manifest.keys(one.released_rows).to_pylist():
            if (other := home.setdefault(key, one)) is not one:
                raise UserError(
                    f"{one.prepared} and {other.prepared}: both have {key}; a video, and its name, is in one set only"
                )


def check_people(sets: Sequence[PreparedSet]) -> None:
    """Identities are names within a data set, or within what ``people`` says."""

    def name_people(one: PreparedSet) -> Iterable[tuple[str, str, str]]:
        homes = manifest.people(one.released_rows).group_by(["dataset", "identity", "split"]).aggregate([])
        for home in homes.to_pylist():
            yield one.people or home["dataset"], home["identity"], home["split"]

    seen: dict[tuple[str, str], tuple[Path, str]] = {}
    for one in sets:
        for people, identity, split in name_people(one):
            folder, other = seen.setdefault((people, identity), (one.prepared, split))
            if other != split:
                where = f"{other!r} of {folder} and in {split!r} of {one.prepared}"
                advice = "leave one out or, if they are different people, give one of the sets 'people: ...'"
                raise UserError(f"identity {identity!r} of {people} is in {where}; {advice}")


def check_files(sets: Sequence[PreparedSet]) -> None:
    """The same file under two names."""
    seen: dict[str, tuple[PreparedSet, str]] = {}
    for one in sets:
        files = (
            one.released_rows.filter(pc.field("sha256") != "")
            .group_by(["sha256", "split"])
            .aggregate([("path", "min")])
        )
        for file in files.to_pylist():
            other, split = seen.setdefault(file["sha256"], (one, file["split"]))
            if split != file["split"] and other is not one:
                raise UserError(
                    f"{one.prepared}: {file['path_min']} is in {file['split']!r}, and the same file in {split!r} of "
                    f"{other.prepared}; leave one out"
                )
