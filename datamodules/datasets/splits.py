"""Splits where the owners give none for validation, or give some that share people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

from datamodules.datasets.listing import word
from datamodules.identities import list_people
from datamodules.issues import report_issue
from datamodules.manifest import Video

VAL = 0.1  # share of the training data that becomes the validation split
SEED = 0


def is_drawn(dataset: str, identity: str) -> bool:
    """Whether an identity is drawn for validation; the same on every machine, whatever else is there."""
    digest = blake2b(f"{SEED} {dataset} {identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < VAL * 2**64


def separate_identities(rows: Iterable[Video]) -> Iterator[Video]:
    """Takes validation from training by identity, and leaves out of both whoever is in the test split."""
    listed = list(rows)
    tested = {identity for row in listed if row.split == "test" for identity in row.identities.split()}
    training = []
    for row in listed:
        if row.split == "test":
            yield row
        elif shared := sorted(tested & set(row.identities.split())):
            report_issue("held out", row.path, f"not in the test list, but {shared[0]!r} is: unfit for training")
        else:
            training.append(row)
    yield from split_validation(training)


def drop_shared(rows: Iterable[Video], what: str) -> list[Video]:
    """Rows without the identities that the owners' own splits share, of which one finding says how many there are.

    Args:
        what: Name of such identities, for the finding.
    """
    listed = list(rows)
    home: dict[str, str] = {}
    shared = set()
    for row in listed:
        for identity in row.identities.split():
            if home.setdefault(identity, row.split) != row.split:
                shared.add(identity)
    if not shared:
        return listed
    text = f"{len(shared)} {what} are in two of the owners' splits, such as {min(shared)!r}: not counted as identities"
    report_issue("unexpected", ".", text, len(shared))
    out = []
    for row in listed:
        kept = " ".join(one for one in row.identities.split() if one not in shared)
        out.append(replace(row, identities=kept or word(row.stem)))
    return out


def split_validation(rows: list[Video]) -> Iterator[Video]:
    """Cuts ``train`` by groups of people who meet in a video, or by people where all belong to one group."""
    group = groups(rows)
    sizes = Counter(group[row.identities.split()[0]] for row in rows)
    together = bool(sizes) and max(sizes.values()) <= len(rows) / 2
    for row in rows:
        people = list_people(row.identities)
        chosen = {is_drawn(row.dataset, group[person] if together else person) for person in people}
        if len(chosen) > 1:
            report_issue(
                "held out", row.path, f"shows people of training and of validation (cut by identity, seed {SEED})"
            )
        else:
            yield replace(row, split="val") if chosen == {True} else row


def groups(rows: Iterable[Video]) -> dict[str, str]:
    """Each identity to the first, by name, of those it is linked to."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            parent[one] = one = parent[parent[one]]
        return one

    for row in rows:
        first, *others = row.identities.split()
        for other in others:
            a, b = sorted((root(first), root(other)))
            parent[b] = a
        root(first)
    return {one: root(one) for one in parent}
