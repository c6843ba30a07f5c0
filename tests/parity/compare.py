"""Compares a network of ours with recorded outputs of the authors', under weights made from each tensor's name.

    python tests/parity/compare.py METHOD FIXTURE.npz --seed N

The list of the authors' keys, METHOD_keys.json, lies beside the fixture. Exit code 0 only if every array is within
1e-6.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lightning_modules.laa.convert import ALIAS, ALIASED, convert_reference
from lightning_modules.laa.network import NATIVE, Network
from lightning_modules.recovery import convert as rffr_convert
from lightning_modules.recovery import detector as rffr_detector
from lightning_modules.recovery.mae import positions
from lightning_modules.recovery.residual import recovered, residual
from lightning_modules.st import convert as st_ddl_convert
from lightning_modules.st import network as st_ddl_network

TOLERANCE = 1e-6
Arrays = Mapping[str, NDArray[np.float64]]


def fill(name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The value of a tensor follows from its name and shape, so that no checkpoint is needed."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return rng.uniform(0.8, 1.2, shape)
    if name.endswith("running_mean") or (len(shape) <= 1 and not name.endswith("weight")):
        return np.asarray(rng.normal(0.0, 0.05, shape))
    if len(shape) == 1:
        return rng.uniform(0.9, 1.1, shape)
    return np.asarray(rng.normal(0.0, 1.0 / np.sqrt(np.prod(shape[1:])), shape))


def uniform(seed: int, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).uniform(low, high, shape))


def laa_net(keys: Mapping[str, list[int]], seed: int, padding_of: int | None = NATIVE) -> dict[str, Tensor]:
    aliased = {n: ALIASED + n.removeprefix(ALIAS) if n.startswith(ALIAS) else n for n in keys}
    state = {name: torch.from_numpy(fill(aliased[name], tuple(shape))) for name, shape in keys.items()}
    network = Network(padding_of=padding_of).double().eval()
    network.load_state_dict(convert_reference(state))
    with torch.no_grad():
        normalized = uniform(seed, (1, 3, 384, 384))
        taps = network.trunk(normalized)
        heads = network(normalized / 2 + 0.5)
    arrays = {f"reduction_{i}": tap[:, ::16, ::2, ::2] for i, tap in enumerate(taps, 3)}
    arrays |= {"hm": heads.points[..., ::2, ::2], "cls": heads.label[:, None]}
    return arrays | {"cstency": heads.embedding[:, ::16, ::4, ::4]}


def st_ddl(keys: Mapping[str, list[int]], seed: int, compat: bool = True) -> dict[str, Tensor]:
    state = {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in keys.items()}
    network = st_ddl_network.Network().double().eval()
    network.load_state_dict(st_ddl_convert.convert_reference(state))
    network.fusion.compat &= compat
    with torch.no_grad():
        pixels, motion, fused = network.fused(uniform(seed, (6, 3, 128, 128)), uniform(seed + 1, (6, 2, 128, 128)))
        heads = network.heads(fused, clips=2)
    arrays = {"features_rgb": pixels, "features_motion": motion, "fused": fused}
    arrays = {name: features[:, ::64] for name, features in arrays.items()}
    return arrays | {"mask_logits": heads.mask[..., ::8, ::8], "class_logits": heads.label}


def rffr(keys: Mapping[str, list[int]], seed: int, blocks: Sequence[int]) -> dict[str, Tensor]:
    state = {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in keys.items()}
    for name, width in (("pos_embed", 768), ("decoder_pos_embed", 512)):
        state[f"rg.inpainter.{name}"] = positions(width, 14)
    network = rffr_detector.Network().double().eval()
    network.load_state_dict(rffr_convert.convert_reference(state))
    chosen, images = torch.tensor(list(blocks)), uniform(seed, (1, 3, 224, 224), 0, 1)
    with torch.no_grad():
        ids = network.blocks[chosen]
        passes = [one[None] for one in ids]
        (whole, _), rest = recovered(network.generator, images, passes), residual(network.generator, images, passes)
        features = network.features(images, rest, chosen)
        arrays = {"recovered": whole[..., ::8, ::8], "residual": rest[..., ::8, ::8], "features_compat": features}
        arrays |= {"patch_ids": ids.flatten()[None], "logits_compat": network.classifier(features)}
        network.compat = False
        return arrays | {"features": network.features(images, rest, chosen)}


METHODS: dict[str, Callable[..., dict[str, Tensor]]] = {"laa_net": laa_net, "st_ddl": st_ddl, "rffr": rffr}


def errors(ours: Mapping[str, Tensor], recorded: Arrays) -> dict[str, float]:
    """Largest difference of each array over its largest magnitude; infinite where an array is absent."""
    out = {}
    for name, theirs in recorded.items():
        mine = ours.get(name)
        same = mine is not None and tuple(mine.shape) == theirs.shape
        out[name] = float(np.abs(mine.numpy() - theirs).max() / np.abs(theirs).max()) if same else float("inf")  # type: ignore[union-attr]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("fixture", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    keys = json.loads((given.fixture.parent / f"{given.method}_keys.json").read_text())
    recorded = dict(np.load(given.fixture))
    inputs = {name: recorded.pop(name).tolist() for name in ("blocks",) if name in recorded}
    found = errors(METHODS[given.method](keys, given.seed, **inputs), recorded)
    for name, error in found.items():
        print(name, f"{error:.3e}")
    sys.exit(0 if found and max(found.values()) <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
