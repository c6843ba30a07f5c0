"""Splits of people, for a data set without any."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules import manifest
from datamodules.identities import list_people
from datamodules.manifest import SPLITS
from datamodules.runtime.errors import UserError


def draw_split(videos: pa.Table, share: float, prepared: Path) -> pa.Table:
    """Rows with splits drawn by people; the same whatever the seed or the order of rows, as long as all are there.

    Boundaries count people: one more or fewer may move others.

    People who meet in a video are in one split. Where forgeries link most videos, which would then be in one, people
    are drawn alone, and videos that show people of two splits are left out.

    Args:
        share: Share of the people for training; of the others, one half is for validation and one for testing.
        prepared: Folder of the table, for messages.
    """
    if not 0 < share < 1:
        raise UserError(f"split {share:g}: must be the share of people for training, above 0 and below 1")
    given = sorted(pc.unique(videos["split"]).to_pylist())
    if given != ["test"]:
        raise UserError(f"{prepared}: split {share:g}: has splits of its own, {', '.join(given)}; leave out 'split'")
    group, people = group_people(videos), name_people(videos)
    if np.bincount(group).max() > len(videos) / 2:
        units = people
        size = dict.fromkeys({name for mine in people for name in mine}, 1)
    else:
        first: dict[int, str] = {}
        together: dict[int, set[str]] = {}
        for g, name, mine in zip(group.tolist(), manifest.keys(videos).to_pylist(), people, strict=True):
            first[g] = min(first.get(g, name), name)
            together.setdefault(g, set()).update(mine)
        units = [[first[g]] for g in group.tolist()]
        size = {first[g]: len(together[g]) for g in first}
    if len(size) < 3:
        raise UserError(f"{prepared}: split {share:g}: {len(size)} people or source clips, must be at least 3")
    split_of = draw_units(size, share)
    splits = [{split_of[unit] for unit in mine} for mine in units]
    column = pa.array([min(found) for found in splits], pa.large_string())
    drawn = videos.set_column(videos.schema.get_field_index("split"), "split", column)
    drawn = drawn.filter(pa.array([len(found) == 1 for found in splits]))
    check_kinds(drawn, share, prepared)
    return drawn


def check_kinds(drawn: pa.Table, share: float, prepared: Path) -> None:
    """Refuses a split without a kind that the set has: nothing could be measured on it."""
    found = set(zip(drawn["split"].to_pylist(), drawn["label"].to_pylist(), strict=True))
    for label, kind in enumerate(("real", "forged")):
        lacking = [split for split in SPLITS if (split, label) not in found]
        if len(lacking) in (1, 2):
            what = f"leaves no {kind} video of its own people for {' and '.join(lacking)}"
            raise UserError(f"{prepared}: split {share:g}: {what}; give another share, or a table with splits")


def draw_units(size: dict[str, int], share: float) -> dict[str, str]:
    """The split of each.

    Args:
        size: People of each.
    """
    count, held_out = sum(size.values()), (1 - share) / 2
    # those that would be more than all of a test set are trained on
    order = sorted(size, key=lambda one: (size[one] <= held_out * count, hashlib.sha256(one.encode()).digest()))
    sizes = np.array([size[one] for one in order])
    middle = np.cumsum(sizes) - sizes / 2
    train = int(np.clip((middle <= share * count).sum(), 1, len(order) - 2))
    val = int(np.clip((middle <= (1 - held_out) * count).sum() - train, 1, len(order) - train - 1))
    return {one: "train" if i < train else "val" if i < train + val else "test" for i, one in enumerate(order)}


def name_people(videos: pa.Table) -> list[list[str]]:
    """Who is in each video, or its clip where nobody is known."""
    columns = (videos[name].to_pylist() for name in ("dataset", "identities", "stem"))
    known = ((dataset, list_people(words) or [stem]) for dataset, words, stem in zip(*columns, strict=True))
    return [[f"{dataset}/{name}" for name in names] for dataset, names in known]


def group_people(videos: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(N,) group of each video; those that share a person, directly or by others, are in one.

    So are the codings of a video of nobody known.
    """
    known = videos["identities"].combine_chunks()
    clip = pc.replace_substring(videos["stem"].combine_chunks(), " ", "_")
    place = videos.schema.get_field_index("identities")
    found = manifest.people(videos.set_column(place, "identities", pc.if_else(pc.equal(known, ""), clip, known)))
    names = manifest.join_columns(found["dataset"].combine_chunks(), found["identity"].combine_chunks())
    person = names.dictionary_encode().indices.to_numpy()
    row, count = found["row"].to_numpy(), len(videos)
    size = count + int(person.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(row)), (row, count + person)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)
