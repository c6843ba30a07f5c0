"""Who is in a video, of the words by which a manifest names people and clips."""

from __future__ import annotations


def list_people(identities: str) -> list[str]:
    """All but the clip, which readers put first, called after one of them: id0_0001 in id0_0001 id0 id1."""
    first, *others = identities.split() or [""]
    is_clip = any(first.startswith(f"{other}_") for other in others)
    return others if is_clip or not first else [first, *others]


def first_person(identities: str) -> str:
    """Whom a video was made from; empty where nobody is known."""
    return next(iter(list_people(identities)), "")
