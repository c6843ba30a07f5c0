"""Photographs of real people, one or several of each, to be forged by a synthesis."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from datamodules.manifest import Video
from datamodules.studio.build import cast
from datamodules.studio.people import LONDON, find_photographs

TRAIN, VAL = 0.72, 0.86  # ends of their shares of all people


def index(root: Path) -> Iterator[Video]:
    """Lists NAME.jpg, or NAME_neutral.jpg and NAME_smiling.jpg, of a folder; a person is in one split.

    The people that come with the suite are in the same splits as where the studio renders them.
    """
    is_london = root.resolve() == LONDON.resolve()
    splits = {person.id: split for split, people in cast(LONDON).items() for person in people} if is_london else {}
    for person, photographs in find_photographs(root).items():
        for path in photographs.values():
            yield Video(
                dataset="photographs",
                method="real",
                stem=path.stem,
                path=path.name,
                label=0,
                split=splits.get(person) or draw_split(person),
                identities=person,
            )


def draw_split(person: str) -> str:
    """By the name alone, whoever else is there."""
    share = blake2b(person.encode(), digest_size=4).digest()[0] / 256
    return "train" if share < TRAIN else "val" if share < VAL else "test"
