"""ST-DDL gives what the authors' own network gave, its mixing of a batch included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.st_ddl.convert import convert_reference
from lightning_modules.st_ddl.network import STDDLNetwork
from tests.parity.compare import st_ddl, st_ddl_arrays
from tests.parity.recorded import TOLERANCE, errors

HERE = Path(__file__).parent
KEYS: dict[str, list[int]] = json.loads((HERE / "st_ddl_keys.json").read_text())
ARRAYS = {"features_rgb", "features_motion", "fused", "mask_logits", "class_logits"}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(HERE / "st_ddl_seed100.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def network() -> STDDLNetwork:
    return st_ddl(KEYS)


def test_every_array_is_that_of_the_authors(recorded: dict[str, np.ndarray], network: STDDLNetwork) -> None:
    found = errors(st_ddl_arrays(network, 100), recorded)
    assert found.keys() == ARRAYS
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.slow
def test_of_the_mirror_image_no_array_would_be(recorded: dict[str, np.ndarray], network: STDDLNetwork) -> None:
    found = errors(st_ddl_arrays(network, 100, mirrored=True), recorded)
    assert found.keys() == ARRAYS
    assert min(found.values()) > 500 * TOLERANCE, found


def test_with_attention_that_keeps_frames_apart_it_would_not_be(
    recorded: dict[str, np.ndarray], network: STDDLNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network.fusion, "compat", False)
    found = errors(st_ddl_arrays(network, 100), recorded)
    assert found["features_rgb"] <= TOLERANCE
    assert found["fused"] > 100 * TOLERANCE


def small() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(1) for name in KEYS}


def test_the_converter_takes_all_keys_and_refuses_others() -> None:
    assert len(KEYS) == 3560
    ours = convert_reference({f"module.{name}": value for name, value in small().items()})
    with torch.device("meta"):
        assert ours.keys() == STDDLNetwork().state_dict().keys()
    with pytest.raises(UserError, match=r"sa\.m_v\.weight: no key of ST-DDL"):
        convert_reference(small() | {"sa.m_v.weight": torch.zeros(1)})
    without = small()
    del without["feats2cls.0.bias"]
    with pytest.raises(UserError, match=r"label\.bias: missing"):
        convert_reference(without)
