"""How far one trait of a file alone, its codec or its size, tells real from fake."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.datasets.trait_sample import MeasuredFile
from lightning_modules.metrics import resampling
from lightning_modules.metrics.bootstrap import Floats, Interval, aurocs
from lightning_modules.metrics.resampling import Labels, draw_resamples

LIMIT = 0.6  # AUROC; a trait gives the class away where the whole interval is above it
LEAST = 5  # files of each class
ALL = "all"  # forgeries, or splits
NOTHING = Interval(value=float("nan"))


@dataclass(frozen=True, kw_only=True)
class GiveAway:
    """One trait on the files of a split, or of a forgery against all reals.

    Args:
        more: Whether fakes have more of it; None of what is no number.
        auroc: Of the better direction, so that chance is 0.5 and rarely less.
    """

    trait: str
    split: str = ALL
    forgery: str = ALL
    reals: int
    fakes: int
    auroc: Interval
    more: bool | None = None

    @property
    def is_clear(self) -> bool:
        return self.auroc.low > LIMIT

    def to_json(self) -> dict[str, Any]:
        about = {name: getattr(self, name) for name in ("trait", "split", "forgery", "reals", "fakes", "more")}
        numbers = (self.auroc.value, self.auroc.low, self.auroc.high)
        return about | {"auroc": [None if np.isnan(one) else round(one, 4) for one in numbers]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> GiveAway:
        value, low, high = (float("nan") if one is None else float(one) for one in row["auroc"])
        return cls(**{**row, "auroc": Interval(value=value, low=low, high=high)})


def find_give_aways(files: Iterable[MeasuredFile]) -> list[GiveAway]:
    """Each trait over all files, in each split, and for each forgery against the reals of all splits."""
    known = [file for file in files if file.traits is not None]
    groups: list[tuple[str, str, list[MeasuredFile]]] = [(ALL, ALL, known)]
    groups += [(split, ALL, [f for f in known if f.split == split]) for split in sorted({f.split for f in known})]
    forgeries = sorted({f.method for f in known if f.label})
    groups += [(ALL, name, [f for f in known if not f.label or f.method == name]) for name in forgeries]
    return [one for split, forgery, group in groups for one in measure_group(group, split, forgery)]


def measure_group(files: Sequence[MeasuredFile], split: str, forgery: str) -> list[GiveAway]:
    out = []
    for kind in ("numbers", "kinds"):
        names = dict.fromkeys(name for file in files for name in getattr(file.traits, kind))
        for name in names:
            mine = [file for file in files if name in getattr(file.traits, kind)]
            values = [getattr(file.traits, kind)[name] for file in mine]
            label = np.array([file.label for file in mine], np.int64)
            reals, fakes = int((label == 0).sum()), int((label == 1).sum())
            found = GiveAway(trait=name, split=split, forgery=forgery, reals=reals, fakes=fakes, auroc=NOTHING)
            if min(reals, fakes) >= LEAST:
                is_number = kind == "numbers"
                sources = [file.source for file in mine]
                found = weigh_number(found, values, label) if is_number else weigh_kind(found, values, label, sources)
            out.append(found)
    return out


def weigh_number(found: GiveAway, values: Sequence[float], label: Labels) -> GiveAway:
    """In the direction that is better; where that is chance, half of the intervals lie below a half."""
    auroc = average_aurocs([(np.array(values, np.float64), label)])
    if auroc.value >= 0.5:
        return replace(found, auroc=auroc, more=auroc.value > 0.5)
    mirrored = Interval(value=1 - auroc.value, low=1 - auroc.high, high=1 - auroc.low)
    return replace(found, auroc=mirrored, more=False)


def weigh_kind(found: GiveAway, values: Sequence[str], label: Labels, sources: Sequence[str]) -> GiveAway:
    """In the best order of the kinds, which one half of the sources teaches and the other is scored by.

    Ordered by the files that it is scored on, what is of many kinds, or of one for each file, would tell all apart.
    """
    kinds = np.array(values)
    is_second = np.array([blake2b(source.encode()).digest()[0] % 2 == 1 for source in sources])
    halves = [(is_second, ~is_second), (~is_second, is_second)]
    if any(min(np.bincount(label[half], minlength=2)) == 0 for half, _ in halves):
        return found
    scored = [(apply_rates(learn_rates(kinds[a], label[a]), kinds[b]), label[b]) for a, b in halves]
    return replace(found, auroc=average_aurocs(scored))


def learn_rates(kinds: NDArray[np.str_], label: Labels) -> dict[str, float]:
    """Of each kind, how often it is fake where both classes are as frequent; one more of each is thought of."""
    real, fake = (Counter(kinds[label == one].tolist()) for one in (0, 1))
    rates = {}
    for name in real.keys() | fake.keys():
        of_real, of_fake = ((part[name] + 1) / (part.total() + 2) for part in (real, fake))
        rates[name] = of_fake / (of_real + of_fake)
    return rates


def apply_rates(rates: Mapping[str, float], kinds: NDArray[np.str_]) -> Floats:
    """What was not met in learning says nothing."""
    return np.array([rates.get(name, 0.5) for name in kinds.tolist()])


def average_aurocs(parts: Sequence[tuple[Floats, Labels]]) -> Interval:
    """The mean over parts, each resampled by itself."""
    values, many = [], []
    for score, label in parts:
        values += aurocs(score, label, np.ones((1, len(label)))).tolist()
        many.append(aurocs(score, label, draw_weights(label.tobytes(), resampling.RESAMPLES)))
    low, high = np.percentile(np.mean(many, axis=0), [2.5, 97.5])
    return Interval(value=float(np.mean(values)), low=float(low), high=float(high))


@functools.lru_cache(maxsize=4)  # the traits of a group are of the same files
def draw_weights(label: bytes, _: int) -> Floats:
    """(R, V) how often each file is in each resample."""
    of = np.frombuffer(label, np.int64)
    return draw_resamples([(None, of)])[0].astype(np.float64)
