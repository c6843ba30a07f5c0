"""RFFR gives what the authors' own network gave, its shifted read-out included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.runtime.errors import UserError
from lightning_modules.rffr.convert import convert_reference
from lightning_modules.rffr.network import RFFRNetwork
from tests.parity.compare import rffr, rffr_arrays
from tests.parity.recorded import TOLERANCE, errors

HERE = Path(__file__).parent
KEYS: dict[str, list[int]] = json.loads((HERE / "rffr_keys.json").read_text())


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(HERE / "rffr_seed200.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def network() -> RFFRNetwork:
    return rffr(KEYS)


@pytest.fixture(scope="module")
def ours(recorded: dict[str, np.ndarray], network: RFFRNetwork) -> dict[str, torch.Tensor]:
    return rffr_arrays(network, 200, blocks=recorded["blocks"].tolist())


def of_images(recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without which blocks they are of."""
    return {name: array for name, array in recorded.items() if name not in ("blocks", "patch_ids")}


def test_every_array_is_that_of_the_authors(recorded: dict[str, np.ndarray], ours: dict[str, torch.Tensor]) -> None:
    found = errors(ours, {"patch_ids": recorded["patch_ids"], **of_images(recorded)})
    assert found.keys() == {"patch_ids", "recovered", "residual", "features_compat", "logits_compat"}
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.slow
def test_of_the_mirror_image_no_array_would_be(recorded: dict[str, np.ndarray], network: RFFRNetwork) -> None:
    mirrored = rffr_arrays(network, 200, mirrored=True, blocks=recorded["blocks"].tolist())
    found = errors(mirrored, of_images(recorded))
    assert len(found) == 4
    assert min(found.values()) > 500 * TOLERANCE, found


def test_read_at_the_class_token_it_would_not_be(
    recorded: dict[str, np.ndarray], ours: dict[str, torch.Tensor]
) -> None:
    assert np.abs(ours["features"].numpy() - recorded["features_compat"]).max() > 1e-2


def small() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(1) for name in KEYS}


def test_the_converter_drops_the_heads_that_nothing_reads_and_refuses_other_keys() -> None:
    assert len(KEYS) == 560
    ours = convert_reference({f"module.{name}": value for name, value in small().items()})
    with torch.device("meta"):
        assert ours.keys() == RFFRNetwork().state_dict().keys()
    detector = {name.removeprefix("dd."): value for name, value in small().items() if name.startswith("dd.")}
    alone = convert_reference(detector)  # as it was saved, without the generator
    assert alone.keys() == {name for name in ours if not name.startswith("generator.")}
    with pytest.raises(UserError, match=r"dd\.backbone_3\.norm\.weight: no key of RFFR"):
        convert_reference(small() | {"dd.backbone_3.norm.weight": torch.zeros(1)})
    without = small()
    del without["dd.classifier.bias"]
    with pytest.raises(UserError, match=r"classifier\.bias: missing"):
        convert_reference(without)
