"""The detectors of recent tables give what their authors' networks gave, through our own normalization and resizing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.released_files import PARITY, keys_of
from tests.fixtures.second_proofs import mark_slow
from tests.parity.anchors import METHODS
from tests.parity.recorded import TOLERANCE, as_ours, errors

SEEDS = {
    "sbi": 500,
    "gend_clip": 400,
    "gend_pe": 401,
    "gend_dino": 402,
    "effort": 410,
    "forada": 420,
    "fakestormer": 470,
}
# 300 million parameters in float64 are gigabytes and minutes
CASES = mark_slow(SEEDS, SEEDS.keys() - {"sbi"})


@pytest.fixture
def recorded(name: str) -> dict[str, np.ndarray]:
    with np.load(PARITY / f"{name}_seed{SEEDS[name]}.npz") as arrays:
        return as_ours(dict(arrays))


@pytest.mark.parametrize("name", CASES)
def test_every_array_is_that_of_the_authors_and_none_of_the_mirror_image(
    name: str, recorded: dict[str, np.ndarray]
) -> None:
    build, arrays = METHODS[name]
    network: Any = build(keys_of(name))
    found = errors(arrays(network, SEEDS[name]), recorded)
    assert found.keys() == recorded.keys()
    assert max(found.values()) <= TOLERANCE, found
    mirrored = errors(arrays(network, SEEDS[name], mirrored=True), recorded)
    assert min(mirrored.values()) > 500 * TOLERANCE, mirrored


def test_every_recorded_network_has_a_seed_and_a_file() -> None:
    assert SEEDS.keys() == METHODS.keys()
    assert all((Path(PARITY) / f"{name}_seed{seed}.npz").is_file() for name, seed in SEEDS.items())
