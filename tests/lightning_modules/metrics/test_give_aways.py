"""How far a trait alone tells real from fake, and that nothing is made of chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from datamodules.datasets.trait_sample import MeasuredFile
from datamodules.media.traits import Traits
from lightning_modules.metrics.give_aways import ALL, GiveAway, find_give_aways


def measured(label: int, source: int, split: str = "test", method: str = "swap", **traits: Any) -> MeasuredFile:
    numbers = {name: value for name, value in traits.items() if not isinstance(value, str)}
    kinds = {name: value for name, value in traits.items() if isinstance(value, str)}
    return MeasuredFile(
        key=f"{label}{source}",
        split=split,
        method=method if label else "real",
        label=label,
        source=str(source),
        traits=Traits(numbers=numbers, kinds=kinds),
    )


def whole(files: list[MeasuredFile], trait: str) -> GiveAway:
    [found] = [one for one in find_give_aways(files) if (one.trait, one.split, one.forgery) == (trait, ALL, ALL)]
    return found


def test_a_number_counts_in_the_direction_that_is_better() -> None:
    # of 25 pairs the fake is larger in 3, equal in 1
    reals, fakes = [5, 6, 7, 8, 9], [1, 2, 3, 4, 7.5]
    files = [measured(0, i, size=v) for i, v in enumerate(reals)] + [
        measured(1, i, size=v) for i, v in enumerate(fakes)
    ]
    found = whole(files, "size")
    assert found.auroc.value == pytest.approx(1 - 3 / 25)
    assert found.more is False
    assert found.auroc.low < found.auroc.value < found.auroc.high
    files = [measured(f.label, int(f.source), size=-f.traits.numbers["size"]) for f in files if f.traits]
    assert whole(files, "size").auroc.value == pytest.approx(1 - 3 / 25)
    assert whole(files, "size").more is True


def test_a_codec_that_only_fakes_have_tells_all_of_them_apart() -> None:
    files = [measured(label, i, codec="mpeg4" if label else "h264") for label in (0, 1) for i in range(20)]
    found = whole(files, "codec")
    assert (found.auroc.value, found.auroc.low, found.auroc.high) == (1, 1, 1)
    assert found.is_clear


def test_a_kind_for_each_file_tells_nothing_although_its_best_order_is_perfect() -> None:
    files = [measured(label, i, tables=f"{label}-{i}") for label in (0, 1) for i in range(40)]
    assert whole(files, "tables").auroc.value == 0.5


def test_what_one_half_of_the_sources_teaches_by_chance_is_not_found_in_the_other() -> None:
    rng = np.random.default_rng(0)
    values = []
    for _ in range(30):
        files = [measured(i % 2, i // 2, codec=str(rng.integers(8))) for i in range(80)]
        found = whole(files, "codec")
        assert not found.is_clear
        values.append(found.auroc.value)
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_splits_and_forgeries_are_told_apart() -> None:
    files = [measured(0, i, split=("train", "test")[i % 2], codec="a") for i in range(40)]
    files += [measured(1, i, "train", "swap", codec="b") for i in range(20)]
    files += [measured(1, i, "test", "lips", codec="a") for i in range(20)]
    found = {(one.split, one.forgery): one.auroc.value for one in find_give_aways(files)}
    assert found["train", ALL] == found[ALL, "swap"] == 1
    assert found["test", ALL] == found[ALL, "lips"] == 0.5


def test_too_few_files_say_nothing_and_those_without_a_trait_are_not_counted() -> None:
    files = [measured(label, i, size=i) for label in (0, 1) for i in range(4)]
    assert math.isnan(whole(files, "size").auroc.value)
    files = [measured(label, i, **({"size": i} if i < 5 else {"codec": "a"})) for label in (0, 1) for i in range(9)]
    assert (whole(files, "size").reals, whole(files, "size").fakes) == (5, 5)


def test_what_is_written_is_read_back() -> None:
    files = [measured(label, i, size=i + label, codec="a") for label in (0, 1) for i in range(6)]
    for one in find_give_aways(files):
        assert GiveAway.from_json(one.to_json()).to_json() == one.to_json()
