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
from datamodules.runtime.errors import UserError


def draw_split(videos: pa.Table, share: float, prepared: Path) -> pa.Table:
    """Rows with splits drawn by identity; the same people whatever the seed or the order of rows.

    Args:
        share: Share of the people for training; of the others, one half is for validation and one for testing.
        prepared: Folder of the table, for messages.
    """
    if not 0 < share < 1:
        raise UserError(f"split {share:g}: must be the share of people for training, above 0 and below 1")
    given = sorted(pc.unique(videos["split"]).to_pylist())
    if given != ["test"]:
        raise UserError(f"{prepared}: split {share:g}: has splits of its own, {', '.join(given)}; leave out 'split'")
    group = group_people(videos)
    names = np.array(manifest.keys(videos).to_pylist())
    firsts = {int(g): min(names[group == g]) for g in np.unique(group)}
    order = sorted(firsts, key=lambda g: hashlib.sha256(firsts[g].encode()).digest())
    if len(order) < 3:
        raise UserError(f"{prepared}: split {share:g}: {len(order)} people or source clips, must be at least 3")
    train = min(max(1, round(share * len(order))), len(order) - 2)
    val = (len(order) - train) // 2
    split_of = {g: "train" if i < train else "val" if i < train + val else "test" for i, g in enumerate(order)}
    column = pa.array([split_of[int(g)] for g in group], pa.large_string())
    return videos.set_column(videos.schema.get_field_index("split"), "split", column)


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
