"""What a detector was trained on, counted from its manifest and said in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datamodules.identities import list_people


@dataclass(frozen=True, kw_only=True)
class SeenSet:
    """Of one data set.

    Args:
        people: Number of people that its manifest tells apart, by clips where it names no person; 0 where it does not.
        forged_by: The synthesis that made forgeries of the real ones, empty without.
    """

    dataset: str
    real_photographs: int
    forged_photographs: int
    real_videos: int
    forged_videos: int
    people: int
    forged_by: str = ""

    @property
    def photographs(self) -> int:
        return self.real_photographs + self.forged_photographs

    @property
    def videos(self) -> int:
        return self.real_videos + self.forged_videos


def count_seen(videos: pa.Table, makers: Sequence[str] = ()) -> list[SeenSet]:
    """Of each data set.

    Args:
        videos: Rows of the manifest, of training.
        makers: Names of the syntheses that forge the real ones.
    """
    seen = []
    for dataset in sorted(pc.unique(videos["dataset"]).to_pylist()):
        mine = videos.filter(pc.field("dataset") == dataset)
        is_photograph = (pc.field("frames") == 1) & (pc.field("fps") == 0)
        kinds = {
            f"{kind}_{what}": mine.filter((pc.field("label") == label) & is_one).num_rows
            for label, kind in enumerate(("real", "forged"))
            for what, is_one in (("photographs", is_photograph), ("videos", ~is_photograph))
        }
        known = {person for text in pc.unique(mine["identities"]).to_pylist() for person in list_people(text)}
        is_blended = kinds["real_photographs"] + kinds["real_videos"] > 0
        forged_by = enumerate_all(makers) if makers and is_blended else ""
        seen.append(SeenSet(dataset=dataset, people=len(known), forged_by=forged_by, **kinds))
    return seen


def unite_seen(known: Sequence[SeenSet], more: Sequence[SeenSet]) -> list[SeenSet]:
    """Of several trainings; of a data set in both the larger counts: by them alone nobody tells its videos apart."""
    out = {one.dataset: asdict(one) for one in known}
    for one in more:
        before, now = out.get(one.dataset, {}), asdict(one)
        makers = [name for name in dict.fromkeys((before.get("forged_by", ""), one.forged_by)) if name]
        larger = {name: max(count, before.get(name, 0)) for name, count in now.items() if isinstance(count, int)}
        out[one.dataset] = now | larger | {"forged_by": enumerate_all(makers) if makers else ""}
    return [SeenSet(**one) for one in out.values()]


def read_seen(kept: Iterable[Mapping[str, Any]] | None) -> list[SeenSet] | None:
    """From a checkpoint, or from a folder that was exported; older ones do not know."""
    return None if kept is None else [SeenSet(**one) for one in kept]


def write_seen(seen: Iterable[SeenSet]) -> list[dict[str, object]]:
    """For a checkpoint, or a folder that is exported."""
    return [asdict(one) for one in seen]


def describe_seen(sets: Sequence[SeenSet]) -> str:
    """1,200 photographs of 690 people (mine: all real) and 300 videos of 30 people (studio: 30 real, 270 forged)."""
    text = enumerate_all([describe_set(one) for one in sets])
    makers = sorted({one.forged_by for one in sets} - {""})
    return f"{text}, with forgeries that {enumerate_all(makers)} made of them" if makers else text


def describe_set(one: SeenSet) -> str:
    kinds = [(one.photographs, "photograph"), (one.videos, "video")]
    counts = enumerate_all([f"{n:,} {name}{'' if n == 1 else 's'}" for n, name in kinds if n])
    real, forged = one.real_photographs + one.real_videos, one.forged_photographs + one.forged_videos
    people = f" of {one.people:,} {'person' if one.people == 1 else 'people'}" if one.people else ""
    split = f": {real:,} real, {forged:,} forged" if forged else ": all real"
    return f"{counts}{people} ({one.dataset}{split})"


def enumerate_all(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
