"""Who is in a video, of the words by which a manifest names people and clips."""

from __future__ import annotations


def list_people(identities: str) -> list[str]:
    """All but the clip, which is called after one of them, as id0_0001 after id0."""
    words = identities.split()
    return [word for word in words if not any(word.startswith(f"{other}_") for other in words)]


def first_person(identities: str) -> str:
    """Whom a video was made from; empty where nobody is known."""
    return next(iter(list_people(identities)), "")
