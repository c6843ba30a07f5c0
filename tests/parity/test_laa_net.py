"""LAA-Net gives what the authors' own network gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.laa_net.convert import convert_reference
from lightning_modules.laa_net.network import LAANetwork
from tests.fixtures.tiny_laa_net import KEYS, small
from tests.parity.compare import laa_net, laa_net_arrays
from tests.parity.recorded import TOLERANCE, errors

ARRAYS = {"hm", "cls", "cstency", *(f"reduction_{i}" for i in (3, 4, 5, 6))}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "laa_net_sharp_seed310.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def network() -> LAANetwork:
    return laa_net(KEYS, factor=1.5)


def test_every_array_is_that_of_the_authors(recorded: dict[str, np.ndarray], network: LAANetwork) -> None:
    found = errors(laa_net_arrays(network, 310), recorded)
    assert found.keys() == ARRAYS
    assert max(found.values()) <= TOLERANCE, found


def test_of_the_mirror_image_no_array_would_be(recorded: dict[str, np.ndarray], network: LAANetwork) -> None:
    found = errors(laa_net_arrays(network, 310, mirrored=True), recorded)
    assert found.keys() == ARRAYS
    assert min(found.values()) > 500 * TOLERANCE, found


@pytest.mark.slow
def test_with_paddings_that_follow_the_image_it_would_not_be(recorded: dict[str, np.ndarray]) -> None:
    found = errors(laa_net_arrays(laa_net(KEYS, padding_side=None, factor=1.5), 310), recorded)
    assert found["reduction_3"] > 0.05
    assert found["hm"] > 1000 * TOLERANCE


def test_the_converter_takes_all_keys_and_drops_the_aliases() -> None:
    assert len(KEYS) == 803
    ours = convert_reference(small())
    assert len(ours) == 803 - 18
    with torch.device("meta"):
        assert ours.keys() == LAANetwork().state_dict().keys()
    assert convert_reference({f"module.{name}": value for name, value in small().items()}).keys() == ours.keys()


def test_the_converter_refuses_what_is_not_laa_net() -> None:
    with pytest.raises(UserError, match=r"fc\.weight: no key of LAA-Net"):
        convert_reference(small() | {"fc.weight": torch.zeros(1)})
    with pytest.raises(UserError, match=r"_blocks\.32\._bn1\.weight: no key"):
        convert_reference(small() | {"_blocks.32._bn1.weight": torch.zeros(1)})
    alias = "inception_block.pw_block.0.weight"
    with pytest.raises(UserError, match=r"differs from deconv_4\.0\.pw_block\.0\.weight"):
        convert_reference(small() | {alias: torch.ones(1)})
    without = small()
    del without["hm.3.bias"]
    with pytest.raises(UserError, match=r"points\.3\.bias: missing"):
        convert_reference(without)
