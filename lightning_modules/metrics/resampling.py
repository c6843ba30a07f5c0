"""Resamples of the people in videos, with all videos made from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEWEST = 5  # people
Labels = NDArray[np.int64]
Counts = NDArray[np.int32]


def draw_resamples(
    sets: Sequence[tuple[NDArray[np.str_] | None, Labels]], seed: int = 0, draws: int | None = None
) -> list[Counts]:
    """(draws, V) of each set: how often each video is in each resample, which is one and the same for all sets.

    Clusters of reals, of fakes and of both are drawn apart in each set. Videos of nobody known are drawn one by one,
    and so are those of fewer than FEWEST clusters of a kind: resamples of so few would hardly differ, and those of one
    not at all.

    Args:
        sets: (V,) whose videos come and go together, for instance those of one person, in other sets too; empty where
            nobody is known, None where it is known of none. And (V,) 1 of fakes.
        draws: Resamples, RESAMPLES without.
    """
    labels = [label for _, label in sets]
    alone = [np.array([f"\0{k} {i:09d}" for i in range(len(label))]) for k, label in enumerate(labels)]
    names = [own if n is None else np.where(n == "", own, n) for own, (n, _) in zip(alone, sets, strict=True)]
    members, kinds = find_kinds(names, labels)
    is_of_few = np.bincount(kinds)[kinds] < FEWEST
    names = [np.where(is_of_few[m], own, name) for m, own, name in zip(members, alone, names, strict=True)]
    members, kinds = find_kinds(names, labels)
    counts = draw_clusters(kinds, RESAMPLES if draws is None else draws, np.random.default_rng(seed))
    return [counts[:, member] for member in members]


def find_kinds(names: Sequence[NDArray[np.str_]], labels: Sequence[Labels]) -> tuple[list[Labels], Labels]:
    """(V,) of each set, the cluster of each video, and (C,) which clusters have the same classes in the same sets."""
    each = np.unique(np.concatenate(names), return_inverse=True)[1].ravel()
    members = np.split(each, np.cumsum([len(n) for n in names])[:-1])
    traits = np.zeros((1 + int(each.max()), len(names), 2), bool)
    for k, (label, member) in enumerate(zip(labels, members, strict=True)):
        traits[member, k, 1 - label] = True  # reals come first
    return members, np.unique(traits, axis=0, return_inverse=True)[1].ravel()


def draw_clusters(kind: Labels, draws: int, rng: np.random.Generator) -> Counts:
    """(draws, C) how often each cluster is in each resample, drawn with replacement among those of its kind.

    Args:
        kind: (C,) from 0 on.
    """
    counts = np.zeros((draws, len(kind)), np.int32)
    for group in (np.flatnonzero(kind == one) for one in np.unique(kind)):
        picked = rng.integers(0, len(group), (draws, len(group))) + len(group) * np.arange(draws)[:, None]
        counts[:, group] = np.bincount(picked.ravel(), minlength=draws * len(group)).reshape(draws, len(group))
    return counts
